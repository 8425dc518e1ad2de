/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/image_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataplane/interface/image_check.h"
#include "dataplane/interface/private_file.h"
#include "dataplane/interface/store.h"
#include "dataplane/log.h"

static int lock_file(int fd, const char *path)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	int error = errno == EAGAIN || errno == EACCES ? EBUSY : errno;
	if (error == EBUSY)
		berth_log("%s: another berth-dpdk uses this image; stop it first", path);
	else
		berth_log("%s: cannot be locked: %s", path, strerror(error));
	return -error;
}

/* Reads the header with pread: the file may be shorter than a mapping requires. */
static int check_header(int fd, const char *path, uint64_t size, struct berth_geometry *geometry)
{
	struct berth_ctl ctl;
	if (pread(fd, &ctl, sizeof(ctl), 0) != sizeof(ctl) || ctl.magic != BERTH_MAGIC) {
		berth_log("%s: not an image of berth; start berthd, which creates it", path);
		return -EINVAL;
	}
	if (ctl.abi != BERTH_ABI_VERSION) {
		berth_log("%s: has ABI version %u, this program %d; use berthd and berth-dpdk of one release", path,
			  ctl.abi, BERTH_ABI_VERSION);
		return -EINVAL;
	}
	*geometry = ctl.geometry;
	/* hugetlbfs rounds a file up to whole huge pages. */
	if (!berth_geometry_is_valid(geometry) || size < berth_image_own_bytes(geometry)) {
		berth_log("%s: damaged: %llu bytes do not match its header; remove it and restart berthd", path,
			  (unsigned long long)size);
		return -EINVAL;
	}
	return 0;
}

/* berthd may publish meanwhile, and then write into the half that is being checked: check again. */
static const char *find_fault(const struct berth_image *image)
{
	uint64_t generation;
	const char *fault;
	do {
		generation = BERTH_LOAD(&image->ctl->generation);
		fault = berth_image_fault(image);
	} while (fault && generation != BERTH_LOAD(&image->ctl->generation));
	return fault;
}

/* The store's file; -errno: there is none that is private. */
static int open_store(const char *image, const struct berth_store *store)
{
	int fd = -ENOENT;
	for (int place = 0; fd < 0 && place < BERTH_STORE_PLACES; place++) {
		char path[BERTH_STORE_PATH_BYTES];
		const char *fault = NULL;
		berth_store_path(image, store, place, path);
		fd = berth_private_open(path, O_RDWR, BERTH_MODE_OTHERS, &fault);
		if (fault)
			berth_log("%s: not used: %s", path, fault);
	}
	return fd;
}

static int map_store(struct berth_image_file *file, const char *image, const struct berth_store *store, int i)
{
	struct stat stat;
	int fd = open_store(image, store);
	if (fd < 0) {
		berth_log("%s: its %s (%u buckets) cannot be opened: %s; restart berthd, which creates them", image,
			  store->name, store->buckets, strerror(-fd));
		return fd;
	}
	int error = fstat(fd, &stat) ? -errno : (uint64_t)stat.st_size < berth_store_bytes(store) ? -EINVAL : 0;
	void *memory = error ? MAP_FAILED
			     : mmap(NULL, (size_t)stat.st_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
				    fd, 0);
	if (!error && memory == MAP_FAILED)
		error = -errno;
	close(fd);
	if (error) {
		berth_log("%s: its %s cannot be mapped: %s", image, store->name, strerror(-error));
		return error;
	}
	file->stores[i].memory = *store->memory = memory;
	file->stores[i].bytes = (uint64_t)stat.st_size;
	return 0;
}

static int map_stores(struct berth_image_file *file, const char *path)
{
	const struct berth_ctl *ctl = file->image.ctl;
	const struct berth_store_sizes sizes = {
		.flows = file->image.geometry.flow_buckets,
		.sessions = file->image.geometry.session_buckets,
		.former_flows = berth_former_buckets(BERTH_LOAD(&ctl->former_flow_bits)),
		.former_sessions = berth_former_buckets(BERTH_LOAD(&ctl->former_session_bits)),
	};
	struct berth_store stores[BERTH_STORES];
	int error = 0;
	berth_stores_list(&file->image, &sizes, stores);
	for (int i = 0; !error && i < BERTH_STORES; i++)
		if (stores[i].count)
			error = map_store(file, path, &stores[i], i);
	return error;
}

static void unmap(struct berth_image_file *file)
{
	munmap(file->memory, file->bytes);
	for (int i = 0; i < BERTH_STORES; i++)
		if (file->stores[i].memory)
			munmap(file->stores[i].memory, file->stores[i].bytes);
}

static int map_image(struct berth_image_file *file, const char *path)
{
	struct stat stat;
	struct berth_geometry geometry;
	if (fstat(file->fd, &stat))
		return -errno;
	int error = check_header(file->fd, path, (uint64_t)stat.st_size, &geometry);
	if (error)
		return error;
	/* MAP_POPULATE: no packet waits for a page fault. */
	file->bytes = (uint64_t)stat.st_size;
	file->memory = mmap(NULL, file->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file->fd, 0);
	if (file->memory == MAP_FAILED) {
		error = -errno;
		berth_log("%s: cannot be mapped: %s", path, strerror(-error));
		return error;
	}
	berth_image_place_own(&file->image, &geometry, file->memory);
	const char *fault = find_fault(&file->image);
	if (fault)
		berth_log("%s: damaged: %s; restart berthd, which replaces it", path, fault);
	error = fault ? -EINVAL : map_stores(file, path);
	if (error)
		unmap(file);
	return error;
}

int berth_image_file_open(struct berth_image_file *file, const char *path)
{
	const char *fault;
	file->fd = berth_private_open(path, O_RDWR, BERTH_MODE_OTHERS, &fault);
	if (file->fd < 0) {
		int error = fault ? -EINVAL : file->fd;
		berth_log("%s: cannot be opened: %s; berthd creates it", path, fault ? fault : strerror(-file->fd));
		return error;
	}
	int error = lock_file(file->fd, path);
	if (!error)
		error = map_image(file, path);
	if (error)
		close(file->fd);
	return error;
}

void berth_image_file_close(struct berth_image_file *file)
{
	unmap(file);
	close(file->fd);
}
