// SPDX-License-Identifier: BSD-3-Clause
/*
 * The time until a change is in force: the weight of one backend in 1,000 services, from the parsed configuration
 * until the last worker reads it, under load. And the time to parse such a configuration.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/config/parse.h"
#include "tests/bench/support/bench.h"
#include "tests/bench/support/fleet.h"

enum {
	CHANGES = 1000,
	QUICK_CHANGES = 200,
	PARSES = 5,
};

/* Milliseconds from the new configuration until every worker reads it. */
static double change_one(struct fleet *fleet, int i)
{
	char error[BERTH_ERROR_BYTES] = "";
	struct berth_config *config = berth_config_copy_configured(fleet->model.config);
	uint32_t *weight = &config->services[i % FLEET_SERVICES].backends[i % FLEET_BACKENDS].weight;
	*weight = *weight == 100 ? 200 : 100;
	double start = bench_now_ns();
	if (berth_model_apply(&fleet->model, config, error)) {
		fprintf(stderr, "control: %s\n", error);
		exit(1);
	}
	fleet_publish(fleet);
	fleet_await_seen(fleet);
	return (bench_now_ns() - start) / 1e6;
}

static void print_ms(const char *id, double ms, enum bench_goal goal_kind, double goal)
{
	const struct bench_row row = {.id = id, .unit = "ms", .value = ms, .goal_kind = goal_kind, .goal = goal};
	bench_print(&row);
}

static void print_packets(const char *id, uint64_t count)
{
	const struct bench_row row = {
		.id = id, .unit = "packets", .value = (double)count, .goal_kind = BENCH_AT_MOST};
	bench_print(&row);
}

static void measure_changes(int changes)
{
	static struct fleet fleet;
	static double ms[CHANGES];
	uint64_t lost = 0, moved = 0;
	fleet_make(&fleet);
	fleet_start(&fleet);
	for (int i = 0; i < changes; i++)
		ms[i] = change_one(&fleet, i);
	fleet_stop(&fleet);
	for (uint32_t w = 0; w < fleet.n_workers; w++) {
		lost += fleet.workers[w].lost;
		moved += fleet.workers[w].moved;
	}
	/* (bench_median sorts.) */
	double median = bench_median(ms, changes);
	print_ms("publish.one_of_1000", median, BENCH_AT_MOST, 5);
	print_ms("publish.one_of_1000.p99", ms[changes * 99 / 100], BENCH_NO_GOAL, 0);
	print_packets("publish.one_of_1000.lost", lost);
	print_packets("publish.one_of_1000.moved", moved);
	fleet_drop(&fleet);
}

static void measure_parse(void)
{
	char error[BERTH_ERROR_BYTES], *text = fleet_text();
	double ms[PARSES];
	for (int i = 0; i < PARSES; i++) {
		double start = bench_now_ns();
		struct berth_config *config = berth_config_parse("fleet", text, strlen(text), error);
		ms[i] = (bench_now_ns() - start) / 1e6;
		if (!config) {
			fprintf(stderr, "control: %s\n", error);
			exit(1);
		}
		berth_config_free(config);
	}
	print_ms("publish.parse_1000", bench_median(ms, PARSES), BENCH_NO_GOAL, 0);
	free(text);
}

int main(int argc, char **argv)
{
	bool quick = bench_quick(&argc, &argv);
	if (bench_wanted(argc, argv, "publish.one_of_1000"))
		measure_changes(quick ? QUICK_CHANGES : CHANGES);
	if (bench_wanted(argc, argv, "publish.parse_1000"))
		measure_parse();
	return 0;
}
