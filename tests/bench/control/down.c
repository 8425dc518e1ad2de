// SPDX-License-Identifier: BSD-3-Clause
/*
 * The time from the result of a health check to the last new flow on the failed backend, under a constant load of
 * new flows: what berthd does with the result, and then until each worker has completed a burst (the XDP program: a
 * packet) that began later. After that, not one new flow may go to the backend.
 */
#include <libgen.h>
#include <limits.h>
#include <unistd.h>

#include "controlplane/tables/counters.h"
#include "tests/bench/support/bench.h"
#include "tests/bench/support/fleet.h"
#include "tests/bench/support/rig.h"
#include "tests/diff/loaded.h"

enum {
	VERDICTS = 200,
	QUICK_VERDICTS = 50,
	XDP_BACKENDS = 8,
	XDP_ROUND = 64, /* new flows, enough for each of eight backends to get some */
	LOOPBACK = 1,	/* the ingress interface of a test run */
};

/* An engine under load. `backend` is an index from 0, modulo the number of backends. */
struct target {
	void *of;
	void (*report)(void *of, uint32_t backend,
		       bool up);			   /* what berthd does with the result of a health check */
	void (*await)(void *of);			   /* until all bursts that had begun have ended */
	void (*await_round)(void *of);			   /* until a backend that is up has got new flows */
	uint64_t (*new_flows)(void *of, uint32_t backend); /* new flows of a backend so far */
};

static void measure(const char *id, const char *late_id, const struct target *target, uint32_t verdicts)
{
	static double ms[VERDICTS];
	struct bench_row row = {.id = id, .unit = "ms", .goal_kind = BENCH_AT_MOST, .goal = 1};
	struct bench_row late = {.id = late_id, .unit = "flows", .goal_kind = BENCH_AT_MOST};
	uint64_t while_up = 0;
	for (uint32_t i = 0; i < verdicts; i++) {
		double start = bench_now_ns();
		target->report(target->of, i, false);
		target->await(target->of);
		ms[i] = (bench_now_ns() - start) / 1e6;
		uint64_t before = target->new_flows(target->of, i);
		target->await_round(target->of);
		late.value += (double)(target->new_flows(target->of, i) - before);
		target->report(target->of, i, true);
		before = target->new_flows(target->of, i);
		target->await_round(target->of);
		while_up += target->new_flows(target->of, i) - before;
	}
	if (!while_up) {
		fprintf(stderr, "%s: no new flow came to backends that were up: nothing was measured\n", id);
		exit(1);
	}
	row.value = bench_median(ms, (int)verdicts);
	bench_print(&row);
	bench_print(&late);
}

/* --- dpdk: the fleet's workers --- */

static struct berth_model_backend *fleet_backend(struct fleet *fleet, uint32_t backend)
{
	struct berth_model_service *service = &fleet->model.services[backend * 7 % FLEET_SERVICES];
	return &service->backends[backend % FLEET_BACKENDS];
}

/* As the daemon does with a result (controlplane/daemon). */
static void fleet_report(void *of, uint32_t backend, bool up)
{
	struct fleet *fleet = of;
	uint64_t id = fleet_backend(fleet, backend)->id;
	struct berth_model_backend *found = berth_model_backend_by_id(&fleet->model, id, NULL);
	found->health = up ? BERTH_HEALTH_UP : BERTH_HEALTH_DOWN;
	berth_publish_eligibility(fleet->publisher, found->number, berth_model_eligibility(found));
}

static void fleet_await(void *of)
{
	fleet_await_bursts(of, 1);
}

static void fleet_await_round(void *of)
{
	/* The new flows of a service spread over ten backends. */
	fleet_await_bursts(of, 4 * FLEET_ROUND);
}

static uint64_t fleet_new_flows(void *of, uint32_t backend)
{
	struct fleet *fleet = of;
	struct berth_tally tally;
	berth_counters_backend(&fleet->engine.image, fleet_backend(fleet, backend)->number, &tally);
	return tally.flows;
}

static void measure_dpdk(uint32_t verdicts)
{
	static struct fleet fleet;
	const struct target target = {
		.of = &fleet,
		.report = fleet_report,
		.await = fleet_await,
		.await_round = fleet_await_round,
		.new_flows = fleet_new_flows,
	};
	fleet_make(&fleet);
	fleet_start(&fleet);
	measure("down.detect.dpdk", "down.detect.dpdk.late", &target, verdicts);
	fleet_stop(&fleet);
	fleet_drop(&fleet);
}

/* --- xdp: the program in test runs of the kernel, one packet each --- */

struct xdp {
	struct loaded berth;
	struct rig rig; /* its image is in the maps of the program */
	struct berth_engine engine;
	struct berth_publisher *publisher;
	pthread_t thread;
	bool stop;
	uint64_t packets;
	uint64_t to[XDP_BACKENDS + 1]; /* new flows by backend number */
};

static const struct berth_backend *xdp_backends(const struct xdp *xdp)
{
	const struct berth_image *image = &xdp->rig.image;
	return berth_image_current(image).backends;
}

/* Each packet starts a new flow. */
static void *xdp_work(void *arg)
{
	struct xdp *xdp = arg;
	const struct berth_backend *backends = xdp_backends(xdp);
	uint8_t frame[RIG_FRAME_BYTES], out[256];
	for (uint32_t i = 0; !BERTH_LOAD(&xdp->stop); i++) {
		uint32_t bytes = sizeof(out);
		uint32_t length = rig_frame(&xdp->rig, i, BERTH_TCP_SYN, frame);
		int action = run_program(&xdp->berth, frame, length, LOOPBACK, out, &bytes);
		if (action != XDP_TX)
			die("the program did not send a packet", EPROTO);
		for (uint32_t n = 1; n <= XDP_BACKENDS; n++)
			if (memcmp(out, backends[n].dst_mac, sizeof(backends[n].dst_mac)) == 0)
				BERTH_STORE(&xdp->to[n], xdp->to[n] + 1);
		BERTH_STORE(&xdp->packets, xdp->packets + 1);
	}
	return NULL;
}

static void xdp_report(void *of, uint32_t backend, bool up)
{
	struct xdp *xdp = of;
	berth_publish_eligibility(xdp->publisher, 1 + backend % XDP_BACKENDS, up ? BERTH_ELIGIBLE_ALL : 0);
}

static void xdp_await_packets(const struct xdp *xdp, uint64_t packets)
{
	/* Two rounds: the first that ends may have begun before the call. */
	uint64_t until = BERTH_LOAD(&xdp->packets) + packets + 1;
	while (BERTH_LOAD(&xdp->packets) < until)
		__builtin_ia32_pause();
}

static void xdp_await(void *of)
{
	xdp_await_packets(of, 1);
}

static void xdp_await_round(void *of)
{
	xdp_await_packets(of, 4 * XDP_ROUND);
}

static uint64_t xdp_new_flows(void *of, uint32_t backend)
{
	struct xdp *xdp = of;
	return BERTH_LOAD(&xdp->to[1 + backend % XDP_BACKENDS]);
}

static void xdp_object(char path[PATH_MAX])
{
	char self[PATH_MAX] = "";
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		die("/proc/self/exe", errno);
	if (snprintf(path, PATH_MAX, "%s/../../bpf/berth_xdp.bpf.o", dirname(self)) >= PATH_MAX)
		die("berth_xdp.bpf.o", ENAMETOOLONG);
}

static void measure_xdp(uint32_t verdicts, const char *path)
{
	static struct xdp xdp = {.rig.options = {.mode = "l2", .flows = 1 << 20}};
	const struct target target = {
		.of = &xdp,
		.report = xdp_report,
		.await = xdp_await,
		.await_round = xdp_await_round,
		.new_flows = xdp_new_flows,
	};
	struct berth_geometry geometry = rig_geometry(&xdp.rig.options, (uint32_t)libbpf_num_possible_cpus());
	load_program(&xdp.berth, path, &geometry);
	xdp.rig.service = rig_publish(&xdp.rig.options, &xdp.berth.image);
	xdp.rig.image = xdp.engine.image = xdp.berth.image;
	xdp.publisher = berth_publisher_new(&xdp.engine);
	fleet_pin(pthread_self(), 0);
	if (!xdp.publisher || pthread_create(&xdp.thread, NULL, xdp_work, &xdp))
		die("a thread", ENOMEM);
	fleet_pin(xdp.thread, 1);
	measure("down.detect.xdp", "down.detect.xdp.late", &target, verdicts);
	BERTH_STORE(&xdp.stop, true);
	pthread_join(xdp.thread, NULL);
	berth_publisher_free(xdp.publisher);
	bpf_object__close(xdp.berth.object);
}

/* down [--quick] [--objects FOLDER] [ID-PREFIX]...: FOLDER has berth's BPF objects; by default they are where the
 * build puts them. */
int main(int argc, char **argv)
{
	char object[PATH_MAX];
	uint32_t verdicts = VERDICTS;
	xdp_object(object);
	for (; argc > 1 && argv[1][0] == '-'; argc--, argv++) {
		if (strcmp(argv[1], "--quick") == 0)
			verdicts = QUICK_VERDICTS;
		if (strcmp(argv[1], "--objects") == 0 && argc > 2) {
			snprintf(object, sizeof(object), "%s/berth_xdp.bpf.o", argv[2]);
			argc--;
			argv++;
		}
	}
	if (bench_wanted(argc, argv, "down.detect.dpdk"))
		measure_dpdk(verdicts);
	if (bench_wanted(argc, argv, "down.detect.xdp"))
		measure_xdp(verdicts, object);
	return 0;
}
