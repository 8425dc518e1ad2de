// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/engine/xdp_image.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "controlplane/engine/object.h"
#include "controlplane/util/log.h"
#include "controlplane/util/private_dir.h"

#define BPFFS "/sys/fs/bpf"

struct section {
	const char *name;
	uint64_t element;
	uint64_t count;
	void **memory; /* the image's pointer to it */
};

enum {
	SWEEP_ATTEMPTS = 100,
	SWEEP_RETRY_US = 1000,
};

enum {
#define X(name, type, count) SECTION_##name,
	BERTH_OWN_SECTIONS(X)
#undef X
	SECTION_COUNT,
};

/* The sections that begin anew with each image. */
static void list_sections(struct berth_image *image, const struct berth_geometry *g,
			  struct section sections[SECTION_COUNT])
{
#define X(field, type, how_many)                                                                                   \
	sections[SECTION_##field] = (struct section){                                                              \
		.name = #field,                                                                                    \
		.element = sizeof(type),                                                                           \
		.count = (how_many),                                                                               \
		.memory = (void **)(void *)&image->field,                                                          \
	};
	BERTH_OWN_SECTIONS(X)
#undef X
}

static uint64_t whole_pages(uint64_t bytes)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	return (bytes + page - 1) & ~(page - 1);
}

static uint64_t section_bytes(const struct section *section)
{
	return whole_pages(section->element * section->count);
}

void berth_xdp_image_dir(struct berth_xdp_image *pinned, const char *instance)
{
	snprintf(pinned->dir, sizeof(pinned->dir), BPFFS "/berth/%s", instance);
}

int berth_xdp_image_prepare(struct berth_xdp_image *pinned, const char *instance, char error[BERTH_ERROR_BYTES])
{
	struct statfs fs;
	if (statfs(BPFFS, &fs) || fs.f_type != BPF_FS_MAGIC) {
		if (mount("bpf", BPFFS, "bpf", 0, "mode=0700")) {
			snprintf(error, BERTH_ERROR_BYTES, "cannot mount bpffs at " BPFFS ": %s", strerror(errno));
			return -errno;
		}
	}
	snprintf(pinned->dir, sizeof(pinned->dir), BPFFS "/berth");
	int err = berth_private_dir_make(pinned->dir, error);
	if (err)
		return err;
	berth_xdp_image_dir(pinned, instance);
	return berth_private_dir_make(pinned->dir, error);
}

static void pin_path(const struct berth_xdp_image *pinned, const char *name, char path[512])
{
	snprintf(path, 512, "%s/%s", pinned->dir, name);
}

static void store_path(const char *dir, const struct berth_store *store, char path[512])
{
	snprintf(path, 512, "%s/%s-%u", dir, store->name, store->buckets);
}

/* The pinned map, if it is an array of this size; else -1. */
static int open_map(const char *path, uint64_t element, uint64_t count)
{
	struct bpf_map_info info = {0};
	uint32_t bytes = sizeof(info);
	int fd = bpf_obj_get(path);
	if (fd < 0)
		return -1;
	if (bpf_obj_get_info_by_fd(fd, &info, &bytes) == 0 && info.type == BPF_MAP_TYPE_ARRAY &&
	    info.value_size == element && info.max_entries == count)
		return fd;
	close(fd);
	return -1;
}

/* Makes the object use the pinned maps of the sections. False: one is not found or has another size. */
static bool reuse_sections(struct berth_xdp_image *pinned, const struct section *sections,
			   char reason[BERTH_ERROR_BYTES])
{
	int fds[SECTION_COUNT];
	int n = 0;
	for (; n < SECTION_COUNT; n++) {
		char path[512];
		pin_path(pinned, sections[n].name, path);
		fds[n] = open_map(path, sections[n].element, sections[n].count);
		if (fds[n] < 0)
			break;
	}
	bool all = n == SECTION_COUNT;
	if (!all)
		snprintf(reason, BERTH_ERROR_BYTES, "the limits were changed");
	for (int i = 0; i < n; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(pinned->object, sections[i].name);
		if (all && (!map || bpf_map__reuse_fd(map, fds[i])))
			all = false;
		close(fds[i]);
	}
	return all;
}

/* Makes the object use the pinned maps of the stores, as far as there are any. */
static void reuse_stores(const struct berth_xdp_image *pinned, const struct berth_store *stores)
{
	for (int i = 0; i < BERTH_STORES; i++) {
		char path[512];
		store_path(pinned->dir, &stores[i], path);
		int fd = stores[i].count ? open_map(path, stores[i].element, stores[i].count) : -1;
		if (fd < 0)
			continue;
		bpf_map__reuse_fd(pinned->stores[i], fd);
		close(fd);
	}
}

static int set_entries(const struct berth_xdp_image *pinned, const char *name, uint64_t count, const char *path,
		       char error[BERTH_ERROR_BYTES])
{
	struct bpf_map *map = bpf_object__find_map_by_name(pinned->object, name);
	/* A map has one element at least. */
	if (map && bpf_map__set_max_entries(map, count ? (uint32_t)count : 1) == 0)
		return 0;
	snprintf(error, BERTH_ERROR_BYTES, "%s is not of this version of berthd: it has no map %s; reinstall berth",
		 path, name);
	return -EINVAL;
}

static int open_object(struct berth_xdp_image *pinned, const struct section *sections,
		       const struct berth_store *stores, char error[BERTH_ERROR_BYTES])
{
	char path[512];
	int err = 0;
	if (berth_object_path("berth_xdp.bpf.o", path, sizeof(path), error))
		return -ENOENT;
	pinned->object = bpf_object__open_file(path, NULL);
	if (!pinned->object) {
		snprintf(error, BERTH_ERROR_BYTES, "cannot read %s: %s", path, strerror(errno));
		return -errno;
	}
	for (int i = 0; !err && i < SECTION_COUNT; i++)
		err = set_entries(pinned, sections[i].name, sections[i].count, path, error);
	for (int i = 0; !err && i < BERTH_STORES; i++) {
		err = set_entries(pinned, stores[i].section, stores[i].count, path, error);
		pinned->stores[i] = bpf_object__find_map_by_name(pinned->object, stores[i].section);
	}
	return err;
}

static int load_object(struct berth_xdp_image *pinned, char error[BERTH_ERROR_BYTES])
{
	int err = bpf_object__load(pinned->object);
	struct bpf_program *program = bpf_object__find_program_by_name(pinned->object, "berth_xdp");
	if (!err && program) {
		pinned->program = bpf_program__fd(program);
		return 0;
	}
	if (err == -EPERM)
		snprintf(error, BERTH_ERROR_BYTES, "no permission to load BPF programs; run as root");
	else if (err == -ENOMEM)
		snprintf(error, BERTH_ERROR_BYTES, "not enough memory for the tables; lower limits.flows");
	else
		snprintf(error, BERTH_ERROR_BYTES,
			 "the kernel rejects the XDP program: %s; berth is tested with Linux 6.1 and later",
			 strerror(-err));
	return err ? err : -EINVAL;
}

/* A former berthd's program, if it is the same and has the same maps. */
static int keep_or_load(struct berth_xdp_image *pinned, const struct berth_engine *engine,
			const struct berth_store *stores, char error[BERTH_ERROR_BYTES])
{
	berth_kept_program_name(&engine->image.geometry, stores, pinned->kept_name);
	if (engine->is_image_adopted && pinned->kept_name[0])
		pinned->program = berth_kept_program_open(pinned->dir, pinned->kept_name, pinned->object);
	pinned->is_kept = pinned->program > 0;
	return pinned->is_kept ? 0 : load_object(pinned, error);
}

static int map_array(const char *name, int fd, uint64_t bytes, void **memory, char error[BERTH_ERROR_BYTES])
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED) {
		snprintf(error, BERTH_ERROR_BYTES, "cannot map %s: %s", name, strerror(errno));
		return -errno;
	}
	*memory = at;
	return 0;
}

static int map_all(const struct berth_xdp_image *pinned, const struct section *sections,
		   const struct berth_store *stores, char error[BERTH_ERROR_BYTES])
{
	int err = 0;
	for (int i = 0; !err && i < SECTION_COUNT; i++)
		err = map_array(sections[i].name, bpf_object__find_map_fd_by_name(pinned->object, sections[i].name),
				section_bytes(&sections[i]), sections[i].memory, error);
	for (int i = 0; !err && i < BERTH_STORES; i++)
		if (stores[i].count)
			err = map_array(stores[i].section, bpf_map__fd(pinned->stores[i]),
					whole_pages(berth_store_bytes(&stores[i])), stores[i].memory, error);
	return err;
}

static void unmap(void **memory, uint64_t bytes)
{
	if (*memory)
		munmap(*memory, bytes);
	*memory = NULL;
}

static void unmap_all(struct berth_image *image)
{
	struct section sections[SECTION_COUNT];
	struct berth_store stores[BERTH_STORES];
	const struct berth_store_sizes sizes = {
		.flows = image->geometry.flow_buckets,
		.sessions = image->geometry.session_buckets,
		.former_flows = berth_former_buckets(image->former_flow_bits),
		.former_sessions = berth_former_buckets(image->former_session_bits),
	};
	list_sections(image, &image->geometry, sections);
	berth_stores_list(image, &sizes, stores);
	for (int i = 0; i < SECTION_COUNT; i++)
		unmap(sections[i].memory, section_bytes(&sections[i]));
	for (int i = 0; i < BERTH_STORES; i++)
		unmap(stores[i].memory, whole_pages(berth_store_bytes(&stores[i])));
}

static int pin_map(int fd, const char *path, char error[BERTH_ERROR_BYTES])
{
	unlink(path);
	if (bpf_obj_pin(fd, path) == 0)
		return 0;
	snprintf(error, BERTH_ERROR_BYTES, "cannot pin %s: %s", path, strerror(errno));
	return -errno;
}

static int pin_sections(const struct berth_xdp_image *pinned, const struct section *sections,
			char error[BERTH_ERROR_BYTES])
{
	int err = 0;
	for (int i = 0; !err && i < SECTION_COUNT; i++) {
		char path[512];
		pin_path(pinned, sections[i].name, path);
		err = pin_map(bpf_object__find_map_fd_by_name(pinned->object, sections[i].name), path, error);
	}
	return err;
}

/* Those that are new. */
static int pin_stores(const struct berth_xdp_image *pinned, const struct berth_store *stores,
		      char error[BERTH_ERROR_BYTES])
{
	int err = 0;
	for (int i = 0; !err && i < BERTH_STORES; i++) {
		char path[512];
		store_path(pinned->dir, &stores[i], path);
		if (stores[i].count && access(path, F_OK))
			err = pin_map(bpf_map__fd(pinned->stores[i]), path, error);
	}
	return err;
}

/* Removes the pins of stores that have another size. With `stores` NULL all. */
static void remove_stores(const char *path, const struct berth_store *stores)
{
	static const char *const prefixes[] = {"flows-", "sessions-", "clients-"};
	DIR *dir = opendir(path);
	if (!dir)
		return;
	for (struct dirent *entry; (entry = readdir(dir));) {
		bool is_store = false, is_used = false;
		for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
			is_store |= strncmp(entry->d_name, prefixes[i], strlen(prefixes[i])) == 0;
		for (int i = 0; stores && i < BERTH_STORES; i++) {
			char used[512];
			store_path(path, &stores[i], used);
			is_used |= stores[i].count && strcmp(used + strlen(path) + 1, entry->d_name) == 0;
		}
		if (is_store && !is_used)
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	closedir(dir);
}

/* The kernel's refusals are mostly of the moment: it allocates a timer without waiting for memory or locks. */
static int run_sweep_program(int program)
{
	uint8_t frame[64] = {0}; /* not read */
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame), .repeat = 1);
	int err = -EINVAL;
	for (int i = 0; i < SWEEP_ATTEMPTS && err; i++) {
		if (i)
			usleep(SWEEP_RETRY_US);
		err = bpf_prog_test_run_opts(program, &run);
		if (!err && run.retval != XDP_PASS)
			err = (int)run.retval < 0 ? (int)run.retval : -EINVAL;
	}
	return err;
}

/* Starts the timer that sweeps the tables without berthd, in a map of its own. The kernel ends that of the former
 * program with its map. That of a kept program runs, and its object is not loaded. */
static int start_sweeper(const struct berth_xdp_image *pinned, char error[BERTH_ERROR_BYTES])
{
	char path[512];
	const struct bpf_program *program = bpf_object__find_program_by_name(pinned->object, "berth_sweep");
	int map = bpf_object__find_map_fd_by_name(pinned->object, "sweeper");
	pin_path(pinned, "sweeper", path);
	berth_kept_program_unpin(pinned->dir);
	int err = program && map >= 0 ? pin_map(map, path, error) : -EINVAL;
	if (!err && !pinned->is_kept)
		err = run_sweep_program(bpf_program__fd(program));
	if (err)
		snprintf(error, BERTH_ERROR_BYTES, "cannot start the timer that sweeps the tables: %s",
			 strerror(-err));
	else if (pinned->kept_name[0])
		berth_kept_program_pin(pinned->dir, pinned->kept_name, pinned->program, map);
	return err;
}

/* One attempt: with the pinned maps of the sections if `adopt`, else with new ones. */
static int load_and_map(struct berth_xdp_image *pinned, struct berth_engine *engine, bool adopt,
			const struct section *sections, const struct berth_store *stores,
			char reason[BERTH_ERROR_BYTES], char error[BERTH_ERROR_BYTES])
{
	int err = open_object(pinned, sections, stores, error);
	if (err)
		return err;
	engine->is_image_adopted = adopt && reuse_sections(pinned, sections, reason);
	reuse_stores(pinned, stores);
	err = keep_or_load(pinned, engine, stores, error);
	return err ? err : map_all(pinned, sections, stores, error);
}

/* Loads the program with the pinned sections if they are compatible, else with new ones. */
static int load(struct berth_xdp_image *pinned, struct berth_engine *engine, const struct section *sections,
		const struct berth_store *stores, const struct berth_engine_paths *paths,
		char error[BERTH_ERROR_BYTES])
{
	char reason[BERTH_ERROR_BYTES] = ""; /* why pinned maps cannot be adopted */
	int err = load_and_map(pinned, engine, paths->has_stores && !paths->is_beside, sections, stores, reason,
			       error);
	if (!err && engine->is_image_adopted && !berth_image_is_compatible(&engine->image, paths->secret, reason)) {
		berth_xdp_image_close(pinned, engine);
		err = load_and_map(pinned, engine, false, sections, stores, reason, error);
	}
	if (!err && reason[0])
		berth_log("the program gets new maps (%s): flows and sessions stay, counters begin anew", reason);
	return err;
}

int berth_xdp_image_open(struct berth_xdp_image *pinned, struct berth_engine *engine,
			 const struct berth_geometry *geometry, const struct berth_engine_paths *paths,
			 char error[BERTH_ERROR_BYTES])
{
	const struct berth_store_sizes sizes = berth_record_sizes(paths->record);
	struct section sections[SECTION_COUNT];
	struct berth_store stores[BERTH_STORES];
	engine->image.geometry = *geometry;
	list_sections(&engine->image, geometry, sections);
	berth_stores_list(&engine->image, &sizes, stores);
	if (!paths->has_stores)
		remove_stores(pinned->dir, NULL);
	int err = load(pinned, engine, sections, stores, paths, error);
	if (!err)
		err = pin_stores(pinned, stores, error);
	if (err)
		return err;
	if (engine->is_image_adopted)
		return 0;
	if (berth_image_create(&engine->image, geometry, paths->secret)) {
		snprintf(error, BERTH_ERROR_BYTES, "cannot read random bytes");
		return -EIO;
	}
	return 0;
}

int berth_xdp_image_install(const struct berth_xdp_image *pinned, struct berth_engine *engine,
			    char error[BERTH_ERROR_BYTES])
{
	struct section sections[SECTION_COUNT];
	list_sections(&engine->image, &engine->image.geometry, sections);
	/* Those of another image were pinned in their place if its start failed. */
	if (engine->is_image_adopted && !engine->is_started)
		return pinned->is_kept ? 0 : start_sweeper(pinned, error);
	int err = pin_sections(pinned, sections, error);
	if (!err)
		berth_xdp_image_drop_former(pinned, engine->record);
	return err ? err : start_sweeper(pinned, error);
}

uint32_t berth_xdp_image_swept(const char *instance)
{
	struct berth_xdp_image pinned;
	struct bpf_map_info info = {0};
	union {
		struct berth_ctl ctl;
		uint8_t bytes[4096]; /* that of another version may be larger */
	} head = {0};
	uint32_t bytes = sizeof(info), key = 0;
	char path[512];
	berth_xdp_image_dir(&pinned, instance);
	pin_path(&pinned, "ctl", path);
	int fd = bpf_obj_get(path);
	if (fd < 0)
		return 0;
	int err = bpf_obj_get_info_by_fd(fd, &info, &bytes) || info.value_size > sizeof(head) ||
		  bpf_map_lookup_elem(fd, &key, &head);
	close(fd);
	return !err && head.ctl.magic == BERTH_MAGIC ? head.ctl.swept : 0;
}

void berth_xdp_image_drop_former(const struct berth_xdp_image *pinned, const struct berth_record *record)
{
	const struct berth_store_sizes sizes = berth_record_sizes(record);
	struct berth_image image = {0};
	struct berth_store stores[BERTH_STORES];
	berth_stores_list(&image, &sizes, stores);
	remove_stores(pinned->dir, stores);
}

int berth_xdp_image_map_stores(const char *instance, const struct berth_record *record,
			       struct berth_mapped_stores *mapped)
{
	const struct berth_store_sizes sizes = berth_record_sizes(record);
	struct berth_xdp_image pinned;
	struct berth_store stores[BERTH_STORES];
	int err = 0;
	berth_xdp_image_dir(&pinned, instance);
	berth_stores_list(&mapped->image, &sizes, stores);
	for (int i = 0; !err && i < BERTH_STORES; i++) {
		char path[512], error[BERTH_ERROR_BYTES];
		if (!stores[i].count)
			continue;
		store_path(pinned.dir, &stores[i], path);
		int fd = open_map(path, stores[i].element, stores[i].count);
		mapped->mapped[i].bytes = whole_pages(berth_store_bytes(&stores[i]));
		err = fd < 0 ? -ENOENT
			     : map_array(path, fd, mapped->mapped[i].bytes, &mapped->mapped[i].memory, error);
		*stores[i].memory = mapped->mapped[i].memory;
		if (fd >= 0)
			close(fd);
	}
	if (err)
		berth_mapped_stores_close(mapped);
	return err;
}

void berth_xdp_image_close(struct berth_xdp_image *pinned, struct berth_engine *engine)
{
	unmap_all(&engine->image);
	if (pinned->is_kept)
		close(pinned->program);
	pinned->is_kept = false;
	pinned->program = 0;
	bpf_object__close(pinned->object);
	pinned->object = NULL;
}
