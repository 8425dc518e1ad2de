/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/image_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

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

static bool is_power_of_two(uint32_t n)
{
	return n && !(n & (n - 1));
}

/* Whether masks and bounds checks of the accessors (core/image.h) are safe with this geometry. */
static bool is_valid_geometry(const struct berth_geometry *g)
{
	return g->services && g->services <= BERTH_MAX_SERVICES + 1 && g->backends &&
	       g->backends <= BERTH_MAX_BACKENDS + 1 && g->backends % BERTH_ELIGIBILITY_PER_LINE == 0 &&
	       is_power_of_two(g->vips) && is_power_of_two(g->flow_buckets) &&
	       is_power_of_two(g->session_buckets) && g->workers && g->workers <= BERTH_MAX_WORKERS;
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
	if (!is_valid_geometry(geometry) || size < berth_image_bytes(geometry)) {
		berth_log("%s: damaged: %llu bytes do not match its header; remove it and restart berthd", path,
			  (unsigned long long)size);
		return -EINVAL;
	}
	return 0;
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
	berth_image_place(&file->image, &geometry, file->memory);
	return 0;
}

int berth_image_file_open(struct berth_image_file *file, const char *path)
{
	file->fd = open(path, O_RDWR | O_CLOEXEC);
	if (file->fd < 0) {
		int error = errno;
		berth_log("%s: cannot be opened: %s; berthd creates it", path, strerror(error));
		return -error;
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
	munmap(file->memory, file->bytes);
	close(file->fd);
}
