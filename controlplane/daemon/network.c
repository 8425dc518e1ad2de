// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/daemon/network.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/daemon/private.h"
#include "controlplane/daemon/publication.h"
#include "controlplane/daemon/timers.h"
#include "controlplane/model/path_mtu.h"
#include "controlplane/netlink/nat_routes.h"
#include "controlplane/netlink/own_links.h"
#include "controlplane/path_mtu/listener.h"
#include "controlplane/util/address.h"
#include "controlplane/util/clock.h"
#include "controlplane/util/interface.h"
#include "controlplane/util/log.h"

enum {
	/* After a restart, neighbours that the kernel has dropped get time to answer. */
	NEIGHBOUR_GRACE_MS = 3000,
};

int berth_network_stage(struct berth_daemon *daemon, const struct berth_model *model)
{
	bool nat = false;
	size_t n = 0;
	for (size_t i = 0; i < model->n_services; i++) {
		n += model->services[i].n_backends;
		nat |= berth_mode_returns(model->services[i].config.mode);
	}
	union berth_addr *addresses = calloc(n + 1, sizeof(*addresses));
	if (!addresses)
		return -ENOMEM;
	n = 0;
	for (size_t i = 0; i < model->n_services; i++)
		for (size_t j = 0; j < model->services[i].n_backends; j++)
			addresses[n++] = model->services[i].backends[j].config.address;
	int err = berth_netlink_stage(daemon->netlink, addresses, n, nat);
	free(addresses);
	return err;
}

/* An interface can appear, disappear and change its address; a TAP port appears with its engine. Whether a port
 * differs. */
static bool update_ports(struct berth_model *model)
{
	bool changed = false;
	for (size_t i = 0; i < model->config->n_interfaces; i++) {
		struct berth_port port;
		if (berth_interface_read(model->config->interfaces[i].name, &port) ||
		    memcmp(&port, &model->ports[i], sizeof(port)) == 0)
			continue;
		model->ports[i] = port;
		changed = true;
	}
	return changed;
}

/* Frames to any other address pass to the kernel. */
static bool update_links(struct berth_daemon *daemon, struct berth_model *model)
{
	struct berth_link links[BERTH_MAX_LINKS];
	int left = berth_own_links_read(links, model->ports, model->config->n_interfaces);
	if (left < 0) /* (The next resync tries again.) */
		return false;
	if (left > 0 && !daemon->links_logged)
		berth_log(
			"the interfaces have more than 64 link addresses (their own, VLANs, macvlans, bridges and "
			"bonds); frames to the rest pass to the kernel");
	_Static_assert(BERTH_MAX_LINKS == 64, "as the message says");
	daemon->links_logged = left > 0;
	if (memcmp(links, model->links, sizeof(links)) == 0)
		return false;
	memcpy(model->links, links, sizeof(links));
	return true;
}

static int port_of(const struct berth_model *model, uint32_t ifindex)
{
	for (size_t i = 0; i < model->config->n_interfaces; i++)
		if (model->ports[i].ifindex == ifindex)
			return (int)i;
	return -1;
}

/* Unresolved if the next hop is not on one of the engine's interfaces. */
static struct berth_next_hop on_port(const struct berth_model *model, struct berth_next_hop next_hop)
{
	int port = next_hop.is_resolved ? port_of(model, next_hop.ifindex) : -1;
	if (port < 0)
		return (struct berth_next_hop){0};
	next_hop.port = (uint8_t)port;
	return next_hop;
}

static bool is_same(const struct berth_next_hop *a, const struct berth_next_hop *b)
{
	return a->is_resolved == b->is_resolved && a->ifindex == b->ifindex && a->port == b->port &&
	       a->mtu == b->mtu && memcmp(a->dst_mac, b->dst_mac, sizeof(a->dst_mac)) == 0 &&
	       memcmp(a->src_mac, b->src_mac, sizeof(a->src_mac)) == 0 && berth_addr_equal(&a->source, &b->source);
}

/* Whether the next hop differs. One that is unresolved now is kept during the first seconds. */
static bool update_next_hop(struct berth_daemon *daemon, const struct berth_model *model,
			    const struct berth_model_service *service, struct berth_model_backend *backend)
{
	bool keeps = !daemon->is_network_settled;
	struct berth_next_hop hop = on_port(model,
					    berth_netlink_next_hop(daemon->netlink, &backend->config.address));
	if (!hop.is_resolved && !backend->next_hop.is_resolved)
		return false;
	if (!hop.is_resolved && keeps)
		hop = on_port(model, backend->next_hop);
	if (is_same(&hop, &backend->next_hop))
		return false;
	backend->next_hop = hop;
	/* Another path. */
	backend->reported_mtu = 0;
	if (!hop.is_resolved)
		berth_log_about(BERTH_ABOUT(service->config.name, backend->config.name),
				"%s/%s: next hop unresolved", service->config.name, backend->config.name);
	return true;
}

static bool update_next_hops(struct berth_daemon *daemon, struct berth_model *model)
{
	bool changed = false;
	for (size_t i = 0; i < model->n_services; i++) {
		struct berth_model_service *service = &model->services[i];
		for (size_t j = 0; j < service->n_backends; j++)
			changed |= update_next_hop(daemon, model, service, &service->backends[j]);
	}
	return changed;
}

/* Logs a reason once, until it changes. */
static void log_routes(struct berth_daemon *daemon, const char *clients, const char *reason)
{
	if (reason && reason != daemon->routes_logged)
		berth_log("mode nat: the kernel sends the answers to %s, not berth: %s", clients, reason);
	daemon->routes_logged = reason;
}

/* A route whose gateway is unresolved loses no packet: the kernel sends until it is resolved. */
static bool update_routes(struct berth_daemon *daemon, struct berth_model *model)
{
	struct berth_route routes[BERTH_MAX_ROUTES];
	const struct berth_kernel_routes table = berth_netlink_routes(daemon->netlink);
	int left = berth_nat_routes_build(routes, table.routes, table.n, model->ports, model->config->n_interfaces);
	if (left > 0)
		log_routes(daemon, "some clients", "more than 16 routes have different next hops");
	else
		log_routes(daemon, "clients", left < 0 ? "out of memory" : table.reason);
	_Static_assert(BERTH_MAX_ROUTES == 16, "as the message says");
	if (memcmp(routes, model->routes, sizeof(routes)) == 0)
		return false;
	memcpy(model->routes, routes, sizeof(routes));
	return true;
}

/* The kernel gets the packets that backends send to these. */
static bool update_own(struct berth_daemon *daemon, struct berth_model *model)
{
	const struct berth_own_addresses own = berth_netlink_own_addresses(daemon->netlink);
	if (own.is_truncated && !daemon->own_logged)
		berth_log(
			"mode nat: this host has more than 256 addresses; packets from a backend's service port to "
			"one of the rest, such as answers to probes, are forwarded as if to a client");
	_Static_assert(BERTH_MAX_OWN == 256, "as the message says");
	daemon->own_logged = own.is_truncated;
	if (own.n == model->n_own &&
	    (own.n == 0 || memcmp(own.addresses, model->own, own.n * sizeof(*model->own)) == 0))
		return false;
	if (own.n)
		memcpy(model->own, own.addresses, own.n * sizeof(*model->own));
	model->n_own = own.n;
	return true;
}

bool berth_network_update(struct berth_daemon *daemon, struct berth_model *model)
{
	bool ports = update_ports(model);
	bool links = update_links(daemon, model);
	bool hops = update_next_hops(daemon, model);
	bool routes = update_routes(daemon, model);
	bool own = update_own(daemon, model);
	return ports || links || hops || routes || own;
}

void berth_network_follow(struct berth_daemon *daemon)
{
	daemon->network_changes++;
	if (!berth_network_update(daemon, &daemon->model))
		return;
	berth_timers_follow(daemon);
	berth_publication_request(daemon);
}

static void log_path_mtu(const struct berth_model_service *service, const struct berth_model_backend *backend,
			 const struct berth_too_big *report)
{
	char reporter[BERTH_ADDRESS_TEXT];
	berth_log_about(BERTH_ABOUT(service->config.name, backend->config.name),
			"%s/%s: path MTU %u for the next 10 minutes: %s reports a link of %u", service->config.name,
			backend->config.name, berth_path_mtu(service, backend),
			berth_address_format(&report->reporter, reporter), report->mtu);
	_Static_assert(BERTH_PATH_MTU_MS == 600000, "as the message says");
}

static void on_too_big(void *arg, const struct berth_too_big *report)
{
	struct berth_daemon *daemon = arg;
	uint64_t now_ms = berth_clock_ms();
	bool changed = false;
	for (size_t i = 0; i < daemon->model.n_services; i++) {
		const struct berth_model_service *service = &daemon->model.services[i];
		for (size_t j = 0; j < service->n_backends; j++) {
			struct berth_model_backend *backend = &service->backends[j];
			if (!berth_path_mtu_learn(&daemon->model, service, backend, report, now_ms))
				continue;
			log_path_mtu(service, backend, report);
			changed = true;
		}
	}
	if (!changed)
		return;
	berth_timers_follow(daemon);
	berth_publication_request(daemon);
}

/* Next hops that were adopted and are not resolved again by now are given up. */
static void on_settle(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct berth_daemon *daemon = arg;
	daemon->is_network_settled = true;
	berth_network_follow(daemon);
}

void berth_network_open(struct berth_daemon *daemon)
{
	const struct timeval grace = {.tv_sec = NEIGHBOUR_GRACE_MS / 1000};
	char error[BERTH_ERROR_BYTES];
	daemon->settle_event = evtimer_new(daemon->base, on_settle, daemon);
	daemon->is_network_settled = !daemon->settle_event || event_add(daemon->settle_event, &grace);
	daemon->too_big = berth_path_mtu_listen(daemon->base, on_too_big, daemon, error);
	if (!daemon->too_big)
		berth_log("path MTUs of tunnels are not learned: %s", error);
}

void berth_network_close(struct berth_daemon *daemon)
{
	berth_path_mtu_listener_free(daemon->too_big);
	if (daemon->settle_event)
		event_free(daemon->settle_event);
}
