// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/doctor/host.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/util/address.h"

static const char *const levels[] = {
	[BERTH_DOCTOR_OK] = "ok", [BERTH_DOCTOR_NOTE] = "note", [BERTH_DOCTOR_WRONG] = "problem"};

void berth_doctor_add(json_t *checks, const char *about, const struct berth_doctor_finding *finding)
{
	json_array_append_new(checks,
			      json_pack("{s:s, s:s, s:s, s:s?}", "subject", about, "level", levels[finding->level],
					"finding", finding->seen, "remedy", finding->advice[0] ? finding->advice : NULL));
}

static void say(json_t *checks, const char *about, enum berth_doctor_level level, const char *advice,
		const char *format, ...) __attribute__((format(printf, 5, 6)));

static void say(json_t *checks, const char *about, enum berth_doctor_level level, const char *advice,
		const char *format, ...)
{
	struct berth_doctor_finding finding = {.level = level};
	va_list args;
	va_start(args, format);
	vsnprintf(finding.seen, sizeof(finding.seen), format, args);
	va_end(args);
	snprintf(finding.advice, sizeof(finding.advice), "%s", advice);
	berth_doctor_add(checks, about, &finding);
}

static void say_engine(const struct berth_daemon_state *state, json_t *status, json_t *checks)
{
	const char *image = json_string_value(json_object_get(status, "segment"));
	json_int_t restarts = json_integer_value(json_object_get(status, "restarts"));

	say(checks, "engine", BERTH_DOCTOR_OK, "", "%s, because %s", state->engine->ops->name,
	    state->engine->reason);
	if (json_is_false(json_object_get(status, "running")))
		say(checks, "engine", BERTH_DOCTOR_WRONG, "see berthd's log for how it ended",
		    "berth-dpdk does not run: nothing is forwarded");
	if (restarts)
		say(checks, "engine", BERTH_DOCTOR_NOTE, "see berthd's log for how it ended",
		    "berth-dpdk was started again %lld times", (long long)restarts);
	if (image && strncmp(image, "/dev/shm/", strlen("/dev/shm/")) == 0)
		say(checks, "engine", BERTH_DOCTOR_NOTE,
		    "reserve huge pages (hugepages.md), then berthctl shutdown and start berthd again",
		    "its tables are not in huge pages: look-ups are slower");
	if (state->publication.error[0])
		say(checks, "engine", BERTH_DOCTOR_WRONG, "", "the configuration cannot be published: %s",
		    state->publication.error);
}

static bool is_generic(const json_t *status, const char *name)
{
	size_t i;
	json_t *port;
	json_array_foreach(json_object_get(status, "ports"), i, port)
	{
		const char *mode = json_string_value(json_object_get(port, "mode"));
		const char *of = json_string_value(json_object_get(port, "name"));
		if (of && mode && strcmp(of, name) == 0)
			return strcmp(mode, "generic") == 0;
	}
	return false;
}

static void say_interface(const struct berth_interface_config *config, struct berth_rtnl *rtnl,
			  const json_t *status, json_t *checks)
{
	char advice[96] = "";
	struct berth_rtnl_link link;
	uint32_t ifindex = if_nametoindex(config->name);

	if (!ifindex || berth_rtnl_link(rtnl, ifindex, &link)) {
		say(checks, config->name, BERTH_DOCTOR_WRONG, "", "there is no such interface");
		return;
	}
	if (!link.is_up) {
		snprintf(advice, sizeof(advice), "ip link set dev %s up, and is the cable plugged in?",
			 config->name);
		say(checks, config->name, BERTH_DOCTOR_WRONG, advice, "the interface is down");
		return;
	}
	say(checks, config->name, BERTH_DOCTOR_OK, "", "up, MTU %u", link.mtu);
	if (config->xdp == BERTH_XDP_AUTO && is_generic(status, config->name))
		say(checks, config->name, BERTH_DOCTOR_NOTE,
		    "a driver with XDP is several times as fast; xdp: generic says that this is on purpose",
		    "its driver has no XDP, so the program runs in generic mode");
}

/* A number of /proc/sys; -1: it cannot be read. */
static int setting(const char *path)
{
	int value = -1;
	FILE *file = fopen(path, "re");
	if (!file)
		return -1;
	if (fscanf(file, "%d", &value) != 1)
		value = -1;
	fclose(file);
	return value;
}

/* Mode nat leaves answers to the kernel whose way it does not know; they come from the service's address by then.
 */
static void say_nat(const struct berth_daemon_state *state, struct berth_rtnl *rtnl, json_t *checks)
{
	for (size_t i = 0; i < state->model->n_services; i++) {
		const struct berth_service_config *service = &state->model->services[i].config;
		struct berth_rtnl_route route = {0};
		if (!berth_mode_returns(service->mode) || !berth_addr_is4(&service->address))
			continue;
		if (setting("/proc/sys/net/ipv4/ip_forward") == 0)
			say(checks, service->name, BERTH_DOCTOR_NOTE,
			    "on berth's host: sysctl net.ipv4.ip_forward=1",
			    "nat: answers that are left to the kernel (returned_pass) are not routed");
		bool local = berth_rtnl_route(rtnl, &service->address, &route) == 0 && route.ifindex &&
			     !route.is_unicast;
		if (local && setting("/proc/sys/net/ipv4/conf/all/accept_local") == 0)
			say(checks, service->name, BERTH_DOCTOR_NOTE,
			    "on berth's host: sysctl net.ipv4.conf.all.accept_local=1",
			    "nat: the kernel drops answers that are left to it (returned_pass), because their "
			    "source is its "
			    "own address");
	}
}

void berth_doctor_host(const struct berth_daemon_state *state, struct berth_rtnl *rtnl, json_t *checks)
{
	const struct berth_config *config = state->model->config;
	json_t *status = state->engine->ops->status(state->engine);

	say_engine(state, status, checks);
	for (size_t i = 0; i < config->n_interfaces; i++)
		say_interface(&config->interfaces[i], rtnl, status, checks);
	say_nat(state, rtnl, checks);
	json_decref(status);
}

/* An address of berth's host that a backend could answer; of this interface, if it has one of the family. */
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

/* Of a prefix, its second address: the first is no host's everywhere. */
static union berth_addr address_of(const struct berth_service_config *service)
{
	union berth_addr address = service->address;
	if (service->bits < BERTH_ADDRESS_BITS)
		address.byte[15] |= 1;
	return address;
}

static void explain_unknown(const struct berth_config *config, const struct berth_rtnl_route *route,
			    struct berth_doctor_finding *finding)
{
	char interface[IF_NAMESIZE] = "";
	const char *seen, *advice;
	bool ours = false;

	if_indextoname(route->ifindex, interface);
	for (size_t i = 0; i < config->n_interfaces; i++)
		ours |= strcmp(config->interfaces[i].name, interface) == 0;
	if (!route->ifindex || !route->is_unicast) {
		seen = "there is no route to it";
		advice = "on berth's host: ip route add";
	} else if (!ours) {
		seen = "the way to it leads over an interface that is none of berth's:";
		advice = "name it under interfaces:, or change the route";
	} else {
		seen = "the link address of the next hop is not known: nobody answers ARP or neighbour "
		       "solicitations on";
		advice = "is it running, and on the same link?";
	}
	finding->level = BERTH_DOCTOR_WRONG;
	snprintf(finding->seen, sizeof(finding->seen), "%s%s%s", seen,
		 route->ifindex && route->is_unicast ? " " : "",
		 route->ifindex && route->is_unicast ? interface : "");
	snprintf(finding->advice, sizeof(finding->advice), "%s", advice);
}

bool berth_doctor_find(const struct berth_daemon_state *state, struct berth_rtnl *rtnl,
		       const struct berth_model_service *service, const struct berth_model_backend *backend,
		       struct berth_doctor_target *target, struct berth_doctor_finding *finding)
{
	const struct berth_next_hop *hop = &backend->next_hop;
	const struct berth_config *config = state->model->config;
	bool service4 = berth_addr_is4(&service->config.address);
	struct berth_rtnl_route route = {0};

	berth_rtnl_route(rtnl, &backend->config.address, &route);
	if (!hop->is_resolved) {
		explain_unknown(config, &route, finding);
		return false;
	}
	*target = (struct berth_doctor_target){
		.mode = service->config.mode,
		.gue_port = service->config.gue_port,
		.prefix = service->config.address,
		.bits = service->config.bits,
		.service = address_of(&service->config),
		.backend = backend->config.address,
		.source = hop->source,
		.ifindex = if_nametoindex(config->interfaces[hop->port].name),
		.mtu = hop->mtu,
		.on_link = !route.has_gateway,
		.alive = backend->health == BERTH_HEALTH_UP,
		.up = berth_model_health(backend) == BERTH_HEALTH_UP,
	};
	memcpy(target->dst_mac, hop->dst_mac, sizeof(target->dst_mac));
	memcpy(target->src_mac, hop->src_mac, sizeof(target->src_mac));
	if (service4 == berth_addr_is4(&target->backend))
		target->inner_source = hop->source;
	else
		find_source(service4, config->interfaces[hop->port].name, &target->inner_source);
	return true;
}
