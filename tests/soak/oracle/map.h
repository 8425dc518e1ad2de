/* SPDX-License-Identifier: BSD-3-Clause */
/* A hash map with open addressing; records begin with their key. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct oracle_key {
	uint64_t client[2];
	uint16_t service; /* 1 and up; 0: the record is free */
	uint16_t sport;
	uint16_t dport;
	uint16_t is6;
};
_Static_assert(sizeof(struct oracle_key) == 24, "hashed as three words");

struct oracle_map {
	uint8_t *records;
	uint32_t bytes; /* of a record */
	uint32_t mask;
	uint32_t used;
	bool (*is_over)(const void *arg, const void *record); /* true: the record may be removed */
	const void *arg;
};

/* Exits if memory is exhausted. */
void oracle_map_init(struct oracle_map *map, uint32_t bytes, bool (*is_over)(const void *, const void *),
		     const void *arg);
void oracle_map_clear(struct oracle_map *map);

/* The record of a key, or NULL. */
void *oracle_map_find(const struct oracle_map *map, const struct oracle_key *key);
/* The record of a key; a new one is zero except for its key. May remove records for which is_over() is true, and
 * move all records. */
void *oracle_map_get(struct oracle_map *map, const struct oracle_key *key);
/* The next record after `record` (NULL: the first), or NULL. */
void *oracle_map_next(const struct oracle_map *map, const void *record);
