// SPDX-License-Identifier: BSD-3-Clause
#include "tests/soak/oracle/map.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SMALLEST = 1 << 16,
};

static uint8_t *new_records(uint32_t n, uint32_t bytes)
{
	uint8_t *records = calloc(n, bytes);
	if (!records) {
		fprintf(stderr, "oracle: no memory for %u records\n", n);
		exit(1);
	}
	return records;
}

void oracle_map_init(struct oracle_map *map, uint32_t bytes, bool (*is_over)(const void *, const void *),
		     const void *arg)
{
	*map = (struct oracle_map){
		.records = new_records(SMALLEST, bytes),
		.bytes = bytes,
		.mask = SMALLEST - 1,
		.is_over = is_over,
		.arg = arg,
	};
}

void oracle_map_clear(struct oracle_map *map)
{
	free(map->records);
	map->records = NULL;
}

static uint32_t home_of(const struct oracle_map *map, const struct oracle_key *key)
{
	const uint64_t *word = (const uint64_t *)(const void *)key;
	uint64_t mix = word[0] * UINT64_C(0x9e3779b97f4a7c15) ^ word[1] * UINT64_C(0xc2b2ae3d27d4eb4f) ^
		       word[2] * UINT64_C(0x165667b19e3779f9);
	mix = (mix ^ mix >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return (uint32_t)(mix >> 32) & map->mask;
}

static struct oracle_key *record_at(const struct oracle_map *map, uint32_t at)
{
	return (struct oracle_key *)(void *)(map->records + (size_t)at * map->bytes);
}

/* The record of a key, or the free record for it. */
static struct oracle_key *place_of(const struct oracle_map *map, const struct oracle_key *key)
{
	uint32_t at = home_of(map, key);
	struct oracle_key *record = record_at(map, at);
	while (record->service && memcmp(record, key, sizeof(*key)) != 0) {
		at = (at + 1) & map->mask;
		record = record_at(map, at);
	}
	return record;
}

void *oracle_map_find(const struct oracle_map *map, const struct oracle_key *key)
{
	struct oracle_key *record = place_of(map, key);
	return record->service ? record : NULL;
}

/* Copies the live records to a new array, which is larger if needed. */
static void rebuild(struct oracle_map *map)
{
	const struct oracle_map old = *map;
	uint32_t left = 0;
	for (void *record = oracle_map_next(&old, NULL); record; record = oracle_map_next(&old, record))
		left += !old.is_over(old.arg, record);
	while (left > map->mask / 2)
		map->mask = map->mask * 2 + 1;
	map->records = new_records(map->mask + 1, map->bytes);
	map->used = left;
	for (void *record = oracle_map_next(&old, NULL); record; record = oracle_map_next(&old, record)) {
		if (!old.is_over(old.arg, record))
			memcpy(place_of(map, record), record, map->bytes);
	}
	free(old.records);
}

void *oracle_map_get(struct oracle_map *map, const struct oracle_key *key)
{
	struct oracle_key *record = place_of(map, key);
	if (record->service)
		return record;
	if (map->used > map->mask - map->mask / 4) {
		rebuild(map);
		record = place_of(map, key);
	}
	map->used++;
	*record = *key;
	return record;
}

void *oracle_map_next(const struct oracle_map *map, const void *record)
{
	uint32_t at = record ? (uint32_t)(((const uint8_t *)record - map->records) / map->bytes) + 1 : 0;
	for (; at <= map->mask; at++) {
		if (record_at(map, at)->service)
			return record_at(map, at);
	}
	return NULL;
}
