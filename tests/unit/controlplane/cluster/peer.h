/* SPDX-License-Identifier: BSD-3-Clause */
/* Two nodes that tell each other their exceptions, at once or through a stream that a test reads when it likes. */
#pragma once

#include "tests/unit/controlplane/cluster/node.h"

#include "controlplane/cluster/receiver.h"
#include "controlplane/tables/sessions.h"

enum {
	FLOWS = 3000,
	NOW = 1000,
	UNIX_S = 1700000000,
};

#define LIMITS(flows) "flows: " flows ", sessions: 100000, services: 20, backends: 100"
#define SMALL LIMITS("32768")
#define LARGE LIMITS("262144") /* three bits more */
#define B(n) "{name: b" #n ", address: 192.0.2." #n "}"
#define SERVICE(name, last, more, backends)                                                                        \
	"  - {name: " name ", address: 203.0.113." last ", port: 80, mode: l2, table-size: 1009" more              \
	", backends: [" backends "]}\n"
#define ALL(backends)                                                                                              \
	SERVICE("flow", "10", "", backends)                                                                        \
	SERVICE("client", "11", ", affinity: {by: client}", backends)                                              \
	SERVICE("g1", "12", ", affinity: {by: client, group: g}", backends)                                        \
	SERVICE("g2", "13", ", affinity: {by: client, group: g}", backends)
/* The same in another order, so that numbers differ. */
#define ALL_REVERSED(backends)                                                                                     \
	SERVICE("g2", "13", ", affinity: {by: client, group: g}", backends)                                        \
	SERVICE("g1", "12", ", affinity: {by: client, group: g}", backends)                                        \
	SERVICE("client", "11", ", affinity: {by: client}", backends)                                              \
	SERVICE("flow", "10", "", backends)
#define THREE B(1) "," B(2) "," B(3)
#define FOUR THREE "," B(4)
#define FOUR_REVERSED B(4) "," B(3) "," B(2) "," B(1)

static const uint8_t secret[BERTH_SECRET_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17};
__attribute__((unused)) static const char *const addresses[] = {"203.0.113.10", "203.0.113.11", "203.0.113.12"};

struct peer {
	struct node node;
	struct berth_scan *scan;
	struct berth_sender *sender;
	struct berth_receiver *receiver;
	struct peer *other;
	bool is_deaf;	/* to what is told */
	bool is_closed; /* what it wants to tell does not go out */
	uint32_t batches;
};

/* What both read later, in this order. */
static struct stream {
	struct told {
		uint64_t service;
		size_t bytes;
		uint8_t *batch;
		uint32_t clock_s;
	} told[2048];
	uint32_t n;
	uint32_t clock_s;
	bool is_open;
	bool is_again; /* it is read again, all as old as this */
	uint32_t age_s;
} stream;

__attribute__((unused)) static bool read_batch(struct peer *peer, uint32_t i, bool is_again)
{
	const struct told *told = &stream.told[i];
	const struct berth_receiver_batch batch = {.service = told->service,
						   .records = told->batch,
						   .bytes = told->bytes,
						   .age_s = stream.age_s + stream.clock_s - told->clock_s,
						   .is_again = is_again};
	return berth_receiver_take(peer->receiver, &peer->node.engine->image, peer->node.now, &batch);
}

__attribute__((unused)) static void read_stream(struct peer *peer, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		read_batch(peer, i, stream.is_again);
}

__attribute__((unused)) static void take(struct peer *peer, uint64_t service, const uint8_t *batch, size_t bytes)
{
	berth_receiver_take(peer->receiver, &peer->node.engine->image, peer->node.now,
			    &(struct berth_receiver_batch){.service = service, .records = batch, .bytes = bytes});
}

__attribute__((unused)) static bool tell(void *arg, uint64_t service, const uint8_t *batch, size_t bytes)
{
	struct peer *peer = arg, *other = peer->other;
	if (peer->is_closed)
		return false;
	peer->batches++;
	if (stream.is_open) {
		struct told *next = &stream.told[stream.n++];
		assert_true(stream.n <= sizeof(stream.told) / sizeof(stream.told[0]));
		next->service = service;
		next->bytes = bytes;
		next->clock_s = stream.clock_s;
		next->batch = malloc(bytes);
		assert_non_null(next->batch);
		memcpy(next->batch, batch, bytes);
		return true;
	}
	if (!other->is_deaf)
		take(other, service, batch, bytes);
	return true;
}

__attribute__((unused)) static void open_peer(struct peer *peer, uint32_t id, uint32_t now, const char *limits,
					      const char *services)
{
	*peer = (struct peer){0};
	node_open(&peer->node, secret, now, limits, services);
	peer->scan = berth_scan_new(&peer->node.engine->image);
	peer->sender = berth_sender_new(
		&(struct berth_sender_options){.node = id, .epoch = id, .most = 100000, .tell = tell, .arg = peer});
	peer->receiver = berth_receiver_new(peer->sender);
	berth_scan_set_exception_fn(peer->scan, berth_sender_show, peer->sender);
	berth_sender_set_time(peer->sender, UNIX_S, now);
}

/* Two nodes with three backends each. */
__attribute__((unused)) static void open_pair(struct peer *a, struct peer *b, const char *limits_of_a,
					      const char *limits_of_b)
{
	stream.is_open = stream.is_again = false;
	stream.age_s = 0;
	open_peer(a, 1, NOW, limits_of_a, ALL(THREE));
	open_peer(b, 2, 70000, limits_of_b, ALL_REVERSED(B(9)));
	node_apply(&b->node, limits_of_b, ALL_REVERSED(THREE));
	a->other = b;
	b->other = a;
}

__attribute__((unused)) static void close_pair(struct peer *a, struct peer *b)
{
	struct peer *all[] = {a, b};
	while (stream.n)
		free(stream.told[--stream.n].batch);
	for (int i = 0; i < 2; i++) {
		berth_receiver_free(all[i]->receiver);
		berth_sender_free(all[i]->sender);
		berth_scan_free(all[i]->scan);
		node_close(&all[i]->node);
	}
}

__attribute__((unused)) static void scan(struct peer *peer)
{
	const struct berth_view view = berth_sessions_view(&peer->node.engine->image, peer->node.now);
	while (!berth_scan_step(peer->scan, 4096, peer->node.now))
		berth_sender_flush(peer->sender, &view);
	berth_sender_flush(peer->sender, &view);
	berth_sender_scan_ended(peer->sender);
}

/* Confirmed flows of each service, each of another client. */
__attribute__((unused)) static void connect_all(const struct node *node)
{
	for (size_t s = 0; s < 3; s++)
		for (uint32_t i = 0; i < FLOWS; i++) {
			node_forward_numbered(node, addresses[s], i, 0x02);
			node_forward_numbered(node, addresses[s], i, 0x10);
		}
}

/* Of the service "client". */
__attribute__((unused)) static struct berth_session session_of(const struct peer *peer, uint32_t client)
{
	const struct berth_view view = berth_sessions_view(&peer->node.engine->image, peer->node.now);
	const union berth_addr address = {
		.byte = {[10] = 0xff, 0xff, 198, 18, (uint8_t)(client >> 8), (uint8_t)client}};
	struct berth_session session;
	assert_true(berth_sessions_lookup(&view, &address, berth_model_service(&peer->node.model, "client")->number,
					  &session));
	return session;
}

/* A backend is added on both nodes. */
__attribute__((unused)) static void change(struct peer *a, struct peer *b, const char *limits_of_a,
					   const char *limits_of_b)
{
	node_apply(&a->node, limits_of_a, ALL(FOUR));
	node_apply(&b->node, limits_of_b, ALL_REVERSED(FOUR_REVERSED));
}

/* How many flows of a service node b sends elsewhere than node a. */
__attribute__((unused)) static uint32_t count_moved(const struct peer *a, const struct peer *b, const char *address)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < FLOWS; i++)
		n += node_forward_numbered(&b->node, address, i, 0x10) !=
		     node_forward_numbered(&a->node, address, i, 0x10);
	return n;
}

__attribute__((unused)) static uint64_t told(const struct peer *peer)
{
	const uint64_t *n = berth_sender_counts(peer->sender)->told;
	return n[BERTH_SENDER_NEW] + n[BERTH_SENDER_CHANGED] + n[BERTH_SENDER_REFRESHED];
}

__attribute__((unused)) static uint64_t put(const struct peer *peer, enum berth_received_outcome outcome)
{
	return berth_receiver_counts(peer->receiver)->put[outcome];
}
