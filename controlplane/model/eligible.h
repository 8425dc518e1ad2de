/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Why backends of a service are not eligible for new clients: for the log, `show services` and the doctor. What
 * "eligible" means is in berth_model_eligibility (model.h). Pure.
 */
#pragma once

#include "controlplane/model/model.h"

enum {
	BERTH_INELIGIBLE_TEXT = 160
};

/* Backends of a service: the eligible ones, and the others by the first reason that applies. */
struct berth_eligible_count {
	size_t n;
	size_t eligible;
	size_t withdrawn; /* disabled, draining or of weight 0 */
	size_t unknown;	  /* not checked yet */
	size_t down;
	size_t without_next_hop;
	size_t full; /* at max-flows */
};

void berth_eligible_count(const struct berth_model_service *service, struct berth_eligible_count *count);
/* "2 down, 1 without a next hop"; no backends: "it has no backends". */
void berth_eligible_explain(const struct berth_eligible_count *count, char text[BERTH_INELIGIBLE_TEXT]);
/* The same without numbers, so that one cause gives many services one text: "down or without a next hop". */
void berth_eligible_summarize(const struct berth_eligible_count *count, char text[BERTH_INELIGIBLE_TEXT]);
/* Follows whether the service has an eligible backend. True: its alarm began or ended (service->no_eligible). A
 * service that has had none yet has no alarm until its backends are checked and `is_settled`: next hops and DNS
 * names have had time. */
bool berth_eligible_update(struct berth_model_service *service, bool is_settled);
