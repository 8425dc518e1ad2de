/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Measurements of two things in turn, A B A B ..., in one run, with their ratio as the median of the ratios of the
 * pairs. Each row is one line of JSON on standard output; scripts/bench collects them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	BENCH_PAIRS = 9, /* odd: the median is one of the measurements */
};

enum bench_goal {
	BENCH_NO_GOAL,
	BENCH_AT_LEAST,
	BENCH_AT_MOST,
};

/* One measurement; returns nanoseconds per unit of work. */
typedef double bench_fn(void *arg);

struct bench_row {
	const char *id;
	const char *unit;     /* of value and baseline_value */
	const char *baseline; /* what it is compared with; NULL: nothing */
	double value;
	double baseline_value;
	double ratio;
	enum bench_goal goal_kind;
	double goal;	    /* for the ratio; without a baseline, for the value */
	bool goal_of_value; /* the goal is for the value even with a baseline */
};

double bench_now_ns(void);
/* CPU time of this thread in ns: other load on the machine counts less. */
double bench_cpu_ns(void);
double bench_median(double *values, int n);

/* Fills value, baseline_value (medians, ns) and ratio = baseline ns / ours, the speed-up. */
void bench_pairs(struct bench_row *row, bench_fn *ours, void *our_arg, bench_fn *baseline, void *baseline_arg);

/* The mean of several runs; a bench_fn for bench_pairs, with a struct bench_repeat as its argument. */
struct bench_repeat {
	bench_fn *once;
	void *arg;
	int times;
};
double bench_repeat(void *arg);

/* Converts value and baseline_value from ns to M/s. */
void bench_as_rate(struct bench_row *row);

void bench_print(const struct bench_row *row);
/* A value that is compared with nothing. `goal`: at most; 0: none. */
void bench_print_value(const char *id, const char *unit, double value, double goal);

/* Whether the first argument is --quick; removes it. */
bool bench_quick(int *argc, char ***argv);
/* Whether a row is wanted: argv has prefixes of ids; none: all rows. */
bool bench_wanted(int argc, char **argv, const char *id);

/* Zeroed memory in 2 MiB pages (hugetlbfs, else transparent) if the kernel has them. Exits without memory. */
void *bench_memory(uint64_t bytes);
void bench_release(void *memory, uint64_t bytes);
