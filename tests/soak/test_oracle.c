// SPDX-License-Identifier: BSD-3-Clause
/* The oracle: what an entry or a session may be after what the soak does to it. */
#include <string.h>

#include "tests/soak/oracle/oracle.h"
#include "tests/support/unit.h"

enum {
	START = 1000,
	SHORT = 10, /* timeouts of unconfirmed entries */
	LONG = 55,
	ROWS = 4,
	GROUP = 2, /* of services 0 and 1 */
	SPORT = 1024,
};

static struct oracle *oracle;
static uint32_t now;
static struct oracle_service services[ORACLE_SERVICES];
static const struct oracle_row rows[ROWS] = {{0, 1}, {0, 1}, {0, 1}, {0, 1}};

static void wait_s(uint32_t seconds)
{
	now += seconds;
	oracle_set_time(oracle, now);
}

static void publish(void)
{
	char error[256];
	oracle_publish(oracle, services, error);
	assert_string_equal(error, "");
	for (uint32_t i = 0; i <= GROUP; i++)
		for (uint32_t j = 0; j < 2 && services[i].present; j++)
			oracle_set_health(oracle, i, j, true);
}

/* Two servers, both up; each new flow and session is server 0's. */
static void add_service(uint32_t number, uint32_t unconfirmed_s)
{
	services[number] = (struct oracle_service){
		.present = true,
		.prefix4 = 32,
		.prefix6 = 64,
		.sessions_of = (uint8_t)number,
		.flow_key = number + 1,
		.session_key = number + 1,
		.timeout = {unconfirmed_s, 60, 15, unconfirmed_s, 30, 90},
		.n_rows = ROWS,
		.rows = rows,
	};
	for (uint32_t i = 0; i < 2; i++)
		services[number].server[i] = (struct oracle_server){
			.present = true, .weight = 100, .counts = 1000, .backup = ORACLE_NO_SERVER};
}

static void add_group(void)
{
	add_service(0, SHORT);
	add_service(1, LONG);
	add_service(GROUP, LONG);
	services[GROUP].n_rows = 0;
	for (uint32_t i = 0; i <= GROUP; i++) {
		services[i].by_client = true;
		services[i].sessions_of = GROUP;
		services[i].session_key = GROUP + 1;
	}
}

static int set_up(void **state)
{
	static const uint8_t secret[ORACLE_SECRET_BYTES] = {1};
	(void)state;
	memset(services, 0, sizeof(services));
	oracle = oracle_new(secret, 1024);
	now = START;
	oracle_set_time(oracle, now);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	oracle_free(oracle);
	return 0;
}

/* A TCP packet of the one client. */
static struct oracle_packet packet_of(uint32_t service, uint32_t sport)
{
	static const uint8_t client[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1};
	struct oracle_packet packet = {.service = (uint8_t)service, .sport = (uint16_t)sport, .dport = 80};
	memcpy(packet.client, client, sizeof(client));
	return packet;
}

static bool goes_to(struct oracle_packet packet, uint32_t server, bool is_known)
{
	const struct oracle_seen seen = {
		.what = ORACLE_SENT, .service = packet.service, .server = (uint8_t)server, .is_known = is_known};
	return oracle_packet(oracle, &packet, &seen);
}

static bool begins(uint32_t service, uint32_t sport, uint32_t server)
{
	struct oracle_packet packet = packet_of(service, sport);
	packet.begins = packet.syn = packet.any_syn = true;
	return goes_to(packet, server, false);
}

/* A RST of a flow without a usable entry goes to the server, which answers. */
static void answered_reset(uint32_t server)
{
	struct oracle_packet packet = packet_of(0, SPORT);
	const struct oracle_seen seen = {.what = ORACLE_SENT, .server = (uint8_t)server};
	packet.rst = true;
	assert_true(oracle_packet(oracle, &packet, &seen));
	oracle_answer(oracle, &packet, &seen);
}

static void the_answer_to_a_reset_does_not_confirm_an_expired_entry(void **state)
{
	(void)state;
	add_service(0, SHORT);
	publish();
	assert_true(begins(0, SPORT, 0));
	wait_s(SHORT + 1);
	answered_reset(0);
	assert_true(goes_to(packet_of(0, SPORT), 0, false));
}

static void the_answer_to_a_reset_does_not_confirm_an_entry_of_another_server(void **state)
{
	(void)state;
	add_service(0, SHORT);
	publish();
	assert_true(begins(0, SPORT, 0));
	oracle_set_health(oracle, 0, 0, false);
	answered_reset(1);
	oracle_set_health(oracle, 0, 0, true);
	wait_s(SHORT + 1);
	assert_true(goes_to(packet_of(0, SPORT), 0, false));
}

static void the_answer_to_a_packet_confirms_its_entry(void **state)
{
	struct oracle_packet packet = packet_of(0, SPORT);
	const struct oracle_seen seen = {.what = ORACLE_SENT};
	(void)state;
	add_service(0, SHORT);
	publish();
	packet.begins = packet.syn = packet.any_syn = true;
	assert_true(oracle_packet(oracle, &packet, &seen));
	oracle_answer(oracle, &packet, &seen);
	wait_s(SHORT + 1);
	assert_false(goes_to(packet_of(0, SPORT), 0, false));
}

/* Server 0 keeps its sessions; a client without one goes to server 1. */
static void drain_first_server(void)
{
	oracle_set_admin(oracle, 1, 0, ORACLE_ADMIN_DRAINING);
}

static void a_command_finds_what_any_service_of_the_group_finds(void **state)
{
	(void)state;
	add_group();
	publish();
	assert_true(begins(1, SPORT, 0));
	wait_s(SHORT + 1);
	oracle_session_clear_server(oracle, 0, 0);
	drain_first_server();
	assert_true(begins(1, SPORT + 1, 1));
}

static void a_session_that_no_command_cleared_stays(void **state)
{
	(void)state;
	add_group();
	publish();
	assert_true(begins(1, SPORT, 0));
	wait_s(SHORT + 1);
	oracle_session_clear_server(oracle, 0, 1);
	drain_first_server();
	assert_false(begins(1, SPORT + 1, 1));
}

/* The service with the longer timeout is absent meanwhile. */
static void a_session_may_be_freed_by_the_timeouts_that_its_group_had(void **state)
{
	(void)state;
	for (uint32_t server = 0; server < 2; server++) {
		add_group();
		publish();
		assert_true(begins(1, SPORT, 0));
		services[1].present = false;
		memset(services[1].server, 0, sizeof(services[1].server));
		services[GROUP].timeout[ORACLE_HALF_OPEN] = SHORT;
		publish();
		wait_s(SHORT + 1);
		add_group();
		publish();
		drain_first_server();
		assert_true(begins(1, SPORT + 1, server));
		assert_int_equal(tear_down(NULL), 0);
		assert_int_equal(set_up(NULL), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_answer_to_a_reset_does_not_confirm_an_expired_entry),
		TEST(the_answer_to_a_reset_does_not_confirm_an_entry_of_another_server),
		TEST(the_answer_to_a_packet_confirms_its_entry),
		TEST(a_command_finds_what_any_service_of_the_group_finds),
		TEST(a_session_that_no_command_cleared_stays),
		TEST(a_session_may_be_freed_by_the_timeouts_that_its_group_had),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
