/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel's main table and the next hops of its gateways, against the real kernel. */
#include "tests/unit/controlplane/netlink/netlink_lab.h"

#define OUR_OTHER_MAC "02:00:00:00:00:05"

static void follow_table(struct netlink_lab *lab, bool routes)
{
	assert_int_equal(berth_netlink_follow(lab->netlink, NULL, 0, routes), 0);
}

/* The route of a prefix, which has only one. NULL: not found. */
static const struct berth_kernel_route *route_to(struct netlink_lab *lab, const char *text)
{
	struct berth_kernel_routes table = berth_netlink_routes(lab->netlink);
	const struct berth_kernel_route *found = NULL;
	union berth_addr prefix;
	uint8_t bits;

	assert_int_equal(berth_prefix_parse(text, &prefix, &bits), 0);
	for (size_t i = 0; i < table.n; i++) {
		if (table.routes[i].bits != bits || !berth_addr_equal(&table.routes[i].prefix, &prefix))
			continue;
		assert_null(found);
		found = &table.routes[i];
	}
	return found;
}

/* `mac` NULL: the route exists, without a resolved gateway. "": not found. */
static bool route_leads(struct netlink_lab *lab, const char *text, const char *mac)
{
	const struct berth_kernel_route *route = route_to(lab, text);
	char found[18];

	if (route == NULL)
		return mac != NULL && mac[0] == '\0';
	if (mac == NULL || !route->next_hop.is_resolved)
		return route->next_hop.is_resolved == (mac != NULL);
	return strcmp(mac_text(route->next_hop.dst_mac, found), mac) == 0;
}

static void wait_route(struct netlink_lab *lab, const char *text, const char *mac, uint64_t within_ms)
{
	if (!wait_until(route_leads(lab, text, mac), within_ms, run_for(lab, 10)))
		fail_msg("%s is not resolved to %s within %u ms", text, mac ? mac : "the kernel",
			 (unsigned)within_ms);
}

static void wait_reason(struct netlink_lab *lab, const char *says)
{
	const char *why = NULL;

	for (uint64_t until = berth_clock_ms() + 1000; berth_clock_ms() < until; run_for(lab, 10)) {
		why = berth_netlink_routes(lab->netlink).reason;
		if (says == NULL ? why == NULL : why != NULL && strstr(why, says) != NULL)
			return;
	}
	fail_msg("\"%s\" does not say \"%s\"", why ? why : "nothing", says ? says : "nothing");
}

static void test_the_gateways_of_routes_are_resolved(void **state)
{
	struct netlink_lab *lab = *state;
	char text[18];

	ours("ip route add default via 192.0.2.2 metric 7 mtu 1400 && ip route add default via 2001:db8::2");
	ours("ip route add 198.51.100.0/24 via inet6 2001:db8::2");
	follow_table(lab, true);
	wait_route(lab, "0.0.0.0/0", PEER_MAC, 700);
	wait_route(lab, "::/0", PEER_MAC, 700);
	wait_route(lab, "198.51.100.0/24", PEER_MAC, 700);
	const struct berth_kernel_route *route = route_to(lab, "0.0.0.0/0");
	assert_int_equal(route->metric, 7);
	assert_int_equal(route->bits, 96);
	assert_int_equal(route->next_hop.mtu, 1400);
	assert_int_equal(route->next_hop.ifindex, if_nametoindex("up0"));
	assert_string_equal(mac_text(route->next_hop.src_mac, text), OUR_MAC);
	assert_int_equal(route_to(lab, "::/0")->metric, 1024);
	assert_int_equal(route_to(lab, "::/0")->next_hop.mtu, 1500);
}

static void test_connected_networks_have_no_next_hop(void **state)
{
	struct netlink_lab *lab = *state;

	ours("ip route add 198.51.100.0/24 dev up0");
	follow_table(lab, true);
	run_for(lab, 100);
	assert_true(route_leads(lab, "192.0.2.0/24", NULL));
	assert_true(route_leads(lab, "2001:db8::/64", NULL));
	assert_true(route_leads(lab, "fe80::/64", NULL));
	assert_true(route_leads(lab, "198.51.100.0/24", NULL));
}

static void test_routes_without_one_plain_gateway_have_no_next_hop(void **state)
{
	struct netlink_lab *lab = *state;
	static const char *const ROUTES[] = {
		"blackhole 198.51.100.0/24",
		"unreachable 198.51.100.0/24",
		"prohibit 198.51.100.0/24",
		"throw 198.51.100.0/24",
		"198.51.100.0/24 nexthop via 192.0.2.2 nexthop via 192.0.2.9",
		"198.51.100.0/24 tos 0x10 via 192.0.2.2 metric 9",
		"198.51.100.0/24 encap ip id 1 dst 192.0.2.2 via 192.0.2.2 dev up0",
		"unreachable 2001:db8:1::/48",
		"2001:db8:1::/48 nexthop via 2001:db8::2 nexthop via 2001:db8::9",
		"2001:db8:1::/48 from 2001:db8:2::/48 via 2001:db8::2",
	};

	ours("ip neigh add 192.0.2.9 lladdr " OTHER_MAC " dev up0 nud permanent");
	follow_table(lab, true);
	for (size_t i = 0; i < sizeof(ROUTES) / sizeof(ROUTES[0]); i++) {
		const char *prefix = strstr(ROUTES[i], "2001:db8:1::/48") ? "2001:db8:1::/48" : "198.51.100.0/24";
		ours("ip route add %s", ROUTES[i]);
		wait_route(lab, prefix, NULL, 1000);
		run_for(lab, 100);
		assert_true(route_leads(lab, prefix, NULL));
		if (strstr(ROUTES[i], "tos") != NULL || strstr(ROUTES[i], "from") != NULL)
			assert_int_equal(route_to(lab, prefix)->metric, 0);
		ours("ip route del %s", ROUTES[i]);
		wait_route(lab, prefix, "", 1000);
	}
}

static void test_changes_are_followed_within_a_second(void **state)
{
	struct netlink_lab *lab = *state;

	ours("ip neigh add 192.0.2.9 lladdr " OTHER_MAC " dev up0 nud permanent");
	follow_table(lab, true);
	assert_true(route_leads(lab, "0.0.0.0/0", ""));
	lab->calls = 0;
	ours("ip route add default via 192.0.2.2");
	wait_route(lab, "0.0.0.0/0", PEER_MAC, 1000);
	assert_in_range(lab->calls, 1, 3);
	ours("ip route replace default via 192.0.2.9");
	wait_route(lab, "0.0.0.0/0", OTHER_MAC, 1000);
	ours("ip neigh replace 192.0.2.9 lladdr " OUR_OTHER_MAC " dev up0 nud permanent");
	wait_route(lab, "0.0.0.0/0", OUR_OTHER_MAC, 1000);
	ours("ip neigh del 192.0.2.9 dev up0 && ip neigh add 192.0.2.9 dev up0 nud failed");
	wait_route(lab, "0.0.0.0/0", NULL, 1000);
	ours("ip neigh replace 192.0.2.9 lladdr " OTHER_MAC " dev up0 nud permanent");
	wait_route(lab, "0.0.0.0/0", OTHER_MAC, 1000);
	ours("ip route replace default via 192.0.2.9 mtu 1300");
	run_for(lab, 300);
	assert_int_equal(route_to(lab, "0.0.0.0/0")->next_hop.mtu, 1300);
	ours("ip route del default");
	wait_route(lab, "0.0.0.0/0", "", 1000);
}

static void test_a_link_without_a_carrier_resolves_no_next_hop(void **state)
{
	struct netlink_lab *lab = *state;

	ours("ip route add default via 192.0.2.2 && ip route add default via 2001:db8::2");
	follow_table(lab, true);
	wait_route(lab, "0.0.0.0/0", PEER_MAC, 1000);
	wait_route(lab, "::/0", PEER_MAC, 1000);
	theirs(lab, "ip link set down0 down");
	wait_route(lab, "0.0.0.0/0", NULL, 1000);
	wait_route(lab, "::/0", NULL, 1000);
	theirs(lab, "ip link set down0 up && ip addr replace 2001:db8::2/64 dev down0");
	wait_route(lab, "0.0.0.0/0", PEER_MAC, 3000);
	wait_route(lab, "::/0", PEER_MAC, 5000);
}

static void test_only_the_main_table_is_read(void **state)
{
	struct netlink_lab *lab = *state;

	ours("ip route add 198.51.100.0/24 via 192.0.2.2 table 100"
	     " && ip route add local 198.51.101.0/24 dev lo table local"
	     " && ip route add 2001:db8:1::/48 via 2001:db8::2 table 1000"
	     " && ip route add unreachable ::ffff:0:0/96 && ip route add default via 192.0.2.2 table default");
	follow_table(lab, true);
	run_for(lab, 100);
	assert_true(route_leads(lab, "198.51.100.0/24", ""));
	assert_true(route_leads(lab, "198.51.101.0/24", ""));
	assert_true(route_leads(lab, "2001:db8:1::/48", ""));
	assert_true(route_leads(lab, "192.0.2.1/32", ""));
	assert_true(route_leads(lab, "0.0.0.0/0", ""));
}

static void test_other_routing_rules_disable_the_table(void **state)
{
	struct netlink_lab *lab = *state;
	static const char *const RULES[] = {
		"table 100",
		"fwmark 1 table main",
		"iif up0 table main",
		"not table main",
		"tos 0x10 table main",
		"table main suppress_prefixlength 0",
		"table main prohibit",
		"from 203.0.113.0/24 table main",
		"to 198.51.100.0/24 table main",
	};

	ours("ip route add default via 192.0.2.2");
	follow_table(lab, true);
	assert_non_null(route_to(lab, "0.0.0.0/0"));
	for (int family = 4; family <= 6; family += 2) {
		for (size_t i = 0; i < sizeof(RULES) / sizeof(RULES[0]); i++) {
			if (family == 6 && strstr(RULES[i], ".0/24") != NULL)
				continue;
			run_for(lab, 50);
			lab->calls = 0;
			ours("ip -%d rule add %s", family, RULES[i]);
			wait_reason(lab, "ip rule");
			assert_int_equal(berth_netlink_routes(lab->netlink).n, 0);
			run_for(lab, 50);
			assert_true(lab->calls > 0);
			ours("ip -%d rule del %s", family, RULES[i]);
			wait_reason(lab, NULL);
			assert_non_null(route_to(lab, "0.0.0.0/0"));
		}
	}
	ours("ip rule add from all table main pref 5 && ip rule del pref 32767");
	run_for(lab, 300);
	assert_null(berth_netlink_routes(lab->netlink).reason);
}

static void test_a_table_that_is_too_large_is_not_used(void **state)
{
	struct netlink_lab *lab = *state;

	ours("ip route add default via 192.0.2.2");
	follow_table(lab, true);
	ours("for i in $(seq 0 4199); do echo route add 10.$((i / 250)).$((i %% 250)).0/24 via 192.0.2.3; done |"
	     " ip -batch -");
	wait_reason(lab, "4096");
	assert_int_equal(berth_netlink_routes(lab->netlink).n, 0);
	ours("for i in $(seq 3000 4199); do echo route del 10.$((i / 250)).$((i %% 250)).0/24; done | ip -batch -");
	wait_reason(lab, NULL);
	wait_route(lab, "10.11.249.0/24", PEER_MAC, 1000);
	wait_route(lab, "0.0.0.0/0", PEER_MAC, 1000);
	assert_in_range(berth_netlink_routes(lab->netlink).n, 3002, 3010);
}

static void test_a_table_that_is_not_followed_is_empty(void **state)
{
	struct netlink_lab *lab = *state;

	ours("ip route add default via 192.0.2.2");
	follow_table(lab, false);
	assert_int_equal(berth_netlink_routes(lab->netlink).n, 0);
	run_for(lab, 1200);
	ours("test -z \"$(ip neigh show to 192.0.2.2)\""); /* never requested */
	follow_table(lab, true);
	wait_route(lab, "0.0.0.0/0", PEER_MAC, 1000);
	follow_table(lab, false);
	assert_int_equal(berth_netlink_routes(lab->netlink).n, 0);
	run_for(lab, 300);
	lab->calls = 0;
	ours("ip route replace default via 192.0.2.3");
	run_for(lab, 300);
	assert_int_equal(lab->calls, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_gateways_of_routes_are_resolved),
		TEST(test_connected_networks_have_no_next_hop),
		TEST(test_routes_without_one_plain_gateway_have_no_next_hop),
		TEST(test_changes_are_followed_within_a_second),
		TEST(test_a_link_without_a_carrier_resolves_no_next_hop),
		TEST(test_only_the_main_table_is_read),
		TEST(test_other_routing_rules_disable_the_table),
		TEST(test_a_table_that_is_too_large_is_not_used),
		TEST(test_a_table_that_is_not_followed_is_empty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
