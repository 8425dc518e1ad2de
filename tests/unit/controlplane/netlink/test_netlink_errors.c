// SPDX-License-Identifier: BSD-3-Clause
/* The kernel does not answer for a time: what was known stays in use. The linker replaces libmnl's send. As root.
 */
#include "tests/unit/controlplane/netlink/netlink_lab.h"

#include <errno.h>
#include <libmnl/libmnl.h>

static bool fails;

ssize_t __real_mnl_socket_sendto(const struct mnl_socket *socket, const void *bytes, size_t n);
ssize_t __wrap_mnl_socket_sendto(const struct mnl_socket *socket, const void *bytes, size_t n);

ssize_t __wrap_mnl_socket_sendto(const struct mnl_socket *socket, const void *bytes, size_t n)
{
	if (!fails)
		return __real_mnl_socket_sendto(socket, bytes, n);
	errno = ENOBUFS;
	return -1;
}

static struct berth_next_hop next_hop(const struct netlink_lab *lab)
{
	union berth_addr address;
	assert_int_equal(berth_address_parse("192.0.2.2", &address), 0);
	return berth_netlink_next_hop(lab->netlink, &address);
}

static void follow(const struct netlink_lab *lab)
{
	union berth_addr address;
	assert_int_equal(berth_address_parse("192.0.2.2", &address), 0);
	assert_int_equal(berth_netlink_follow(lab->netlink, &address, 1, true), 0);
}

static void an_error_keeps_the_next_hop_and_is_counted(void **state)
{
	struct netlink_lab *lab = *state;
	fails = false;
	follow(lab);
	assert_true(wait_until(next_hop(lab).is_resolved, 3000, run_for(lab, 20)));
	assert_int_equal(berth_netlink_status(lab->netlink).error, 0);
	fails = true;
	ours("ip link set up0 mtu 1400");
	assert_true(wait_until(berth_netlink_status(lab->netlink).errors > 1, 5000, run_for(lab, 20)));
	assert_int_equal(berth_netlink_status(lab->netlink).error, -ENOBUFS);
	assert_true(next_hop(lab).is_resolved);
	assert_int_equal(next_hop(lab).mtu, 1500);
	fails = false;
	assert_true(wait_until(next_hop(lab).mtu == 1400, 5000, run_for(lab, 20)));
	assert_int_equal(berth_netlink_status(lab->netlink).error, 0);
}

static void a_link_that_is_gone_is_no_error(void **state)
{
	struct netlink_lab *lab = *state;
	fails = false;
	follow(lab);
	assert_true(wait_until(next_hop(lab).is_resolved, 3000, run_for(lab, 20)));
	ours("ip link del up0");
	assert_true(wait_until(!next_hop(lab).is_resolved, 3000, run_for(lab, 20)));
	assert_int_equal(berth_netlink_status(lab->netlink).error, 0);
}

#define IN_LAB(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_LAB(an_error_keeps_the_next_hop_and_is_counted),
		IN_LAB(a_link_that_is_gone_is_no_error),
	};
	if (geteuid() != 0)
		return 77; /* meson: skipped */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
