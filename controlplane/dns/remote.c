// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/dns/remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "controlplane/dns/system_servers.h"

_Static_assert((int)BERTH_HELPER_DNS_ERROR_BYTES == (int)BERTH_DNS_ERROR_BYTES, "one size of errors");
_Static_assert((int)BERTH_HELPER_DNS_ADDRESSES > (int)BERTH_DNS_MAX_ADDRESSES, "too large answers are detected");

struct berth_dns_request {
	LIST_ENTRY(berth_dns_request) entry;
	struct berth_dns_remote *remote;
	uint64_t id;
	struct berth_dns_result results[BERTH_DNS_TYPES];
	char errors[BERTH_DNS_TYPES][BERTH_DNS_ERROR_BYTES];
	berth_dns_lookup_fn *on_results;
	void *arg;
};

/* Few requests at a time (resolver.c), so a list is enough. */
struct berth_dns_remote {
	struct berth_helper *helper;
	uint64_t last_id;
	LIST_HEAD(, berth_dns_request) requests;
};

static struct berth_dns_request *find(const struct berth_dns_remote *remote, uint64_t id)
{
	struct berth_dns_request *request = LIST_FIRST(&remote->requests);
	while (request && request->id != id)
		request = LIST_NEXT(request, entry);
	return request;
}

/* The listener may free the request. */
static void report(struct berth_dns_request *request)
{
	bool ended = true;
	for (int type = 0; type < BERTH_DNS_TYPES; type++)
		ended = ended && request->results[type].status != BERTH_DNS_PENDING;
	request->on_results(request->arg, request->results, ended);
}

static bool is_valid(const struct berth_helper_looked_up *answer)
{
	return answer->header.type == BERTH_HELPER_LOOKED_UP &&
	       answer->header.bytes >= berth_helper_looked_up_bytes(0) && answer->n <= BERTH_HELPER_DNS_ADDRESSES &&
	       answer->header.bytes == berth_helper_looked_up_bytes(answer->n) && answer->type < BERTH_DNS_TYPES &&
	       answer->status > BERTH_DNS_PENDING && answer->status <= BERTH_DNS_FAILED &&
	       (answer->n > 0) == (answer->status == BERTH_DNS_FOUND) &&
	       memchr(answer->error, 0, sizeof(answer->error));
}

/* Addresses are of the family that was asked for. */
static bool has_right_families(const struct berth_helper_looked_up *answer)
{
	for (uint32_t i = 0; i < answer->n; i++)
		if (berth_addr_is4(&answer->addresses[i]) != (answer->type == BERTH_DNS_A))
			return false;
	return true;
}

static void fail(struct berth_dns_request *request, int type, const char *error)
{
	char *text = request->errors[type];
	snprintf(text, sizeof(request->errors[type]), "%s", error);
	for (char *c = text; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	request->results[type] = (struct berth_dns_result){.status = BERTH_DNS_FAILED, .error = text};
}

static void store(struct berth_dns_request *request, const struct berth_helper_looked_up *answer)
{
	struct berth_dns_result *result = &request->results[answer->type];
	union berth_addr *addresses = answer->n ? calloc(answer->n, sizeof(*addresses)) : NULL;
	if (answer->n && !addresses) {
		fail(request, (int)answer->type, "out of memory");
		return;
	}
	if (answer->status == BERTH_DNS_FAILED) {
		fail(request, (int)answer->type, answer->error);
		return;
	}
	if (addresses)
		memcpy(addresses, answer->addresses, answer->n * sizeof(*addresses));
	*result = (struct berth_dns_result){.status = (enum berth_dns_status)answer->status,
					    .addresses = addresses,
					    .n = answer->n,
					    .ttl_s = answer->ttl_s};
}

static bool on_received(void *arg, const struct berth_helper_header *message)
{
	const struct berth_helper_looked_up *answer = (const struct berth_helper_looked_up *)message;
	if (!is_valid(answer) || !has_right_families(answer))
		return false;
	struct berth_dns_request *request = find(arg, message->id);
	if (!request)
		return true;
	if (request->results[answer->type].status != BERTH_DNS_PENDING)
		return false;
	store(request, answer);
	report(request);
	return true;
}

/* What was answered stays; the listener frees each request. */
static void on_ended(void *arg)
{
	struct berth_dns_remote *remote = arg;
	struct berth_dns_request *request;
	while ((request = LIST_FIRST(&remote->requests))) {
		for (int type = 0; type < BERTH_DNS_TYPES; type++)
			if (request->results[type].status == BERTH_DNS_PENDING)
				fail(request, type, "berth's helper for dns ended");
		report(request);
	}
}

/* --- requests --- */

static int send_lookup(struct berth_dns_remote *remote, uint64_t id, const struct berth_dns_config *config,
		       const char *name)
{
	struct berth_helper_lookup message = {
		.header = {.type = BERTH_HELPER_LOOKUP, .id = id},
		.timeout_ms = config->timeout_ms,
	};
	struct berth_dns_server system[BERTH_MAX_DNS_SERVERS];
	const struct berth_dns_server *servers = config->n_servers ? config->servers : system;
	message.n_servers = (uint32_t)(config->n_servers ? config->n_servers
							 : berth_dns_system_servers(system, id));
	for (uint32_t i = 0; i < message.n_servers; i++)
		message.servers[i] = (struct berth_helper_dns_server){
			.address = servers[i].address, .port = servers[i].port, .ifindex = servers[i].ifindex};
	snprintf(message.name, sizeof(message.name), "%s", name);
	return berth_helper_send(remote->helper, &message.header, sizeof(message), NULL, 0);
}

struct berth_dns_request *berth_dns_request_new(struct berth_dns_remote *remote,
						const struct berth_dns_config *config, const char *name,
						berth_dns_lookup_fn *on_results, void *arg)
{
	struct berth_dns_request *request = calloc(1, sizeof(*request));
	if (!request)
		return NULL;
	*request = (struct berth_dns_request){
		.remote = remote, .id = ++remote->last_id, .on_results = on_results, .arg = arg};
	if (send_lookup(remote, request->id, config, name)) {
		free(request);
		return NULL;
	}
	LIST_INSERT_HEAD(&remote->requests, request, entry);
	return request;
}

/* The helper takes no notice of a cancellation of what it has ended. */
void berth_dns_request_free(struct berth_dns_request *request)
{
	struct berth_helper_header message = {.type = BERTH_HELPER_CANCEL, .id = request->id};
	bool is_pending = false;
	for (int type = 0; type < BERTH_DNS_TYPES; type++) {
		is_pending |= request->results[type].status == BERTH_DNS_PENDING;
		free(request->results[type].addresses);
	}
	if (is_pending)
		berth_helper_send(request->remote->helper, &message, sizeof(message), NULL, 0);
	LIST_REMOVE(request, entry);
	free(request);
}

struct berth_dns_remote *berth_dns_remote_new(struct berth_helper *helper)
{
	struct berth_dns_remote *remote = calloc(1, sizeof(*remote));
	if (!remote)
		return NULL;
	remote->helper = helper;
	LIST_INIT(&remote->requests);
	berth_helper_set_listener(
		helper, &(struct berth_helper_listener){.received = on_received, .ended = on_ended, .arg = remote});
	return remote;
}

void berth_dns_remote_free(struct berth_dns_remote *remote)
{
	if (!remote)
		return;
	berth_helper_set_listener(remote->helper, &(struct berth_helper_listener){0});
	free(remote);
}
