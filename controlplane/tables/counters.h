/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Counters of an image, summed over its workers. Each sum only grows while the image lives. Workers write the
 * counters; berthd reads them at any time.
 */
#pragma once

#include "dataplane/core/image.h"

struct berth_totals {
	uint64_t received;
	uint64_t verdict[BERTH_VERDICT_COUNT];
	uint64_t event[BERTH_EVENT_COUNT];
};

/* The names and help texts of verdict.h. */
const char *berth_verdict_name(enum berth_verdict verdict);
const char *berth_verdict_help(enum berth_verdict verdict);
const char *berth_class_name(enum berth_class class); /* "forward", ... */
const char *berth_event_name(enum berth_event event);

void berth_counters_totals(const struct berth_image *image, struct berth_totals *totals);
/* `backend` and `service` are numbers, as in table words. */
void berth_counters_backend(const struct berth_image *image, uint32_t backend, struct berth_tally *tally);
/* New flows of a backend since its number was assigned. */
uint64_t berth_counters_new_flows(const struct berth_image *image, uint32_t backend);
/* Packets of a service that were forwarded to no backend. */
void berth_counters_service(const struct berth_image *image, uint32_t service, struct berth_tally *tally);

struct berth_model;
/* Adds the counters of one image to another, which no worker uses; of services and backends, as far as the model
 * has them. */
void berth_counters_copy(const struct berth_image *to, const struct berth_image *from,
			 const struct berth_model *model);
/* Clears the counters of numbers that the model assigned to another service or backend. Called after an apply and
 * before its publication, when no worker uses such a number. */
void berth_counters_clear_new(const struct berth_image *image, const struct berth_model *model);
