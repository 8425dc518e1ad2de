// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/engine/dpdk_stores.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/util/log.h"

/* Path of a store in directory number `i`. */
static void make_path(const char *instance, const struct berth_store *store, int i,
		      char path[BERTH_STORE_PATH_BYTES])
{
	char image[BERTH_STORE_PATH_BYTES];
	snprintf(image, sizeof(image), "%s/%s.image", berth_dpdk_directory(i), instance);
	berth_store_path(image, store, 0, path);
}

static int map_existing(struct berth_dpdk_file *file, const char *instance, const struct berth_store *store)
{
	*file = (struct berth_dpdk_file){.fd = -1};
	for (int i = 0; i < BERTH_DPDK_DIRS; i++) {
		char path[BERTH_STORE_PATH_BYTES], reason[BERTH_ERROR_BYTES] = "";
		make_path(instance, store, i, path);
		if (berth_dpdk_file_map(file, path, berth_store_bytes(store), reason) == 0)
			return 0;
		if (reason[0])
			berth_log("%s is not used: %s", path, reason);
	}
	return -ENOENT;
}

static int create(struct berth_dpdk_file *file, const char *instance, const struct berth_store *store,
		  char error[BERTH_ERROR_BYTES])
{
	char path[BERTH_STORE_PATH_BYTES] = "";
	int err = -ENOMEM;
	for (int i = 0; i < BERTH_DPDK_DIRS; i++) {
		if (!berth_dpdk_directory_make(i, error))
			continue;
		make_path(instance, store, i, path);
		err = berth_dpdk_file_create(file, path, berth_store_bytes(store));
		if (err)
			continue;
		return 0;
	}
	if (path[0])
		snprintf(error, BERTH_ERROR_BYTES, "cannot create tables of %.1f MiB in %s: %s; lower limits.%s",
			 (double)file->bytes / (1 << 20), path, strerror(-err),
			 store->name[0] == 'f' ? "flows" : "sessions");
	return err;
}

/* The mapping is all that is needed. */
static void close_descriptor(struct berth_dpdk_file *file)
{
	close(file->fd);
	file->fd = -1;
}

int berth_dpdk_stores_open(struct berth_dpdk_stores *stores, const char *instance,
			   const struct berth_store_sizes *sizes, struct berth_image *image,
			   char error[BERTH_ERROR_BYTES])
{
	struct berth_store list[BERTH_STORES];
	int err = 0;
	berth_stores_list(image, sizes, list);
	for (int i = 0; !err && i < BERTH_STORES; i++) {
		if (!list[i].count)
			continue;
		err = map_existing(&stores->file[i], instance, &list[i]);
		if (err)
			err = create(&stores->file[i], instance, &list[i], error);
		if (!err)
			close_descriptor(&stores->file[i]);
		*list[i].memory = stores->file[i].memory;
	}
	return err;
}

void berth_dpdk_stores_close(struct berth_dpdk_stores *stores)
{
	for (int i = 0; i < BERTH_STORES; i++)
		if (stores->file[i].memory)
			berth_dpdk_file_close(&stores->file[i]);
}

/* Whether a file of the directory is a store of the instance. */
static bool is_store(const char *name, const char *instance)
{
	static const char *const names[] = {".image.flows-", ".image.sessions-", ".image.clients-"};
	const size_t length = strlen(instance);
	bool found = false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		found |= strncmp(name, instance, length) == 0 &&
			 strncmp(name + length, names[i], strlen(names[i])) == 0;
	return found;
}

static bool is_listed(const char *path, const char *instance, const struct berth_store list[BERTH_STORES])
{
	for (int i = 0; i < BERTH_STORES * BERTH_DPDK_DIRS; i++) {
		const struct berth_store *store = &list[i / BERTH_DPDK_DIRS];
		char used[BERTH_STORE_PATH_BYTES];
		make_path(instance, store, i % BERTH_DPDK_DIRS, used);
		if (store->count && strcmp(used, path) == 0)
			return true;
	}
	return false;
}

void berth_dpdk_stores_remove(const char *instance, const struct berth_store_sizes *sizes)
{
	const struct berth_store_sizes none = {0};
	struct berth_image image;
	struct berth_store list[BERTH_STORES];
	berth_stores_list(&image, sizes ? sizes : &none, list);
	for (int i = 0; i < BERTH_DPDK_DIRS; i++) {
		DIR *dir = opendir(berth_dpdk_directory(i));
		if (!dir)
			continue;
		for (struct dirent *entry; (entry = readdir(dir));) {
			char path[BERTH_STORE_PATH_BYTES];
			snprintf(path, sizeof(path), "%s/%s", berth_dpdk_directory(i), entry->d_name);
			if (is_store(entry->d_name, instance) && !is_listed(path, instance, list))
				berth_dpdk_file_remove(path);
		}
		closedir(dir);
	}
}

int berth_dpdk_stores_map(const char *instance, const struct berth_store_sizes *sizes,
			  struct berth_mapped_stores *mapped)
{
	struct berth_store list[BERTH_STORES];
	int err = 0;
	berth_stores_list(&mapped->image, sizes, list);
	for (int i = 0; !err && i < BERTH_STORES; i++) {
		struct berth_dpdk_file file;
		if (!list[i].count)
			continue;
		err = map_existing(&file, instance, &list[i]);
		if (err)
			continue;
		close(file.fd);
		*list[i].memory = mapped->mapped[i].memory = file.memory;
		mapped->mapped[i].bytes = file.bytes;
	}
	if (err)
		berth_mapped_stores_close(mapped);
	return err;
}
