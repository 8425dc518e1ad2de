// SPDX-License-Identifier: BSD-3-Clause
/*
 * The routes form a tree by their prefixes. A route with the next hop of the next shorter prefix that covers it is
 * redundant: the list omits it. An address that no prefix covers is the kernel's. So the list contains a connected
 * network under a default route, and omits a thousand routes to one gateway under a default route to that gateway.
 */
#include "controlplane/netlink/nat_routes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/util/address.h"

struct node {
	struct berth_route route;
	uint32_t metric;
	bool is_listed;
	const struct node *cover; /* the next shorter prefix that covers it; NULL: none */
};

static bool is4(const struct node *node)
{
	return berth_addr_is4(&node->route.prefix) && node->route.bits >= BERTH_ADDRESS_BITS4;
}

static void leave_to_kernel(struct berth_route *route)
{
	*route = (struct berth_route){.prefix = route->prefix, .bits = route->bits, .kind = BERTH_ROUTE_KERNEL};
}

static struct node make_node(const struct berth_kernel_route *from, const struct berth_port *ports, size_t n_ports)
{
	const struct berth_next_hop *next_hop = &from->next_hop;
	struct node node = {.metric = from->metric};
	struct berth_route *route = &node.route;

	*route = (struct berth_route){
		.prefix = from->prefix, .bits = from->bits, .kind = BERTH_ROUTE_KERNEL, .mtu = next_hop->mtu};
	memcpy(route->dst_mac, next_hop->dst_mac, sizeof(route->dst_mac));
	memcpy(route->src_mac, next_hop->src_mac, sizeof(route->src_mac));
	for (size_t i = 0; next_hop->is_resolved && i < n_ports; i++) {
		if (ports[i].ifindex != next_hop->ifindex)
			continue;
		route->port = (uint8_t)i;
		route->kind = BERTH_ROUTE_HOP;
		return node;
	}
	leave_to_kernel(route);
	return node;
}

/* IPv4 without a route of its own is the kernel's. Without this node the default route of IPv6 would cover it. */
static struct node default4(void)
{
	struct node node = {.metric = UINT32_MAX,
			    .route = {.bits = BERTH_ADDRESS_BITS4, .kind = BERTH_ROUTE_KERNEL}};

	berth_addr_set4(&node.route.prefix, (struct berth_be32){0});
	return node;
}

static int compare_prefixes(const struct node *a, const struct node *b)
{
	int order = memcmp(&a->route.prefix, &b->route.prefix, sizeof(a->route.prefix));
	return order ? order : a->route.bits - b->route.bits;
}

/* A prefix sorts before the prefixes that it covers; among routes to one prefix the lowest metric sorts first. */
static int compare_nodes(const void *a, const void *b)
{
	const struct node *x = a, *y = b;
	int order = compare_prefixes(x, y);
	return order ? order : (x->metric > y->metric) - (x->metric < y->metric);
}

/* Keeps one node per prefix and returns their number. With equal metrics the kernel may take either route: such a
 * prefix is left to the kernel. */
static size_t merge(struct node *nodes, size_t n)
{
	size_t merged = 1;
	for (size_t i = 1; i < n; i++) {
		struct node *last = &nodes[merged - 1];
		if (compare_prefixes(last, &nodes[i]) != 0)
			nodes[merged++] = nodes[i];
		else if (last->metric == nodes[i].metric)
			leave_to_kernel(&last->route);
	}
	return merged;
}

static void find_covers(struct node *nodes, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		const struct node *cover = &nodes[i - 1];
		while (cover &&
		       !berth_prefix_holds(&cover->route.prefix, cover->route.bits, &nodes[i].route.prefix))
			cover = cover->cover;
		nodes[i].cover = cover;
	}
}

static bool has_same_next_hop(const struct berth_route *a, const struct berth_route *b)
{
	return a->kind == b->kind && a->port == b->port && a->mtu == b->mtu &&
	       memcmp(a->dst_mac, b->dst_mac, sizeof(a->dst_mac)) == 0 &&
	       memcmp(a->src_mac, b->src_mac, sizeof(a->src_mac)) == 0;
}

/* Sets `is_listed`, and counts the listed nodes by family: IPv6, IPv4. */
static void list_nodes(struct node *nodes, size_t n, size_t counts[2])
{
	static const struct berth_route kernel = {.kind = BERTH_ROUTE_KERNEL};
	counts[0] = counts[1] = 0;
	for (size_t i = 0; i < n; i++) {
		const struct node *cover = nodes[i].cover;
		nodes[i].is_listed = !has_same_next_hop(&nodes[i].route, cover ? &cover->route : &kernel);
		counts[is4(&nodes[i])] += nodes[i].is_listed;
	}
}

/* Whether no route of its family with a next hop covers it. Left to the kernel it is redundant then. */
static bool is_outermost(const struct node *node)
{
	return node->route.kind == BERTH_ROUTE_HOP &&
	       (!node->cover || node->cover->route.kind == BERTH_ROUTE_KERNEL || is4(node->cover) != is4(node));
}

/* Leaves the longest of a family's outermost routes to the kernel. As long as the family has a route with a next
 * hop, one of them is outermost. */
static void leave_longest(struct node *nodes, size_t n, bool family4)
{
	uint8_t longest = 0;
	for (size_t i = 0; i < n; i++)
		if (is4(&nodes[i]) == family4 && is_outermost(&nodes[i]) && nodes[i].route.bits > longest)
			longest = nodes[i].route.bits;
	for (size_t i = 0; i < n; i++)
		if (is4(&nodes[i]) == family4 && nodes[i].route.bits == longest && is_outermost(&nodes[i]))
			leave_to_kernel(&nodes[i].route);
}

static int compare_lengths(const void *a, const void *b)
{
	const struct berth_route *x = a, *y = b;
	return x->bits != y->bits ? y->bits - x->bits : memcmp(&x->prefix, &y->prefix, sizeof(x->prefix));
}

int berth_nat_routes_build(struct berth_route out[BERTH_MAX_ROUTES], const struct berth_kernel_route *routes,
			   size_t n, const struct berth_port *ports, size_t n_ports)
{
	struct node *nodes = calloc(n + 1, sizeof(*nodes));
	size_t counts[2], n_listed = 0;
	int is_cut = 0;

	memset(out, 0, sizeof(*out) * BERTH_MAX_ROUTES);
	if (!nodes)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		nodes[i] = make_node(&routes[i], ports, n_ports);
	nodes[n] = default4();
	qsort(nodes, n + 1, sizeof(*nodes), compare_nodes);
	n = merge(nodes, n + 1);
	find_covers(nodes, n);
	for (list_nodes(nodes, n, counts); counts[0] + counts[1] > BERTH_MAX_ROUTES;
	     list_nodes(nodes, n, counts), is_cut = 1)
		leave_longest(nodes, n, counts[1] > counts[0]);
	for (size_t i = 0; i < n; i++)
		if (nodes[i].is_listed)
			out[n_listed++] = nodes[i].route;
	qsort(out, n_listed, sizeof(*out), compare_lengths);
	free(nodes);
	return is_cut;
}
