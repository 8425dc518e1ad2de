// SPDX-License-Identifier: BSD-3-Clause
/*
 * Two nodes exchange their exceptions: the scan of one finds them, their records are encoded, and the other puts
 * them into its tables. Afterwards it sends the packets of these flows and clients to the same backends.
 */
#include "tests/unit/controlplane/cluster/node.h"

#include "controlplane/cluster/alarms.h"
#include "controlplane/cluster/receiver.h"
#include "controlplane/tables/sessions.h"

enum {
	FLOWS = 3000,
	NOW = 1000,
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
static const char *const addresses[] = {"203.0.113.10", "203.0.113.11", "203.0.113.12"};

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
	} told[2048];
	uint32_t n;
	bool is_open;
} stream;

static void read_stream(struct peer *peer, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		berth_receiver_take(peer->receiver, &peer->node.engine->image, peer->node.now,
				    stream.told[i].service, stream.told[i].batch, stream.told[i].bytes);
}

static bool tell(void *arg, uint64_t service, const uint8_t *batch, size_t bytes)
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
		next->batch = malloc(bytes);
		assert_non_null(next->batch);
		memcpy(next->batch, batch, bytes);
		return true;
	}
	if (!other->is_deaf)
		berth_receiver_take(other->receiver, &other->node.engine->image, other->node.now, service, batch,
				    bytes);
	return true;
}

static void open_peer(struct peer *peer, uint32_t id, uint32_t now, const char *limits, const char *services)
{
	*peer = (struct peer){0};
	node_open(&peer->node, secret, now, limits, services);
	peer->scan = berth_scan_new(&peer->node.engine->image);
	peer->sender = berth_sender_new(
		&(struct berth_sender_options){.node = id, .epoch = id, .most = 100000, .tell = tell, .arg = peer});
	peer->receiver = berth_receiver_new(peer->sender);
	berth_scan_set_exception_fn(peer->scan, berth_sender_show, peer->sender);
}

/* Two nodes with three backends each. */
static void open_pair(struct peer *a, struct peer *b, const char *limits_of_a, const char *limits_of_b)
{
	stream.is_open = false;
	open_peer(a, 1, NOW, limits_of_a, ALL(THREE));
	open_peer(b, 2, 70000, limits_of_b, ALL_REVERSED(B(9)));
	node_apply(&b->node, limits_of_b, ALL_REVERSED(THREE));
	a->other = b;
	b->other = a;
}

static void close_pair(struct peer *a, struct peer *b)
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

static void scan(struct peer *peer)
{
	while (!berth_scan_step(peer->scan, 4096, peer->node.now))
		berth_sender_flush(peer->sender);
	berth_sender_flush(peer->sender);
	berth_sender_scan_ended(peer->sender);
}

/* Confirmed flows of each service, each of another client. */
static void connect_all(const struct node *node)
{
	for (size_t s = 0; s < 3; s++)
		for (uint32_t i = 0; i < FLOWS; i++) {
			node_forward_numbered(node, addresses[s], i, 0x02);
			node_forward_numbered(node, addresses[s], i, 0x10);
		}
}

/* A backend is added on both nodes. */
static void change(struct peer *a, struct peer *b, const char *limits_of_a, const char *limits_of_b)
{
	node_apply(&a->node, limits_of_a, ALL(FOUR));
	node_apply(&b->node, limits_of_b, ALL_REVERSED(FOUR_REVERSED));
}

/* How many flows of a service node b sends elsewhere than node a. */
static uint32_t count_moved(const struct peer *a, const struct peer *b, const char *address)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < FLOWS; i++)
		n += node_forward_numbered(&b->node, address, i, 0x10) !=
		     node_forward_numbered(&a->node, address, i, 0x10);
	return n;
}

static uint64_t told(const struct peer *peer)
{
	const uint64_t *n = berth_sender_counts(peer->sender)->told;
	return n[BERTH_SENDER_NEW] + n[BERTH_SENDER_CHANGED] + n[BERTH_SENDER_REFRESHED];
}

static uint64_t put(const struct peer *peer, enum berth_received_outcome outcome)
{
	return berth_receiver_counts(peer->receiver)->put[outcome];
}

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
	scan(&b);
	uint64_t flows, sessions;
	berth_scan_exception_totals(b.scan, &flows, &sessions);
	assert_in_range(flows, FLOWS / 5, FLOWS / 3);
	b.node.now += 2;
	scan(&b);
	berth_scan_exception_totals(b.scan, &flows, &sessions);
	assert_int_equal(flows, 0);
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
	/* Equal ages: what is here stays. */
	assert_int_equal(put(&b, BERTH_RECEIVED_INSERTED) + put(&b, BERTH_RECEIVED_REPLACED), 0);
	assert_int_equal(put(&b, BERTH_RECEIVED_OLDER), told(&a));
	a.node.now += timeout_of(&a) / 3;
	b.node.now += timeout_of(&a) / 3;
	for (uint32_t i = 0; i < FLOWS; i++)
		node_forward_numbered(&a.node, addresses[0], i, 0x10);
	scan(&a);
	assert_in_range(put(&b, BERTH_RECEIVED_REPLACED), FLOWS / 5, FLOWS / 3);
	assert_int_equal(berth_sender_counts(a.sender)->told[BERTH_SENDER_REFRESHED],
			 put(&b, BERTH_RECEIVED_REPLACED));
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
	const struct berth_image *image = &b.node.engine->image;
	const struct berth_receiver_counts *counts = berth_receiver_counts(b.receiver);
	/* The one in the middle is damaged: the others are taken. */
	batch[BERTH_CLUSTER_RECORD_BYTES + 3] = 99;
	berth_receiver_take(b.receiver, image, b.node.now, record.service, batch, sizeof(batch));
	assert_int_equal(put(&b, BERTH_RECEIVED_INSERTED), 2);
	assert_int_equal(counts->refused[BERTH_CLUSTER_RECORD_STATE], 1);
	/* Its version: the rest cannot be read. */
	batch[BERTH_CLUSTER_RECORD_BYTES] = 2;
	berth_receiver_take(b.receiver, image, b.node.now, record.service, batch, sizeof(batch));
	assert_int_equal(put(&b, BERTH_RECEIVED_CONFIRMED), 1);
	assert_int_equal(counts->refused[BERTH_CLUSTER_RECORD_VERSION_UNKNOWN], 1);
	/* Of another service than its stream. */
	berth_receiver_take(b.receiver, image, b.node.now, record.service + 1, batch, BERTH_CLUSTER_RECORD_BYTES);
	assert_int_equal(counts->refused[BERTH_CLUSTER_RECORD_ID], 1);
	assert_int_equal(berth_receiver_refused(counts), 3);
	for (size_t bytes = 1; bytes < BERTH_CLUSTER_RECORD_BYTES; bytes++)
		berth_receiver_take(b.receiver, image, b.node.now, record.service, batch, bytes);
	assert_int_equal(counts->refused[BERTH_CLUSTER_RECORD_LENGTH], BERTH_CLUSTER_RECORD_BYTES - 1);
	for (uint32_t i = 0; i < 200000; i++) {
		batch[i % BERTH_CLUSTER_RECORD_BYTES] = (uint8_t)(i * 2654435761u >> 24);
		berth_receiver_take(b.receiver, image, b.node.now, record.service, batch, sizeof(batch));
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
	berth_receiver_take(b.receiver, &b.node.engine->image, b.node.now, record.service, bytes, n);
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
	const struct berth_image *image = &b.node.engine->image;
	size_t n = berth_cluster_record_encode(&record, bytes);
	berth_receiver_take(b.receiver, image, b.node.now, record.service, bytes, n);
	assert_int_equal(berth_receiver_counts(b.receiver)->own, 1);
	record.epoch = 1;
	n = berth_cluster_record_encode(&record, bytes);
	berth_receiver_take(b.receiver, image, b.node.now, record.service, bytes, n);
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

/* --- what operators do with sessions --- */

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
		cmocka_unit_test(the_backend_with_later_traffic_wins),
		cmocka_unit_test(a_pin_of_this_node_stays),
		cmocka_unit_test(what_could_not_be_told_is_told_after_the_next_scan),
		cmocka_unit_test(what_was_lost_is_told_again),
		cmocka_unit_test(a_backend_that_this_node_does_not_have_is_unknown),
		cmocka_unit_test(another_secret_is_refused),
		cmocka_unit_test(bytes_that_are_no_record_are_counted_and_harm_nothing),
		cmocka_unit_test(a_backend_of_another_service_is_unknown),
		cmocka_unit_test(records_of_this_run_of_this_node_are_not_taken),
		cmocka_unit_test(an_alarm_begins_when_its_count_grows_and_ends_after_a_minute),
		cmocka_unit_test(a_session_that_is_moved_on_one_node_is_moved_on_the_other),
		cmocka_unit_test(sessions_that_are_cleared_on_one_node_are_cleared_on_the_other),
		cmocka_unit_test(a_clear_comes_after_what_was_told_before),
		cmocka_unit_test(a_session_that_was_told_before_a_clear_and_read_after_it_is_cleared),
		cmocka_unit_test(a_session_that_is_told_in_the_moment_of_a_clear_is_cleared),
		cmocka_unit_test(what_is_told_after_a_clear_stays_and_what_is_read_again_clears_nothing_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
