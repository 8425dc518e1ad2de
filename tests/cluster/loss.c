// SPDX-License-Identifier: BSD-3-Clause
/*
 * Three nodes behind a router, and a store: nodes are lost and return, the router spreads flows anew, backends
 * change at the same time, the store is killed or flushed at the same time. Each node has the real control plane,
 * an engine and tables of its own; the scan finds exceptions, the real sender and receiver exchange them as
 * records. Router, store and time are simulated. In each round clients connect through all nodes, one scenario
 * follows, and then each flow or client comes again, through the nodes that are left: a finding is a move that the
 * scenario does not allow, or one of a flow that is no exception. A fourth node, which no flow has passed, says
 * what is one.
 */
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "tests/cluster/loss.h"
#include "tests/cluster/options.h"

enum {
	BETWEEN = 1000, /* seconds between two rounds: longer than any timeout */
};

/* --- scenarios --- */

typedef void scenario_fn(struct loss *loss, const char *name);

static void unchanged(struct loss *loss, const char *name)
{
	loss->is_store_up = false;
	struct member *first = loss_lose_one(loss);
	loss_all_come_again(loss, name, false);
	loss_lose_one(loss);
	loss_rehash(loss);
	loss_all_come_again(loss, name, false);
	loss_node_returns(first, random_one_in(&loss->random, 2));
	loss_all_come_again(loss, name, false);
}

static void told(struct loss *loss, const char *name)
{
	loss_change_servers(loss);
	loss_exchange_all(loss);
	struct member *first = loss_lose_one(loss);
	loss_rehash(loss);
	loss_all_come_again(loss, name, false);
	loss_lose_one(loss);
	loss_all_come_again(loss, name, false);
	loss_node_returns(first, random_one_in(&loss->random, 2));
	loss_all_come_again(loss, name, false);
}

/* Lost while it tells. */
static void window(struct loss *loss, const char *name)
{
	loss_change_servers(loss);
	struct member *lost = loss_lose_one(loss);
	const uint32_t slices = lost->world.control.image.geometry.flow_buckets / SLICE;
	lost->is_away = false;
	for (uint32_t i = random_below(&loss->random, slices + 1); i > 0; i--)
		loss_scan_slice(lost);
	lost->is_away = true;
	loss_exchange_all(loss);
	loss_all_come_again(loss, name, true);
}

static void flushed(struct loss *loss, const char *name)
{
	loss_change_servers(loss);
	loss_exchange_all(loss);
	loss_flush_store(loss);
	loss_exchange_all(loss);
	loss_node_returns(loss_lose_one(loss), true);
	loss_lose_one(loss);
	loss_rehash(loss);
	loss_all_come_again(loss, name, false);
}

/* What could not be told then is told when the store is back. */
static void store_killed(struct loss *loss, const char *name)
{
	loss->is_store_up = false;
	loss_change_servers(loss);
	loss_exchange_all(loss);
	loss->is_store_up = true;
	loss_flush_store(loss);
	loss_exchange_all(loss);
	loss_lose_one(loss);
	loss_rehash(loss);
	loss_all_come_again(loss, name, false);
}

static void store_down(struct loss *loss, const char *name)
{
	loss->is_store_up = false;
	loss_change_servers(loss);
	loss_exchange_all(loss);
	loss_lose_one(loss);
	loss_all_come_again(loss, name, true);
}

/* A node that was away during the change has what the others told before it gets packets. */
static void late(struct loss *loss, const char *name)
{
	struct member *away = loss_lose_one(loss);
	const bool was_killed = random_one_in(&loss->random, 2);
	loss_all_come_twice(loss, name);
	loss_change_servers(loss);
	loss_exchange_all(loss);
	loss_node_returns(away, was_killed);
	loss_exchange_all(loss);
	loss_lose_one(loss);
	loss_rehash(loss);
	loss_all_come_again(loss, name, false);
}

/* Two changes, before and after a loss; the second undoes nothing of the first. */
static void twice(struct loss *loss, const char *name)
{
	loss_change_servers(loss);
	loss_exchange_all(loss);
	struct member *away = loss_lose_one(loss);
	loss_all_come_twice(loss, name);
	loss_change_servers(loss);
	loss_exchange_all(loss);
	loss_node_returns(away, true);
	loss_exchange_all(loss);
	loss_lose_one(loss);
	loss_rehash(loss);
	loss_all_come_again(loss, name, false);
}

static const struct {
	const char *name;
	scenario_fn *run;
	const char *text;
	bool must_move; /* else the scenario is no test */
} scenarios[] = {
	{"unchanged", unchanged, "no store, backends as they were; two nodes lost, one back", false},
	{"told", told, "backends changed, exceptions told; two nodes lost, one back", false},
	{"flushed", flushed, "the same, and the store flushed; a node killed and back, another one lost", false},
	{"store-killed", store_killed, "the store killed during the change, and back; a node lost", false},
	{"late", late, "backends changed while a node was away; another one lost", false},
	{"twice", twice, "backends changed before and after a loss", false},
	{"window", window, "a node lost while it tells", true},
	{"store-down", store_down, "backends changed, a node lost, no store", true},
};

enum {
	SCENARIOS = sizeof(scenarios) / sizeof(scenarios[0]),
};

/* --- rounds --- */

static void restore(struct loss *loss)
{
	for (uint32_t i = 0; i < loss->witness.n_services; i++)
		for (uint32_t j = 0; j < SOAK_SERVERS; j++) {
			struct soak_server *server = &loss->witness.services[i].server[j];
			server->present = j < SERVERS;
			server->up = true;
			server->admin = BERTH_ADMIN_ENABLED;
			server->weight = 100;
		}
	loss_configure_witness(loss);
}

static void begin_round(struct loss *loss)
{
	const uint32_t now = loss->witness.now + BETWEEN;
	loss_empty_store(loss);
	loss->is_store_up = true;
	restore(loss);
	flows_settle(&loss->witness, now);
	for (int i = 0; i < NODES; i++) {
		struct member *member = &loss->member[i];
		member->is_away = false;
		loss_follow_witness(member);
		flows_settle(&member->world, now);
		loss_close_exchange(member);
		loss_open_exchange(member);
		loss_scan(member);
	}
	engine_worker = (uint32_t)sched_getcpu();
	loss_rehash(loss);
	loss_connect_all(loss);
}

static uint64_t told_by_all(const struct loss *loss)
{
	uint64_t n = 0;
	for (int i = 0; i < NODES; i++)
		for (int reason = 0; reason < BERTH_SENDER_REASON_COUNT; reason++)
			n += berth_sender_counts(loss->member[i].sender)->told[reason];
	return n;
}

static void run_round(struct loss *loss, struct tally tally[SCENARIOS], uint32_t scenario)
{
	loss->tally = &tally[scenario];
	begin_round(loss);
	if (told_by_all(loss))
		soak_fail("something is told in a steady state");
	scenarios[scenario].run(loss, scenarios[scenario].name);
	loss->tally->rounds++;
	loss->tally->told += told_by_all(loss);
}

static void open_all(struct loss *loss, const char *object, char *engines, uint64_t seed)
{
	static const uint32_t flows[NODES] = {100000, 30000, 60000};
	const char *engine[NODES + 1] = {strtok(engines, ","), strtok(NULL, ","), strtok(NULL, ","), "xdp"};
	for (int i = 0; i <= NODES; i++) {
		struct soak_world *world = i < NODES ? &loss->member[i].world : &loss->witness;
		if (!engine[i])
			soak_fail("--engines needs three");
		soak_services_ramp(world, SERVERS);
		soak_open(world, engine[i], object, i < NODES ? flows[i] : 100000, 60000, seed);
		if (i == NODES)
			break;
		loss->member[i].number = (uint32_t)i;
		loss->member[i].loss = loss;
		loss_open_exchange(&loss->member[i]);
	}
	loss->random = random_new(seed, 9);
}

static bool print(const struct loss *loss, const struct tally tally[SCENARIOS], uint64_t seed)
{
	bool is_tried = true;
	printf("%10s %8s %8s %8s  %s\n", "FLOWS", "TOLD", "MOVED", "EXCUSED", "SCENARIO");
	for (uint32_t i = 0; i < SCENARIOS; i++) {
		printf("%10llu %8llu %8llu %8llu  %s: %s\n", (unsigned long long)tally[i].flows,
		       (unsigned long long)tally[i].told, (unsigned long long)tally[i].moved,
		       (unsigned long long)tally[i].excused, scenarios[i].name, scenarios[i].text);
		is_tried &= !tally[i].rounds || !scenarios[i].must_move || tally[i].moved;
	}
	printf("%llu clients, %llu findings; seed %llu\n", (unsigned long long)loss->clients,
	       (unsigned long long)loss->findings, (unsigned long long)seed);
	return !loss->findings && is_tried;
}

int main(int argc, char **argv)
{
	static struct loss loss;
	static struct tally tally[SCENARIOS];
	struct cluster_options options = {.flows = 1000000, .seed = 1, .engines = "dpdk,xdp,dpdk"};
	cluster_options_read(&options, argc, argv);
	open_all(&loss, options.object, options.engines, options.seed);
	for (uint32_t i = 0; loss.clients < options.flows; i++)
		run_round(&loss, tally, i % SCENARIOS);
	const bool is_good = print(&loss, tally, options.seed);
	loss_empty_store(&loss);
	for (int i = 0; i < NODES; i++) {
		loss_close_exchange(&loss.member[i]);
		soak_close(&loss.member[i].world);
	}
	soak_close(&loss.witness);
	return !is_good;
}
