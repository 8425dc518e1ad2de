// SPDX-License-Identifier: BSD-3-Clause
/* The list of forwarding modes: what follows from it for each mode. */
#include "dataplane/core/mode.h"

#include "tests/support/unit.h"

static const struct {
	const char *name;
	uint32_t overhead4;
	uint32_t overhead6;
	uint32_t protocol4; /* outer protocol of an IPv4 packet */
	uint32_t protocol6;
	bool has_tunnel_port;
	bool crosses_families;
	bool returns;
	bool is_link_only;
} expected[BERTH_MODE_COUNT] = {
	[BERTH_MODE_L2] = {"l2", 0, 0, 4, 41, false, false, false, true},
	[BERTH_MODE_IPIP] = {"ipip", 20, 40, 4, 41, false, true, false, false},
	[BERTH_MODE_GUE] = {"gue", 28, 48, 17, 17, true, true, false, false},
	[BERTH_MODE_NAT] = {"nat", 0, 0, 4, 41, false, false, true, false},
};

static void every_mode_has_the_properties_of_its_line(void **state)
{
	(void)state;
	for (enum berth_mode mode = 0; mode < BERTH_MODE_COUNT; mode++) {
		assert_string_equal(berth_mode_name(mode), expected[mode].name);
		assert_true(berth_mode_does(mode)[0]);
		assert_int_equal(berth_mode_overhead(mode, true), expected[mode].overhead4);
		assert_int_equal(berth_mode_overhead(mode, false), expected[mode].overhead6);
		assert_int_equal(berth_mode_protocol(mode, false), expected[mode].protocol4);
		assert_int_equal(berth_mode_protocol(mode, true), expected[mode].protocol6);
		assert_int_equal(berth_mode_encapsulates(mode), expected[mode].overhead4 > 0);
		assert_int_equal(berth_mode_has_tunnel_port(mode), expected[mode].has_tunnel_port);
		assert_int_equal(berth_mode_crosses_families(mode), expected[mode].crosses_families);
		assert_int_equal(berth_mode_returns(mode), expected[mode].returns);
		assert_int_equal(berth_mode_is_link_only(mode), expected[mode].is_link_only);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_mode_has_the_properties_of_its_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
