/* SPDX-License-Identifier: BSD-3-Clause */
/* A hash table from ids to values, for lists that are too long to be searched. Ids are hashes, and not 0. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct berth_id_map {
	struct berth_id_map_slot {
		uint64_t id; /* 0: free */
		uint64_t value;
	} * slots;   /* NULL: an empty map */
	size_t mask; /* slots - 1; a power of two slots */
};

/* An empty map for so many ids. -ENOMEM. */
int berth_id_map_init(struct berth_id_map *map, size_t n);
void berth_id_map_free(struct berth_id_map *map);
/* Adds an id, of at most as many as init was told. An id that the map has keeps its value. */
void berth_id_map_add(struct berth_id_map *map, uint64_t id, uint64_t value);
/* False: not found. */
bool berth_id_map_find(const struct berth_id_map *map, uint64_t id, uint64_t *value);
