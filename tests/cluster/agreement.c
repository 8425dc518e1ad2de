// SPDX-License-Identifier: BSD-3-Clause
/*
 * Two nodes without a store: the same flow gets the same server from the XDP program of one node and from the DPDK
 * pipeline of the other. Each node has the real control plane, tables of its own size, and a history of its own
 * (servers and services come and go, weights change, berthd and the engine restart), so that its backends have
 * other numbers. In each round both end with the same configuration and the same state of the servers; then flows
 * of new clients come.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cluster/flows.h"
#include "tests/cluster/options.h"
#include "tests/soak/chaos.h"

enum {
	ROUND_FLOWS = 25000,
	HISTORY = 40,	/* random events of a node before each round */
	BETWEEN = 1000, /* seconds between two rounds: longer than any timeout */
	SHOWN = 5,
};

struct agreement {
	struct soak_world xdp;
	struct soak_world dpdk;
	struct random random;
	uint64_t flows;
	uint64_t with_server; /* flows that both nodes sent to a server */
	uint64_t differ;
	uint64_t numbers; /* backends, over all rounds */
	uint64_t other_numbers;
	uint64_t rounds;
};

/* Which backends a panic keeps depends on when the node saw them fail. */
static bool is_in_panic(const struct soak_world *world, const char *name)
{
	for (size_t i = 0; i < world->model.n_services; i++)
		if (strcmp(world->model.services[i].config.name, name) == 0)
			return world->model.services[i].panic;
	return false;
}

/* Selection of the other schedulers depends on the flows of one node. */
static bool is_computed(const struct agreement *a, const struct soak_service *service)
{
	return service->present && strcmp(service->scheduler, "maglev") == 0 &&
	       !is_in_panic(&a->xdp, service->name) && !is_in_panic(&a->dpdk, service->name);
}

static void history(struct soak_world *world)
{
	for (uint32_t i = 0; i < HISTORY; i++)
		soak_chaos(world);
}

static void count_numbers(struct agreement *a)
{
	for (uint32_t i = 0; i < a->xdp.n_services; i++)
		for (uint32_t j = 0; j < a->xdp.services[i].n_servers; j++) {
			const struct berth_model_backend *one = soak_backend(&a->xdp, i, j);
			const struct berth_model_backend *other = soak_backend(&a->dpdk, i, j);
			if (!one != !other)
				soak_fail("the nodes have different servers");
			a->numbers += one != NULL;
			a->other_numbers += one && one->number != other->number;
		}
}

/* One flow; a node may see its first packet, or one of later. */
static void send_flow(struct agreement *a, uint32_t service)
{
	const struct soak_service *known = &a->xdp.services[service];
	char client[INET6_ADDRSTRLEN];
	const bool is_udp = known->protocol[0] == 'u';
	struct fixture_packet packet = {
		.src = client,
		.dst = known->address,
		.sport = (uint16_t)(1024 + random_below(&a->random, 60000)),
		.dport = known->port,
		.protocol = is_udp ? 17 : 6,
		.payload = 8,
	};
	flows_write_client(client, strchr(known->address, ':') != NULL, a->flows);
	a->flows++;
	packet.tcp_flags = random_one_in(&a->random, 2) ? 0x02 : 0x10;
	const int one = flows_server_of(&a->xdp, &packet, service);
	packet.tcp_flags = random_one_in(&a->random, 2) ? 0x02 : 0x10;
	const int other = flows_server_of(&a->dpdk, &packet, service);
	a->with_server += one != FLOWS_NO_SERVER && other != FLOWS_NO_SERVER;
	if (one == other)
		return;
	if (a->differ++ < SHOWN)
		printf("DIFFERENT: %s: the flow of %s port %u goes to %d by XDP and to %d by DPDK\n", known->name,
		       client, packet.sport, one, other);
}

static void run_round(struct agreement *a, uint64_t flows)
{
	history(&a->xdp);
	history(&a->dpdk);
	flows_follow(&a->dpdk, &a->xdp);
	const uint32_t now = (a->xdp.now > a->dpdk.now ? a->xdp.now : a->dpdk.now) + BETWEEN;
	flows_settle(&a->xdp, now);
	flows_settle(&a->dpdk, now);
	engine_worker = (uint32_t)sched_getcpu();
	count_numbers(a);
	a->rounds++;
	const uint64_t end = a->flows + flows;
	while (a->flows < end) {
		uint32_t service = random_below(&a->random, a->xdp.n_services);
		if (is_computed(a, &a->xdp.services[service]))
			send_flow(a, service);
	}
}

/* The XDP program's worker is the CPU of this process, where DPDK stays too. */
static void open_nodes(struct agreement *a, const char *object, uint64_t seed)
{
	soak_services_chaos(&a->xdp);
	soak_services_chaos(&a->dpdk);
	soak_open(&a->xdp, "xdp", object, 200000, 100000, seed);
	soak_open(&a->dpdk, "dpdk", object, 30000, 20000, seed);
	/* The same secret, but another history. */
	a->dpdk.random = random_new(seed, 7);
	a->random = random_new(seed, 8);
}

static int report(const struct agreement *a, uint64_t seed)
{
	printf("%llu flows in %llu rounds, %llu with a server; %llu of %llu backends with another number; %llu "
	       "differ; "
	       "seed %llu\n",
	       (unsigned long long)a->flows, (unsigned long long)a->rounds, (unsigned long long)a->with_server,
	       (unsigned long long)a->other_numbers, (unsigned long long)a->numbers, (unsigned long long)a->differ,
	       (unsigned long long)seed);
	/* Else the histories were no test. */
	bool is_tried = a->other_numbers * 4 > a->numbers && a->with_server * 2 > a->flows;
	return a->differ || !is_tried;
}

int main(int argc, char **argv)
{
	static struct agreement a;
	struct cluster_options options = {.flows = 1000000, .seed = 1};
	cluster_options_read(&options, argc, argv);
	open_nodes(&a, options.object, options.seed);
	while (a.flows < options.flows)
		run_round(&a, options.flows - a.flows < ROUND_FLOWS ? options.flows - a.flows : ROUND_FLOWS);
	int status = report(&a, options.seed);
	soak_close(&a.xdp);
	soak_close(&a.dpdk);
	return status;
}
