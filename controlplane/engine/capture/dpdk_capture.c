// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/engine/capture/dpdk_capture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/util/clock.h"
#include "controlplane/util/log.h"

enum {
	SHM = 1,	    /* the directory's number: hugepages are for tables */
	MAX_WAIT_MS = 5000, /* for berth-dpdk, which looks once a second */
};

static struct berth_capture_head *head_of(const struct berth_dpdk_capture *capture)
{
	return capture->file.memory;
}

void berth_dpdk_capture_init(struct berth_dpdk_capture *capture, const char *instance)
{
	*capture = (struct berth_dpdk_capture){.file.fd = -1};
	berth_capture_path(capture->path, instance);
	unlink(capture->path);
}

/* Of the workers that run, the highest number plus 1. */
static uint32_t count_workers(const struct berth_image *image)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < image->geometry.workers && i < BERTH_MAX_WORKERS; i++)
		if (BERTH_LOAD(&image->workers[i].running))
			n = i + 1;
	return n;
}

static void fill_head(struct berth_capture_head *head, uint32_t workers, const struct berth_capture_filter *filter)
{
	head->renewed_ms = berth_clock_ms();
	head->filter = *filter;
	head->workers = workers;
	BERTH_STORE(&head->magic, BERTH_CAPTURE_MAGIC);
}

int berth_dpdk_capture_start(struct berth_engine *engine, const struct berth_capture_filter *filter,
			     char error[BERTH_ERROR_BYTES])
{
	struct berth_dpdk_capture *capture = berth_dpdk_capture_of(engine);
	const uint32_t workers = count_workers(&engine->image);
	berth_dpdk_capture_stop(engine);
	if (!workers || !engine->ops->is_running(engine)) {
		snprintf(error, BERTH_ERROR_BYTES, "berth-dpdk does not run; `berthctl show engine` says why");
		return -ENODEV;
	}
	if (!berth_dpdk_directory_make(SHM, error))
		return -EACCES;
	int err = berth_dpdk_file_create(&capture->file, capture->path, berth_capture_file_bytes(workers));
	if (err) {
		snprintf(error, BERTH_ERROR_BYTES, "cannot create %s: %s", capture->path, strerror(-err));
		return err;
	}
	capture->started_ms = berth_clock_ms();
	fill_head(head_of(capture), workers, filter);
	return 0;
}

/* The ring with the oldest record that was not read; NULL: none. */
static struct berth_capture_ring *find_oldest(struct berth_capture_head *head, uint32_t workers)
{
	struct berth_capture_ring *rings = berth_capture_rings(head), *oldest = NULL;
	uint64_t time_ns = 0;
	for (uint32_t i = 0; i < workers; i++) {
		struct berth_capture_ring *ring = &rings[i];
		const uint64_t written = BERTH_LOAD(&ring->written);
		/* More than it holds: it was damaged. */
		if (written - ring->read > BERTH_CAPTURE_SLOTS)
			BERTH_STORE(&ring->read, written);
		if (written == ring->read)
			continue;
		const uint64_t own_ns = ring->record[ring->read % BERTH_CAPTURE_SLOTS].time_ns;
		if (oldest && time_ns <= own_ns)
			continue;
		oldest = ring;
		time_ns = own_ns;
	}
	return oldest;
}

/* A copy: what the other process writes is checked once, and not read again. */
static void take_record(struct berth_capture_ring *ring, berth_capture_fn *fn, void *arg)
{
	struct berth_capture_record record = ring->record[ring->read % BERTH_CAPTURE_SLOTS];
	BERTH_STORE(&ring->read, ring->read + 1);
	if (record.in_copied <= BERTH_CAPTURE_SNAP && record.out_copied <= BERTH_CAPTURE_SNAP)
		fn(arg, &record);
}

/* Whether berth-dpdk copies packets, or will. */
static bool is_alive(struct berth_dpdk_capture *capture, const struct berth_capture_head *head)
{
	const bool is_taken = BERTH_LOAD(&head->taken);
	const bool was_taken = capture->was_taken;
	capture->was_taken |= is_taken;
	if (is_taken || (!was_taken && berth_clock_ms() - capture->started_ms < MAX_WAIT_MS))
		return true;
	if (!was_taken)
		berth_log("no capture: berth-dpdk has not begun it");
	return false;
}

int berth_dpdk_capture_read(struct berth_engine *engine, uint32_t most, berth_capture_fn *fn, void *arg,
			    uint64_t *missed)
{
	struct berth_dpdk_capture *capture = berth_dpdk_capture_of(engine);
	struct berth_capture_head *head = head_of(capture);
	struct berth_capture_ring *ring = NULL;
	*missed = 0;
	if (!head)
		return -ENOENT;
	/* The file's own number could be damaged. */
	const uint32_t workers = (uint32_t)((capture->file.bytes - sizeof(*head)) / sizeof(*ring));
	BERTH_STORE(&head->renewed_ms, berth_clock_ms());
	if (!is_alive(capture, head)) {
		berth_dpdk_capture_stop(engine);
		return -ENOENT;
	}
	for (uint32_t i = 0; i < most && (ring = find_oldest(head, workers)); i++)
		take_record(ring, fn, arg);
	ring = berth_capture_rings(head);
	for (uint32_t i = 0; i < workers; i++)
		*missed += BERTH_LOAD(&ring[i].missed);
	return 0;
}

void berth_dpdk_capture_stop(struct berth_engine *engine)
{
	struct berth_dpdk_capture *capture = berth_dpdk_capture_of(engine);
	struct berth_capture_head *head = head_of(capture);
	if (!head)
		return;
	BERTH_STORE(&head->is_over, 1);
	unlink(capture->path);
	berth_dpdk_file_close(&capture->file);
	capture->was_taken = false;
}
