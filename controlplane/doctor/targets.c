// SPDX-License-Identifier: BSD-3-Clause
/* Targets of probes, from backends and their next hops. */
#include <ifaddrs.h>
#include <linux/neighbour.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/doctor/system.h"
#include "controlplane/model/path_mtu.h"
#include "controlplane/util/address.h"

/* Finds an address of this host in a family, preferably of this interface. */
static void find_source(bool want4, const char *interface, union berth_addr *source)
{
	struct ifaddrs *all;
	bool found = false;
	if (getifaddrs(&all))
		return;
	for (const struct ifaddrs *one = all; one; one = one->ifa_next) {
		bool here = strcmp(one->ifa_name, interface) == 0;
		if (!one->ifa_addr || one->ifa_flags & IFF_LOOPBACK || (found && !here) ||
		    one->ifa_addr->sa_family != (want4 ? AF_INET : AF_INET6))
			continue;
		if (want4) {
			const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)one->ifa_addr;
			berth_addr_set4(source, (struct berth_be32){in->sin_addr.s_addr});
		} else {
			const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)(const void *)one->ifa_addr;
			if (IN6_IS_ADDR_LINKLOCAL(&in->sin6_addr))
				continue;
			memcpy(source, &in->sin6_addr, sizeof(*source));
		}
		found = true;
		if (here)
			break;
	}
	freeifaddrs(all);
}

/* Returns an address of a service; of a prefix the second one, since the first may be no host's. */
static union berth_addr pick_address(const struct berth_service_config *service)
{
	union berth_addr address = service->address;
	if (service->bits < BERTH_ADDRESS_BITS)
		address.byte[15] |= 1;
	return address;
}

/* An interface that is down has lost its routes, so its name is not known from the backend. */
static bool explain_by_link(const struct berth_config *config, struct berth_rtnl *rtnl,
			    struct berth_doctor_finding *finding)
{
	struct berth_rtnl_link link;
	for (size_t i = 0; i < config->n_interfaces; i++)
		if (berth_doctor_link_is_down(&config->interfaces[i], rtnl, &link, finding))
			return true;
	return false;
}

static bool is_used(const struct berth_config *config, uint32_t ifindex)
{
	for (size_t i = 0; i < config->n_interfaces; i++)
		if (if_nametoindex(config->interfaces[i].name) == ifindex)
			return true;
	return false;
}

static void explain_unresolved(const struct berth_config *config, const struct berth_rtnl_route *route,
			       struct berth_doctor_finding *finding)
{
	char interface[IF_NAMESIZE] = "";
	const char *text, *remedy;

	if_indextoname(route->ifindex, interface);
	if (!route->ifindex || !route->is_unicast) {
		text = "no route to it";
		remedy = "on berth's host, add a route: ip route add ADDRESS via GATEWAY";
	} else if (!is_used(config, route->ifindex)) {
		text = "its route leads over an interface that berth does not use:";
		remedy = "add the interface to `interfaces` in the configuration, or change the route";
	} else {
		text = "next hop unresolved: no answer to ARP or neighbour solicitations on";
		remedy = "check that the next hop is running and on this link: ip neigh";
	}
	finding->level = BERTH_DOCTOR_PROBLEM;
	snprintf(finding->text, sizeof(finding->text), "%s%s%s", text,
		 route->ifindex && route->is_unicast ? " " : "",
		 route->ifindex && route->is_unicast ? interface : "");
	snprintf(finding->remedy, sizeof(finding->remedy), "%s", remedy);
}

/* Whether an operator set the link address of the next hop. */
static bool is_static(struct berth_rtnl *rtnl, const struct berth_rtnl_route *route)
{
	struct berth_rtnl_neighbour neighbour = {.ifindex = route->ifindex, .address = route->next_hop};
	return berth_rtnl_neighbour(rtnl, &neighbour) == 0 && (neighbour.state & NUD_PERMANENT);
}

/* The port that clients' packets have at the backend; 0: many. Of a range, the one that is checked. */
static uint16_t port_of(const struct berth_service_config *service, const struct berth_backend_config *backend)
{
	if (berth_mode_returns(service->mode) && backend->port)
		return backend->port;
	if (berth_config_has_one_port(service))
		return service->port;
	uint16_t checked = service->health->port;
	return checked >= service->port && checked <= service->last_port ? checked : 0;
}

/* Why probes cannot reach the backend. False: they can. The route may have changed since the next hop was resolved.
 */
static bool explain_unreachable(const struct berth_config *config, struct berth_rtnl *rtnl,
				const struct berth_next_hop *hop, const struct berth_rtnl_route *route,
				struct berth_doctor_finding *finding)
{
	struct berth_rtnl_link link;
	if (hop->is_resolved && berth_doctor_link_is_down(&config->interfaces[hop->port], rtnl, &link, finding))
		return true;
	if (hop->is_resolved && (!route->is_unicast || is_used(config, route->ifindex)))
		return false;
	if (!explain_by_link(config, rtnl, finding))
		explain_unresolved(config, route, finding);
	return true;
}

bool berth_doctor_make_target(const struct berth_daemon_state *state, struct berth_rtnl *rtnl,
			      const struct berth_model_service *service, const struct berth_model_backend *backend,
			      struct berth_doctor_target *target, struct berth_doctor_finding *finding)
{
	const struct berth_next_hop *hop = &backend->next_hop;
	const struct berth_config *config = state->model->config;
	bool service4 = berth_addr_is4(&service->config.address);
	struct berth_rtnl_route route = {0};

	berth_rtnl_route(rtnl, &backend->config.address, &route);
	if (explain_unreachable(config, rtnl, hop, &route, finding))
		return false;
	*target = (struct berth_doctor_target){
		.mode = service->config.mode,
		.gue_port = service->config.gue_port,
		.prefix = service->config.address,
		.bits = service->config.bits,
		.service = pick_address(&service->config),
		.backend = backend->config.address,
		.source = hop->source,
		.ifindex = if_nametoindex(config->interfaces[hop->port].name),
		.mtu = berth_path_mtu(service, backend),
		.is_on_link = !route.has_gateway,
		.next_hop = route.next_hop,
		.is_static = is_static(rtnl, &route),
		.protocol = service->config.protocol,
		.port = port_of(&service->config, &backend->config),
		.is_check_up = backend->health == BERTH_HEALTH_UP,
		.is_up = berth_model_health(backend) == BERTH_HEALTH_UP,
	};
	if_indextoname(target->ifindex, target->interface);
	memcpy(target->dst_mac, hop->dst_mac, sizeof(target->dst_mac));
	memcpy(target->src_mac, hop->src_mac, sizeof(target->src_mac));
	if (service4 == berth_addr_is4(&target->backend))
		target->inner_source = hop->source;
	else
		find_source(service4, config->interfaces[hop->port].name, &target->inner_source);
	return true;
}

/* The best default route of a family with a gateway. False: none. */
static bool find_default(const struct berth_rtnl_table_route *routes, size_t n, bool want4,
			 struct berth_rtnl_route *gateway)
{
	uint32_t best = UINT32_MAX;
	bool found = false;
	for (size_t i = 0; i < n; i++) {
		const struct berth_rtnl_table_route *one = &routes[i];
		bool is_default = berth_addr_is4(&one->address) == want4 && one->bits == (want4 ? 96 : 0);
		if (!is_default || !one->route.has_gateway || one->metric >= best ||
		    berth_addr_is4(&one->route.next_hop) != want4)
			continue;
		best = one->metric;
		*gateway = one->route;
		found = true;
	}
	return found;
}

/* Resolves the gateway. False: it is not behind an interface of the engine, or unresolved. */
static bool resolve_gateway(const struct berth_config *config, struct berth_rtnl *rtnl,
			    const struct berth_rtnl_route *route, struct berth_doctor_gateway *gateway)
{
	struct berth_rtnl_neighbour neighbour = {.ifindex = route->ifindex, .address = route->next_hop};
	struct berth_rtnl_route own;
	if (!is_used(config, route->ifindex) || berth_rtnl_route(rtnl, &route->next_hop, &own) ||
	    berth_rtnl_neighbour(rtnl, &neighbour) || !neighbour.state ||
	    (neighbour.state & (NUD_INCOMPLETE | NUD_FAILED)))
		return false;
	*gateway = (struct berth_doctor_gateway){
		.ifindex = route->ifindex, .address = route->next_hop, .source = own.source};
	memcpy(gateway->mac, neighbour.mac, sizeof(gateway->mac));
	return true;
}

void berth_doctor_find_gateways(const struct berth_daemon_state *state, struct berth_rtnl *rtnl,
				struct berth_doctor_gateway gateways[2])
{
	enum {
		MOST = 1024
	};
	struct berth_rtnl_table_route *routes = calloc(MOST, sizeof(*routes));
	struct berth_rtnl_route route;
	size_t n = 0;
	if (!routes || berth_rtnl_main_table(routes, MOST, &n))
		n = 0;
	for (int is4 = 0; is4 < 2; is4++) {
		gateways[is4] = (struct berth_doctor_gateway){0};
		if (find_default(routes, n, is4, &route))
			resolve_gateway(state->model->config, rtnl, &route, &gateways[is4]);
	}
	free(routes);
}

bool berth_doctor_make_route(const struct berth_doctor_gateway gateways[2],
			     const struct berth_model_service *service, struct berth_doctor_target *target)
{
	const struct berth_doctor_gateway *gateway = &gateways[berth_addr_is4(&service->config.address)];
	if (!gateway->ifindex)
		return false;
	*target = (struct berth_doctor_target){
		.is_route = true,
		.mode = service->config.mode,
		.service = pick_address(&service->config),
		.source = gateway->source,
		.next_hop = gateway->address,
		.ifindex = gateway->ifindex,
		.health_reason = "",
	};
	memcpy(target->dst_mac, gateway->mac, sizeof(target->dst_mac));
	return true;
}
