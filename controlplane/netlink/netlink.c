/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel's route lookup of an address gives a neighbour on a link (neighbours.h). So does a route of the main
 * table that has a gateway (route_table.h). own_addresses.h reads the host's own addresses.
 *
 * A resync reads everything from the kernel. It runs after each change of a link, a route or a local address, and
 * after lost notifications. Neighbours change all the time: their notifications are applied one by one.
 */
#include "controlplane/netlink/netlink.h"

#include <errno.h>
#include <event2/event.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "controlplane/netlink/neighbours.h"
#include "controlplane/netlink/own_addresses.h"
#include "controlplane/netlink/route_table.h"
#include "controlplane/netlink/rtnl.h"
#include "controlplane/util/clock.h"
#include "controlplane/util/log.h"

enum {
	SETTLE_MS = 5,		  /* changes come in groups: one call, or one resync, for all of them */
	RESYNC_INTERVAL_MS = 100, /* at least, while a routing daemon changes routes continuously */
	TICK_MS = 1000,
	RESYNC_TICKS = 30, /* some changes cause no notification, for instance a learned path MTU */
};

/* A followed address. */
struct destination {
	union berth_addr address; /* first: the key */
	uint64_t round;
	bool is_staged; /* not followed before berth_netlink_stage */
	struct berth_rtnl_route route;
	struct berth_neighbour *neighbour; /* NULL: no route, or one without a neighbour */
	struct berth_next_hop next_hop;
	LIST_ENTRY(destination) entry;
};

struct berth_netlink {
	berth_netlink_fn *fn;
	void *arg;
	struct berth_rtnl rtnl;
	struct event *notification;
	struct event *call_timer;
	struct event *resync_timer;
	struct event *tick_timer;
	bool changed;	     /* since the last call of `fn` */
	bool needs_resync;   /* the last one met an error */
	bool is_host;	     /* routes and own addresses are followed */
	bool is_host_staged; /* with the stage, if there is one */
	uint64_t round;	     /* of berth_netlink_stage; a destination of an earlier round is removed */
	uint64_t resynced_ms;
	uint32_t ticks;
	int error;		/* -errno of the last resync, which was logged; 0: none */
	uint64_t errors;	/* resyncs with an error */
	void *destination_tree; /* <search.h> */
	LIST_HEAD(, destination) destinations;
	struct berth_route_table table;
	struct berth_own_reader own;
	struct berth_neighbours neighbours;
};

static int compare_destinations(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(union berth_addr));
}

/* Starts the timer unless it runs. */
static void start_timer(struct event *timer, uint64_t ms)
{
	struct timeval tv = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

	if (!evtimer_pending(timer, NULL))
		evtimer_add(timer, &tv);
}

/* After an error it keeps what it had. */
static int resync_destination(struct berth_netlink *netlink, struct destination *destination)
{
	struct berth_rtnl_route route;
	struct berth_neighbour *neighbour = NULL;
	int err = berth_rtnl_route(&netlink->rtnl, &destination->address, &route);

	if (!err && route.is_unicast && route.ifindex != 0)
		err = berth_neighbours_get(&netlink->neighbours, route.ifindex, &route.next_hop, &neighbour);
	if (err < 0) {
		berth_neighbours_keep(&netlink->neighbours, destination->neighbour);
		return err;
	}
	destination->route = route;
	destination->neighbour = neighbour;
	return 0;
}

static void update_next_hops(struct berth_netlink *netlink)
{
	struct destination *one;

	for (one = LIST_FIRST(&netlink->destinations); one != NULL; one = LIST_NEXT(one, entry))
		netlink->changed |= berth_neighbour_next_hop(&one->route, one->neighbour, &one->next_hop);
	netlink->changed |= berth_route_table_update(&netlink->table);
}

/* Once per error. */
static void note_error(struct berth_netlink *netlink, int err)
{
	if (err < 0 && err != netlink->error)
		berth_log("ALARM: the kernel's routes and neighbours cannot be read: %s; berth uses the last ones "
			  "that it read and tries again every second",
			  strerror(-err));
	else if (err == 0 && netlink->error)
		berth_log("alarm over: the kernel's routes and neighbours are read again");
	if (err < 0)
		netlink->errors++;
	netlink->error = err;
}

/* Reads everything from the kernel. What cannot be read is kept as it was; the next tick tries again. */
static int resync(struct berth_netlink *netlink)
{
	struct destination *one;

	berth_neighbours_begin(&netlink->neighbours);
	int err = berth_own_reader_read(&netlink->own, &netlink->changed);
	int table_err = berth_route_table_read(&netlink->table, &netlink->neighbours, &netlink->changed);
	if (table_err < 0)
		err = table_err;
	for (one = LIST_FIRST(&netlink->destinations); one != NULL; one = LIST_NEXT(one, entry)) {
		int one_err = resync_destination(netlink, one);
		if (one_err < 0)
			err = one_err;
	}
	berth_neighbours_end(&netlink->neighbours);
	update_next_hops(netlink);
	int read_err = err ? err : netlink->neighbours.error;
	netlink->needs_resync = read_err < 0;
	/* A table that changed while it was read is no error. */
	if (read_err != -EINTR)
		note_error(netlink, read_err);
	netlink->resynced_ms = berth_clock_ms();
	if (netlink->changed)
		start_timer(netlink->call_timer, SETTLE_MS);
	return err;
}

static void resync_soon(struct berth_netlink *netlink)
{
	uint64_t ago = berth_clock_ms() - netlink->resynced_ms;
	start_timer(netlink->resync_timer,
		    ago + SETTLE_MS < RESYNC_INTERVAL_MS ? RESYNC_INTERVAL_MS - ago : SETTLE_MS);
}

/* Callbacks of the event loop. */

static void on_message(void *arg, const struct nlmsghdr *message)
{
	struct berth_netlink *netlink = arg;
	struct berth_rtnl_neighbour state;

	/* An interface may be another one of the same name. */
	if (message->nlmsg_type == RTM_NEWLINK || message->nlmsg_type == RTM_DELLINK)
		netlink->changed = true;
	if (message->nlmsg_type != RTM_NEWNEIGH && message->nlmsg_type != RTM_DELNEIGH) {
		resync_soon(netlink);
		return;
	}
	if (!berth_rtnl_parse_neighbour(message, &state))
		return;
	if (berth_neighbours_update(&netlink->neighbours, &state))
		start_timer(netlink->call_timer, SETTLE_MS);
}

static void on_notification(evutil_socket_t fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	struct berth_netlink *netlink = arg;

	if (berth_rtnl_receive(&netlink->rtnl, on_message, netlink) < 0)
		resync_soon(netlink);
}

static void on_call(evutil_socket_t fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	struct berth_netlink *netlink = arg;

	update_next_hops(netlink);
	if (!netlink->changed)
		return;
	netlink->changed = false;
	netlink->fn(netlink->arg);
}

static void on_resync(evutil_socket_t fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	resync(arg);
}

static void on_tick(evutil_socket_t fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	struct berth_netlink *netlink = arg;

	berth_neighbours_maintain(&netlink->neighbours);
	if (++netlink->ticks % RESYNC_TICKS == 0 || netlink->needs_resync)
		resync_soon(netlink);
}

/* The interface of netlink.h. */

static struct destination *find_destination(const struct berth_netlink *netlink, const union berth_addr *address)
{
	void *node = tfind(address, &netlink->destination_tree, compare_destinations);
	return node == NULL ? NULL : *(struct destination **)node;
}

static struct destination *add_destination(struct berth_netlink *netlink, const union berth_addr *address)
{
	struct destination *destination = calloc(1, sizeof(*destination));

	if (destination == NULL)
		return NULL;
	destination->address = *address;
	if (tsearch(destination, &netlink->destination_tree, compare_destinations) == NULL) {
		free(destination);
		return NULL;
	}
	LIST_INSERT_HEAD(&netlink->destinations, destination, entry);
	return destination;
}

static void free_destination(struct berth_netlink *netlink, struct destination *destination)
{
	LIST_REMOVE(destination, entry);
	tdelete(destination, &netlink->destination_tree, compare_destinations);
	free(destination);
}

static int enable_host(struct berth_netlink *netlink, bool host)
{
	int table_err = berth_route_table_enable(&netlink->table, host);
	int own_err = berth_own_reader_enable(&netlink->own, host);
	return table_err < 0 || own_err < 0 ? -ENOMEM : 0;
}

int berth_netlink_stage(struct berth_netlink *netlink, const union berth_addr *addresses, size_t n, bool host)
{
	int err = host ? enable_host(netlink, true) : 0;

	netlink->is_host_staged = host;
	netlink->round++;
	for (size_t i = 0; i < n && !err; i++) {
		struct destination *one = find_destination(netlink, &addresses[i]);
		if (one == NULL) {
			one = add_destination(netlink, &addresses[i]);
			if (one != NULL)
				one->is_staged = true;
		}
		if (one != NULL)
			one->round = netlink->round;
		else
			err = -ENOMEM;
	}
	if (!err && resync(netlink) == -ENOMEM)
		err = -ENOMEM;
	if (err)
		berth_netlink_drop(netlink);
	return err;
}

void berth_netlink_drop(struct berth_netlink *netlink)
{
	struct destination *one, *next;

	for (one = LIST_FIRST(&netlink->destinations); one != NULL; one = next) {
		next = LIST_NEXT(one, entry);
		if (one->is_staged)
			free_destination(netlink, one);
	}
	if (!netlink->is_host)
		enable_host(netlink, false);
	netlink->is_host_staged = netlink->is_host;
}

void berth_netlink_commit(struct berth_netlink *netlink)
{
	struct destination *one, *next;

	for (one = LIST_FIRST(&netlink->destinations); one != NULL; one = next) {
		next = LIST_NEXT(one, entry);
		one->is_staged = false;
		if (one->round != netlink->round)
			free_destination(netlink, one);
	}
	netlink->is_host = netlink->is_host_staged;
	if (!netlink->is_host)
		enable_host(netlink, false);
}

struct berth_netlink_status berth_netlink_status(const struct berth_netlink *netlink)
{
	return (struct berth_netlink_status){.error = netlink->error, .errors = netlink->errors};
}

int berth_netlink_follow(struct berth_netlink *netlink, const union berth_addr *addresses, size_t n, bool host)
{
	int err = berth_netlink_stage(netlink, addresses, n, host);
	if (!err)
		berth_netlink_commit(netlink);
	return err;
}

struct berth_next_hop berth_netlink_next_hop(const struct berth_netlink *netlink, const union berth_addr *address)
{
	const struct destination *destination = find_destination(netlink, address);
	return destination == NULL ? (struct berth_next_hop){0} : destination->next_hop;
}

struct berth_kernel_routes berth_netlink_routes(const struct berth_netlink *netlink)
{
	const struct berth_route_table *table = &netlink->table;
	if (!netlink->is_host_staged)
		return (struct berth_kernel_routes){0};
	return (struct berth_kernel_routes){.routes = table->routes, .n = table->n, .reason = table->reason};
}

struct berth_own_addresses berth_netlink_own_addresses(const struct berth_netlink *netlink)
{
	const struct berth_own_reader *own = &netlink->own;
	if (!netlink->is_host_staged)
		return (struct berth_own_addresses){0};
	return (struct berth_own_addresses){
		.addresses = own->addresses, .n = own->n, .is_truncated = own->is_truncated};
}

static int add_events(struct berth_netlink *netlink, struct event_base *base)
{
	const struct timeval tick = {.tv_sec = TICK_MS / 1000};
	int fd = mnl_socket_get_fd(netlink->rtnl.notifications);

	netlink->notification = event_new(base, fd, EV_READ | EV_PERSIST, on_notification, netlink);
	netlink->call_timer = evtimer_new(base, on_call, netlink);
	netlink->resync_timer = evtimer_new(base, on_resync, netlink);
	netlink->tick_timer = event_new(base, -1, EV_PERSIST, on_tick, netlink);
	if (netlink->notification == NULL || netlink->call_timer == NULL || netlink->resync_timer == NULL ||
	    netlink->tick_timer == NULL || event_add(netlink->notification, NULL) < 0 ||
	    event_add(netlink->tick_timer, &tick) < 0)
		return -ENOMEM;
	return 0;
}

struct berth_netlink *berth_netlink_new(struct event_base *base, berth_netlink_fn *fn, void *arg,
					char error[BERTH_ERROR_BYTES])
{
	struct berth_netlink *netlink = calloc(1, sizeof(*netlink));
	int err = -ENOMEM;

	if (netlink == NULL)
		goto fail;
	netlink->fn = fn;
	netlink->arg = arg;
	LIST_INIT(&netlink->destinations);
	berth_neighbours_init(&netlink->neighbours, &netlink->rtnl);
	err = berth_rtnl_open(&netlink->rtnl);
	if (err == 0)
		err = add_events(netlink, base);
	if (err == 0)
		return netlink;
fail:
	snprintf(error, BERTH_ERROR_BYTES, "cannot follow the kernel's routes and neighbours by rtnetlink: %s",
		 strerror(-err));
	berth_netlink_free(netlink);
	return NULL;
}

static void free_event(struct event *event)
{
	if (event != NULL)
		event_free(event);
}

void berth_netlink_free(struct berth_netlink *netlink)
{
	if (netlink == NULL)
		return;
	free_event(netlink->notification);
	free_event(netlink->call_timer);
	free_event(netlink->resync_timer);
	free_event(netlink->tick_timer);
	while (!LIST_EMPTY(&netlink->destinations))
		free_destination(netlink, LIST_FIRST(&netlink->destinations));
	berth_route_table_enable(&netlink->table, false);
	berth_own_reader_enable(&netlink->own, false);
	berth_neighbours_clear(&netlink->neighbours);
	berth_rtnl_close(&netlink->rtnl);
	free(netlink);
}
