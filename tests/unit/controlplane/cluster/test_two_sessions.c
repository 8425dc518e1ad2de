// SPDX-License-Identifier: BSD-3-Clause
/*
 * A client that nodes meet first while their configurations differ has a session on each, on two backends. Three
 * nodes that exchange their exceptions agree on one of them.
 */
#include "tests/unit/controlplane/cluster/peer.h"

enum {
	NODES = 3,
	CLIENTS = 600,
	LAST = 4, /* the backend that is added */
	/* Rounds in which all that is found is told, answered and read; and in which answers are told and not read.
	 */
	WHOLLY = 4,
	BARELY = 3,
};

static struct fleet {
	struct peer peer[NODES];
	uint32_t read[NODES];	/* of the stream */
	uint32_t again[NODES];	/* of it, what was read once before */
	uint32_t missed[NODES]; /* the first batch that could not be taken */
	uint16_t port;
} fleet;

static const char *services_of(int i, bool has_added)
{
	if (i == 1)
		return has_added ? ALL_REVERSED(FOUR_REVERSED) : ALL_REVERSED(THREE);
	return has_added ? ALL(FOUR) : ALL(THREE);
}

/* Each with its own time of the tables, and a clock of the host that is so many seconds fast. */
static void open_fleet(const int fast_s[NODES])
{
	fleet = (struct fleet){.port = 2000};
	stream.is_open = true;
	stream.is_again = false;
	stream.age_s = stream.clock_s = 0;
	for (int i = 0; i < NODES; i++) {
		struct peer *peer = &fleet.peer[i];
		const uint32_t now = NOW + (uint32_t)i * 50000;
		open_peer(peer, (uint32_t)i + 1, now, SMALL, services_of(i, false));
		fleet.missed[i] = UINT32_MAX;
		berth_sender_set_time(peer->sender, (uint32_t)(UNIX_S + fast_s[i]), now);
	}
}

static void close_fleet(void)
{
	while (stream.n)
		free(stream.told[--stream.n].batch);
	for (int i = 0; i < NODES; i++) {
		berth_receiver_free(fleet.peer[i].receiver);
		berth_sender_free(fleet.peer[i].sender);
		berth_scan_free(fleet.peer[i].scan);
		node_close(&fleet.peer[i].node);
	}
}

static void add_backend(int i)
{
	node_apply(&fleet.peer[i].node, SMALL, services_of(i, true));
}

static void pass(uint32_t seconds)
{
	for (int i = 0; i < NODES; i++)
		fleet.peer[i].node.now += seconds;
	stream.clock_s += seconds;
}

/* A packet of the client. Returns the backend that gets it. */
static int send_packet(int i, uint32_t client, uint16_t port, uint8_t flags)
{
	static struct fixture_frame frame;
	char src[32];
	snprintf(src, sizeof(src), "198.18.%u.%u", client >> 8, client & 255);
	fixture_build(&frame, &(struct fixture_packet){.src = src,
						       .dst = addresses[1],
						       .sport = port,
						       .dport = 80,
						       .protocol = BERTH_PROTO_TCP,
						       .tcp_flags = flags});
	return node_forward(&fleet.peer[i].node, &frame);
}

/* A new connection. */
static int connects(int i, uint32_t client)
{
	fleet.port++;
	send_packet(i, client, fleet.port, 0x02);
	return send_packet(i, client, fleet.port, 0x10);
}

static uint64_t all_told(void)
{
	uint64_t n = 0;
	for (int i = 0; i < NODES; i++)
		n += told(&fleet.peer[i]) + berth_sender_counts(fleet.peer[i].sender)->told[BERTH_SENDER_ANSWERED];
	return n;
}

/* What was told since, and again what could not be taken, if it can be now. As the store does. */
static void read_told(int i)
{
	struct peer *peer = &fleet.peer[i];
	if (berth_receiver_may_take_more(peer->receiver, &peer->node.engine->image) &&
	    fleet.missed[i] != UINT32_MAX) {
		fleet.read[i] = fleet.missed[i];
		fleet.missed[i] = UINT32_MAX;
	}
	for (; fleet.read[i] < stream.n; fleet.read[i]++)
		if (!read_batch(peer, fleet.read[i], fleet.read[i] < fleet.again[i]) &&
		    fleet.missed[i] == UINT32_MAX)
			fleet.missed[i] = fleet.read[i];
	fleet.again[i] = stream.n;
}

/* Each node scans, and reads what was told, in another order each time. */
static void exchange(int rounds)
{
	for (int n = 0; n < rounds * NODES; n++) {
		const int i = (n * 2 + n / NODES) % NODES;
		scan(&fleet.peer[i]);
		read_told(i);
	}
}

/* The backend on which all nodes have the client. */
static int agreed(uint32_t client)
{
	const int backend = connects(0, client);
	for (int i = 1; i < NODES; i++)
		assert_int_equal(connects(i, client), backend);
	return backend;
}

/* A client whose row the added backend gets. */
static uint32_t moving_client(uint32_t after)
{
	static struct peer probe;
	uint32_t client = after + 1;
	open_peer(&probe, 9, NOW, SMALL, services_of(0, true));
	while (node_forward_numbered(&probe.node, addresses[1], client, 0x02) != LAST)
		client++;
	berth_receiver_free(probe.receiver);
	berth_sender_free(probe.sender);
	berth_scan_free(probe.scan);
	node_close(&probe.node);
	return client;
}

static const int same[NODES] = {0, 0, 0};

/* Clients come to all nodes at random while the backend is added on one after the other. */
static void expect_agreement(const int fast_s[NODES], unsigned seed, int rounds_between)
{
	uint32_t differ = 0;
	open_fleet(fast_s);
	srandom(seed);
	for (int phase = 0; phase <= NODES; phase++) {
		for (uint32_t n = 0; n < CLIENTS; n++) {
			connects((int)(random() % NODES), (uint32_t)random() % CLIENTS);
			if (n % 50 == 0)
				pass(1);
		}
		if (phase == NODES)
			break;
		exchange(rounds_between);
		add_backend(phase);
	}
	for (uint32_t client = 0; client < CLIENTS; client++) {
		const int first = connects(0, client);
		differ += connects(1, client) != first || connects(2, client) != first;
	}
	assert_in_range(differ, CLIENTS / 40, CLIENTS / 2);
	exchange(WHOLLY);
	if (rounds_between == BARELY) {
		pass(10);
		exchange(WHOLLY);
	}
	for (uint32_t client = 0; client < CLIENTS; client++)
		agreed(client);
	/* About a record of each node for each of these clients, and none from then on. */
	const uint64_t before = all_told();
	assert_in_range(before, differ, NODES * CLIENTS / 2);
	pass(30);
	for (uint32_t client = 0; client < CLIENTS; client++)
		agreed(client);
	exchange(WHOLLY);
	for (int i = 0; i < NODES; i++)
		assert_true(berth_sender_counts(fleet.peer[i].sender)->told[BERTH_SENDER_ANSWERED] <= differ);
	assert_int_equal(all_told(), before);
	close_fleet();
}

static void nodes_agree_on_one_session_of_each_client(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 5; seed++)
		expect_agreement(same, seed, 0);
}

/* A node hears of sessions on a backend that it does not have yet. */
static void nodes_agree_that_have_heard_all_between_the_changes(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 5; seed++)
		expect_agreement(same, seed, WHOLLY);
}

/* A node has just received what it would answer with, and the other one read that before it had its own session. */
static void nodes_agree_ten_seconds_after_a_change_amid_answers(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 5; seed++)
		expect_agreement(same, seed, BARELY);
}

static void nodes_agree_though_their_clocks_differ(void **state)
{
	(void)state;
	expect_agreement((const int[NODES]){0, 1, -1}, 1, 0);
	expect_agreement((const int[NODES]){7, -3, 0}, 2, 0);
	expect_agreement((const int[NODES]){0, 86400, 5}, 3, 0);
	expect_agreement((const int[NODES]){0, -86400, 5}, 4, 0);
}

/* Node 0 has the added backend, node 1 has not. */
static int who_stays(const int order[2], uint32_t apart_s)
{
	const uint32_t client = moving_client(0);
	int backend[2];
	open_fleet(same);
	add_backend(0);
	backend[order[0]] = connects(order[0], client);
	pass(apart_s);
	backend[order[1]] = connects(order[1], client);
	assert_int_equal(backend[0], LAST);
	assert_int_not_equal(backend[1], LAST);
	pass(1);
	connects(order[0], client);
	add_backend(1);
	add_backend(2);
	exchange(WHOLLY);
	const int stays = agreed(client) == backend[0] ? 0 : 1;
	close_fleet();
	return stays;
}

static void the_session_that_began_first_stays(void **state)
{
	(void)state;
	for (uint32_t apart_s = 1; apart_s < 50; apart_s += 7) {
		assert_int_equal(who_stays((const int[]){0, 1}, apart_s), 0);
		assert_int_equal(who_stays((const int[]){1, 0}, apart_s), 1);
	}
}

/* It came to node 1 an hour ago, and to node 0 since. */
static void a_session_that_was_used_alone_for_a_minute_stays(void **state)
{
	(void)state;
	for (uint32_t alone_s = 50; alone_s <= 70; alone_s += 20) {
		const uint32_t client = moving_client(0);
		open_fleet(same);
		const int former = connects(1, client);
		add_backend(0);
		pass(40);
		assert_int_equal(connects(0, client), LAST);
		pass(alone_s);
		connects(0, client);
		add_backend(1);
		add_backend(2);
		exchange(WHOLLY);
		assert_int_equal(agreed(client), alone_s > 60 ? LAST : former);
		close_fleet();
	}
}

static void a_session_that_failed_over_stays_where_it_is(void **state)
{
	(void)state;
	const uint32_t client = moving_client(0);
	open_fleet(same);
	for (int i = 0; i < NODES; i++)
		add_backend(i);
	assert_int_equal(connects(0, client), LAST);
	assert_int_equal(connects(1, client), LAST);
	pass(5);
	node_set_health(&fleet.peer[0].node, "client", "b4", BERTH_HEALTH_DOWN);
	const int other = connects(0, client);
	assert_int_not_equal(other, LAST);
	node_set_health(&fleet.peer[0].node, "client", "b4", BERTH_HEALTH_UP);
	/* Node 1 has not noticed, and has later traffic. */
	pass(5);
	assert_int_equal(connects(1, client), LAST);
	exchange(WHOLLY);
	assert_int_equal(agreed(client), other);
	close_fleet();
}

static void set_health(int backend, enum berth_health_state health)
{
	char name[8];
	snprintf(name, sizeof(name), "b%d", backend);
	for (int i = 0; i < NODES; i++)
		node_set_health(&fleet.peer[i].node, "client", name, health);
}

/* They were told where it had failed over to. */
static void a_session_that_returns_on_one_node_returns_on_all(void **state)
{
	(void)state;
	const uint32_t client = 1;
	open_fleet(same);
	for (int i = 0; i < NODES; i++)
		node_apply(&fleet.peer[i].node, SMALL,
			   SERVICE("client", "11", ", affinity: {by: client}, failback: return", THREE));
	const int home = agreed(client);
	pass(2);
	set_health(home, BERTH_HEALTH_DOWN);
	const int other = connects(0, client);
	assert_int_not_equal(other, home);
	set_health(home, BERTH_HEALTH_UP);
	exchange(WHOLLY);
	assert_int_equal(connects(1, client), other);
	assert_int_equal(connects(2, client), other);
	pass(2);
	assert_int_equal(connects(0, client), home);
	const uint64_t before = all_told();
	exchange(WHOLLY);
	assert_int_equal(agreed(client), home);
	assert_int_equal(all_told(), before + 1);
	pass(30);
	exchange(WHOLLY);
	assert_int_equal(all_told(), before + 1);
	close_fleet();
}

/* It may come from a spoofed address. */
static void a_syn_alone_moves_no_session_and_is_not_told(void **state)
{
	(void)state;
	const uint32_t client = moving_client(0);
	open_fleet(same);
	add_backend(0);
	send_packet(0, client, 1234, 0x02);
	pass(2);
	const int confirmed = connects(1, client);
	add_backend(1);
	add_backend(2);
	exchange(WHOLLY);
	assert_int_equal(agreed(client), confirmed);
	assert_int_equal(all_told(), 1);
	close_fleet();
}

/* All nodes have the backend at the end. The first node met the client with it, two seconds before the second one
 * did without it. */
static void give_two_sessions(uint32_t client)
{
	add_backend(0);
	connects(0, client);
	pass(2);
	connects(1, client);
	add_backend(1);
	add_backend(2);
}

static void an_answer_that_cannot_be_told_is_told_later(void **state)
{
	(void)state;
	const uint32_t client = moving_client(0);
	open_fleet(same);
	give_two_sessions(client);
	fleet.peer[0].is_closed = true;
	exchange(WHOLLY);
	assert_int_not_equal(connects(0, client), connects(1, client));
	assert_true(berth_sender_counts(fleet.peer[0].sender)->deferred > 0);
	fleet.peer[0].is_closed = false;
	exchange(1);
	assert_int_equal(agreed(client), LAST);
	close_fleet();
}

/* The clock of a node jumps between each two scans, so that its session is always the first one for itself. */
static void nodes_that_cannot_agree_answer_once_in_ten_seconds(void **state)
{
	(void)state;
	const uint32_t client = moving_client(0);
	open_fleet(same);
	struct peer *peer = &fleet.peer[1];
	give_two_sessions(client);
	const uint32_t seconds = 100;
	for (uint32_t i = 0; i < seconds; i++) {
		berth_sender_set_time(peer->sender, UNIX_S + 1000, peer->node.now);
		scan(peer);
		berth_sender_set_time(peer->sender, UNIX_S - 1000, peer->node.now);
		exchange(1);
		pass(1);
		for (int j = 0; j < NODES; j++)
			connects(j, client);
	}
	for (int i = 0; i < NODES; i++)
		assert_true(berth_sender_counts(fleet.peer[i].sender)->told[BERTH_SENDER_ANSWERED] <=
			    seconds / 10 + 1);
	close_fleet();
}

/* Its session was cleared on all nodes, and the client has begun another one. */
static void what_is_read_again_moves_no_session_that_began_since(void **state)
{
	(void)state;
	const uint32_t client = moving_client(0);
	open_fleet(same);
	const int former = connects(0, client);
	for (int i = 0; i < NODES; i++)
		add_backend(i);
	exchange(WHOLLY);
	assert_int_equal(agreed(client), former);
	const struct berth_model_service *service = berth_model_service(&fleet.peer[2].node.model, "client");
	const struct berth_view view = berth_sessions_view(&fleet.peer[2].node.engine->image,
							   fleet.peer[2].node.now);
	const union berth_addr address = {
		.byte = {[10] = 0xff, 0xff, 198, 18, (uint8_t)(client >> 8), (uint8_t)client}};
	struct berth_session session;
	assert_true(berth_sessions_lookup(&view, &address, service->number, &session));
	assert_true(berth_sessions_remove(&view, &session));
	pass(20);
	assert_int_equal(connects(2, client), LAST);
	stream.is_again = true;
	stream.age_s = 20;
	read_stream(&fleet.peer[2], 0, stream.n);
	scan(&fleet.peer[2]);
	assert_int_equal(connects(2, client), LAST);
	assert_int_equal(berth_sender_counts(fleet.peer[2].sender)->told[BERTH_SENDER_ANSWERED], 0);
	close_fleet();
}

/* A router has moved the flow to node 0, and then back to node 1. */
static void a_flow_stays_on_the_backend_of_its_later_packets(void **state)
{
	(void)state;
	uint32_t moved = 0;
	int former[CLIENTS], backend[CLIENTS];
	open_fleet(same);
	for (uint32_t i = 0; i < CLIENTS; i++) {
		node_forward_numbered(&fleet.peer[1].node, addresses[0], i, 0x02);
		former[i] = node_forward_numbered(&fleet.peer[1].node, addresses[0], i, 0x10);
	}
	add_backend(0);
	pass(3);
	for (uint32_t i = 0; i < CLIENTS; i++) {
		node_forward_numbered(&fleet.peer[0].node, addresses[0], i, 0x10);
		backend[i] = node_forward_numbered(&fleet.peer[0].node, addresses[0], i, 0x10);
		moved += backend[i] != former[i];
	}
	assert_in_range(moved, CLIENTS / 6, CLIENTS / 3);
	add_backend(1);
	add_backend(2);
	exchange(WHOLLY);
	for (uint32_t i = 0; i < CLIENTS; i++)
		assert_int_equal(node_forward_numbered(&fleet.peer[1].node, addresses[0], i, 0x10), backend[i]);
	assert_int_equal(berth_sender_counts(fleet.peer[0].sender)->told[BERTH_SENDER_ANSWERED], moved);
	close_fleet();
}

/* Its records do not have when a session began: the later traffic stays, and nothing is answered to it. */
static void records_of_an_earlier_release_are_taken_by_their_traffic(void **state)
{
	(void)state;
	for (uint32_t age_s = 0; age_s < 2; age_s++) {
		const uint32_t client = moving_client(0);
		uint8_t bytes[BERTH_CLUSTER_RECORD_MAX_BYTES];
		struct berth_cluster_record record;
		open_fleet(same);
		add_backend(0);
		connects(0, client);
		pass(2);
		const int other = connects(1, client);
		add_backend(1);
		scan(&fleet.peer[1]);
		const size_t size = berth_cluster_record_size(stream.told[0].batch, stream.told[0].bytes);
		assert_int_equal(berth_cluster_record_decode(&record, stream.told[0].batch, size), 0);
		record.low = 0;
		record.low_bits = 16;
		record.age_s = age_s * 3;
		assert_int_equal(berth_cluster_record_encode(&record, bytes), size);
		take(&fleet.peer[0], record.service, bytes, size);
		assert_int_equal(connects(0, client), age_s ? LAST : other);
		close_fleet();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nodes_agree_on_one_session_of_each_client),
		cmocka_unit_test(nodes_agree_that_have_heard_all_between_the_changes),
		cmocka_unit_test(nodes_agree_ten_seconds_after_a_change_amid_answers),
		cmocka_unit_test(nodes_agree_though_their_clocks_differ),
		cmocka_unit_test(the_session_that_began_first_stays),
		cmocka_unit_test(a_session_that_was_used_alone_for_a_minute_stays),
		cmocka_unit_test(a_session_that_failed_over_stays_where_it_is),
		cmocka_unit_test(a_session_that_returns_on_one_node_returns_on_all),
		cmocka_unit_test(a_syn_alone_moves_no_session_and_is_not_told),
		cmocka_unit_test(an_answer_that_cannot_be_told_is_told_later),
		cmocka_unit_test(nodes_that_cannot_agree_answer_once_in_ten_seconds),
		cmocka_unit_test(what_is_read_again_moves_no_session_that_began_since),
		cmocka_unit_test(a_flow_stays_on_the_backend_of_its_later_packets),
		cmocka_unit_test(records_of_an_earlier_release_are_taken_by_their_traffic),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
