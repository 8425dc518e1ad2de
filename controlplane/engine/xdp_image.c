// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/engine/xdp_image.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
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
#define X(name, type, count) SECTION_##name,
	BERTH_SECTIONS(X)
#undef X
	SECTION_COUNT,
};

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
	BERTH_SECTIONS(X)
#undef X
}

static uint64_t section_bytes(const struct section *section)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	return (section->element * section->count + page - 1) & ~(page - 1);
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

/* Makes the object use the pinned maps. False, with a reason if there is one: a map is not found or has another
 * size. */
static bool reuse_maps(struct berth_xdp_image *pinned, const struct section *sections,
		       char reason[BERTH_ERROR_BYTES])
{
	int fds[SECTION_COUNT];
	int n = 0;
	for (; n < SECTION_COUNT; n++) {
		char path[512];
		struct bpf_map_info info = {0};
		uint32_t bytes = sizeof(info);
		pin_path(pinned, sections[n].name, path);
		fds[n] = bpf_obj_get(path);
		if (fds[n] < 0)
			break;
		if (bpf_obj_get_info_by_fd(fds[n], &info, &bytes) || info.type != BPF_MAP_TYPE_ARRAY ||
		    info.value_size != sections[n].element || info.max_entries != sections[n].count) {
			snprintf(reason, BERTH_ERROR_BYTES, "the limits were changed");
			close(fds[n]);
			break;
		}
	}
	bool all = n == SECTION_COUNT;
	for (int i = 0; i < n; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(pinned->object, sections[i].name);
		if (all && (!map || bpf_map__reuse_fd(map, fds[i])))
			all = false;
		close(fds[i]);
	}
	return all;
}

static int open_object(struct berth_xdp_image *pinned, const struct section *sections,
		       char error[BERTH_ERROR_BYTES])
{
	char path[512];
	if (berth_object_path("berth_xdp.bpf.o", path, sizeof(path), error))
		return -ENOENT;
	pinned->object = bpf_object__open_file(path, NULL);
	if (!pinned->object) {
		snprintf(error, BERTH_ERROR_BYTES, "cannot read %s: %s", path, strerror(errno));
		return -errno;
	}
	for (int i = 0; i < SECTION_COUNT; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(pinned->object, sections[i].name);
		if (!map || bpf_map__set_max_entries(map, (uint32_t)sections[i].count)) {
			snprintf(error, BERTH_ERROR_BYTES,
				 "%s is not of this version of berthd: it has no map %s; reinstall berth", path,
				 sections[i].name);
			return -EINVAL;
		}
	}
	return 0;
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

static int map_sections(const struct berth_xdp_image *pinned, const struct section *sections,
			char error[BERTH_ERROR_BYTES])
{
	for (int i = 0; i < SECTION_COUNT; i++) {
		int fd = bpf_object__find_map_fd_by_name(pinned->object, sections[i].name);
		void *memory = mmap(NULL, section_bytes(&sections[i]), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (memory == MAP_FAILED) {
			snprintf(error, BERTH_ERROR_BYTES, "cannot map %s: %s", sections[i].name, strerror(errno));
			return -errno;
		}
		*sections[i].memory = memory;
	}
	return 0;
}

static void unmap_sections(struct berth_image *image)
{
	struct section sections[SECTION_COUNT];
	list_sections(image, &image->geometry, sections);
	for (int i = 0; i < SECTION_COUNT; i++)
		if (*sections[i].memory) {
			munmap(*sections[i].memory, section_bytes(&sections[i]));
			*sections[i].memory = NULL;
		}
}

static int pin_maps(const struct berth_xdp_image *pinned, const struct section *sections,
		    char error[BERTH_ERROR_BYTES])
{
	for (int i = 0; i < SECTION_COUNT; i++) {
		char path[512];
		pin_path(pinned, sections[i].name, path);
		unlink(path);
		if (bpf_obj_pin(bpf_object__find_map_fd_by_name(pinned->object, sections[i].name), path)) {
			snprintf(error, BERTH_ERROR_BYTES, "cannot pin %s: %s", path, strerror(errno));
			return -errno;
		}
	}
	return 0;
}

/* One attempt: with the pinned maps if `adopt`, else with new ones. */
static int load_and_map(struct berth_xdp_image *pinned, struct berth_engine *engine, bool adopt,
			const struct section *sections, char reason[BERTH_ERROR_BYTES],
			char error[BERTH_ERROR_BYTES])
{
	int err = open_object(pinned, sections, error);
	if (err)
		return err;
	engine->adopted = adopt && reuse_maps(pinned, sections, reason);
	err = load_object(pinned, error);
	return err ? err : map_sections(pinned, sections, error);
}

int berth_xdp_image_open(struct berth_xdp_image *pinned, struct berth_engine *engine,
			 const struct berth_geometry *geometry, const uint8_t *secret,
			 char error[BERTH_ERROR_BYTES])
{
	struct section sections[SECTION_COUNT];
	char reason[BERTH_ERROR_BYTES] = ""; /* why pinned maps cannot be adopted */
	engine->image.geometry = *geometry;
	list_sections(&engine->image, geometry, sections);
	int err = load_and_map(pinned, engine, true, sections, reason, error);
	if (err)
		return err;
	if (engine->adopted) {
		if (berth_image_is_compatible(&engine->image, secret, reason))
			return 0;
		berth_xdp_image_close(pinned, engine);
		err = load_and_map(pinned, engine, false, sections, reason, error);
		if (err)
			return err;
	}
	if (reason[0])
		berth_log("the existing tables cannot be adopted (%s): flows and sessions are lost", reason);
	if (berth_image_create(&engine->image, geometry, secret)) {
		snprintf(error, BERTH_ERROR_BYTES, "cannot read random bytes");
		return -EIO;
	}
	return pin_maps(pinned, sections, error);
}

void berth_xdp_image_close(struct berth_xdp_image *pinned, struct berth_engine *engine)
{
	unmap_sections(&engine->image);
	bpf_object__close(pinned->object);
	pinned->object = NULL;
}
