// SPDX-License-Identifier: BSD-3-Clause
/*
 * The pipeline of the DPDK engine over mbufs, from parsing to transmission, against a loop that only exchanges the
 * link addresses of the same mbufs. 8,192 mbufs take turns; before each round their headers are drawn at random
 * from the flows, outside the measured time. Both transmit by a port that accepts all packets and does nothing.
 */
#include <pthread.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_mempool.h>
#include <rte_prefetch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/pipeline.h"
#include "tests/bench/dpdk/pipeline_stages.h"
#include "tests/bench/support/bench.h"
#include "tests/bench/support/rig.h"

enum {
	MBUFS = 8192,
	ROUNDS = 24, /* over all mbufs, per measurement */
	QUICK_ROUNDS = 4,
	QUICK_FLOWS = 1 << 24, /* larger tables take too long to fill in a quick run */
	AHEAD = 4,
	WORKERS = 2,
};

static int rounds = ROUNDS;

struct setup {
	struct rig *rig;
	struct rte_mbuf **mbufs;
	struct berth_pipeline pipeline;
	struct berth_pipeline_port port;
	uint64_t seed;
	uint32_t next_flow; /* for new flows: the number of the next one */
	uint32_t worker;
	uint8_t flags;
	bool new_flows;
};

static uint16_t port_id;

/* A transmit function that accepts all mbufs and does not free them. */
static uint16_t take_all(void *queue, struct rte_mbuf **mbufs, uint16_t n)
{
	(void)queue;
	(void)mbufs;
	return n;
}

static void make_port(void)
{
	struct rte_eth_conf conf = {0};
	if (rte_eth_dev_get_port_by_name("net_null0", &port_id) || rte_eth_dev_configure(port_id, 0, 1, &conf) ||
	    rte_eth_tx_queue_setup(port_id, 0, 512, 0, NULL) || rte_eth_dev_start(port_id)) {
		fprintf(stderr, "cannot make the null port\n");
		exit(1);
	}
	rte_eth_fp_ops[port_id].tx_pkt_burst = take_all;
}

static struct rte_mbuf **make_mbufs(const char *pool_name)
{
	struct rte_mbuf **mbufs = calloc(MBUFS, sizeof(*mbufs));
	struct rte_mempool *pool = rte_pktmbuf_pool_create(pool_name, MBUFS * 2 - 1, 0, 0,
							   RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	if (!mbufs || !pool || rte_pktmbuf_alloc_bulk(pool, mbufs, MBUFS)) {
		fprintf(stderr, "cannot make mbufs\n");
		exit(1);
	}
	return mbufs;
}

/* Writes new headers into every mbuf. */
static void draw(struct setup *setup)
{
	for (uint32_t i = 0; i < MBUFS; i++) {
		struct rte_mbuf *mbuf = setup->mbufs[i];
		rte_pktmbuf_reset(mbuf);
		uint32_t flow = setup->new_flows ? setup->next_flow++
						 : rig_random_below(&setup->seed, setup->rig->options.flows);
		uint32_t bytes = rig_frame(setup->rig, flow, setup->flags, rte_pktmbuf_mtod(mbuf, uint8_t *));
		mbuf->data_len = (uint16_t)bytes;
		mbuf->pkt_len = bytes;
	}
}

static double run_ours(void *arg)
{
	struct setup *setup = arg;
	draw(setup);
	struct berth_view view = berth_image_view(&setup->rig->image, setup->worker, RIG_NOW);
	double start = bench_cpu_ns();
	for (uint32_t i = 0; i < MBUFS; i += BERTH_BURST) {
		/* Each flow in the sample of times finds room (core/timing.h). */
		view.now_ns += UINT64_C(1000) * BERTH_TIMING_US;
		berth_pipeline_run(&setup->pipeline, &view, 0, &setup->mbufs[i], BERTH_BURST);
	}
	return (bench_cpu_ns() - start) / MBUFS;
}

static double run_macswap(void *arg)
{
	struct setup *setup = arg;
	draw(setup);
	double start = bench_cpu_ns();
	for (uint32_t i = 0; i < MBUFS; i += BERTH_BURST) {
		struct rte_mbuf **burst = &setup->mbufs[i];
		for (uint32_t j = 0; j < AHEAD; j++)
			rte_prefetch0(rte_pktmbuf_mtod(burst[j], void *));
		for (uint32_t j = 0; j < BERTH_BURST; j++) {
			if (j + AHEAD < BERTH_BURST)
				rte_prefetch0(rte_pktmbuf_mtod(burst[j + AHEAD], void *));
			struct rte_ether_hdr *eth = rte_pktmbuf_mtod(burst[j], struct rte_ether_hdr *);
			struct rte_ether_addr addr = eth->dst_addr;
			eth->dst_addr = eth->src_addr;
			eth->src_addr = addr;
			burst[j]->ol_flags &= ~RTE_MBUF_F_TX_OFFLOAD_MASK;
		}
		rte_eth_tx_burst(port_id, 0, burst, BERTH_BURST);
	}
	return (bench_cpu_ns() - start) / MBUFS;
}

/* Prints a row per stage with its time. */
static void measure_stages(const char *id, struct setup *setup)
{
	static const char *const names[BENCH_STAGES] = {"receive", "steer", "send"};
	double ns[BENCH_STAGES][BENCH_PAIRS];
	struct berth_view view = berth_image_view(&setup->rig->image, 0, RIG_NOW);
	for (int pair = 0; pair < BENCH_PAIRS; pair++) {
		memset(bench_stage_cycles, 0, sizeof(bench_stage_cycles));
		for (int round = 0; round < rounds; round++) {
			draw(setup);
			bench_stage_began = rte_rdtsc();
			for (uint32_t i = 0; i < MBUFS; i += BERTH_BURST)
				bench_pipeline_stages(&setup->pipeline, &view, 0, &setup->mbufs[i], BERTH_BURST);
		}
		for (int stage = 0; stage < BENCH_STAGES; stage++)
			ns[stage][pair] = (double)bench_stage_cycles[stage] * 1e9 / (double)rte_get_tsc_hz() /
					  MBUFS / rounds;
	}
	for (int stage = 0; stage < BENCH_STAGES; stage++) {
		char name[64];
		snprintf(name, sizeof(name), "%s.%s", id, names[stage]);
		bench_print(&(struct bench_row){
			.id = name,
			.value = bench_median(ns[stage], BENCH_PAIRS),
			.unit = "ns/packet",
		});
	}
}

struct measure {
	const char *id;
	struct rig_options rig;
	double goal; /* 0: none */
	bool new_flows;
	bool full;   /* each new flow evicts another one */
	bool stages; /* print a row per stage */
};

/* Checks that all packets were forwarded: else something else was measured. */
static void check(const struct measure *measure, const struct setup *setup)
{
	const struct berth_worker *worker = &setup->rig->image.workers[0];
	uint64_t forwarded = 0;
	for (uint32_t v = BERTH_NO_VERDICT + 1; v <= BERTH_VERDICT_TABLE_FULL; v++)
		forwarded += worker->verdict[v];
	if (forwarded == worker->received)
		return;
	fprintf(stderr, "%s: %llu of %llu packets were forwarded\n", measure->id, (unsigned long long)forwarded,
		(unsigned long long)worker->received);
	exit(1);
}

/* Of two backends of one cost each new flow gets the one with the lower load. */
static void compare_loads(const struct rig *rig, uint32_t cost, bool is_timed)
{
	const struct berth_image_half half = berth_image_current(&rig->image);
	half.services[rig->service].scheduler = BERTH_SCHEDULER_LEAST_CONN;
	for (uint32_t n = 1; n < rig->image.geometry.backends; n++) {
		half.backends[n].load_unit = 64;
		if (is_timed)
			half.backends[n].flags |= BERTH_BACKEND_TIMED;
		rig->image.loads[n / BERTH_LOADS_PER_LINE].backend[n % BERTH_LOADS_PER_LINE] =
			(struct berth_load_cell){.cost = cost ? cost + n : 0};
	}
}

static struct setup new_flows_by_load(struct rte_mbuf **mbufs, const char *mode, uint32_t cost)
{
	struct setup setup = {
		.rig = rig_new(&(struct rig_options){.mode = mode, .flows = 4194304, .room = 4194304}),
		.mbufs = mbufs,
		.port = {.id = port_id, .chains = true},
		.next_flow = 4194304,
		.flags = BERTH_TCP_SYN,
		.new_flows = true,
	};
	compare_loads(setup.rig, cost, cost && mode[0] == 'n');
	return setup;
}

static void run_by_response(const char *id, const char *mode, struct rte_mbuf **mbufs)
{
	struct setup by_response = new_flows_by_load(mbufs, mode, 1000);
	struct setup by_load = new_flows_by_load(mbufs, mode, 0);
	struct setup *setups[] = {&by_response, &by_load};
	for (int i = 0; i < 2; i++) {
		setups[i]->pipeline.ports = &setups[i]->port;
		setups[i]->pipeline.n_ports = 1;
	}
	struct bench_row row = {
		.id = id,
		.unit = "M/s",
		.baseline = "the same with least-conn",
		.goal_kind = BENCH_AT_LEAST,
		.goal = 0.95,
	};
	struct bench_repeat ours = {run_ours, &by_response, rounds};
	struct bench_repeat baseline = {run_ours, &by_load, rounds};
	bench_pairs(&row, bench_repeat, &ours, bench_repeat, &baseline);
	bench_as_rate(&row);
	bench_print(&row);
	rig_free(by_response.rig);
	rig_free(by_load.rig);
}

static void run(const struct measure *measure, struct rte_mbuf **mbufs)
{
	struct setup setup = {
		.rig = rig_new(&measure->rig),
		.mbufs = mbufs,
		.port = {.id = port_id, .chains = true},
		.seed = 88172645463325252,
		.next_flow = measure->rig.flows,
		.flags = measure->new_flows ? BERTH_TCP_SYN : BERTH_TCP_ACK,
		.new_flows = measure->new_flows,
	};
	setup.pipeline.ports = &setup.port;
	setup.pipeline.n_ports = 1;
	struct bench_row row = {
		.id = measure->id,
		.unit = "M/s",
		.baseline = "macswap over the same mbufs",
		.goal_kind = measure->goal > 0 ? BENCH_AT_LEAST : BENCH_NO_GOAL,
		.goal = measure->goal,
	};
	if (measure->full)
		rig_reset_flows(setup.rig, true);
	struct bench_repeat ours = {run_ours, &setup, rounds};
	struct bench_repeat macswap = {run_macswap, &setup, rounds};
	bench_pairs(&row, bench_repeat, &ours, bench_repeat, &macswap);
	check(measure, &setup);
	bench_as_rate(&row);
	bench_print(&row);
	if (measure->stages)
		measure_stages(measure->id, &setup);
	rig_free(setup.rig);
}

/* --- two workers --- */

struct worker {
	struct setup setup;
	pthread_barrier_t *start;
	double ns; /* per packet */
};

static void pin(uint32_t cpu)
{
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	pthread_setaffinity_np(pthread_self(), sizeof(one), &one);
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	double sum = 0;
	pin(worker->setup.worker);
	for (int i = 0; i < rounds; i++) {
		pthread_barrier_wait(worker->start);
		sum += run_ours(&worker->setup);
	}
	worker->ns = sum / rounds;
	return NULL;
}

/* `n` workers at once; the mean time of a packet. */
static double run_workers(struct worker *workers, uint32_t n)
{
	pthread_t threads[WORKERS];
	pthread_barrier_t start;
	double sum = 0;
	pthread_barrier_init(&start, NULL, n);
	for (uint32_t i = 0; i < n; i++) {
		workers[i].start = &start;
		if (pthread_create(&threads[i], NULL, work, &workers[i])) {
			fprintf(stderr, "cannot start a worker\n");
			exit(1);
		}
	}
	for (uint32_t i = 0; i < n; i++) {
		pthread_join(threads[i], NULL);
		sum += workers[i].ns;
	}
	pthread_barrier_destroy(&start);
	return sum / n;
}

static double run_all(void *workers)
{
	return run_workers(workers, WORKERS);
}

static double run_one(void *workers)
{
	return run_workers(workers, 1);
}

static struct worker worker_of(struct rig *rig, const struct rig_options *options, struct rte_mbuf **mbufs,
			       uint32_t number)
{
	const bool new_flows = options->room;
	return (struct worker){.setup = {
				       .rig = rig,
				       .mbufs = mbufs,
				       .port = {.id = port_id, .chains = true},
				       .seed = 88172645463325252 + number,
				       .next_flow = options->flows + number * (1u << 30),
				       .worker = number,
				       .flags = new_flows ? BERTH_TCP_SYN : BERTH_TCP_ACK,
				       .new_flows = new_flows,
			       }};
}

static void compare(const char *id, const char *baseline, bench_fn *run_baseline, struct worker *workers,
		    struct worker *others)
{
	struct bench_row row = {
		.id = id,
		.unit = "M/s",
		.baseline = baseline,
		.goal_kind = BENCH_AT_LEAST,
		.goal = 0.95,
	};
	bench_pairs(&row, run_all, workers, run_baseline, others);
	bench_as_rate(&row);
	bench_print(&row);
}

/* Two workers with the same flows and one table: against one alone, and against two that share no table. What the
 * second comparison loses is the cost of sharing, what the first one loses beyond it that of a processor's common
 * caches and memory. */
static void compare_workers(const char *const ids[2], bool new_flows, struct rte_mbuf **mbufs[WORKERS])
{
	const uint32_t flows = new_flows ? 4194304 : 786432;
	const struct rig_options options = {
		.mode = "l2", .flows = flows, .room = new_flows ? 3 * flows : 0, .workers = WORKERS};
	struct rig *rigs[WORKERS];
	struct worker together[WORKERS], apart[WORKERS];
	for (uint32_t i = 0; i < WORKERS; i++) {
		rigs[i] = rig_new(&options);
		together[i] = worker_of(rigs[0], &options, mbufs[i], i);
		apart[i] = worker_of(rigs[i], &options, mbufs[i], i);
		apart[i].setup.next_flow += WORKERS * (1u << 30); /* new ones also in the first table */
	}
	for (uint32_t i = 0; i < WORKERS; i++) {
		together[i].setup.pipeline.ports = &together[i].setup.port;
		apart[i].setup.pipeline.ports = &apart[i].setup.port;
		together[i].setup.pipeline.n_ports = apart[i].setup.pipeline.n_ports = 1;
	}
	compare(ids[0], "one worker alone; per worker", run_one, together, together);
	compare(ids[1], "two workers, each with a table of its own", run_all, together, apart);
	for (uint32_t i = 0; i < WORKERS; i++)
		rig_free(rigs[i]);
}

int main(int argc, char **argv)
{
	char *eal[] = {
		argv[0], "--no-pci", "--no-telemetry",	"--no-shconf", "--log-level=error", "-l", "0", "--no-huge",
		"-m",	 "256",	     "--vdev=net_null0"};
	static const struct measure measures[] = {
		/* Three quarters of a power of two: the intended load of the table. */
		{"dpdk.l2.100k", {.mode = "l2", .flows = 98304}, .goal = 0.35},
		{"dpdk.l2.1m", {.mode = "l2", .flows = 786432}, .goal = 0.33, .stages = true},
		{"dpdk.l2.10m", {.mode = "l2", .flows = 12582912}, .goal = 0.25},
		{"dpdk.l2.50m", {.mode = "l2", .flows = 50331648}, .goal = 0.22},
		{"dpdk.ipip.1m", {.mode = "ipip", .flows = 786432}, .goal = 0.28},
		{"dpdk.ipip6.1m", {.mode = "ipip", .is6 = true, .is_outer6 = true, .flows = 786432}, .goal = 0.22},
		{"dpdk.client.1m",
		 {.mode = "l2", .by_client = true, .flows = 786432, .clients = 786432},
		 .goal = 0.30},
		{"dpdk.new_flows",
		 {.mode = "l2", .flows = 8388608, .room = 4194304},
		 .goal = 0.20,
		 .new_flows = true,
		 .stages = true},
		{"dpdk.new_flows.full", {.mode = "l2", .flows = 786432}, .new_flows = true, .full = true},
	};
	bool quick = bench_quick(&argc, &argv);
	rounds = quick ? QUICK_ROUNDS : ROUNDS;
	if (rte_eal_init(sizeof(eal) / sizeof(eal[0]), eal) < 0)
		return 1;
	make_port();
	struct rte_mbuf **mbufs = make_mbufs("bench");
	for (size_t i = 0; i < sizeof(measures) / sizeof(measures[0]); i++)
		if (bench_wanted(argc, argv, measures[i].id) &&
		    !(quick && (measures[i].rig.flows > QUICK_FLOWS || !measures[i].goal)))
			run(&measures[i], mbufs);
	static const struct {
		const char *id, *mode;
	} by_response[] = {{"dpdk.new_flows.response", "l2"}, {"dpdk.new_flows.response.nat", "nat"}};
	for (size_t i = 0; i < sizeof(by_response) / sizeof(by_response[0]); i++)
		if (bench_wanted(argc, argv, by_response[i].id) && !quick)
			run_by_response(by_response[i].id, by_response[i].mode, mbufs);
	static const char *const of_workers[][2] = {
		{"dpdk.workers.2", "dpdk.workers.2.of_apart"},
		{"dpdk.workers.2.new_flows", "dpdk.workers.2.new_flows.of_apart"},
	};
	struct rte_mbuf **mbufs_of[WORKERS] = {mbufs, NULL};
	for (int i = 0; i < 2; i++) {
		if (quick || !bench_wanted(argc, argv, of_workers[i][0]))
			continue;
		if (!mbufs_of[1])
			mbufs_of[1] = make_mbufs("second");
		compare_workers(of_workers[i], i == 1, mbufs_of);
	}
	return 0;
}
