/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/capture/capture.h"

#include <rte_cycles.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/interface/private_file.h"
#include "dataplane/log.h"

enum {
	LOOKS_PER_SECOND = 10,
};

static uint64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool is_over(const struct berth_capture_head *head)
{
	const uint64_t renewed_ms = BERTH_LOAD(&head->renewed_ms), now = now_ms();
	return BERTH_LOAD(&head->is_over) || (now > renewed_ms && now - renewed_ms > BERTH_CAPTURE_ALIVE_MS);
}

/* Maps the file; NULL: it is not complete, or not one of berthd. */
static struct berth_capture_head *map(int fd, uint64_t *bytes)
{
	struct stat stat;
	if (fstat(fd, &stat) || (uint64_t)stat.st_size < sizeof(struct berth_capture_head))
		return NULL;
	*bytes = (uint64_t)stat.st_size;
	/* MAP_POPULATE: no packet waits for a page fault. */
	struct berth_capture_head *head = mmap(NULL, *bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd,
					       0);
	if (head == MAP_FAILED)
		return NULL;
	if (BERTH_LOAD(&head->magic) == BERTH_CAPTURE_MAGIC && head->workers &&
	    head->workers <= BERTH_MAX_WORKERS && berth_capture_file_bytes(head->workers) <= *bytes &&
	    !is_over(head))
		return head;
	munmap(head, *bytes);
	return NULL;
}

static struct berth_capture_head *open_file(const struct berth_capture *capture, uint64_t *bytes)
{
	char path[BERTH_CAPTURE_PATH_BYTES];
	const char *fault;
	berth_capture_path(path, capture->instance);
	const int fd = berth_private_open(path, O_RDWR, BERTH_MODE_OTHERS, &fault);
	if (fd < 0)
		return NULL;
	struct berth_capture_head *head = map(fd, bytes);
	close(fd);
	return head;
}

static void start(struct berth_capture *capture)
{
	struct berth_capture_ring *rings;
	capture->head = open_file(capture, &capture->bytes);
	if (!capture->head)
		return;
	capture->n_recorders = RTE_MIN(capture->head->workers, capture->n_workers);
	capture->recorders = calloc(capture->n_recorders, sizeof(*capture->recorders));
	if (!capture->recorders) {
		berth_log("no capture: out of memory");
		berth_capture_close(capture);
		return;
	}
	rings = berth_capture_rings(capture->head);
	for (uint32_t i = 0; i < capture->n_recorders; i++) {
		berth_recorder_init(&capture->recorders[i], &capture->head->filter, &rings[i]);
		capture->workers[i].pipeline.recorder = &capture->recorders[i];
		BERTH_STORE(&capture->workers[i].run, berth_pipeline_recording_for_cpu());
	}
	BERTH_STORE(&capture->head->taken, 1);
}

static uint64_t polls_of(const struct berth_capture *capture, uint32_t worker)
{
	return BERTH_LOAD(&capture->image->workers[worker].polls);
}

static void end(struct berth_capture *capture)
{
	for (uint32_t i = 0; i < capture->n_recorders; i++)
		BERTH_STORE(&capture->workers[i].run, berth_pipeline_for_cpu());
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (uint32_t i = 0; i < capture->n_recorders; i++)
		capture->polls[i] = polls_of(capture, i);
	capture->ended_cycles = rte_get_tsc_cycles();
	capture->is_ending = true;
	BERTH_STORE(&capture->head->taken, 0);
}

/* Whether each worker has begun a turn since `end`: then it has read which pipeline to run. */
static bool is_unused(const struct berth_capture *capture)
{
	for (uint32_t i = 0; i < capture->n_recorders; i++)
		if (polls_of(capture, i) - capture->polls[i] < 2)
			return false;
	return rte_get_tsc_cycles() - capture->ended_cycles > rte_get_tsc_hz() / LOOKS_PER_SECOND;
}

void berth_capture_follow(struct berth_capture *capture)
{
	const uint64_t now = rte_get_tsc_cycles();
	if (now - capture->looked_cycles < rte_get_tsc_hz() / LOOKS_PER_SECOND)
		return;
	capture->looked_cycles = now;
	if (!capture->head)
		start(capture);
	else if (capture->is_ending && is_unused(capture))
		berth_capture_close(capture);
	else if (!capture->is_ending && is_over(capture->head))
		end(capture);
}

void berth_capture_close(struct berth_capture *capture)
{
	if (capture->head)
		munmap(capture->head, capture->bytes);
	free(capture->recorders);
	capture->head = NULL;
	capture->recorders = NULL;
	capture->n_recorders = 0;
	capture->is_ending = false;
}
