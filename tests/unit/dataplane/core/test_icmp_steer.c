// SPDX-License-Identifier: BSD-3-Clause
/* steer.h: ICMP errors go to the backend of their flow. */
#include "tests/unit/dataplane/core/icmp.h"

static int set_up_icmp(void **state)
{
	set_up(state);
	add_service(FLOW_TCP6, &to_flow_tcp6, BERTH_AFFINITY_FLOW);
	return 0;
}

/* Sends an error about a packet of a client of this service; `steered` is the packet afterwards. */
static enum berth_verdict steer_error(const struct fixture_packet *packet, uint32_t worker, uint32_t now)
{
	struct berth_view view = berth_image_view(&image, worker, now);
	struct wire_error error = error_about(packet);
	struct fixture_frame frame;
	wire_build_error(&frame, &error);
	enum berth_verdict verdict = berth_receive(&view, &frame.frame, &steered, frame.bytes);
	return verdict == BERTH_NO_VERDICT ? fixture_steer(&view, &steered) : verdict;
}

static enum berth_verdict begin_flow(const struct fixture_packet *from, uint16_t sport)
{
	struct fixture_packet packet = *from;
	packet.sport = sport;
	packet.tcp_flags = packet.protocol == BERTH_PROTO_TCP ? SYN : 0;
	return steer_packet(&packet, FIXTURE_NOW);
}

static const uint32_t all[] = {FLOW_TCP, FLOW_UDP, CLIENT_TCP, CLIENT_UDP6, FLOW_TCP6};

/* cilium#34380, #19720, katran 06b5b4ac: errors went to a wrong backend or node. */
static void an_error_goes_to_the_backend_of_its_flow_on_every_worker(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(all); i++) {
		uint32_t service = all[i], backend = service * 3 - 2;
		begin_flow(flow_to(service), 1025);
		prefer(service, (uint16_t)(backend + 1), 0);
		for (uint32_t worker = 0; worker < 2; worker++)
			assert_steered(steer_error(flow_to(service), worker, FIXTURE_NOW), ICMP_ERROR, backend);
		/* Without a session, another flow of the client is selected. */
		struct fixture_packet other = *flow_to(service);
		other.sport = 1026;
		bool client = service == CLIENT_TCP || service == CLIENT_UDP6;
		assert_steered(steer_error(&other, 1, FIXTURE_NOW), ICMP_ERROR, client ? backend : backend + 1);
	}
}

/* By the flow's entry, by session, by selection. */
static void without_an_entry_an_error_goes_to_the_backend_of_a_new_flow(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		uint32_t service;
		uint32_t later;
		uint8_t eligibility; /* of the first backend, which has the flow */
		uint32_t moved;	     /* index of the expected backend from there */
	} cases[] = {
		{"running", FLOW_TCP, 10, BERTH_ELIGIBLE_ALL, 0},
		{"expired", FLOW_TCP, 11, BERTH_ELIGIBLE_ALL, 1},
		{"draining", FLOW_TCP, 0, BERTH_ELIGIBLE_FLOWS | BERTH_ELIGIBLE_SESSIONS, 0},
		{"flows alone", FLOW_TCP, 0, BERTH_ELIGIBLE_FLOWS, 0},
		{"down", FLOW_TCP, 0, 0, 1},
		{"expired, in IPv6", FLOW_TCP6, 11, BERTH_ELIGIBLE_ALL, 1},
		{"expired, of a client", CLIENT_TCP, 11, BERTH_ELIGIBLE_ALL, 0},
		{"expired, of a client, flows alone", CLIENT_TCP, 11, BERTH_ELIGIBLE_FLOWS, 1},
		{"its session expired too", CLIENT_TCP, 10801, BERTH_ELIGIBLE_ALL, 1},
		{"of a client, down", CLIENT_UDP6, 0, 0, 1},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint32_t service = cases[i].service;
		uint16_t first = (uint16_t)(service * 3 - 2);
		clear_tables();
		prefer(service, first, 0);
		begin_flow(flow_to(service), 1025);
		if (service == CLIENT_TCP || service == CLIENT_UDP6)
			*session_word() = berth_word_touch(*session_word(), FIXTURE_NOW, BERTH_STATE_SESSION);
		prefer(service, (uint16_t)(first + 1), 0);
		fixture_set_eligibility(&image, first, cases[i].eligibility);
		enum berth_verdict verdict = steer_error(flow_to(service), 1, FIXTURE_NOW + cases[i].later);
		if (verdict != ICMP_ERROR || steered.backend != first + cases[i].moved)
			fail_msg("%s: %s to %u", cases[i].name, fixture_verdict_name(verdict), steered.backend);
		fixture_set_eligibility(&image, first, BERTH_ELIGIBLE_ALL);
	}
}

static void an_error_without_an_eligible_backend_is_dropped(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(all); i++) {
		fixture_service_at(&image, all[i])->rows = 0;
		assert_int_equal(steer_error(flow_to(all[i]), 1, FIXTURE_NOW), BERTH_VERDICT_NO_BACKEND);
	}
}

/* Errors must not fill the tables or keep entries alive. */
static void an_error_writes_nothing(void **state)
{
	(void)state;
	struct berth_bucket flows[16], sessions[16];
	for (uint32_t i = 0; i < COUNT(all) * 6; i++) {
		uint32_t service = all[i / 6];
		static const uint32_t later[] = {0, 5, 11, 10801};
		clear_tables();
		if (i % 6 < 4)
			begin_flow(flow_to(service), 1025);
		if (i % 6 == 5) /* another flow, of the same client */
			begin_flow(flow_to(service), 1026);
		uint64_t added = event_count(BERTH_EVENT_FLOW_ADDED),
			 begun = event_count(BERTH_EVENT_SESSION_ADDED);
		memcpy(flows, image.flows, sizeof(flows));
		memcpy(sessions, image.sessions, sizeof(sessions));
		assert_int_equal(steer_error(flow_to(service), 1, FIXTURE_NOW + (i % 6 < 4 ? later[i % 6] : 5)),
				 ICMP_ERROR);
		assert_memory_equal(image.flows, flows, sizeof(flows));
		assert_memory_equal(image.sessions, sessions, sizeof(sessions));
		assert_int_equal(event_count(BERTH_EVENT_FLOW_ADDED), added);
		assert_int_equal(event_count(BERTH_EVENT_SESSION_ADDED), begun);
	}
}

/* A claim of another worker stays a claim. */
static void an_error_settles_no_claim(void **state)
{
	(void)state;
	begin_flow(flow_to(CLIENT_TCP), 1025);
	*flow_word() &= ~(uint64_t)BERTH_STATE_MASK;
	*session_word() &= ~(uint64_t)BERTH_STATE_MASK;
	uint64_t flow = *flow_word(), session = *session_word();
	struct fixture_packet other = *flow_to(CLIENT_TCP);
	other.sport = 1026;
	steer_error(flow_to(CLIENT_TCP), 1, FIXTURE_NOW);
	assert_int_equal(*flow_word(), flow);
	steer_error(&other, 1, FIXTURE_NOW);
	assert_int_equal(*session_word(), session);
}

/* It is about a packet that the service sent: the client's address is not checked. */
static void an_error_is_not_checked_for_a_bad_source(void **state)
{
	(void)state;
	static const char *const clients[] = {"127.0.0.1", "0.0.0.0", "224.0.0.1", "203.0.113.10"};
	for (size_t i = 0; i < COUNT(clients); i++) {
		struct fixture_packet packet = to_service[FLOW_TCP];
		packet.src = clients[i];
		assert_steered(steer_error(&packet, 1, FIXTURE_NOW), ICMP_ERROR, 1);
	}
}

static void an_error_about_no_service_passes_to_the_kernel(void **state)
{
	(void)state;
	struct berth_view view = fixture_view(&image, FIXTURE_NOW);
	for (uint32_t is6 = 0; is6 < 2; is6++) {
		struct fixture_packet packet = *flow_to(is6 ? FLOW_TCP6 : FLOW_TCP);
		struct fixture_frame frame;
		packet.dport = 81;
		assert_int_equal(steer_error(&packet, 1, FIXTURE_NOW), BERTH_VERDICT_NO_SERVICE);
		/* An invalid error is dropped only for a service's address. */
		for (uint32_t ours = 0; ours < 2; ours++) {
			if (!ours)
				packet.dst = is6 ? "2001:db8:1::99" : "203.0.113.99";
			else
				packet.dst = flow_to(is6 ? FLOW_TCP6 : FLOW_TCP)->dst;
			struct wire_error error = error_about(&packet);
			error.bytes = 12;
			wire_build_error(&frame, &error);
			assert_int_equal(berth_receive(&view, &frame.frame, &steered, frame.bytes),
					 ours ? BAD_ICMP : BERTH_VERDICT_NO_SERVICE);
		}
	}
}

/* The whole message leaves like any packet, with only its TTL changed. */
static void an_error_is_rewritten_by_the_mode_of_its_backend(void **state)
{
	(void)state;
	struct berth_view view = fixture_view(&image, FIXTURE_NOW);
	for (uint32_t i = 0; i < 4; i++) {
		uint32_t service = i % 2 ? FLOW_TCP6 : FLOW_TCP, port = 9;
		struct wire_error error = error_about(flow_to(service));
		struct fixture_frame frame;
		uint8_t before[FIXTURE_ROOM];
		fixture_backend(&image, service * 3 - 2, service, i / 2 ? BERTH_MODE_IPIP : BERTH_MODE_L2,
				"192.0.2.1");
		wire_build_error(&frame, &error);
		uint32_t icmp = frame.bytes - frame.transport;
		memcpy(before, frame.frame.data + frame.transport, icmp);
		assert_int_equal(berth_forward(&view, &frame.frame, &(struct berth_packet){0}, frame.bytes, &port),
				 ICMP_ERROR);
		assert_int_equal(frame.frame.end - frame.frame.data, frame.bytes + (i / 2 ? 20 : 0));
		assert_memory_equal(frame.frame.end - icmp, before, icmp);
	}
}

/* RFC 1122 section 3.2.2: no error about an error. */
static void an_error_is_never_answered(void **state)
{
	(void)state;
	struct berth_view view = fixture_view(&image, FIXTURE_NOW);
	for (uint32_t i = 0; i < 4; i++) {
		uint32_t service = i % 2 ? FLOW_TCP6 : FLOW_TCP, port = 9;
		struct wire_error error = error_about(flow_to(service));
		struct fixture_frame frame;
		uint8_t before[FIXTURE_ROOM];
		wire_build_error(&frame, &error);
		if (i / 2)
			frame.frame.data[frame.network + (i % 2 ? 7 : 8)] = 1;
		else
			fixture_backend_at(&image, service * 3 - 2)->mtu = 90;
		memcpy(before, frame.frame.data, frame.bytes);
		if (!(i / 2) && i % 2 == 0)
			fixture_backend_at(&image, service * 3 - 2)->mtu = 80;
		assert_int_equal(berth_forward(&view, &frame.frame, &(struct berth_packet){0}, frame.bytes, &port),
				 i / 2 ? BERTH_VERDICT_TTL_EXPIRED : BERTH_VERDICT_TOO_BIG);
		assert_memory_equal(frame.frame.data, before, frame.bytes);
	}
}

#define ICMP_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_icmp, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ICMP_TEST(an_error_goes_to_the_backend_of_its_flow_on_every_worker),
		ICMP_TEST(without_an_entry_an_error_goes_to_the_backend_of_a_new_flow),
		ICMP_TEST(an_error_without_an_eligible_backend_is_dropped),
		ICMP_TEST(an_error_writes_nothing),
		ICMP_TEST(an_error_settles_no_claim),
		ICMP_TEST(an_error_is_not_checked_for_a_bad_source),
		ICMP_TEST(an_error_about_no_service_passes_to_the_kernel),
		ICMP_TEST(an_error_is_rewritten_by_the_mode_of_its_backend),
		ICMP_TEST(an_error_is_never_answered),
	};
	return cmocka_run_group_tests_name("icmp_steer", tests, NULL, NULL);
}
