/* SPDX-License-Identifier: BSD-3-Clause */
/* Usage of services and backends: the workers' tallies, and what the last whole scan of the tables counted. */
#pragma once

#include "controlplane/model/model.h"
#include "controlplane/tables/scan.h"

struct berth_usage {
	struct berth_tally tally; /* of a service: the sum over its backends; `turn` is not set */
	uint64_t flows;		  /* live */
	uint64_t closing;	  /* flows with a FIN or RST seen */
	uint64_t sessions;
	uint64_t exception_flows; /* exception.h */
	uint64_t exception_sessions;
};

/* Sessions on a backend; in an group those of the whole group on its server. */
uint64_t berth_usage_sessions(const struct berth_scan *scan, const struct berth_model_backend *backend);
void berth_usage_backend(const struct berth_scan *scan, const struct berth_model_backend *backend,
			 struct berth_usage *usage);
/* Adds a backend's usage to a sum. */
void berth_usage_add(struct berth_usage *sum, const struct berth_usage *usage);
/* Whether no flow is left on a backend, and no session either, unless it may keep its sessions. */
bool berth_usage_is_drained(const struct berth_scan *scan, const struct berth_model *model,
			    const struct berth_model_backend *backend);
