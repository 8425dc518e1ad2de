// SPDX-License-Identifier: BSD-3-Clause
/* steer.h: flows. Sessions are in test_session.c. */

#include "dataplane/core/atomic.h"

/* The word that another worker writes just before a swap; 0: none. */
static uint64_t intruder;

#define berth_swap(word, seen, next) (intrude(word), (berth_swap)(word, seen, next))

static inline void intrude(uint64_t *word)
{
	if (intruder)
		*word = intruder;
	intruder = 0;
}

#include "tests/support/unit.h"
#include "tests/unit/dataplane/core/steering.h"

static void a_first_packet_inserts_an_unconfirmed_flow(void **state)
{
	(void)state;
	static const uint8_t flags[] = {SYN, ACK, ACK | 0x08, FIN | ACK, FIN, SYN | ACK, 0, 0xff & ~RST};
	for (size_t i = 0; i < COUNT(flags); i++) {
		clear_tables();
		assert_steered(steer(FLOW_TCP, 1025, flags[i], FIXTURE_NOW), BERTH_VERDICT_SELECTED, 1);
		assert_int_equal(*flow_word(),
				 berth_word_make((uint32_t)(steered.hash >> 36), 1, FIXTURE_NOW, UNCONFIRMED));
		assert_int_equal(event_count(BERTH_EVENT_FLOW_ADDED), i + 1);
	}
	clear_tables();
	assert_steered(steer(FLOW_UDP, 1025, 0, FIXTURE_NOW), BERTH_VERDICT_SELECTED, 4);
	assert_int_equal(berth_word_state(*flow_word()), UNCONFIRMED);
}

/* katran d8139b99: a RST inserted an entry. */
static void a_rst_without_a_flow_is_forwarded_and_not_inserted(void **state)
{
	(void)state;
	static const uint8_t flags[] = {RST, RST | ACK, RST | SYN, RST | FIN, 0xff};
	for (size_t i = 0; i < COUNT(flags); i++) {
		assert_steered(steer(FLOW_TCP, 1025, flags[i], FIXTURE_NOW), BERTH_VERDICT_UNTRACKED, 1);
		assert_steered(steer(CLIENT_TCP, 1025, flags[i], FIXTURE_NOW), BERTH_VERDICT_UNTRACKED, 7);
		assert_null(flow_word());
		assert_null(session_word());
	}
	assert_int_equal(event_count(BERTH_EVENT_FLOW_ADDED), 0);
	assert_int_equal(event_count(BERTH_EVENT_SESSION_ADDED), 0);
}

struct transition {
	uint32_t service;
	enum berth_state from;
	uint8_t flags;
	enum berth_state to;
	enum berth_verdict verdict;
	uint16_t data; /* bytes */
};

static const struct transition transitions[] = {
	{FLOW_TCP, UNCONFIRMED, SYN, UNCONFIRMED, FLOW, 0},
	{FLOW_TCP, UNCONFIRMED, SYN | ACK, UNCONFIRMED, FLOW, 0},
	{FLOW_TCP, UNCONFIRMED, ACK, CONFIRMED, FLOW, 0},
	{FLOW_TCP, UNCONFIRMED, PSH | ACK, CONFIRMED, FLOW, 9},
	{FLOW_TCP, UNCONFIRMED, 0, CONFIRMED, FLOW, 0},
	{FLOW_TCP, UNCONFIRMED, FIN | ACK, CLOSING, FLOW, 0},
	{FLOW_TCP, UNCONFIRMED, RST, CLOSING, FLOW, 0},
	{FLOW_TCP, UNCONFIRMED, SYN | FIN, CLOSING, FLOW, 0},
	{FLOW_TCP, CONFIRMED, SYN, CONFIRMED, FLOW, 0},
	{FLOW_TCP, CONFIRMED, ACK, CONFIRMED, FLOW, 0},
	{FLOW_TCP, CONFIRMED, 0, CONFIRMED, FLOW, 0},
	{FLOW_TCP, CONFIRMED, FIN | ACK, CLOSING, FLOW, 0},
	{FLOW_TCP, CONFIRMED, RST | ACK, CLOSING, FLOW, 0},
	{FLOW_TCP, CONFIRMED, 0xff, CLOSING, FLOW, 0},
	{FLOW_TCP, PROVEN, ACK, PROVEN, FLOW, 0},
	{FLOW_TCP, PROVEN, SYN, PROVEN, FLOW, 0},
	{FLOW_TCP, PROVEN, FIN | ACK, CLOSING, FLOW, 9},
	{FLOW_TCP, PROVEN, RST, CLOSING, FLOW, 0},
	/* A half-closed connection acknowledges what it receives. */
	{FLOW_TCP, CLOSING, ACK, CLOSING, FLOW, 0},
	{FLOW_TCP, CLOSING, PSH | ACK, CLOSING, FLOW, 0},
	{FLOW_TCP, CLOSING, FIN | ACK, CLOSING, FLOW, 0},
	{FLOW_TCP, CLOSING, FIN | ACK, CLOSING, FLOW, 9},
	{FLOW_TCP, CLOSING, RST, CLOSING, FLOW, 0},
	{FLOW_TCP, CLOSING, RST, CLOSING, FLOW, 9},
	{FLOW_TCP, CLOSING, SYN | ACK, CLOSING, FLOW, 0},
	{FLOW_TCP, CLOSING, SYN | ACK, CLOSING, FLOW, 9},
	{FLOW_TCP, CLOSING, SYN | RST, CLOSING, FLOW, 0},
	/* The client sends data, so the FIN or RST before was not its own. */
	{FLOW_TCP, CLOSING, ACK, CONFIRMED, FLOW, 1},
	{FLOW_TCP, CLOSING, PSH | ACK, CONFIRMED, FLOW, 9},
	{FLOW_TCP, CLOSED, ACK, CLOSED, FLOW, 0},
	{FLOW_TCP, CLOSED, ACK, CLOSED, FLOW, 9},
	{FLOW_TCP, CLOSED, FIN | ACK, CLOSED, FLOW, 0},
	{FLOW_TCP, CLOSED, RST, CLOSED, FLOW, 0},
	/* A reused port must not wait for the old entry (kubernetes#81775). */
	{FLOW_TCP, CLOSING, SYN, UNCONFIRMED, SELECTED, 0},
	{FLOW_TCP, CLOSED, SYN, UNCONFIRMED, SELECTED, 0},
	{CLIENT_TCP, CLOSING, SYN, UNCONFIRMED, SESSION, 0},
	{FLOW_UDP, UNCONFIRMED, 0, CONFIRMED, FLOW, 0},
	{FLOW_UDP, CONFIRMED, 0, CONFIRMED, FLOW, 0},
	{FLOW_UDP, PROVEN, 0, PROVEN, FLOW, 0},
	{CLIENT_UDP6, UNCONFIRMED, 0, CONFIRMED, FLOW, 0},
};

/* A second from `now` on in which traffic proves the only flow; or, with `proves` false, in which it does not. */
static uint32_t second_that_proves(bool proves, uint32_t now)
{
	while (berth_is_proof(*flow_word(), now) != proves)
		now++;
	return now;
}

static void each_packet_changes_its_flow_to_the_next_state(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(transitions); i++) {
		const struct transition *t = &transitions[i];
		clear_tables();
		steer(t->service, 1025, SYN, FIXTURE_NOW);
		uint32_t backend = steered.backend;
		const uint32_t now = second_that_proves(false, FIXTURE_NOW + 1);
		*flow_word() = berth_word_touch(*flow_word(), now - 1, t->from);
		enum berth_verdict verdict = steer_data(t->service, 1025, t->flags, t->data, now);
		uint32_t to = berth_word_state(*flow_word());
		if (verdict != t->verdict || to != t->to || steered.backend != backend)
			fail_msg("state %u, flags %02x, %u bytes: state %u, %s to %u", t->from, t->flags, t->data,
				 to, fixture_verdict_name(verdict), steered.backend);
		assert_int_equal(berth_word_age(*flow_word(), now), 0);
	}
}

static void a_confirmed_flow_is_proven_by_traffic_in_one_later_second_of_eight(void **state)
{
	(void)state;
	static const uint32_t services[] = {FLOW_TCP, FLOW_UDP, CLIENT_TCP, CLIENT_UDP6};
	uint32_t proven = 0;
	for (size_t i = 0; i < COUNT(services); i++) {
		clear_tables();
		steer(services[i], 1025, SYN, FIXTURE_NOW);
		const uint32_t now = second_that_proves(true, FIXTURE_NOW + 1);
		/* Not the second packet, nor any in the second of the packet before. */
		steer(services[i], 1025, ACK, now);
		steer(services[i], 1025, ACK, now);
		assert_int_equal(berth_word_state(*flow_word()), CONFIRMED);
		*flow_word() = berth_word_touch(*flow_word(), now - 1, CONFIRMED) -
			       (UINT64_C(1) << BERTH_SEEN_SHIFT);
		steer(services[i], 1025, ACK, now);
		assert_int_equal(berth_word_state(*flow_word()), PROVEN);
	}
	for (uint32_t second = 0; second < 8000; second++)
		proven += berth_is_proof(*flow_word(), second);
	assert_in_range(proven, 900, 1100);
}

static void packets_within_one_second_write_nothing(void **state)
{
	(void)state;
	steer(FLOW_TCP, 1025, SYN, FIXTURE_NOW);
	steer(FLOW_TCP, 1025, ACK, FIXTURE_NOW);
	uint64_t word = *flow_word();
	intruder = word + 1; /* written where there is a swap */
	assert_steered(steer(FLOW_TCP, 1025, ACK, FIXTURE_NOW), FLOW, 1);
	assert_int_equal(*flow_word(), word);
	assert_int_equal(intruder, word + 1);
	intruder = 0;
}

static void a_flow_keeps_its_backend_when_selection_changes(void **state)
{
	(void)state;
	steer(FLOW_TCP, 1025, SYN, FIXTURE_NOW);
	prefer(FLOW_TCP, 2, 3);
	assert_steered(steer(FLOW_TCP, 1025, ACK, FIXTURE_NOW + 1), FLOW, 1);
	assert_steered(steer(FLOW_TCP, 1025, SYN, FIXTURE_NOW + 2), FLOW, 1);
	assert_steered(steer(FLOW_TCP, 1026, SYN, FIXTURE_NOW + 2), SELECTED, 2);
}

static void a_new_connection_on_old_ports_is_reselected_in_the_same_word(void **state)
{
	(void)state;
	steer(FLOW_TCP, 1025, SYN, FIXTURE_NOW);
	steer(FLOW_TCP, 1025, FIN | ACK, FIXTURE_NOW);
	prefer(FLOW_TCP, 2, 3);
	uint64_t *word = flow_word();
	assert_steered(steer(FLOW_TCP, 1025, SYN, FIXTURE_NOW), RESELECTED, 2);
	assert_ptr_equal(flow_word(), word);
	assert_steered(steer(FLOW_TCP, 1025, ACK, FIXTURE_NOW), FLOW, 2);
}

struct admission {
	const char *name;
	uint32_t service;
	uint8_t eligibility;
	uint8_t flags;
	enum berth_verdict verdict;
	uint32_t backend; /* index in the service; 0: its former one */
};

enum {
	DRAINING = BERTH_ELIGIBLE_FLOWS | BERTH_ELIGIBLE_SESSIONS,
};

static const struct admission admissions[] = {
	{"open, data", FLOW_TCP, BERTH_ELIGIBLE_ALL, ACK, FLOW, 0},
	{"open, SYN", FLOW_TCP, BERTH_ELIGIBLE_ALL, SYN, FLOW, 0},
	{"draining, data", FLOW_TCP, DRAINING, ACK, FLOW, 0},
	{"draining, FIN", FLOW_TCP, DRAINING, FIN | ACK, FLOW, 0},
	{"draining, SYN: a new flow", FLOW_TCP, DRAINING, SYN, RESELECTED, 1},
	{"draining, SYN of a client that stays", CLIENT_TCP, DRAINING, SYN, FLOW, 0},
	{"flows only, data", CLIENT_TCP, BERTH_ELIGIBLE_FLOWS, ACK, FLOW, 0},
	{"flows only, SYN", FLOW_TCP, BERTH_ELIGIBLE_FLOWS, SYN, RESELECTED, 1},
	{"flows only, SYN of a client", CLIENT_TCP, BERTH_ELIGIBLE_FLOWS, SYN, RESELECTED, 1},
	{"down, data", FLOW_TCP, 0, ACK, RESELECTED, 1},
	{"down, SYN", FLOW_TCP, 0, SYN, RESELECTED, 1},
	{"down, data of a client", CLIENT_TCP, 0, ACK, RESELECTED, 1},
	{"down, RST", FLOW_TCP, 0, RST, BERTH_VERDICT_UNTRACKED, 1},
	{"draining, UDP", FLOW_UDP, DRAINING, 0, FLOW, 0},
	/* Clients that reuse ports must not stay on a removed server (dpvs#109, #372, keepalived#2163). */
	{"down, UDP", FLOW_UDP, 0, 0, RESELECTED, 1},
	{"down, UDP of a client", CLIENT_UDP6, 0, 0, RESELECTED, 1},
};

static void a_backend_gets_only_traffic_that_it_is_eligible_for(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(admissions); i++) {
		const struct admission *a = &admissions[i];
		clear_tables();
		steer(a->service, 1025, SYN, FIXTURE_NOW);
		steer(a->service, 1025, ACK, FIXTURE_NOW);
		uint32_t first = steered.backend;
		uint64_t *word = flow_word(), before = *word;
		fixture_set_eligibility(&image, first, a->eligibility);
		enum berth_verdict verdict = steer(a->service, 1025, a->flags, FIXTURE_NOW);
		if (verdict != a->verdict || steered.backend != first + a->backend)
			fail_msg("%s: %s to %u", a->name, fixture_verdict_name(verdict), steered.backend);
		assert_ptr_equal(flow_word(), word);
		if (verdict == BERTH_VERDICT_UNTRACKED)
			assert_int_equal(*word, before);
		else
			assert_int_equal(berth_word_backend(*word), steered.backend);
		if (verdict == RESELECTED) /* like every new flow */
			assert_int_equal(berth_word_state(*word), UNCONFIRMED);
		fixture_set_eligibility(&image, first, BERTH_ELIGIBLE_ALL);
	}
}

static void a_reselected_flow_keeps_its_new_backend(void **state)
{
	(void)state;
	steer(FLOW_TCP, 1025, SYN, FIXTURE_NOW);
	fixture_set_eligibility(&image, 1, 0);
	assert_steered(steer(FLOW_TCP, 1025, ACK, FIXTURE_NOW), RESELECTED, 2);
	fixture_set_eligibility(&image, 1, BERTH_ELIGIBLE_ALL);
	assert_steered(steer(FLOW_TCP, 1025, ACK, FIXTURE_NOW), FLOW, 2);
}

static void a_flow_expires_after_its_states_timeout_and_not_before(void **state)
{
	(void)state;
	static const struct {
		uint32_t service;
		enum berth_state state;
	} cases[] = {
		{FLOW_TCP, UNCONFIRMED}, {FLOW_TCP, CONFIRMED}, {FLOW_TCP, PROVEN},	 {FLOW_TCP, CLOSED},
		{FLOW_UDP, PROVEN},	 {FLOW_TCP, CLOSING},	{FLOW_UDP, UNCONFIRMED}, {FLOW_UDP, CONFIRMED},
	};
	for (size_t i = 0; i < COUNT(cases) * 2; i++) {
		uint32_t service = cases[i / 2].service;
		uint32_t timeout = fixture_service_at(&image, service)->timeout[cases[i / 2].state];
		uint16_t first = (uint16_t)(service * 3 - 2), second = (uint16_t)(first + 1);
		clear_tables();
		prefer(service, first, second);
		steer(service, 1025, SYN, FIXTURE_NOW);
		*flow_word() = berth_word_touch(*flow_word(), FIXTURE_NOW, cases[i / 2].state);
		prefer(service, second, first);
		if (i % 2)
			assert_steered(steer(service, 1025, ACK, FIXTURE_NOW + timeout), FLOW, first);
		else
			assert_steered(steer(service, 1025, ACK, FIXTURE_NOW + timeout + 1), RESELECTED, second);
		assert_non_null(flow_word());
	}
}

static void an_expired_flow_with_the_same_selection_is_a_new_one(void **state)
{
	(void)state;
	steer(FLOW_TCP, 1025, SYN, FIXTURE_NOW);
	steer(FLOW_TCP, 1025, ACK, FIXTURE_NOW);
	assert_steered(steer(FLOW_TCP, 1025, ACK, FIXTURE_NOW + 3601), SELECTED, 1);
	assert_int_equal(berth_word_state(*flow_word()), UNCONFIRMED);
}

static void a_worker_with_a_slow_clock_does_not_lose_a_flow(void **state)
{
	(void)state;
	steer(FLOW_TCP, 1025, SYN, FIXTURE_NOW);
	steer(FLOW_TCP, 1025, ACK, FIXTURE_NOW + 1);
	prefer(FLOW_TCP, 2, 3);
	uint64_t word = *flow_word();
	assert_steered(steer(FLOW_TCP, 1025, ACK, FIXTURE_NOW), FLOW, 1);
	assert_int_equal(*flow_word(), word);
}

static void without_room_a_flow_goes_by_selection_and_is_counted(void **state)
{
	(void)state;
	fill_table(image.flows, image.geometry.flow_buckets, CONFIRMED);
	for (uint16_t i = 0; i < 3; i++)
		assert_steered(steer(FLOW_TCP, 1025, i ? ACK : SYN, FIXTURE_NOW), BERTH_VERDICT_TABLE_FULL, 1);
	assert_int_equal(event_count(BERTH_EVENT_FLOW_ADDED), 0);
	assert_int_equal(event_count(BERTH_EVENT_FLOW_EVICTED), 0);
}

/* A flood of spoofed SYNs (katran 370665f5, dpvs#446) evicts unconfirmed flows, no established one. */
static void a_flood_of_syns_evicts_no_established_flow(void **state)
{
	(void)state;
	steer(FLOW_TCP, 1025, SYN, FIXTURE_NOW);
	steer(FLOW_TCP, 1025, ACK, FIXTURE_NOW);
	for (uint32_t port = 2000; port < 6000; port++)
		steer(FLOW_TCP, (uint16_t)port, port % 3 ? SYN : ACK, FIXTURE_NOW + port % 8);
	assert_in_range(event_count(BERTH_EVENT_FLOW_EVICTED), 3000, 4000);
	prefer(FLOW_TCP, 2, 3);
	assert_steered(steer(FLOW_TCP, 1025, ACK, FIXTURE_NOW + 9), FLOW, 1);
}

static void a_service_without_backends_gives_no_backend(void **state)
{
	(void)state;
	steer(FLOW_TCP, 1025, SYN, FIXTURE_NOW);
	steer(FLOW_TCP, 1025, ACK, FIXTURE_NOW);
	for (uint32_t i = 1; i <= 3; i++)
		fixture_set_eligibility(&image, i, DRAINING);
	assert_steered(steer(FLOW_TCP, 1026, SYN, FIXTURE_NOW), BERTH_VERDICT_NO_BACKEND, 0);
	assert_steered(steer(FLOW_TCP, 1025, ACK, FIXTURE_NOW), FLOW, 1);
	assert_steered(steer(FLOW_TCP, 1025, SYN, FIXTURE_NOW), BERTH_VERDICT_NO_BACKEND, 0);
	fixture_service_at(&image, FLOW_TCP)->rows = 0;
	assert_steered(steer(FLOW_TCP, 1026, SYN, FIXTURE_NOW), BERTH_VERDICT_NO_BACKEND, 0);
}

/* vpp e56a786b, f46c5525; dpvs#93: entries of a removed backend were used. */
static void flows_of_a_removed_backend_are_new_flows(void **state)
{
	(void)state;
	steer(FLOW_TCP, 1025, SYN, FIXTURE_NOW);
	fixture_backend_at(&image, 1)->id = 0;
	fixture_set_eligibility(&image, 1, 0);
	assert_steered(steer(FLOW_TCP, 1025, ACK, FIXTURE_NOW), SELECTED, 2);
}

static void a_service_that_does_not_exist_is_internal(void **state)
{
	(void)state;
	fixture_vip(&image, "203.0.113.66", BERTH_PROTO_TCP, 80, image.geometry.services);
	struct fixture_packet packet = to_service[FLOW_TCP];
	packet.dst = "203.0.113.66";
	assert_int_equal(steer_packet(&packet, FIXTURE_NOW), BERTH_VERDICT_INTERNAL);
}

static void after_a_lost_race_the_winners_backend_is_used(void **state)
{
	(void)state;
	steer(FLOW_TCP, 1025, SYN, FIXTURE_NOW);
	fixture_set_eligibility(&image, 1, 0);
	uint32_t tag = berth_word_tag(*flow_word());
	intruder = berth_word_make(tag, 3, FIXTURE_NOW, UNCONFIRMED);
	assert_steered(steer(FLOW_TCP, 1025, ACK, FIXTURE_NOW), RESELECTED, 3);
	assert_steered(steer(FLOW_TCP, 1025, ACK, FIXTURE_NOW), FLOW, 3);
	/* A word of another flow in that place is ignored. */
	fixture_set_eligibility(&image, 3, 0);
	intruder = berth_word_make(tag + 1, 1, FIXTURE_NOW, UNCONFIRMED);
	assert_steered(steer(FLOW_TCP, 1025, ACK, FIXTURE_NOW), RESELECTED, 2);
}

/* Values of another implementation of XXH3. haproxy 03e9a5a1: a hash changed in an upgrade, and every key moved. */
static void the_flow_hash_never_changes(void **state)
{
	(void)state;
	static const uint64_t golden[SERVICES] = {0, UINT64_C(0x4223c9b56c278b4f), UINT64_C(0x17a1529091c64b5e),
						  UINT64_C(0x58837b063dd63282), UINT64_C(0xc70357de11e30296)};
	for (uint32_t service = FLOW_TCP; service < SERVICES; service++) {
		steer(service, 1025, SYN, FIXTURE_NOW);
		assert_int_equal(steered.hash, golden[service]);
	}
}

static void every_part_of_a_flow_is_hashed(void **state)
{
	(void)state;
	steer(FLOW_TCP, 1025, SYN, FIXTURE_NOW);
	uint64_t hash = steered.hash;
	struct fixture_packet packet = to_service[FLOW_TCP];
	packet.src = "198.51.100.8";
	steer_packet(&packet, FIXTURE_NOW);
	assert_int_not_equal(steered.hash, hash);
	steer(FLOW_TCP, 1026, SYN, FIXTURE_NOW);
	assert_int_not_equal(steered.hash, hash);
	image.ctl->secret[40] ^= 1;
	steer(FLOW_TCP, 1025, SYN, FIXTURE_NOW);
	assert_int_not_equal(steered.hash, hash);
	image.ctl->secret[40] ^= 1;
	struct berth_packet of_service = steered;
	for (of_service.flow_key = 0; of_service.flow_key < 1000; of_service.flow_key++) {
		uint32_t key = of_service.flow_key;
		struct berth_view view = fixture_view(&image, FIXTURE_NOW);
		berth_hash_packet(&view, &of_service);
		assert_int_not_equal(of_service.hash, hash);
		of_service.flow_key = key;
	}
}

/* In a service with a prefix, a client port has one flow per destination address. */
static void with_a_prefix_the_destination_address_is_part_of_the_flow(void **state)
{
	(void)state;
	static const char *const addresses[][4] = {
		{"192.0.2.128", "192.0.2.129", "192.0.2.160", "192.0.2.255"},
		{"2001:db8:9::", "2001:db8:9::1", "2001:db8:9:0:1::1", "2001:db8:9:0:ffff:ffff:ffff:ffff"},
	};
	fixture_prefix(&image, BERTH_VIP_RANGE, "192.0.2.128", 25, BERTH_PROTO_TCP, 0, UINT16_MAX, FLOW_TCP);
	fixture_prefix(&image, BERTH_VIP_RANGE, "2001:db8:9::", 64, BERTH_PROTO_TCP, 0, UINT16_MAX, FLOW_TCP);
	for (uint32_t family = 0; family < 2; family++) {
		uint64_t hash[4];
		for (uint32_t i = 0; i < 4; i++) {
			struct fixture_packet packet = to_service[FLOW_TCP];
			packet.dst = addresses[family][i];
			packet.src = family ? "2001:db8:2::7" : "198.51.100.7";
			packet.tcp_flags = SYN;
			assert_steered(steer_packet(&packet, FIXTURE_NOW), SELECTED, 1);
			hash[i] = steered.hash;
			for (uint32_t j = 0; j < i; j++)
				assert_int_not_equal(hash[j], hash[i]);
		}
	}
	assert_int_equal(event_count(BERTH_EVENT_FLOW_ADDED), 8);
}

/* Addresses that no host can have, first and last, and their neighbours. */
static const struct {
	uint32_t service;
	const char *src;
	bool bad;
} sources[] = {
	{FLOW_TCP, "0.0.0.0", true},
	{FLOW_TCP, "0.255.255.255", true},
	{FLOW_TCP, "1.0.0.0", false},
	{FLOW_TCP, "10.0.0.1", false},
	{FLOW_TCP, "126.255.255.255", false},
	{FLOW_TCP, "127.0.0.0", true},
	{FLOW_UDP, "127.0.0.1", true},
	{FLOW_TCP, "127.255.255.255", true},
	{FLOW_TCP, "128.0.0.0", false},
	{FLOW_TCP, "223.255.255.255", false},
	{FLOW_TCP, "224.0.0.0", true},
	{CLIENT_TCP, "239.255.255.255", true},
	{FLOW_TCP, "240.0.0.1", true},
	{CLIENT_TCP, "255.255.255.255", true},
	{FLOW_TCP, "203.0.113.10", true}, /* equals the destination: LAND */
	{CLIENT_TCP, "203.0.113.20", true},
	{FLOW_TCP, "203.0.113.20", false}, /* address of another service */
	{CLIENT_UDP6, "::", true},
	{CLIENT_UDP6, "::1", true},
	{CLIENT_UDP6, "::2", false},
	{CLIENT_UDP6, "::1:0:0", false},
	{CLIENT_UDP6, "::198.51.100.7", false},
	{CLIENT_UDP6, "1::", false},
	{CLIENT_UDP6, "1::1", false},
	{CLIENT_UDP6, "fec0::1", false},
	{CLIENT_UDP6, "feff:ffff::1", false},
	{CLIENT_UDP6, "ff00::", true},
	{CLIENT_UDP6, "ff02::1", true},
	{CLIENT_UDP6, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true},
	{CLIENT_UDP6, "2001:db8:1::20", true}, /* its own destination */
	{CLIENT_UDP6, "2001:db8:1::21", false},
};

static void a_source_that_no_host_can_have_inserts_no_flow(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(sources); i++) {
		struct fixture_packet packet = to_service[sources[i].service];
		packet.src = sources[i].src;
		packet.tcp_flags = packet.protocol == BERTH_PROTO_TCP ? SYN : 0;
		clear_tables();
		enum berth_verdict verdict = steer_packet(&packet, FIXTURE_NOW);
		if (verdict != (sources[i].bad ? BERTH_VERDICT_BAD_SOURCE : SELECTED))
			fail_msg("%s: %s", packet.src, fixture_verdict_name(verdict));
		assert_int_equal(flow_word() == NULL, sources[i].bad);
		if (sources[i].bad)
			assert_null(session_word());
	}
}

/* Also for packets that are not the first of a flow, or insert none. */
static void a_bad_source_is_dropped_for_every_kind_of_packet(void **state)
{
	(void)state;
	static const uint8_t flags[] = {SYN, ACK, FIN | ACK, RST, RST | ACK, 0, 0xff};
	for (size_t i = 0; i < COUNT(flags); i++) {
		struct fixture_packet packet = to_service[FLOW_TCP];
		packet.src = "127.0.0.1";
		packet.tcp_flags = flags[i];
		assert_int_equal(steer_packet(&packet, FIXTURE_NOW), BERTH_VERDICT_BAD_SOURCE);
	}
	struct fixture_packet first = to_service[FLOW_UDP];
	first.src = "224.0.0.1";
	first.fragment = 0x2000;
	first.payload = 24;
	assert_int_equal(steer_packet(&first, FIXTURE_NOW), BERTH_VERDICT_BAD_SOURCE);
	assert_null(flow_word());
}

/* TTL is checked before the flow table, for every kind of packet. */
static void a_packet_with_an_expiring_ttl_inserts_nothing(void **state)
{
	(void)state;
	for (uint32_t service = FLOW_TCP; service < SERVICES; service++) {
		for (uint8_t ttl = 0; ttl <= 2; ttl++) {
			struct berth_view view = fixture_view(&image, FIXTURE_NOW);
			struct fixture_frame frame;
			clear_tables();
			fixture_build(&frame, &to_service[service]);
			frame.frame.data[frame.network + (service == CLIENT_UDP6 ? 7 : 8)] = ttl;
			assert_int_equal(berth_receive(&view, &frame.frame, &steered, frame.bytes),
					 BERTH_NO_VERDICT);
			enum berth_verdict verdict = fixture_steer(&view, &steered);
			assert_int_equal(verdict, ttl <= 1 ? BERTH_VERDICT_TTL_EXPIRED : SELECTED);
			assert_int_equal(flow_word() != NULL, ttl > 1);
			assert_int_equal(steered.backend != 0, ttl > 1);
		}
	}
	/* An existing flow is not touched. */
	clear_tables();
	steer(FLOW_TCP, 1025, SYN, FIXTURE_NOW);
	uint64_t word = *flow_word();
	struct berth_view view = fixture_view(&image, FIXTURE_NOW + 5);
	steered.traits |= BERTH_TTL_EXPIRES;
	assert_int_equal(fixture_steer(&view, &steered), BERTH_VERDICT_TTL_EXPIRED);
	assert_int_equal(*flow_word(), word);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_first_packet_inserts_an_unconfirmed_flow),
		TEST(a_rst_without_a_flow_is_forwarded_and_not_inserted),
		TEST(each_packet_changes_its_flow_to_the_next_state),
		TEST(a_confirmed_flow_is_proven_by_traffic_in_one_later_second_of_eight),
		TEST(packets_within_one_second_write_nothing),
		TEST(a_flow_keeps_its_backend_when_selection_changes),
		TEST(a_new_connection_on_old_ports_is_reselected_in_the_same_word),
		TEST(a_backend_gets_only_traffic_that_it_is_eligible_for),
		TEST(a_reselected_flow_keeps_its_new_backend),
		TEST(a_flow_expires_after_its_states_timeout_and_not_before),
		TEST(an_expired_flow_with_the_same_selection_is_a_new_one),
		TEST(a_worker_with_a_slow_clock_does_not_lose_a_flow),
		TEST(without_room_a_flow_goes_by_selection_and_is_counted),
		TEST(a_flood_of_syns_evicts_no_established_flow),
		TEST(a_service_without_backends_gives_no_backend),
		TEST(flows_of_a_removed_backend_are_new_flows),
		TEST(a_service_that_does_not_exist_is_internal),
		TEST(after_a_lost_race_the_winners_backend_is_used),
		TEST(the_flow_hash_never_changes),
		TEST(every_part_of_a_flow_is_hashed),
		TEST(with_a_prefix_the_destination_address_is_part_of_the_flow),
		TEST(a_source_that_no_host_can_have_inserts_no_flow),
		TEST(a_bad_source_is_dropped_for_every_kind_of_packet),
		TEST(a_packet_with_an_expiring_ttl_inserts_nothing),
	};
	return cmocka_run_group_tests_name("steer", tests, NULL, NULL);
}
