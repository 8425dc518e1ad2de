/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One name's A and AAAA records, asked for by c-ares on berthd's event loop. Each lookup has its own sockets and
 * reads the system's resolv.conf anew: new servers are used at once, and the port that an answer must be sent to is
 * another one each time. What it takes is bounded: two questions, `timeout` and twice as long for each server, 64
 * KiB each.
 */
#pragma once

#include <event2/event.h>

#include "controlplane/dns/result.h"

struct berth_dns_lookup;

/* Told for each type that is answered, and when all is; then, too, it is for the listener to free it, which it may
 * do here. The results are the lookup's. */
typedef void berth_dns_lookup_fn(void *arg, const struct berth_dns_result results[BERTH_DNS_TYPES], bool ended);

/* NULL: no memory, or no descriptors. */
struct berth_dns_lookup *berth_dns_lookup_new(struct event_base *base, const struct berth_dns_config *config,
					      const char *name, berth_dns_lookup_fn *told, void *arg);
/* Nothing is told any more. */
void berth_dns_lookup_free(struct berth_dns_lookup *lookup);
