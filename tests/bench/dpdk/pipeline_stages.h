/* SPDX-License-Identifier: BSD-3-Clause */
/* The pipeline of the DPDK engine with a timestamp after each stage. */
#pragma once

#include <rte_cycles.h>
#include <stdint.h>

#include "dataplane/pipeline.h"

enum bench_stage {
	BENCH_STAGE_RECEIVE, /* parse, classify, hash, prefetch */
	BENCH_STAGE_STEER,
	BENCH_STAGE_SEND, /* settle, rewrite, count; transmit */
	BENCH_STAGES,
};

/* TSC cycles per stage; `began` is the last timestamp. */
extern uint64_t bench_stage_cycles[BENCH_STAGES];
extern uint64_t bench_stage_began;

static inline void bench_stage_end(enum bench_stage stage)
{
	const uint64_t now = rte_rdtsc();
	bench_stage_cycles[stage] += now - bench_stage_began;
	bench_stage_began = now;
}

berth_pipeline_fn bench_pipeline_stages;
