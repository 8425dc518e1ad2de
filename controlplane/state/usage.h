/* SPDX-License-Identifier: BSD-3-Clause */
/* What services and backends carry, as everything that shows it tells: the workers' tallies, and the counts of the
 * last whole scan over the tables. */
#pragma once

#include "controlplane/daemon/daemon.h"

struct berth_usage {
	struct berth_tally tally; /* of a service: of all its backends; its `turn` means nothing */
	uint64_t flows;		  /* live, at the last count */
	uint64_t closing;	  /* flows that end */
	uint64_t sessions;
};

/* Sessions on a backend's server, of its service or group. */
uint64_t berth_usage_sessions(const struct berth_daemon *daemon, const struct berth_model_service *service,
			      const struct berth_model_backend *backend);
void berth_usage_backend(const struct berth_daemon *daemon, const struct berth_model_service *service,
			 const struct berth_model_backend *backend, struct berth_usage *carried);
/* Adds a backend's to its service's, which is zero before the first. */
void berth_usage_add(struct berth_usage *sum, const struct berth_usage *carried);
/* Whether a backend has nothing any more that it may keep. */
bool berth_is_drained(const struct berth_daemon *daemon, const struct berth_model_service *service,
		      const struct berth_model_backend *backend);
