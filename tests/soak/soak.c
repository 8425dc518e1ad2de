// SPDX-License-Identifier: BSD-3-Clause
/*
 * soak OBJECT --engine xdp|dpdk [--flows N] [--seed S] [--seconds T] [--live L] [--room R] [--ramp]
 *
 * Sends N flows through an engine while servers go down, flap and return, are drained, removed and added, weights
 * and timeouts change, berthd and the engine restart, and scans run. The oracle follows every packet and counts the
 * flows of each server. Ends with one line of findings; the exit status is not 0 if a change of backend was
 * unexplained or a server got flows beyond its bound.
 *
 * The oracle checks each packet against the counters, so that packets go through the engines one by one, through
 * XDP with a test-run each (`repeat` would send the same packet again). The test-run costs 2.5 us of the 3.4 us per
 * packet (DPDK: 0.9 us; 2 us in long runs, when the oracle's tables exceed the caches). 10^7 flows are 70 million
 * packets.
 *
 * With --ramp nothing fails: 24 servers become 30 and then 22, and no connection that could be kept may break.
 */
#include <getopt.h>

#include "tests/soak/chaos.h"
#include "tests/soak/traffic.h"
#include "tests/support/progress.h"

enum {
	GAP = 3,      /* mean seconds between two packets of a flow */
	EVENTS = 2,   /* mean number of events a second */
	COMMANDS = 8, /* mean number of commands on sessions a second */
	RAMP_FIRST = 24,
	RAMP_MOST = 30,
	RAMP_LAST = 22,
	RAMP_SECONDS = 60,	/* length of each step */
	RAMP_ALL_SECONDS = 280, /* about */
};

struct soak_options {
	const char *engine;
	uint64_t flows;
	uint64_t seed;
	double seconds; /* 0: no limit */
	uint32_t live;
	uint32_t room; /* capacity of the table in percent of the live flows */
	bool ramp;
};

struct soak {
	struct soak_options options;
	struct soak_world world;
	struct soak_traffic *traffic;
	struct progress progress;
	uint32_t simulated; /* seconds */
	double end;
};

/* One second of packets and events. */
static void run_second(struct soak *soak)
{
	struct soak_world *world = &soak->world;
	const uint32_t packets = soak->options.live / GAP + 1;
	const uint32_t slices = 8;
	soak_set_time(world, world->now + 1);
	if (world->chaotic)
		soak_probe(world);
	for (uint32_t i = 0; i < packets; i++) {
		if (!soak_traffic_step(soak->traffic)) {
			progress_clear(&soak->progress);
			soak_report_finding(world);
		}
		if (world->dirty && random_one_in(&world->random, 500))
			soak_publish(world);
		if (i % (packets / slices + 1) == 0)
			soak_scan(world);
		if (world->chaotic && random_one_in(&world->random, packets / EVENTS))
			soak_chaos(world);
		if (world->chaotic && random_one_in(&world->random, packets / COMMANDS))
			soak_operate_on_sessions(world);
		if (world->chaotic && random_one_in(&world->random, 2000))
			soak_change_worker(world);
	}
	oracle_second(world->oracle, soak->options.live);
	soak->simulated++;
	if (soak->options.ramp)
		progress_show(&soak->progress, "seconds simulated", soak->simulated, RAMP_ALL_SECONDS, 0);
	else
		progress_show(&soak->progress, "flows", (double)soak_traffic_begun(soak->traffic),
			      (double)soak->options.flows, soak->options.seconds);
}

static bool has_more(const struct soak *soak)
{
	return soak_traffic_begun(soak->traffic) < soak->options.flows &&
	       (soak->options.seconds <= 0 || progress_now_s() < soak->end);
}

static void run_chaos(struct soak *soak)
{
	soak->world.chaotic = true;
	while (has_more(soak))
		run_second(soak);
}

static void run_seconds(struct soak *soak, uint32_t seconds)
{
	for (uint32_t i = 0; i < seconds; i++)
		run_second(soak);
}

static bool is_drained(const struct soak_world *world)
{
	uint64_t flows = 0;
	for (uint32_t i = 0; i < world->n_services; i++)
		for (uint32_t j = RAMP_LAST; j < RAMP_MOST; j++)
			flows += soak_flows_of(world, i, j);
	return flows == 0;
}

/* 24 servers, then 30, then 22: eight are drained, and removed when they have no flow left. */
static void run_ramp(struct soak *soak)
{
	struct soak_world *world = &soak->world;
	run_seconds(soak, RAMP_SECONDS);
	for (uint32_t i = 0; i < world->n_services; i++)
		for (uint32_t j = RAMP_FIRST; j < RAMP_MOST; j++)
			world->services[i].server[j].present = true;
	soak_apply(world);
	soak_probe(world);
	run_seconds(soak, RAMP_SECONDS);
	for (uint32_t i = 0; i < world->n_services; i++)
		for (uint32_t j = RAMP_LAST; j < RAMP_MOST; j++)
			soak_administer(world, i, j, BERTH_ADMIN_FLOWS_ONLY);
	run_seconds(soak, RAMP_SECONDS);
	while (!is_drained(world))
		run_second(soak);
	for (uint32_t i = 0; i < world->n_services; i++)
		for (uint32_t j = RAMP_LAST; j < RAMP_MOST; j++)
			world->services[i].server[j].present = false;
	soak_apply(world);
	run_seconds(soak, RAMP_SECONDS / 2);
}

static void print_reasons(const char *what, const uint64_t count[ORACLE_REASON_COUNT])
{
	uint64_t all = 0;
	for (uint32_t i = 0; i < ORACLE_REASON_COUNT; i++)
		all += count[i];
	printf("; %s %llu", what, (unsigned long long)all);
	const char *between = " (";
	for (uint32_t i = 0; i < ORACLE_REASON_COUNT; i++) {
		if (!count[i])
			continue;
		printf("%s%s %llu", between, oracle_reason_name((enum oracle_reason)i),
		       (unsigned long long)count[i]);
		between = ", ";
	}
	printf("%s", all ? ")" : "");
}

static void print_bounds(const struct oracle_findings *found)
{
	printf("; %llu measures of bounds, %llu flows spilled", (unsigned long long)found->measures,
	       (unsigned long long)found->spilled);
	for (uint32_t i = ORACLE_WITHIN + 1; i < ORACLE_ALLOWANCE_COUNT; i++)
		printf(", %llu %s", (unsigned long long)found->allowance[i],
		       oracle_allowance_name((enum oracle_allowance)i));
	printf(", %llu beyond a bound", (unsigned long long)found->beyond);
}

static int report(const struct soak *soak, double seconds)
{
	const struct oracle_findings *found = oracle_findings(soak->world.oracle);
	const struct soak_world *world = &soak->world;
	printf("%s%s: %llu flows, %llu packets, %u s simulated, %llu actions, %llu publications, %llu restarts, "
	       "%llu scans",
	       soak->options.engine, soak->options.ramp ? " ramp" : "", (unsigned long long)found->flows,
	       (unsigned long long)found->packets, world->now - SOAK_START, (unsigned long long)world->actions,
	       (unsigned long long)world->publications, (unsigned long long)world->restarts,
	       (unsigned long long)world->scans);
	print_reasons("flows moved", found->moves);
	print_reasons("sessions moved", found->session_moves);
	print_reasons("broken", found->broken);
	print_bounds(found);
	printf("; %llu broken avoidable, %llu unavoidable, peak %.3f%%/s; plain modulo would have broken %llu "
	       "more, peak %.2f%%/s, plain maglev %llu, peak %.2f%%/s; %llu unexplained; seed %llu, %.1f s\n",
	       (unsigned long long)found->broken_avoidable, (unsigned long long)found->broken_unavoidable,
	       100 * found->peak, (unsigned long long)found->plain_broken[ORACLE_MODULO],
	       100 * found->plain_peak[ORACLE_MODULO], (unsigned long long)found->plain_broken[ORACLE_PLAIN_MAGLEV],
	       100 * found->plain_peak[ORACLE_PLAIN_MAGLEV], (unsigned long long)found->unexplained,
	       (unsigned long long)soak->options.seed, seconds);
	return found->unexplained || found->beyond || (soak->options.ramp && found->broken_avoidable != 0);
}

static bool read_options(struct soak_options *options, int argc, char **argv)
{
	static const struct option names[] = {
		{"engine", required_argument, NULL, 'e'}, {"flows", required_argument, NULL, 'f'},
		{"seed", required_argument, NULL, 's'},	  {"seconds", required_argument, NULL, 't'},
		{"live", required_argument, NULL, 'l'},	  {"room", required_argument, NULL, 'm'},
		{"ramp", no_argument, NULL, 'r'},	  {0},
	};
	for (int c = getopt_long(argc, argv, "", names, NULL); c != -1;
	     c = getopt_long(argc, argv, "", names, NULL)) {
		if (c == 'e')
			options->engine = optarg;
		else if (c == 'f')
			options->flows = strtoull(optarg, NULL, 0);
		else if (c == 's')
			options->seed = strtoull(optarg, NULL, 0);
		else if (c == 't')
			options->seconds = strtod(optarg, NULL);
		else if (c == 'l')
			options->live = (uint32_t)strtoul(optarg, NULL, 0);
		else if (c == 'm')
			options->room = (uint32_t)strtoul(optarg, NULL, 0);
		else if (c == 'r')
			options->ramp = true;
		else
			return false;
	}
	return optind == argc - 1 && options->live > 0 && options->flows > 0;
}

int main(int argc, char **argv)
{
	static struct soak soak = {
		.options = {.engine = "xdp", .flows = 100000, .seed = 1, .live = 20000, .room = 300}};
	struct soak_options *options = &soak.options;
	if (!read_options(options, argc, argv)) {
		fprintf(stderr,
			"usage: soak OBJECT --engine xdp|dpdk [--flows N] [--seed S] [--seconds T] [--live L] "
			"[--room PERCENT] [--ramp]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	double start = progress_now_s();
	soak.end = start + options->seconds;
	if (options->ramp)
		soak_services_ramp(&soak.world, RAMP_FIRST);
	else
		soak_services_chaos(&soak.world);
	uint32_t flows = (uint32_t)((uint64_t)options->live * options->room / 100);
	soak_open(&soak.world, options->engine, argv[optind], flows, 2 * options->live, options->seed);
	soak.traffic = soak_traffic_new(&soak.world, options->live, options->seed);
	if (options->ramp)
		run_ramp(&soak);
	else
		run_chaos(&soak);
	progress_clear(&soak.progress);
	int status = report(&soak, progress_now_s() - start);
	soak_traffic_free(soak.traffic);
	soak_close(&soak.world);
	return status;
}
