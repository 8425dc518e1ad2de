// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/engine/dpdk_image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/engine/dpdk_process.h"
#include "controlplane/util/log.h"
#include "dataplane/interface/buffer_files.h"
#include "dataplane/interface/private_file.h"

enum {
	NAME_BYTES = BERTH_DPDK_PATH_BYTES + 8,
};

/* The header of a file that may be an image, of any version; zeroed: it cannot be read. */
static struct berth_ctl read_any_header(const char *path)
{
	struct berth_ctl ctl = {0};
	const char *fault;
	int fd = berth_private_open(path, O_RDONLY, BERTH_MODE_OTHERS, &fault);
	if (fd < 0)
		return ctl;
	if (pread(fd, &ctl, sizeof(ctl), 0) != sizeof(ctl) || ctl.magic != BERTH_MAGIC)
		ctl = (struct berth_ctl){0};
	close(fd);
	return ctl;
}

/* Of this version; else zeroed. */
static struct berth_ctl read_header(const char *path)
{
	const struct berth_ctl ctl = read_any_header(path);
	return ctl.abi == BERTH_ABI_VERSION ? ctl : (struct berth_ctl){0};
}

/* The wanted geometry, with the number of workers of an existing image if that is larger. */
static struct berth_geometry geometry_of(const char *path, const struct berth_geometry *wanted)
{
	struct berth_geometry geometry = *wanted;
	const uint32_t workers = read_header(path).geometry.workers;
	if (workers > geometry.workers && workers <= BERTH_MAX_WORKERS)
		geometry.workers = workers;
	return geometry;
}

static bool exists(const char *path)
{
	return faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Stops the process that holds the image. */
static void stop_process(const char *path, const char *status_path)
{
	const pid_t pid = (pid_t)read_header(path).engine_pid;
	const char *fault;
	int fd = berth_private_open(path, O_RDWR, BERTH_MODE_OTHERS, &fault);
	if (fd < 0)
		return;
	if (berth_dpdk_process_is_running(fd))
		berth_dpdk_process_stop(fd, status_path, berth_dpdk_command_has_word(pid, path) ? pid : 0);
	close(fd);
}

pid_t berth_dpdk_image_former_pid(const struct berth_dpdk_image *image)
{
	return (pid_t)read_header(image->former).engine_pid;
}

static bool is_in_use(const char *path)
{
	const char *fault;
	int fd = berth_private_open(path, O_RDWR, BERTH_MODE_OTHERS, &fault);
	const bool in_use = fd >= 0 && berth_dpdk_process_is_running(fd);
	if (fd >= 0)
		close(fd);
	return in_use;
}

static void remove_image(const char *path, const char *status_path)
{
	stop_process(path, status_path);
	unlink(path);
}

/* Sets the addresses of the sections; the stores stay. */
static void place(struct berth_image *image, const struct berth_geometry *geometry, void *memory)
{
	struct berth_image stores = *image;
	berth_image_place_own(image, geometry, memory);
#define X(name, type, count) image->name = stores.name;
	BERTH_STORE_SECTIONS(X)
	BERTH_FORMER_SECTIONS(X)
#undef X
	image->former_flow_bits = stores.former_flow_bits;
	image->former_session_bits = stores.former_session_bits;
}

/* False, with the reason: the image cannot be adopted. */
static bool adopt(struct berth_dpdk_image *image, const char *path, struct berth_image *placed,
		  const struct berth_geometry *wanted, const uint8_t *secret, char reason[BERTH_ERROR_BYTES])
{
	const struct berth_geometry geometry = geometry_of(path, wanted);
	snprintf(reason, BERTH_ERROR_BYTES, "the limits were changed");
	if (berth_dpdk_file_map(&image->file, path, berth_image_own_bytes(&geometry), reason))
		return false;
	place(placed, &geometry, image->file.memory);
	if (berth_image_is_compatible(placed, secret, reason))
		return true;
	berth_dpdk_file_close(&image->file);
	return false;
}

static void make_path(int i, const char *instance, char path[BERTH_DPDK_PATH_BYTES])
{
	snprintf(path, BERTH_DPDK_PATH_BYTES, "%s/%s.image", berth_dpdk_directory(i), instance);
}

/* What is found of an earlier image: adopted (true), noted as in use by a process, or removed. */
static bool find(struct berth_dpdk_image *image, struct berth_image *placed, const struct berth_engine_paths *paths,
		 const struct berth_geometry *geometry)
{
	for (int i = 0; i < BERTH_DPDK_DIRS; i++) {
		char path[BERTH_DPDK_PATH_BYTES], reason[BERTH_ERROR_BYTES] = "";
		make_path(i, paths->instance, path);
		if (!exists(path))
			continue;
		if (paths->is_beside) {
			snprintf(image->former, sizeof(image->former), "%s", path);
			continue;
		}
		if (paths->has_stores && adopt(image, path, placed, geometry, paths->secret, reason))
			return true;
		if (paths->has_stores)
			berth_log("%s is replaced (%s): flows and sessions stay, counters begin anew", path,
				  reason);
		if (paths->has_stores && is_in_use(path))
			snprintf(image->former, sizeof(image->former), "%s", path);
		else
			remove_image(path, image->status_path);
	}
	return false;
}

static void log_tables(const struct berth_dpdk_image *image, bool huge)
{
	uint64_t bytes = image->file.bytes;
	for (int i = 0; i < BERTH_STORES; i++)
		bytes += image->stores.file[i].memory ? image->stores.file[i].bytes : 0;
	berth_log("tables: %.1f MiB in %s%s", (double)bytes / (1 << 20), image->file.path,
		  huge ? "" : " (no hugepages: 10 to 15% slower; see hugepages.md)");
}

/* A new image, under another name as long as a process uses the former one. */
static int create(struct berth_dpdk_image *image, struct berth_image *placed,
		  const struct berth_engine_paths *paths, const struct berth_geometry *geometry,
		  char error[BERTH_ERROR_BYTES])
{
	int err = -ENOMEM;
	bool is_usable = false;
	for (int i = 0; i < BERTH_DPDK_DIRS; i++) {
		char path[BERTH_DPDK_PATH_BYTES], name[NAME_BYTES];
		is_usable = berth_dpdk_directory_make(i, error);
		if (!is_usable)
			continue;
		make_path(i, paths->instance, path);
		snprintf(name, sizeof(name), "%s%s", path, image->former[0] ? ".next" : "");
		err = berth_dpdk_file_create(&image->file, name, berth_image_own_bytes(geometry));
		if (err)
			continue;
		snprintf(image->file.path, sizeof(image->file.path), "%s", path);
		log_tables(image, i == 0);
		place(placed, geometry, image->file.memory);
		return berth_image_create(placed, geometry, paths->secret);
	}
	if (is_usable)
		snprintf(error, BERTH_ERROR_BYTES, "cannot create an image of %.1f MiB in %s: %s",
			 (double)image->file.bytes / (1 << 20), berth_dpdk_directory(1), strerror(-err));
	return err;
}

int berth_dpdk_image_open(struct berth_dpdk_image *image, struct berth_engine *engine,
			  const struct berth_engine_paths *paths, const struct berth_geometry *geometry,
			  const char *status_path, char error[BERTH_ERROR_BYTES])
{
	const struct berth_store_sizes sizes = berth_record_sizes(paths->record);
	snprintf(image->status_path, sizeof(image->status_path), "%s", status_path);
	if (!paths->has_stores)
		berth_dpdk_image_remove(paths->instance, status_path);
	int err = berth_dpdk_stores_open(&image->stores, paths->instance, &sizes, &engine->image, error);
	if (err)
		return err;
	engine->is_image_adopted = find(image, &engine->image, paths, geometry);
	return engine->is_image_adopted ? 0 : create(image, &engine->image, paths, geometry, error);
}

static int rename_file(const char *from, const char *to, char error[BERTH_ERROR_BYTES])
{
	if (!rename(from, to))
		return 0;
	const int err = -errno;
	snprintf(error, BERTH_ERROR_BYTES, "cannot rename %s: %s", from, strerror(-err));
	return err;
}

static void next_name(const struct berth_dpdk_image *image, char name[NAME_BYTES])
{
	snprintf(name, NAME_BYTES, "%s.next", image->file.path);
}

/* Of the former image, until the start of berth-dpdk has succeeded. */
static void former_name(const struct berth_dpdk_image *image, char name[NAME_BYTES])
{
	snprintf(name, NAME_BYTES, "%s.former", image->former);
}

int berth_dpdk_image_install(struct berth_dpdk_image *image, char error[BERTH_ERROR_BYTES])
{
	char next[NAME_BYTES], former[NAME_BYTES];
	if (!image->former[0])
		return 0;
	stop_process(image->former, image->status_path);
	if (is_in_use(image->former)) {
		snprintf(error, BERTH_ERROR_BYTES,
			 "berth-dpdk runs with the former image and does not end; end the process that holds %s",
			 image->former);
		return -EBUSY;
	}
	next_name(image, next);
	former_name(image, former);
	int err = rename_file(image->former, former, error);
	if (err)
		return err;
	err = rename_file(next, image->file.path, error);
	if (err)
		rename(former, image->former);
	image->is_installed = !err;
	return err;
}

void berth_dpdk_image_settle(struct berth_dpdk_image *image, bool has_started)
{
	char next[NAME_BYTES], former[NAME_BYTES];
	if (!image->is_installed)
		return;
	next_name(image, next);
	former_name(image, former);
	image->is_installed = false;
	if (!has_started) {
		rename(image->file.path, next);
		rename(former, image->former);
		return;
	}
	unlink(former);
	image->former[0] = '\0';
}

void berth_dpdk_image_close(struct berth_dpdk_image *image)
{
	char name[NAME_BYTES];
	if (image->former[0] && image->file.fd >= 0) {
		next_name(image, name);
		unlink(name);
	}
	berth_dpdk_file_close(&image->file);
	berth_dpdk_stores_close(&image->stores);
}

uint32_t berth_dpdk_image_swept(const char *instance)
{
	uint32_t swept = 0;
	for (int i = 0; !swept && i < BERTH_DPDK_DIRS; i++) {
		char path[BERTH_DPDK_PATH_BYTES];
		make_path(i, instance, path);
		swept = read_any_header(path).swept;
	}
	return swept;
}

void berth_dpdk_image_halt(const char *instance, const char *status_path)
{
	for (int i = 0; i < BERTH_DPDK_DIRS; i++) {
		char path[BERTH_DPDK_PATH_BYTES];
		make_path(i, instance, path);
		if (exists(path))
			stop_process(path, status_path);
	}
}

void berth_dpdk_image_remove(const char *instance, const char *status_path)
{
	for (int i = 0; i < BERTH_DPDK_DIRS; i++) {
		char path[BERTH_DPDK_PATH_BYTES];
		make_path(i, instance, path);
		if (!exists(path))
			continue;
		berth_log("stopping the dpdk engine of this instance");
		remove_image(path, status_path);
		unlink(status_path);
	}
	berth_dpdk_stores_remove(instance, NULL);
	/* Of a process that was killed. */
	berth_buffer_files_remove(berth_dpdk_directory(0), instance);
}
