/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An address leads, by the kernel's route lookup, to a hop: a neighbour on a link (neigh_hops.h). So does a route
 * of the main table that has a gateway (route_table.h). Beside them the host's own addresses (neigh_own.h).
 *
 * A survey asks the kernel everything anew. It follows every change of a link, a route or a local address, and
 * lost news; neighbours, which change all the time, are followed one by one instead.
 */
#include "controlplane/netlink/neigh.h"

#include <errno.h>
#include <event2/event.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "controlplane/netlink/next_hops.h"
#include "controlplane/netlink/own_addresses.h"
#include "controlplane/netlink/route_table.h"
#include "controlplane/netlink/rtnl.h"
#include "controlplane/util/clock.h"

enum {
	SETTLE_MS = 5,	       /* changes seldom come alone */
	SURVEY_APART_MS = 100, /* a routing daemon at work must not keep us busy */
	TICK_MS = 1000,
	SURVEY_EVERY = 30, /* ticks; some changes make no news, as a learned path MTU */
};

struct follow {
	union berth_addr address;
	uint64_t round;
	struct berth_rtnl_route route;
	struct berth_hop *hop; /* NULL: there is no way */
	struct berth_neigh_path way;
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
	bool changed; /* a way or an own address, and the caller was not told */
	bool unsure;  /* the last survey met an error */
	uint64_t round;
	uint64_t surveyed_ms;
	uint32_t ticks;
	void *follow_tree; /* <search.h> */
	LIST_HEAD(, follow) follows;
	struct berth_route_table table;
	struct berth_own own;
	struct berth_hops hops;
};

static int compare_follows(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(union berth_addr));
}

static void start_timer(struct event *timer, uint64_t ms)
{
	struct timeval tv = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

	if (!evtimer_pending(timer, NULL))
		evtimer_add(timer, &tv);
}

static int follow_survey(struct berth_neigh *neigh, struct follow *follow)
{
	follow->hop = NULL;
	int err = berth_rtnl_route(&neigh->rtnl, &follow->address, &follow->route);
	if (err < 0 || !follow->route.unicast || follow->route.ifindex == 0)
		return err;
	return berth_hops_get(&neigh->hops, follow->route.ifindex, &follow->route.hop, &follow->hop);
}

static void update_ways(struct berth_neigh *neigh)
{
	struct follow *follow;

	for (follow = LIST_FIRST(&neigh->follows); follow != NULL; follow = LIST_NEXT(follow, entry))
		neigh->changed |= berth_hops_way(&follow->route, follow->hop, &follow->way);
	neigh->changed |= berth_route_table_update(&neigh->table);
}

/* Asks everything anew. The addresses that an error hits have no way; the next tick tries again. */
static int survey(struct berth_neigh *neigh)
{
	struct follow *follow;

	berth_hops_begin(&neigh->hops);
	int err = berth_own_survey(&neigh->own, &neigh->changed);
	int table = berth_route_table_survey(&neigh->table, &neigh->hops, &neigh->changed);
	if (table < 0)
		err = table;
	for (follow = LIST_FIRST(&neigh->follows); follow != NULL; follow = LIST_NEXT(follow, entry)) {
		int one = follow_survey(neigh, follow);
		if (one < 0)
			err = one;
	}
	berth_hops_end(&neigh->hops);
	update_ways(neigh);
	neigh->unsure = err < 0;
	neigh->surveyed_ms = berth_clock_ms();
	if (neigh->changed)
		start_timer(neigh->announce_timer, SETTLE_MS);
	return err;
}

static void survey_soon(struct berth_neigh *neigh)
{
	uint64_t ago = berth_clock_ms() - neigh->surveyed_ms;
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
	if (berth_hops_learn(&neigh->hops, &news))
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

	berth_hops_maintain(&neigh->hops);
	if (++neigh->ticks % SURVEY_EVERY == 0 || neigh->unsure)
		survey_soon(neigh);
}

/* For the caller. */

static struct follow *follow_find(const struct berth_neigh *neigh, const union berth_addr *address)
{
	void *node = tfind(address, &neigh->follow_tree, compare_follows);
	return node == NULL ? NULL : *(struct follow **)node;
}

static struct follow *follow_add(struct berth_neigh *neigh, const union berth_addr *address)
{
	struct follow *follow = calloc(1, sizeof(*follow));

	if (follow == NULL)
		return NULL;
	follow->address = *address;
	if (tsearch(follow, &neigh->follow_tree, compare_follows) == NULL) {
		free(follow);
		return NULL;
	}
	LIST_INSERT_HEAD(&neigh->follows, follow, entry);
	return follow;
}

static void follow_free(struct berth_neigh *neigh, struct follow *follow)
{
	LIST_REMOVE(follow, entry);
	tdelete(follow, &neigh->follow_tree, compare_follows);
	free(follow);
}

int berth_neigh_set(struct berth_neigh *neigh, const union berth_addr *addresses, size_t n, bool host)
{
	struct follow *follow, *next;

	if (berth_route_table_follow(&neigh->table, host) < 0 || berth_own_follow(&neigh->own, host) < 0)
		return -ENOMEM;
	neigh->round++;
	for (size_t i = 0; i < n; i++) {
		follow = follow_find(neigh, &addresses[i]);
		if (follow == NULL) {
			follow = follow_add(neigh, &addresses[i]);
			if (follow == NULL)
				return -ENOMEM;
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

struct berth_neigh_path berth_neigh_way(const struct berth_neigh *neigh, const union berth_addr *address)
{
	const struct follow *follow = follow_find(neigh, address);
	return follow == NULL ? (struct berth_neigh_path){0} : follow->way;
}

struct berth_neigh_table berth_neigh_table(const struct berth_neigh *neigh)
{
	const struct berth_route_table *table = &neigh->table;
	return (struct berth_neigh_table){.routes = table->routes, .n = table->n, .why_none = table->why_none};
}

struct berth_neigh_own berth_neigh_own(const struct berth_neigh *neigh)
{
	const struct berth_own *own = &neigh->own;
	return (struct berth_neigh_own){.addresses = own->addresses, .n = own->n, .more = own->more};
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
	berth_hops_init(&neigh->hops, &neigh->rtnl);
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
	berth_route_table_follow(&neigh->table, false);
	berth_own_follow(&neigh->own, false);
	berth_hops_clear(&neigh->hops);
	berth_rtnl_close(&neigh->rtnl);
	free(neigh);
}
