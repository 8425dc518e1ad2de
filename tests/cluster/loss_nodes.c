// SPDX-License-Identifier: BSD-3-Clause
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/tables/sessions.h"
#include "tests/cluster/loss.h"

enum {
	SHOWN = 5, /* findings */
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

void loss_empty_store(struct loss *loss)
{
	while (loss->n)
		free(loss->store[--loss->n].records);
	for (int i = 0; i < NODES; i++)
		loss->member[i].read = 0;
}

void loss_flush_store(struct loss *loss)
{
	loss_empty_store(loss);
	for (int i = 0; i < NODES; i++)
		berth_sender_tell_again(loss->member[i].sender);
}

/* --- a node --- */

void loss_close_exchange(struct member *member)
{
	berth_receiver_free(member->receiver);
	berth_sender_free(member->sender);
	berth_scan_free(member->scan);
}

void loss_open_exchange(struct member *member)
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

bool loss_scan_slice(struct member *member)
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

void loss_scan(struct member *member)
{
	while (!loss_scan_slice(member))
		;
}

void loss_exchange_all(struct loss *loss)
{
	for (int i = 0; i < 2 * NODES; i++) {
		struct member *member = &loss->member[i % NODES];
		if (member->is_away)
			continue;
		loss_scan(member);
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

void loss_follow_witness(struct member *member)
{
	flows_follow(&member->world, &member->loss->witness);
	soak_probe(&member->world);
	soak_publish(&member->world);
}

void loss_node_returns(struct member *member, bool was_killed)
{
	if (was_killed) {
		forget_tables(member);
		loss_close_exchange(member);
		loss_open_exchange(member);
	}
	loss_follow_witness(member);
	member->is_away = false;
	read_store(member);
}

struct member *loss_lose_one(struct loss *loss)
{
	struct member *member = &loss->member[random_below(&loss->random, NODES)];
	while (member->is_away)
		member = &loss->member[(member->number + 1) % NODES];
	member->is_away = true;
	return member;
}

/* --- the router --- */

void loss_rehash(struct loss *loss)
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

void loss_connect_all(struct loss *loss)
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

void loss_all_come_again(struct loss *loss, const char *scenario, bool may_move)
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

void loss_all_come_twice(struct loss *loss, const char *scenario)
{
	loss_all_come_again(loss, scenario, false);
	loss_all_come_again(loss, scenario, false);
}

/* --- changes of the backends --- */

void loss_configure_witness(struct loss *loss)
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

void loss_change_servers(struct loss *loss)
{
	for (uint32_t i = 0; i < loss->witness.n_services; i++)
		change_server(loss, i);
	loss_configure_witness(loss);
	for (int i = 0; i < NODES; i++)
		if (!loss->member[i].is_away)
			loss_follow_witness(&loss->member[i]);
}
