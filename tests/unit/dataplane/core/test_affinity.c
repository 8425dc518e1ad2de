// SPDX-License-Identifier: BSD-3-Clause
/* session.h and select.h: groups, load, failover and failback. */

#include "tests/support/unit.h"
#include "tests/unit/dataplane/core/steering.h"

#define SPILLED BERTH_VERDICT_SPILLED
#define NO_BACKEND BERTH_VERDICT_NO_BACKEND

enum {
	FULL = BERTH_ELIGIBLE_ALL | BERTH_OVER_SHARE,
	LIMIT = BERTH_ELIGIBLE_ALL | BERTH_AT_LIMIT,
	TIMEOUT = 10800,
};

static struct berth_service *service_at(uint32_t number)
{
	return fixture_service_at(&image, number);
}

/* The client record of the only session. */
static struct berth_client *client_line(void)
{
	uint64_t *word = session_word();
	return word ? &image.clients[word - &image.sessions[0].word[0]] : NULL;
}

/* A new flow of the client of CLIENT_TCP. */
static enum berth_verdict new_flow(uint32_t service)
{
	static uint16_t port = 2000;
	return steer(service, port++, SYN, FIXTURE_NOW);
}

/* --- the client record --- */

static void a_session_records_its_client_and_reason(void **state)
{
	(void)state;
	static const uint32_t services[] = {CLIENT_TCP, CLIENT_UDP6};
	static const char *const prefixes[] = {"198.51.100.7", "2001:db8:2::"};
	for (size_t i = 0; i < COUNT(services); i++) {
		clear_tables();
		new_flow(services[i]);
		const union berth_addr addr = fixture_addr(prefixes[i]);
		assert_memory_equal(&client_line()->addr, &addr, sizeof(addr));
		assert_int_equal(client_line()->reason, BERTH_REASON_SELECTED);
		assert_int_equal(client_line()->since, FIXTURE_NOW);
		assert_int_equal(client_line()->flows, 1);
		assert_int_equal(client_line()->tag, berth_word_tag(*session_word()));
		new_flow(services[i]);
		assert_int_equal(client_line()->flows, 2);
	}
}

static void an_icmp_error_changes_no_session(void **state)
{
	(void)state;
	new_flow(CLIENT_TCP);
	const struct berth_client before = *client_line();
	const uint64_t word = *session_word();
	struct berth_view view = fixture_view(&image, FIXTURE_NOW + 5);
	struct berth_packet packet = steered;
	packet.traits = BERTH_ICMP_ERROR;
	packet.hash ^= UINT64_C(1) << 60; /* about a flow without an entry */
	packet.tcp_flags = 0;
	assert_int_equal(fixture_steer(&view, &packet), BERTH_VERDICT_ICMP_ERROR);
	assert_int_equal(packet.backend, 7);
	assert_int_equal(*session_word(), word);
	assert_memory_equal(client_line(), &before, sizeof(before));
}

/* --- groups --- */

/* CLIENT_TCP and a service on port 443 with the same servers (13 to 15), in one group. */
static void make_group(void)
{
	enum {
		TLS = SERVICES
	};
	struct berth_service *tls = fixture_service(&image, TLS, "203.0.113.20", BERTH_PROTO_TCP, 443,
						    BERTH_AFFINITY_CLIENT);
	const uint16_t numbers[] = {13, 14, 15};
	for (uint32_t i = 0; i < 3; i++) {
		fixture_backend(&image, numbers[i], TLS, BERTH_MODE_L2, "192.0.2.1")->sibling = (uint16_t)(7 + i);
		fixture_backend_at(&image, 7 + i)->sibling = numbers[i];
	}
	fixture_rows(&image, TLS, numbers, 3);
	/* By itself it selects another one. */
	for (uint32_t i = 0; i < FIXTURE_ROWS; i++)
		image.rows[TLS].row[i] = (struct berth_row){15, 13};
	tls->session_key = service_at(CLIENT_TCP)->session_key;
	tls->session_service = CLIENT_TCP;
}

static enum berth_verdict new_tls_flow(void)
{
	static uint16_t port = 3000;
	struct fixture_packet packet = to_service[CLIENT_TCP];
	packet.dport = 443;
	packet.sport = port++;
	packet.tcp_flags = SYN;
	return steer_packet(&packet, FIXTURE_NOW);
}

static void a_client_has_one_server_for_all_services_of_a_group(void **state)
{
	(void)state;
	make_group();
	assert_steered(new_flow(CLIENT_TCP), SELECTED, 7);
	assert_steered(new_tls_flow(), SESSION, 13);
	clear_tables();
	assert_steered(new_tls_flow(), SELECTED, 15);
	assert_int_equal(berth_word_backend(*session_word()), 9); /* its number in the sessions */
	assert_steered(new_flow(CLIENT_TCP), SESSION, 9);
}

static void a_server_that_fails_in_one_service_of_a_group_moves_the_session_for_all(void **state)
{
	(void)state;
	make_group();
	new_flow(CLIENT_TCP);
	fixture_set_eligibility(&image, 13, 0);
	assert_steered(new_tls_flow(), SELECTED, 15);
	assert_steered(new_flow(CLIENT_TCP), SESSION, 9);
	assert_int_equal(client_line()->reason, BERTH_REASON_FAILED_OVER);
	assert_int_equal(client_line()->from, 7); /* a number of the session, whatever the service */
}

static void a_service_without_the_sessions_server_leaves_the_session_alone(void **state)
{
	(void)state;
	make_group();
	new_flow(CLIENT_TCP);
	fixture_backend_at(&image, 7)->sibling = 0;
	assert_steered(new_tls_flow(), SELECTED, 15);
	assert_steered(new_flow(CLIENT_TCP), SESSION, 7);
}

static void a_ring_of_siblings_that_never_meets_the_service_ends(void **state)
{
	(void)state;
	fixture_backend_at(&image, 7)->sibling = 8;
	fixture_backend_at(&image, 8)->sibling = 7;
	struct berth_view view = fixture_view(&image, FIXTURE_NOW);
	assert_int_equal(berth_sibling(&view, 7, FLOW_TCP), 0);
	assert_int_equal(berth_sibling(&view, 7, CLIENT_TCP), 7);
}

/* --- load --- */

static void a_backend_over_its_share_gets_new_clients_only_without_an_alternative(void **state)
{
	(void)state;
	static const struct {
		uint8_t first, second;
		enum berth_verdict verdict;
		uint16_t backend;
	} cases[] = {
		{BERTH_ELIGIBLE_ALL, BERTH_ELIGIBLE_ALL, SELECTED, 7},
		{FULL, BERTH_ELIGIBLE_ALL, SELECTED, 8},
		{LIMIT, BERTH_ELIGIBLE_ALL, SELECTED, 8},
		{FULL, FULL, SELECTED, 7},
		{LIMIT, FULL, SELECTED, 8},
		{LIMIT, LIMIT, NO_BACKEND, 0},
		{0, FULL, SELECTED, 8},
		{0, LIMIT, NO_BACKEND, 0},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		clear_tables();
		fixture_set_eligibility(&image, 7, cases[i].first);
		fixture_set_eligibility(&image, 8, cases[i].second);
		assert_steered(new_flow(CLIENT_TCP), cases[i].verdict, cases[i].backend);
	}
	clear_tables();
	fixture_set_eligibility(&image, 7, FULL);
	fixture_set_eligibility(&image, 8, BERTH_ELIGIBLE_ALL);
	new_flow(CLIENT_TCP);
	assert_int_equal(client_line()->reason, BERTH_REASON_SPILLED);
}

static void with_stick_a_backend_over_its_share_keeps_its_clients(void **state)
{
	(void)state;
	new_flow(CLIENT_TCP);
	fixture_set_eligibility(&image, 7, FULL);
	assert_steered(new_flow(CLIENT_TCP), SESSION, 7);
}

static void with_spill_a_flow_goes_to_another_backend_and_the_session_stays(void **state)
{
	(void)state;
	service_at(CLIENT_TCP)->overload = BERTH_OVERLOAD_SPILL;
	new_flow(CLIENT_TCP);
	*session_word() = berth_word_touch(*session_word(), FIXTURE_NOW, BERTH_STATE_SESSION);
	const uint64_t word = *session_word();
	fixture_set_eligibility(&image, 7, FULL);
	assert_steered(steer(CLIENT_TCP, 1030, SYN, FIXTURE_NOW), SPILLED, 8);
	fixture_set_eligibility(&image, 7, BERTH_ELIGIBLE_ALL);
	assert_steered(steer(CLIENT_TCP, 1030, ACK, FIXTURE_NOW), FLOW, 8);
	assert_int_equal(*session_word(), word);
	assert_steered(new_flow(CLIENT_TCP), SESSION, 7);
}

static void a_backend_at_its_limit_gets_no_new_flow(void **state)
{
	(void)state;
	steer(CLIENT_TCP, 1025, SYN, FIXTURE_NOW);
	fixture_set_eligibility(&image, 7, LIMIT);
	assert_steered(new_flow(CLIENT_TCP), SPILLED, 8);
	fixture_set_eligibility(&image, 8, LIMIT);
	assert_steered(new_flow(CLIENT_TCP), NO_BACKEND, 0);
	/* It keeps its existing flows. */
	assert_steered(steer(CLIENT_TCP, 1025, ACK, FIXTURE_NOW), FLOW, 7);
}

static void round_robin_takes_the_rows_in_turn(void **state)
{
	(void)state;
	const uint16_t numbers[] = {1, 2, 3};
	fixture_rows(&image, FLOW_TCP, numbers, 3);
	service_at(FLOW_TCP)->scheduler = BERTH_SCHEDULER_ROUND_ROBIN;
	for (uint32_t i = 0; i < 3 * FIXTURE_ROWS; i++)
		assert_steered(new_flow(FLOW_TCP), SELECTED, numbers[i % FIXTURE_ROWS % 3]);
}

static void round_robin_skips_backends_that_accept_no_new_flows(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < FIXTURE_ROWS; i++)
		image.rows[FLOW_TCP].row[i] = (struct berth_row){(uint16_t)(1 + i % 3), 0};
	service_at(FLOW_TCP)->scheduler = BERTH_SCHEDULER_ROUND_ROBIN;
	fixture_set_eligibility(&image, 2, 0);
	for (uint32_t i = 0; i < FIXTURE_ROWS; i++)
		assert_int_equal(new_flow(FLOW_TCP), SELECTED);
	assert_int_equal(image.tallies[image.geometry.services + image.geometry.backends + FLOW_TCP].packets, 0);
	for (uint32_t i = 0; i < FIXTURE_ROWS; i++) {
		new_flow(FLOW_TCP);
		assert_int_not_equal(steered.backend, 2);
	}
}

/* If not, each of its packets would get another backend. */
static void a_flow_without_an_entry_is_selected_by_its_tag(void **state)
{
	(void)state;
	const uint16_t numbers[] = {1, 2, 3};
	fixture_rows(&image, FLOW_TCP, numbers, 3);
	service_at(FLOW_TCP)->scheduler = BERTH_SCHEDULER_ROUND_ROBIN;
	assert_int_equal(steer(FLOW_TCP, 1025, RST, FIXTURE_NOW), UNTRACKED);
	const uint16_t backend = steered.backend;
	for (uint32_t i = 0; i < 8; i++)
		assert_steered(steer(FLOW_TCP, 1025, RST, FIXTURE_NOW), UNTRACKED, backend);
	fill_table(image.flows, image.geometry.flow_buckets, CONFIRMED);
	for (uint32_t i = 0; i < 8; i++)
		assert_steered(steer(FLOW_TCP, 1025, ACK, FIXTURE_NOW), BERTH_VERDICT_TABLE_FULL, backend);
}

static void least_conn_selects_the_less_loaded_of_two_and_counts_new_flows(void **state)
{
	(void)state;
	service_at(FLOW_TCP)->scheduler = BERTH_SCHEDULER_LEAST_CONN;
	struct berth_load_cell *loads = image.loads[0].backend;
	fixture_backend_at(&image, 1)->load_unit = 30;
	fixture_backend_at(&image, 2)->load_unit = 10;
	loads[1].load = 65;
	loads[2].load = 50;
	assert_steered(new_flow(FLOW_TCP), SELECTED, 2); /* 60 */
	assert_steered(new_flow(FLOW_TCP), SELECTED, 2); /* 70 */
	assert_steered(new_flow(FLOW_TCP), SELECTED, 1); /* 95 */
	assert_steered(new_flow(FLOW_TCP), SELECTED, 2);
	assert_int_equal(loads[1].load, 95);
	assert_int_equal(loads[2].load, 80);
	fixture_set_eligibility(&image, 2, 0);
	assert_steered(new_flow(FLOW_TCP), SELECTED, 1);
}

static void least_conn_counts_a_reselected_flow_at_once(void **state)
{
	(void)state;
	service_at(FLOW_TCP)->scheduler = BERTH_SCHEDULER_LEAST_CONN;
	struct berth_load_cell *loads = image.loads[0].backend;
	fixture_backend_at(&image, 2)->load_unit = 10;
	assert_steered(steer(FLOW_TCP, 1025, SYN, FIXTURE_NOW), SELECTED, 1);
	fixture_set_eligibility(&image, 1, 0);
	assert_steered(steer(FLOW_TCP, 1025, ACK, FIXTURE_NOW), RESELECTED, 2);
	assert_int_equal(loads[2].load, 10);
	assert_steered(steer(FLOW_TCP, 1025, ACK, FIXTURE_NOW), FLOW, 2);
	assert_int_equal(loads[2].load, 10);
}

/* --- failover and failback --- */

static void a_session_fails_over_to_the_backup_of_its_backend(void **state)
{
	(void)state;
	new_flow(CLIENT_TCP);
	fixture_backend_at(&image, 7)->backup = 9;
	fixture_set_eligibility(&image, 7, 0);
	assert_steered(new_flow(CLIENT_TCP), SELECTED, 9);
	assert_steered(new_flow(CLIENT_TCP), SESSION, 9);
	assert_int_equal(client_line()->reason, BERTH_REASON_FAILED_OVER);
	assert_int_equal(client_line()->from, 7);
	assert_int_equal(event_count(BERTH_EVENT_SESSION_MOVED), 1);
}

static void a_backup_that_accepts_no_new_clients_is_skipped(void **state)
{
	(void)state;
	static const uint8_t eligibility[] = {0, BERTH_ELIGIBLE_FLOWS, LIMIT};
	for (size_t i = 0; i < COUNT(eligibility); i++) {
		clear_tables();
		fixture_set_eligibility(&image, 7, BERTH_ELIGIBLE_ALL);
		new_flow(CLIENT_TCP);
		fixture_backend_at(&image, 7)->backup = 9;
		fixture_set_eligibility(&image, 7, 0);
		fixture_set_eligibility(&image, 9, eligibility[i]);
		assert_steered(new_flow(CLIENT_TCP), SELECTED, 8);
	}
}

static void a_client_that_failed_over_stays_or_returns_as_the_service_says(void **state)
{
	(void)state;
	for (uint8_t failback = BERTH_FAILBACK_STAY; failback <= BERTH_FAILBACK_RETURN; failback++) {
		clear_tables();
		service_at(CLIENT_TCP)->failback = failback;
		fixture_set_eligibility(&image, 7, BERTH_ELIGIBLE_ALL);
		new_flow(CLIENT_TCP);
		fixture_set_eligibility(&image, 7, 0);
		assert_steered(new_flow(CLIENT_TCP), SELECTED, 8);
		fixture_set_eligibility(&image, 7, BERTH_ELIGIBLE_FLOWS | BERTH_ELIGIBLE_SESSIONS);
		assert_steered(new_flow(CLIENT_TCP), SESSION, 8); /* it accepts no new clients yet */
		fixture_set_eligibility(&image, 7, BERTH_ELIGIBLE_ALL);
		if (failback == BERTH_FAILBACK_STAY) {
			assert_steered(new_flow(CLIENT_TCP), SESSION, 8);
			continue;
		}
		assert_steered(new_flow(CLIENT_TCP), SELECTED, 7);
		assert_int_equal(client_line()->reason, BERTH_REASON_RETURNED);
		assert_steered(new_flow(CLIENT_TCP), SESSION, 7);
	}
}

static void a_client_selected_again_after_expiry_does_not_return(void **state)
{
	(void)state;
	service_at(CLIENT_TCP)->failback = BERTH_FAILBACK_RETURN;
	new_flow(CLIENT_TCP);
	prefer(CLIENT_TCP, 8, 9);
	assert_steered(steer(CLIENT_TCP, 1500, SYN, FIXTURE_NOW + TIMEOUT + 1), SELECTED, 8);
	assert_int_equal(client_line()->reason, BERTH_REASON_SELECTED);
	assert_steered(steer(CLIENT_TCP, 1501, SYN, FIXTURE_NOW + TIMEOUT + 2), SESSION, 8);
}

/* A connection attempt from port 2500 is half-open on 7; 7 fails a second later; the session moves to 8; 7 is up
 * again. */
static void attempt_and_fail_over(void)
{
	assert_steered(steer(CLIENT_TCP, 2500, SYN, FIXTURE_NOW), SELECTED, 7);
	fixture_set_eligibility(&image, 7, 0);
	assert_steered(steer(CLIENT_TCP, 2501, SYN, FIXTURE_NOW + 1), SELECTED, 8);
	fixture_set_eligibility(&image, 7, BERTH_ELIGIBLE_ALL);
}

static void a_failed_attempt_does_not_return_its_client_to_that_backend(void **state)
{
	(void)state;
	attempt_and_fail_over();
	assert_steered(steer(CLIENT_TCP, 2500, SYN, FIXTURE_NOW + 3), RESELECTED, 8);
	assert_steered(steer(CLIENT_TCP, 2500, SYN, FIXTURE_NOW + 3), FLOW, 8);
	assert_steered(steer(CLIENT_TCP, 2500, ACK, FIXTURE_NOW + 3), FLOW, 8);
}

static void a_connection_continues_after_its_clients_session_moved(void **state)
{
	(void)state;
	attempt_and_fail_over();
	assert_steered(steer(CLIENT_TCP, 2500, ACK, FIXTURE_NOW + 3), FLOW, 7);
	/* It is established: anybody can send a SYN in its name (RFC 5961 section 4). */
	assert_steered(steer(CLIENT_TCP, 2500, SYN, FIXTURE_NOW + 3), FLOW, 7);
}

static void an_attempt_continues_if_its_clients_session_did_not_move_since(void **state)
{
	(void)state;
	/* It spilled after the session had moved. */
	service_at(CLIENT_TCP)->overload = BERTH_OVERLOAD_SPILL;
	attempt_and_fail_over();
	fixture_set_eligibility(&image, 8, FULL);
	assert_steered(steer(CLIENT_TCP, 2502, SYN, FIXTURE_NOW + 2), SPILLED, 7);
	fixture_set_eligibility(&image, 8, BERTH_ELIGIBLE_ALL);
	assert_steered(steer(CLIENT_TCP, 2502, SYN, FIXTURE_NOW + 3), FLOW, 7);
	/* It spilled in the session's first second. */
	clear_tables();
	assert_steered(steer(CLIENT_TCP, 2501, SYN, FIXTURE_NOW), SELECTED, 7);
	fixture_set_eligibility(&image, 7, FULL);
	assert_steered(steer(CLIENT_TCP, 2502, SYN, FIXTURE_NOW), SPILLED, 8);
	fixture_set_eligibility(&image, 7, BERTH_ELIGIBLE_ALL);
	assert_steered(steer(CLIENT_TCP, 2502, SYN, FIXTURE_NOW + 1), FLOW, 8);
}

/* --- pinned --- */

/* The client's session, pinned as berthd does it. */
static void pin_to(uint16_t backend)
{
	uint64_t *word = session_word();
	*word = berth_word_make(berth_word_tag(*word), backend, FIXTURE_NOW, BERTH_STATE_SESSION);
	client_line()->reason = BERTH_REASON_PINNED;
	client_line()->from = backend;
}

static void a_pinned_client_fails_over_and_returns_for_every_failback(void **state)
{
	(void)state;
	for (uint8_t failback = BERTH_FAILBACK_STAY; failback <= BERTH_FAILBACK_RETURN; failback++) {
		clear_tables();
		service_at(CLIENT_TCP)->failback = failback;
		fixture_set_eligibility(&image, 9, BERTH_ELIGIBLE_ALL);
		new_flow(CLIENT_TCP);
		pin_to(9);
		assert_steered(new_flow(CLIENT_TCP), SESSION, 9);
		fixture_set_eligibility(&image, 9, BERTH_ELIGIBLE_FLOWS);
		assert_steered(new_flow(CLIENT_TCP), SELECTED, 7);
		assert_steered(new_flow(CLIENT_TCP), SESSION, 7);
		fixture_set_eligibility(&image, 9, LIMIT);
		assert_steered(new_flow(CLIENT_TCP), SESSION, 7);
		assert_int_equal(client_line()->reason, BERTH_REASON_PINNED);
		assert_int_equal(client_line()->from, 9);
		/* Also to a backend that accepts no new clients. */
		fixture_set_eligibility(&image, 9, BERTH_ELIGIBLE_FLOWS | BERTH_ELIGIBLE_SESSIONS);
		assert_steered(new_flow(CLIENT_TCP), SELECTED, 9);
		assert_steered(new_flow(CLIENT_TCP), SESSION, 9);
		assert_int_equal(client_line()->reason, BERTH_REASON_PINNED);
		assert_int_equal(client_line()->from, 9);
	}
	assert_int_equal(event_count(BERTH_EVENT_SESSION_MOVED), 4);
}

static void a_pinned_session_does_not_expire(void **state)
{
	(void)state;
	new_flow(CLIENT_TCP);
	pin_to(9);
	assert_steered(steer(CLIENT_TCP, 1500, SYN, FIXTURE_NOW + TIMEOUT + 100), SESSION, 9);
	assert_int_equal(client_line()->reason, BERTH_REASON_PINNED);
}

static void a_flow_on_another_backend_does_not_move_a_pinned_session(void **state)
{
	(void)state;
	steer(CLIENT_TCP, 1025, SYN, FIXTURE_NOW);
	pin_to(9);
	const uint32_t tag = berth_word_tag(*session_word());
	*session_word() = berth_word_make(tag, 9, FIXTURE_NOW - TIMEOUT - 1, BERTH_STATE_SESSION);
	assert_steered(steer(CLIENT_TCP, 1025, ACK, FIXTURE_NOW + 2), FLOW, 7);
	assert_int_equal(*session_word(), berth_word_make(tag, 9, FIXTURE_NOW + 2, BERTH_STATE_SESSION));
	assert_int_equal(client_line()->reason, BERTH_REASON_PINNED);
}

static void a_pin_holds_in_every_service_of_a_group(void **state)
{
	(void)state;
	make_group();
	new_flow(CLIENT_TCP);
	pin_to(8);
	assert_steered(new_tls_flow(), SESSION, 14);
	fixture_set_eligibility(&image, 14, 0);
	assert_steered(new_tls_flow(), SELECTED, 15);
	fixture_set_eligibility(&image, 14, BERTH_ELIGIBLE_ALL);
	assert_steered(new_tls_flow(), SELECTED, 14);
	assert_steered(new_flow(CLIENT_TCP), SESSION, 8);
}

/* --- on-down: reset --- */

static enum berth_verdict packet_of_flow(uint8_t flags)
{
	return steer(FLOW_TCP, 1025, flags, FIXTURE_NOW);
}

static void with_reset_an_established_flow_of_a_down_backend_gets_a_rst(void **state)
{
	(void)state;
	service_at(FLOW_TCP)->down = BERTH_DOWN_RESET;
	packet_of_flow(SYN);
	packet_of_flow(ACK);
	fixture_set_eligibility(&image, 1, 0);
	assert_int_equal(packet_of_flow(ACK), BERTH_VERDICT_RESET);
	assert_int_equal(packet_of_flow(ACK | PSH), BERTH_VERDICT_RESET);
	/* The client connects again from the same port. */
	assert_steered(packet_of_flow(SYN), RESELECTED, 2);
	assert_steered(packet_of_flow(ACK), FLOW, 2);
}

static void with_reset_nothing_else_is_reset(void **state)
{
	(void)state;
	service_at(FLOW_TCP)->down = BERTH_DOWN_RESET;
	service_at(FLOW_UDP)->down = BERTH_DOWN_RESET;
	packet_of_flow(SYN);
	fixture_set_eligibility(&image, 1, 0);
	assert_steered(packet_of_flow(ACK), RESELECTED,
		       2); /* not established: the client sends its SYN again anyway */
	steer(FLOW_UDP, 1025, 0, FIXTURE_NOW);
	steer(FLOW_UDP, 1025, 0, FIXTURE_NOW);
	fixture_set_eligibility(&image, 4, 0);
	assert_steered(steer(FLOW_UDP, 1025, 0, FIXTURE_NOW), RESELECTED, 5);
}

static void without_reset_an_established_flow_is_reselected(void **state)
{
	(void)state;
	packet_of_flow(SYN);
	packet_of_flow(ACK);
	fixture_set_eligibility(&image, 1, 0);
	assert_steered(packet_of_flow(ACK), RESELECTED, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_session_records_its_client_and_reason),
		TEST(an_icmp_error_changes_no_session),
		TEST(a_client_has_one_server_for_all_services_of_a_group),
		TEST(a_server_that_fails_in_one_service_of_a_group_moves_the_session_for_all),
		TEST(a_service_without_the_sessions_server_leaves_the_session_alone),
		TEST(a_ring_of_siblings_that_never_meets_the_service_ends),
		TEST(a_backend_over_its_share_gets_new_clients_only_without_an_alternative),
		TEST(with_stick_a_backend_over_its_share_keeps_its_clients),
		TEST(with_spill_a_flow_goes_to_another_backend_and_the_session_stays),
		TEST(a_backend_at_its_limit_gets_no_new_flow),
		TEST(round_robin_takes_the_rows_in_turn),
		TEST(round_robin_skips_backends_that_accept_no_new_flows),
		TEST(a_flow_without_an_entry_is_selected_by_its_tag),
		TEST(least_conn_selects_the_less_loaded_of_two_and_counts_new_flows),
		TEST(least_conn_counts_a_reselected_flow_at_once),
		TEST(a_session_fails_over_to_the_backup_of_its_backend),
		TEST(a_backup_that_accepts_no_new_clients_is_skipped),
		TEST(a_client_that_failed_over_stays_or_returns_as_the_service_says),
		TEST(a_client_selected_again_after_expiry_does_not_return),
		TEST(a_failed_attempt_does_not_return_its_client_to_that_backend),
		TEST(a_connection_continues_after_its_clients_session_moved),
		TEST(an_attempt_continues_if_its_clients_session_did_not_move_since),
		TEST(a_pinned_client_fails_over_and_returns_for_every_failback),
		TEST(a_pinned_session_does_not_expire),
		TEST(a_flow_on_another_backend_does_not_move_a_pinned_session),
		TEST(a_pin_holds_in_every_service_of_a_group),
		TEST(with_reset_an_established_flow_of_a_down_backend_gets_a_rst),
		TEST(with_reset_nothing_else_is_reset),
		TEST(without_reset_an_established_flow_is_reselected),
	};
	return cmocka_run_group_tests_name("affinity", tests, NULL, NULL);
}
