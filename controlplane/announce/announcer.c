// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/announce/announcer.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/announce/kernel_table.h"
#include "controlplane/util/address.h"
#include "controlplane/util/log.h"

/* From the weakest: several services with one address take the strongest. */
enum want {
	WANT_NONE,
	WANT_AS_IT_IS, /* not known yet: a route that a former berthd left stays, as in a short planned pause */
	WANT_ROUTE,
};

struct route {
	union berth_addr prefix;
	uint8_t bits; /* of 128 */
	enum want want;
	bool is_there;
	bool is_alarm; /* it was withdrawn by no operator */
	int err;       /* of the last attempt to add it, -errno */
	size_t reason; /* index of the last of its services that is not ready */
};

struct berth_announcer {
	struct event_base *base;
	uint32_t table; /* 0: none */
	struct route *routes;
	size_t n;
	struct berth_rtnl rtnl;
	struct event *news;
	bool is_dirty;	   /* the table is to be read */
	bool has_restored; /* a route was put back, which was logged */
	int err;	   /* of the last read, which was logged */
};

static int compare_routes(const void *a, const void *b)
{
	const struct route *x = a, *y = b;
	const int order = memcmp(&x->prefix, &y->prefix, sizeof(x->prefix));
	return order ? order : x->bits - y->bits;
}

/* NULL: not found. */
static struct route *find(const struct berth_announcer *announcer, const union berth_addr *prefix, uint8_t bits)
{
	const struct route key = {.prefix = *prefix, .bits = bits};
	return announcer->n ? bsearch(&key, announcer->routes, announcer->n, sizeof(key), compare_routes) : NULL;
}

static const char *format(const struct route *route, char text[BERTH_PREFIX_TEXT])
{
	return berth_prefix_format(&route->prefix, route->bits, text);
}

/* --- the kernel's table --- */

struct strays {
	struct berth_announcer *announcer;
	struct route *list;
	size_t n;
};

static void add_stray(struct strays *strays, const union berth_addr *prefix, uint8_t bits)
{
	struct route *list = realloc(strays->list, (strays->n + 1) * sizeof(*list));
	if (!list)
		return; /* the next read finds it */
	strays->list = list;
	list[strays->n++] = (struct route){.prefix = *prefix, .bits = bits};
}

static void on_found(void *arg, const union berth_addr *prefix, uint8_t bits)
{
	struct strays *strays = arg;
	struct route *route = find(strays->announcer, prefix, bits);
	if (route)
		route->is_there = true;
	else
		add_stray(strays, prefix, bits);
}

static void remove_strays(struct berth_announcer *announcer, const struct strays *strays)
{
	char text[BERTH_PREFIX_TEXT];
	for (size_t i = 0; i < strays->n; i++) {
		const struct route *stray = &strays->list[i];
		const int err = berth_kernel_table_remove(&announcer->rtnl, announcer->table, &stray->prefix,
							  stray->bits);
		if (!err)
			berth_log("removed the route to %s from table %u: it is no announced address",
				  format(stray, text), announcer->table);
	}
}

/* Reads which routes stand, and removes those to other addresses. -errno: the table is to be read again. */
static int read_table(struct berth_announcer *announcer)
{
	struct strays strays = {.announcer = announcer};
	for (size_t i = 0; i < announcer->n; i++)
		announcer->routes[i].is_there = false;
	int err = berth_kernel_table_read(announcer->table, on_found, &strays);
	if (!err)
		remove_strays(announcer, &strays);
	free(strays.list);
	return err;
}

static void log_restored(struct berth_announcer *announcer, const struct route *route)
{
	char text[BERTH_PREFIX_TEXT];
	if (!announcer->has_restored)
		berth_log("the route to %s was removed from table %u by another program and is added again "
			  "(logged once)",
			  format(route, text), announcer->table);
	announcer->has_restored = true;
}

/* After news of the table. */
static void reread(struct berth_announcer *announcer)
{
	bool *stood = calloc(announcer->n + 1, sizeof(*stood));
	if (!stood)
		return;
	for (size_t i = 0; i < announcer->n; i++)
		stood[i] = announcer->routes[i].is_there;
	const int err = read_table(announcer);
	for (size_t i = 0; err && i < announcer->n; i++)
		announcer->routes[i].is_there = stood[i];
	for (size_t i = 0; i < announcer->n; i++)
		if (stood[i] && !announcer->routes[i].is_there)
			log_restored(announcer, &announcer->routes[i]);
	free(stood);
	announcer->is_dirty = err != 0;
	if (err && err != -EINTR && err != announcer->err)
		berth_log("ALARM: table %u cannot be read: %s; the routes in it may be wrong", announcer->table,
			  strerror(-err));
	announcer->err = err == -EINTR ? announcer->err : err;
}

static void on_message(void *arg, const struct nlmsghdr *message)
{
	struct berth_announcer *announcer = arg;
	announcer->is_dirty |= berth_kernel_table_is_own(message, announcer->table);
}

static void add_route(struct berth_announcer *announcer, struct route *route)
{
	char text[BERTH_PREFIX_TEXT];
	const int err = berth_kernel_table_add(&announcer->rtnl, announcer->table, &route->prefix, route->bits);
	route->is_there = !err;
	if (err && err != route->err)
		berth_log("ALARM: the route to %s cannot be added to table %u: %s", format(route, text),
			  announcer->table, err == -EEXIST ? "another route to it is there" : strerror(-err));
	else if (!err)
		berth_log("%sannounced %s: its route is in table %u",
			  route->is_alarm || route->err ? "alarm over: " : "", format(route, text),
			  announcer->table);
	if (!err)
		route->is_alarm = false;
	route->err = err;
}

static void remove_route(struct berth_announcer *announcer, const struct berth_node *node,
			 const struct berth_model *model, struct route *route)
{
	char text[BERTH_PREFIX_TEXT], reason[BERTH_ERROR_BYTES];
	const int err = berth_kernel_table_remove(&announcer->rtnl, announcer->table, &route->prefix, route->bits);
	if (err && err != -ESRCH) {
		announcer->is_dirty = true;
		return;
	}
	route->is_there = false;
	route->is_alarm = !node->is_drained && !node->is_stopping;
	if (berth_ready_node(node, reason))
		berth_ready_service(&model->config->announce, &model->services[route->reason], reason);
	berth_log("%swithdrawn %s from table %u: %s", route->is_alarm ? "ALARM: " : "", format(route, text),
		  announcer->table, reason);
}

/* Puts back what was removed at once, not at the next follow. */
static void on_news(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct berth_announcer *announcer = arg;
	if (berth_rtnl_receive(&announcer->rtnl, on_message, announcer) < 0)
		announcer->is_dirty = true;
	if (!announcer->is_dirty)
		return;
	reread(announcer);
	for (size_t i = 0; i < announcer->n; i++) {
		struct route *route = &announcer->routes[i];
		if (route->want == WANT_ROUTE && !route->is_there)
			route->is_there = berth_kernel_table_add(&announcer->rtnl, announcer->table, &route->prefix,
								 route->bits) == 0;
	}
}

/* --- what is wanted --- */

static enum want want_of(const struct berth_node *node, const struct berth_model *model,
			 const struct berth_model_service *service)
{
	char reason[BERTH_ERROR_BYTES];
	if (node->is_drained || node->is_stopping)
		return WANT_NONE;
	if (!berth_ready_node(node, reason))
		return node->is_starting || node->is_restarting || !node->fault[0] ? WANT_AS_IT_IS : WANT_NONE;
	if (berth_ready_service(&model->config->announce, service, reason))
		return WANT_ROUTE;
	return berth_ready_is_unknown(service) ? WANT_AS_IT_IS : WANT_NONE;
}

static void set_wants(struct berth_announcer *announcer, const struct berth_node *node,
		      const struct berth_model *model)
{
	for (size_t i = 0; i < announcer->n; i++)
		announcer->routes[i].want = WANT_NONE;
	for (size_t i = 0; i < model->n_services; i++) {
		const struct berth_model_service *service = &model->services[i];
		struct route *route = service->config.announce
					      ? find(announcer, &service->config.address, service->config.bits)
					      : NULL;
		const enum want want = route ? want_of(node, model, service) : WANT_NONE;
		if (!route)
			continue;
		if (want > route->want)
			route->want = want;
		if (want == WANT_NONE)
			route->reason = i;
	}
}

void berth_announcer_follow(struct berth_announcer *announcer, const struct berth_node *node,
			    const struct berth_model *model)
{
	if (!announcer->table)
		return;
	if (announcer->is_dirty)
		reread(announcer);
	set_wants(announcer, node, model);
	for (size_t i = 0; i < announcer->n; i++) {
		struct route *route = &announcer->routes[i];
		if (route->want == WANT_ROUTE && !route->is_there)
			add_route(announcer, route);
		else if (route->want == WANT_NONE && route->is_there)
			remove_route(announcer, node, model, route);
	}
}

/* --- configuration --- */

static int open_socket(struct berth_announcer *announcer)
{
	if (announcer->news)
		return 0;
	int err = berth_rtnl_open_routes(&announcer->rtnl);
	if (err)
		return err;
	announcer->news = event_new(announcer->base, mnl_socket_get_fd(announcer->rtnl.notifications),
				    EV_READ | EV_PERSIST, on_news, announcer);
	if (announcer->news && event_add(announcer->news, NULL) == 0)
		return 0;
	berth_rtnl_close(&announcer->rtnl);
	return -ENOMEM;
}

static size_t remove_duplicates(struct route *routes, size_t n)
{
	size_t kept = 0;
	for (size_t i = 0; i < n; i++)
		if (!kept || compare_routes(&routes[kept - 1], &routes[i]) != 0)
			routes[kept++] = routes[i];
	return kept;
}

/* The addresses of the services that are to be announced; NULL: out of memory. */
static struct route *list_routes(const struct berth_model *model, size_t *n)
{
	struct route *routes = calloc(model->n_services + 1, sizeof(*routes));
	*n = 0;
	for (size_t i = 0; routes && i < model->n_services; i++) {
		const struct berth_service_config *config = &model->services[i].config;
		if (config->announce)
			routes[(*n)++] = (struct route){.prefix = config->address, .bits = config->bits};
	}
	if (routes && *n) {
		qsort(routes, *n, sizeof(*routes), compare_routes);
		*n = remove_duplicates(routes, *n);
	}
	return routes;
}

static void leave_table(struct berth_announcer *announcer)
{
	if (!announcer->table)
		return;
	free(announcer->routes);
	announcer->routes = NULL;
	announcer->n = 0;
	read_table(announcer);
	announcer->table = 0;
}

int berth_announcer_configure(struct berth_announcer *announcer, const struct berth_model *model)
{
	const uint32_t table = model->config->announce.table;
	if (announcer->table != table)
		leave_table(announcer);
	if (!table)
		return 0;
	int err = open_socket(announcer);
	if (err)
		return err;
	size_t n;
	struct route *routes = list_routes(model, &n);
	if (!routes)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct route *former = find(announcer, &routes[i].prefix, routes[i].bits);
		if (former)
			routes[i] = *former;
		routes[i].reason = 0;
	}
	free(announcer->routes);
	announcer->routes = routes;
	announcer->n = n;
	announcer->table = table;
	announcer->is_dirty = true;
	return 0;
}

struct berth_announcer *berth_announcer_new(struct event_base *base)
{
	struct berth_announcer *announcer = calloc(1, sizeof(*announcer));
	if (announcer)
		announcer->base = base;
	return announcer;
}

void berth_announcer_free(struct berth_announcer *announcer)
{
	if (!announcer)
		return;
	if (announcer->news)
		event_free(announcer->news);
	berth_rtnl_close(&announcer->rtnl);
	free(announcer->routes);
	free(announcer);
}

/* --- what stands --- */

uint32_t berth_announcer_table(const struct berth_announcer *announcer)
{
	return announcer->table;
}

bool berth_announcer_is_any(const struct berth_announcer *announcer)
{
	for (size_t i = 0; announcer && i < announcer->n; i++)
		if (announcer->routes[i].is_there)
			return true;
	return false;
}

bool berth_announcer_has(const struct berth_announcer *announcer, const struct berth_service_config *service)
{
	const struct route *route = announcer && service->announce
					    ? find(announcer, &service->address, service->bits)
					    : NULL;
	return route && route->is_there;
}

bool berth_announcer_explain(const struct berth_announcer *announcer, const struct berth_node *node,
			     const struct berth_announce_config *config, const struct berth_model_service *service,
			     char reason[BERTH_ERROR_BYTES])
{
	if (!announcer || !config->table || !service->config.announce ||
	    berth_announcer_has(announcer, &service->config))
		return false;
	if (!berth_ready_node(node, reason) || !berth_ready_service(config, service, reason))
		return true;
	const struct route *route = find(announcer, &service->config.address, service->config.bits);
	snprintf(reason, BERTH_ERROR_BYTES, "its route cannot be added to table %u: %s", config->table,
		 !route || !route->err	 ? "not tried yet"
		 : route->err == -EEXIST ? "another route to it is there"
					 : strerror(-route->err));
	return true;
}
