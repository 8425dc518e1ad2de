// SPDX-License-Identifier: BSD-3-Clause
#include "tests/diff/engine.h"

#include <sched.h>

#include "tests/diff/world.h"

uint32_t engine_worker;

static void pin_to_this_cpu(void)
{
	int cpu = sched_getcpu();
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (cpu < 0 || sched_setaffinity(0, sizeof(set), &set)) {
		perror("pinning to a CPU");
		exit(1);
	}
	engine_worker = (uint32_t)cpu;
}

uint32_t engines_open(struct engine engines[ENGINES_MAX], const char *object)
{
	struct berth_geometry geometry = world_geometry;
	uint32_t n = 0;
#ifdef BERTH_TEST_DPDK
	engine_dpdk_start();
#endif
	pin_to_this_cpu();
	geometry.workers = engine_worker + 1;
	engine_host_open(&engines[n++], &geometry);
#ifdef BERTH_TEST_DPDK
	engine_dpdk_open(&engines[n++], &geometry);
#endif
	engine_xdp_open(&engines[n++], &geometry, object);
	return n;
}

void engines_close(struct engine *engines, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		engines[i].close(&engines[i]);
}

/* The verdict of the one packet that was counted between `before` and now. */
static enum berth_verdict counted_between(const struct berth_worker *before, const struct berth_worker *after)
{
	enum berth_verdict found = BERTH_NO_VERDICT;
	if (after->received != before->received + 1)
		return BERTH_NO_VERDICT;
	for (uint32_t v = 0; v < sizeof(before->verdict) / sizeof(before->verdict[0]); v++) {
		if (after->verdict[v] == before->verdict[v])
			continue;
		if (found != BERTH_NO_VERDICT || after->verdict[v] != before->verdict[v] + 1)
			return BERTH_NO_VERDICT;
		found = (enum berth_verdict)v;
	}
	return found;
}

void engine_run(struct engine *engine, const struct sent *sent, struct engine_outcome *outcome)
{
	const struct berth_worker *worker = &engine->image.workers[engine_worker];
	const struct berth_worker before = *worker;
	outcome->port = 0;
	outcome->bytes = 0;
	engine->run(engine, sent, outcome);
	outcome->verdict = counted_between(&before, worker);
	/* A frame that leaves by its ingress port may be an answer: only the verdict shows it. */
	if (outcome->class == BERTH_CLASS_FORWARD && outcome->port == 0 &&
	    BERTH_VERDICT_CLASS(outcome->verdict) == BERTH_CLASS_ANSWER)
		outcome->class = BERTH_CLASS_ANSWER;
}
