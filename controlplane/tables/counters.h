/* SPDX-License-Identifier: BSD-3-Clause */
/* Sums over the workers of an image. Readers see each counter grow, never shrink, while an image lives. */
#pragma once

#include "dataplane/core/image.h"

struct berth_totals {
	uint64_t received;
	uint64_t verdict[BERTH_VERDICT_COUNT];
	uint64_t event[BERTH_EVENT_COUNT];
};

/* As in verdict.h. */
const char *berth_verdict_name(enum berth_verdict verdict);
const char *berth_verdict_help(enum berth_verdict verdict);
const char *berth_class_name(enum berth_class class); /* "forward", ... */
const char *berth_event_name(enum berth_event event);

void berth_counters_totals(const struct berth_image *image, struct berth_totals *totals);
void berth_counters_backend(const struct berth_image *image, uint32_t backend, struct berth_tally *tally);
/* Packets of the service that no backend got. */
void berth_counters_service(const struct berth_image *image, uint32_t service, struct berth_tally *tally);

struct berth_model;
/* After an apply, before it is published: a number that is somebody else's from now on counts from zero; no worker
 * knows it yet. */
void berth_counters_clear_new(const struct berth_image *image, const struct berth_model *model);
