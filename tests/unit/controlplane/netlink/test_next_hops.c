/* SPDX-License-Identifier: BSD-3-Clause */
/* Next hops of addresses, against the real kernel. */
#include "tests/unit/controlplane/netlink/netlink_lab.h"

static union berth_addr address_of(const char *text)
{
	union berth_addr address;

	assert_int_equal(berth_address_parse(text, &address), 0);
	return address;
}

static void follow(struct netlink_lab *lab, const char *first, const char *second)
{
	union berth_addr addresses[2] = {address_of(first)};

	if (second != NULL)
		addresses[1] = address_of(second);
	assert_int_equal(berth_netlink_follow(lab->netlink, addresses, second != NULL ? 2 : 1, false), 0);
}

static struct berth_next_hop next_hop(struct netlink_lab *lab, const char *text)
{
	union berth_addr address = address_of(text);
	return berth_netlink_next_hop(lab->netlink, &address);
}

/* `mac` NULL: unresolved; else resolved to this MAC address. */
static bool is_resolved_to(struct netlink_lab *lab, const char *text, const char *mac)
{
	struct berth_next_hop is = next_hop(lab, text);
	char found[18];

	if (mac == NULL || !is.is_resolved)
		return is.is_resolved == (mac != NULL);
	return strcmp(mac_text(is.dst_mac, found), mac) == 0;
}

static void wait_for(struct netlink_lab *lab, const char *text, const char *mac, uint64_t within_ms)
{
	if (!wait_until(is_resolved_to(lab, text, mac), within_ms, run_for(lab, 10)))
		fail_msg("%s is not resolved to %s within %u ms", text, mac ? mac : "nothing", (unsigned)within_ms);
}

static void test_a_resolved_neighbour_gives_every_field_of_a_frame(void **state)
{
	struct netlink_lab *lab = *state;
	static const char *const PEERS[] = {"192.0.2.2", "2001:db8::2"};
	static const char *const SOURCES[] = {"192.0.2.1", "2001:db8::1"};
	char text[18];

	follow(lab, PEERS[0], PEERS[1]);
	assert_false(next_hop(lab, PEERS[0]).is_resolved);
	for (int i = 0; i < 2; i++) {
		wait_for(lab, PEERS[i], PEER_MAC, 700); /* requested at once, not by the next tick */
		struct berth_next_hop is = next_hop(lab, PEERS[i]);
		union berth_addr source = address_of(SOURCES[i]);
		assert_int_equal(is.ifindex, if_nametoindex("up0"));
		assert_string_equal(mac_text(is.src_mac, text), OUR_MAC);
		assert_int_equal(is.mtu, 1500);
		assert_memory_equal(&is.source, &source, sizeof(source));
	}
	assert_true(lab->calls > 0);
}

static void test_a_neighbour_in_the_kernels_table_is_resolved_at_once(void **state)
{
	struct netlink_lab *lab = *state;

	ours("ip neigh add 192.0.2.9 lladdr " OTHER_MAC " dev up0 nud permanent");
	follow(lab, "192.0.2.9", NULL);
	assert_true(is_resolved_to(lab, "192.0.2.9", OTHER_MAC));
	run_for(lab, 1200);
	/* A request would have ended its permanent state. */
	ours("ip neigh show to 192.0.2.9 nud permanent | grep -q " OTHER_MAC);
}

static void test_an_address_behind_a_gateway_has_the_gateways_mac(void **state)
{
	struct netlink_lab *lab = *state;
	union berth_addr source = address_of("192.0.2.1");

	ours("ip route add 198.51.100.0/24 via 192.0.2.2 mtu 1400");
	ours("ip route add 2001:db8:1::/48 via 2001:db8::2");
	follow(lab, "198.51.100.7", "2001:db8:1::7");
	wait_for(lab, "198.51.100.7", PEER_MAC, 3000);
	wait_for(lab, "2001:db8:1::7", PEER_MAC, 3000);
	struct berth_next_hop is = next_hop(lab, "198.51.100.7");
	assert_int_equal(is.mtu, 1400);
	assert_memory_equal(&is.source, &source, sizeof(source));
}

static void test_an_ipv4_address_behind_an_ipv6_router_has_the_routers_mac(void **state)
{
	struct netlink_lab *lab = *state;

	ours("ip route add 198.51.100.0/24 via inet6 2001:db8::2");
	follow(lab, "198.51.100.7", NULL);
	wait_for(lab, "198.51.100.7", PEER_MAC, 3000);
}

static void test_a_new_mac_address_of_the_peer_is_followed(void **state)
{
	struct netlink_lab *lab = *state;

	follow(lab, "192.0.2.2", "2001:db8::2");
	wait_for(lab, "192.0.2.2", PEER_MAC, 3000);
	wait_for(lab, "2001:db8::2", PEER_MAC, 3000);
	run_for(lab, 1100); /* the kernel accepts no new MAC address within `locktime`, 1 s */
	theirs(lab, "sysctl -qw net.ipv4.conf.down0.arp_notify=1 net.ipv6.conf.down0.ndisc_notify=1"
		    " && ip link set down0 address " OTHER_MAC " && ip neigh flush dev down0"
		    " && ping -c1 -W1 -q 192.0.2.1 >/dev/null && ping -c1 -W1 -q 2001:db8::1 >/dev/null");
	wait_for(lab, "192.0.2.2", OTHER_MAC, 1500);
	wait_for(lab, "2001:db8::2", OTHER_MAC, 1500);
}

static void test_a_new_mac_address_of_ours_is_followed_without_a_gap(void **state)
{
	struct netlink_lab *lab = *state;
	char text[18];

	follow(lab, "192.0.2.2", NULL);
	wait_for(lab, "192.0.2.2", PEER_MAC, 3000);
	ours("ip link set up0 address " OTHER_MAC);
	for (uint64_t until = berth_clock_ms() + 2000; berth_clock_ms() < until; run_for(lab, 10)) {
		struct berth_next_hop is = next_hop(lab, "192.0.2.2");
		assert_true(is.is_resolved); /* although the kernel removes all neighbours of the link */
		if (strcmp(mac_text(is.src_mac, text), OTHER_MAC) == 0)
			return;
	}
	fail();
}

static void test_a_changed_route_is_followed(void **state)
{
	struct netlink_lab *lab = *state;

	ours("ip neigh add 192.0.2.9 lladdr " OTHER_MAC " dev up0 nud permanent");
	ours("ip route add 198.51.100.0/24 via 192.0.2.2");
	follow(lab, "198.51.100.7", NULL);
	wait_for(lab, "198.51.100.7", PEER_MAC, 3000);
	ours("ip route replace 198.51.100.0/24 via 192.0.2.9");
	wait_for(lab, "198.51.100.7", OTHER_MAC, 2000);
	ours("ip route del 198.51.100.0/24");
	wait_for(lab, "198.51.100.7", NULL, 2000);
	assert_int_equal(next_hop(lab, "198.51.100.7").ifindex, 0);
	ours("ip route add 198.51.100.0/24 via 192.0.2.2");
	wait_for(lab, "198.51.100.7", PEER_MAC, 1000);
}

static void test_a_link_that_goes_down_makes_its_next_hops_unresolved(void **state)
{
	struct netlink_lab *lab = *state;

	follow(lab, "192.0.2.2", "2001:db8::2");
	wait_for(lab, "192.0.2.2", PEER_MAC, 3000);
	wait_for(lab, "2001:db8::2", PEER_MAC, 3000);
	theirs(lab, "ip link set down0 down"); /* ours stays up, without a carrier: the routes stay */
	wait_for(lab, "192.0.2.2", NULL, 2000);
	wait_for(lab, "2001:db8::2", NULL, 2000);
	theirs(lab, "ip link set down0 up && ip addr replace 2001:db8::2/64 dev down0");
	wait_for(lab, "192.0.2.2", PEER_MAC, 3000);
	wait_for(lab, "2001:db8::2", PEER_MAC, 5000);
	ours("ip link set up0 down");
	wait_for(lab, "192.0.2.2", NULL, 2000);
	ours("ip link set up0 up");
	wait_for(lab, "192.0.2.2", PEER_MAC, 3000);
}

static void test_neighbours_are_where_they_were_when_the_link_is_up_again(void **state)
{
	struct netlink_lab *lab = *state;

	ours("sysctl -qw net.ipv4.neigh.up0.retrans_time_ms=100");
	follow(lab, "192.0.2.2", "192.0.2.3");
	wait_for(lab, "192.0.2.2", PEER_MAC, 3000);
	wait_for(lab, "192.0.2.3", PEER_MAC, 3000);
	theirs(lab, "ip link set down0 down && ip addr del 192.0.2.3/24 dev down0");
	wait_for(lab, "192.0.2.3", NULL, 2000);
	/* Without a carrier the kernel's requests fail. */
	ours("ping -c1 -W1 -q 192.0.2.2 >/dev/null; ip neigh show to 192.0.2.2 | grep -q FAILED");
	run_for(lab, 100);
	theirs(lab, "ip link set down0 up");
	wait_for(lab, "192.0.2.3", PEER_MAC, 3000);
	assert_true(is_resolved_to(lab, "192.0.2.2", PEER_MAC));
	run_for(lab, 1000);
	assert_true(is_resolved_to(lab, "192.0.2.2", PEER_MAC));
	wait_for(lab, "192.0.2.3", NULL, 7000); /* one that does not return with it */
	assert_true(is_resolved_to(lab, "192.0.2.2", PEER_MAC));
}

static void test_a_silent_neighbour_is_unresolved_until_it_answers(void **state)
{
	struct netlink_lab *lab = *state;

	ours("sysctl -qw net.ipv4.neigh.up0.retrans_time_ms=100 net.ipv6.neigh.up0.retrans_time_ms=100");
	follow(lab, "192.0.2.50", "2001:db8::50");
	run_for(lab, 1500);
	assert_true(is_resolved_to(lab, "192.0.2.50", NULL));
	assert_true(is_resolved_to(lab, "2001:db8::50", NULL));
	assert_int_equal(next_hop(lab, "192.0.2.50").ifindex, if_nametoindex("up0"));
	theirs(lab, "ip addr add 192.0.2.50/24 dev down0 && ip addr add 2001:db8::50/64 dev down0");
	wait_for(lab, "192.0.2.50", PEER_MAC, 2000);
	wait_for(lab, "2001:db8::50", PEER_MAC, 2000);
}

static void test_a_neighbour_that_stops_answering_becomes_unresolved(void **state)
{
	struct netlink_lab *lab = *state;

	ours("sysctl -qw net.ipv4.neigh.up0.retrans_time_ms=100");
	follow(lab, "192.0.2.3", NULL);
	wait_for(lab, "192.0.2.3", PEER_MAC, 3000);
	theirs(lab, "ip addr del 192.0.2.3/24 dev down0");
	ours("ip neigh change 192.0.2.3 lladdr " PEER_MAC " dev up0 nud probe");
	run_for(lab, 20);
	assert_true(is_resolved_to(lab, "192.0.2.3", PEER_MAC));
	wait_for(lab, "192.0.2.3", NULL, 2000);
	run_for(lab, 100);
	assert_true(is_resolved_to(lab, "192.0.2.3", NULL));
}

static void test_a_stale_neighbour_is_probed(void **state)
{
	struct netlink_lab *lab = *state;

	/* An invalid MAC address, not confirmed: only a probe corrects it. */
	ours("sysctl -qw net.ipv4.neigh.up0.retrans_time_ms=100 net.ipv4.neigh.up0.delay_first_probe_time=1");
	ours("ip neigh add 192.0.2.2 lladdr " OTHER_MAC " dev up0 nud stale");
	follow(lab, "192.0.2.2", NULL);
	assert_true(is_resolved_to(lab, "192.0.2.2", OTHER_MAC));
	wait_for(lab, "192.0.2.2", PEER_MAC, 6000);
}

static void test_flushed_neighbours_are_resolved_again_at_once(void **state)
{
	struct netlink_lab *lab = *state;

	follow(lab, "192.0.2.2", "2001:db8::2");
	wait_for(lab, "192.0.2.2", PEER_MAC, 3000);
	wait_for(lab, "2001:db8::2", PEER_MAC, 3000);
	run_for(lab, 1000);
	ours("ip -4 neigh flush dev up0 && ip -6 neigh flush dev up0");
	run_for(lab, 20);
	wait_for(lab, "192.0.2.2", PEER_MAC, 700);
	wait_for(lab, "2001:db8::2", PEER_MAC, 700);
}

static void test_addresses_without_a_neighbour_are_unresolved(void **state)
{
	struct netlink_lab *lab = *state;
	static const char *const NO_ROUTE[] = {"198.51.100.1", "2001:db8:ff::1", "203.0.113.1", "203.0.113.2"};
	static const char *const LOCAL[] = {"192.0.2.1", "2001:db8::1", "127.0.0.1", "::1"};
	static const char *const ALL[] = {"192.0.2.255", "2001:db8:5::1", "ff02::1", "203.0.113.3"};

	ours("ip route add unreachable 203.0.113.1 && ip route add blackhole 203.0.113.2");
	ours("ip route add 203.0.113.3 dev lo && ip route add 2001:db8:5::1 dev lo");
	for (int round = 0; round < 8; round++) {
		int i = round % 4; /* in the second round the kernel has neighbour entries */
		follow(lab, NO_ROUTE[i], LOCAL[i]);
		run_for(lab, 20);
		assert_false(next_hop(lab, NO_ROUTE[i]).is_resolved);
		assert_int_equal(next_hop(lab, NO_ROUTE[i]).ifindex, 0);
		assert_false(next_hop(lab, LOCAL[i]).is_resolved);
		follow(lab, ALL[i], NULL);
		run_for(lab, 20);
		assert_false(next_hop(lab, ALL[i]).is_resolved);
	}
}

static void test_notifications_that_change_no_next_hop_cause_no_call(void **state)
{
	struct netlink_lab *lab = *state;

	ours("ip neigh replace 192.0.2.9 lladdr " OTHER_MAC " dev up0 nud permanent");
	follow(lab, "192.0.2.9", NULL);
	run_for(lab, 300);
	lab->calls = 0;
	ours("ip neigh replace 192.0.2.9 lladdr " OTHER_MAC " dev up0 nud reachable");
	ours("ip route add 198.51.100.0/24 via 192.0.2.2");
	run_for(lab, 200);
	assert_int_equal(lab->calls, 0);
}

static void test_addresses_that_are_not_followed_have_no_next_hop(void **state)
{
	struct netlink_lab *lab = *state;

	follow(lab, "192.0.2.2", "192.0.2.3");
	wait_for(lab, "192.0.2.2", PEER_MAC, 3000);
	wait_for(lab, "192.0.2.3", PEER_MAC, 3000);
	follow(lab, "192.0.2.3", "192.0.2.3");
	assert_true(is_resolved_to(lab, "192.0.2.3", PEER_MAC));
	assert_true(is_resolved_to(lab, "192.0.2.2", NULL));
	assert_int_equal(berth_netlink_follow(lab->netlink, NULL, 0, false), 0);
	assert_true(is_resolved_to(lab, "192.0.2.3", NULL));
}

/* More notifications than the socket's buffer holds, the relevant one last. */
static void test_lost_notifications_cause_a_resync(void **state)
{
	struct netlink_lab *lab = *state;

	ours("ip neigh add 192.0.2.9 lladdr " OTHER_MAC " dev up0 nud permanent");
	follow(lab, "192.0.2.9", NULL);
	run_for(lab, 300); /* after the notifications of the new namespace */
	ours("for i in $(seq 40000); do echo neigh add 10.9.$((i / 250)).$((i %% 250)) lladdr " OTHER_MAC
	     " dev up0 nud permanent; done | ip -batch -");
	ours("ip neigh replace 192.0.2.9 lladdr " PEER_MAC " dev up0 nud permanent");
	wait_for(lab, "192.0.2.9", PEER_MAC, 2000);
}

static void test_many_changes_cause_few_calls(void **state)
{
	struct netlink_lab *lab = *state;

	ours("for i in $(seq 100 199); do echo neigh add 192.0.2.$i lladdr " OTHER_MAC
	     " dev up0 nud permanent; done | ip -batch -");
	union berth_addr addresses[100];
	for (int i = 0; i < 100; i++) {
		char text[32];
		snprintf(text, sizeof(text), "192.0.2.%d", 100 + i);
		addresses[i] = address_of(text);
	}
	assert_int_equal(berth_netlink_follow(lab->netlink, addresses, 100, false), 0);
	run_for(lab, 50);
	lab->calls = 0;
	ours("for i in $(seq 100 199); do echo neigh replace 192.0.2.$i lladdr " PEER_MAC
	     " dev up0 nud permanent; done | ip -batch -");
	run_for(lab, 50);
	for (int i = 0; i < 100; i++) {
		char text[32];
		snprintf(text, sizeof(text), "192.0.2.%d", 100 + i);
		assert_true(is_resolved_to(lab, text, PEER_MAC));
	}
	assert_in_range(lab->calls, 1, 5);
	lab->calls = 0;
	run_for(lab, 100);
	assert_int_equal(lab->calls, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_resolved_neighbour_gives_every_field_of_a_frame),
		TEST(test_a_neighbour_in_the_kernels_table_is_resolved_at_once),
		TEST(test_an_address_behind_a_gateway_has_the_gateways_mac),
		TEST(test_an_ipv4_address_behind_an_ipv6_router_has_the_routers_mac),
		TEST(test_a_new_mac_address_of_the_peer_is_followed),
		TEST(test_a_new_mac_address_of_ours_is_followed_without_a_gap),
		TEST(test_a_changed_route_is_followed),
		TEST(test_a_link_that_goes_down_makes_its_next_hops_unresolved),
		TEST(test_neighbours_are_where_they_were_when_the_link_is_up_again),
		TEST(test_a_silent_neighbour_is_unresolved_until_it_answers),
		TEST(test_a_neighbour_that_stops_answering_becomes_unresolved),
		TEST(test_a_stale_neighbour_is_probed),
		TEST(test_flushed_neighbours_are_resolved_again_at_once),
		TEST(test_addresses_without_a_neighbour_are_unresolved),
		TEST(test_notifications_that_change_no_next_hop_cause_no_call),
		TEST(test_addresses_that_are_not_followed_have_no_next_hop),
		TEST(test_lost_notifications_cause_a_resync),
		TEST(test_many_changes_cause_few_calls),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
