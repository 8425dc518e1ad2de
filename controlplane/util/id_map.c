// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/util/id_map.h"

#include <errno.h>
#include <stdlib.h>

int berth_id_map_init(struct berth_id_map *map, size_t n)
{
	size_t slots = 8;
	while (slots < 2 * n)
		slots *= 2;
	*map = (struct berth_id_map){.slots = calloc(slots, sizeof(*map->slots)), .mask = slots - 1};
	return map->slots ? 0 : -ENOMEM;
}

void berth_id_map_free(struct berth_id_map *map)
{
	free(map->slots);
	*map = (struct berth_id_map){0};
}

/* The slot of an id, or the free one where it belongs. At most half of the slots are in use. */
static struct berth_id_map_slot *slot_of(const struct berth_id_map *map, uint64_t id)
{
	size_t at = (size_t)id & map->mask;
	while (map->slots[at].id && map->slots[at].id != id)
		at = (at + 1) & map->mask;
	return &map->slots[at];
}

void berth_id_map_add(struct berth_id_map *map, uint64_t id, uint64_t value)
{
	struct berth_id_map_slot *slot = slot_of(map, id);
	if (!slot->id)
		*slot = (struct berth_id_map_slot){id, value};
}

bool berth_id_map_find(const struct berth_id_map *map, uint64_t id, uint64_t *value)
{
	const struct berth_id_map_slot *slot = map->slots && id ? slot_of(map, id) : NULL;
	if (!slot || !slot->id)
		return false;
	*value = slot->value;
	return true;
}
