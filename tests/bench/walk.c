// SPDX-License-Identifier: BSD-3-Clause
/*
 * The control plane's walk over a table of 50,331,648 flows (67 M slots): how long a whole pass takes, and what it
 * takes from a worker that looks flows up in the same table on another core meanwhile.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/walk.h"
#include "tests/bench/bench.h"
#include "tests/bench/rig.h"

static inline bool berth_frame_push(struct berth_frame *frame, uint32_t bytes)
{
	(void)frame;
	(void)bytes;
	return false;
}

#include "dataplane/core/stages.h"

enum {
	FLOWS = 50331648, /* three quarters of a power of two */
	BURST = 32,
	DRAWN = 1 << 12, /* lookups at a time; their packets stay in the L2 cache, as if just received */
	ROUNDS = 256,	 /* of them a measurement */
	SLICE = 4096,	 /* buckets a step */
};

struct setup {
	struct rig *rig;
	struct berth_walk *walk;
	struct berth_packet *packets;
	uint64_t seed;
	uint64_t misses;
	bool walking; /* written by the measuring thread, read by the walker */
	bool ended;
	uint64_t passes;
};

/* On `core` of those that the process may run on, counted round. */
static void pin(int core)
{
	cpu_set_t all, one;
	sched_getaffinity(0, sizeof(all), &all);
	core %= CPU_COUNT(&all);
	CPU_ZERO(&one);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &all) && core-- == 0)
			CPU_SET(i, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

static double walk_once(void *arg)
{
	struct setup *setup = arg;
	double start = bench_cpu_ns();
	while (!berth_walk_step(setup->walk, SLICE, RIG_NOW + 1))
		;
	return bench_cpu_ns() - start;
}

static double nothing(void *arg)
{
	(void)arg;
	return 1;
}

/* Every flow stands, and is counted: or something else was measured. */
static void check_counts(const struct setup *setup)
{
	uint64_t flows, sessions, sum = 0;
	berth_walk_totals(setup->walk, &flows, &sessions);
	for (uint32_t i = 0; i < setup->rig->image.geometry.backends; i++)
		sum += berth_walk_flows(setup->walk, i);
	if (flows == sum && flows <= FLOWS && flows >= FLOWS / 100 * 99)
		return;
	fprintf(stderr, "walk: %llu flows were found, %llu of backends, instead of %d\n", (unsigned long long)flows,
		(unsigned long long)sum, FLOWS);
	exit(1);
}

int main(int argc, char **argv)
{
	(void)argc; (void)argv;
	const struct rig_options options = {.mode = "l2", .flows = FLOWS};
	double t=bench_now_ns();
	struct setup setup = {.rig = rig_new(&options), .packets = bench_memory(DRAWN*sizeof(struct berth_packet)), .seed = 88172645463325252};
	fprintf(stderr,"fill %g s\n",(bench_now_ns()-t)/1e9);
	setup.walk = berth_walk_new(&setup.rig->image);
	pin(0);
	for(int i=0;i<5;i++) fprintf(stderr,"walk %g s\n",walk_once(&setup)/1e9);
	check_counts(&setup);
	(void)nothing;
}
