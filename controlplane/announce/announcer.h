/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keeps a route to each service address in a kernel table of berth's own while the service is ready. Routing
 * daemons export the table. A route that another program removes is added again. Routes that a former berthd left
 * are used if their service is still announced, and removed if not.
 *
 * A route is of an address, and several services may have it. It stands while one of them is ready: if it went with
 * the first service that fails, the failure of one service would take down the others, on all nodes at once.
 */
#pragma once

#include "controlplane/announce/ready.h"

struct berth_announcer;
struct event_base;

/* NULL: out of memory. Does nothing before the first configure. */
struct berth_announcer *berth_announcer_new(struct event_base *base);
/* The routes stay. */
void berth_announcer_free(struct berth_announcer *announcer);

/* The model has another configuration: takes over its addresses and its table, and removes all other routes of
 * berth's. -ENOMEM: it keeps what it had. */
int berth_announcer_configure(struct berth_announcer *announcer, const struct berth_model *model);
/* Adds and removes routes as the node and the services are ready, and logs each. */
void berth_announcer_follow(struct berth_announcer *announcer, const struct berth_node *node,
			    const struct berth_model *model);

/* The kernel table; 0: none. */
uint32_t berth_announcer_table(const struct berth_announcer *announcer);
/* Whether a route stands. `announcer` may be NULL. */
bool berth_announcer_is_any(const struct berth_announcer *announcer);
/* Whether the route to this service's address stands. `announcer` may be NULL. */
bool berth_announcer_has(const struct berth_announcer *announcer, const struct berth_service_config *service);
/* Why the service is not announced although it is to be: one line. False: it is, or is not to be. */
bool berth_announcer_explain(const struct berth_announcer *announcer, const struct berth_node *node,
			     const struct berth_announce_config *config, const struct berth_model_service *service,
			     char reason[BERTH_ERROR_BYTES]);
