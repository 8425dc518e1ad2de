// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/engine/record_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/util/private_dir.h"
#include "dataplane/core/atomic.h"
#include "dataplane/interface/image_check.h"
#include "dataplane/interface/private_file.h"
#include "dataplane/interface/store.h"

#define NEXT ".new"

enum {
	PATH_BYTES = 256,
};

static void make_path(const char *instance, const char *end, char path[PATH_BYTES])
{
	snprintf(path, PATH_BYTES, BERTH_SHM_DIRECTORY "/%s.record%s", instance, end);
}

static bool is_size(uint32_t buckets, bool is_former)
{
	return berth_is_power_of_two(buckets) || (is_former && !buckets);
}

/* The first fault of a record; NULL: none. */
static const char *find_fault(const struct berth_record *record, uint64_t bytes)
{
	if (record->n_services > BERTH_MAX_SERVICES + 1 || record->n_backends > BERTH_MAX_BACKENDS + 1 ||
	    bytes < berth_record_bytes(record->n_services, record->n_backends) ||
	    !is_size(record->flow_buckets, false) || !is_size(record->session_buckets, false) ||
	    !is_size(record->former_flow_buckets, true) || !is_size(record->former_session_buckets, true) ||
	    record->engine > BERTH_RECORD_DPDK)
		return "their record is damaged";
	for (uint32_t n = 0; n < record->n_backends; n++)
		if (berth_record_backends(record)[n].service >= record->n_services)
			return "their record is damaged";
	return NULL;
}

static int check(const struct berth_record *record, uint64_t bytes, char error[BERTH_ERROR_BYTES])
{
	if (bytes < sizeof(*record) || BERTH_LOAD(&record->magic) != BERTH_RECORD_MAGIC ||
	    !berth_record_head_is_intact(record, bytes)) {
		snprintf(error, BERTH_ERROR_BYTES, "their record is damaged");
		return -EINVAL;
	}
	if (record->version != BERTH_RECORD_VERSION || record->word_format != BERTH_WORD_FORMAT) {
		snprintf(error, BERTH_ERROR_BYTES, "their format is %u.%u, and this berthd has %u.%u",
			 record->version, record->word_format, BERTH_RECORD_VERSION, BERTH_WORD_FORMAT);
		return -ENOTSUP;
	}
	const char *fault = find_fault(record, bytes);
	if (!fault && !berth_record_is_intact(record, bytes))
		fault = "their record is damaged";
	if (fault)
		snprintf(error, BERTH_ERROR_BYTES, "%s", fault);
	return fault ? -EINVAL : 0;
}

static int map(struct berth_record_file *file, int fd, uint64_t bytes)
{
	void *memory = bytes ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
	if (memory == MAP_FAILED)
		return -EINVAL;
	file->record = memory;
	file->bytes = bytes;
	return 0;
}

int berth_record_file_open(struct berth_record_file *file, const char *instance, char error[BERTH_ERROR_BYTES])
{
	char path[PATH_BYTES];
	const char *fault = berth_private_directory_fault(BERTH_SHM_DIRECTORY, BERTH_MODE_OTHERS);
	struct stat status;
	*file = (struct berth_record_file){0};
	make_path(instance, "", path);
	if (fault)
		return -ENOENT;
	int fd = berth_private_open(path, O_RDWR, BERTH_MODE_OTHERS, &fault);
	if (fd == -ENOENT)
		return fd;
	int err = fd < 0 || fstat(fd, &status) ? -EINVAL : map(file, fd, (uint64_t)status.st_size);
	if (fd >= 0)
		close(fd);
	if (err)
		snprintf(error, BERTH_ERROR_BYTES, "%s: %s", path, fault ? fault : "it cannot be read");
	else
		err = check(file->record, file->bytes, error);
	if (err)
		berth_record_file_close(file);
	return err;
}

/* As far as the new record has room: numbers beyond it have no id. */
static void copy_entries(struct berth_record *to, const struct berth_record *from)
{
	const uint32_t services = to->n_services < from->n_services ? to->n_services : from->n_services;
	const uint32_t backends = to->n_backends < from->n_backends ? to->n_backends : from->n_backends;
	memcpy(berth_record_services(to), berth_record_services(from), services * sizeof(uint64_t));
	memcpy(berth_record_backends(to), berth_record_backends(from),
	       backends * sizeof(struct berth_record_backend));
}

/* Reserves the pages: on tmpfs a page that is missing later is a SIGBUS. */
static int make(struct berth_record_file *file, const char *path, const struct berth_record *head)
{
	const uint64_t bytes = head->is_sealed ? berth_record_sealed_bytes(head->n_services, head->n_backends)
					       : berth_record_bytes(head->n_services, head->n_backends);
	unlink(path);
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int err = ftruncate(fd, (off_t)bytes) ? -errno : -posix_fallocate(fd, 0, (off_t)bytes);
	if (!err)
		err = map(file, fd, bytes);
	close(fd);
	return err;
}

int berth_record_file_create(struct berth_record_file *file, const char *instance, const struct berth_record *head,
			     const struct berth_record *former, char error[BERTH_ERROR_BYTES])
{
	char temporary[PATH_BYTES];
	*file = (struct berth_record_file){0};
	make_path(instance, NEXT, temporary);
	int err = berth_private_dir_make(BERTH_SHM_DIRECTORY, error);
	if (err)
		return err;
	err = make(file, temporary, head);
	if (!err) {
		*file->record = *head;
		file->record->version = BERTH_RECORD_VERSION;
		file->record->word_format = BERTH_WORD_FORMAT;
		if (former)
			copy_entries(file->record, former);
		file->record->magic = BERTH_RECORD_MAGIC;
		if (head->is_sealed)
			berth_record_seal(file->record);
		return 0;
	}
	snprintf(error, BERTH_ERROR_BYTES, "cannot create %s: %s", temporary, strerror(-err));
	berth_record_file_close(file);
	unlink(temporary);
	return err;
}

int berth_record_file_install(const char *instance, char error[BERTH_ERROR_BYTES])
{
	char path[PATH_BYTES], temporary[PATH_BYTES];
	make_path(instance, "", path);
	make_path(instance, NEXT, temporary);
	if (!rename(temporary, path))
		return 0;
	const int err = -errno;
	snprintf(error, BERTH_ERROR_BYTES, "cannot rename %s: %s", temporary, strerror(-err));
	return err;
}

void berth_record_file_drop(const char *instance)
{
	char temporary[PATH_BYTES];
	make_path(instance, NEXT, temporary);
	unlink(temporary);
}

void berth_record_file_close(struct berth_record_file *file)
{
	if (file->record)
		munmap(file->record, file->bytes);
	*file = (struct berth_record_file){0};
}

void berth_record_file_remove(const char *instance)
{
	char path[PATH_BYTES];
	make_path(instance, "", path);
	unlink(path);
}
