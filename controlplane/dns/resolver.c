// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/dns/resolver.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/api/plural.h"
#include "controlplane/dns/lookup.h"
#include "controlplane/dns/remote.h"
#include "controlplane/util/clock.h"
#include "controlplane/util/log.h"

enum {
	MAX_QUERYING = 16, /* names at once; each holds a few descriptors */
};

struct name {
	struct name *next;
	char dns[BERTH_DNS_NAME_BYTES];
	struct berth_dns_resolver *resolver;
	/* Of both at most one; NULL: no query pending. */
	struct berth_dns_lookup *lookup;   /* by this process */
	struct berth_dns_request *request; /* by the helper */
	struct berth_dns_name_status status;
	uint32_t failures; /* in a row */
	bool is_logged;	   /* the failure */
	bool is_used;	   /* by the configuration */
	bool is_staged;	   /* not in the configuration in force */
};

struct berth_dns_resolver {
	struct event_base *base;
	struct berth_dns_remote *remote; /* NULL: this process makes the lookups */
	struct event *timer;
	const struct berth_dns_state *state;
	berth_dns_changed_fn *changed;
	void *arg;
	struct berth_dns_config config;
	struct name *names;
	size_t n_querying;
};

static bool has_query(const struct name *name)
{
	return name->lookup || name->request;
}

/* The name whose query is due first; NULL: all have a pending query. */
static struct name *next_name(const struct berth_dns_resolver *resolver)
{
	struct name *next = NULL;
	for (struct name *name = resolver->names; name; name = name->next)
		if (!has_query(name) && (!next || name->status.next_query_ms < next->status.next_query_ms))
			next = name;
	return next;
}

static void arm_timer(struct berth_dns_resolver *resolver)
{
	const struct name *next = resolver->n_querying < MAX_QUERYING ? next_name(resolver) : NULL;
	uint64_t now_ms = berth_clock_ms();
	if (!next) {
		event_del(resolver->timer);
		return;
	}
	uint64_t wait_ms = next->status.next_query_ms > now_ms ? next->status.next_query_ms - now_ms : 0;
	const struct timeval wait = {.tv_sec = (time_t)(wait_ms / 1000),
				     .tv_usec = (suseconds_t)(wait_ms % 1000 * 1000)};
	event_add(resolver->timer, &wait);
}

static void end_lookup(struct name *name)
{
	if (!has_query(name))
		return;
	if (name->lookup)
		berth_dns_lookup_free(name->lookup);
	if (name->request)
		berth_dns_request_free(name->request);
	name->lookup = NULL;
	name->request = NULL;
	name->status.is_querying = false;
	name->resolver->n_querying--;
}

/* Logs the begin and the end of a failure once each. */
static void log_change(struct name *name, size_t n_addresses)
{
	const char *error = name->status.error;
	if (!error[0] && name->is_logged)
		berth_log("dns %s: resolved again", name->dns);
	else if (error[0] && !name->is_logged && n_addresses)
		berth_log("dns %s: %s; the last good answer (%zu address%s) stays in use", name->dns, error,
			  n_addresses, BERTH_PLURAL_ES(n_addresses));
	else if (error[0] && !name->is_logged)
		berth_log("dns %s: %s; it has no backends until it is resolved", name->dns, error);
	name->is_logged = error[0] != 0;
}

static bool has_changed(const struct berth_dns_outcome *outcome, const struct berth_dns_answer *before)
{
	if (!outcome->found || !before)
		return outcome->found;
	return outcome->n != before->n ||
	       memcmp(outcome->addresses, before->addresses, before->n * sizeof(*before->addresses)) != 0;
}

/* Merges the results so far and reports changed addresses. */
static int process_results(struct name *name, const struct berth_dns_result results[BERTH_DNS_TYPES],
			   struct berth_dns_outcome *outcome)
{
	struct berth_dns_resolver *resolver = name->resolver;
	const struct berth_dns_answer *before = berth_dns_state_answer(resolver->state, name->dns);
	char error[BERTH_ERROR_BYTES] = "out of memory";
	int err = berth_dns_merge(results, before, outcome);
	if (!err && has_changed(outcome, before))
		err = resolver->changed(resolver->arg, name->dns, outcome->addresses, outcome->n, error);
	if (err) {
		outcome->found = false;
		snprintf(outcome->error, sizeof(outcome->error), "%.*s", BERTH_DNS_ERROR_BYTES - 1, error);
	}
	return err;
}

/* Updates the status and the time of the next query. */
static void record_outcome(struct name *name, const struct berth_dns_outcome *outcome)
{
	struct berth_dns_resolver *resolver = name->resolver;
	const struct berth_dns_answer *answer = berth_dns_state_answer(resolver->state, name->dns);
	uint64_t now_ms = berth_clock_ms();
	name->failures = outcome->found ? 0 : name->failures + 1;
	name->status.failures += outcome->error[0] != 0;
	memcpy(name->status.error, outcome->error, sizeof(name->status.error));
	if (outcome->found)
		name->status.last_success_ms = now_ms;
	name->status.next_query_ms =
		now_ms + UINT64_C(1000) * berth_dns_next_query_s(&resolver->config, outcome->ttl_s, name->failures);
	log_change(name, answer ? answer->n : 0);
}

static void on_lookup(void *arg, const struct berth_dns_result results[BERTH_DNS_TYPES], bool ended)
{
	struct name *name = arg;
	struct berth_dns_outcome outcome;
	process_results(name, results, &outcome);
	if (ended) {
		record_outcome(name, &outcome);
		end_lookup(name);
		arm_timer(name->resolver);
	}
	free(outcome.addresses);
}

static void start_query(struct name *name)
{
	struct berth_dns_resolver *resolver = name->resolver;
	name->status.queries++;
	if (resolver->remote)
		name->request = berth_dns_request_new(resolver->remote, &resolver->config, name->dns, on_lookup,
						      name);
	else
		name->lookup = berth_dns_lookup_new(resolver->base, &resolver->config, name->dns, on_lookup, name);
	name->status.is_querying = has_query(name);
	resolver->n_querying += has_query(name);
	if (has_query(name))
		return;
	struct berth_dns_outcome outcome = {.error = "out of memory or descriptors"};
	if (resolver->remote)
		snprintf(outcome.error, sizeof(outcome.error), "berth's helper for dns does not run");
	record_outcome(name, &outcome);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct berth_dns_resolver *resolver = arg;
	uint64_t now_ms = berth_clock_ms();
	for (struct name *name; resolver->n_querying < MAX_QUERYING && (name = next_name(resolver));) {
		if (name->status.next_query_ms > now_ms)
			break;
		start_query(name);
	}
	arm_timer(resolver);
}

struct berth_dns_resolver *berth_dns_resolver_new(struct event_base *base, struct berth_helper *helper,
						  const struct berth_dns_state *state,
						  berth_dns_changed_fn *changed, void *arg)
{
	struct berth_dns_resolver *resolver = calloc(1, sizeof(*resolver));
	if (!resolver)
		return NULL;
	*resolver = (struct berth_dns_resolver){.base = base, .state = state, .changed = changed, .arg = arg};
	resolver->timer = evtimer_new(base, on_timer, resolver);
	resolver->remote = helper ? berth_dns_remote_new(helper) : NULL;
	if (resolver->timer && (resolver->remote || !helper))
		return resolver;
	if (resolver->timer)
		event_free(resolver->timer);
	berth_dns_remote_free(resolver->remote);
	free(resolver);
	return NULL;
}

static struct name *find(const struct berth_dns_resolver *resolver, const char *dns)
{
	struct name *name = resolver->names;
	while (name && strcmp(name->dns, dns) != 0)
		name = name->next;
	return name;
}

static void remove_name(struct name **at)
{
	struct name *name = *at;
	*at = name->next;
	end_lookup(name);
	free(name);
}

void berth_dns_resolver_free(struct berth_dns_resolver *resolver)
{
	while (resolver->names)
		remove_name(&resolver->names);
	event_free(resolver->timer);
	berth_dns_remote_free(resolver->remote);
	free(resolver);
}

static int require_name(struct berth_dns_resolver *resolver, const char *dns)
{
	struct name *name = find(resolver, dns);
	if (!name) {
		name = calloc(1, sizeof(*name));
		if (!name)
			return -ENOMEM;
		*name = (struct name){.resolver = resolver, .next = resolver->names, .is_staged = true};
		snprintf(name->dns, sizeof(name->dns), "%s", dns);
		resolver->names = name;
	}
	name->is_used = true;
	return 0;
}

/* Removes names that the configuration does not use. After a change of servers all names are queried again. */
static void sweep(struct berth_dns_resolver *resolver, bool restart)
{
	for (struct name **at = &resolver->names; *at;) {
		struct name *name = *at;
		if (!name->is_used) {
			remove_name(at);
			continue;
		}
		name->is_used = false;
		name->is_staged = false;
		if (restart) {
			end_lookup(name);
			name->status.next_query_ms = 0;
		}
		at = &name->next;
	}
}

static bool same_servers(const struct berth_dns_config *a, const struct berth_dns_config *b)
{
	bool same = a->n_servers == b->n_servers;
	for (size_t i = 0; same && i < a->n_servers; i++)
		same = a->servers[i].port == b->servers[i].port &&
		       berth_addr_equal(&a->servers[i].address, &b->servers[i].address);
	return same;
}

int berth_dns_resolver_stage(struct berth_dns_resolver *resolver, const struct berth_config *config)
{
	int err = 0;
	for (size_t i = 0; i < config->n_services; i++)
		for (size_t j = 0; !err && j < config->services[i].n_sources; j++)
			err = require_name(resolver, config->services[i].sources[j].dns);
	if (err)
		berth_dns_resolver_drop(resolver);
	return err;
}

void berth_dns_resolver_drop(struct berth_dns_resolver *resolver)
{
	for (struct name **at = &resolver->names; *at;) {
		(*at)->is_used = false;
		if ((*at)->is_staged)
			remove_name(at);
		else
			at = &(*at)->next;
	}
}

void berth_dns_resolver_commit(struct berth_dns_resolver *resolver, const struct berth_config *config)
{
	bool restart = !same_servers(&resolver->config, &config->dns);
	resolver->config = config->dns;
	sweep(resolver, restart);
	arm_timer(resolver);
}

int berth_dns_resolver_update(struct berth_dns_resolver *resolver, const struct berth_config *config)
{
	int err = berth_dns_resolver_stage(resolver, config);
	if (!err)
		berth_dns_resolver_commit(resolver, config);
	return err;
}

bool berth_dns_resolver_get(const struct berth_dns_resolver *resolver, const char *dns,
			    struct berth_dns_name_status *status)
{
	const struct name *name = find(resolver, dns);
	if (name)
		*status = name->status;
	return name != NULL;
}
