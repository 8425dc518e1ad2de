// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/dpdk/pipeline_stages.h"

uint64_t bench_stage_cycles[BENCH_STAGES];
uint64_t bench_stage_began;

#define BERTH_PIPELINE_RUN bench_pipeline_stages
#define BERTH_PIPELINE_STAGE(stage) bench_stage_end(BENCH_STAGE_##stage)
#include "dataplane/pipeline.c"
