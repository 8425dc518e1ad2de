/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether this node may take traffic: for `ready`, the listener of metrics, and the routes. Pure.
 *
 * The node is ready if no operator has drained it and its engine answers packets as configured; a service is if its
 * backends have been checked and enough of them are eligible. What "eligible" means is in model/model.h.
 */
#pragma once

#include "controlplane/model/model.h"

/* What is known of the node apart from its services. daemon/node.c keeps it up to date. */
struct berth_node {
	bool is_drained;	       /* by an operator */
	bool is_stopping;	       /* `shutdown`: the engine stops soon */
	bool is_starting;	       /* the engine runs, and has not been seen to answer since berthd's start */
	bool is_restarting;	       /* berthd restarts the engine, which stopped a moment ago */
	bool is_synchronising;	       /* it waits for what other nodes tell (cluster.sync-timeout) */
	uint64_t taken;		       /* packets that were forwarded or answered, so far */
	uint64_t taken_ms;	       /* when the last of them was seen, CLOCK_MONOTONIC */
	char fault[BERTH_ERROR_BYTES]; /* why packets that come in now are not answered as configured; "": they are
					*/
};

/* False with the reason, one line. */
bool berth_ready_node(const struct berth_node *node, char reason[BERTH_ERROR_BYTES]);
bool berth_ready_service(const struct berth_announce_config *config, const struct berth_model_service *service,
			 char reason[BERTH_ERROR_BYTES]);
/* Whether its first health checks are waited for. */
bool berth_ready_is_unknown(const struct berth_model_service *service);
/* How many eligible backends a service needs. At least 1: a share is of the backends that operators have not taken
 * out, so a drain for maintenance does not make the node unready. */
size_t berth_ready_minimum(const struct berth_announce_config *config, const struct berth_model_service *service);

/* Follows whether the backends have been checked once; `is_late`: the time for that is over. The number of backends
 * that are not waited for any longer. */
size_t berth_ready_follow(struct berth_model_service *service, bool is_late);

typedef void berth_ready_fn(void *arg, const char *reason);
/* Whether the node and its services are ready, else calls `fn` (may be NULL) with each reason. `only`: this service
 * alone; NULL: all that are announced. */
bool berth_ready_check(const struct berth_node *node, const struct berth_model *model,
		       const struct berth_model_service *only, berth_ready_fn *fn, void *arg);
