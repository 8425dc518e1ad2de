// SPDX-License-Identifier: BSD-3-Clause
/* What was told of sessions is read again, after they were cleared and begun anew, or had later traffic. */
#include "tests/unit/controlplane/cluster/peer.h"

enum {
	LATER_S = 5,
};

static void pass(struct peer *a, struct peer *b)
{
	struct peer *all[] = {a, b};
	for (int i = 0; i < 2; i++) {
		all[i]->node.now += LATER_S;
		berth_sender_set_time(all[i]->sender, UNIX_S + all[i]->node.now - NOW - (i ? 70000 - NOW : 0),
				      all[i]->node.now);
	}
	stream.clock_s += LATER_S;
}

static void read_and_clear(struct peer *peer, uint32_t from)
{
	read_stream(peer, from, stream.n);
	while (berth_receiver_step(peer->receiver, &peer->node.engine->image, peer->node.now))
		;
}

/* Sessions that node a has, a change that makes exceptions of them, and what a tells. */
static uint64_t connect_and_change(struct peer *a, struct peer *b)
{
	const uint64_t before = told(a);
	node_apply(&a->node, SMALL, ALL(THREE));
	node_apply(&b->node, SMALL, ALL_REVERSED(THREE));
	connect_all(&a->node);
	change(a, b, SMALL, SMALL);
	scan(a);
	return told(a) - before;
}

/* With established connections. */
static void come_again(const struct peer *peer)
{
	for (uint32_t i = 0; i < FLOWS; i++)
		node_forward_numbered(&peer->node, addresses[1], i, 0x10);
}

static void clear_on_both(struct peer *a, struct peer *b)
{
	const uint32_t from = stream.n;
	const struct berth_cluster_record command = {.table = BERTH_CLUSTER_CLEAR,
						     .service = berth_model_service(&a->node.model, "client")->id};
	assert_true(berth_sender_command(a->sender, &command));
	read_and_clear(a, from);
	read_and_clear(b, from);
}

static uint32_t since_of(const struct peer *peer, uint32_t client)
{
	const struct berth_session session = session_of(peer, client);
	assert_true(session.has_client);
	return session.client.since;
}

/* With the second change the exceptions are those of the first one, on the same backends. */
static void what_was_told_before_a_clear_is_told_again_of_new_sessions(void **state)
{
	struct peer a, b;
	(void)state;
	open_pair(&a, &b, SMALL, SMALL);
	stream.is_open = true;
	const uint64_t first = connect_and_change(&a, &b);
	assert_in_range(first, 3 * FLOWS / 5, 3 * FLOWS / 3);
	read_stream(&b, 0, stream.n);
	pass(&a, &b);
	clear_on_both(&a, &b);
	pass(&a, &b);
	const uint32_t from = stream.n;
	/* Those of the other services are still there, and known. */
	assert_in_range(connect_and_change(&a, &b), first / 3 - first / 20, first / 3 + first / 20);
	read_stream(&b, from, stream.n);
	assert_int_equal(count_moved(&a, &b, addresses[1]), 0);
	/* Once. */
	const uint64_t all = told(&a);
	scan(&a);
	assert_int_equal(told(&a), all);
	close_pair(&a, &b);
}

/* The store has failed over: node b reads all again, also what node a had told of the sessions before the clear.
 * Node a is lost, and the store has nothing of the present ones. */
static void what_is_read_again_is_not_taken_for_present_sessions(void **state)
{
	struct peer a, b;
	(void)state;
	open_pair(&a, &b, SMALL, SMALL);
	stream.is_open = true;
	const uint64_t first = connect_and_change(&a, &b);
	read_stream(&b, 0, stream.n);
	const uint32_t before_clear = stream.n;
	pass(&a, &b);
	clear_on_both(&a, &b);
	pass(&a, &b);
	node_apply(&b.node, SMALL, ALL_REVERSED(THREE));
	connect_all(&b.node);
	const uint32_t began = b.node.now;
	change(&a, &b, SMALL, SMALL);
	scan(&b);
	const uint64_t before = told(&b);
	assert_in_range(before, first / 3 - first / 20, first / 3 + first / 20);
	pass(&a, &b);
	come_again(&b);
	berth_sender_tell_again(b.sender);
	stream.is_again = true;
	read_stream(&b, 0, before_clear);
	for (uint32_t i = 0; i < FLOWS; i++)
		assert_int_equal(since_of(&b, i), began);
	/* And those of the other services, which had later traffic here than node a has told. */
	scan(&b);
	assert_int_equal(told(&b), before + first);
	close_pair(&a, &b);
}

/* A moment after the clear, so that node a remembers both it and what it had told. */
static void what_this_node_told_before_its_clear_clears_nothing_when_it_is_read_again(void **state)
{
	struct peer a, b;
	(void)state;
	open_pair(&a, &b, SMALL, SMALL);
	stream.is_open = true;
	connect_and_change(&a, &b);
	read_stream(&a, 0, stream.n);
	clear_on_both(&a, &b);
	pass(&a, &b);
	connect_all(&a.node);
	stream.is_again = true;
	read_and_clear(&a, 0);
	assert_int_equal(berth_sender_counts(a.sender)->commands, 1);
	for (uint32_t i = 0; i < FLOWS; i++)
		assert_int_equal(since_of(&a, i), a.node.now);
	close_pair(&a, &b);
}

#define SHORT(backends) SERVICE("client", "11", ", affinity: {by: client, timeout: 90s}", backends)

/* Sessions of node b, which it tells. */
static uint64_t connect_and_tell(struct peer *a, struct peer *b)
{
	node_apply(&a->node, SMALL, SHORT(THREE));
	node_apply(&b->node, SMALL, SHORT(THREE));
	for (uint32_t i = 0; i < 2 * FLOWS; i++)
		node_forward_numbered(&b->node, addresses[1], i / 2, i % 2 ? 0x10 : 0x02);
	node_apply(&a->node, SMALL, SHORT(FOUR));
	node_apply(&b->node, SMALL, SHORT(FOUR));
	scan(b);
	return told(b);
}

static void connect_again_later(struct peer *a, struct peer *b, uint32_t seconds)
{
	for (uint32_t i = 0; i < seconds; i += LATER_S)
		pass(a, b);
	come_again(a);
}

/* The store has failed over. It has what node b told, and not what node a told when it got the clients' packets.
 * Node c starts then. */
static void what_others_told_of_earlier_traffic_is_told_again_with_that_of_this_node(void **state)
{
	struct peer a, b, c;
	(void)state;
	open_pair(&a, &b, SMALL, SMALL);
	stream.is_open = true;
	const uint64_t all = connect_and_tell(&a, &b);
	const uint32_t of_b = stream.n;
	assert_in_range(all, FLOWS / 5, FLOWS / 3);
	read_stream(&a, 0, of_b);
	connect_again_later(&a, &b, 35);
	scan(&a);
	assert_int_equal(told(&a), all);
	connect_again_later(&a, &b, 5);
	berth_sender_tell_again(a.sender);
	stream.is_again = true;
	read_stream(&a, 0, of_b);
	const uint32_t lost = stream.n;
	scan(&a);
	assert_int_equal(told(&a), 2 * all);
	open_peer(&c, 3, NOW, SMALL, SHORT(FOUR));
	read_stream(&c, 0, of_b);
	read_stream(&c, lost, stream.n);
	c.node.now += 60;
	assert_int_equal(count_moved(&a, &c, addresses[1]), 0);
	berth_receiver_free(c.receiver);
	berth_sender_free(c.sender);
	berth_scan_free(c.scan);
	node_close(&c.node);
	close_pair(&a, &b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_told_before_a_clear_is_told_again_of_new_sessions),
		cmocka_unit_test(what_is_read_again_is_not_taken_for_present_sessions),
		cmocka_unit_test(what_this_node_told_before_its_clear_clears_nothing_when_it_is_read_again),
		cmocka_unit_test(what_others_told_of_earlier_traffic_is_told_again_with_that_of_this_node),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
