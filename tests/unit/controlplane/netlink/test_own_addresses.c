/* SPDX-License-Identifier: BSD-3-Clause */
/* The host's own addresses, against the real kernel. */
#include "controlplane/model/model.h"
#include "tests/unit/controlplane/netlink/netlink_lab.h"

static void follow_own(struct netlink_lab *lab, bool host)
{
	assert_int_equal(berth_netlink_follow(lab->netlink, NULL, 0, host), 0);
}

static size_t times(struct netlink_lab *lab, const char *text)
{
	const struct berth_own_addresses own = berth_netlink_own_addresses(lab->netlink);
	union berth_addr address;
	size_t n = 0;

	assert_int_equal(berth_address_parse(text, &address), 0);
	for (size_t i = 0; i < own.n; i++)
		n += berth_addr_equal(&own.addresses[i], &address);
	return n;
}

static void wait_times(struct netlink_lab *lab, const char *text, size_t expected)
{
	if (!wait_until(times(lab, text) == expected, 1000, run_for(lab, 10)))
		fail_msg("%s is listed %zu times, not %zu", text, times(lab, text), expected);
}

static void test_addresses_of_all_interfaces_are_own(void **state)
{
	struct netlink_lab *lab = *state;

	ours("ip addr add 203.0.113.7/32 dev lo && ip addr add 2001:db8:7::7/128 dev lo");
	follow_own(lab, true);
	assert_int_equal(times(lab, "192.0.2.1"), 1);
	assert_int_equal(times(lab, "2001:db8::1"), 1);
	assert_int_equal(times(lab, "127.0.0.1"), 1);
	assert_int_equal(times(lab, "::1"), 1);
	assert_int_equal(times(lab, "203.0.113.7"), 1);
	assert_int_equal(times(lab, "2001:db8:7::7"), 1);
	assert_int_equal(times(lab, "192.0.2.2"), 0);
	assert_int_equal(times(lab, "192.0.2.255"), 0);
	assert_false(berth_netlink_own_addresses(lab->netlink).is_truncated);
}

static void test_added_and_removed_addresses_are_followed(void **state)
{
	struct netlink_lab *lab = *state;

	follow_own(lab, true);
	run_for(lab, 300);
	lab->calls = 0;
	ours("ip addr add 192.0.2.77/24 dev up0");
	wait_times(lab, "192.0.2.77", 1);
	run_for(lab, 50);
	assert_in_range(lab->calls, 1, 2);
	ours("ip addr add 2001:db8::77/64 dev up0");
	wait_times(lab, "2001:db8::77", 1);
	ours("ip addr del 192.0.2.77/24 dev up0");
	wait_times(lab, "192.0.2.77", 0);
	ours("ip addr del 2001:db8::77/64 dev up0");
	wait_times(lab, "2001:db8::77", 0);
	assert_int_equal(times(lab, "192.0.2.1"), 1);
	assert_int_equal(times(lab, "2001:db8::1"), 1);
}

static void test_on_a_point_to_point_link_only_our_end_is_own(void **state)
{
	struct netlink_lab *lab = *state;

	ours("ip addr add 198.18.0.1 peer 198.18.0.2 dev up0 && ip addr add 2001:db8:8::1 peer 2001:db8:8::2 dev "
	     "up0");
	follow_own(lab, true);
	assert_int_equal(times(lab, "198.18.0.1"), 1);
	assert_int_equal(times(lab, "198.18.0.2"), 0);
	assert_int_equal(times(lab, "2001:db8:8::1"), 1);
	assert_int_equal(times(lab, "2001:db8:8::2"), 0);
}

static void test_an_address_of_two_interfaces_is_listed_until_neither_has_it(void **state)
{
	struct netlink_lab *lab = *state;

	ours("ip addr add 192.0.2.1/32 dev lo");
	follow_own(lab, true);
	assert_int_equal(times(lab, "192.0.2.1"), 1);
	ours("ip addr del 192.0.2.1/24 dev up0");
	run_for(lab, 300);
	assert_int_equal(times(lab, "192.0.2.1"), 1);
	ours("ip addr del 192.0.2.1/32 dev lo");
	wait_times(lab, "192.0.2.1", 0);
}

static void test_a_truncated_list_says_so(void **state)
{
	struct netlink_lab *lab = *state;

	follow_own(lab, true);
	ours("for i in $(seq 0 299); do echo addr add 10.9.$((i / 250)).$((1 + i %% 250))/32 dev lo; done | ip "
	     "-batch -");
	run_for(lab, 300);
	assert_int_equal(berth_netlink_own_addresses(lab->netlink).n, BERTH_MAX_OWN);
	assert_true(berth_netlink_own_addresses(lab->netlink).is_truncated);
	ours("for i in $(seq 100 299); do echo addr del 10.9.$((i / 250)).$((1 + i %% 250))/32 dev lo; done |"
	     " ip -batch -");
	wait_times(lab, "10.9.0.101", 0);
	assert_int_equal(times(lab, "10.9.0.100"), 1);
	assert_int_equal(times(lab, "2001:db8::1"), 1);
	assert_false(berth_netlink_own_addresses(lab->netlink).is_truncated);
}

static void test_addresses_that_are_not_followed_are_not_listed(void **state)
{
	struct netlink_lab *lab = *state;

	follow_own(lab, true);
	assert_int_equal(times(lab, "192.0.2.1"), 1);
	follow_own(lab, false);
	assert_int_equal(berth_netlink_own_addresses(lab->netlink).n, 0);
	run_for(lab, 300);
	lab->calls = 0;
	ours("ip addr add 192.0.2.77/24 dev up0");
	run_for(lab, 300);
	assert_int_equal(berth_netlink_own_addresses(lab->netlink).n, 0);
	assert_int_equal(lab->calls, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_addresses_of_all_interfaces_are_own),
		TEST(test_added_and_removed_addresses_are_followed),
		TEST(test_on_a_point_to_point_link_only_our_end_is_own),
		TEST(test_an_address_of_two_interfaces_is_listed_until_neither_has_it),
		TEST(test_a_truncated_list_says_so),
		TEST(test_addresses_that_are_not_followed_are_not_listed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
