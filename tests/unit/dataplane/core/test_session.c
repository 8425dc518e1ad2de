// SPDX-License-Identifier: BSD-3-Clause
/* steer.h: clients' sessions. */

#include "dataplane/core/atomic.h"

/* The word that another worker writes just before a swap in the session table; 0: none. */
static uint64_t intruder;
static uint64_t *intruded;

#define berth_swap(word, seen, next) (intrude(word), (berth_swap)(word, seen, next))

static inline void intrude(const uint64_t *word)
{
	if (word == intruded)
		*intruded = intruder;
	intruded = NULL;
}

#include "tests/support/unit.h"
#include "tests/unit/dataplane/core/steering.h"

enum {
	TIMEOUT = 10800, /* of a session */
};

/* The client's first connection. */
static void connect_client(uint32_t now)
{
	steer(CLIENT_TCP, 1025, SYN, now);
	steer(CLIENT_TCP, 1025, ACK, now);
}

static void a_clients_first_flow_inserts_an_unconfirmed_session(void **state)
{
	(void)state;
	assert_steered(steer(CLIENT_TCP, 1025, SYN, FIXTURE_NOW), SELECTED, 7);
	assert_int_equal(berth_word_backend(*session_word()), 7);
	assert_int_equal(berth_word_state(*session_word()), BERTH_STATE_UNCONFIRMED);
	assert_int_equal(berth_word_age(*session_word(), FIXTURE_NOW), 0);
	assert_int_equal(event_count(BERTH_EVENT_SESSION_ADDED), 1);
	assert_int_equal(event_count(BERTH_EVENT_FLOW_ADDED), 1);
}

struct confirmation {
	const char *name;
	uint32_t service;
	uint16_t port; /* of the second packet; the first is from 1025 */
	uint8_t flags;
	bool is_confirmed;
};

static const struct confirmation confirmations[] = {
	{"SYN again", CLIENT_TCP, 1025, SYN, false},
	{"SYN of another flow", CLIENT_TCP, 1026, SYN, false},
	{"SYN and ACK", CLIENT_TCP, 1025, SYN | ACK, false},
	{"RST", CLIENT_TCP, 1025, RST, false},
	{"RST of another flow", CLIENT_TCP, 1026, RST, false},
	{"ACK", CLIENT_TCP, 1025, ACK, true},
	{"FIN", CLIENT_TCP, 1025, FIN | ACK, true},
	/* Of a flow without an entry: the flow table is full, or another node had it. */
	{"ACK of another flow", CLIENT_TCP, 1026, ACK, true},
	{"second datagram", CLIENT_UDP6, 1025, 0, true},
	/* As of resolvers, which use a port per question. */
	{"datagram of another flow", CLIENT_UDP6, 1026, 0, true},
};

static void a_session_is_confirmed_by_the_clients_second_packet_but_not_by_a_syn(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(confirmations); i++) {
		const struct confirmation *c = &confirmations[i];
		for (uint32_t later = 0; later < 2; later++) {
			clear_tables();
			steer(c->service, 1025, SYN, FIXTURE_NOW);
			steer(c->service, c->port, c->flags, FIXTURE_NOW + later);
			uint32_t is = berth_word_state(*session_word());
			if (is != (c->is_confirmed ? BERTH_STATE_SESSION : BERTH_STATE_UNCONFIRMED))
				fail_msg("%s: state %u", c->name, is);
			/* It stays confirmed. */
			steer(c->service, 1030, SYN, FIXTURE_NOW + later);
			steer(c->service, 1025, SYN, FIXTURE_NOW + later + 1);
			if (c->is_confirmed && berth_word_state(*session_word()) != BERTH_STATE_SESSION)
				fail_msg("%s: not confirmed any more", c->name);
		}
	}
}

/* One spoofed SYN per address filled the table for three hours. */
static void an_unconfirmed_session_lives_as_long_as_a_half_open_flow(void **state)
{
	(void)state;
	for (uint32_t late = 0; late <= 1; late++) {
		clear_tables();
		prefer(CLIENT_TCP, 7, 8);
		steer(CLIENT_TCP, 1025, SYN, FIXTURE_NOW);
		prefer(CLIENT_TCP, 8, 9);
		enum berth_verdict verdict = steer(CLIENT_TCP, 1026, SYN, FIXTURE_NOW + 10 + late);
		assert_int_equal(verdict, late ? SELECTED : SESSION);
		assert_int_equal(steered.backend, late ? 8 : 7);
	}
}

static void a_moved_session_is_as_confirmed_as_before(void **state)
{
	(void)state;
	for (uint32_t confirmed = 0; confirmed < 2; confirmed++) {
		clear_tables();
		steer(CLIENT_TCP, 1025, SYN, FIXTURE_NOW);
		if (confirmed)
			steer(CLIENT_TCP, 1025, ACK, FIXTURE_NOW);
		fixture_set_eligibility(&image, 7, 0);
		assert_steered(steer(CLIENT_TCP, 1026, SYN, FIXTURE_NOW + 1), SELECTED, 8);
		fixture_set_eligibility(&image, 7, BERTH_ELIGIBLE_ALL);
		assert_int_equal(berth_word_state(*session_word()),
				 confirmed ? BERTH_STATE_SESSION : BERTH_STATE_UNCONFIRMED);
	}
}

static void flow_affinity_inserts_no_session(void **state)
{
	(void)state;
	steer(FLOW_TCP, 1025, SYN, FIXTURE_NOW);
	steer(FLOW_TCP, 1025, ACK, FIXTURE_NOW + 1);
	assert_null(session_word());
}

static void a_client_keeps_its_backend_over_new_flows(void **state)
{
	(void)state;
	static const uint32_t services[] = {CLIENT_TCP, CLIENT_UDP6};
	for (size_t i = 0; i < COUNT(services); i++) {
		uint32_t service = services[i], backend = service * 3 - 2;
		clear_tables();
		assert_steered(steer(service, 1025, SYN, FIXTURE_NOW), SELECTED, backend);
		prefer(service, (uint16_t)(backend + 1), (uint16_t)(backend + 2));
		for (uint16_t port = 1026; port < 1040; port++)
			assert_steered(steer(service, port, SYN, FIXTURE_NOW + port - 1025), SESSION, backend);
		assert_int_equal(berth_word_age(*session_word(), FIXTURE_NOW + 14), 0);
	}
}

/* Addresses in a prefix are one client, others are not. */
static void addresses_of_one_prefix_are_one_client(void **state)
{
	(void)state;
	static const struct {
		uint32_t service;
		uint8_t prefix;
		const char *client;
		bool same;
	} cases[] = {
		{CLIENT_TCP, 32, "198.51.100.7", true},
		{CLIENT_TCP, 32, "198.51.100.6", false},
		{CLIENT_TCP, 31, "198.51.100.6", true},
		{CLIENT_TCP, 31, "198.51.100.8", false},
		{CLIENT_TCP, 24, "198.51.100.255", true},
		{CLIENT_TCP, 24, "198.51.101.7", false},
		{CLIENT_TCP, 12, "198.48.1.1", true},
		{CLIENT_TCP, 12, "198.64.1.1", false},
		{CLIENT_TCP, 1, "192.0.2.1", true},
		{CLIENT_TCP, 1, "100.64.0.1", false},
		{CLIENT_TCP, 0, "100.64.0.1", true},
		{CLIENT_UDP6, 128, "2001:db8:2::7", true},
		{CLIENT_UDP6, 128, "2001:db8:2::6", false},
		{CLIENT_UDP6, 127, "2001:db8:2::6", true},
		{CLIENT_UDP6, 96, "2001:db8:2::ffff:ffff", true},
		{CLIENT_UDP6, 96, "2001:db8:2::1:0:7", false},
		{CLIENT_UDP6, 65, "2001:db8:2:0:7fff::7", true},
		{CLIENT_UDP6, 65, "2001:db8:2:0:8000::7", false},
		{CLIENT_UDP6, 64, "2001:db8:2:0:8000::7", true},
		{CLIENT_UDP6, 64, "2001:db8:2:1::7", false},
		{CLIENT_UDP6, 63, "2001:db8:2:1::7", true},
		{CLIENT_UDP6, 48, "2001:db8:2:ffff::7", true},
		{CLIENT_UDP6, 48, "2001:db8:3::7", false},
		{CLIENT_UDP6, 32, "2001:db8:ffff::", true},
		{CLIENT_UDP6, 32, "2001:db9::", false},
		{CLIENT_UDP6, 0, "fd00::1", true},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint32_t service = cases[i].service, backend = service * 3 - 2;
		fixture_service_at(&image, service)->prefix4 = cases[i].prefix;
		fixture_service_at(&image, service)->prefix6 = cases[i].prefix;
		clear_tables();
		prefer(service, (uint16_t)backend, 0);
		steer(service, 1025, SYN, FIXTURE_NOW);
		prefer(service, (uint16_t)(backend + 1), 0);
		struct fixture_packet packet = to_service[service];
		packet.src = cases[i].client;
		packet.sport = 1026;
		packet.tcp_flags = service == CLIENT_TCP ? SYN : 0;
		enum berth_verdict verdict = steer_packet(&packet, FIXTURE_NOW);
		if (verdict != (cases[i].same ? SESSION : SELECTED))
			fail_msg("%s in /%u: %s", cases[i].client, cases[i].prefix, fixture_verdict_name(verdict));
	}
}

/* vpp 95c2da7c: affinity ignored the destination port. */
static void a_client_of_two_services_has_two_sessions(void **state)
{
	(void)state;
	struct berth_view view = fixture_view(&image, FIXTURE_NOW);
	struct fixture_packet packet = to_service[CLIENT_TCP];
	steer_packet(&packet, FIXTURE_NOW);
	const struct berth_service *service = fixture_service_at(&image, CLIENT_TCP);
	const struct berth_service *other = fixture_service_at(&image, CLIENT_UDP6);
	assert_int_not_equal(berth_hash_session(image.ctl->secret, &steered, service),
			     berth_hash_session(image.ctl->secret, &steered, other));
	assert_int_equal(view.first_service, image.geometry.services);
}

/* An existing flow keeps its client's session alive with at most one write per second. */
static void existing_flows_touch_the_session_once_per_second(void **state)
{
	(void)state;
	steer(CLIENT_TCP, 1025, SYN, FIXTURE_NOW);
	steer(CLIENT_TCP, 1025, ACK, FIXTURE_NOW);
	for (uint32_t second = 1; second < 5; second++) {
		uint64_t before = *session_word();
		assert_steered(steer(CLIENT_TCP, 1025, ACK, FIXTURE_NOW + second), FLOW, 7);
		assert_int_equal(*session_word(),
				 berth_word_touch(before, FIXTURE_NOW + second, BERTH_STATE_SESSION));
		*session_word() = before; /* a second write in this second shows */
		steer(CLIENT_TCP, 1025, ACK, FIXTURE_NOW + second);
		steer(CLIENT_TCP, 1025, FIN | ACK, FIXTURE_NOW + second); /* another state, the same second */
		assert_int_equal(*session_word(), before);
		*session_word() = berth_word_touch(before, FIXTURE_NOW + second, BERTH_STATE_SESSION);
	}
}

static void a_session_lives_as_long_as_its_flows(void **state)
{
	(void)state;
	uint32_t now = FIXTURE_NOW;
	steer(CLIENT_TCP, 1025, SYN, now);
	for (; now < FIXTURE_NOW + 3 * TIMEOUT; now += 3000)
		assert_steered(steer(CLIENT_TCP, 1025, ACK, now), FLOW, 7);
	prefer(CLIENT_TCP, 8, 9);
	assert_steered(steer(CLIENT_TCP, 1026, SYN, now), SESSION, 7);
}

static void a_session_outlives_its_flows(void **state)
{
	(void)state;
	connect_client(FIXTURE_NOW);
	prefer(CLIENT_TCP, 8, 9);
	/* The same ports after the flow expired, and others. */
	assert_steered(steer(CLIENT_TCP, 1025, SYN, FIXTURE_NOW + 5000), SESSION, 7);
	assert_steered(steer(CLIENT_TCP, 1026, SYN, FIXTURE_NOW + 5000), SESSION, 7);
}

/* kubernetes#89358: affinity that expired late. */
static void a_session_expires_with_its_timeout_and_not_before(void **state)
{
	(void)state;
	for (uint32_t late = 0; late <= 1; late++) {
		clear_tables();
		prefer(CLIENT_TCP, 7, 8);
		connect_client(FIXTURE_NOW);
		prefer(CLIENT_TCP, 8, 9);
		uint64_t added = event_count(BERTH_EVENT_SESSION_ADDED);
		enum berth_verdict verdict = steer(CLIENT_TCP, 1026, SYN, FIXTURE_NOW + TIMEOUT + late);
		assert_int_equal(verdict, late ? SELECTED : SESSION);
		assert_int_equal(steered.backend, late ? 8 : 7);
		assert_int_equal(event_count(BERTH_EVENT_SESSION_ADDED), added + late);
		assert_int_equal(event_count(BERTH_EVENT_SESSION_MOVED), 0);
	}
}

/* kube-router#910: the timeout was edited, and ignored. */
static void a_changed_timeout_is_effective_at_once(void **state)
{
	(void)state;
	connect_client(FIXTURE_NOW);
	prefer(CLIENT_TCP, 8, 9);
	fixture_service_at(&image, CLIENT_TCP)->timeout[BERTH_STATE_SESSION] = 60;
	assert_steered(steer(CLIENT_TCP, 1026, SYN, FIXTURE_NOW + 61), SELECTED, 8);
}

/* kubernetes#71809, #110302: clients stayed on a dead server for hours while they retried. */
static void a_session_moves_when_its_backend_is_down_and_all_its_flows_follow(void **state)
{
	(void)state;
	for (uint16_t port = 1025; port < 1030; port++)
		steer(CLIENT_TCP, port, SYN, FIXTURE_NOW);
	uint64_t *word = session_word();
	fixture_set_eligibility(&image, 7, 0);
	assert_steered(steer(CLIENT_TCP, 1030, SYN, FIXTURE_NOW + 1), SELECTED, 8);
	assert_ptr_equal(session_word(), word);
	assert_int_equal(berth_word_backend(*word), 8);
	assert_int_equal(event_count(BERTH_EVENT_SESSION_MOVED), 1);
	assert_int_equal(event_count(BERTH_EVENT_SESSION_ADDED), 1);
	prefer(CLIENT_TCP, 9, 8);
	for (uint16_t port = 1025; port < 1030; port++)
		assert_steered(steer(CLIENT_TCP, port, ACK, FIXTURE_NOW + 1), RESELECTED, 8);
	/* The backend is up again: moved sessions stay. */
	fixture_set_eligibility(&image, 7, BERTH_ELIGIBLE_ALL);
	assert_steered(steer(CLIENT_TCP, 1025, ACK, FIXTURE_NOW + 1), FLOW, 8);
	assert_steered(steer(CLIENT_TCP, 1040, SYN, FIXTURE_NOW + 1), SESSION, 8);
}

static void a_draining_backend_keeps_its_clients_and_gets_no_new_clients(void **state)
{
	(void)state;
	struct fixture_packet stranger = to_service[CLIENT_TCP];
	stranger.src = "198.51.100.8";
	stranger.tcp_flags = SYN;
	steer(CLIENT_TCP, 1025, SYN, FIXTURE_NOW);
	fixture_set_eligibility(&image, 7, BERTH_ELIGIBLE_FLOWS | BERTH_ELIGIBLE_SESSIONS);
	assert_steered(steer(CLIENT_TCP, 1026, SYN, FIXTURE_NOW), SESSION, 7);
	assert_steered(steer_packet(&stranger, FIXTURE_NOW), SELECTED, 8);
}

static void a_backend_eligible_for_flows_only_keeps_flows_and_loses_sessions(void **state)
{
	(void)state;
	steer(CLIENT_TCP, 1025, SYN, FIXTURE_NOW);
	fixture_set_eligibility(&image, 7, BERTH_ELIGIBLE_FLOWS);
	assert_steered(steer(CLIENT_TCP, 1026, SYN, FIXTURE_NOW), SELECTED, 8);
	assert_steered(steer(CLIENT_TCP, 1025, ACK, FIXTURE_NOW + 1), FLOW, 7);
	/* The existing flow kept the session alive and did not move it. */
	assert_int_equal(berth_word_backend(*session_word()), 8);
	assert_int_equal(berth_word_age(*session_word(), FIXTURE_NOW + 1), 0);
}

static void an_existing_flow_inserts_a_lost_session_again(void **state)
{
	(void)state;
	steer(CLIENT_TCP, 1025, SYN, FIXTURE_NOW);
	prefer(CLIENT_TCP, 8, 9);
	*session_word() = 0;
	steer(CLIENT_TCP, 1025, ACK, FIXTURE_NOW + 1);
	assert_int_equal(berth_word_backend(*session_word()), 7);
	assert_int_equal(event_count(BERTH_EVENT_SESSION_ADDED), 2);
	assert_steered(steer(CLIENT_TCP, 1026, SYN, FIXTURE_NOW + 1), SESSION, 7);
	/* The same for an expired session of another backend. */
	*session_word() = berth_word_make(berth_word_tag(*session_word()), 9, FIXTURE_NOW - TIMEOUT,
					  BERTH_STATE_SESSION);
	steer(CLIENT_TCP, 1025, ACK, FIXTURE_NOW + 2);
	assert_int_equal(berth_word_backend(*session_word()), 7);
	/* Not if the backend is not eligible for existing sessions. */
	*session_word() = 0;
	fixture_set_eligibility(&image, 7, BERTH_ELIGIBLE_FLOWS);
	steer(CLIENT_TCP, 1025, ACK, FIXTURE_NOW + 3);
	assert_null(session_word());
}

static void a_rst_changes_no_session(void **state)
{
	(void)state;
	steer(CLIENT_TCP, 1025, SYN, FIXTURE_NOW);
	prefer(CLIENT_TCP, 8, 9);
	uint64_t word = *session_word();
	assert_steered(steer(CLIENT_TCP, 1026, RST, FIXTURE_NOW + 9), UNTRACKED, 7);
	assert_int_equal(*session_word(), word);
	fixture_set_eligibility(&image, 7, 0);
	assert_steered(steer(CLIENT_TCP, 1026, RST, FIXTURE_NOW + 9), UNTRACKED, 8);
	assert_int_equal(*session_word(), word);
}

static void without_room_for_a_session_the_client_is_selected_by_its_address(void **state)
{
	(void)state;
	static const uint16_t backends[] = {7, 8, 9};
	fixture_rows(&image, CLIENT_TCP, backends, 3);
	fill_table(image.sessions, image.geometry.session_buckets, BERTH_STATE_SESSION);
	steer(CLIENT_TCP, 1025, SYN, FIXTURE_NOW);
	uint32_t backend = steered.backend;
	for (uint16_t port = 1026; port < 1060; port++)
		assert_steered(steer(CLIENT_TCP, port, SYN, FIXTURE_NOW), SELECTED, backend);
	assert_int_equal(event_count(BERTH_EVENT_SESSION_FULL), 35);
	assert_int_equal(event_count(BERTH_EVENT_SESSION_ADDED), 0);
}

static void without_room_for_a_flow_the_session_is_inserted(void **state)
{
	(void)state;
	fill_table(image.flows, image.geometry.flow_buckets, BERTH_STATE_CONFIRMED);
	assert_steered(steer(CLIENT_TCP, 1025, SYN, FIXTURE_NOW), BERTH_VERDICT_TABLE_FULL, 7);
	prefer(CLIENT_TCP, 8, 9);
	assert_steered(steer(CLIENT_TCP, 1025, ACK, FIXTURE_NOW), BERTH_VERDICT_TABLE_FULL, 7);
	assert_steered(steer(CLIENT_TCP, 1026, SYN, FIXTURE_NOW), BERTH_VERDICT_TABLE_FULL, 7);
}

static void a_client_without_an_eligible_backend_is_dropped_and_keeps_its_session(void **state)
{
	(void)state;
	steer(CLIENT_TCP, 1025, SYN, FIXTURE_NOW);
	for (uint32_t i = 7; i <= 9; i++)
		fixture_set_eligibility(&image, i, 0);
	assert_steered(steer(CLIENT_TCP, 1026, SYN, FIXTURE_NOW), BERTH_VERDICT_NO_BACKEND, 0);
	assert_steered(steer(CLIENT_TCP, 1025, ACK, FIXTURE_NOW), BERTH_VERDICT_NO_BACKEND, 0);
	fixture_set_eligibility(&image, 7, BERTH_ELIGIBLE_ALL);
	assert_steered(steer(CLIENT_TCP, 1025, ACK, FIXTURE_NOW), FLOW, 7);
}

static void after_a_lost_race_the_winners_backend_is_used(void **state)
{
	(void)state;
	steer(CLIENT_TCP, 1025, SYN, FIXTURE_NOW);
	fixture_set_eligibility(&image, 7, 0);
	intruded = session_word();
	intruder = berth_word_make(berth_word_tag(*intruded), 9, FIXTURE_NOW, BERTH_STATE_SESSION);
	assert_steered(steer(CLIENT_TCP, 1026, SYN, FIXTURE_NOW), SELECTED, 9);
	assert_int_equal(event_count(BERTH_EVENT_SESSION_MOVED), 0);
	/* A word of a backend that is not eligible is ignored. */
	fixture_set_eligibility(&image, 9, 0);
	intruded = session_word();
	intruder = berth_word_make(berth_word_tag(*intruded), 7, FIXTURE_NOW, BERTH_STATE_SESSION);
	assert_steered(steer(CLIENT_TCP, 1027, SYN, FIXTURE_NOW), SELECTED, 8);
}

static void a_claim_of_another_worker_is_settled_and_used(void **state)
{
	(void)state;
	steer(CLIENT_TCP, 1025, SYN, FIXTURE_NOW);
	*session_word() = berth_word_claim(berth_word_tag(*session_word()), 9, FIXTURE_NOW, 0);
	assert_steered(steer(CLIENT_TCP, 1026, SYN, FIXTURE_NOW), SESSION, 9);
	assert_int_equal(berth_word_state(*session_word()), BERTH_STATE_UNCONFIRMED);
	/* Of two claims the first stays. */
	uint64_t *word = session_word();
	word[0] = berth_word_claim(berth_word_tag(word[0]), 8, FIXTURE_NOW, 0);
	word[1] = berth_word_claim(berth_word_tag(word[0]), 9, FIXTURE_NOW, 1);
	assert_steered(steer(CLIENT_TCP, 1027, SYN, FIXTURE_NOW), SESSION, 8);
	assert_int_equal(word[1], 0);
	/* An existing flow does not settle a claim. */
	uint64_t claim = berth_word_claim(berth_word_tag(*session_word()), 8, FIXTURE_NOW, 0);
	*session_word() = claim;
	steer(CLIENT_TCP, 1025, ACK, FIXTURE_NOW + 1);
	assert_int_equal(*session_word(), claim);
}

/* Values of another implementation of XXH3. haproxy 03e9a5a1: a hash changed in an upgrade, and every client moved.
 */
static void the_session_hash_never_changes(void **state)
{
	(void)state;
	fixture_service_at(&image, CLIENT_TCP)->prefix4 = 24;
	steer(CLIENT_TCP, 1025, SYN, FIXTURE_NOW);
	assert_int_equal(berth_hash_session(image.ctl->secret, &steered, fixture_service_at(&image, CLIENT_TCP)),
			 UINT64_C(0xaf6da4344afa595b));
	steer(CLIENT_UDP6, 1025, SYN, FIXTURE_NOW);
	assert_int_equal(berth_hash_session(image.ctl->secret, &steered, fixture_service_at(&image, CLIENT_UDP6)),
			 UINT64_C(0x589a693cbc5197f1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_clients_first_flow_inserts_an_unconfirmed_session),
		TEST(a_session_is_confirmed_by_the_clients_second_packet_but_not_by_a_syn),
		TEST(an_unconfirmed_session_lives_as_long_as_a_half_open_flow),
		TEST(a_moved_session_is_as_confirmed_as_before),
		TEST(flow_affinity_inserts_no_session),
		TEST(a_client_keeps_its_backend_over_new_flows),
		TEST(addresses_of_one_prefix_are_one_client),
		TEST(a_client_of_two_services_has_two_sessions),
		TEST(existing_flows_touch_the_session_once_per_second),
		TEST(a_session_lives_as_long_as_its_flows),
		TEST(a_session_outlives_its_flows),
		TEST(a_session_expires_with_its_timeout_and_not_before),
		TEST(a_changed_timeout_is_effective_at_once),
		TEST(a_session_moves_when_its_backend_is_down_and_all_its_flows_follow),
		TEST(a_draining_backend_keeps_its_clients_and_gets_no_new_clients),
		TEST(a_backend_eligible_for_flows_only_keeps_flows_and_loses_sessions),
		TEST(an_existing_flow_inserts_a_lost_session_again),
		TEST(a_rst_changes_no_session),
		TEST(without_room_for_a_session_the_client_is_selected_by_its_address),
		TEST(without_room_for_a_flow_the_session_is_inserted),
		TEST(a_client_without_an_eligible_backend_is_dropped_and_keeps_its_session),
		TEST(after_a_lost_race_the_winners_backend_is_used),
		TEST(a_claim_of_another_worker_is_settled_and_used),
		TEST(the_session_hash_never_changes),
	};
	return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
