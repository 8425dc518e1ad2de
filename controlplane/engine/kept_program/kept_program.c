// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/engine/kept_program/kept_program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "controlplane/engine/object.h"
#include "controlplane/util/file.h"
#include "controlplane/util/log.h"

#define PREFIX "program-"

enum {
	MOST_MAPS = 64, /* of a program, as the kernel has it */
	SIZES = 16,
};

/* Which map of the object gets which descriptor. */
struct found {
	struct bpf_map *map[MOST_MAPS];
	int fd[MOST_MAPS];
	int n;
};

void berth_kept_program_name(const struct berth_geometry *geometry, const struct berth_store stores[BERTH_STORES],
			     char name[BERTH_KEPT_PROGRAM_NAME])
{
	uint64_t sizes[SIZES] = {0};
	char path[512], error[BERTH_ERROR_BYTES], *bytes = NULL;
	size_t length = 0;
	name[0] = '\0';
	_Static_assert((int)BERTH_STORES <= (int)SIZES, "room for all");
	if (!berth_object_path("berth_xdp.bpf.o", path, sizeof(path), error))
		bytes = berth_file_read(path, &length);
	if (!bytes)
		return;
	for (int i = 0; i < BERTH_STORES; i++)
		sizes[i] = stores[i].count;
	uint64_t digest = XXH64(bytes, length, 0);
	free(bytes);
	digest = XXH64(geometry, sizeof(*geometry), digest);
	digest = XXH64(sizes, sizeof(sizes), digest);
	snprintf(name, BERTH_KEPT_PROGRAM_NAME, PREFIX "%016" PRIx64, digest);
}

static void pin_path(const char *dir, const char *name, char path[512])
{
	snprintf(path, 512, "%s/%s", dir, name);
}

/* 0: it cannot be read. */
static uint32_t id_of(int fd)
{
	struct bpf_map_info info = {0};
	uint32_t bytes = sizeof(info);
	return fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &bytes) == 0 ? info.id : 0;
}

static bool has_map(const struct bpf_object *object, uint32_t id)
{
	const struct bpf_map *map;
	bpf_object__for_each_map(map, object)
	{
		if (id_of(bpf_map__fd(map)) == id)
			return true;
	}
	return false;
}

static bool is_found(const struct found *found, const struct bpf_map *map)
{
	for (int i = 0; i < found->n; i++)
		if (found->map[i] == map)
			return true;
	return false;
}

/* The map of the object for which the program has this one of its own. The kernel cuts names. */
static struct bpf_map *map_for(const struct bpf_object *object, const struct found *found,
			       const struct bpf_map_info *info)
{
	struct bpf_map *map;
	bpf_object__for_each_map(map, object)
	{
		if (bpf_map__fd(map) < 0 && !bpf_map__is_internal(map) && !is_found(found, map) &&
		    strncmp(bpf_map__name(map), info->name, sizeof(info->name) - 1) == 0 &&
		    (uint32_t)bpf_map__type(map) == info->type && bpf_map__value_size(map) == info->value_size &&
		    (!bpf_map__max_entries(map) || bpf_map__max_entries(map) == info->max_entries))
			return map;
	}
	return NULL;
}

static bool add(struct found *found, struct bpf_map *map, int fd)
{
	if (fd < 0)
		return false;
	if (!map || found->n == MOST_MAPS) {
		close(fd);
		return false;
	}
	found->map[found->n] = map;
	found->fd[found->n++] = fd;
	return true;
}

/* A map of the program is one that the object has, or one of its own. */
static bool find_map(const struct bpf_object *object, uint32_t id, struct found *found)
{
	struct bpf_map_info info = {0};
	uint32_t bytes = sizeof(info);
	if (has_map(object, id))
		return true;
	const int fd = bpf_map_get_fd_by_id(id);
	if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &bytes)) {
		close(fd);
		return false;
	}
	return add(found, map_for(object, found, &info), fd);
}

/* Whether the map of the program's timer is still pinned. If another one was pinned in its place, the kernel has
 * ended the timer. */
static bool has_timer(const char *dir, const uint32_t *ids, uint32_t n)
{
	char path[512];
	pin_path(dir, "sweeper", path);
	const int fd = bpf_obj_get(path);
	const uint32_t id = id_of(fd);
	bool has = false;
	for (uint32_t i = 0; i < n; i++)
		has |= id && ids[i] == id;
	if (fd >= 0)
		close(fd);
	return has;
}

/* All maps of the program; the object has no others. */
static bool find_maps(const char *dir, int program, const struct bpf_object *object, struct found *found)
{
	uint32_t ids[MOST_MAPS];
	struct bpf_prog_info info = {.nr_map_ids = MOST_MAPS, .map_ids = (uintptr_t)ids};
	uint32_t bytes = sizeof(info);
	struct bpf_map *map;
	bool all = bpf_obj_get_info_by_fd(program, &info, &bytes) == 0 && info.nr_map_ids <= MOST_MAPS &&
		   has_timer(dir, ids, info.nr_map_ids);
	for (uint32_t i = 0; all && i < info.nr_map_ids; i++)
		all = find_map(object, ids[i], found);
	bpf_object__for_each_map(map, object)
	{
		all = all && (bpf_map__fd(map) >= 0 || is_found(found, map));
	}
	return all;
}

int berth_kept_program_open(const char *dir, const char *name, const struct bpf_object *object)
{
	struct found found = {.n = 0};
	char path[512];
	pin_path(dir, name, path);
	int program = bpf_obj_get(path);
	if (program < 0)
		return -1;
	bool all = find_maps(dir, program, object, &found);
	for (int i = 0; i < found.n; i++) {
		all = all && bpf_map__reuse_fd(found.map[i], found.fd[i]) == 0;
		close(found.fd[i]);
	}
	if (all)
		return program;
	close(program);
	return -1;
}

void berth_kept_program_pin(const char *dir, const char *name, int program, int sweeper)
{
	char path[512];
	pin_path(dir, name, path);
	berth_kept_program_unpin(dir);
	if (bpf_prog_bind_map(program, sweeper, NULL) || bpf_obj_pin(program, path))
		berth_log("cannot pin %s; the next berthd loads the program again", path);
}

void berth_kept_program_unpin(const char *dir)
{
	DIR *opened = opendir(dir);
	for (struct dirent *entry; opened && (entry = readdir(opened));)
		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0)
			unlinkat(dirfd(opened), entry->d_name, 0);
	if (opened)
		closedir(opened);
}
