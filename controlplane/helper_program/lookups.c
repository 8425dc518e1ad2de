// SPDX-License-Identifier: BSD-3-Clause
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "controlplane/dns/lookup.h"
#include "controlplane/helper_program/serve.h"

struct work {
	LIST_ENTRY(work) entry;
	uint64_t id;
	struct berth_serve_lookups *lookups;
	struct berth_dns_lookup *lookup;
	bool is_answered[BERTH_DNS_TYPES];
};

/* Few at a time (resolver.c), so a list is enough. */
struct berth_serve_lookups {
	struct event_base *base;
	struct berth_stream *stream;
	LIST_HEAD(, work) all;
};

static void free_work(struct work *work)
{
	LIST_REMOVE(work, entry);
	if (work->lookup)
		berth_dns_lookup_free(work->lookup);
	free(work);
}

static void answer(const struct work *work, enum berth_dns_record_type type, const struct berth_dns_result *result)
{
	static struct berth_helper_looked_up message; /* its unused part is never sent */
	const size_t n = result->n < BERTH_HELPER_DNS_ADDRESSES ? result->n : BERTH_HELPER_DNS_ADDRESSES;
	message.header = (struct berth_helper_header){.type = BERTH_HELPER_LOOKED_UP, .id = work->id};
	message.type = type;
	message.status = result->status;
	message.ttl_s = result->ttl_s;
	message.n = (uint32_t)n;
	memset(message.error, 0, sizeof(message.error));
	if (result->error)
		snprintf(message.error, sizeof(message.error), "%s", result->error);
	if (n)
		memcpy(message.addresses, result->addresses, n * sizeof(message.addresses[0]));
	berth_stream_send(work->lookups->stream, &message.header, berth_helper_looked_up_bytes(n), NULL, 0);
}

static void on_results(void *arg, const struct berth_dns_result results[BERTH_DNS_TYPES], bool ended)
{
	struct work *work = arg;
	for (int type = 0; type < BERTH_DNS_TYPES; type++) {
		if (results[type].status == BERTH_DNS_PENDING || work->is_answered[type])
			continue;
		work->is_answered[type] = true;
		answer(work, (enum berth_dns_record_type)type, &results[type]);
	}
	if (ended)
		free_work(work);
}

static void answer_no_memory(const struct work *work)
{
	const struct berth_dns_result result = {.status = BERTH_DNS_FAILED,
						.error = "out of memory or descriptors"};
	for (int type = 0; type < BERTH_DNS_TYPES; type++)
		answer(work, (enum berth_dns_record_type)type, &result);
}

bool berth_serve_lookup(struct berth_serve_lookups *lookups, const struct berth_helper_header *header)
{
	const struct berth_helper_lookup *message = (const struct berth_helper_lookup *)header;
	if (header->bytes != sizeof(*message) || message->n_servers > BERTH_MAX_DNS_SERVERS ||
	    !memchr(message->name, 0, sizeof(message->name)))
		return false;
	struct berth_dns_config config = {.n_servers = message->n_servers, .timeout_ms = message->timeout_ms};
	for (uint32_t i = 0; i < message->n_servers; i++)
		config.servers[i] = (struct berth_dns_server){.address = message->servers[i].address,
							      .port = message->servers[i].port,
							      .ifindex = message->servers[i].ifindex};
	struct work *work = calloc(1, sizeof(*work));
	if (!work)
		return false;
	work->id = header->id;
	work->lookups = lookups;
	LIST_INSERT_HEAD(&lookups->all, work, entry);
	work->lookup = berth_dns_lookup_new(lookups->base, &config, message->name, on_results, work);
	if (work->lookup)
		return true;
	answer_no_memory(work);
	free_work(work);
	return true;
}

void berth_serve_lookups_cancel(struct berth_serve_lookups *lookups, uint64_t id)
{
	struct work *work = LIST_FIRST(&lookups->all);
	while (work && work->id != id)
		work = LIST_NEXT(work, entry);
	if (work)
		free_work(work);
}

struct berth_serve_lookups *berth_serve_lookups_new(struct event_base *base)
{
	struct berth_serve_lookups *lookups = calloc(1, sizeof(*lookups));
	if (!lookups)
		return NULL;
	lookups->base = base;
	LIST_INIT(&lookups->all);
	return lookups;
}

void berth_serve_lookups_set_stream(struct berth_serve_lookups *lookups, struct berth_stream *stream)
{
	lookups->stream = stream;
}
