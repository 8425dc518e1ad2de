// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/interface/tap_ports.h"

#include "tests/support/unit.h"

static void a_device_that_is_no_interface_of_the_kernel_has_a_tap(void **state)
{
	(void)state;
	assert_true(berth_device_has_tap("0000:03:00.0", "nic0"));
	assert_true(berth_device_has_tap("net_tap0,iface=nic0", "nic0"));
	assert_false(berth_device_has_tap("", "eth0"));
	assert_false(berth_device_has_tap("net_af_packet0,iface=eth0", "port0"));
	assert_false(berth_device_has_tap("eth_af_packet0,iface=eth0", "port0"));
}

static void af_xdp_has_one_if_its_interface_has_another_name(void **state)
{
	(void)state;
	assert_false(berth_device_has_tap("net_af_xdp0,iface=eth0", "eth0"));
	assert_false(berth_device_has_tap("net_af_xdp0,iface=eth0,start_queue=1", "eth0"));
	assert_true(berth_device_has_tap("net_af_xdp0,iface=eth0", "port0"));
	assert_true(berth_device_has_tap("net_af_xdp0,iface=eth01", "eth0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_that_is_no_interface_of_the_kernel_has_a_tap),
		cmocka_unit_test(af_xdp_has_one_if_its_interface_has_another_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
