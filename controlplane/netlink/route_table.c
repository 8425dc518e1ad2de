// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/netlink/route_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* Of which an engine takes over BERTH_MAX_ROUTES at most, but many may be alike. They are read in about
	 * 2 ms, at most ten times a second. */
	MAX_ROUTES = 4096,
};

int berth_route_table_follow(struct berth_route_table *table, bool follow)
{
	if (follow == (table->routes != NULL))
		return 0;
	if (follow) {
		table->routes = calloc(MAX_ROUTES, sizeof(*table->routes));
		table->hops = calloc(MAX_ROUTES, sizeof(struct berth_hop *));
		table->found = calloc(MAX_ROUTES, sizeof(*table->found));
		table->next = calloc(MAX_ROUTES, sizeof(*table->next));
		if (table->routes && table->hops && table->found && table->next)
			return 0;
	}
	free(table->routes);
	free(table->hops);
	free(table->found);
	free(table->next);
	*table = (struct berth_route_table){0};
	return follow ? -ENOMEM : 0;
}

/* Reads `next`. That berth cannot do with what there is, is no error. */
static int read_next(struct berth_route_table *table, size_t *n, const char **why_none)
{
	bool standard;
	int err = berth_rtnl_rules_are_standard(&standard);

	*n = 0;
	*why_none = NULL;
	if (err < 0)
		return err;
	if (!standard) {
		*why_none = "the kernel has routing rules of its own (ip rule), not only its main table";
		return 0;
	}
	err = berth_rtnl_main_table(table->next, MAX_ROUTES, n);
	if (err != -E2BIG)
		return err;
	*n = 0;
	*why_none = "the kernel's main table has more than 4096 routes";
	_Static_assert(MAX_ROUTES == 4096, "as the message says");
	return 0;
}

/* Makes `next` the table. */
static void take_next(struct berth_route_table *table, size_t n, const char *why_none)
{
	struct berth_rtnl_prefix *next = table->next;

	table->next = table->found;
	table->found = next;
	table->n = n;
	table->why_none = why_none;
	for (size_t i = 0; i < n; i++)
		table->routes[i] = (struct berth_neigh_route){
			.prefix = next[i].address,
			.bits = next[i].bits,
			.metric = next[i].metric,
		};
}

int berth_route_table_survey(struct berth_route_table *table, struct berth_hops *hops, bool *changed)
{
	const char *why_none;
	size_t n;

	if (table->routes == NULL)
		return 0;
	int err = read_next(table, &n, &why_none);
	if (err == 0 && (n != table->n || why_none != table->why_none ||
			 memcmp(table->next, table->found, n * sizeof(*table->next)) != 0)) {
		take_next(table, n, why_none);
		*changed = true;
	}
	for (size_t i = 0; i < table->n; i++) {
		const struct berth_rtnl_route *route = &table->found[i].route;
		int one = 0;
		table->hops[i] = NULL;
		if (route->unicast && route->gateway && route->ifindex != 0)
			one = berth_hops_get(hops, route->ifindex, &route->hop, &table->hops[i]);
		if (one < 0)
			err = one;
	}
	return err;
}

bool berth_route_table_update(struct berth_route_table *table)
{
	bool changed = false;

	for (size_t i = 0; i < table->n; i++)
		changed |= berth_hops_way(&table->found[i].route, table->hops[i], &table->routes[i].way);
	return changed;
}
