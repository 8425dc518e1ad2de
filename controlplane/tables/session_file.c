// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/tables/session_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "controlplane/tables/sessions.h"
#include "controlplane/util/clock.h"
#include "dataplane/core/session.h"
#include "dataplane/interface/private_file.h"

/* Integers are little-endian, as all of berth's machines are. Layout: head, names[n_names], records[n_records]. */
#define MAGIC "BERTHSES"

enum {
	VERSION = 1,
	SLICE = 1 << 16, /* slots per view: a view is of the current generation for a short time */
	BUFFER_RECORDS = 1 << 13,
	PREFETCH_AHEAD = 12, /* records */
	PATH_BYTES = 600,
};

struct head {
	char magic[8];
	uint32_t version;
	uint32_t n_names;
	uint64_t n_records;
	int64_t unix_s;	   /* time of the file */
	uint64_t checksum; /* XXH3 of all that follows */
};

/* The ids of a backend number. 0: not in use. In place of those of number 0, which is no backend: `service` is the
 * digest of the head (digest_head), or 0 in a file of a release that wrote none. */
struct name {
	uint64_t service;
	uint64_t backend;
};

struct record {
	union berth_addr client;
	uint16_t backend; /* a number in the names */
	uint16_t from;
	uint32_t idle_s;
	uint32_t age_s;
	uint32_t flows;
	uint32_t reason;
	uint32_t zero;
};
_Static_assert(sizeof(struct head) == 40 && sizeof(struct record) == 40, "the layout of the file has no gaps");

/* Of what it says before it is complete: the numbers of names and the bytes of the file tell the records. */
static uint64_t digest_head(const struct head *head)
{
	const struct head begun = {.version = head->version, .n_names = head->n_names, .unix_s = head->unix_s};
	return XXH3_64bits(&begun, sizeof(begun));
}

/* --- writing --- */

struct writer {
	int fd;
	int err;
	size_t n;
	struct record *buffer;
	XXH3_state_t *hash;
};

static void write_bytes(struct writer *writer, const void *bytes, size_t n)
{
	const uint8_t *at = bytes;
	XXH3_64bits_update(writer->hash, bytes, n);
	while (!writer->err && n) {
		ssize_t done = write(writer->fd, at, n);
		if (done < 0 && errno != EINTR)
			writer->err = -errno;
		if (done > 0) {
			at += done;
			n -= (size_t)done;
		}
	}
}

static void flush(struct writer *writer)
{
	write_bytes(writer, writer->buffer, writer->n * sizeof(*writer->buffer));
	writer->n = 0;
}

static void write_record(struct writer *writer, const struct record *record)
{
	writer->buffer[writer->n++] = *record;
	if (writer->n == BUFFER_RECORDS)
		flush(writer);
}

static int write_names(struct writer *writer, const struct head *head, const struct berth_view *view)
{
	struct name *names = calloc(view->backends, sizeof(*names));
	if (!names)
		return -ENOMEM;
	names[0].service = digest_head(head);
	for (uint32_t n = 1; n < view->backends; n++) {
		const struct berth_backend *backend = berth_backend_of(view, n);
		const struct berth_service *service = backend ? berth_service_of(view, backend->service) : NULL;
		if (service && backend->id)
			names[n] = (struct name){service->id, backend->id};
	}
	write_bytes(writer, names, view->backends * sizeof(*names));
	free(names);
	return writer->err;
}

static uint32_t since(uint32_t now, uint32_t then)
{
	return (int32_t)(now - then) > 0 ? now - then : 0;
}

static uint64_t write_sessions(struct writer *writer, const struct berth_image *image)
{
	const uint32_t slots = image->geometry.session_buckets * BERTH_BUCKET_WORDS;
	const struct berth_session_filter any = {0};
	struct berth_session session;
	uint64_t n = 0;
	for (uint32_t at = 0; at < slots && !writer->err;) {
		const struct berth_view view = berth_sessions_view(image, berth_clock_s());
		const uint32_t end = slots - at > SLICE ? at + SLICE : slots;
		while (berth_sessions_next(&view, &any, &at, end, &session)) {
			if (!session.has_client || session.client.reason == BERTH_REASON_PINNED ||
			    !berth_session_is_confirmed(&session))
				continue;
			const struct record record = {
				.client = session.client.addr,
				.backend = (uint16_t)berth_word_backend(session.word),
				.from = session.client.from,
				.idle_s = berth_word_age(session.word, view.now),
				.age_s = since(view.now, session.client.since),
				.flows = session.client.flows,
				.reason = session.client.reason,
			};
			write_record(writer, &record);
			n++;
		}
	}
	flush(writer);
	return n;
}

static int write_file(struct writer *writer, const struct berth_image *image, int64_t unix_s, uint64_t *n)
{
	struct head head = {.version = VERSION, .unix_s = unix_s, .n_names = image->geometry.backends};
	const struct berth_view view = berth_sessions_view(image, berth_clock_s());
	memcpy(head.magic, MAGIC, sizeof(head.magic));
	if (lseek(writer->fd, sizeof(head), SEEK_SET) < 0)
		return -errno;
	int err = write_names(writer, &head, &view);
	if (err)
		return err;
	*n = head.n_records = write_sessions(writer, image);
	head.checksum = XXH3_64bits_digest(writer->hash);
	if (!writer->err && pwrite(writer->fd, &head, sizeof(head), 0) != sizeof(head))
		return -EIO;
	if (!writer->err && fsync(writer->fd))
		return -errno;
	return writer->err;
}

int berth_session_file_write(const struct berth_image *image, const char *path, int64_t unix_s,
			     struct berth_session_file_result *result, char error[BERTH_ERROR_BYTES])
{
	char temporary[PATH_BYTES];
	struct writer writer = {
		.buffer = malloc(BUFFER_RECORDS * sizeof(*writer.buffer)),
		.hash = XXH3_createState(),
	};
	*result = (struct berth_session_file_result){0};
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	unlink(temporary);
	writer.fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int err = writer.fd < 0 ? -errno : !writer.buffer || !writer.hash ? -ENOMEM : 0;
	if (!err) {
		XXH3_64bits_reset(writer.hash);
		err = write_file(&writer, image, unix_s, &result->sessions);
	}
	if (writer.fd >= 0)
		close(writer.fd);
	if (!err && rename(temporary, path))
		err = -errno;
	if (err) {
		unlink(temporary);
		snprintf(error, BERTH_ERROR_BYTES, "%s cannot be written: %s", path, strerror(-err));
	}
	XXH3_freeState(writer.hash);
	free(writer.buffer);
	return err;
}

/* --- reading --- */

struct file {
	const struct head *head;
	const struct name *names;
	const struct record *records;
	size_t bytes;
};

/* Whether the content is what was written, as far as the file has digests of it. */
static bool is_intact(const struct head *head, uint64_t body)
{
	const struct name *names = (const struct name *)(head + 1);
	if (!head->n_names || head->n_names > BERTH_MAX_BACKENDS + 1 ||
	    head->n_records > body / sizeof(struct record) ||
	    body != head->n_names * sizeof(struct name) + head->n_records * sizeof(struct record) ||
	    XXH3_64bits(names, body) != head->checksum)
		return false;
	return !names->service || names->service == digest_head(head);
}

/* -EINVAL with the reason in `error`. */
static int check(const struct file *file, char error[BERTH_ERROR_BYTES])
{
	const struct head *head = file->head;
	const char *reason = NULL;
	if (memcmp(head->magic, MAGIC, sizeof(head->magic)) != 0)
		reason = "it is not a file of sessions";
	else if (head->version != VERSION)
		reason = "it is of another version of berth";
	else if (!is_intact(head, file->bytes - sizeof(*head)))
		reason = "its content is damaged";
	if (reason)
		snprintf(error, BERTH_ERROR_BYTES, "%s", reason);
	return reason ? -EINVAL : 0;
}

/* Maps a file. Errors as those of restore. */
static int open_file(struct file *file, const char *path, char error[BERTH_ERROR_BYTES])
{
	const char *fault;
	struct stat status;
	int fd = berth_private_open(path, O_RDONLY, BERTH_MODE_OTHERS_WRITE, &fault);
	if (fd == -ENOENT)
		return fd;
	if (fd < 0) {
		snprintf(error, BERTH_ERROR_BYTES, "%s", fault ? fault : strerror(-fd));
		return -EINVAL;
	}
	int err = fstat(fd, &status) ? -EINVAL : 0;
	file->bytes = err ? 0 : (size_t)status.st_size;
	/* Private: another writer of the file must not change what was checked. */
	void *at = file->bytes > sizeof(struct head)
			   ? mmap(NULL, file->bytes, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0)
			   : MAP_FAILED;
	close(fd);
	if (at == MAP_FAILED) {
		snprintf(error, BERTH_ERROR_BYTES, "its content is damaged");
		return -EINVAL;
	}
	file->head = at;
	err = check(file, error);
	if (err) {
		munmap(at, file->bytes);
		return err;
	}
	file->names = (const struct name *)(file->head + 1);
	file->records = (const struct record *)(file->names + file->head->n_names);
	return 0;
}

static int by_backend(const void *left, const void *right)
{
	const struct berth_model_backend *a = *(const struct berth_model_backend *const *)left;
	const struct berth_model_backend *b = *(const struct berth_model_backend *const *)right;
	return (a->id > b->id) - (a->id < b->id);
}

static size_t add_backends(const struct berth_model_backend **list, const struct berth_model_service *services,
			   size_t n_services)
{
	size_t n = 0;
	for (size_t i = 0; i < n_services; i++)
		for (size_t j = 0; j < services[i].n_backends; j++)
			list[n++] = &services[i].backends[j];
	return n;
}

/* All backends of the model's services and groups, sorted by id. NULL: out of memory. */
static const struct berth_model_backend **sort_backends(const struct berth_model *model, size_t *n)
{
	size_t room = 1;
	*n = 0;
	for (size_t i = 0; i < model->n_services; i++)
		room += model->services[i].n_backends;
	for (size_t i = 0; i < model->n_groups; i++)
		room += model->groups[i].n_backends;
	const struct berth_model_backend **sorted = calloc(room, sizeof(void *));
	if (sorted) {
		*n = add_backends(sorted, model->services, model->n_services);
		*n += add_backends(sorted + *n, model->groups, model->n_groups);
	}
	if (sorted)
		qsort(sorted, *n, sizeof(void *), by_backend);
	return sorted;
}

/* The present number for each number of the file; 0: not configured. NULL: out of memory. */
static uint16_t *map_numbers(const struct file *file, const struct berth_model *model)
{
	size_t n;
	const struct berth_model_backend **sorted = sort_backends(model, &n);
	uint16_t *numbers = calloc((size_t)file->head->n_names + 1, sizeof(*numbers));
	for (uint32_t i = 0; sorted && numbers && i < file->head->n_names; i++) {
		const struct berth_model_backend wanted = {.id = file->names[i].backend};
		const struct berth_model_backend *key = &wanted, **found;
		found = bsearch(&key, sorted, n, sizeof(void *), by_backend);
		if (found && wanted.id)
			numbers[i] = (uint16_t)(*found)->number;
	}
	bool failed = !sorted;
	free(sorted);
	if (failed) {
		free(numbers);
		numbers = NULL;
	}
	return numbers;
}

/* The present number of a number of the file; 0: not configured. */
static uint32_t present(const uint16_t *numbers, uint32_t n_numbers, uint32_t number)
{
	return number < n_numbers ? numbers[number] : 0;
}

/* Lines of the table that a later record needs: a large table is not in the cache. */
static void prefetch(const struct berth_view *view, const struct file *file, const uint16_t *numbers, uint64_t i)
{
	if (i >= file->head->n_records)
		return;
	const struct record *record = &file->records[i];
	const struct berth_backend *backend = berth_backend_of(
		view, present(numbers, file->head->n_names, record->backend));
	if (backend && backend->id)
		berth_sessions_prefetch(view, &record->client, backend->service);
}

static void restore_one(const struct berth_view *view, const struct record *record, const uint16_t *numbers,
			uint32_t n_numbers, uint64_t passed_s, struct berth_session_file_result *result)
{
	const uint32_t number = present(numbers, n_numbers, record->backend);
	const struct berth_backend *backend = number ? berth_backend_of(view, number) : NULL;
	const struct berth_service *service = backend ? berth_service_of(view, backend->service) : NULL;
	const uint64_t idle_s = record->idle_s + passed_s;
	const uint32_t from = present(numbers, n_numbers, record->from);
	if (!service || service->affinity != BERTH_AFFINITY_CLIENT || record->reason > BERTH_REASON_MOVED) {
		result->unknown++;
		return;
	}
	if (idle_s > service->timeout[BERTH_STATE_SESSION]) {
		result->expired++;
		return;
	}
	const struct berth_session_record restored = {
		.client = record->client,
		.service = backend->service,
		.backend = (uint32_t)berth_sibling(view, number, service->session_service),
		.idle_s = (uint32_t)idle_s,
		.age_s = (uint32_t)(record->age_s + passed_s),
		.flows = record->flows,
		.from = (uint32_t)berth_sibling(view, from, service->session_service),
		.reason = (enum berth_reason)record->reason,
	};
	if (!restored.backend)
		result->unknown++;
	else if (berth_sessions_restore(view, &restored) == 0)
		result->sessions++;
	else
		result->no_room++;
}

int berth_session_file_restore(const struct berth_image *image, const struct berth_model *model, const char *path,
			       int64_t unix_s, struct berth_session_file_result *result,
			       char error[BERTH_ERROR_BYTES])
{
	struct file file;
	*result = (struct berth_session_file_result){0};
	int err = open_file(&file, path, error);
	if (err)
		return err;
	uint16_t *numbers = map_numbers(&file, model);
	const struct berth_view view = berth_sessions_view(image, berth_clock_s());
	/* A clock that was set back since: as if no time had passed. */
	result->saved_s = unix_s > file.head->unix_s ? (uint64_t)unix_s - (uint64_t)file.head->unix_s : 0;
	for (uint64_t i = 0; numbers && i < file.head->n_records; i++) {
		prefetch(&view, &file, numbers, i + PREFETCH_AHEAD);
		restore_one(&view, &file.records[i], numbers, file.head->n_names, result->saved_s, result);
	}
	if (!numbers)
		snprintf(error, BERTH_ERROR_BYTES, "out of memory");
	err = numbers ? 0 : -ENOMEM;
	free(numbers);
	munmap((void *)file.head, file.bytes);
	return err;
}
