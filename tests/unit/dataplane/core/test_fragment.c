// SPDX-License-Identifier: BSD-3-Clause
/* fragment.h, steer.h: all fragments of a datagram reach the backend of its flow. */

#include "tests/support/count.h"
#include "tests/support/image.h"
#include "tests/support/send.h"
#include "tests/support/unit.h"
#include "tests/unit/dataplane/core/steering.h"

#define FRAGMENT BERTH_VERDICT_FRAGMENT
#define EARLY BERTH_VERDICT_FRAGMENT_UNKNOWN

enum {
	FLOW_UDP6 = SERVICES, /* backends 13, 14, 15 */
	ID = 0x1234,
	TIMEOUT = 30, /* of fragments */
	PIECE = 32,   /* bytes of a first fragment and of middle ones */
};

static const struct fixture_packet to_flow_udp6 = {
	.src = "2001:db8:2::7", .dst = "2001:db8:1::10", .sport = 1025, .dport = 53, .protocol = 17};

static int set_up_fragments(void **state)
{
	set_up(state);
	add_service(FLOW_UDP6, &to_flow_udp6, BERTH_AFFINITY_FLOW);
	return 0;
}

static const struct fixture_packet *flow_to(uint32_t service)
{
	return service == FLOW_UDP6 ? &to_flow_udp6 : &to_service[service];
}

/* A fragment of a datagram: `offset` in bytes, payload from there on. */
struct piece {
	const struct fixture_packet *flow;
	uint32_t id;
	uint32_t offset;
	bool more;
	uint8_t protocol; /* announced; 0: the flow's */
	uint8_t ttl;	  /* 0: as ever */
	uint16_t bytes;	  /* 0: PIECE */
};

static void build_piece(struct fixture_frame *frame, const struct piece *piece)
{
	static const uint8_t ext[] = {BERTH_PROTO_FRAGMENT, FIXTURE_EXT_END};
	struct fixture_packet packet = *piece->flow;
	bool is6 = strchr(packet.dst, ':') != NULL;
	uint32_t bytes = piece->bytes ? piece->bytes : PIECE;
	packet.fragment = (uint16_t)(piece->offset / 8 | (piece->more ? 0x2000 : 0));
	packet.ext = ext;
	packet.ext_fragment = (uint16_t)(piece->offset | piece->more);
	if (piece->offset)
		packet.protocol = 99; /* no header */
	packet.payload = (uint16_t)(bytes - fixture_transport_bytes(&packet));
	fixture_build(frame, &packet);
	uint8_t *ip = frame->frame.data + frame->network;
	ip[is6 ? 40 : 9] = piece->protocol ? piece->protocol : piece->flow->protocol;
	fixture_put16(ip + (is6 ? 46 : 4), piece->id & 0xffff);
	if (is6)
		fixture_put16(ip + 44, piece->id >> 16);
	if (piece->ttl)
		ip[is6 ? 7 : 8] = piece->ttl;
}

/* Forwards a piece; `steered` is the packet afterwards. */
static enum berth_verdict send_piece(const struct piece *piece, uint32_t now)
{
	struct berth_view view = fixture_view(&image, now);
	struct fixture_frame frame;
	uint32_t port;
	build_piece(&frame, piece);
	return berth_forward(&view, &frame.frame, &steered, frame.bytes, &port);
}

static enum berth_verdict send_first(uint32_t service, uint16_t sport, uint32_t id, uint32_t now)
{
	struct fixture_packet flow = *flow_to(service);
	flow.sport = sport;
	flow.tcp_flags = flow.protocol == BERTH_PROTO_TCP ? ACK : 0;
	const struct piece piece = {.flow = &flow, .id = id, .more = true};
	return send_piece(&piece, now);
}

static enum berth_verdict send_later(uint32_t service, uint32_t id, uint32_t offset, bool more, uint32_t now)
{
	const struct piece piece = {.flow = flow_to(service), .id = id, .offset = offset, .more = more};
	return send_piece(&piece, now);
}

static uint32_t words_of(enum berth_state state)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < image.geometry.flow_buckets * BERTH_BUCKET_WORDS; i++) {
		uint64_t word = image.flows[i / BERTH_BUCKET_WORDS].word[i % BERTH_BUCKET_WORDS];
		n += word != 0 && berth_word_state(word) == state;
	}
	return n;
}

static const uint32_t all[] = {FLOW_TCP, FLOW_UDP, CLIENT_TCP, CLIENT_UDP6, FLOW_UDP6};

static uint16_t backend_of(uint32_t service)
{
	return (uint16_t)(service * 3 - 2);
}

/* cilium#25709: in every order, twice, and overlapping. */
static void all_fragments_go_to_the_backend_of_the_first_in_any_order(void **state)
{
	(void)state;
	static const uint32_t orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	static const uint32_t offsets[] = {32, 56, 80}; /* the second begins within the first, the third in that */
	for (uint32_t i = 0; i < COUNT(all) * COUNT(orders); i++) {
		uint32_t service = all[i / COUNT(orders)];
		uint16_t backend = backend_of(service);
		clear_tables();
		prefer(service, backend, 0);
		assert_steered(send_first(service, 1025, ID, FIXTURE_NOW), SELECTED, backend);
		prefer(service, (uint16_t)(backend + 1), 0);
		for (uint32_t j = 0; j < 6; j++) {
			uint32_t n = orders[i % COUNT(orders)][j % 3];
			assert_steered(send_later(service, ID, offsets[n], n < 2, FIXTURE_NOW), FRAGMENT, backend);
			assert_int_equal(steered.service, service);
		}
		assert_int_equal(words_of(BERTH_STATE_FRAGMENT), 1);
	}
}

/* It finds, inserts and confirms its flow. */
static void a_first_fragment_is_steered_as_any_packet(void **state)
{
	(void)state;
	assert_steered(send_first(FLOW_UDP, 1025, ID, FIXTURE_NOW), SELECTED, 4);
	assert_int_equal(words_of(BERTH_STATE_UNCONFIRMED), 1);
	prefer(FLOW_UDP, 5, 0);
	assert_steered(send_first(FLOW_UDP, 1025, ID + 1, FIXTURE_NOW), FLOW, 4);
	assert_int_equal(words_of(BERTH_STATE_CONFIRMED), 1);
	assert_steered(send_later(FLOW_UDP, ID + 1, 32, false, FIXTURE_NOW), FRAGMENT, 4);
	/* Like whole packets of the flow. */
	assert_steered(steer(FLOW_UDP, 1025, 0, FIXTURE_NOW), FLOW, 4);
	/* With client affinity it goes to the session. */
	assert_steered(send_first(CLIENT_UDP6, 1025, ID, FIXTURE_NOW), SELECTED, 10);
	prefer(CLIENT_UDP6, 11, 0);
	assert_steered(send_first(CLIENT_UDP6, 1026, ID + 1, FIXTURE_NOW), SESSION, 10);
	assert_steered(send_later(CLIENT_UDP6, ID + 1, 32, false, FIXTURE_NOW), FRAGMENT, 10);
}

static void a_fragment_of_another_datagram_does_not_match(void **state)
{
	(void)state;
	struct fixture_packet of_other_client = to_service[FLOW_UDP], to_other_address = to_service[FLOW_UDP];
	struct fixture_packet of_other_client6 = to_flow_udp6, to_other_address6 = to_flow_udp6;
	of_other_client.src = "198.51.100.8";
	to_other_address.dst = "203.0.113.20";
	of_other_client6.src = "2001:db8:2::8";
	to_other_address6.dst = "2001:db8:1::20";
	const struct {
		const char *name;
		uint32_t service; /* of the first fragment */
		struct piece piece;
		enum berth_verdict verdict;
	} cases[] = {
		{"the same", FLOW_UDP, {.flow = &to_service[FLOW_UDP], .id = ID, .offset = 32}, FRAGMENT},
		{"another identification",
		 FLOW_UDP,
		 {.flow = &to_service[FLOW_UDP], .id = ID + 1, .offset = 32},
		 EARLY},
		{"another client", FLOW_UDP, {.flow = &of_other_client, .id = ID, .offset = 32}, EARLY},
		{"another destination", FLOW_UDP, {.flow = &to_other_address, .id = ID, .offset = 32}, EARLY},
		{"another protocol", FLOW_UDP, {.flow = &to_service[FLOW_TCP], .id = ID, .offset = 32}, EARLY},
		{"the same, IPv6", FLOW_UDP6, {.flow = &to_flow_udp6, .id = ID, .offset = 32}, FRAGMENT},
		{"another identification in its low bits",
		 FLOW_UDP6,
		 {.flow = &to_flow_udp6, .id = ID ^ 1, .offset = 32},
		 EARLY},
		{"another identification in its high bits",
		 FLOW_UDP6,
		 {.flow = &to_flow_udp6, .id = ID ^ 1u << 31, .offset = 32},
		 EARLY},
		{"another client, IPv6", FLOW_UDP6, {.flow = &of_other_client6, .id = ID, .offset = 32}, EARLY},
		{"another destination, IPv6",
		 FLOW_UDP6,
		 {.flow = &to_other_address6, .id = ID, .offset = 32},
		 EARLY},
		/* RFC 8200 section 4.5: the next header of later fragments is ignored. */
		{"another protocol in its fragment header",
		 FLOW_UDP6,
		 {.flow = &to_flow_udp6, .id = ID, .offset = 32, .protocol = 60},
		 FRAGMENT},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		clear_tables();
		send_first(cases[i].service, 1025, ID, FIXTURE_NOW);
		enum berth_verdict verdict = send_piece(&cases[i].piece, FIXTURE_NOW);
		if (verdict != cases[i].verdict)
			fail_msg("%s: %s", cases[i].name, fixture_verdict_name(verdict));
	}
}

static void a_fragment_before_its_first_is_unknown_and_inserts_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(all); i++) {
		uint32_t service = all[i];
		clear_tables();
		assert_int_equal(send_later(service, ID, 32, true, FIXTURE_NOW), EARLY);
		assert_null(flow_word());
		assert_null(session_word());
		send_first(service, 1025, ID, FIXTURE_NOW);
		assert_steered(send_later(service, ID, 32, true, FIXTURE_NOW), FRAGMENT, backend_of(service));
	}
}

static void fragments_match_until_the_timeout(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(all); i++) {
		uint32_t service = all[i];
		clear_tables();
		send_first(service, 1025, ID, FIXTURE_NOW);
		/* Later fragments do not renew it: a reused identification must not match. */
		for (uint32_t late = 0; late <= TIMEOUT; late += 10)
			assert_int_equal(send_later(service, ID, 32, true, FIXTURE_NOW + late), FRAGMENT);
		assert_int_equal(send_later(service, ID, 32, true, FIXTURE_NOW + TIMEOUT + 1), EARLY);
		fixture_service_at(&image, service)->timeout[BERTH_STATE_FRAGMENT] = 5;
		assert_int_equal(send_later(service, ID, 32, true, FIXTURE_NOW + 5), FRAGMENT);
		assert_int_equal(send_later(service, ID, 32, true, FIXTURE_NOW + 6), EARLY);
		/* An expired entry is replaced. */
		fixture_service_at(&image, service)->timeout[BERTH_STATE_FRAGMENT] = TIMEOUT;
		send_first(service, 1025, ID, FIXTURE_NOW + 100);
		assert_int_equal(send_later(service, ID, 32, true, FIXTURE_NOW + 100), FRAGMENT);
		assert_int_equal(words_of(BERTH_STATE_FRAGMENT), 1);
	}
}

static void fragments_match_while_the_backend_is_eligible_for_flows(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < COUNT(all) * 8; i++) {
		uint32_t service = all[i / 8];
		uint8_t eligibility = (uint8_t)(i % 8);
		clear_tables();
		send_first(service, 1025, ID, FIXTURE_NOW);
		fixture_set_eligibility(&image, backend_of(service), eligibility);
		assert_int_equal(send_later(service, ID, 32, true, FIXTURE_NOW),
				 eligibility & BERTH_ELIGIBLE_FLOWS ? FRAGMENT : EARLY);
		fixture_set_eligibility(&image, backend_of(service), BERTH_ELIGIBLE_ALL);
	}
	fixture_backend_at(&image, 4)->id = 0; /* removed */
	clear_tables();
	send_first(FLOW_UDP, 1025, ID, FIXTURE_NOW);
	assert_int_equal(send_later(FLOW_UDP, ID, 32, true, FIXTURE_NOW), EARLY);
}

/* A fast client reuses 16 bits within a second. */
static void for_a_reused_identification_the_latest_first_fragment_counts(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t service = i ? FLOW_UDP6 : FLOW_UDP;
		uint16_t backend = backend_of(service);
		assert_steered(send_first(service, 1025, ID, FIXTURE_NOW), SELECTED, backend);
		prefer(service, (uint16_t)(backend + 1), 0);
		assert_steered(send_first(service, 1026, ID, FIXTURE_NOW), SELECTED, backend + 1);
		assert_steered(send_later(service, ID, 32, false, FIXTURE_NOW), FRAGMENT, backend + 1);
		assert_steered(send_first(service, 1025, ID, FIXTURE_NOW), FLOW, backend);
		assert_steered(send_later(service, ID, 32, false, FIXTURE_NOW), FRAGMENT, backend);
	}
	assert_int_equal(words_of(BERTH_STATE_FRAGMENT), 2);
}

static void add_sole(uint32_t service)
{
	fixture_vip_kind(&image, BERTH_VIP_PORTLESS, flow_to(service)->dst, flow_to(service)->protocol, 0, 0,
			 service);
}

/* With client affinity the first fragment is not needed. */
static void a_clients_fragments_go_to_its_backend_without_a_first_fragment(void **state)
{
	(void)state;
	static const uint32_t services[] = {CLIENT_TCP, CLIENT_UDP6};
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t service = services[i];
		uint16_t backend = backend_of(service);
		add_sole(service);
		prefer(service, backend, 0);
		assert_steered(send_later(service, ID, 32, true, FIXTURE_NOW), SELECTED, backend);
		assert_int_equal(berth_word_backend(*session_word()), backend);
		assert_null(flow_word());
		prefer(service, (uint16_t)(backend + 1), 0);
		assert_steered(send_later(service, ID, 64, true, FIXTURE_NOW), SESSION, backend);
		assert_steered(send_later(service, ID + 1, 32, true, FIXTURE_NOW + 1), SESSION, backend);
		assert_int_equal(berth_word_age(*session_word(), FIXTURE_NOW + 1), 0);
		assert_null(flow_word());
		assert_int_equal(event_count(BERTH_EVENT_FLOW_ADDED), i);
		const struct berth_geometry *g = &image.geometry;
		const struct berth_tally *tally = &image.tallies[g->services + g->backends + g->services + backend];
		assert_int_equal(tally->packets, 3);
		assert_int_equal(tally->flows, 0);
		/* The first fragment goes to the same backend, and then they match its entry. */
		assert_steered(send_first(service, 1025, ID, FIXTURE_NOW + 1), SESSION, backend);
		assert_steered(send_later(service, ID, 64, true, FIXTURE_NOW + 1), FRAGMENT, backend);
		clear_tables();
	}
}

static void a_clients_fragments_move_with_its_session(void **state)
{
	(void)state;
	add_sole(CLIENT_TCP);
	send_first(CLIENT_TCP, 1025, ID, FIXTURE_NOW);
	fixture_set_eligibility(&image, 7, 0);
	assert_steered(send_later(CLIENT_TCP, ID, 32, true, FIXTURE_NOW), SELECTED, 8);
	assert_int_equal(berth_word_backend(*session_word()), 8);
	assert_steered(send_later(CLIENT_TCP, ID, 64, false, FIXTURE_NOW), SESSION, 8);
	for (uint32_t backend = 7; backend <= 9; backend++)
		fixture_set_eligibility(&image, backend, 0);
	assert_int_equal(send_later(CLIENT_TCP, ID, 64, false, FIXTURE_NOW), BERTH_VERDICT_NO_BACKEND);
}

/* More than one service is possible, or one with flow affinity. */
static void without_a_service_for_portless_fragments_a_fragment_needs_its_first(void **state)
{
	(void)state;
	fixture_vip_kind(&image, BERTH_VIP_PORTLESS, to_service[CLIENT_TCP].dst, BERTH_PROTO_TCP, 0, 0, 0);
	send_first(CLIENT_TCP, 1025, ID, FIXTURE_NOW);
	assert_int_equal(send_later(CLIENT_TCP, ID + 1, 32, true, FIXTURE_NOW), EARLY);
	/* One per protocol is enough. */
	add_sole(CLIENT_UDP6);
	struct piece piece = {.flow = &to_service[CLIENT_UDP6], .id = 1, .offset = 32, .protocol = BERTH_PROTO_TCP};
	assert_int_equal(send_piece(&piece, FIXTURE_NOW), EARLY);
	piece.protocol = BERTH_PROTO_UDP;
	assert_int_equal(send_piece(&piece, FIXTURE_NOW), SELECTED);
}

/* Fragments have no table of their own. */
static void in_a_full_table_fragments_are_evicted_by_flows_and_fragments(void **state)
{
	(void)state;
	fill_table(image.flows, image.geometry.flow_buckets, BERTH_STATE_FRAGMENT);
	assert_steered(steer(FLOW_TCP, 1025, SYN, FIXTURE_NOW), SELECTED, 1);
	assert_int_equal(event_count(BERTH_EVENT_FLOW_EVICTED), 1);
	assert_int_equal(words_of(BERTH_STATE_UNCONFIRMED), 1);
	uint32_t left = words_of(BERTH_STATE_FRAGMENT);
	assert_int_equal(left, image.geometry.flow_buckets * BERTH_BUCKET_WORDS - 1);
	steer(FLOW_TCP, 1025, ACK, FIXTURE_NOW);
	send_first(FLOW_TCP, 1025, ID, FIXTURE_NOW); /* of an existing flow */
	assert_int_equal(send_later(FLOW_TCP, ID, 32, false, FIXTURE_NOW), FRAGMENT);
	assert_int_equal(words_of(BERTH_STATE_FRAGMENT), left);
	assert_int_equal(words_of(BERTH_STATE_CONFIRMED), 1);
}

static void without_room_a_first_fragment_is_forwarded_and_counted(void **state)
{
	(void)state;
	fill_table(image.flows, image.geometry.flow_buckets, BERTH_STATE_CONFIRMED);
	assert_steered(send_first(FLOW_UDP, 1025, ID, FIXTURE_NOW), BERTH_VERDICT_TABLE_FULL, 4);
	assert_int_equal(event_count(BERTH_EVENT_FRAGMENT_FULL), 1);
	assert_int_equal(event_count(BERTH_EVENT_FLOW_EVICTED), 0);
	assert_int_equal(send_later(FLOW_UDP, ID, 32, false, FIXTURE_NOW), EARLY);
	assert_int_equal(words_of(BERTH_STATE_CONFIRMED), image.geometry.flow_buckets * BERTH_BUCKET_WORDS);
}

/* dpvs 3fd183ba: a crash. In any flood an established flow keeps its backend and the table its size. */
static void a_flood_of_fragments_evicts_no_established_flow(void **state)
{
	(void)state;
	steer(FLOW_TCP, 1025, SYN, FIXTURE_NOW);
	steer(FLOW_TCP, 1025, ACK, FIXTURE_NOW);
	for (uint32_t id = 0; id < 4000; id++) {
		send_first(id % 2 ? FLOW_UDP : FLOW_UDP6, (uint16_t)id, id, FIXTURE_NOW + id % 8);
		send_later(id % 3 ? FLOW_UDP : FLOW_UDP6, id * 7, 8 * (id % 100 + 1), id % 5, FIXTURE_NOW + id % 8);
	}
	prefer(FLOW_TCP, 2, 3);
	assert_steered(steer(FLOW_TCP, 1025, ACK, FIXTURE_NOW + 9), FLOW, 1);
}

/* A dropped first fragment inserts nothing; a forwarded one without a flow entry does. */
static void only_a_forwarded_first_fragment_inserts_an_entry(void **state)
{
	(void)state;
	struct fixture_packet rst = to_service[FLOW_TCP], bad = to_service[FLOW_TCP];
	rst.tcp_flags = RST;
	bad.src = "127.0.0.1";
	const struct {
		struct piece piece;
		enum berth_verdict verdict;
		uint32_t entries;
	} cases[] = {
		{{.flow = &rst, .id = ID, .more = true}, UNTRACKED, 1},
		{{.flow = &bad, .id = ID, .more = true}, BERTH_VERDICT_BAD_SOURCE, 0},
		{{.flow = &to_service[FLOW_TCP], .id = ID, .more = true, .ttl = 1},
		 BERTH_VERDICT_ANSWERED_TTL_EXPIRED,
		 0},
		{{.flow = &to_service[FLOW_UDP], .id = ID, .more = true}, BERTH_VERDICT_NO_BACKEND, 0},
	};
	fixture_service_at(&image, FLOW_UDP)->rows = 0;
	for (size_t i = 0; i < COUNT(cases); i++) {
		clear_tables();
		assert_int_equal(send_piece(&cases[i].piece, FIXTURE_NOW), cases[i].verdict);
		assert_int_equal(words_of(BERTH_STATE_FRAGMENT), cases[i].entries);
	}
}

/* RFC 1858, RFC 5722: a fragment that fits no datagram changes no entry. */
static void an_invalid_fragment_is_dropped_and_inserts_nothing(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		uint32_t offset;
		bool more;
		uint16_t bytes;
	} cases[] = {
		{"middle of no whole 8 bytes", 32, true, 31},
		{"past the end of any datagram", 65528, false, 8},
		{"first of no whole 8 bytes", 0, true, 33},
	};
	for (uint32_t i = 0; i < COUNT(cases) * 4; i++) {
		bool is6 = i % 2, ours = i / 2 % 2;
		struct fixture_packet flow = *flow_to(is6 ? FLOW_UDP6 : FLOW_UDP);
		clear_tables();
		send_first(is6 ? FLOW_UDP6 : FLOW_UDP, 1025, ID, FIXTURE_NOW);
		struct berth_bucket flows[16];
		memcpy(flows, image.flows, sizeof(flows));
		if (!ours)
			flow.dst = is6 ? "2001:db8:1::99" : "203.0.113.99";
		const struct piece piece = {.flow = &flow,
					    .id = ID,
					    .offset = cases[i / 4].offset,
					    .more = cases[i / 4].more,
					    .bytes = cases[i / 4].bytes};
		enum berth_verdict verdict = send_piece(&piece, FIXTURE_NOW), expected = BERTH_VERDICT_NO_SERVICE;
		if (ours)
			expected = is6 ? BERTH_VERDICT_BAD_IP6 : BERTH_VERDICT_BAD_IP4;
		if (verdict != expected)
			fail_msg("%s: %s", cases[i / 4].name, fixture_verdict_name(verdict));
		assert_memory_equal(image.flows, flows, sizeof(flows));
	}
}

static void a_tiny_first_fragment_inserts_no_entry(void **state)
{
	(void)state;
	struct fixture_packet tiny = to_service[FLOW_TCP];
	tiny.protocol = 99;
	struct piece piece = {.flow = &tiny, .id = ID, .more = true, .protocol = BERTH_PROTO_TCP, .bytes = 8};
	assert_int_equal(send_piece(&piece, FIXTURE_NOW), BERTH_VERDICT_BAD_TCP);
	assert_int_equal(send_later(FLOW_TCP, ID, 8, false, FIXTURE_NOW), EARLY);
	assert_null(flow_word());
}

/* No answer about a later fragment: the sender could not match it. */
static void a_later_fragment_is_never_answered(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t service = i ? FLOW_UDP6 : FLOW_UDP;
		struct piece piece = {.flow = flow_to(service), .id = ID, .offset = 32, .ttl = 1};
		send_first(service, 1025, ID, FIXTURE_NOW);
		assert_int_equal(send_piece(&piece, FIXTURE_NOW), BERTH_VERDICT_TTL_EXPIRED);
		piece.ttl = 2;
		assert_int_equal(send_piece(&piece, FIXTURE_NOW), FRAGMENT);
		fixture_backend_at(&image, backend_of(service))->mtu = 50;
		assert_int_equal(send_piece(&piece, FIXTURE_NOW), BERTH_VERDICT_TOO_BIG);
	}
}

/* Only its IP header is rewritten, not the bytes where others have ports. */
static void a_later_fragment_is_rewritten_by_the_mode_of_its_backend(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 6; i++) {
		static const enum berth_mode modes[] = {BERTH_MODE_L2, BERTH_MODE_IPIP, BERTH_MODE_GUE};
		static const uint32_t extra[] = {0, 20, 28};
		uint32_t service = i % 2 ? FLOW_UDP6 : FLOW_UDP, port;
		struct piece piece = {.flow = flow_to(service), .id = ID, .offset = 32};
		struct berth_view view = fixture_view(&image, FIXTURE_NOW);
		struct fixture_frame frame;
		uint8_t before[FIXTURE_ROOM];
		fixture_backend(&image, backend_of(service), service, modes[i / 2], "192.0.2.1");
		send_first(service, 1025, ID, FIXTURE_NOW);
		build_piece(&frame, &piece);
		memcpy(before, frame.frame.data, frame.bytes);
		assert_int_equal(berth_forward(&view, &frame.frame, &(struct berth_packet){0}, frame.bytes, &port),
				 FRAGMENT);
		assert_int_equal(frame.frame.end - frame.frame.data, frame.bytes + extra[i / 2]);
		uint32_t payload = frame.bytes - frame.network - (i % 2 ? 40 : 20);
		assert_memory_equal(frame.frame.end - payload, before + frame.bytes - payload, payload);
	}
}

#define FRAGMENT_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_fragments, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FRAGMENT_TEST(all_fragments_go_to_the_backend_of_the_first_in_any_order),
		FRAGMENT_TEST(a_first_fragment_is_steered_as_any_packet),
		FRAGMENT_TEST(a_fragment_of_another_datagram_does_not_match),
		FRAGMENT_TEST(a_fragment_before_its_first_is_unknown_and_inserts_nothing),
		FRAGMENT_TEST(fragments_match_until_the_timeout),
		FRAGMENT_TEST(fragments_match_while_the_backend_is_eligible_for_flows),
		FRAGMENT_TEST(for_a_reused_identification_the_latest_first_fragment_counts),
		FRAGMENT_TEST(a_clients_fragments_go_to_its_backend_without_a_first_fragment),
		FRAGMENT_TEST(a_clients_fragments_move_with_its_session),
		FRAGMENT_TEST(without_a_service_for_portless_fragments_a_fragment_needs_its_first),
		FRAGMENT_TEST(in_a_full_table_fragments_are_evicted_by_flows_and_fragments),
		FRAGMENT_TEST(without_room_a_first_fragment_is_forwarded_and_counted),
		FRAGMENT_TEST(a_flood_of_fragments_evicts_no_established_flow),
		FRAGMENT_TEST(only_a_forwarded_first_fragment_inserts_an_entry),
		FRAGMENT_TEST(an_invalid_fragment_is_dropped_and_inserts_nothing),
		FRAGMENT_TEST(a_tiny_first_fragment_inserts_no_entry),
		FRAGMENT_TEST(a_later_fragment_is_never_answered),
		FRAGMENT_TEST(a_later_fragment_is_rewritten_by_the_mode_of_its_backend),
	};
	return cmocka_run_group_tests_name("fragment", tests, NULL, NULL);
}
