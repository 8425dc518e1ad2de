// SPDX-License-Identifier: BSD-3-Clause
/* What operators do with sessions, on every node in the order of the store, with what nodes tell each other. */
#include "controlplane/cluster/clears.h"
#include "tests/unit/controlplane/cluster/peer.h"

static const struct berth_model_service *service_named(const struct node *node, const char *name)
{
	return berth_model_service(&node->model, name);
}

/* Of a new connection of the client that node_forward_numbered gives this number. */
static int backend_of(const struct peer *peer, uint32_t client)
{
	static struct fixture_frame frame;
	static uint16_t port = 30000;
	char src[32];
	snprintf(src, sizeof(src), "198.18.%u.%u", client >> 8, client & 255);
	fixture_build(&frame, &(struct fixture_packet){.src = src,
						       .dst = "203.0.113.11",
						       .sport = port++,
						       .dport = 80,
						       .protocol = BERTH_PROTO_TCP,
						       .tcp_flags = 0x02});
	return node_forward(&peer->node, &frame);
}

/* The address that node_forward_numbered gives a client. */
static union berth_addr client_of(uint32_t i)
{
	return (union berth_addr){.byte = {[10] = 0xff, 0xff, 198, 18, (uint8_t)(i >> 8), (uint8_t)i}};
}

static struct berth_cluster_record move_to(const struct peer *peer, uint32_t client, const char *name)
{
	const struct berth_model_service *service = service_named(&peer->node, "client");
	for (size_t i = 0; i < service->n_backends; i++)
		if (strcmp(service->backends[i].config.name, name) == 0)
			return (struct berth_cluster_record){.table = BERTH_CLUSTER_MOVE,
							     .service = service->id,
							     .backend = service->backends[i].id,
							     .client = client_of(client),
							     .client_bits = 128};
	fail_msg("no backend %s", name);
	return (struct berth_cluster_record){0};
}

static uint32_t count_sessions(const struct peer *peer, const char *service)
{
	const struct berth_view view = berth_sessions_view(&peer->node.engine->image, peer->node.now);
	const struct berth_session_filter filter = {.service = service_named(&peer->node, service)->number};
	struct berth_session session;
	uint32_t n = 0, at = 0;
	while (berth_sessions_next(&view, &filter, &at, (view.session_mask + 1) * BERTH_BUCKET_WORDS, &session))
		n++;
	return n;
}

/* Although the other node has had the client's last packet. */
static void a_session_that_is_moved_on_one_node_is_moved_on_the_other(void **state)
{
	struct peer a, b;
	(void)state;
	open_pair(&a, &b, SMALL, SMALL);
	connect_all(&a.node);
	connect_all(&b.node);
	for (uint32_t i = 0; i < 30; i++) {
		const struct berth_cluster_record command = move_to(&a, i, "b2");
		b.node.now++;
		(void)backend_of(&b, i);
		assert_true(berth_sender_command(a.sender, &command));
		assert_int_equal(backend_of(&b, i), 2);
	}
	assert_int_equal(berth_receiver_counts(b.receiver)->commands, 30);
	assert_int_equal(berth_sender_counts(a.sender)->commands, 30);
	/* What one node has told the other does not tell. */
	scan(&b);
	assert_int_equal(told(&b), 0);
	/* A client without a session there gets one. */
	for (uint32_t i = FLOWS; i < FLOWS + 10; i++) {
		const struct berth_cluster_record absent = move_to(&a, i, "b2");
		assert_true(berth_sender_command(a.sender, &absent));
		assert_int_equal(backend_of(&b, i), 2);
	}
	scan(&b);
	assert_int_equal(told(&b), 0);
	close_pair(&a, &b);
}

static void clear_all(struct peer *peer)
{
	while (berth_receiver_step(peer->receiver, &peer->node.engine->image, peer->node.now))
		;
}

static void sessions_that_are_cleared_on_one_node_are_cleared_on_the_other(void **state)
{
	struct peer a, b;
	struct berth_session pinned;
	(void)state;
	open_pair(&a, &b, SMALL, SMALL);
	connect_all(&b.node);
	const struct berth_model_service *service = service_named(&a.node, "client");
	const struct berth_view view = berth_sessions_view(&b.node.engine->image, b.node.now);
	const union berth_addr client = client_of(5);
	const struct berth_model_service *here = service_named(&b.node, "client");
	assert_int_equal(berth_sessions_assign(&view, &client, here->number, here->backends[0].number,
					       BERTH_REASON_PINNED, &pinned),
			 0);
	/* Of a prefix: 198.18.3.0/24. */
	struct berth_cluster_record command = {.table = BERTH_CLUSTER_CLEAR,
					       .service = service->id,
					       .client = client_of(3 << 8),
					       .client_bits = 120};
	assert_true(berth_sender_command(a.sender, &command));
	clear_all(&b);
	assert_int_equal(count_sessions(&b, "client"), FLOWS - 256);
	/* Of a backend; of all: those of other services stay, and what is pinned here. */
	command = (struct berth_cluster_record){
		.table = BERTH_CLUSTER_CLEAR, .service = service->id, .backend = service->backends[1].id};
	assert_true(berth_sender_command(a.sender, &command));
	clear_all(&b);
	assert_in_range(count_sessions(&b, "client"), FLOWS / 2, FLOWS - 256 - FLOWS / 5);
	command.backend = 0;
	assert_true(berth_sender_command(a.sender, &command));
	clear_all(&b);
	assert_int_equal(count_sessions(&b, "client"), 1);
	assert_int_equal(berth_receiver_counts(b.receiver)->commands, 3);
	/* Unknown services and backends; more than are kept. */
	command.service++;
	assert_true(berth_sender_command(a.sender, &command));
	assert_int_equal(berth_receiver_counts(b.receiver)->unknown, 1);
	command.service--;
	for (int i = 0; i < 100; i++)
		assert_true(berth_sender_command(a.sender, &command));
	assert_int_equal(put(&b, BERTH_RECEIVED_NO_ROOM), 36);
	clear_all(&b);
	close_pair(&a, &b);
}

/* What the other node hears in this order does not bring back what was cleared. */
static void a_clear_comes_after_what_was_told_before(void **state)
{
	struct peer a, b;
	(void)state;
	open_pair(&a, &b, SMALL, SMALL);
	connect_all(&a.node);
	change(&a, &b, SMALL, SMALL);
	scan(&a);
	assert_in_range(count_sessions(&b, "client"), FLOWS / 5, FLOWS / 3);
	const struct berth_cluster_record command = {.table = BERTH_CLUSTER_CLEAR,
						     .service = service_named(&a.node, "client")->id};
	assert_true(berth_sender_command(a.sender, &command));
	clear_all(&b);
	assert_int_equal(count_sessions(&b, "client"), 0);
	a.is_closed = true;
	assert_false(berth_sender_command(a.sender, &command));
	close_pair(&a, &b);
}

/* A clear and a move that were carried out 100 s ago, with the sessions that were told before them. */
static void what_was_used_since_stays_when_commands_are_read_again(void **state)
{
	struct peer a, b;
	(void)state;
	open_pair(&a, &b, SMALL, SMALL);
	connect_all(&a.node);
	change(&a, &b, SMALL, SMALL);
	stream.is_open = true;
	scan(&a);
	const struct berth_cluster_record clear = {.table = BERTH_CLUSTER_CLEAR,
						   .service = service_named(&a.node, "client")->id};
	assert_true(berth_sender_command(a.sender, &clear));
	const uint32_t n = stream.n;
	const struct berth_cluster_record move = move_to(&a, 0, "b2");
	assert_true(berth_sender_command(a.sender, &move));
	read_stream(&b, 0, n);
	clear_all(&b);
	read_stream(&b, n, stream.n);
	assert_int_equal(count_sessions(&b, "client"), 1);
	assert_int_equal(backend_of(&b, 0), 2);
	/* An operator moves one on, and others come. */
	stream.is_open = false;
	const struct berth_cluster_record on = move_to(&a, 0, "b3");
	assert_true(berth_sender_command(a.sender, &on));
	b.node.now += 100;
	for (uint32_t i = 0; i < FLOWS / 2; i++) {
		node_forward_numbered(&b.node, addresses[1], i, 0x02);
		node_forward_numbered(&b.node, addresses[1], i, 0x10);
	}
	stream.is_again = true;
	stream.age_s = 100;
	read_stream(&b, 0, stream.n);
	clear_all(&b);
	assert_int_equal(count_sessions(&b, "client"), FLOWS / 2);
	assert_int_equal(backend_of(&b, 0), 3);
	/* Commands that come for the first time are carried out, however late. */
	stream.is_again = false;
	read_stream(&b, 0, n);
	clear_all(&b);
	read_stream(&b, n, stream.n);
	assert_int_equal(count_sessions(&b, "client"), 1);
	assert_int_equal(backend_of(&b, 0), 2);
	close_pair(&a, &b);
}

/* Sessions of node a that are exceptions, as their records come before or after a clear by node b. */
static void tell_and_clear(struct peer *a, struct peer *b, bool is_told_first)
{
	open_pair(a, b, SMALL, SMALL);
	connect_all(&a->node);
	change(a, b, SMALL, SMALL);
	stream.is_open = true;
	if (is_told_first)
		scan(a);
	assert_true(berth_sender_command(
		b->sender, &(struct berth_cluster_record){.table = BERTH_CLUSTER_CLEAR,
							  .service = service_named(&b->node, "client")->id}));
	if (!is_told_first)
		scan(a);
	assert_in_range(told(a), 3 * FLOWS / 5, 3 * FLOWS / 3);
}

/* Each session that is cleared once more is a clear of one client. */
static void the_clear_of_a_service_is_remembered_longest(void **state)
{
	struct peer a, b;
	struct berth_clears clears = {0};
	struct berth_ids ids = {0};
	(void)state;
	open_pair(&a, &b, SMALL, SMALL);
	const struct berth_image *image = &a.node.engine->image;
	const struct berth_view view = berth_sessions_view(image, a.node.now);
	struct berth_clear clear = {.service = service_named(&a.node, "client")->id};
	berth_ids_read(&ids, image);
	assert_true(berth_clears_add(&clears, &clear, &ids, &view, 5));
	while (berth_clears_step(&clears, &ids, &view, 5))
		;
	clear.client_bits = 128;
	for (uint32_t i = 0; i < 3 * BERTH_CLEARS; i++) {
		clear.client = client_of(i);
		assert_true(berth_clears_add(&clears, &clear, &ids, &view, 5));
	}
	const struct berth_cluster_record session = {
		.service = clear.service, .client = client_of(4 * BERTH_CLEARS), .client_bits = 128, .sequence = 5};
	assert_true(berth_clears_has(&clears, &session, NULL));
	berth_ids_free(&ids);
	close_pair(&a, &b);
}

/* Until both have read all. */
static void read_all(struct peer *a, struct peer *b)
{
	for (uint32_t from = 0, n = stream.n; from < n; from = n, n = stream.n) {
		read_stream(a, from, n);
		clear_all(a);
		read_stream(b, from, n);
		clear_all(b);
	}
}

static void a_session_that_was_told_before_a_clear_and_read_after_it_is_cleared(void **state)
{
	struct peer a, b;
	(void)state;
	tell_and_clear(&a, &b, true);
	read_all(&a, &b);
	assert_int_equal(count_sessions(&a, "client"), 0);
	assert_int_equal(count_sessions(&b, "client"), 0);
	close_pair(&a, &b);
}

/* With what others told before this node's clear. */
static void what_was_cleared_here_stays_so_when_it_is_read_again(void **state)
{
	struct peer a, b;
	(void)state;
	tell_and_clear(&a, &b, true);
	read_all(&a, &b);
	for (int i = 0; i < 3; i++) {
		a.node.now += 10;
		b.node.now += 10;
		(void)berth_receiver_take(b.receiver, &b.node.engine->image, b.node.now,
					  &(struct berth_receiver_batch){0});
	}
	stream.is_again = true;
	stream.age_s = 30;
	read_all(&a, &b);
	assert_int_equal(count_sessions(&b, "client"), 0);
	assert_int_equal(count_sessions(&a, "client"), 0);
	close_pair(&a, &b);
}

/* Node a tells it before it has read the clear, and others read it after the clear. */
static void a_session_that_is_told_in_the_moment_of_a_clear_is_cleared(void **state)
{
	struct peer a, b;
	(void)state;
	tell_and_clear(&a, &b, false);
	read_all(&a, &b);
	assert_int_equal(count_sessions(&a, "client"), 0);
	assert_int_equal(count_sessions(&b, "client"), 0);
	assert_in_range(berth_sender_counts(a.sender)->commands, FLOWS / 5, FLOWS / 3);
	close_pair(&a, &b);
}

static void what_is_told_after_a_clear_stays_and_what_is_read_again_clears_nothing_more(void **state)
{
	struct peer a, b;
	(void)state;
	tell_and_clear(&a, &b, true);
	read_all(&a, &b);
	const uint32_t n = stream.n;
	const uint64_t batches = berth_sender_counts(a.sender)->batches;
	for (uint32_t i = FLOWS; i < 2 * FLOWS; i++) {
		node_forward_numbered(&a.node, addresses[1], i, 0x02);
		node_forward_numbered(&a.node, addresses[1], i, 0x10);
	}
	node_apply(&a.node, SMALL, ALL(FOUR "," B(5)));
	node_apply(&b.node, SMALL, ALL_REVERSED(B(5) "," FOUR_REVERSED));
	scan(&a);
	read_stream(&b, n, stream.n);
	read_stream(&a, n, stream.n);
	assert_int_equal(stream.n - n, berth_sender_counts(a.sender)->batches - batches);
	assert_in_range(count_sessions(&b, "client"), FLOWS / 6, FLOWS / 4);
	/* The same records, long after. */
	for (int i = 0; i < 3; i++) {
		a.node.now += 10;
		b.node.now += 10;
		clear_all(&a);
		clear_all(&b);
	}
	const uint32_t all = stream.n;
	read_all(&a, &b);
	assert_int_equal(stream.n, all);
	close_pair(&a, &b);
}

/* After a store has failed over: sessions of later clients are told again first, then the old clear is read again.
 */
static void what_is_told_before_an_old_clear_is_read_again_stays(void **state)
{
	struct peer a, b;
	(void)state;
	tell_and_clear(&a, &b, true);
	read_all(&a, &b);
	const uint32_t n = stream.n;
	a.node.now += 20;
	b.node.now += 20;
	for (uint32_t i = FLOWS; i < 2 * FLOWS; i++) {
		node_forward_numbered(&a.node, addresses[1], i, 0x02);
		node_forward_numbered(&a.node, addresses[1], i, 0x10);
	}
	node_apply(&a.node, SMALL, ALL(FOUR "," B(5)));
	node_apply(&b.node, SMALL, ALL_REVERSED(B(5) "," FOUR_REVERSED));
	scan(&a);
	const uint32_t all = stream.n;
	stream.is_again = true;
	stream.age_s = 20;
	read_stream(&a, 0, n);
	read_stream(&b, 0, n);
	clear_all(&a);
	clear_all(&b);
	stream.is_again = false;
	stream.age_s = 0;
	read_stream(&b, n, all);
	read_stream(&a, n, all);
	assert_int_equal(stream.n, all);
	assert_int_equal(count_sessions(&a, "client"), FLOWS);
	assert_in_range(count_sessions(&b, "client"), FLOWS / 6, FLOWS / 4);
	close_pair(&a, &b);
}

static struct berth_cluster_record clear_of(const struct peer *peer, const char *backend)
{
	struct berth_cluster_record command = {.table = BERTH_CLUSTER_CLEAR,
					       .service = service_named(&peer->node, "client")->id};
	if (backend)
		command.backend = move_to(peer, 0, backend).backend;
	return command;
}

/* Although this node has had their clients' last packets, and the clear has not reached them yet. */
static void what_is_told_after_a_clear_stays_while_the_clear_is_under_way(void **state)
{
	struct peer a, b;
	(void)state;
	open_pair(&a, &b, SMALL, SMALL);
	connect_all(&a.node);
	change(&a, &b, SMALL, SMALL);
	connect_all(&b.node);
	stream.is_open = true;
	const struct berth_cluster_record clear = clear_of(&a, NULL), move = move_to(&a, 0, "b2");
	assert_true(berth_sender_command(a.sender, &clear));
	scan(&a);
	assert_true(berth_sender_command(a.sender, &move));
	read_stream(&b, 0, stream.n);
	clear_all(&b);
	assert_in_range(count_sessions(&b, "client"), FLOWS / 5, FLOWS / 3);
	assert_int_equal(backend_of(&b, 0), 2);
	for (uint32_t i = 1; i < FLOWS; i++)
		assert_int_equal(backend_of(&b, i), backend_of(&a, i));
	close_pair(&a, &b);
}

/* Moves before, between and after two clears, of which none has begun. */
static void each_clear_ends_what_comes_before_it_and_nothing_else(void **state)
{
	struct peer a, b;
	(void)state;
	open_pair(&a, &b, SMALL, SMALL);
	connect_all(&b.node);
	const struct berth_cluster_record commands[] = {
		move_to(&a, 0, "b2"), clear_of(&a, NULL),   move_to(&a, 1, "b2"), move_to(&a, 2, "b3"),
		clear_of(&a, "b2"),   move_to(&a, 3, "b2"), move_to(&a, 4, "b3"), move_to(&a, 4, "b1"),
	};
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		assert_true(berth_sender_command(a.sender, &commands[i]));
	clear_all(&b);
	assert_int_equal(count_sessions(&b, "client"), 3);
	assert_int_equal(backend_of(&b, 2), 3);
	assert_int_equal(backend_of(&b, 3), 2);
	assert_int_equal(backend_of(&b, 4), 1);
	/* The next clear finds all of it. */
	assert_true(berth_sender_command(a.sender, &commands[1]));
	clear_all(&b);
	assert_int_equal(count_sessions(&b, "client"), 0);
	close_pair(&a, &b);
}

/* A clear, moves, a clear of their backend, then what the other node has told of these clients. */
static void what_is_told_after_two_clears_replaces_what_came_between_them(void **state)
{
	struct peer a, b;
	(void)state;
	open_pair(&a, &b, SMALL, SMALL);
	connect_all(&a.node);
	change(&a, &b, SMALL, SMALL);
	stream.is_open = true;
	scan(&a);
	const uint32_t n = stream.n;
	const struct berth_cluster_record all = clear_of(&a, NULL), of_backend = clear_of(&a, "b2");
	assert_true(berth_sender_command(a.sender, &all));
	for (uint32_t i = 0; i < 300; i++) {
		const struct berth_cluster_record move = move_to(&a, i, "b2");
		assert_true(berth_sender_command(a.sender, &move));
	}
	assert_true(berth_sender_command(a.sender, &of_backend));
	read_stream(&b, n, stream.n);
	read_stream(&b, 0, n);
	clear_all(&b);
	for (uint32_t i = 0; i < FLOWS; i++)
		assert_int_equal(backend_of(&b, i), backend_of(&a, i));
	close_pair(&a, &b);
}

/* The clear comes back from the store when the move has been done here. */
static void a_move_after_a_clear_of_the_same_node_stays(void **state)
{
	struct peer a, b;
	struct berth_session placed;
	(void)state;
	open_pair(&a, &b, SMALL, SMALL);
	connect_all(&a.node);
	connect_all(&b.node);
	stream.is_open = true;
	const struct berth_cluster_record clear = clear_of(&b, NULL), move = move_to(&b, 0, "b2");
	assert_true(berth_sender_command(b.sender, &clear));
	const struct berth_view view = berth_sessions_view(&b.node.engine->image, b.node.now);
	const struct berth_model_service *service = service_named(&b.node, "client");
	const union berth_addr client = client_of(0);
	for (size_t i = 0; i < service->n_backends; i++)
		if (service->backends[i].id == move.backend)
			assert_int_equal(berth_sessions_assign(&view, &client, service->number,
							       service->backends[i].number, BERTH_REASON_MOVED,
							       &placed),
					 0);
	assert_true(berth_sender_command(b.sender, &move));
	read_all(&a, &b);
	assert_int_equal(count_sessions(&a, "client"), 1);
	assert_int_equal(count_sessions(&b, "client"), 1);
	assert_int_equal(backend_of(&a, 0), 2);
	assert_int_equal(backend_of(&b, 0), 2);
	assert_int_equal(berth_receiver_counts(b.receiver)->commands, 0);
	close_pair(&a, &b);
}

/* With fewer slots, and then with more. */
static void a_clear_begins_again_in_a_table_of_another_size(void **state)
{
	struct peer a, b;
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct berth_clears clears = {0};
		struct berth_ids ids = {0};
		open_pair(&a, &b, SMALL, "flows: 32768, sessions: 400000, services: 20, backends: 100");
		struct peer *first = i ? &a : &b, *second = i ? &b : &a;
		const struct berth_view before = berth_sessions_view(&first->node.engine->image, first->node.now);
		const struct berth_view after = berth_sessions_view(&second->node.engine->image, second->node.now);
		const struct berth_clear clear = {.service = service_named(&a.node, "client")->id};
		const union berth_addr client = client_of(0);
		connect_all(&second->node);
		berth_ids_read(&ids, &first->node.engine->image);
		assert_true(berth_clears_add(&clears, &clear, &ids, &before, 0));
		assert_true(berth_clears_step(&clears, &ids, &before, 0));
		assert_true(berth_clears_are_under_way(&clears));
		assert_true(berth_clears_precede(&clears, &ids, &before, 1, &client));
		berth_clears_spare(&clears, (before.session_mask + 1) * BERTH_BUCKET_WORDS - 1);
		berth_ids_read(&ids, &second->node.engine->image);
		while (berth_clears_step(&clears, &ids, &after, 0))
			;
		assert_int_equal(count_sessions(second, "client"), 0);
		assert_false(berth_clears_are_under_way(&clears));
		berth_clears_free(&clears);
		berth_ids_free(&ids);
		close_pair(&a, &b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_that_is_moved_on_one_node_is_moved_on_the_other),
		cmocka_unit_test(sessions_that_are_cleared_on_one_node_are_cleared_on_the_other),
		cmocka_unit_test(a_clear_comes_after_what_was_told_before),
		cmocka_unit_test(what_was_used_since_stays_when_commands_are_read_again),
		cmocka_unit_test(the_clear_of_a_service_is_remembered_longest),
		cmocka_unit_test(a_session_that_was_told_before_a_clear_and_read_after_it_is_cleared),
		cmocka_unit_test(a_session_that_is_told_in_the_moment_of_a_clear_is_cleared),
		cmocka_unit_test(what_was_cleared_here_stays_so_when_it_is_read_again),
		cmocka_unit_test(what_is_told_after_a_clear_stays_and_what_is_read_again_clears_nothing_more),
		cmocka_unit_test(what_is_told_before_an_old_clear_is_read_again_stays),
		cmocka_unit_test(what_is_told_after_a_clear_stays_while_the_clear_is_under_way),
		cmocka_unit_test(each_clear_ends_what_comes_before_it_and_nothing_else),
		cmocka_unit_test(what_is_told_after_two_clears_replaces_what_came_between_them),
		cmocka_unit_test(a_move_after_a_clear_of_the_same_node_stays),
		cmocka_unit_test(a_clear_begins_again_in_a_table_of_another_size),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
