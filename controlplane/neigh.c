/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An address leads, by the kernel's route lookup, to a hop: a neighbour on a link. Hops and links are shared,
 * made when an address first needs them and dropped by the next survey in which none does.
 *
 * A survey asks the kernel everything anew. It follows every change of a link, a route or a local address, and
 * lost news; neighbours, which change all the time, are followed one by one instead.
 */
#include "controlplane/neigh.h"

#include <errno.h>
#include <event2/event.h>
#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "controlplane/rtnl.h"

enum {
	SETTLE_MS = 5,	       /* changes seldom come alone */
	SURVEY_APART_MS = 100, /* a routing daemon at work must not keep us busy */
	TICK_MS = 1000,
	SURVEY_EVERY = 30,	/* ticks; some changes make no news, as a learned path MTU */
	RESOLVE_AGAIN_MS = 900, /* a little less than a tick, so that none is missed */
	REFRESH_MS = 15000,
};

enum {
	VALID = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP
};

struct link {
	uint32_t ifindex;
	uint64_t survey; /* the last one that needed it */
	struct berth_rtnl_link is;
	LIST_ENTRY(link) entry;
};

struct hop {
	struct berth_rtnl_neighbour is; /* first: its ifindex and address are the key */
	uint64_t survey;
	struct link *link;
	bool resolved; /* `mac` may be used */
	uint8_t mac[6];
	bool asked;
	uint64_t asked_ms;
	LIST_ENTRY(hop) entry;
};

struct follow {
	union berth_addr address;
	uint64_t round;
	struct berth_rtnl_route route;
	struct hop *hop; /* NULL: there is no way */
	struct berth_way way;
	LIST_ENTRY(follow) entry;
};

struct berth_neigh {
	berth_neigh_fn *fn;
	void *arg;
	struct berth_rtnl rtnl;
	struct event *news;
	struct event *announce_timer;
	struct event *survey_timer;
	struct event *tick_timer;
	bool changed; /* a way, and the caller was not told */
	bool unsure;  /* the last survey met an error */
	uint64_t round;
	uint64_t survey;
	uint64_t surveyed_ms;
	uint32_t ticks;
	void *follow_tree; /* <search.h> */
	void *hop_tree;
	void *link_tree;
	LIST_HEAD(, follow) follows;
	LIST_HEAD(, hop) hops;
	LIST_HEAD(, link) links;
};

static uint64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int compare_follows(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(union berth_addr));
}

static int compare_hops(const void *a, const void *b)
{
	const struct berth_rtnl_neighbour *x = a, *y = b;

	if (x->ifindex != y->ifindex)
		return x->ifindex < y->ifindex ? -1 : 1;
	return memcmp(&x->address, &y->address, sizeof(x->address));
}

static int compare_links(const void *a, const void *b)
{
	const struct link *x = a, *y = b;
	return (x->ifindex > y->ifindex) - (x->ifindex < y->ifindex);
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

static void start_timer(struct event *timer, uint64_t ms)
{
	struct timeval tv = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

	if (!evtimer_pending(timer, NULL))
		evtimer_add(timer, &tv);
}

/* Hops. */

/* An entry that is missing or being asked for keeps the link address it had, until the kernel says that it
 * failed: it may only have been garbage collected. */
static void hop_learn(struct hop *hop, const struct berth_rtnl_neighbour *neighbour)
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
static void hop_maintain(struct berth_neigh *neigh, struct hop *hop)
{
	bool valid = hop->is.state & VALID;
	uint64_t apart = valid ? REFRESH_MS : RESOLVE_AGAIN_MS, now = now_ms();

	if (valid && !(hop->is.state & NUD_STALE))
		return;
	if (hop->asked && now - hop->asked_ms < apart)
		return;
	/* An error, for instance a full neighbour table, may be gone next time. */
	berth_rtnl_use_neighbour(&neigh->rtnl, &hop->is);
	hop->asked = true;
	hop->asked_ms = now;
}

static struct link *link_get(struct berth_neigh *neigh, uint32_t ifindex)
{
	const struct link key = {.ifindex = ifindex};
	void *node = tfind(&key, &neigh->link_tree, compare_links);
	struct link *link = node ? *(struct link **)node : NULL;

	if (link == NULL) {
		link = tree_add(&neigh->link_tree, sizeof(*link), &ifindex, sizeof(ifindex), compare_links);
		if (link == NULL)
			return NULL;
		LIST_INSERT_HEAD(&neigh->links, link, entry);
	}
	if (link->survey != neigh->survey && berth_rtnl_link(&neigh->rtnl, ifindex, &link->is) < 0)
		link->is = (struct berth_rtnl_link){0};
	link->survey = neigh->survey;
	return link;
}

static struct hop *hop_get(struct berth_neigh *neigh, struct link *link, const union berth_addr *address)
{
	struct berth_rtnl_neighbour found = {.ifindex = link->ifindex, .address = *address};
	void *node = tfind(&found, &neigh->hop_tree, compare_hops);
	struct hop *hop = node ? *(struct hop **)node : NULL;

	if (hop == NULL) {
		hop = tree_add(&neigh->hop_tree, sizeof(*hop), &found, sizeof(found), compare_hops);
		if (hop == NULL)
			return NULL;
		LIST_INSERT_HEAD(&neigh->hops, hop, entry);
	}
	hop->link = link;
	if (hop->survey != neigh->survey && berth_rtnl_neighbour(&neigh->rtnl, &found) == 0) {
		hop_learn(hop, &found);
		hop_maintain(neigh, hop);
	}
	hop->survey = neigh->survey;
	return hop;
}

/* Ways. */

static int follow_survey(struct berth_neigh *neigh, struct follow *follow)
{
	follow->hop = NULL;
	int err = berth_rtnl_route(&neigh->rtnl, &follow->address, &follow->route);
	if (err < 0 || !follow->route.unicast || follow->route.ifindex == 0)
		return err;
	struct link *link = link_get(neigh, follow->route.ifindex);
	if (link == NULL)
		return -ENOMEM;
	if (!link->is.up || !link->is.ethernet)
		return 0;
	follow->hop = hop_get(neigh, link, &follow->route.hop);
	return follow->hop == NULL ? -ENOMEM : 0;
}

static struct berth_way way_of(const struct follow *follow)
{
	const struct berth_rtnl_route *route = &follow->route;
	const struct hop *hop = follow->hop;
	struct berth_way way = {.ifindex = route->ifindex};

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

static bool way_equal(const struct berth_way *a, const struct berth_way *b)
{
	return a->known == b->known && a->ifindex == b->ifindex && a->mtu == b->mtu &&
	       memcmp(a->dst_mac, b->dst_mac, sizeof(a->dst_mac)) == 0 &&
	       memcmp(a->src_mac, b->src_mac, sizeof(a->src_mac)) == 0 && berth_addr_equal(&a->source, &b->source);
}

static void update_ways(struct berth_neigh *neigh)
{
	struct follow *follow;

	for (follow = LIST_FIRST(&neigh->follows); follow != NULL; follow = LIST_NEXT(follow, entry)) {
		struct berth_way way = way_of(follow);
		if (way_equal(&way, &follow->way))
			continue;
		follow->way = way;
		neigh->changed = true;
	}
}

static void drop_unused(struct berth_neigh *neigh)
{
	struct hop *hop, *next_hop;
	struct link *link, *next_link;

	for (hop = LIST_FIRST(&neigh->hops); hop != NULL; hop = next_hop) {
		next_hop = LIST_NEXT(hop, entry);
		if (hop->survey == neigh->survey)
			continue;
		LIST_REMOVE(hop, entry);
		tdelete(hop, &neigh->hop_tree, compare_hops);
		free(hop);
	}
	for (link = LIST_FIRST(&neigh->links); link != NULL; link = next_link) {
		next_link = LIST_NEXT(link, entry);
		if (link->survey == neigh->survey)
			continue;
		LIST_REMOVE(link, entry);
		tdelete(link, &neigh->link_tree, compare_links);
		free(link);
	}
}

/* Asks everything anew. The addresses that an error hits have no way; the next tick tries again. */
static int survey(struct berth_neigh *neigh)
{
	struct follow *follow;
	int err = 0;

	neigh->survey++;
	for (follow = LIST_FIRST(&neigh->follows); follow != NULL; follow = LIST_NEXT(follow, entry)) {
		int one = follow_survey(neigh, follow);
		if (one < 0)
			err = one;
	}
	drop_unused(neigh);
	update_ways(neigh);
	neigh->unsure = err < 0;
	neigh->surveyed_ms = now_ms();
	if (neigh->changed)
		start_timer(neigh->announce_timer, SETTLE_MS);
	return err;
}

static void survey_soon(struct berth_neigh *neigh)
{
	uint64_t ago = now_ms() - neigh->surveyed_ms;
	start_timer(neigh->survey_timer, ago + SETTLE_MS < SURVEY_APART_MS ? SURVEY_APART_MS - ago : SETTLE_MS);
}

/* From the event loop. */

static void on_message(void *arg, const struct nlmsghdr *message)
{
	struct berth_neigh *neigh = arg;
	struct berth_rtnl_neighbour news;

	if (message->nlmsg_type != RTM_NEWNEIGH && message->nlmsg_type != RTM_DELNEIGH) {
		survey_soon(neigh);
		return;
	}
	if (!berth_rtnl_parse_neighbour(message, &news))
		return;
	void *node = tfind(&news, &neigh->hop_tree, compare_hops);
	if (node == NULL)
		return;
	hop_learn(*(struct hop **)node, &news);
	hop_maintain(neigh, *(struct hop **)node);
	start_timer(neigh->announce_timer, SETTLE_MS);
}

static void on_news(evutil_socket_t fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	struct berth_neigh *neigh = arg;

	if (berth_rtnl_read(&neigh->rtnl, on_message, neigh) < 0)
		survey_soon(neigh);
}

static void on_announce(evutil_socket_t fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	struct berth_neigh *neigh = arg;

	update_ways(neigh);
	if (!neigh->changed)
		return;
	neigh->changed = false;
	neigh->fn(neigh->arg);
}

static void on_survey(evutil_socket_t fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	survey(arg);
}

static void on_tick(evutil_socket_t fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	struct berth_neigh *neigh = arg;
	struct hop *hop;

	for (hop = LIST_FIRST(&neigh->hops); hop != NULL; hop = LIST_NEXT(hop, entry))
		hop_maintain(neigh, hop);
	if (++neigh->ticks % SURVEY_EVERY == 0 || neigh->unsure)
		survey_soon(neigh);
}

/* For the caller. */

static struct follow *follow_find(const struct berth_neigh *neigh, const union berth_addr *address)
{
	void *node = tfind(address, &neigh->follow_tree, compare_follows);
	return node == NULL ? NULL : *(struct follow **)node;
}

static void follow_free(struct berth_neigh *neigh, struct follow *follow)
{
	LIST_REMOVE(follow, entry);
	tdelete(follow, &neigh->follow_tree, compare_follows);
	free(follow);
}

int berth_neigh_set(struct berth_neigh *neigh, const union berth_addr *addresses, size_t n)
{
	struct follow *follow, *next;

	neigh->round++;
	for (size_t i = 0; i < n; i++) {
		follow = follow_find(neigh, &addresses[i]);
		if (follow == NULL) {
			follow = tree_add(&neigh->follow_tree, sizeof(*follow), &addresses[i], sizeof(addresses[i]),
					  compare_follows);
			if (follow == NULL)
				return -ENOMEM;
			LIST_INSERT_HEAD(&neigh->follows, follow, entry);
		}
		follow->round = neigh->round;
	}
	for (follow = LIST_FIRST(&neigh->follows); follow != NULL; follow = next) {
		next = LIST_NEXT(follow, entry);
		if (follow->round != neigh->round)
			follow_free(neigh, follow);
	}
	return survey(neigh) == -ENOMEM ? -ENOMEM : 0;
}

struct berth_way berth_neigh_way(const struct berth_neigh *neigh, const union berth_addr *address)
{
	const struct follow *follow = follow_find(neigh, address);
	return follow == NULL ? (struct berth_way){0} : follow->way;
}

static int add_events(struct berth_neigh *neigh, struct event_base *base)
{
	const struct timeval tick = {.tv_sec = TICK_MS / 1000};
	int fd = mnl_socket_get_fd(neigh->rtnl.news);

	neigh->news = event_new(base, fd, EV_READ | EV_PERSIST, on_news, neigh);
	neigh->announce_timer = evtimer_new(base, on_announce, neigh);
	neigh->survey_timer = evtimer_new(base, on_survey, neigh);
	neigh->tick_timer = event_new(base, -1, EV_PERSIST, on_tick, neigh);
	if (neigh->news == NULL || neigh->announce_timer == NULL || neigh->survey_timer == NULL ||
	    neigh->tick_timer == NULL || event_add(neigh->news, NULL) < 0 ||
	    event_add(neigh->tick_timer, &tick) < 0)
		return -ENOMEM;
	return 0;
}

struct berth_neigh *berth_neigh_new(struct event_base *base, berth_neigh_fn *fn, void *arg,
				    char error[BERTH_ERROR_BYTES])
{
	struct berth_neigh *neigh = calloc(1, sizeof(*neigh));
	int err = -ENOMEM;

	if (neigh == NULL)
		goto fail;
	neigh->fn = fn;
	neigh->arg = arg;
	LIST_INIT(&neigh->follows);
	LIST_INIT(&neigh->hops);
	LIST_INIT(&neigh->links);
	err = berth_rtnl_open(&neigh->rtnl);
	if (err == 0)
		err = add_events(neigh, base);
	if (err == 0)
		return neigh;
fail:
	snprintf(error, BERTH_ERROR_BYTES, "cannot follow the kernel's routes and neighbours by rtnetlink: %s",
		 strerror(-err));
	berth_neigh_free(neigh);
	return NULL;
}

static void free_event(struct event *event)
{
	if (event != NULL)
		event_free(event);
}

void berth_neigh_free(struct berth_neigh *neigh)
{
	if (neigh == NULL)
		return;
	free_event(neigh->news);
	free_event(neigh->announce_timer);
	free_event(neigh->survey_timer);
	free_event(neigh->tick_timer);
	while (!LIST_EMPTY(&neigh->follows))
		follow_free(neigh, LIST_FIRST(&neigh->follows));
	neigh->survey++;
	drop_unused(neigh);
	berth_rtnl_close(&neigh->rtnl);
	free(neigh);
}
