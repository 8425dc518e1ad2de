// SPDX-License-Identifier: BSD-3-Clause
/* steer.h, emit.h: a second hop for packets of no flow whose row changed. */
#include "tests/unit/dataplane/core/steering.h"

#define SECOND_HOP BERTH_VERDICT_SECOND_HOP

enum {
	LINE = 5, /* the selection table under test, and its former rows in the next line */
	NOW = FIXTURE_NOW,
};

static const char *const address4[] = {"192.0.2.31", "192.0.2.32", "192.0.2.33"};
static const char *const address6[] = {"2001:db8:3::31", "2001:db8:3::32", "2001:db8:3::33"};

/* Three backends in mode gue; all rows are of the first one, and were of the second one. */
static void change_rows(uint32_t service, const char *const *addresses)
{
	const uint16_t first = (uint16_t)(service * 3 - 2);
	struct berth_service *at = fixture_service_at(&image, service);
	for (uint16_t i = 0; i < 3; i++)
		fixture_backend(&image, (uint16_t)(first + i), service, BERTH_MODE_GUE, addresses[i]);
	at->row_line = LINE;
	at->flags |= BERTH_SERVICE_FORMER_ROWS;
	for (uint32_t i = 0; i < FIXTURE_ROWS; i++) {
		image.rows[LINE].row[i] = (struct berth_row){first, (uint16_t)(first + 2)};
		image.rows[LINE + 1].row[i] = (struct berth_row){(uint16_t)(first + 1), 0};
	}
}

static uint32_t hop_of_last(void)
{
	struct berth_view view = fixture_view(&image, NOW);
	return (uint32_t)berth_second_hop(&view, &steered);
}

static void packets_without_syn_have_the_former_backend_as_second_hop(void **state)
{
	(void)state;
	static const uint8_t flags[] = {ACK, PSH | ACK, FIN | ACK, RST, RST | ACK};
	change_rows(FLOW_TCP, address4);
	for (size_t i = 0; i < COUNT(flags); i++) {
		assert_steered(steer(FLOW_TCP, 1025, flags[i], NOW), SECOND_HOP, 1);
		assert_int_equal(hop_of_last(), 2);
		assert_null(flow_word());
	}
}

static void a_connection_that_begins_here_has_none(void **state)
{
	(void)state;
	change_rows(FLOW_TCP, address4);
	assert_steered(steer(FLOW_TCP, 1025, SYN, NOW), SELECTED, 1);
	assert_non_null(flow_word());
	assert_steered(steer(FLOW_TCP, 1025, ACK, NOW), FLOW, 1);
	change_rows(FLOW_UDP, address4);
	assert_steered(steer(FLOW_UDP, 1025, 0, NOW), SELECTED, 4);
}

static void rows_that_did_not_change_have_none(void **state)
{
	(void)state;
	static const uint16_t former[] = {0, 1};
	change_rows(FLOW_TCP, address4);
	for (size_t i = 0; i < COUNT(former); i++) {
		clear_tables();
		for (uint32_t row = 0; row < FIXTURE_ROWS; row++)
			image.rows[LINE + 1].row[row].primary = former[i];
		assert_steered(steer(FLOW_TCP, 1025, ACK, NOW), SELECTED, 1);
		assert_non_null(flow_word());
	}
}

static void a_former_backend_out_of_reach_is_none(void **state)
{
	(void)state;
	change_rows(FLOW_TCP, address4);
	struct berth_backend *hop = &berth_image_current(&image).backends[2];
	const struct berth_backend before = *hop;
	fixture_set_eligibility(&image, 2, BERTH_ELIGIBLE_NEW);
	assert_steered(steer(FLOW_TCP, 1025, ACK, NOW), SELECTED, 1);
	fixture_set_eligibility(&image, 2, BERTH_ELIGIBLE_FLOWS);
	assert_steered(steer(FLOW_TCP, 1026, ACK, NOW), SECOND_HOP, 1);
	hop->flags = 0;
	assert_steered(steer(FLOW_TCP, 1027, ACK, NOW), SELECTED, 1);
	*hop = before;
	hop->address = fixture_addr(address6[1]);
	assert_steered(steer(FLOW_TCP, 1028, ACK, NOW), SELECTED, 1);
	*hop = before;
	hop->mode = BERTH_MODE_IPIP;
	assert_steered(steer(FLOW_TCP, 1029, ACK, NOW), SELECTED, 1);
}

static void without_the_flag_nothing_is_read(void **state)
{
	(void)state;
	change_rows(FLOW_TCP, address4);
	fixture_service_at(&image, FLOW_TCP)->flags = 0;
	assert_steered(steer(FLOW_TCP, 1025, ACK, NOW), SELECTED, 1);
}

static void the_first_hop_is_the_backend_of_the_clients_session(void **state)
{
	(void)state;
	change_rows(CLIENT_TCP, address4);
	assert_steered(steer(CLIENT_TCP, 1025, ACK, NOW), SECOND_HOP, 7);
	assert_int_equal(hop_of_last(), 8);
	assert_null(session_word());
	assert_steered(steer(CLIENT_TCP, 1026, SYN, NOW), SELECTED, 7);
	const uint64_t session = *session_word();
	assert_steered(steer(CLIENT_TCP, 1025, ACK, NOW + 1), SECOND_HOP, 7);
	assert_true(*session_word() == session);
	/* On another backend than the row's, and on the former one: behind that is what the row gives now. */
	static const uint16_t of_session[] = {9, 8}, hop[] = {8, 7};
	for (size_t i = 0; i < COUNT(of_session); i++) {
		clear_tables();
		for (uint32_t row = 0; row < FIXTURE_ROWS; row++)
			image.rows[LINE].row[row].primary = of_session[i];
		assert_steered(steer(CLIENT_TCP, 1026, SYN, NOW), SELECTED, of_session[i]);
		for (uint32_t row = 0; row < FIXTURE_ROWS; row++)
			image.rows[LINE].row[row].primary = 7;
		assert_steered(steer(CLIENT_TCP, 1025, ACK, NOW), SECOND_HOP, of_session[i]);
		assert_int_equal(hop_of_last(), hop[i]);
	}
	/* Its alternate, if its primary takes no new clients; none, if neither does. */
	fixture_set_eligibility(&image, 7, BERTH_ELIGIBLE_FLOWS);
	assert_steered(steer(CLIENT_TCP, 1025, ACK, NOW), SECOND_HOP, 8);
	assert_int_equal(hop_of_last(), 9);
	fixture_set_eligibility(&image, 9, BERTH_ELIGIBLE_FLOWS);
	assert_steered(steer(CLIENT_TCP, 1025, ACK, NOW), SESSION, 8);
}

/* Sends an ACK with data. Returns the verdict; the frame as it leaves. */
static enum berth_verdict send_ack(struct fixture_frame *frame, uint32_t *mtu)
{
	struct fixture_packet from = to_service[FLOW_TCP];
	struct berth_view view = fixture_view(&image, NOW);
	struct berth_egress egress = {0, 0};
	from.tcp_flags = ACK;
	from.payload = 33;
	fixture_build(frame, &from);
	assert_int_equal(berth_receive(&view, &frame->frame, &steered, frame->bytes), BERTH_NO_VERDICT);
	enum berth_verdict verdict = fixture_steer(&view, &steered);
	assert_int_equal(verdict, SECOND_HOP);
	verdict = berth_rewrite(&view, &frame->frame, &steered, verdict, &egress);
	*mtu = egress.mtu;
	return verdict;
}

static void the_header_is_gue_of_variant_0_with_one_hop(void **state)
{
	(void)state;
	for (uint32_t is6 = 0; is6 < 2; is6++) {
		const uint32_t ip = is6 ? 40 : 20, hop = is6 ? 16 : 4;
		struct fixture_frame frame;
		uint8_t expected[24] = {(uint8_t)(1 + hop / 4), 4, 0, 0, is6 ? 0xbe : 0, is6 ? 0x06 : 0, 0, 1};
		const union berth_addr second = fixture_addr(is6 ? address6[1] : address4[1]);
		uint32_t mtu;
		change_rows(FLOW_TCP, is6 ? address6 : address4);
		memcpy(expected + 8, second.byte + 16 - hop, hop);
		assert_int_equal(send_ack(&frame, &mtu), BERTH_NO_VERDICT);
		const uint8_t *at = frame.frame.data + frame.network;
		const uint32_t inner = frame.bytes - frame.network, udp = 8 + 8 + hop + inner;
		assert_int_equal(frame.frame.end - at, ip + udp);
		assert_int_equal(is6 ? at[4] << 8 | at[5] : at[2] << 8 | at[3], is6 ? udp : ip + udp);
		assert_int_equal(at[ip + 2] << 8 | at[ip + 3], 6080);
		assert_int_equal(at[ip + 4] << 8 | at[ip + 5], udp);
		assert_memory_equal(at + ip + 8, expected, 8 + hop);
		assert_int_equal(at[ip + 8 + 8 + hop], 0x45);
	}
}

static void the_path_mtu_counts_the_longer_header(void **state)
{
	(void)state;
	struct fixture_frame frame;
	uint32_t mtu;
	change_rows(FLOW_TCP, address4);
	struct berth_backend *to = &berth_image_current(&image).backends[1];
	to->mtu = 20 + 20 + 33 + 28 + 12;
	assert_int_equal(send_ack(&frame, &mtu), BERTH_NO_VERDICT);
	to->mtu--;
	assert_int_equal(send_ack(&frame, &mtu), BERTH_VERDICT_TOO_BIG);
	assert_int_equal(mtu, 20 + 20 + 33 - 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(packets_without_syn_have_the_former_backend_as_second_hop, set_up),
		cmocka_unit_test_setup(a_connection_that_begins_here_has_none, set_up),
		cmocka_unit_test_setup(rows_that_did_not_change_have_none, set_up),
		cmocka_unit_test_setup(a_former_backend_out_of_reach_is_none, set_up),
		cmocka_unit_test_setup(without_the_flag_nothing_is_read, set_up),
		cmocka_unit_test_setup(the_first_hop_is_the_backend_of_the_clients_session, set_up),
		cmocka_unit_test_setup(the_header_is_gue_of_variant_0_with_one_hop, set_up),
		cmocka_unit_test_setup(the_path_mtu_counts_the_longer_header, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
