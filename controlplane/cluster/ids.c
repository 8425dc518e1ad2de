// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/cluster/ids.h"

#include <stdlib.h>

static int by_id(const void *a, const void *b)
{
	const struct berth_id_number *x = a, *y = b;
	return (x->id > y->id) - (x->id < y->id);
}

static uint32_t number_of(const struct berth_id_numbers *names, uint64_t id)
{
	const struct berth_id_number key = {.id = id};
	const struct berth_id_number *found = names->n ? bsearch(&key, names->all, names->n, sizeof(key), by_id)
						       : NULL;
	return found ? found->number : 0;
}

uint32_t berth_ids_service(const struct berth_ids *numbers, uint64_t id)
{
	return number_of(&numbers->services, id);
}

uint32_t berth_ids_backend(const struct berth_ids *numbers, uint64_t id)
{
	return number_of(&numbers->backends, id);
}

static bool set_room(struct berth_id_numbers *names, uint32_t n)
{
	struct berth_id_number *all = realloc(names->all, n * sizeof(*all));
	if (all)
		names->all = all;
	names->n = 0;
	return all;
}

/* Ids are hashes, so their sum differs if they do. */
static void add(struct berth_ids *numbers, struct berth_id_numbers *names, uint64_t id, uint32_t number)
{
	if (id)
		names->all[names->n++] = (struct berth_id_number){id, number};
	numbers->digest += id;
}

void berth_ids_read(struct berth_ids *numbers, const struct berth_image *image)
{
	const uint64_t generation = BERTH_LOAD(&image->ctl->generation);
	const struct berth_geometry *g = &image->geometry;
	if (numbers->image == image && numbers->generation == generation && numbers->services.n)
		return;
	if (!set_room(&numbers->services, g->services) || !set_room(&numbers->backends, g->backends))
		return;
	const struct berth_image_half half = berth_image_half(image, generation);
	numbers->digest = 0;
	for (uint32_t i = 1; i < g->services; i++)
		add(numbers, &numbers->services, half.services[i].id, i);
	for (uint32_t i = 1; i < g->backends; i++)
		add(numbers, &numbers->backends, half.backends[i].id, i);
	qsort(numbers->services.all, numbers->services.n, sizeof(struct berth_id_number), by_id);
	qsort(numbers->backends.all, numbers->backends.n, sizeof(struct berth_id_number), by_id);
	numbers->image = image;
	numbers->generation = generation;
}

void berth_ids_free(struct berth_ids *numbers)
{
	free(numbers->services.all);
	free(numbers->backends.all);
}
