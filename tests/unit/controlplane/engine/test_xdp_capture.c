// SPDX-License-Identifier: BSD-3-Clause
/* A capture of the XDP program in the kernel: records of packets of test runs. As root; the arguments are
 * berth_xdp.bpf.o and berth_capture.bpf.o. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/engine/capture/xdp_capture.h"
#include "tests/support/unit.h"

static const char *object_path, *capture_path;

struct fixture {
	struct berth_xdp_image engine;
	struct berth_xdp_links links; /* without interfaces: the program is run by hand */
	struct berth_xdp_capture capture;
	struct berth_capture_record last;
	size_t n;
	char error[BERTH_ERROR_BYTES];
};

static const struct berth_capture_filter all = {.verdicts = UINT64_MAX};

static int set_up(void **state)
{
	static const char *const stores[BERTH_STORES] = {"flows",	 "sessions",	    "clients",
							 "former_flows", "former_sessions", "former_clients"};
	struct fixture *f = calloc(1, sizeof(*f));
	f->engine.object = bpf_object__open_file(object_path, NULL);
	assert_non_null(f->engine.object);
	bpf_map__set_max_entries(bpf_object__find_map_by_name(f->engine.object, "workers"), BERTH_MAX_WORKERS);
	for (size_t i = 0; i < BERTH_STORES; i++)
		f->engine.stores[i] = bpf_object__find_map_by_name(f->engine.object, stores[i]);
	assert_int_equal(bpf_object__load(f->engine.object), 0);
	f->engine.program = bpf_program__fd(bpf_object__find_program_by_name(f->engine.object, "berth_xdp"));
	f->links.program = f->engine.program;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	berth_xdp_capture_stop(&f->capture);
	assert_int_equal(f->links.program, f->engine.program);
	bpf_object__close(f->engine.object);
	free(f);
	return 0;
}

static void ignore(void *arg, const struct berth_capture_record *record)
{
	(void)arg;
	(void)record;
}

/* Until its program is in the place of the engine's. */
static void start(struct fixture *f, const struct berth_capture_filter *filter)
{
	uint64_t missed;
	if (berth_xdp_capture_start(&f->capture, &f->engine, &f->links, capture_path, filter, f->error))
		fail_msg("%s", f->error);
	while (f->links.program == f->engine.program) {
		assert_int_equal(berth_xdp_capture_read(&f->capture, 1, ignore, NULL, &missed), 0);
		usleep(1000);
	}
}

/* An ARP frame to nobody of this port, with `bytes`: passed to the kernel. */
static void run(const struct fixture *f, uint32_t bytes)
{
	uint8_t frame[1500] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6, 0xaa, 0xbb};
	frame[bytes - 1] = 0xcc;
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = bytes, .repeat = 1);
	assert_int_equal(bpf_prog_test_run_opts(f->links.program, &options), 0);
	assert_int_equal(options.retval, XDP_PASS);
}

static void keep(void *arg, const struct berth_capture_record *record)
{
	struct fixture *f = arg;
	f->last = *record;
	f->n++;
}

static uint64_t read_all(struct fixture *f)
{
	uint64_t missed = 0;
	f->n = 0;
	assert_int_equal(berth_xdp_capture_read(&f->capture, UINT32_MAX, keep, f, &missed), 0);
	return missed;
}

static void a_packet_is_copied_with_its_verdict(void **state)
{
	struct fixture *f = *state;
	start(f, &all);
	run(f, 60);
	assert_int_equal(read_all(f), 0);
	assert_int_equal(f->n, 1);
	assert_int_equal(f->last.verdict, BERTH_VERDICT_NOT_IP);
	assert_int_equal(f->last.action, XDP_PASS);
	assert_int_equal(f->last.in_bytes, 60);
	assert_int_equal(f->last.in_copied, 60);
	assert_int_equal(f->last.in[14], 0xaa);
	assert_int_equal(f->last.in[59], 0xcc);
	assert_int_equal(f->last.out_bytes, 0);
	run(f, 1500);
	read_all(f);
	assert_int_equal(f->last.in_bytes, 1500);
	assert_int_equal(f->last.in_copied, BERTH_CAPTURE_SNAP);
}

static void what_does_not_match_is_not_copied(void **state)
{
	struct fixture *f = *state;
	start(f, &(struct berth_capture_filter){.verdicts = UINT64_C(1) << BERTH_VERDICT_NO_BACKEND});
	run(f, 60);
	assert_int_equal(read_all(f), 0);
	assert_int_equal(f->n, 0);
}

/* Of one CPU. The ring is emptied meanwhile, so that it is never the reason. */
/* Each processor has a limit of its own. */
static void stay_on_this_processor(void)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	assert_int_equal(sched_setaffinity(0, sizeof(set), &set), 0);
}

static void the_rate_is_limited_and_what_is_missing_is_counted(void **state)
{
	struct fixture *f = *state;
	stay_on_this_processor();
	struct timespec begin, end;
	uint64_t missed = 0;
	size_t n = 0;
	start(f, &all);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (int i = 0; i < 20 * BERTH_CAPTURE_PER_SECOND / 500; i++) {
		for (int j = 0; j < 500; j++)
			run(f, 60);
		missed = read_all(f);
		n += f->n;
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	const size_t seconds = (size_t)(end.tv_sec - begin.tv_sec) + 1;
	assert_int_equal(n + missed, 20 * BERTH_CAPTURE_PER_SECOND);
	assert_true(missed > 0);
	assert_in_range(n, BERTH_CAPTURE_PER_SECOND, seconds * BERTH_CAPTURE_PER_SECOND);
}

static void a_read_is_bounded_and_goes_on(void **state)
{
	struct fixture *f = *state;
	uint64_t missed;
	start(f, &all);
	for (int i = 0; i < 5; i++)
		run(f, 60 + (uint32_t)i);
	assert_int_equal(berth_xdp_capture_read(&f->capture, 2, keep, f, &missed), 0);
	assert_int_equal(f->n, 2);
	assert_int_equal(f->last.in_bytes, 61);
	read_all(f);
	assert_int_equal(f->n, 3);
	assert_int_equal(f->last.in_bytes, 64);
}

static void nothing_is_left_when_it_has_stopped(void **state)
{
	struct fixture *f = *state;
	uint64_t missed;
	start(f, &all);
	berth_xdp_capture_stop(&f->capture);
	run(f, 60);
	assert_int_equal(berth_xdp_capture_read(&f->capture, 1, keep, f, &missed), -ENOENT);
	start(f, &all);
	assert_int_equal(read_all(f), 0);
	assert_int_equal(f->n, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(a_packet_is_copied_with_its_verdict),
		TEST(what_does_not_match_is_not_copied),
		TEST(the_rate_is_limited_and_what_is_missing_is_counted),
		TEST(a_read_is_bounded_and_goes_on),
		TEST(nothing_is_left_when_it_has_stopped),
	};
	assert_int_equal(argc, 3);
	object_path = argv[1];
	capture_path = argv[2];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
