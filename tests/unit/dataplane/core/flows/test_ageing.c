// SPDX-License-Identifier: BSD-3-Clause
/* How long flows and sessions live, and which of them a flood of spoofed packets can replace; in virtual time. The
 * tables have the size of a real node's, so that the figures are those of docs/affinity.md. */
#include "tests/unit/dataplane/core/steering.h"

enum {
	HONEST = 2000,
	SPOOFED_FLOWS = 2600000,
	SPOOFED_CLIENTS = 1200000,
	FLOOD_SECONDS = 60,
};

static const struct berth_geometry node_geometry = {
	.services = 8,
	.backends = 64,
	.vips = 64,
	.row_lines = 8,
	.flow_buckets = 1 << 18,    /* 2,097,152 words */
	.session_buckets = 1 << 16, /* 524,288 words */
	.workers = 2,
};

static int set_up_node(void **state)
{
	(void)state;
	fixture_new(&image, &node_geometry);
	for (uint32_t service = FLOW_TCP; service < SERVICES; service++)
		add_service(service, &to_service[service],
			    service < CLIENT_TCP ? BERTH_AFFINITY_FLOW : BERTH_AFFINITY_CLIENT);
	fixture_least_timeouts(&image, FIXTURE_GENERATION);
	return 0;
}

/* A packet of client `client` (its address is that number), without building a frame: floods are millions. */
static enum berth_verdict send_from(uint32_t service, uint32_t client, uint16_t sport, uint8_t flags, uint32_t now)
{
	const struct fixture_packet *to = &to_service[service];
	struct berth_view view = fixture_view(&image, now);
	steered = (struct berth_packet){
		.dst = fixture_addr(to->dst),
		.sport = berth_to_be16(sport),
		.dport = berth_to_be16(to->dport),
		.protocol = to->protocol,
		.tcp_flags = to->protocol == BERTH_PROTO_TCP ? flags : 0,
		.traits = to->protocol == BERTH_PROTO_TCP && flags == SYN ? BERTH_OPENS_CONNECTION : 0,
		.bytes = 60,
		.length = 40,
		.network = 14,
		.transport = 34,
	};
	berth_addr_set4(&steered.src, berth_to_be32(client));
	if (berth_classify(&view, &steered) != BERTH_NO_VERDICT)
		abort();
	berth_hash_packet(&view, &steered);
	return fixture_steer(&view, &steered);
}

static uint32_t spoofed(uint32_t i)
{
	return 0x0b000000 + i; /* 11.0.0.0 and up */
}

static uint32_t honest(uint32_t i)
{
	return 0xc6330000 + i; /* 198.51.0.0 and up */
}

/* Half-closed connections */

static void an_answer_35_seconds_after_a_clients_fin_reaches_it(void **state)
{
	(void)state;
	uint16_t first[8];
	fixture_service_at(&image, FLOW_TCP)->scheduler = BERTH_SCHEDULER_ROUND_ROBIN;
	for (uint16_t i = 0; i < 8; i++) {
		for (uint32_t row = 0; row < FIXTURE_ROWS; row++)
			image.rows[FLOW_TCP].row[row].primary = (uint16_t)(1 + row % 3);
		steer(FLOW_TCP, (uint16_t)(1025 + i), SYN, FIXTURE_NOW);
		first[i] = steered.backend;
		steer(FLOW_TCP, (uint16_t)(1025 + i), ACK, FIXTURE_NOW);
		steer(FLOW_TCP, (uint16_t)(1025 + i), ACK | PSH, FIXTURE_NOW);
		steer(FLOW_TCP, (uint16_t)(1025 + i), ACK | FIN, FIXTURE_NOW);
	}
	/* A change of backends: all that comes now goes to the next one. */
	uint32_t kept = 0;
	for (uint16_t i = 0; i < 8; i++) {
		prefer(FLOW_TCP, (uint16_t)(first[i] % 3 + 1), first[i]);
		enum berth_verdict verdict = steer(FLOW_TCP, (uint16_t)(1025 + i), ACK, FIXTURE_NOW + 35);
		kept += verdict == FLOW && steered.backend == first[i];
	}
	if (kept != 8)
		fail_msg("%u of 8 connections are complete", kept);
}

/* Floods */

/* Half of the honest clients is connected before the flood, and has a packet every second or more often. */
static uint32_t count_lost(const uint16_t *backends, uint32_t now)
{
	uint32_t lost = 0;
	for (uint32_t i = 0; i < HONEST; i++) {
		enum berth_verdict verdict = send_from(FLOW_TCP, honest(i), 1025, ACK, now);
		lost += verdict != FLOW || steered.backend != backends[i];
	}
	return lost;
}

/* Of `n` new connections, those that find room. */
static uint32_t count_with_room(uint32_t first, uint32_t n, uint32_t now)
{
	uint32_t found = 0;
	for (uint32_t i = 0; i < n; i++)
		found += send_from(FLOW_TCP, honest(HONEST + first + i), 1025, SYN, now) !=
			 BERTH_VERDICT_TABLE_FULL;
	return found;
}

static void a_flood_of_two_packets_a_tuple_keeps_no_new_connection_out(void **state)
{
	(void)state;
	static uint16_t backends[HONEST];
	uint32_t lost = 0, during = 0, tried = 0;
	for (uint32_t i = 0; i < HONEST; i++) {
		send_from(FLOW_TCP, honest(i), 1025, SYN, FIXTURE_NOW);
		backends[i] = steered.backend;
		send_from(FLOW_TCP, honest(i), 1025, ACK, FIXTURE_NOW);
	}
	/* A lost flow is selected anew, elsewhere. */
	prefer(FLOW_TCP, 2, 3);
	uint32_t now = FIXTURE_NOW;
	for (uint32_t second = 0; second < FLOOD_SECONDS; second++) {
		now++;
		for (uint32_t i = 0; i < SPOOFED_FLOWS / FLOOD_SECONDS; i++) {
			uint32_t client = spoofed(second * (SPOOFED_FLOWS / FLOOD_SECONDS) + i);
			send_from(FLOW_TCP, client, 1025, ACK, now);
			send_from(FLOW_TCP, client, 1025, ACK, now);
		}
		lost += count_lost(backends, now);
		during += count_with_room(second * 100, 100, now);
		tried += 100;
	}
	uint32_t after = count_with_room(tried, HONEST, now + 10);
	lost += count_lost(backends, now + 10);
	print_message("new connections with room: %u of %u during the flood, %u of %u after it; lost flows: %u\n",
		      during, tried, after, HONEST, lost);
	assert_int_equal(during, tried);
	assert_int_equal(after, HONEST);
	assert_int_equal(lost, 0);
}

static void a_flood_of_syns_one_per_address_keeps_no_session_out(void **state)
{
	(void)state;
	static uint16_t backends[HONEST];
	for (uint32_t i = 0; i < HONEST; i++) {
		send_from(CLIENT_TCP, honest(i), 1025, SYN, FIXTURE_NOW);
		backends[i] = steered.backend;
		send_from(CLIENT_TCP, honest(i), 1025, ACK, FIXTURE_NOW);
	}
	for (uint32_t i = 0; i < SPOOFED_CLIENTS; i++)
		send_from(CLIENT_TCP, spoofed(i), 1025, SYN,
			  FIXTURE_NOW + 1 + i / (SPOOFED_CLIENTS / FLOOD_SECONDS));
	/* A session that was lost is placed elsewhere. */
	prefer(CLIENT_TCP, 8, 9);
	uint32_t stayed = 0, found = 0;
	const uint32_t now = FIXTURE_NOW + FLOOD_SECONDS;
	for (uint32_t i = 0; i < HONEST; i++) {
		enum berth_verdict verdict = send_from(CLIENT_TCP, honest(i), 1026, SYN, now);
		stayed += verdict == SESSION && steered.backend == backends[i];
	}
	for (uint32_t i = 0; i < HONEST; i++) {
		send_from(CLIENT_TCP, honest(HONEST + i), 1025, SYN, now);
		found += send_from(CLIENT_TCP, honest(HONEST + i), 1026, SYN, now) == SESSION;
	}
	print_message("sessions that stayed: %u of %u; new ones with room: %u of %u\n", stayed, HONEST, found,
		      HONEST);
	assert_int_equal(stayed, HONEST);
	assert_int_equal(found, HONEST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_answer_35_seconds_after_a_clients_fin_reaches_it),
		cmocka_unit_test_setup_teardown(a_flood_of_two_packets_a_tuple_keeps_no_new_connection_out,
						set_up_node, tear_down),
		cmocka_unit_test_setup_teardown(a_flood_of_syns_one_per_address_keeps_no_session_out, set_up_node,
						tear_down),
	};
	return cmocka_run_group_tests_name("ageing", tests, NULL, NULL);
}
