// SPDX-License-Identifier: BSD-3-Clause
/* How berth-dpdk begins and ends captures: by a file, which this test writes as berthd does. As root. */
#include "dataplane/capture/capture.h"
#include "tests/support/unit.h"

#include <fcntl.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	WORKERS = 2,
};

struct rig {
	char instance[32], path[BERTH_CAPTURE_PATH_BYTES];
	struct berth_image image;
	struct berth_worker counters[WORKERS];
	struct berth_worker_context workers[WORKERS];
	struct berth_capture capture;
	struct berth_capture_head *head; /* of the file, NULL: none */
	uint64_t bytes;
};

static uint64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	snprintf(rig->instance, sizeof(rig->instance), "test-capture-%d", getpid());
	mkdir(BERTH_SHM_DIRECTORY, 0700);
	berth_capture_path(rig->path, rig->instance);
	rig->image.workers = rig->counters;
	for (int i = 0; i < WORKERS; i++)
		rig->workers[i].run = berth_pipeline_for_cpu();
	rig->capture = (struct berth_capture){
		.instance = rig->instance, .image = &rig->image, .workers = rig->workers, .n_workers = WORKERS};
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;
	berth_capture_close(&rig->capture);
	if (rig->head)
		munmap(rig->head, rig->bytes);
	unlink(rig->path);
	free(rig);
	return 0;
}

/* A file for so many workers, with `lacks` bytes less than that takes. */
static void write_file(struct rig *rig, uint32_t workers, uint64_t lacks)
{
	const int fd = open(rig->path, O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	rig->bytes = berth_capture_file_bytes(workers) - lacks;
	assert_int_equal(ftruncate(fd, (off_t)rig->bytes), 0);
	rig->head = mmap(NULL, rig->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(rig->head != MAP_FAILED);
	close(fd);
	rig->head->workers = workers;
	rig->head->filter.verdicts = UINT64_MAX;
	rig->head->renewed_ms = now_ms();
	rig->head->magic = BERTH_CAPTURE_MAGIC;
}

/* Between two looks. */
static void follow(struct rig *rig)
{
	rte_delay_us_sleep(110000);
	berth_capture_follow(&rig->capture);
}

static uint32_t recording(const struct rig *rig)
{
	uint32_t n = 0;
	for (int i = 0; i < WORKERS; i++)
		n += rig->workers[i].run == berth_pipeline_recording_for_cpu();
	return n;
}

/* As the worker does in each turn. */
static void poll(struct rig *rig, uint32_t turns)
{
	for (int i = 0; i < WORKERS; i++)
		rig->counters[i].polls += turns;
}

static void a_capture_begins_with_its_file_and_ends_as_it_says(void **state)
{
	struct rig *rig = *state;
	follow(rig);
	assert_int_equal(recording(rig), 0);
	write_file(rig, WORKERS, 0);
	follow(rig);
	assert_int_equal(recording(rig), WORKERS);
	assert_int_equal(rig->head->taken, 1);
	assert_ptr_equal(rig->workers[1].pipeline.recorder->ring, &berth_capture_rings(rig->capture.head)[1]);
	rig->head->is_over = 1;
	follow(rig);
	assert_int_equal(recording(rig), 0);
	assert_int_equal(rig->head->taken, 0);
}

static void memory_stays_until_each_worker_has_begun_a_turn(void **state)
{
	struct rig *rig = *state;
	write_file(rig, WORKERS, 0);
	follow(rig);
	rig->head->is_over = 1;
	follow(rig);
	follow(rig);
	assert_non_null(rig->capture.head);
	poll(rig, 1);
	follow(rig);
	assert_non_null(rig->capture.head);
	poll(rig, 1);
	follow(rig);
	assert_null(rig->capture.head);
	/* The file is still there: it is not begun again. */
	follow(rig);
	assert_int_equal(recording(rig), 0);
}

static void a_capture_of_a_berthd_that_is_gone_ends(void **state)
{
	struct rig *rig = *state;
	write_file(rig, WORKERS, 0);
	follow(rig);
	rig->head->renewed_ms -= BERTH_CAPTURE_ALIVE_MS - 1000;
	follow(rig);
	assert_int_equal(recording(rig), WORKERS);
	rig->head->renewed_ms -= 2000;
	follow(rig);
	assert_int_equal(recording(rig), 0);
	/* A process that starts later does not take it either. */
	poll(rig, 2);
	follow(rig);
	assert_null(rig->capture.head);
	follow(rig);
	assert_int_equal(recording(rig), 0);
}

static void workers_without_a_ring_go_on_as_before(void **state)
{
	struct rig *rig = *state;
	write_file(rig, 1, 0);
	follow(rig);
	assert_int_equal(recording(rig), 1);
	assert_null(rig->workers[1].pipeline.recorder);
}

static void a_file_that_is_damaged_or_of_others_is_not_used(void **state)
{
	struct rig *rig = *state;
	write_file(rig, WORKERS, 1);
	follow(rig);
	assert_int_equal(recording(rig), 0);
	rig->head->workers = 1;
	rig->head->magic++;
	follow(rig);
	assert_int_equal(recording(rig), 0);
	rig->head->magic--;
	assert_int_equal(chmod(rig->path, 0666), 0);
	follow(rig);
	assert_int_equal(recording(rig), 0);
	assert_int_equal(chmod(rig->path, 0600), 0);
	rig->head->workers = 0;
	follow(rig);
	assert_int_equal(recording(rig), 0);
	rig->head->workers = UINT32_MAX;
	follow(rig);
	assert_int_equal(recording(rig), 0);
	rig->head->workers = 1;
	follow(rig);
	assert_int_equal(recording(rig), 1);
}

static int set_up_all(void **state)
{
	(void)state;
	char *arguments[] = {"test",	    "--no-huge",	 "-m", "16", "--no-pci", "--no-telemetry",
			     "--no-shconf", "--log-level=error", NULL};
	return rte_eal_init(8, arguments) < 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_capture_begins_with_its_file_and_ends_as_it_says),
		TEST(memory_stays_until_each_worker_has_begun_a_turn),
		TEST(a_capture_of_a_berthd_that_is_gone_ends),
		TEST(workers_without_a_ring_go_on_as_before),
		TEST(a_file_that_is_damaged_or_of_others_is_not_used),
	};
	return cmocka_run_group_tests(tests, set_up_all, NULL);
}
