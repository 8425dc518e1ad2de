// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/netlink/neighbours.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/util/clock.h"

enum {
	RESOLVE_INTERVAL_MS = 900, /* less than the second between two calls, so that none is skipped */
	PROBE_INTERVAL_MS = 15000,
	/* A request that began while the link was down fails within 3 s: three solicitations, 1 s apart. */
	LINK_SETTLES_MS = 4000,
};

enum {
	VALID = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP
};

static int compare_neighbours(const void *a, const void *b)
{
	const struct berth_rtnl_neighbour *x = a, *y = b;

	if (x->ifindex != y->ifindex)
		return x->ifindex < y->ifindex ? -1 : 1;
	return memcmp(&x->address, &y->address, sizeof(x->address));
}

static int compare_links(const void *a, const void *b)
{
	const struct berth_neighbour_link *x = a, *y = b;
	return (x->ifindex > y->ifindex) - (x->ifindex < y->ifindex);
}

static void *tree_find(void *const *tree, const void *key, int (*compare)(const void *, const void *))
{
	void *node = tfind(key, tree, compare);
	return node == NULL ? NULL : *(void **)node;
}

/* Inserts a zeroed item of `size` bytes, which begins with the key. NULL: out of memory. */
static void *tree_add(void **tree, size_t size, const void *key, size_t key_size,
		      int (*compare)(const void *, const void *))
{
	void *item = calloc(1, size);

	if (item == NULL)
		return NULL;
	memcpy(item, key, key_size);
	if (tsearch(item, tree, compare) != NULL)
		return item;
	free(item);
	return NULL;
}

/* While a link is down, and in the first seconds after, a failure says nothing about the neighbour. */
static bool is_settled(const struct berth_neighbour_link *link)
{
	return link->state.is_up && (!link->was_down || berth_clock_ms() - link->up_since_ms >= LINK_SETTLES_MS);
}

/* An entry that the kernel removed or is resolving keeps its MAC address until the kernel reports a failure: the
 * kernel may only have garbage collected it. */
static void set_state(struct berth_neighbour *neighbour, const struct berth_rtnl_neighbour *state)
{
	neighbour->state = *state;
	if (state->state & VALID) {
		neighbour->is_resolved = true;
		memcpy(neighbour->mac, state->mac, sizeof(neighbour->mac));
	}
	if ((state->state & NUD_FAILED) && is_settled(neighbour->link))
		neighbour->is_resolved = false;
}

/* Makes the kernel resolve an unresolved entry or probe a stale one, at most once per interval. */
static void maintain(struct berth_neighbours *neighbours, struct berth_neighbour *neighbour)
{
	bool is_valid = neighbour->state.state & VALID;
	uint64_t interval_ms = is_valid ? PROBE_INTERVAL_MS : RESOLVE_INTERVAL_MS, now_ms = berth_clock_ms();

	if ((is_valid && !(neighbour->state.state & NUD_STALE)) || !neighbour->link->state.is_up)
		return;
	if (neighbour->is_requested && now_ms - neighbour->requested_ms < interval_ms)
		return;
	/* An error, for instance a full neighbour table, may be temporary: try again after the interval. */
	berth_rtnl_use_neighbour(neighbours->rtnl, &neighbour->state);
	neighbour->is_requested = true;
	neighbour->requested_ms = now_ms;
}

/* Only a link that does not exist has no state: after any other error the former one is the best guess. */
static void read_link(struct berth_neighbours *neighbours, struct berth_neighbour_link *link)
{
	struct berth_rtnl_link state;
	int err = berth_rtnl_link(neighbours->rtnl, link->ifindex, &state);

	if (err == 0 && state.is_up && !link->state.is_up)
		link->up_since_ms = berth_clock_ms();
	link->was_down |= err == 0 && !state.is_up;
	if (err == 0)
		link->state = state;
	else if (err == -ENODEV)
		link->state = (struct berth_rtnl_link){0};
	else
		neighbours->error = err;
}

static struct berth_neighbour_link *get_link(struct berth_neighbours *neighbours, uint32_t ifindex)
{
	const struct berth_neighbour_link key = {.ifindex = ifindex};
	struct berth_neighbour_link *link = tree_find(&neighbours->link_tree, &key, compare_links);

	if (link == NULL) {
		link = tree_add(&neighbours->link_tree, sizeof(*link), &ifindex, sizeof(ifindex), compare_links);
		if (link == NULL)
			return NULL;
		LIST_INSERT_HEAD(&neighbours->links, link, entry);
	}
	if (link->resync != neighbours->resync)
		read_link(neighbours, link);
	link->resync = neighbours->resync;
	return link;
}

static struct berth_neighbour *find_neighbour(const struct berth_neighbours *neighbours, uint32_t ifindex,
					      const union berth_addr *address)
{
	const struct berth_rtnl_neighbour key = {.ifindex = ifindex, .address = *address};
	return tree_find(&neighbours->neighbour_tree, &key, compare_neighbours);
}

static struct berth_neighbour *get_neighbour(struct berth_neighbours *neighbours, struct berth_neighbour_link *link,
					     const union berth_addr *address)
{
	struct berth_rtnl_neighbour state = {.ifindex = link->ifindex, .address = *address};
	struct berth_neighbour *neighbour = find_neighbour(neighbours, link->ifindex, address);

	if (neighbour == NULL) {
		neighbour = tree_add(&neighbours->neighbour_tree, sizeof(*neighbour), &state, sizeof(state),
				     compare_neighbours);
		if (neighbour == NULL)
			return NULL;
		LIST_INSERT_HEAD(&neighbours->neighbours, neighbour, entry);
	}
	neighbour->link = link;
	int err = neighbour->resync == neighbours->resync ? 0 : berth_rtnl_neighbour(neighbours->rtnl, &state);
	if (err)
		neighbours->error = err;
	if (neighbour->resync != neighbours->resync && !err) {
		set_state(neighbour, &state);
		maintain(neighbours, neighbour);
	}
	neighbour->resync = neighbours->resync;
	return neighbour;
}

void berth_neighbours_keep(const struct berth_neighbours *neighbours, struct berth_neighbour *neighbour)
{
	if (neighbour == NULL)
		return;
	neighbour->resync = neighbours->resync;
	neighbour->link->resync = neighbours->resync;
}

int berth_neighbours_get(struct berth_neighbours *neighbours, uint32_t ifindex, const union berth_addr *address,
			 struct berth_neighbour **neighbour)
{
	struct berth_neighbour_link *link = get_link(neighbours, ifindex);

	*neighbour = NULL;
	if (link == NULL)
		return -ENOMEM;
	if (!link->state.is_up || !link->state.is_ethernet) {
		berth_neighbours_keep(neighbours, find_neighbour(neighbours, ifindex, address));
		return 0;
	}
	*neighbour = get_neighbour(neighbours, link, address);
	return *neighbour == NULL ? -ENOMEM : 0;
}

bool berth_neighbours_update(struct berth_neighbours *neighbours, const struct berth_rtnl_neighbour *state)
{
	struct berth_neighbour *neighbour = tree_find(&neighbours->neighbour_tree, state, compare_neighbours);

	if (neighbour == NULL)
		return false;
	set_state(neighbour, state);
	maintain(neighbours, neighbour);
	return true;
}

void berth_neighbours_maintain(struct berth_neighbours *neighbours)
{
	struct berth_neighbour *neighbour;

	for (neighbour = LIST_FIRST(&neighbours->neighbours); neighbour != NULL;
	     neighbour = LIST_NEXT(neighbour, entry))
		maintain(neighbours, neighbour);
}

void berth_neighbours_begin(struct berth_neighbours *neighbours)
{
	neighbours->resync++;
	neighbours->error = 0;
}

void berth_neighbours_end(struct berth_neighbours *neighbours)
{
	struct berth_neighbour *neighbour, *next_neighbour;
	struct berth_neighbour_link *link, *next_link;

	for (neighbour = LIST_FIRST(&neighbours->neighbours); neighbour != NULL; neighbour = next_neighbour) {
		next_neighbour = LIST_NEXT(neighbour, entry);
		if (neighbour->resync == neighbours->resync)
			continue;
		LIST_REMOVE(neighbour, entry);
		tdelete(neighbour, &neighbours->neighbour_tree, compare_neighbours);
		free(neighbour);
	}
	for (link = LIST_FIRST(&neighbours->links); link != NULL; link = next_link) {
		next_link = LIST_NEXT(link, entry);
		if (link->resync == neighbours->resync)
			continue;
		LIST_REMOVE(link, entry);
		tdelete(link, &neighbours->link_tree, compare_links);
		free(link);
	}
}

void berth_neighbours_init(struct berth_neighbours *neighbours, struct berth_rtnl *rtnl)
{
	*neighbours = (struct berth_neighbours){.rtnl = rtnl};
	LIST_INIT(&neighbours->neighbours);
	LIST_INIT(&neighbours->links);
}

void berth_neighbours_clear(struct berth_neighbours *neighbours)
{
	berth_neighbours_begin(neighbours);
	berth_neighbours_end(neighbours);
}

static bool is_equal(const struct berth_next_hop *a, const struct berth_next_hop *b)
{
	return a->is_resolved == b->is_resolved && a->ifindex == b->ifindex && a->mtu == b->mtu &&
	       memcmp(a->dst_mac, b->dst_mac, sizeof(a->dst_mac)) == 0 &&
	       memcmp(a->src_mac, b->src_mac, sizeof(a->src_mac)) == 0 && berth_addr_equal(&a->source, &b->source);
}

static struct berth_next_hop make_next_hop(const struct berth_rtnl_route *route,
					   const struct berth_neighbour *neighbour)
{
	struct berth_next_hop next_hop = {.ifindex = route->ifindex};

	if (neighbour == NULL || !neighbour->is_resolved)
		return next_hop;
	uint32_t mtu = neighbour->link->state.mtu;
	if (route->mtu != 0 && route->mtu < mtu)
		mtu = route->mtu;
	next_hop.is_resolved = true;
	next_hop.mtu = mtu < UINT16_MAX ? (uint16_t)mtu : UINT16_MAX;
	next_hop.source = route->source;
	memcpy(next_hop.dst_mac, neighbour->mac, sizeof(next_hop.dst_mac));
	memcpy(next_hop.src_mac, neighbour->link->state.mac, sizeof(next_hop.src_mac));
	return next_hop;
}

bool berth_neighbour_next_hop(const struct berth_rtnl_route *route, const struct berth_neighbour *neighbour,
			      struct berth_next_hop *next_hop)
{
	struct berth_next_hop made = make_next_hop(route, neighbour);

	if (is_equal(&made, next_hop))
		return false;
	*next_hop = made;
	return true;
}
