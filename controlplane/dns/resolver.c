// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/dns/resolver.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/dns/lookup.h"
#include "controlplane/util/clock.h"
#include "controlplane/util/log.h"

enum {
	MAX_AT_ONCE = 16, /* names that are being asked for; a few descriptors each */
};

struct name {
	struct name *next;
	char dns[BERTH_DNS_NAME_BYTES];
	struct berth_dns_resolver *resolver;
	struct berth_dns_lookup *lookup; /* NULL: not asked for now */
	struct berth_dns_name_status status;
	uint32_t failures; /* in a row */
	bool told;	   /* the log has it that it fails */
	bool wanted;
};

struct berth_dns_resolver {
	struct event_base *base;
	struct event *timer;
	const struct berth_dns_state *known;
	berth_dns_changed_fn *changed;
	void *arg;
	struct berth_dns_config config;
	struct name *names;
	size_t at_once;
};

/* The name that is to be asked for next; NULL: all are being asked for. */
static struct name *next_name(const struct berth_dns_resolver *resolver)
{
	struct name *next = NULL;
	for (struct name *name = resolver->names; name; name = name->next)
		if (!name->lookup && (!next || name->status.next_query_ms < next->status.next_query_ms))
			next = name;
	return next;
}

static void arm(struct berth_dns_resolver *resolver)
{
	const struct name *next = resolver->at_once < MAX_AT_ONCE ? next_name(resolver) : NULL;
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
	if (!name->lookup)
		return;
	berth_dns_lookup_free(name->lookup);
	name->lookup = NULL;
	name->status.is_querying = false;
	name->resolver->at_once--;
}

/* Once when it begins to fail, and once when that is over. */
static void tell(struct name *name, size_t n_known)
{
	const char *error = name->status.error;
	if (!error[0] && name->told)
		berth_log("dns %s: answers now", name->dns);
	else if (error[0] && !name->told && n_known)
		berth_log("dns %s: %s; the last good answer stays in use, %zu addresses", name->dns, error,
			  n_known);
	else if (error[0] && !name->told)
		berth_log("dns %s: %s; there are no backends of it yet", name->dns, error);
	name->told = error[0] != 0;
}

static bool is_news(const struct berth_dns_outcome *verdict, const struct berth_dns_answer *before)
{
	if (!verdict->found || !before)
		return verdict->found;
	return verdict->n != before->n ||
	       memcmp(verdict->addresses, before->addresses, before->n * sizeof(*before->addresses)) != 0;
}

/* Takes in what is answered so far. */
static int take(struct name *name, const struct berth_dns_result results[BERTH_DNS_TYPES],
		struct berth_dns_outcome *verdict)
{
	struct berth_dns_resolver *resolver = name->resolver;
	const struct berth_dns_answer *before = berth_dns_state_answer(resolver->known, name->dns);
	char error[BERTH_ERROR_BYTES] = "out of memory";
	int err = berth_dns_merge(results, before, verdict);
	if (!err && is_news(verdict, before))
		err = resolver->changed(resolver->arg, name->dns, verdict->addresses, verdict->n, error);
	if (err) {
		verdict->found = false;
		snprintf(verdict->error, sizeof(verdict->error), "%.*s", BERTH_DNS_ERROR_BYTES - 1, error);
	}
	return err;
}

/* How it went, and when it is asked for again. */
static void settle(struct name *name, const struct berth_dns_outcome *verdict)
{
	struct berth_dns_resolver *resolver = name->resolver;
	const struct berth_dns_answer *answer = berth_dns_state_answer(resolver->known, name->dns);
	uint64_t now_ms = berth_clock_ms();
	name->failures = verdict->found ? 0 : name->failures + 1;
	name->status.failures += verdict->error[0] != 0;
	memcpy(name->status.error, verdict->error, sizeof(name->status.error));
	if (verdict->found)
		name->status.last_success_ms = now_ms;
	name->status.next_query_ms =
		now_ms + UINT64_C(1000) * berth_dns_next_query_s(&resolver->config, verdict->ttl_s, name->failures);
	tell(name, answer ? answer->n : 0);
}

static void on_lookup(void *arg, const struct berth_dns_result results[BERTH_DNS_TYPES], bool ended)
{
	struct name *name = arg;
	struct berth_dns_outcome verdict;
	take(name, results, &verdict);
	if (ended) {
		settle(name, &verdict);
		end_lookup(name);
		arm(name->resolver);
	}
	free(verdict.addresses);
}

static void ask(struct name *name)
{
	struct berth_dns_resolver *resolver = name->resolver;
	name->status.queries++;
	name->lookup = berth_dns_lookup_new(resolver->base, &resolver->config, name->dns, on_lookup, name);
	name->status.is_querying = name->lookup != NULL;
	resolver->at_once += name->lookup != NULL;
	if (name->lookup)
		return;
	settle(name, &(struct berth_dns_outcome){.error = "no memory or descriptors to ask with"});
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct berth_dns_resolver *resolver = arg;
	uint64_t now_ms = berth_clock_ms();
	for (struct name *name; resolver->at_once < MAX_AT_ONCE && (name = next_name(resolver));) {
		if (name->status.next_query_ms > now_ms)
			break;
		ask(name);
	}
	arm(resolver);
}

struct berth_dns_resolver *berth_dns_resolver_new(struct event_base *base, const struct berth_dns_state *known,
						  berth_dns_changed_fn *changed, void *arg)
{
	struct berth_dns_resolver *resolver = calloc(1, sizeof(*resolver));
	if (!resolver)
		return NULL;
	*resolver = (struct berth_dns_resolver){.base = base, .known = known, .changed = changed, .arg = arg};
	resolver->timer = evtimer_new(base, on_timer, resolver);
	if (resolver->timer)
		return resolver;
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

static void drop(struct name **at)
{
	struct name *name = *at;
	*at = name->next;
	end_lookup(name);
	free(name);
}

void berth_dns_resolver_free(struct berth_dns_resolver *resolver)
{
	while (resolver->names)
		drop(&resolver->names);
	event_free(resolver->timer);
	free(resolver);
}

static int want(struct berth_dns_resolver *resolver, const char *dns)
{
	struct name *name = find(resolver, dns);
	if (!name) {
		name = calloc(1, sizeof(*name));
		if (!name)
			return -ENOMEM;
		*name = (struct name){.resolver = resolver, .next = resolver->names};
		snprintf(name->dns, sizeof(name->dns), "%s", dns);
		resolver->names = name;
	}
	name->wanted = true;
	return 0;
}

/* Drops what nobody wants any more. With other servers all is asked for again. */
static void sweep(struct berth_dns_resolver *resolver, bool anew)
{
	for (struct name **at = &resolver->names; *at;) {
		struct name *name = *at;
		if (!name->wanted) {
			drop(at);
			continue;
		}
		name->wanted = false;
		if (anew) {
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

int berth_dns_resolver_update(struct berth_dns_resolver *resolver, const struct berth_config *config)
{
	bool anew = !same_servers(&resolver->config, &config->dns);
	int err = 0;
	resolver->config = config->dns;
	for (size_t i = 0; i < config->n_services; i++)
		for (size_t j = 0; !err && j < config->services[i].n_sources; j++)
			err = want(resolver, config->services[i].sources[j].dns);
	if (!err)
		sweep(resolver, anew);
	arm(resolver);
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
