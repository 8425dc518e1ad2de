// SPDX-License-Identifier: BSD-3-Clause
/*
 * Two nodes exchange their exceptions: the scan of one finds them, their records are encoded, and the other puts
 * them into its tables. Afterwards it sends the packets of these flows and clients to the same backends.
 */
#include "controlplane/cluster/alarms.h"
#include "tests/unit/controlplane/cluster/peer.h"

static void expect_exchange(const char *limits_of_a, const char *limits_of_b)
{
	struct peer a, b;
	open_pair(&a, &b, limits_of_a, limits_of_b);
	connect_all(&a.node);
	scan(&a);
	assert_int_equal(told(&a), 0);
	change(&a, &b, limits_of_a, limits_of_b);
	scan(&a);
	/* About a quarter of each of the three tables. */
	assert_in_range(told(&a), 3 * FLOWS / 5, 3 * FLOWS / 3);
	assert_int_equal(put(&b, BERTH_RECEIVED_INSERTED), told(&a));
	assert_int_equal(berth_receiver_refused(berth_receiver_counts(b.receiver)), 0);
	for (size_t s = 0; s < 3; s++)
		assert_int_equal(count_moved(&a, &b, addresses[s]), 0);
	close_pair(&a, &b);
}

static void after_a_change_another_node_has_each_flow_and_session_on_its_backend(void **state)
{
	(void)state;
	expect_exchange(SMALL, SMALL);
}

static void the_other_node_may_have_a_smaller_table(void **state)
{
	(void)state;
	expect_exchange(LARGE, SMALL);
}

static void the_other_node_may_have_a_table_of_three_bits_more(void **state)
{
	(void)state;
	expect_exchange(SMALL, LARGE);
}

/* That an entry is told makes the difference: without, both nodes differ. */
static void without_an_exchange_the_nodes_differ(void **state)
{
	struct peer a, b;
	(void)state;
	open_pair(&a, &b, SMALL, SMALL);
	connect_all(&a.node);
	change(&a, &b, SMALL, SMALL);
	b.is_deaf = true;
	scan(&a);
	for (size_t s = 0; s < 3; s++)
		assert_in_range(count_moved(&a, &b, addresses[s]), FLOWS / 5, FLOWS / 3);
	close_pair(&a, &b);
}

static void a_flow_table_with_too_few_bits_is_refused_and_sessions_are_not(void **state)
{
	struct peer a, b;
	const char *const larger = LIMITS("600000");
	(void)state;
	open_pair(&a, &b, SMALL, larger);
	connect_all(&a.node);
	change(&a, &b, SMALL, larger);
	scan(&a);
	assert_in_range(put(&b, BERTH_RECEIVED_SMALL_TABLE), FLOWS / 5, FLOWS / 3);
	assert_int_equal(put(&b, BERTH_RECEIVED_SMALL_TABLE) + put(&b, BERTH_RECEIVED_INSERTED), told(&a));
	assert_in_range(count_moved(&a, &b, addresses[0]), FLOWS / 5, FLOWS / 3);
	assert_int_equal(count_moved(&a, &b, addresses[1]), 0);
	close_pair(&a, &b);
}

static void what_was_received_is_told_again_only_with_later_traffic(void **state)
{
	struct peer a, b;
	(void)state;
	open_pair(&a, &b, SMALL, LARGE);
	connect_all(&a.node);
	change(&a, &b, SMALL, LARGE);
	scan(&a);
	scan(&b);
	assert_int_equal(told(&b), 0);
	berth_sender_tell_again(b.sender);
	scan(&b);
	assert_int_equal(told(&b), 0);
	/* The router moves them to b. */
	const uint64_t exceptions = put(&b, BERTH_RECEIVED_INSERTED);
	a.node.now += 3600;
	b.node.now += 100;
	for (size_t s = 0; s < 3; s++)
		for (uint32_t i = 0; i < FLOWS; i++)
			node_forward_numbered(&b.node, addresses[s], i, 0x10);
	a.is_deaf = true;
	scan(&b);
	assert_int_equal(told(&b), exceptions);
	assert_int_equal(berth_sender_counts(b.sender)->told[BERTH_SENDER_NEW], exceptions);
	close_pair(&a, &b);
}

static uint32_t timeout_of(const struct peer *peer)
{
	const struct berth_view view = berth_sessions_view(&peer->node.engine->image, peer->node.now);
	const struct berth_model_service *service = berth_model_service(&peer->node.model, "flow");
	return berth_service_of(&view, service->number)->timeout[BERTH_STATE_CONFIRMED];
}

/* Exceptions of flows are here, and have expired so many seconds later. */
static void expect_expiry(struct peer *peer, uint32_t seconds)
{
	uint64_t flows, sessions;
	scan(peer);
	berth_scan_exception_totals(peer->scan, &flows, &sessions);
	assert_in_range(flows, FLOWS / 5, FLOWS / 3);
	peer->node.now += seconds;
	scan(peer);
	berth_scan_exception_totals(peer->scan, &flows, &sessions);
	assert_int_equal(flows, 0);
}

/* Their age goes with them: what expires on one node expires on the other at the same time. */
static void an_entry_is_as_old_as_on_the_node_that_told_it(void **state)
{
	struct peer a, b;
	(void)state;
	open_pair(&a, &b, SMALL, SMALL);
	connect_all(&a.node);
	change(&a, &b, SMALL, SMALL);
	const uint32_t timeout = timeout_of(&a);
	a.node.now += timeout - 10;
	b.node.now += timeout - 10;
	scan(&a);
	assert_in_range(told(&a), FLOWS / 5, FLOWS);
	b.node.now += 10;
	expect_expiry(&b, 2);
	close_pair(&a, &b);
}

/* Also while they wait in the store. */
static void an_entry_that_is_read_late_is_as_old_as_it_was(void **state)
{
	struct peer a, b;
	(void)state;
	open_pair(&a, &b, SMALL, SMALL);
	connect_all(&a.node);
	change(&a, &b, SMALL, SMALL);
	stream.is_open = true;
	scan(&a);
	stream.age_s = timeout_of(&a) - 2;
	b.node.now += stream.age_s;
	read_stream(&b, 0, stream.n);
	expect_expiry(&b, 4);
	close_pair(&a, &b);
}

/* Of one flow on two backends: node b had it a while ago, before the backend was added. */
static void the_backend_with_later_traffic_wins(void **state)
{
	struct peer a, b;
	(void)state;
	open_pair(&a, &b, SMALL, SMALL);
	connect_all(&a.node);
	change(&a, &b, SMALL, SMALL);
	/* On b they are new flows, and on their way to other backends. */
	connect_all(&b.node);
	scan(&a);
	/* Equal ages: a flow stays where it is. */
	const uint64_t sessions = put(&b, BERTH_RECEIVED_REPLACED);
	assert_int_equal(put(&b, BERTH_RECEIVED_INSERTED), 0);
	assert_int_equal(put(&b, BERTH_RECEIVED_OLDER) + sessions, told(&a));
	assert_in_range(count_moved(&a, &b, addresses[0]), FLOWS / 5, FLOWS / 3);
	a.node.now += timeout_of(&a) / 3;
	b.node.now += timeout_of(&a) / 3;
	for (uint32_t i = 0; i < FLOWS; i++)
		node_forward_numbered(&a.node, addresses[0], i, 0x10);
	scan(&a);
	assert_in_range(put(&b, BERTH_RECEIVED_REPLACED) - sessions, FLOWS / 5, FLOWS / 3);
	assert_int_equal(berth_sender_counts(a.sender)->told[BERTH_SENDER_REFRESHED],
			 put(&b, BERTH_RECEIVED_REPLACED) - sessions);
	assert_int_equal(count_moved(&a, &b, addresses[0]), 0);
	close_pair(&a, &b);
}

static void a_pin_of_this_node_stays(void **state)
{
	struct peer a, b;
	struct berth_session placed;
	union berth_addr client;
	(void)state;
	open_pair(&a, &b, SMALL, SMALL);
	connect_all(&a.node);
	change(&a, &b, SMALL, SMALL);
	const struct berth_model_service *service = berth_model_service(&b.node.model, "client");
	const struct berth_view view = berth_sessions_view(&b.node.engine->image, b.node.now);
	for (uint32_t i = 0; i < FLOWS; i++) {
		char text[32];
		snprintf(text, sizeof(text), "198.18.%u.%u", i >> 8, i & 255);
		assert_int_equal(berth_address_parse(text, &client), 0);
		assert_int_equal(berth_sessions_assign(&view, &client, service->number, service->backends[0].number,
						       BERTH_REASON_PINNED, &placed),
				 0);
	}
	b.node.now += 50;
	scan(&a);
	assert_in_range(put(&b, BERTH_RECEIVED_OLDER), FLOWS / 10, FLOWS / 3);
	for (uint32_t i = 0; i < FLOWS; i++)
		assert_int_equal(node_forward_numbered(&b.node, addresses[1], i, 0x10), 4);
	close_pair(&a, &b);
}

static void what_could_not_be_told_is_told_after_the_next_scan(void **state)
{
	struct peer a, b;
	(void)state;
	open_pair(&a, &b, SMALL, SMALL);
	connect_all(&a.node);
	change(&a, &b, SMALL, SMALL);
	a.is_closed = true;
	scan(&a);
	assert_int_equal(told(&a), 0);
	const uint64_t deferred = berth_sender_counts(a.sender)->deferred;
	assert_in_range(deferred, 3 * FLOWS / 5, FLOWS);
	a.is_closed = false;
	scan(&a);
	assert_int_equal(told(&a), deferred);
	assert_int_equal(put(&b, BERTH_RECEIVED_INSERTED), deferred);
	scan(&a);
	assert_int_equal(told(&a), deferred);
	close_pair(&a, &b);
}

static void what_was_lost_is_told_again(void **state)
{
	struct peer a, b;
	(void)state;
	open_pair(&a, &b, SMALL, SMALL);
	connect_all(&a.node);
	change(&a, &b, SMALL, SMALL);
	b.is_deaf = true;
	scan(&a);
	const uint64_t first = told(&a);
	b.is_deaf = false;
	scan(&a);
	assert_int_equal(told(&a), first);
	berth_sender_tell_again(a.sender);
	scan(&a);
	assert_int_equal(told(&a), 2 * first);
	assert_int_equal(put(&b, BERTH_RECEIVED_INSERTED), first);
	/* What is here already is confirmed. */
	berth_sender_tell_again(a.sender);
	scan(&a);
	assert_int_equal(put(&b, BERTH_RECEIVED_CONFIRMED), first);
	close_pair(&a, &b);
}

/* An apply that has reached one node only. */
static void a_backend_that_this_node_does_not_have_is_unknown(void **state)
{
	struct peer a, b;
	(void)state;
	open_pair(&a, &b, SMALL, SMALL);
	node_apply(&a.node, SMALL, ALL(FOUR));
	connect_all(&a.node);
	node_apply(&a.node, SMALL, ALL(B(1) "," B(2) "," B(3) ", {name: b4, address: 192.0.2.4, weight: 1}"));
	scan(&a);
	assert_in_range(told(&a), FLOWS / 3, FLOWS);
	assert_in_range(berth_receiver_counts(b.receiver)->unknown, told(&a) * 9 / 10, told(&a));
	assert_int_equal(berth_receiver_counts(b.receiver)->unknown + put(&b, BERTH_RECEIVED_INSERTED), told(&a));
	close_pair(&a, &b);
}

static void another_secret_is_refused(void **state)
{
	struct peer a, b;
	(void)state;
	open_pair(&a, &b, SMALL, SMALL);
	connect_all(&a.node);
	change(&a, &b, SMALL, SMALL);
	for (size_t i = 0; i < BERTH_SECRET_BYTES; i++)
		b.node.engine->image.ctl->secret[i] ^= (uint8_t)(i * 7);
	scan(&a);
	/* A flow has no address, so that its hash cannot be checked. */
	assert_in_range(put(&b, BERTH_RECEIVED_OTHER_HASH), 2 * FLOWS / 5, 2 * FLOWS / 3);
	close_pair(&a, &b);
}

static struct berth_cluster_record example(const struct peer *peer)
{
	const struct berth_model_service *service = berth_model_service(&peer->node.model, "flow");
	return (struct berth_cluster_record){
		.table = BERTH_CLUSTER_FLOW,
		.state = BERTH_STATE_CONFIRMED,
		.low_bits = 20,
		.tag = 0xabcdef,
		.low = 0x12345,
		.node = 7,
		.service = service->id,
		.backend = service->backends[0].id,
	};
}

static void bytes_that_are_no_record_are_counted_and_harm_nothing(void **state)
{
	struct peer a, b;
	uint8_t batch[3 * BERTH_CLUSTER_RECORD_BYTES];
	(void)state;
	open_pair(&a, &b, SMALL, SMALL);
	struct berth_cluster_record record = example(&b);
	for (size_t i = 0; i < 3; i++) {
		record.tag += 1;
		assert_int_equal(berth_cluster_record_encode(&record, batch + i * BERTH_CLUSTER_RECORD_BYTES),
				 BERTH_CLUSTER_RECORD_BYTES);
	}
	const struct berth_receiver_counts *counts = berth_receiver_counts(b.receiver);
	/* The one in the middle is damaged: the others are taken. */
	batch[BERTH_CLUSTER_RECORD_BYTES + 3] = 99;
	take(&b, record.service, batch, sizeof(batch));
	assert_int_equal(put(&b, BERTH_RECEIVED_INSERTED), 2);
	assert_int_equal(counts->refused[BERTH_CLUSTER_RECORD_STATE], 1);
	/* Its version: the rest cannot be read. */
	batch[BERTH_CLUSTER_RECORD_BYTES] = 2;
	take(&b, record.service, batch, sizeof(batch));
	assert_int_equal(put(&b, BERTH_RECEIVED_CONFIRMED), 1);
	assert_int_equal(counts->refused[BERTH_CLUSTER_RECORD_VERSION_UNKNOWN], 1);
	/* Of another service than its stream. */
	take(&b, record.service + 1, batch, BERTH_CLUSTER_RECORD_BYTES);
	assert_int_equal(counts->refused[BERTH_CLUSTER_RECORD_ID], 1);
	assert_int_equal(berth_receiver_refused(counts), 3);
	for (size_t bytes = 1; bytes < BERTH_CLUSTER_RECORD_BYTES; bytes++)
		take(&b, record.service, batch, bytes);
	assert_int_equal(counts->refused[BERTH_CLUSTER_RECORD_LENGTH], BERTH_CLUSTER_RECORD_BYTES - 1);
	for (uint32_t i = 0; i < 200000; i++) {
		batch[i % BERTH_CLUSTER_RECORD_BYTES] = (uint8_t)(i * 2654435761u >> 24);
		take(&b, record.service, batch, sizeof(batch));
	}
	scan(&b);
	close_pair(&a, &b);
}

/* A word would lead the packets of one service to the backend of another. */
static void a_backend_of_another_service_is_unknown(void **state)
{
	struct peer a, b;
	uint8_t bytes[BERTH_CLUSTER_RECORD_MAX_BYTES];
	(void)state;
	open_pair(&a, &b, SMALL, SMALL);
	struct berth_cluster_record record = example(&b);
	record.backend = berth_model_service(&b.node.model, "client")->backends[0].id;
	const size_t n = berth_cluster_record_encode(&record, bytes);
	take(&b, record.service, bytes, n);
	assert_int_equal(berth_receiver_counts(b.receiver)->unknown, 1);
	assert_int_equal(put(&b, BERTH_RECEIVED_INSERTED), 0);
	close_pair(&a, &b);
}

/* After a reboot a node reads what it told before. */
static void records_of_this_run_of_this_node_are_not_taken(void **state)
{
	struct peer a, b;
	uint8_t bytes[BERTH_CLUSTER_RECORD_MAX_BYTES];
	(void)state;
	open_pair(&a, &b, SMALL, SMALL);
	struct berth_cluster_record record = example(&b);
	record.node = 2;
	record.epoch = 2;
	size_t n = berth_cluster_record_encode(&record, bytes);
	take(&b, record.service, bytes, n);
	assert_int_equal(berth_receiver_counts(b.receiver)->own, 1);
	record.epoch = 1;
	n = berth_cluster_record_encode(&record, bytes);
	take(&b, record.service, bytes, n);
	assert_int_equal(put(&b, BERTH_RECEIVED_INSERTED), 1);
	close_pair(&a, &b);
}

static void an_alarm_begins_when_its_count_grows_and_ends_after_a_minute(void **state)
{
	(void)state;
	struct berth_exchange_alarm_state alarm = {0};
	assert_false(berth_exchange_alarm_update(&alarm, 0, 100000));
	assert_true(berth_exchange_alarm_update(&alarm, 1, 101000));
	assert_true(alarm.is_on);
	assert_false(berth_exchange_alarm_update(&alarm, 5, 130000));
	assert_false(berth_exchange_alarm_update(&alarm, 5, 189999));
	assert_true(berth_exchange_alarm_update(&alarm, 5, 190000));
	assert_false(alarm.is_on);
	for (int i = 0; i < BERTH_EXCHANGE_ALARM_COUNT; i++) {
		assert_non_null(berth_exchange_alarm_cause(i));
		assert_non_null(berth_exchange_alarm_remedy(i));
	}
}

static uint32_t count_flows(const struct peer *peer, enum berth_state state)
{
	const struct berth_image *image = &peer->node.engine->image;
	uint32_t n = 0;
	for (uint32_t i = 0; i < image->geometry.flow_buckets; i++)
		for (uint32_t j = 0; j < BERTH_BUCKET_WORDS; j++)
			n += image->flows[i].word[j] && berth_word_state(image->flows[i].word[j]) == state;
	return n;
}

/* The store fails over after half of the connections have ended: node b reads what was told before. */
static void a_connection_that_has_ended_stays_so_when_it_is_read_again(void **state)
{
	struct peer a, b;
	(void)state;
	open_pair(&a, &b, SMALL, SMALL);
	connect_all(&a.node);
	change(&a, &b, SMALL, SMALL);
	stream.is_open = true;
	scan(&a);
	read_stream(&b, 0, stream.n);
	b.node.now += 10;
	for (uint32_t i = 0; i < FLOWS; i += 2)
		node_forward_numbered(&b.node, addresses[0], i, 0x14);
	const uint32_t ended = count_flows(&b, BERTH_STATE_CLOSING);
	assert_in_range(ended, FLOWS / 10, FLOWS / 2);
	stream.is_again = true;
	stream.age_s = 10;
	read_stream(&b, 0, stream.n);
	assert_int_equal(count_flows(&b, BERTH_STATE_CLOSING), ended);
	close_pair(&a, &b);
}

enum {
	CROWD = 26000, /* clients */
	DIFFER =
		18000, /* have sessions on other backends on the two nodes, or more: a flush tells less than half */
	LATE_S = 10,
};

#define ONE_SERVICE(backends) SERVICE("client", "11", ", affinity: {by: client}", backends)

/* A connection of each client. */
static void crowd_connects(const struct peer *peer, uint16_t port)
{
	static struct fixture_frame frame;
	for (uint32_t i = 0; i < 2 * CROWD; i++) {
		char src[32];
		snprintf(src, sizeof(src), "198.18.%u.%u", i / 2 >> 8, i / 2 & 255);
		fixture_build(&frame, &(struct fixture_packet){.src = src,
							       .dst = addresses[1],
							       .sport = port,
							       .dport = 80,
							       .protocol = BERTH_PROTO_TCP,
							       .tcp_flags = i % 2 ? 0x10 : 0x02});
		node_forward(&peer->node, &frame);
	}
}

static uint64_t backend_of(const struct peer *peer, uint32_t client)
{
	const struct berth_view view = berth_sessions_view(&peer->node.engine->image, peer->node.now);
	return berth_backend_of(&view, berth_word_backend(session_of(peer, client).word))->id;
}

static uint32_t count_differences(const struct peer *a, const struct peer *b)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < CROWD; i++)
		n += backend_of(a, i) != backend_of(b, i);
	return n;
}

/* Sessions of node a began first; those of node b while it had one backend, and are exceptions now. Returns how
 * many clients have two. */
static uint32_t give_two_sessions(struct peer *a, struct peer *b)
{
	open_pair(a, b, LARGE, LARGE);
	node_apply(&a->node, LARGE, ONE_SERVICE(FOUR));
	node_apply(&b->node, LARGE, ONE_SERVICE(B(1)));
	crowd_connects(a, 1000);
	a->node.now += 2;
	b->node.now += 2;
	crowd_connects(b, 1001);
	crowd_connects(a, 1001);
	node_apply(&b->node, LARGE, ONE_SERVICE(FOUR));
	return count_differences(a, b);
}

static uint64_t answered(const struct peer *peer)
{
	return berth_sender_counts(peer->sender)->told[BERTH_SENDER_ANSWERED];
}

static void all_answers_are_told_at_once_however_many(void **state)
{
	struct peer a, b;
	(void)state;
	const uint32_t before = give_two_sessions(&a, &b);
	assert_in_range(before, DIFFER, CROWD);
	scan(&b);
	scan(&a);
	assert_int_equal(answered(&a), before);
	assert_int_equal(count_differences(&a, &b), 0);
	close_pair(&a, &b);
}

/* Node b has the first answers before it has its sessions, and so loses them; then it tells these. */
static void all_answers_that_were_told_a_moment_ago_are_told_ten_seconds_later(void **state)
{
	struct peer a, b;
	(void)state;
	const uint32_t before = give_two_sessions(&a, &b);
	assert_in_range(before, DIFFER, CROWD);
	b.is_deaf = true;
	scan(&b);
	scan(&a);
	b.is_deaf = false;
	berth_sender_tell_again(b.sender);
	scan(&b);
	scan(&a);
	a.node.now += LATE_S - 1;
	scan(&a);
	assert_int_equal(answered(&a), before);
	assert_int_equal(count_differences(&a, &b), before);
	a.node.now++;
	scan(&a);
	assert_int_equal(answered(&a), 2 * before);
	assert_int_equal(berth_sender_counts(a.sender)->deferred, 0);
	assert_int_equal(count_differences(&a, &b), 0);
	close_pair(&a, &b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(after_a_change_another_node_has_each_flow_and_session_on_its_backend),
		cmocka_unit_test(the_other_node_may_have_a_smaller_table),
		cmocka_unit_test(the_other_node_may_have_a_table_of_three_bits_more),
		cmocka_unit_test(without_an_exchange_the_nodes_differ),
		cmocka_unit_test(a_flow_table_with_too_few_bits_is_refused_and_sessions_are_not),
		cmocka_unit_test(what_was_received_is_told_again_only_with_later_traffic),
		cmocka_unit_test(an_entry_is_as_old_as_on_the_node_that_told_it),
		cmocka_unit_test(an_entry_that_is_read_late_is_as_old_as_it_was),
		cmocka_unit_test(the_backend_with_later_traffic_wins),
		cmocka_unit_test(a_pin_of_this_node_stays),
		cmocka_unit_test(what_could_not_be_told_is_told_after_the_next_scan),
		cmocka_unit_test(what_was_lost_is_told_again),
		cmocka_unit_test(a_backend_that_this_node_does_not_have_is_unknown),
		cmocka_unit_test(another_secret_is_refused),
		cmocka_unit_test(bytes_that_are_no_record_are_counted_and_harm_nothing),
		cmocka_unit_test(a_backend_of_another_service_is_unknown),
		cmocka_unit_test(records_of_this_run_of_this_node_are_not_taken),
		cmocka_unit_test(a_connection_that_has_ended_stays_so_when_it_is_read_again),
		cmocka_unit_test(all_answers_are_told_at_once_however_many),
		cmocka_unit_test(all_answers_that_were_told_a_moment_ago_are_told_ten_seconds_later),
		cmocka_unit_test(an_alarm_begins_when_its_count_grows_and_ends_after_a_minute),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
