// SPDX-License-Identifier: BSD-3-Clause
/* ICMP errors about packets that are too big, and everything that is none. */
#include "controlplane/path_mtu/parse.h"
#include "controlplane/util/address.h"
#include "tests/support/icmp.h"
#include "tests/support/unit.h"

enum {
	QUOTE_BYTES = 64,
};

/* A router's error about berth's packet in mode ipip. */
static const struct wire_error error4 = {
	.outer = {.src = "192.0.2.254", .dst = "192.0.2.1"},
	.quoted = {.src = "192.0.2.1", .dst = "198.51.100.11", .protocol = 4, .payload = 1480, .fragment = 0x4000},
	.type = 3,
	.code = 4,
	.rest = 1400,
	.bytes = QUOTE_BYTES,
};
/* And in mode gue. */
static const struct wire_error error6 = {
	.outer = {.src = "2001:db8::fe", .dst = "2001:db8::1"},
	.quoted = {.src = "2001:db8::1",
		   .dst = "2001:db8:9::11",
		   .protocol = BERTH_PROTO_UDP,
		   .sport = 50000,
		   .dport = 6080,
		   .payload = 1400},
	.type = 2,
	.rest = 1300,
	.bytes = QUOTE_BYTES,
};

static bool parse(const struct wire_error *error, size_t cut, struct berth_too_big *report)
{
	struct fixture_frame frame;
	wire_build_error(&frame, error);
	return berth_path_mtu_parse(frame.frame.data + frame.network, frame.bytes - frame.network - cut, report);
}

static void expect_address(const union berth_addr *address, const char *expected)
{
	char text[BERTH_ADDRESS_TEXT];
	assert_string_equal(berth_address_format(address, text), expected);
}

static void fragmentation_needed_is_read(void **state)
{
	(void)state;
	struct berth_too_big report;
	assert_true(parse(&error4, 0, &report));
	expect_address(&report.reporter, "192.0.2.254");
	expect_address(&report.source, "192.0.2.1");
	expect_address(&report.destination, "198.51.100.11");
	assert_int_equal(report.protocol, 4);
	assert_int_equal(report.length, 1500);
	assert_int_equal(report.mtu, 1400);
}

static void packet_too_big_is_read(void **state)
{
	(void)state;
	struct berth_too_big report;
	assert_true(parse(&error6, 0, &report));
	expect_address(&report.reporter, "2001:db8::fe");
	expect_address(&report.source, "2001:db8::1");
	expect_address(&report.destination, "2001:db8:9::11");
	assert_int_equal(report.protocol, BERTH_PROTO_UDP);
	assert_int_equal(report.dport, 6080);
	assert_int_equal(report.length, 1448);
	assert_int_equal(report.mtu, 1300);
}

static void other_messages_are_not(void **state)
{
	(void)state;
	struct berth_too_big report;
	struct wire_error error[] = {error4, error4, error4, error4, error6, error6};
	error[0].code = 3;
	error[1].type = 11;
	error[2].quoted.options = 1;
	error[3].quoted.fragment = 0;
	error[4].type = 1;
	error[5].bytes = 40 + 7;
	for (size_t i = 0; i < sizeof(error) / sizeof(error[0]); i++)
		assert_false(parse(&error[i], 0, &report));
}

/* Whole messages only: the checksum is that of all bytes. */
static void a_message_that_is_cut_or_changed_is_not_read(void **state)
{
	(void)state;
	struct berth_too_big report;
	const struct wire_error *errors[] = {&error4, &error6};
	for (size_t e = 0; e < 2; e++) {
		struct fixture_frame frame;
		wire_build_error(&frame, errors[e]);
		uint8_t *packet = frame.frame.data + frame.network;
		size_t bytes = frame.bytes - frame.network, message = frame.transport - frame.network;
		for (size_t n = 0; n < bytes; n++)
			assert_false(berth_path_mtu_parse(packet, n, &report));
		for (size_t i = message; i < bytes; i++) {
			packet[i] ^= 1;
			assert_false(berth_path_mtu_parse(packet, bytes, &report));
			packet[i] ^= 1;
		}
		assert_true(berth_path_mtu_parse(packet, bytes, &report));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fragmentation_needed_is_read),
		cmocka_unit_test(packet_too_big_is_read),
		cmocka_unit_test(other_messages_are_not),
		cmocka_unit_test(a_message_that_is_cut_or_changed_is_not_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
