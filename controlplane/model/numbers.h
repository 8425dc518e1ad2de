/* SPDX-License-Identifier: BSD-3-Clause */
/* Allocation of numbers in the engine's tables. The model has one set for services and one for backends. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Arrays by number; number 0 is not used. A released number is in quarantine for some whole scans of the tables,
 * until no word holds it.
 */
struct berth_numbers {
	uint64_t *id;	     /* the service or backend with this number; 0: none */
	uint8_t *quarantine; /* scans until the number is free; 0: it is free if its id is 0 */
	bool *used;	     /* by the configuration that is being applied */
	uint32_t size;
};

/* All numbers free. -ENOMEM, also from copy: free the set nevertheless. */
int berth_numbers_init(struct berth_numbers *numbers, uint32_t size);
void berth_numbers_free(struct berth_numbers *numbers);
/* Copies all but `used`, as far as a set of this size has room. */
int berth_numbers_copy(struct berth_numbers *to, const struct berth_numbers *from, uint32_t size);

/* Marks as used the number that `id` has, `had`, or a free one if `had` is 0 or the set is too small for it. 0: no
 * number is free. `hint`, 1 at
 * first, makes n calls O(n + size). */
uint32_t berth_numbers_allocate(struct berth_numbers *numbers, uint64_t id, uint32_t had, uint32_t *hint);
/* The first number behind the last one in quarantine; 0: none is. */
uint32_t berth_numbers_quarantine_end(const struct berth_numbers *numbers);
/* Releases every number that is not used, into quarantine. */
void berth_numbers_release_unused(struct berth_numbers *numbers);
/* A word of the tables holds this number: if it has no id, it is put into quarantine. */
void berth_numbers_quarantine(struct berth_numbers *numbers, uint32_t number);
/* A whole scan of the tables ended. */
void berth_numbers_scan_ended(struct berth_numbers *numbers);
