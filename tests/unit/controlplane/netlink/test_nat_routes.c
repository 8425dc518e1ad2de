// SPDX-License-Identifier: BSD-3-Clause
/* The list of routes for an engine gives the kernel's own next hop, or leaves the address to the kernel. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/netlink/nat_routes.h"
#include "controlplane/util/address.h"

#include "tests/support/unit.h"

enum {
	MAX_LISTED = 300,
	KERNEL = 0,  /* else the number of a gateway */
	NO_PORT = 9, /* gateways with this number or a higher one are on no port */
};

/* Gateway G is on interface 100 + G / 4, port G / 4. */
static const struct berth_port ports[2] = {{.ifindex = 100}, {.ifindex = 101}};

struct route_case {
	struct berth_kernel_route routes[MAX_LISTED];
	size_t n;
	struct berth_route out[BERTH_MAX_ROUTES];
	int left;
};

static void add_route(struct route_case *list, const union berth_addr *prefix, uint8_t bits, int gateway,
		      uint32_t metric)
{
	assert_true(list->n < MAX_LISTED);
	list->routes[list->n++] = (struct berth_kernel_route){
		.prefix = *prefix,
		.bits = bits,
		.metric = metric,
		.next_hop = {.is_resolved = gateway != KERNEL,
			     .ifindex = gateway >= NO_PORT ? 999 : 100 + (uint32_t)gateway / 4,
			     .dst_mac = {2, 0, 0, 0, 0, (uint8_t)gateway},
			     .src_mac = {2, 0, 0, 0, 1, (uint8_t)(gateway / 4)},
			     .mtu = 1500},
	};
}

static void add(struct route_case *list, const char *text, int gateway, uint32_t metric)
{
	union berth_addr prefix;
	uint8_t bits;
	assert_int_equal(berth_prefix_parse(text, &prefix, &bits), 0);
	add_route(list, &prefix, bits, gateway, metric);
}

static void make(struct route_case *list)
{
	list->left = berth_nat_routes_build(list->out, list->routes, list->n, ports, 2);
	assert_in_range(list->left, 0, 1);
}

/* The list as text: "192.0.2.0/24 kernel, 0.0.0.0/0 3, ". */
static void expect(struct route_case *list, const char *expected)
{
	char text[2048] = "", prefix[BERTH_PREFIX_TEXT];
	size_t used = 0;
	make(list);
	for (size_t i = 0; i < BERTH_MAX_ROUTES && list->out[i].kind != BERTH_ROUTE_NONE; i++) {
		const struct berth_route *route = &list->out[i];
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s ",
					 berth_prefix_format(&route->prefix, route->bits, prefix));
		if (route->kind == BERTH_ROUTE_KERNEL)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "kernel, ");
		else
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%u, ", route->dst_mac[5]);
	}
	assert_string_equal(text, expected);
}

static void a_gateway_becomes_a_next_hop_with_every_field_of_a_frame(void **state)
{
	(void)state;
	struct route_case list = {0};
	add(&list, "0.0.0.0/0", 5, 0);
	list.routes[0].next_hop.mtu = 1400;
	make(&list);
	const struct berth_route expected = {
		.prefix = list.routes[0].prefix,
		.bits = 96,
		.kind = BERTH_ROUTE_HOP,
		.port = 1,
		.dst_mac = {2, 0, 0, 0, 0, 5},
		.src_mac = {2, 0, 0, 0, 1, 1},
		.mtu = 1400,
	};
	assert_memory_equal(&list.out[0], &expected, sizeof(expected));
	assert_int_equal(list.out[1].kind, BERTH_ROUTE_NONE);
}

static void no_routes_make_an_empty_list(void **state)
{
	(void)state;
	struct route_case list = {0};
	expect(&list, "");
}

static void connected_networks_are_listed_only_under_a_gateway(void **state)
{
	(void)state;
	struct route_case list = {0};
	add(&list, "192.0.2.0/24", KERNEL, 0);
	add(&list, "2001:db8::/64", KERNEL, 256);
	expect(&list, "");
	add(&list, "0.0.0.0/0", 1, 0);
	expect(&list, "192.0.2.0/24 kernel, 0.0.0.0/0 1, ");
	/* IPv4 has a default route of its own; that of IPv6 does not cover it. */
	add(&list, "::/0", 2, 1024);
	expect(&list, "192.0.2.0/24 kernel, 0.0.0.0/0 1, 2001:db8::/64 kernel, ::/0 2, ");
}

static void a_default_route_of_ipv6_does_not_cover_ipv4(void **state)
{
	(void)state;
	struct route_case list = {0};
	add(&list, "::/0", 2, 1024);
	expect(&list, "0.0.0.0/0 kernel, ::/0 2, ");
	add(&list, "198.51.100.0/24", 3, 0);
	expect(&list, "198.51.100.0/24 3, 0.0.0.0/0 kernel, ::/0 2, ");
}

static void routes_with_the_next_hop_of_a_shorter_prefix_are_omitted(void **state)
{
	(void)state;
	struct route_case list = {0};
	add(&list, "198.51.100.0/25", 1, 0);
	add(&list, "198.51.100.0/24", 2, 0);
	add(&list, "198.51.100.128/25", 2, 0);
	add(&list, "198.51.0.0/16", 1, 0);
	add(&list, "0.0.0.0/0", 1, 0);
	expect(&list, "198.51.100.0/25 1, 198.51.100.0/24 2, 0.0.0.0/0 1, ");
}

static void routes_whose_next_hops_differ_in_any_part_are_all_listed(void **state)
{
	(void)state;
	for (int part = 0; part < 5; part++) {
		struct route_case list = {0};
		add(&list, "0.0.0.0/0", 1, 0);
		add(&list, "198.51.100.0/24", 1, 0);
		struct berth_next_hop *next_hop = &list.routes[1].next_hop;
		next_hop->mtu = part == 1 ? 1400 : next_hop->mtu;
		next_hop->src_mac[0] = part == 2 ? 6 : next_hop->src_mac[0];
		next_hop->dst_mac[0] = part == 3 ? 6 : next_hop->dst_mac[0];
		next_hop->ifindex = part == 4 ? 101 : next_hop->ifindex;
		make(&list);
		assert_int_equal(list.out[1].kind, part ? BERTH_ROUTE_HOP : BERTH_ROUTE_NONE);
	}
}

static void a_gateway_on_another_interface_is_left_to_the_kernel(void **state)
{
	(void)state;
	struct route_case list = {0};
	add(&list, "0.0.0.0/0", 1, 0);
	add(&list, "198.51.100.0/24", NO_PORT, 0);
	expect(&list, "198.51.100.0/24 kernel, 0.0.0.0/0 1, ");
}

static void the_lowest_metric_wins_and_a_tie_is_left_to_the_kernel(void **state)
{
	(void)state;
	struct route_case list = {0};
	add(&list, "0.0.0.0/0", 2, 200);
	add(&list, "0.0.0.0/0", 1, 100);
	add(&list, "0.0.0.0/0", 3, 300);
	expect(&list, "0.0.0.0/0 1, ");
	add(&list, "0.0.0.0/0", 2, 100);
	expect(&list, "");
	add(&list, "0.0.0.0/0", KERNEL, 50);
	expect(&list, "");
	add(&list, "0.0.0.0/0", 3, 0);
	expect(&list, "0.0.0.0/0 3, ");
}

static void a_full_list_has_no_end_mark(void **state)
{
	(void)state;
	struct route_case list = {0};
	for (int i = 0; i < BERTH_MAX_ROUTES; i++) {
		char text[32];
		snprintf(text, sizeof(text), "198.51.%d.0/24", i);
		add(&list, text, 1, 0);
	}
	make(&list);
	assert_int_equal(list.left, 0);
	assert_int_equal(list.out[BERTH_MAX_ROUTES - 1].kind, BERTH_ROUTE_HOP);
}

/* Too many routes of IPv4: its shorter ones are kept, and all routes of IPv6. */
static void of_too_many_routes_the_longest_are_left_to_the_kernel(void **state)
{
	(void)state;
	struct route_case list = {0};
	for (int i = 0; i < 20; i++) {
		char text[32];
		snprintf(text, sizeof(text), "198.51.%d.0/24", i);
		add(&list, text, 1, 0);
	}
	add(&list, "198.18.0.0/15", 2, 0);
	add(&list, "198.18.7.0/24", KERNEL, 0);
	add(&list, "198.18.8.0/25", 3, 0); /* longer, but not outermost: leaving it to the kernel frees no place */
	add(&list, "2001:db8::/64", KERNEL, 256);
	add(&list, "2001:db8:1::/48", 3, 1024);
	add(&list, "::/0", 2, 1024);
	expect(&list,
	       "198.18.8.0/25 3, 198.18.7.0/24 kernel, 198.18.0.0/15 2, 0.0.0.0/0 kernel, 2001:db8::/64 kernel, "
	       "2001:db8:1::/48 3, ::/0 2, ");
	assert_int_equal(list.left, 1);
}

static uint32_t lcg = 1;

static uint32_t draw(uint32_t below)
{
	lcg = lcg * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)lcg * below >> 32);
}

/* Only few bits vary, so prefixes cover each other and contain the addresses. */
static union berth_addr draw_address(void)
{
	union berth_addr address;
	struct berth_be32 v4 = {0};
	if (draw(2)) {
		uint8_t bytes[4] = {(uint8_t)(draw(2) << 7), (uint8_t)draw(4), (uint8_t)(draw(4) << 6),
				    (uint8_t)draw(4)};
		memcpy(&v4, bytes, sizeof(v4));
		berth_addr_set4(&address, v4);
		return address;
	}
	memset(&address, 0, sizeof(address));
	address.byte[0] = 0x20;
	address.byte[2] = (uint8_t)(draw(4) << 6);
	address.byte[5] = (uint8_t)draw(4);
	address.byte[15] = (uint8_t)draw(4);
	return address;
}

static void draw_routes(struct route_case *list, uint32_t n, uint32_t gateways)
{
	static const uint8_t lengths[] = {0, 8, 10, 16, 24, 32};
	for (uint32_t i = 0; i < n; i++) {
		union berth_addr address = draw_address();
		uint8_t bits = lengths[draw(6)];
		bits = (uint8_t)(berth_addr_is4(&address) ? 96 + bits : bits * 4);
		union berth_addr prefix = berth_prefix_of(&address, bits);
		add_route(list, &prefix, bits, (int)draw(gateways), draw(3));
	}
}

/* The gateway's number by the kernel's rules: longest prefix of the family, then lowest metric; KERNEL for a tie.
 */
static int kernels_gateway(const struct route_case *list, const union berth_addr *address)
{
	const struct berth_kernel_route *best = NULL;
	bool tie = false;
	for (size_t i = 0; i < list->n; i++) {
		const struct berth_kernel_route *one = &list->routes[i];
		bool same_family = berth_addr_is4(address) == (one->bits >= 96 && berth_addr_is4(&one->prefix));
		if (!same_family || !berth_prefix_holds(&one->prefix, one->bits, address))
			continue;
		bool same_prefix = best && one->bits == best->bits;
		tie = same_prefix && one->metric == best->metric ? true : tie;
		if (best && (one->bits < best->bits || (same_prefix && one->metric >= best->metric)))
			continue;
		best = one;
		tie = false;
	}
	bool ours = best && !tie && best->next_hop.is_resolved && best->next_hop.ifindex <= 101;
	return ours ? best->next_hop.dst_mac[5] : KERNEL;
}

static int lists_gateway(const struct route_case *list, const union berth_addr *address)
{
	for (size_t i = 0; i < BERTH_MAX_ROUTES && list->out[i].kind != BERTH_ROUTE_NONE; i++) {
		const struct berth_route *route = &list->out[i];
		if (berth_prefix_holds(&route->prefix, route->bits, address))
			return route->kind == BERTH_ROUTE_HOP ? route->dst_mac[5] : KERNEL;
	}
	return KERNEL;
}

static void check_list(const struct route_case *list)
{
	for (int i = 0; i < 500; i++) {
		union berth_addr address = draw_address();
		int expected = kernels_gateway(list, &address), found = lists_gateway(list, &address);
		if (found != expected && !(list->left && found == KERNEL))
			fail_msg("list of %zu: %d instead of %d", list->n, found, expected);
	}
	for (size_t i = 1; i < BERTH_MAX_ROUTES && list->out[i].kind != BERTH_ROUTE_NONE; i++)
		assert_true(list->out[i].bits <= list->out[i - 1].bits);
}

static void random_routes_give_the_kernels_next_hop_or_leave_it_to_the_kernel(void **state)
{
	(void)state;
	unsigned int left = 0, used = 0;
	for (int round = 0; round < 3000; round++) {
		struct route_case list = {0};
		draw_routes(&list, draw(round % 3 ? 30 : 200), 2 + draw(11));
		make(&list);
		check_list(&list);
		left += (unsigned int)list.left;
		used += list.left && list.out[0].kind != BERTH_ROUTE_NONE;
	}
	/* Both cut and complete lists occurred, and a cut list is seldom empty. */
	assert_in_range(left, 500, 2500);
	assert_true(used > left / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_gateway_becomes_a_next_hop_with_every_field_of_a_frame),
		cmocka_unit_test(no_routes_make_an_empty_list),
		cmocka_unit_test(connected_networks_are_listed_only_under_a_gateway),
		cmocka_unit_test(a_default_route_of_ipv6_does_not_cover_ipv4),
		cmocka_unit_test(routes_with_the_next_hop_of_a_shorter_prefix_are_omitted),
		cmocka_unit_test(routes_whose_next_hops_differ_in_any_part_are_all_listed),
		cmocka_unit_test(a_gateway_on_another_interface_is_left_to_the_kernel),
		cmocka_unit_test(the_lowest_metric_wins_and_a_tie_is_left_to_the_kernel),
		cmocka_unit_test(a_full_list_has_no_end_mark),
		cmocka_unit_test(of_too_many_routes_the_longest_are_left_to_the_kernel),
		cmocka_unit_test(random_routes_give_the_kernels_next_hop_or_leave_it_to_the_kernel),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
