// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/support/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

static double read_clock(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

double bench_now_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

double bench_cpu_ns(void)
{
	return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

static int by_value(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return (left > right) - (left < right);
}

double bench_median(double *values, int n)
{
	qsort(values, (size_t)n, sizeof(*values), by_value);
	return values[n / 2];
}

void bench_pairs(struct bench_row *row, bench_fn *ours, void *our_arg, bench_fn *baseline, void *baseline_arg)
{
	double a[BENCH_PAIRS], b[BENCH_PAIRS], ratio[BENCH_PAIRS];
	ours(our_arg);
	baseline(baseline_arg);
	for (int i = 0; i < BENCH_PAIRS; i++) {
		a[i] = ours(our_arg);
		b[i] = baseline(baseline_arg);
		ratio[i] = b[i] / a[i];
	}
	row->value = bench_median(a, BENCH_PAIRS);
	row->baseline_value = bench_median(b, BENCH_PAIRS);
	row->ratio = bench_median(ratio, BENCH_PAIRS);
}

double bench_repeat(void *arg)
{
	const struct bench_repeat *repeat = arg;
	double sum = 0;
	for (int i = 0; i < repeat->times; i++)
		sum += repeat->once(repeat->arg);
	return sum / repeat->times;
}

void bench_as_rate(struct bench_row *row)
{
	row->value = 1e3 / row->value;
	row->baseline_value = 1e3 / row->baseline_value;
}

static const char *met(const struct bench_row *row)
{
	double figure = row->baseline && !row->goal_of_value ? row->ratio : row->value;
	if (row->goal_kind == BENCH_NO_GOAL)
		return "null";
	bool is_met = row->goal_kind == BENCH_AT_LEAST ? figure >= row->goal : figure <= row->goal;
	return is_met ? "true" : "false";
}

void bench_print(const struct bench_row *row)
{
	static const char *const goals[] = {"", "at least ", "at most "};
	printf("{\"id\": \"%s\", \"value\": %.4g, \"unit\": \"%s\"", row->id, row->value, row->unit);
	if (row->baseline)
		printf(", \"baseline\": \"%s\", \"baseline_value\": %.4g, \"ratio\": %.4g", row->baseline,
		       row->baseline_value, row->ratio);
	else
		printf(", \"baseline\": null, \"baseline_value\": null, \"ratio\": null");
	if (row->goal_kind == BENCH_NO_GOAL)
		printf(", \"goal\": null");
	else
		printf(", \"goal\": \"%s%.4g\"", goals[row->goal_kind], row->goal);
	printf(", \"met\": %s}\n", met(row));
	fflush(stdout);
}

void bench_print_value(const char *id, const char *unit, double value, double goal)
{
	const struct bench_row row = {.id = id,
				      .unit = unit,
				      .value = value,
				      .goal_kind = goal > 0 ? BENCH_AT_MOST : BENCH_NO_GOAL,
				      .goal = goal};
	bench_print(&row);
}

bool bench_quick(int *argc, char ***argv)
{
	bool quick = *argc > 1 && strcmp((*argv)[1], "--quick") == 0;
	*argc -= quick;
	*argv += quick;
	return quick;
}

bool bench_wanted(int argc, char **argv, const char *id)
{
	for (int i = 1; i < argc; i++)
		if (strncmp(id, argv[i], strlen(argv[i])) == 0)
			return true;
	return argc == 1;
}

static const uint64_t page = 2 << 20;

static uint64_t whole_pages(uint64_t bytes)
{
	return (bytes + page - 1) & ~(page - 1);
}

void *bench_memory(uint64_t bytes)
{
	bytes = whole_pages(bytes);
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (memory != MAP_FAILED)
		return memory;
	/* One page more than needed, to align the start to a huge page; the rest is unmapped. */
	uint8_t *all = mmap(NULL, bytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (all == MAP_FAILED) {
		fprintf(stderr, "out of memory: %llu MiB are needed\n", (unsigned long long)(bytes >> 20));
		exit(1);
	}
	uint8_t *at = (uint8_t *)(((uintptr_t)all + page - 1) & ~(uintptr_t)(page - 1));
	if (at > all)
		munmap(all, (size_t)(at - all));
	munmap(at + bytes, (size_t)(all + page - at));
	madvise(at, bytes, MADV_HUGEPAGE);
	return at;
}

void bench_release(void *memory, uint64_t bytes)
{
	munmap(memory, whole_pages(bytes));
}
