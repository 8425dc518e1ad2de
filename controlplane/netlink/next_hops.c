// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/netlink/next_hops.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/util/clock.h"

enum {
	RESOLVE_AGAIN_MS = 900, /* a little less than a tick, so that none is missed */
	REFRESH_MS = 15000,
};

enum {
	VALID = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP
};

static int compare_hops(const void *a, const void *b)
{
	const struct berth_rtnl_neighbour *x = a, *y = b;

	if (x->ifindex != y->ifindex)
		return x->ifindex < y->ifindex ? -1 : 1;
	return memcmp(&x->address, &y->address, sizeof(x->address));
}

static int compare_links(const void *a, const void *b)
{
	const struct berth_link *x = a, *y = b;
	return (x->ifindex > y->ifindex) - (x->ifindex < y->ifindex);
}

static void *tree_find(void *const *tree, const void *key, int (*compare)(const void *, const void *))
{
	void *node = tfind(key, tree, compare);
	return node == NULL ? NULL : *(void **)node;
}

/* A zeroed thing of `size` bytes in the tree, whose beginning is the key; NULL: no memory. */
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

/* An entry that is missing or being asked for keeps the link address it had, until the kernel says that it
 * failed: it may only have been garbage collected. */
static void hop_learn(struct berth_hop *hop, const struct berth_rtnl_neighbour *neighbour)
{
	hop->is = *neighbour;
	if (neighbour->state & VALID) {
		hop->resolved = true;
		memcpy(hop->mac, neighbour->mac, sizeof(hop->mac));
	}
	if (neighbour->state & NUD_FAILED)
		hop->resolved = false;
}

/* Has the kernel resolve it, or look again, when that is due. */
static void hop_maintain(struct berth_hops *hops, struct berth_hop *hop)
{
	bool valid = hop->is.state & VALID;
	uint64_t apart = valid ? REFRESH_MS : RESOLVE_AGAIN_MS, now = berth_clock_ms();

	if (valid && !(hop->is.state & NUD_STALE))
		return;
	if (hop->asked && now - hop->asked_ms < apart)
		return;
	/* An error, for instance a full neighbour table, may be gone next time. */
	berth_rtnl_use_neighbour(hops->rtnl, &hop->is);
	hop->asked = true;
	hop->asked_ms = now;
}

static struct berth_link *link_get(struct berth_hops *hops, uint32_t ifindex)
{
	const struct berth_link key = {.ifindex = ifindex};
	struct berth_link *link = tree_find(&hops->link_tree, &key, compare_links);

	if (link == NULL) {
		link = tree_add(&hops->link_tree, sizeof(*link), &ifindex, sizeof(ifindex), compare_links);
		if (link == NULL)
			return NULL;
		LIST_INSERT_HEAD(&hops->links, link, entry);
	}
	if (link->survey != hops->survey && berth_rtnl_link(hops->rtnl, ifindex, &link->is) < 0)
		link->is = (struct berth_rtnl_link){0};
	link->survey = hops->survey;
	return link;
}

static struct berth_hop *hop_get(struct berth_hops *hops, struct berth_link *link, const union berth_addr *address)
{
	struct berth_rtnl_neighbour found = {.ifindex = link->ifindex, .address = *address};
	struct berth_hop *hop = tree_find(&hops->hop_tree, &found, compare_hops);

	if (hop == NULL) {
		hop = tree_add(&hops->hop_tree, sizeof(*hop), &found, sizeof(found), compare_hops);
		if (hop == NULL)
			return NULL;
		LIST_INSERT_HEAD(&hops->hops, hop, entry);
	}
	hop->link = link;
	if (hop->survey != hops->survey && berth_rtnl_neighbour(hops->rtnl, &found) == 0) {
		hop_learn(hop, &found);
		hop_maintain(hops, hop);
	}
	hop->survey = hops->survey;
	return hop;
}

int berth_hops_get(struct berth_hops *hops, uint32_t ifindex, const union berth_addr *address,
		   struct berth_hop **hop)
{
	struct berth_link *link = link_get(hops, ifindex);

	*hop = NULL;
	if (link == NULL)
		return -ENOMEM;
	if (!link->is.up || !link->is.ethernet)
		return 0;
	*hop = hop_get(hops, link, address);
	return *hop == NULL ? -ENOMEM : 0;
}

bool berth_hops_learn(struct berth_hops *hops, const struct berth_rtnl_neighbour *news)
{
	struct berth_hop *hop = tree_find(&hops->hop_tree, news, compare_hops);

	if (hop == NULL)
		return false;
	hop_learn(hop, news);
	hop_maintain(hops, hop);
	return true;
}

void berth_hops_maintain(struct berth_hops *hops)
{
	struct berth_hop *hop;

	for (hop = LIST_FIRST(&hops->hops); hop != NULL; hop = LIST_NEXT(hop, entry))
		hop_maintain(hops, hop);
}

void berth_hops_begin(struct berth_hops *hops)
{
	hops->survey++;
}

void berth_hops_end(struct berth_hops *hops)
{
	struct berth_hop *hop, *next_hop;
	struct berth_link *link, *next_link;

	for (hop = LIST_FIRST(&hops->hops); hop != NULL; hop = next_hop) {
		next_hop = LIST_NEXT(hop, entry);
		if (hop->survey == hops->survey)
			continue;
		LIST_REMOVE(hop, entry);
		tdelete(hop, &hops->hop_tree, compare_hops);
		free(hop);
	}
	for (link = LIST_FIRST(&hops->links); link != NULL; link = next_link) {
		next_link = LIST_NEXT(link, entry);
		if (link->survey == hops->survey)
			continue;
		LIST_REMOVE(link, entry);
		tdelete(link, &hops->link_tree, compare_links);
		free(link);
	}
}

void berth_hops_init(struct berth_hops *hops, struct berth_rtnl *rtnl)
{
	*hops = (struct berth_hops){.rtnl = rtnl};
	LIST_INIT(&hops->hops);
	LIST_INIT(&hops->links);
}

void berth_hops_clear(struct berth_hops *hops)
{
	berth_hops_begin(hops);
	berth_hops_end(hops);
}

static bool way_equal(const struct berth_neigh_path *a, const struct berth_neigh_path *b)
{
	return a->known == b->known && a->ifindex == b->ifindex && a->mtu == b->mtu &&
	       memcmp(a->dst_mac, b->dst_mac, sizeof(a->dst_mac)) == 0 &&
	       memcmp(a->src_mac, b->src_mac, sizeof(a->src_mac)) == 0 && berth_addr_equal(&a->source, &b->source);
}

static struct berth_neigh_path way_of(const struct berth_rtnl_route *route, const struct berth_hop *hop)
{
	struct berth_neigh_path way = {.ifindex = route->ifindex};

	if (hop == NULL || !hop->resolved)
		return way;
	uint32_t mtu = hop->link->is.mtu;
	if (route->mtu != 0 && route->mtu < mtu)
		mtu = route->mtu;
	way.known = true;
	way.mtu = mtu < UINT16_MAX ? (uint16_t)mtu : UINT16_MAX;
	way.source = route->source;
	memcpy(way.dst_mac, hop->mac, sizeof(way.dst_mac));
	memcpy(way.src_mac, hop->link->is.mac, sizeof(way.src_mac));
	return way;
}

bool berth_hops_way(const struct berth_rtnl_route *route, const struct berth_hop *hop, struct berth_neigh_path *way)
{
	struct berth_neigh_path now = way_of(route, hop);

	if (way_equal(&now, way))
		return false;
	*way = now;
	return true;
}
