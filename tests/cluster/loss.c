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
#include <stdlib.h>
#include <string.h>

#include "controlplane/cluster/receiver.h"
#include "controlplane/tables/sessions.h"
#include "tests/cluster/flows.h"
#include "tests/cluster/options.h"
#include "tests/soak/chaos.h"

enum {
	NODES = 3,
	ROUND_FLOWS = 10000,
	SERVERS = 8,	/* of each service, of SOAK_SERVERS */
	BETWEEN = 1000, /* seconds between two rounds: longer than any timeout */
	SLICE = 1024,	/* buckets of a scan */
	SHOWN = 5,
};

struct member {
	struct soak_world world;
	struct berth_scan *scan;
	struct berth_sender *sender;
	struct berth_receiver *receiver;
	struct loss *loss;
	uint32_t number;
	size_t read; /* batches of the store */
	bool is_away;
};

struct batch {
	uint64_t service;
	uint8_t *records;
	size_t bytes;
};

struct flow {
	uint64_t client;
	uint16_t port;
	uint8_t service;
	int8_t server;
};

struct tally {
	uint64_t rounds, flows, moved, excused, told;
};

struct loss {
	struct member member[NODES];
	struct soak_world witness; /* has the configuration, and no flows */
	struct random random;
	struct batch *store;
	size_t n, room;
	bool is_store_up;
	uint64_t salt; /* of the router */
	uint64_t epoch;
	struct flow flow[ROUND_FLOWS];
	uint64_t clients;
	uint64_t findings;
	struct tally *tally;
};

/* --- the store --- */

static bool tell(void *arg, uint64_t service, const uint8_t *records, size_t bytes)
{
	const struct member *member = arg;
	struct loss *loss = member->loss;
	if (!loss->is_store_up)
		return false;
	if (loss->n == loss->room) {
		loss->room = loss->room ? 2 * loss->room : 1024;
		loss->store = realloc(loss->store, loss->room * sizeof(*loss->store));
	}
	uint8_t *copy = malloc(bytes);
	if (!loss->store || !copy)
		soak_fail("no memory");
	memcpy(copy, records, bytes);
	loss->store[loss->n++] = (struct batch){service, copy, bytes};
	return true;
}

static void read_store(struct member *member)
{
	const struct loss *loss = member->loss;
	for (; loss->is_store_up && !member->is_away && member->read < loss->n; member->read++) {
		const struct batch *batch = &loss->store[member->read];
		berth_receiver_take(member->receiver, &member->world.control.image, member->world.now,
				    &(struct berth_receiver_batch){.service = batch->service,
								   .records = batch->records,
								   .bytes = batch->bytes});
	}
}

static void empty_store(struct loss *loss)
{
	while (loss->n)
		free(loss->store[--loss->n].records);
	for (int i = 0; i < NODES; i++)
		loss->member[i].read = 0;
}

/* Nodes find that it has other data. */
static void flush_store(struct loss *loss)
{
	empty_store(loss);
	for (int i = 0; i < NODES; i++)
		berth_sender_tell_again(loss->member[i].sender);
}

/* --- a node --- */

static void close_exchange(struct member *member)
{
	berth_receiver_free(member->receiver);
	berth_sender_free(member->sender);
	berth_scan_free(member->scan);
}

/* As a run of berthd has it. */
static void open_exchange(struct member *member)
{
	const struct berth_sender_options options = {.node = member->number + 1,
						     .epoch = ++member->loss->epoch,
						     .most = 4 * ROUND_FLOWS,
						     .tell = tell,
						     .arg = member};
	member->scan = berth_scan_new(&member->world.control.image);
	member->sender = berth_sender_new(&options);
	member->receiver = member->sender ? berth_receiver_new(member->sender) : NULL;
	if (!member->scan || !member->receiver)
		soak_fail("no memory");
	berth_scan_set_exception_fn(member->scan, berth_sender_show, member->sender);
	member->read = 0;
}

/* Returns true if that completed a scan. */
static bool scan_slice(struct member *member)
{
	const bool has_ended = berth_scan_step(member->scan, SLICE, member->world.now);
	const struct berth_view view = berth_sessions_view(&member->world.control.image, member->world.now);
	berth_sender_set_time(member->sender, member->world.now, view.now);
	berth_sender_flush(member->sender, &view);
	if (!has_ended)
		return false;
	berth_sender_scan_ended(member->sender);
	member->world.model.scans++;
	berth_model_scan_ended(&member->world.model);
	return true;
}

static void scan(struct member *member)
{
	while (!scan_slice(member))
		;
}

static void exchange_all(struct loss *loss)
{
	for (int i = 0; i < 2 * NODES; i++) {
		struct member *member = &loss->member[i % NODES];
		if (member->is_away)
			continue;
		scan(member);
		for (int j = 0; j < NODES; j++)
			read_store(&loss->member[j]);
	}
}

static void forget_tables(struct member *member)
{
	const struct berth_image *image = &member->world.control.image;
	const struct berth_geometry *g = &image->geometry;
	memset(image->flows, 0, g->flow_buckets * sizeof(*image->flows));
	memset(image->sessions, 0, g->session_buckets * sizeof(*image->sessions));
	memset(image->clients, 0, (size_t)g->session_buckets * BERTH_BUCKET_WORDS * sizeof(*image->clients));
}

static void follow(struct member *member)
{
	flows_follow(&member->world, &member->loss->witness);
	soak_probe(&member->world);
	soak_publish(&member->world);
}

/* Killed, its tables are gone; with a failed link or a silent kernel they are as old as that. */
static void node_returns(struct member *member, bool was_killed)
{
	if (was_killed) {
		forget_tables(member);
		close_exchange(member);
		open_exchange(member);
	}
	follow(member);
	member->is_away = false;
	read_store(member);
}

static struct member *lose_one(struct loss *loss)
{
	struct member *member = &loss->member[random_below(&loss->random, NODES)];
	while (member->is_away)
		member = &loss->member[(member->number + 1) % NODES];
	member->is_away = true;
	return member;
}

/* --- the router --- */

static void rehash(struct loss *loss)
{
	loss->salt = random_word(&loss->random);
}

/* Also flows of nodes that stay get another one when a node leaves: a hash-threshold group. */
static struct member *node_of(struct loss *loss, const struct flow *flow)
{
	struct member *present[NODES];
	uint32_t n = 0;
	for (int i = 0; i < NODES; i++)
		if (!loss->member[i].is_away)
			present[n++] = &loss->member[i];
	const uint64_t hash = (flow->client ^ loss->salt) * UINT64_C(0x9e3779b97f4a7c15);
	return present[(hash >> 32) * n >> 32];
}

/* --- clients --- */

static int send_to(struct soak_world *world, const struct flow *flow, uint16_t port, uint8_t flags)
{
	const struct soak_service *service = &world->services[flow->service];
	char client[INET6_ADDRSTRLEN];
	flows_write_client(client, strchr(service->address, ':') != NULL, flow->client);
	const struct fixture_packet packet = {.src = client,
					      .dst = service->address,
					      .sport = port,
					      .dport = service->port,
					      .protocol = 6,
					      .payload = 8,
					      .tcp_flags = flags};
	return flows_server_of(world, &packet, flow->service);
}

static void connect_all(struct loss *loss)
{
	for (int i = 0; i < ROUND_FLOWS; i++) {
		struct flow *flow = &loss->flow[i];
		*flow = (struct flow){.client = loss->clients++ % FLOWS_CLIENTS,
				      .port = (uint16_t)(1024 + random_below(&loss->random, 30000)),
				      .service = (uint8_t)(i % 2)};
		struct soak_world *world = &node_of(loss, flow)->world;
		flow->server = (int8_t)send_to(world, flow, flow->port, 0x02);
		if (send_to(world, flow, flow->port, 0x10) != flow->server || flow->server == FLOWS_NO_SERVER)
			soak_fail("a flow has no server");
	}
}

static bool is_usable(const struct loss *loss, const struct flow *flow)
{
	const struct soak_server *server = &loss->witness.services[flow->service].server[flow->server];
	return server->present && server->up && server->admin != BERTH_ADMIN_DISABLED;
}

static void report(struct loss *loss, const char *scenario, const struct flow *flow, int server, const char *what)
{
	if (loss->findings++ < SHOWN)
		printf("FINDING: %s: %s, client %llu of server %d goes to %d: %s\n", scenario,
		       loss->witness.services[flow->service].name, (unsigned long long)flow->client, flow->server,
		       server, what);
}

static void judge(struct loss *loss, const char *scenario, bool may_move, struct flow *flow, uint16_t port,
		  uint8_t flags)
{
	const int server = send_to(&node_of(loss, flow)->world, flow, port, flags);
	loss->tally->flows++;
	if (server == flow->server)
		return;
	if (!is_usable(loss, flow))
		loss->tally->excused++;
	else if (!may_move)
		report(loss, scenario, flow, server, "nothing may move");
	else if (send_to(&loss->witness, flow, port, flags) == flow->server)
		report(loss, scenario, flow, server, "it is no exception");
	else
		loss->tally->moved++;
	flow->server = (int8_t)server;
}

/* Of two entries of one flow on two nodes the one with later traffic holds: times are seconds. */
static void pass_time(struct loss *loss)
{
	const uint32_t now = loss->witness.now + 1;
	soak_set_time(&loss->witness, now);
	for (int i = 0; i < NODES; i++)
		soak_set_time(&loss->member[i].world, now);
}

/* Each flow's next packet; of every second client with a session a new connection. */
static void all_come_again(struct loss *loss, const char *scenario, bool may_move)
{
	pass_time(loss);
	for (int i = 0; i < ROUND_FLOWS; i++) {
		struct flow *flow = &loss->flow[i];
		const bool is_new = flow->service == 1 && i % 4 == 1;
		const uint16_t port = is_new ? (uint16_t)(flow->port + 30000) : flow->port;
		if (is_new)
			judge(loss, scenario, may_move, flow, port, 0x02);
		judge(loss, scenario, may_move, flow, port, 0x10);
	}
}

/* Until a node has seen two packets of a flow it takes it for one that may be spoofed, and does not tell it. */
static void all_come_twice(struct loss *loss, const char *scenario)
{
	all_come_again(loss, scenario, false);
	all_come_again(loss, scenario, false);
}

/* --- changes of the backends --- */

/* Its own servers are what is wanted. */
static void configure_witness(struct loss *loss)
{
	flows_follow(&loss->witness, &loss->witness);
	soak_probe(&loss->witness);
	soak_publish(&loss->witness);
}

static void change_server(struct loss *loss, uint32_t service)
{
	struct soak_server *servers = loss->witness.services[service].server;
	struct soak_server *server = &servers[random_below(&loss->random, SERVERS)];
	switch (random_below(&loss->random, 5)) {
	case 0:
		server->weight = 1 + random_below(&loss->random, 400);
		break;
	case 1:
		servers[SERVERS].present = true;
		break;
	case 2:
		server->admin = BERTH_ADMIN_DRAINING;
		break;
	case 3:
		server->present = false;
		break;
	default:
		server->up = false;
	}
}

/* The witness is the model for all others. */
static void change(struct loss *loss)
{
	for (uint32_t i = 0; i < loss->witness.n_services; i++)
		change_server(loss, i);
	configure_witness(loss);
	for (int i = 0; i < NODES; i++)
		if (!loss->member[i].is_away)
			follow(&loss->member[i]);
}

/* --- scenarios --- */

typedef void scenario_fn(struct loss *loss, const char *name);

static void unchanged(struct loss *loss, const char *name)
{
	loss->is_store_up = false;
	struct member *first = lose_one(loss);
	all_come_again(loss, name, false);
	lose_one(loss);
	rehash(loss);
	all_come_again(loss, name, false);
	node_returns(first, random_one_in(&loss->random, 2));
	all_come_again(loss, name, false);
}

static void told(struct loss *loss, const char *name)
{
	change(loss);
	exchange_all(loss);
	struct member *first = lose_one(loss);
	rehash(loss);
	all_come_again(loss, name, false);
	lose_one(loss);
	all_come_again(loss, name, false);
	node_returns(first, random_one_in(&loss->random, 2));
	all_come_again(loss, name, false);
}

/* Lost while it tells. */
static void window(struct loss *loss, const char *name)
{
	change(loss);
	struct member *lost = lose_one(loss);
	const uint32_t slices = lost->world.control.image.geometry.flow_buckets / SLICE;
	lost->is_away = false;
	for (uint32_t i = random_below(&loss->random, slices + 1); i > 0; i--)
		scan_slice(lost);
	lost->is_away = true;
	exchange_all(loss);
	all_come_again(loss, name, true);
}

static void flushed(struct loss *loss, const char *name)
{
	change(loss);
	exchange_all(loss);
	flush_store(loss);
	exchange_all(loss);
	node_returns(lose_one(loss), true);
	lose_one(loss);
	rehash(loss);
	all_come_again(loss, name, false);
}

/* What could not be told then is told when the store is back. */
static void store_killed(struct loss *loss, const char *name)
{
	loss->is_store_up = false;
	change(loss);
	exchange_all(loss);
	loss->is_store_up = true;
	flush_store(loss);
	exchange_all(loss);
	lose_one(loss);
	rehash(loss);
	all_come_again(loss, name, false);
}

static void store_down(struct loss *loss, const char *name)
{
	loss->is_store_up = false;
	change(loss);
	exchange_all(loss);
	lose_one(loss);
	all_come_again(loss, name, true);
}

/* A node that was away during the change has what the others told before it gets packets. */
static void late(struct loss *loss, const char *name)
{
	struct member *away = lose_one(loss);
	const bool was_killed = random_one_in(&loss->random, 2);
	all_come_twice(loss, name);
	change(loss);
	exchange_all(loss);
	node_returns(away, was_killed);
	exchange_all(loss);
	lose_one(loss);
	rehash(loss);
	all_come_again(loss, name, false);
}

/* Two changes, before and after a loss; the second undoes nothing of the first. */
static void twice(struct loss *loss, const char *name)
{
	change(loss);
	exchange_all(loss);
	struct member *away = lose_one(loss);
	all_come_twice(loss, name);
	change(loss);
	exchange_all(loss);
	node_returns(away, true);
	exchange_all(loss);
	lose_one(loss);
	rehash(loss);
	all_come_again(loss, name, false);
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
	configure_witness(loss);
}

static void begin_round(struct loss *loss)
{
	const uint32_t now = loss->witness.now + BETWEEN;
	empty_store(loss);
	loss->is_store_up = true;
	restore(loss);
	flows_settle(&loss->witness, now);
	for (int i = 0; i < NODES; i++) {
		struct member *member = &loss->member[i];
		member->is_away = false;
		follow(member);
		flows_settle(&member->world, now);
		close_exchange(member);
		open_exchange(member);
		scan(member);
	}
	engine_worker = (uint32_t)sched_getcpu();
	rehash(loss);
	connect_all(loss);
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
		open_exchange(&loss->member[i]);
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
	empty_store(&loss);
	for (int i = 0; i < NODES; i++) {
		close_exchange(&loss.member[i]);
		soak_close(&loss.member[i].world);
	}
	soak_close(&loss.witness);
	return !is_good;
}
