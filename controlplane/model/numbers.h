/* SPDX-License-Identifier: BSD-3-Clause */
/* Which number of the engine's tables is whose. The model has one set for services and one for backends. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Which numbers are taken, by whom: id 0 is nobody. A number that was given back waits `leaving` whole walks
 * before it is given again, so that by then no word of the tables holds it.
 */
struct berth_numbers {
	uint64_t *id; /* by number */
	uint8_t *leaving;
	bool *used; /* by the configuration being applied */
	uint32_t size;
};

/* All free. -ENOMEM: to be freed all the same; so is a copy that fails. */
int berth_numbers_init(struct berth_numbers *numbers, uint32_t size);
void berth_numbers_free(struct berth_numbers *numbers);
int berth_numbers_copy(struct berth_numbers *to, const struct berth_numbers *from);

/* The number that `id` had, or a free one; 0: all are taken. `hint` makes n calls in order take O(n). */
uint32_t berth_numbers_take(struct berth_numbers *numbers, uint64_t id, uint32_t had, uint32_t *hint);
/* The number of `id`; 0: it has none. */
uint32_t berth_numbers_find(const struct berth_numbers *numbers, uint64_t id);
/* Gives back every number that is not used. */
void berth_numbers_give_back(struct berth_numbers *numbers);
/* A word holds this number: if it is nobody's, it waits as if it had been given back just now. */
void berth_numbers_hold(struct berth_numbers *numbers, uint32_t number);
/* A whole walk over the tables ended. */
void berth_numbers_scanned(struct berth_numbers *numbers);
