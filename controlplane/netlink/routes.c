// SPDX-License-Identifier: BSD-3-Clause
/*
 * The routes become a tree by their prefixes. One that leads where the next shorter prefix around it leads says
 * nothing and is left out; what no prefix holds is the kernel's. So a connected network under a default route
 * counts, and a thousand routes to one router under a default route to the same do not.
 */
#include "controlplane/netlink/routes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/util/address.h"

struct node {
	struct berth_route route;
	uint32_t metric;
	bool counts;		  /* is to stand in the list */
	const struct node *cover; /* the next shorter prefix around it; NULL: none */
};

static bool is4(const struct node *node)
{
	return berth_addr_is4(&node->route.prefix) && node->route.bits >= BERTH_ADDRESS_BITS4;
}

static void leave_to_kernel(struct berth_route *route)
{
	*route = (struct berth_route){.prefix = route->prefix, .bits = route->bits, .kind = BERTH_ROUTE_KERNEL};
}

static struct node node_of(const struct berth_neigh_route *from, const struct berth_port *ports, size_t n_ports)
{
	struct node node = {.metric = from->metric};
	struct berth_route *route = &node.route;

	*route = (struct berth_route){
		.prefix = from->prefix, .bits = from->bits, .kind = BERTH_ROUTE_KERNEL, .mtu = from->way.mtu};
	memcpy(route->dst_mac, from->way.dst_mac, sizeof(route->dst_mac));
	memcpy(route->src_mac, from->way.src_mac, sizeof(route->src_mac));
	for (size_t i = 0; from->way.known && i < n_ports; i++) {
		if (ports[i].ifindex != from->way.ifindex)
			continue;
		route->port = (uint8_t)i;
		route->kind = BERTH_ROUTE_HOP;
		return node;
	}
	leave_to_kernel(route);
	return node;
}

/* Where nothing says better, IPv4 is the kernel's: without this, it would be under a default route of IPv6. */
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

/* A prefix stands before all that it covers; of routes to one prefix the one that wins stands first. */
static int compare_nodes(const void *a, const void *b)
{
	const struct node *x = a, *y = b;
	int order = compare_prefixes(x, y);
	return order ? order : (x->metric > y->metric) - (x->metric < y->metric);
}

/* One node for each prefix. Of two with one metric the kernel takes now this one, now that. Returns how many. */
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

static bool leads_alike(const struct berth_route *a, const struct berth_route *b)
{
	return a->kind == b->kind && a->port == b->port && a->mtu == b->mtu &&
	       memcmp(a->dst_mac, b->dst_mac, sizeof(a->dst_mac)) == 0 &&
	       memcmp(a->src_mac, b->src_mac, sizeof(a->src_mac)) == 0;
}

/* Says which count. Returns how many of each family: IPv6, IPv4. */
static void count(struct node *nodes, size_t n, size_t counts[2])
{
	static const struct berth_route nowhere = {.kind = BERTH_ROUTE_KERNEL};
	counts[0] = counts[1] = 0;
	for (size_t i = 0; i < n; i++) {
		const struct node *cover = nodes[i].cover;
		nodes[i].counts = !leads_alike(&nodes[i].route, cover ? &cover->route : &nowhere);
		counts[is4(&nodes[i])] += nodes[i].counts;
	}
}

/* Whether a route can be left to the kernel and no longer counts then: only what is around it would go on. */
static bool is_outermost(const struct node *node)
{
	return node->route.kind == BERTH_ROUTE_HOP &&
	       (!node->cover || node->cover->route.kind == BERTH_ROUTE_KERNEL || is4(node->cover) != is4(node));
}

/* Leaves some of a family's routes to the kernel: of those around which there is no other that is not the
 * kernel's, the longest. There is one as long as the family has a route that is not the kernel's. */
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

int berth_routes_make(struct berth_route out[BERTH_MAX_ROUTES], const struct berth_neigh_route *routes, size_t n,
		      const struct berth_port *ports, size_t n_ports)
{
	struct node *nodes = calloc(n + 1, sizeof(*nodes));
	size_t counts[2], left = 0, listed = 0;

	memset(out, 0, sizeof(*out) * BERTH_MAX_ROUTES);
	if (!nodes)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		nodes[i] = node_of(&routes[i], ports, n_ports);
	nodes[n] = default4();
	qsort(nodes, n + 1, sizeof(*nodes), compare_nodes);
	n = merge(nodes, n + 1);
	find_covers(nodes, n);
	for (count(nodes, n, counts); counts[0] + counts[1] > BERTH_MAX_ROUTES; count(nodes, n, counts), left = 1)
		leave_longest(nodes, n, counts[1] > counts[0]);
	for (size_t i = 0; i < n; i++)
		if (nodes[i].counts)
			out[listed++] = nodes[i].route;
	qsort(out, listed, sizeof(*out), compare_lengths);
	free(nodes);
	return (int)left;
}
