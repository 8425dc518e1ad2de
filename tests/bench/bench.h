/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Measuring: two things in turn, A B A B ..., in one run, and their ratio as the median of the pairs' ratios. A
 * row a line goes to standard output as JSON; scripts/bench collects them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	BENCH_PAIRS = 9, /* odd, so that the median is a measurement */
};

enum bench_goal {
	BENCH_NO_GOAL,
	BENCH_AT_LEAST,
	BENCH_AT_MOST,
};

/* Runs once; returns nanoseconds per unit of work. */
typedef double bench_fn(void *arg);

struct bench_row {
	const char *id;
	const char *unit;     /* of value and baseline_value */
	const char *baseline; /* what it is measured against; NULL: nothing */
	double value;
	double baseline_value;
	double ratio;
	enum bench_goal goal_kind;
	double goal;	    /* of the ratio; of the value where there is no baseline */
	bool goal_of_value; /* of the value though there is one */
};

double bench_now_ns(void);
/* This thread's own time: what others do on the machine meanwhile counts less. */
double bench_cpu_ns(void);
double bench_median(double *values, int n);

/* Fills value, baseline_value (medians, ns) and ratio = baseline ns / ours: how many times as fast we are. */
void bench_pairs(struct bench_row *row, bench_fn *ours, void *our_arg, bench_fn *baseline, void *baseline_arg);

/* A measurement of several runs: their mean. For bench_pairs, with a struct bench_repeat as its argument. */
struct bench_repeat {
	bench_fn *once;
	void *arg;
	int times;
};
double bench_repeat(void *arg);

/* Turns ns into M/s in value and baseline_value. */
void bench_as_rate(struct bench_row *row);

void bench_print(const struct bench_row *row);

/* Whether the first argument is --quick, which is taken away. */
bool bench_quick(int *argc, char ***argv);
/* Whether a row was asked for: argv holds prefixes of ids, or nothing for all. */
bool bench_wanted(int argc, char **argv, const char *id);

/* Zeroed memory in 2 MiB pages where the kernel gives them (hugetlbfs, else transparent). Aborts without. */
void *bench_memory(uint64_t bytes);
void bench_release(void *memory, uint64_t bytes);
