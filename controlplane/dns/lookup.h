/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Looks up the A and AAAA records of one name with c-ares on berthd's event loop. Each lookup opens its own sockets
 * and reads resolv.conf, so a new server list takes effect at once and each query has a new source port. A lookup
 * is bounded: two queries, `timeout` and then twice `timeout` per server, 64 KiB per answer.
 */
#pragma once

#include <event2/event.h>

#include "controlplane/dns/result.h"

struct berth_dns_lookup;

/* Called after each answered query; `ended` when both are. After `ended` the listener frees the lookup, which it
 * may do in the call. The lookup owns the results. */
typedef void berth_dns_lookup_fn(void *arg, const struct berth_dns_result results[BERTH_DNS_TYPES], bool ended);

/* NULL: out of memory or descriptors. */
struct berth_dns_lookup *berth_dns_lookup_new(struct event_base *base, const struct berth_dns_config *config,
					      const char *name, berth_dns_lookup_fn *on_results, void *arg);
/* Cancels a pending lookup; the listener is not called again. */
void berth_dns_lookup_free(struct berth_dns_lookup *lookup);
