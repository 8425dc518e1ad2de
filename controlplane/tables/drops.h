/* SPDX-License-Identifier: BSD-3-Clause */
/* What the workers keep of dropped packets (core/drops.h), of all workers together. */
#pragma once

#include "dataplane/core/image.h"

/* The packets of a service that were dropped for one reason. */
struct berth_drop_reason {
	uint64_t packets;  /* 0: none */
	uint64_t since_ns; /* CLOCK_MONOTONIC: when counting began */
	uint32_t n;
	struct berth_drop_sample sample[BERTH_DROP_SAMPLES]; /* the newest of them first */
};

/* Reads those of a service, by its id. Workers may write meanwhile. */
void berth_drops_read(const struct berth_image *image, uint64_t service,
		      struct berth_drop_reason reasons[BERTH_VERDICT_COUNT]);
