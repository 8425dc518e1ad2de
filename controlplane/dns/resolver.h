/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keeps the DNS names of a configuration resolved. Each name is queried once however many backends use it, and
 * again when its TTL ends; after failures with exponential backoff. Runs on berthd's event loop and never blocks.
 */
#pragma once

#include <event2/event.h>

#include "controlplane/dns/result.h"
#include "controlplane/dns/state.h"
#include "controlplane/util/error.h"

struct berth_dns_resolver;
struct berth_helper;

/* Reports a changed set of addresses (sorted, unique, at least one). Returns 0 if they are in force; else sets one
 * line in `error`, and the resolver tries again later. */
typedef int berth_dns_changed_fn(void *arg, const char *name, const union berth_addr *addresses, size_t n,
				 char error[BERTH_ERROR_BYTES]);

/* Times are CLOCK_MONOTONIC. */
struct berth_dns_name_status {
	uint64_t last_success_ms; /* 0: none since berthd started */
	uint64_t next_query_ms;
	bool is_querying;
	uint64_t queries;
	uint64_t failures;
	char error[BERTH_DNS_ERROR_BYTES]; /* of the last query; "": none */
};

/* `helper` (helper/helper.h) makes the lookups; NULL: this process does. Reads `state` for the answers before; the
 * `changed` function may modify it. NULL: out of memory. */
struct berth_dns_resolver *berth_dns_resolver_new(struct event_base *base, struct berth_helper *helper,
						  const struct berth_dns_state *state,
						  berth_dns_changed_fn *changed, void *arg);
void berth_dns_resolver_free(struct berth_dns_resolver *resolver);

/* Adds the names of a configuration, and queries none yet. Returns 0, or -ENOMEM with nothing changed. */
int berth_dns_resolver_stage(struct berth_dns_resolver *resolver, const struct berth_config *config);
/* Replaces the set of names by the staged one; queries new names at once. */
void berth_dns_resolver_commit(struct berth_dns_resolver *resolver, const struct berth_config *config);
void berth_dns_resolver_drop(struct berth_dns_resolver *resolver);
/* Stage and commit in one. Replaces the set of names by those of a configuration; queries new names at once.
 * Returns 0 or -ENOMEM. */
int berth_dns_resolver_update(struct berth_dns_resolver *resolver, const struct berth_config *config);
/* Returns false if the name is not found. */
bool berth_dns_resolver_get(const struct berth_dns_resolver *resolver, const char *name,
			    struct berth_dns_name_status *status);
