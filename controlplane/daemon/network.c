// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/daemon/network.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/daemon/private.h"
#include "controlplane/netlink/nat_routes.h"
#include "controlplane/util/clock.h"
#include "controlplane/util/interface.h"
#include "controlplane/util/log.h"

enum {
	/* After a restart, neighbours that the kernel has forgotten are given time to answer. */
	NEIGHBOUR_GRACE_MS = 3000,
};

int berth_network_follow(struct berth_daemon *daemon)
{
	const struct berth_model *model = &daemon->model;
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
	int err = berth_netlink_follow(daemon->neigh, addresses, n, nat);
	free(addresses);
	return err;
}

/* Interfaces may come, go and change their address (a TAP comes with its engine). */
static void update_ports(struct berth_daemon *daemon)
{
	const struct berth_config *config = daemon->model.config;
	for (size_t i = 0; i < config->n_interfaces; i++) {
		struct berth_port port;
		if (berth_interface_read(config->interfaces[i].name, &port) == 0)
			daemon->engine->image.ctl->ports[i] = port;
	}
}

static int port_of(const struct berth_daemon *daemon, uint32_t ifindex)
{
	for (size_t i = 0; i < daemon->model.config->n_interfaces; i++)
		if (daemon->engine->image.ctl->ports[i].ifindex == ifindex)
			return (int)i;
	return -1;
}

/* Unresolved if the next hop is not on one of the engine's interfaces. */
static struct berth_next_hop next_hop_to(const struct berth_daemon *daemon, const union berth_addr *address)
{
	struct berth_next_hop next_hop = berth_netlink_next_hop(daemon->neigh, address);
	int port = next_hop.is_resolved ? port_of(daemon, next_hop.ifindex) : -1;
	if (port < 0)
		return (struct berth_next_hop){0};
	next_hop.port = (uint8_t)port;
	return next_hop;
}

static bool update_next_hops(struct berth_daemon *daemon)
{
	bool grace = berth_clock_ms() - daemon->state.started_ms < NEIGHBOUR_GRACE_MS;
	bool changed = false;
	for (size_t i = 0; i < daemon->model.n_services; i++) {
		struct berth_model_service *service = &daemon->model.services[i];
		for (size_t j = 0; j < service->n_backends; j++) {
			struct berth_model_backend *backend = &service->backends[j];
			struct berth_next_hop hop = next_hop_to(daemon, &backend->config.address);
			if ((!hop.is_resolved && (grace || !backend->next_hop.is_resolved)) ||
			    memcmp(&hop, &backend->next_hop, sizeof(hop)) == 0)
				continue;
			backend->next_hop = hop;
			changed = true;
			if (!hop.is_resolved)
				berth_log("%s/%s: the way to it is not known any more", service->config.name,
					  backend->config.name);
		}
	}
	return changed;
}

/* Said once, until there is another reason or none. */
static void tell_routes(struct berth_daemon *daemon, const char *clients, const char *why)
{
	if (why && why != daemon->routes_told)
		berth_log("mode nat: the kernel sends the answers to %s, not berth: %s", clients, why);
	daemon->routes_told = why;
}

/* Unlike next hops, a route without its gateway's link address loses nothing: the kernel sends meanwhile. */
static bool update_routes(struct berth_daemon *daemon)
{
	struct berth_route routes[BERTH_MAX_ROUTES];
	const struct berth_kernel_routes table = berth_netlink_routes(daemon->neigh);
	int left = berth_nat_routes_build(routes, table.routes, table.n, daemon->engine->image.ctl->ports,
					  daemon->model.config->n_interfaces);
	if (left > 0)
		tell_routes(daemon, "some clients", "more than 16 routes lead different ways");
	else
		tell_routes(daemon, "clients", left < 0 ? "out of memory" : table.reason);
	_Static_assert(BERTH_MAX_ROUTES == 16, "as the message says");
	if (memcmp(routes, daemon->model.routes, sizeof(routes)) == 0)
		return false;
	memcpy(daemon->model.routes, routes, sizeof(routes));
	return true;
}

/* What a backend says to one of these is for the kernel. */
static bool update_own(struct berth_daemon *daemon)
{
	struct berth_model *model = &daemon->model;
	const struct berth_own_addresses own = berth_netlink_own_addresses(daemon->neigh);
	if (own.is_truncated && !daemon->own_told)
		berth_log("mode nat: this host has more than 256 addresses: what a backend sends to one of the "
			  "others from a service's port, as when it answers a probe, is taken for a client's");
	_Static_assert(BERTH_MAX_OWN == 256, "as the message says");
	daemon->own_told = own.is_truncated;
	if (own.n == model->n_own &&
	    (own.n == 0 || memcmp(own.addresses, model->own, own.n * sizeof(*model->own)) == 0))
		return false;
	if (own.n)
		memcpy(model->own, own.addresses, own.n * sizeof(*model->own));
	model->n_own = own.n;
	return true;
}

bool berth_network_update(struct berth_daemon *daemon)
{
	update_ports(daemon);
	bool hops = update_next_hops(daemon);
	bool routes = update_routes(daemon);
	bool own = update_own(daemon);
	return hops || routes || own;
}
