// SPDX-License-Identifier: BSD-3-Clause
/* TAP devices beside ports, on the kernel of this machine, in a network namespace of the test. berth-dpdk is a
 * descriptor. */
#include "controlplane/netlink/taps.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tests/support/unit.h"

static struct berth_taps taps;

static void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

static int set_up(void **state)
{
	(void)state;
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	berth_taps_init(&taps, "one");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	berth_taps_close(&taps);
	return 0;
}

static int attach_engine(void)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE};
	const int carrier = 1, fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "port0");
	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, TUNSETIFF, &request), 0);
	assert_int_equal(ioctl(fd, TUNSETCARRIER, &carrier), 0);
	return fd;
}

static void make_and_use(void)
{
	assert_int_equal(berth_taps_hold(&taps, "port0", false), 0);
	run("ip link set port0 up && ip addr add 192.0.2.1/24 dev port0");
}

static void a_new_device_has_no_carrier_before_an_engine_has_one(void **state)
{
	(void)state;
	make_and_use();
	run("! ip link show port0 | grep -q LOWER_UP");
	int engine = attach_engine();
	run("ip link show port0 | grep -q LOWER_UP");
	close(engine);
}

static void neighbours_addresses_and_carrier_outlive_the_engine(void **state)
{
	(void)state;
	make_and_use();
	int engine = attach_engine();
	run("ip neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev port0 nud reachable");
	close(engine);
	run("ip link show port0 | grep -q LOWER_UP");
	run("ip neigh show dev port0 | grep -q 02:00:00:00:00:09");
	engine = attach_engine();
	run("ip neigh show dev port0 | grep -q 02:00:00:00:00:09");
	run("ip addr show dev port0 | grep -q 192.0.2.1/24");
	close(engine);
}

static void they_outlive_berthd_while_the_engine_goes_on(void **state)
{
	(void)state;
	make_and_use();
	int engine = attach_engine();
	run("ip neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev port0 nud reachable");
	berth_taps_close(&taps);
	assert_int_equal(berth_taps_hold(&taps, "port0", false), 0);
	run("ip neigh show dev port0 | grep -q 02:00:00:00:00:09");
	close(engine);
	run("ip link show port0 | grep -q LOWER_UP");
}

static void addresses_and_routes_outlive_both(void **state)
{
	(void)state;
	make_and_use();
	run("ip route add 198.51.100.0/24 via 192.0.2.9");
	int engine = attach_engine();
	berth_taps_close(&taps);
	close(engine);
	run("ip addr show dev port0 | grep -q 192.0.2.1/24");
	run("ip route show | grep -q '198.51.100.0/24 via 192.0.2.9'");
}

/* The kernel sends some time after a carrier is there. */
static void await_queueing(int engine)
{
	static char frame[2048];
	run("ip neigh add 192.0.2.99 lladdr 02:00:00:00:00:09 dev port0");
	for (int i = 0; i < 1000; i++) {
		run("bash -c 'echo >/dev/udp/192.0.2.99/9'");
		while (read(engine, frame, sizeof(frame)) > 0)
			if (frame[12] == 8 && frame[13] == 0)
				return;
	}
	fail_msg("the kernel sends nothing");
}

static void all_that_the_kernel_sends_comes_to_the_engine(void **state)
{
	(void)state;
	static char frame[2048];
	size_t n = 0;
	make_and_use();
	int engine = attach_engine();
	await_queueing(engine);
	run("bash -c 'for i in {100..131}; do ip neigh add 192.0.2.$i lladdr 02:00:00:00:00:09 dev port0 &&"
	    " echo >/dev/udp/192.0.2.$i/9 || exit; done'");
	while (read(engine, frame, sizeof(frame)) > 0)
		n += frame[12] == 8 && frame[13] == 0;
	assert_int_equal(n, 32);
	close(engine);
}

static void a_device_of_another_program_is_left_to_it(void **state)
{
	(void)state;
	int other = attach_engine();
	assert_int_equal(berth_taps_hold(&taps, "port0", false), -EEXIST);
	close(other);
	run("! ip link show port0 2>/dev/null");
}

static void a_device_of_the_engine_becomes_persistent(void **state)
{
	(void)state;
	int engine = attach_engine();
	assert_int_equal(berth_taps_hold(&taps, "port0", true), 0);
	close(engine);
	berth_taps_close(&taps);
	run("ip link show port0 >/dev/null");
}

static void a_device_that_was_removed_is_made_again(void **state)
{
	(void)state;
	make_and_use();
	run("ip link delete port0");
	assert_int_equal(berth_taps_hold(&taps, "port0", false), 0);
	run("ip link show port0 >/dev/null");
}

static void only_devices_of_this_instance_without_a_port_are_removed(void **state)
{
	(void)state;
	static const char *const names[] = {"port1"};
	struct berth_taps other;
	berth_taps_init(&other, "two");
	run("ip tuntap add own0 mode tap multi_queue");
	assert_int_equal(berth_taps_hold(&taps, "port0", false), 0);
	assert_int_equal(berth_taps_hold(&taps, "port1", false), 0);
	assert_int_equal(berth_taps_hold(&taps, "own0", false), 0);
	assert_int_equal(berth_taps_hold(&other, "port2", false), 0);
	assert_int_equal(berth_taps_remove_others(&taps, names, 1), 0);
	run("test \"$(ip -br link | grep -Eo '^(port|own).' | sort | xargs)\" = 'own0 port1 port2'");
	berth_taps_close(&other);
}

static void an_interface_of_another_kind_is_refused(void **state)
{
	(void)state;
	run("ip link add port0 type veth peer name port9 && ip tuntap add port1 mode tap");
	assert_int_equal(berth_taps_hold(&taps, "port0", false), -EINVAL);
	assert_int_equal(berth_taps_hold(&taps, "port1", false), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_new_device_has_no_carrier_before_an_engine_has_one),
		TEST(neighbours_addresses_and_carrier_outlive_the_engine),
		TEST(they_outlive_berthd_while_the_engine_goes_on),
		TEST(addresses_and_routes_outlive_both),
		TEST(all_that_the_kernel_sends_comes_to_the_engine),
		TEST(a_device_of_another_program_is_left_to_it),
		TEST(a_device_of_the_engine_becomes_persistent),
		TEST(a_device_that_was_removed_is_made_again),
		TEST(only_devices_of_this_instance_without_a_port_are_removed),
		TEST(an_interface_of_another_kind_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
