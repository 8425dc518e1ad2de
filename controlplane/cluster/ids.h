/* SPDX-License-Identifier: BSD-3-Clause */
/* This node's numbers of services and backends by their ids, which all nodes have. Of one generation. One thread.
 */
#pragma once

#include "dataplane/core/image.h"

struct berth_id_number {
	uint64_t id;
	uint32_t number;
};

struct berth_id_numbers {
	struct berth_id_number *all; /* sorted by id */
	uint32_t n;
};

struct berth_ids {
	const struct berth_image *image;
	uint64_t generation;
	struct berth_id_numbers services;
	struct berth_id_numbers backends;
	uint64_t digest; /* of all ids, in any order */
};

/* Of the current generation. Without memory no service is known until the next call. */
void berth_ids_read(struct berth_ids *numbers, const struct berth_image *image);
void berth_ids_free(struct berth_ids *numbers);
/* 0: not found. */
uint32_t berth_ids_service(const struct berth_ids *numbers, uint64_t id);
uint32_t berth_ids_backend(const struct berth_ids *numbers, uint64_t id);
