// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/netlink/route_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* An engine takes BERTH_MAX_ROUTES at most, but many routes may have one next hop. 4096 are read in about
	 * 2 ms, at most ten times a second. */
	MAX_ROUTES = 4096,
};

int berth_route_table_enable(struct berth_route_table *table, bool enable)
{
	if (enable == (table->routes != NULL))
		return 0;
	if (enable) {
		table->routes = calloc(MAX_ROUTES, sizeof(*table->routes));
		table->gateways = calloc(MAX_ROUTES, sizeof(struct berth_neighbour *));
		table->found = calloc(MAX_ROUTES, sizeof(*table->found));
		table->next = calloc(MAX_ROUTES, sizeof(*table->next));
		if (table->routes && table->gateways && table->found && table->next)
			return 0;
	}
	free(table->routes);
	free(table->gateways);
	free(table->found);
	free(table->next);
	*table = (struct berth_route_table){0};
	return enable ? -ENOMEM : 0;
}

/* Fills `next`. A table that berth cannot use is no error: `reason` says why. */
static int read_next(struct berth_route_table *table, size_t *n, const char **reason)
{
	bool standard;
	int err = berth_rtnl_rules_are_standard(&standard);

	*n = 0;
	*reason = NULL;
	if (err < 0)
		return err;
	if (!standard) {
		*reason = "the kernel has routing rules (ip rule) beside those of its main table";
		return 0;
	}
	err = berth_rtnl_main_table(table->next, MAX_ROUTES, n);
	if (err != -E2BIG)
		return err;
	*n = 0;
	*reason = "the kernel's main table has more than 4096 routes";
	_Static_assert(MAX_ROUTES == 4096, "as the message says");
	return 0;
}

/* Makes `next` the table. */
static void swap_next(struct berth_route_table *table, size_t n, const char *reason)
{
	struct berth_rtnl_table_route *next = table->next;

	table->next = table->found;
	table->found = next;
	table->n = n;
	table->reason = reason;
	for (size_t i = 0; i < n; i++)
		table->routes[i] = (struct berth_kernel_route){
			.prefix = next[i].address,
			.bits = next[i].bits,
			.metric = next[i].metric,
		};
}

int berth_route_table_read(struct berth_route_table *table, struct berth_neighbours *neighbours, bool *changed)
{
	const char *reason;
	size_t n;

	if (table->routes == NULL)
		return 0;
	int err = read_next(table, &n, &reason);
	if (err == 0 && (n != table->n || reason != table->reason ||
			 memcmp(table->next, table->found, n * sizeof(*table->next)) != 0)) {
		swap_next(table, n, reason);
		*changed = true;
	}
	for (size_t i = 0; i < table->n; i++) {
		const struct berth_rtnl_route *route = &table->found[i].route;
		int one = 0;
		table->gateways[i] = NULL;
		if (route->is_unicast && route->has_gateway && route->ifindex != 0)
			one = berth_neighbours_get(neighbours, route->ifindex, &route->next_hop,
						   &table->gateways[i]);
		if (one < 0)
			err = one;
	}
	return err;
}

bool berth_route_table_update(struct berth_route_table *table)
{
	bool changed = false;

	for (size_t i = 0; i < table->n; i++)
		changed |= berth_neighbour_next_hop(&table->found[i].route, table->gateways[i],
						    &table->routes[i].next_hop);
	return changed;
}
