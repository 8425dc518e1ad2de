/* SPDX-License-Identifier: BSD-3-Clause */
/* What a plan counts in the words of the tables. plan.c calls it. */
#pragma once

/* First: how the image is read. */
#include "dataplane/core/image.h"

#include "controlplane/tables/plan_result.h"

struct berth_plan_words {
	struct berth_view before;
	struct berth_view after;
	struct berth_plan_backend **by_number;
	uint32_t n_numbers;  /* of backends */
	uint32_t *selecting; /* by service number: the service that selects for its sessions */
};

/* Adds the words of `n` buckets to the entries of their backends. */
void berth_plan_count_flows(const struct berth_plan_words *words, const struct berth_bucket *flows, uint32_t n);
void berth_plan_count_sessions(const struct berth_plan_words *words, const struct berth_bucket *sessions,
			       const struct berth_client *clients, uint32_t n);
