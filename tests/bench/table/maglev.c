// SPDX-License-Identifier: BSD-3-Clause
/*
 * Building a selection table: berth's (weights, primary and alternate, from the names on) against the algorithm of
 * the Maglev paper (NSDI'16, section 3.4, pseudocode 1), which fills primaries only, from a table of permutations.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/compile/maglev.h"
#include "tests/bench/support/bench.h"

enum {
	BACKENDS = 1000,
	ROWS = 65537,
	FREE = UINT16_MAX,
};

struct build {
	struct berth_maglev_backend backends[BACKENDS];
	char names[BACKENDS][16];
	struct berth_row rows[ROWS];
	uint32_t *permutation; /* ROWS entries per backend */
	uint32_t next[BACKENDS];
	uint16_t entry[ROWS];
};

static void build_make(struct build *build)
{
	for (uint32_t i = 0; i < BACKENDS; i++) {
		snprintf(build->names[i], sizeof(build->names[i]), "b%u", i + 1);
		build->backends[i] = (struct berth_maglev_backend){
			.name = build->names[i],
			.weight = 1 + i % 4,
			.number = (uint16_t)(i + 1),
			.is_eligible = true,
		};
	}
}

static double ours(void *arg)
{
	struct build *build = arg;
	double start = bench_now_ns();
	if (berth_maglev_build(build->rows, ROWS, build->backends, BACKENDS, 1))
		abort();
	return bench_now_ns() - start;
}

/* Any hash: it is not measured. */
static uint32_t mix(uint32_t x, uint32_t seed)
{
	x = (x ^ seed) * 0x9e3779b1u;
	x = (x ^ x >> 15) * 0x85ebca77u;
	return x ^ x >> 13;
}

static void permute(struct build *build)
{
	for (uint32_t i = 0; i < BACKENDS; i++) {
		uint64_t offset = mix(i, 1) % ROWS;
		uint64_t skip = mix(i, 2) % (ROWS - 1) + 1;
		uint32_t *permutation = &build->permutation[(size_t)i * ROWS];
		for (uint32_t j = 0; j < ROWS; j++)
			permutation[j] = (uint32_t)((offset + j * skip) % ROWS);
	}
}

/* Each backend takes as many rows per turn as its weight. */
static void populate(struct build *build)
{
	uint32_t taken = 0;
	memset(build->next, 0, sizeof(build->next));
	for (uint32_t j = 0; j < ROWS; j++)
		build->entry[j] = FREE;
	for (;;) {
		for (uint32_t i = 0; i < BACKENDS; i++) {
			const uint32_t *permutation = &build->permutation[(size_t)i * ROWS];
			for (uint32_t turn = 0; turn < build->backends[i].weight; turn++) {
				uint32_t row = permutation[build->next[i]];
				while (build->entry[row] != FREE)
					row = permutation[++build->next[i]];
				build->entry[row] = (uint16_t)i;
				build->next[i]++;
				if (++taken == ROWS)
					return;
			}
		}
	}
}

/* Including the permutations, as for new backends. */
static double paper(void *arg)
{
	double start = bench_now_ns();
	permute(arg);
	populate(arg);
	return bench_now_ns() - start;
}

/* With the permutations of an earlier build (262 MB): only the filling. */
static double paper_kept(void *arg)
{
	double start = bench_now_ns();
	populate(arg);
	return bench_now_ns() - start;
}

static void measure(struct build *build, const char *id, const char *baseline, bench_fn *fn,
		    enum bench_goal goal_kind)
{
	struct bench_row row = {
		.id = id,
		.unit = "ms",
		.baseline = baseline,
		.goal_kind = goal_kind,
		.goal = 1,
	};
	bench_pairs(&row, ours, build, fn, build);
	row.value /= 1e6;
	row.baseline_value /= 1e6;
	bench_print(&row);
}

int main(int argc, char **argv)
{
	static struct build build;
	bench_quick(&argc, &argv); /* always quick */
	uint64_t bytes = (uint64_t)BACKENDS * ROWS * sizeof(*build.permutation);
	build_make(&build);
	build.permutation = bench_memory(bytes);
	permute(&build);
	if (bench_wanted(argc, argv, "maglev.build"))
		measure(&build, "maglev.build", "the paper's algorithm", paper, BENCH_AT_LEAST);
	if (bench_wanted(argc, argv, "maglev.build.kept"))
		measure(&build, "maglev.build.kept", "its filling alone, permutations kept", paper_kept,
			BENCH_NO_GOAL);
	bench_release(build.permutation, bytes);
	return 0;
}
