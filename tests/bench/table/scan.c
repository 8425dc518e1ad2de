// SPDX-License-Identifier: BSD-3-Clause
/*
 * The scan of a table with 50,331,648 flows (67 M words) by the control plane: the time of a full pass, and what
 * continuous passes cost a worker that looks flows up in the same table on another core.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/tables/scan.h"
#include "tests/bench/support/bench.h"
#include "tests/bench/support/rig.h"

enum {
	FLOWS = 50331648, /* three quarters of a power of two */
	DRAWN = 1 << 12,  /* lookups per round; their packets stay in the L2 cache, as if just received */
	ROUNDS = 512,	  /* per measurement */
	SLICE = 16384,	  /* buckets per step, as in berthd */
	NAP_US = 100,	  /* sleep of a paused scanner */
};

struct setup {
	struct rig *rig;
	struct berth_scan *scan;
	struct berth_packet *packets;
	uint64_t seed;
	uint64_t lookups;
	uint64_t misses;
	cpu_set_t cores;
	/* Shared by the measuring thread and the scanner. */
	bool scanning;
	bool ended;
	uint64_t steps;
	uint64_t beside; /* scan steps during lookups */
};

/* Binds a thread to the n-th core of the process, modulo their number. */
static void pin(const cpu_set_t *cores, int n)
{
	cpu_set_t one;
	CPU_ZERO(&one);
	n %= CPU_COUNT(cores);
	for (size_t i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, cores) && n-- == 0)
			CPU_SET(i, &one);
	pthread_setaffinity_np(pthread_self(), sizeof(one), &one);
}

static double pass(void *arg)
{
	struct setup *setup = arg;
	double start = bench_cpu_ns();
	while (!berth_scan_step(setup->scan, SLICE, RIG_NOW + 1))
		;
	return bench_cpu_ns() - start;
}

static double nothing(void *arg)
{
	(void)arg;
	return 1;
}

/* Checks that the scan found every flow with a backend. (One in 500 had no room in the table.) */
static void check_counts(const struct setup *setup)
{
	uint64_t flows, sessions, sum = 0;
	berth_scan_totals(setup->scan, &flows, &sessions);
	for (uint32_t i = 0; i < setup->rig->image.geometry.backends; i++)
		sum += berth_scan_flows(setup->scan, i);
	if (flows == sum && flows <= FLOWS && flows >= FLOWS / 100 * 99)
		return;
	fprintf(stderr, "scan: %llu flows were found, %llu of backends, instead of %d\n", (unsigned long long)flows,
		(unsigned long long)sum, FLOWS);
	exit(1);
}

static void measure_pass(struct setup *setup)
{
	struct bench_row row = {
		.id = "scan.50m",
		.unit = "s",
		.goal_kind = BENCH_AT_MOST,
		.goal = 1,
	};
	bench_pairs(&row, pass, setup, nothing, NULL);
	row.value /= 1e9;
	check_counts(setup);
	bench_print(&row);
}

/* --- cost for a worker --- */

static void *scan_continuously(void *arg)
{
	struct setup *setup = arg;
	pin(&setup->cores, 1);
	while (!BERTH_LOAD(&setup->ended)) {
		if (!BERTH_LOAD(&setup->scanning)) {
			usleep(NAP_US);
			continue;
		}
		berth_scan_step(setup->scan, SLICE, RIG_NOW + 1);
		BERTH_STORE(&setup->steps, setup->steps + 1);
	}
	return NULL;
}

static double look_up(struct setup *setup)
{
	for (uint32_t i = 0; i < DRAWN; i++)
		rig_packet(setup->rig, rig_random_below(&setup->seed, FLOWS), &setup->packets[i]);
	double start = bench_cpu_ns();
	setup->misses += rig_look_up(setup->rig, setup->packets, DRAWN);
	setup->lookups += DRAWN;
	return (bench_cpu_ns() - start) / DRAWN;
}

static double alone(void *arg)
{
	double sum = 0;
	for (int i = 0; i < ROUNDS; i++)
		sum += look_up(arg);
	return sum / ROUNDS;
}

/* Lookups during as many passes as the time allows. */
static double beside_walk(void *arg)
{
	struct setup *setup = arg;
	uint64_t before = BERTH_LOAD(&setup->steps);
	BERTH_STORE(&setup->scanning, true);
	while (BERTH_LOAD(&setup->steps) == before)
		usleep(NAP_US);
	before = BERTH_LOAD(&setup->steps);
	double ns = alone(setup);
	setup->beside += BERTH_LOAD(&setup->steps) - before;
	BERTH_STORE(&setup->scanning, false);
	usleep(10 * NAP_US);
	return ns;
}

/* Checks that the lookups found their flows and the scan ran meanwhile. */
static void check_slowdown(const struct setup *setup)
{
	if (setup->misses * 100 > setup->lookups) {
		fprintf(stderr, "scan.slowdown: %llu of %llu lookups missed\n", (unsigned long long)setup->misses,
			(unsigned long long)setup->lookups);
		exit(1);
	}
	if (setup->beside * SLICE < setup->rig->image.geometry.flow_buckets) {
		fprintf(stderr,
			"scan.slowdown: no full pass during the lookups; the scan needs a core of its own\n");
		exit(1);
	}
}

static void measure_slowdown(struct setup *setup)
{
	struct bench_row row = {
		.id = "scan.slowdown",
		.unit = "M/s",
		.baseline = "the same lookups without a scan",
		.goal_kind = BENCH_AT_LEAST,
		.goal = 0.95,
	};
	pthread_t scanner;
	if (pthread_create(&scanner, NULL, scan_continuously, setup)) {
		fprintf(stderr, "scan.slowdown: cannot start the scanning thread\n");
		exit(1);
	}
	bench_pairs(&row, beside_walk, setup, alone, setup);
	BERTH_STORE(&setup->ended, true);
	pthread_join(scanner, NULL);
	check_slowdown(setup);
	bench_as_rate(&row);
	bench_print(&row);
}

int main(int argc, char **argv)
{
	bench_quick(&argc, &argv); /* always quick */
	bool wants_pass = bench_wanted(argc, argv, "scan.50m");
	bool wants_slowdown = bench_wanted(argc, argv, "scan.slowdown");
	if (!wants_pass && !wants_slowdown)
		return 0;
	const struct rig_options options = {.mode = "l2", .flows = FLOWS};
	struct setup setup = {
		.rig = rig_new(&options),
		.packets = bench_memory(DRAWN * sizeof(struct berth_packet)),
		.seed = 88172645463325252,
	};
	setup.scan = berth_scan_new(&setup.rig->image);
	if (!setup.scan) {
		fprintf(stderr, "scan: out of memory\n");
		return 1;
	}
	sched_getaffinity(0, sizeof(setup.cores), &setup.cores);
	pin(&setup.cores, 0);
	if (wants_pass)
		measure_pass(&setup);
	if (wants_slowdown)
		measure_slowdown(&setup);
	berth_scan_free(setup.scan);
	bench_release(setup.packets, DRAWN * sizeof(struct berth_packet));
	rig_free(setup.rig);
	return 0;
}
