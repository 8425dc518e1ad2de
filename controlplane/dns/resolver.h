/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Asks for each DNS name of a configuration, once however many backends have it, and again when its TTL has ended;
 * after failures later and later. On berthd's event loop, never waiting.
 */
#pragma once

#include <event2/event.h>

#include "controlplane/dns/result.h"
#include "controlplane/dns/state.h"
#include "controlplane/util/error.h"

struct berth_dns_resolver;

/* A name has other addresses now (sorted, each once, at least one). 0: they are known from now on; else the one
 * line in `error` says why they cannot be, and the name is asked for again later. */
typedef int berth_dns_changed_fn(void *arg, const char *name, const union berth_addr *addresses, size_t n,
				 char error[BERTH_ERROR_BYTES]);

struct berth_dns_name_status {
	uint64_t last_success_ms; /* when something good was answered last; 0: never since berthd is there */
	uint64_t next_query_ms;	  /* when it is asked for again */
	bool is_querying;
	uint64_t queries;
	uint64_t failures;
	char error[BERTH_DNS_ERROR_BYTES]; /* of the last answer; "": it was good */
};

/* `known` is looked at, and may be another one whenever something is told. NULL: no memory. */
struct berth_dns_resolver *berth_dns_resolver_new(struct event_base *base, const struct berth_dns_state *known,
						  berth_dns_changed_fn *changed, void *arg);
void berth_dns_resolver_free(struct berth_dns_resolver *resolver);

/* Asks for the names of this configuration from now on, and for no others; new ones soon. -ENOMEM. */
int berth_dns_resolver_update(struct berth_dns_resolver *resolver, const struct berth_config *config);
/* False: no such name. */
bool berth_dns_resolver_get(const struct berth_dns_resolver *resolver, const char *name,
			    struct berth_dns_name_status *status);
