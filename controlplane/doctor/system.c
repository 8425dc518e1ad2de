// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/doctor/system.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/model/eligible.h"
#include "controlplane/model/path_mtu.h"
#include "controlplane/util/address.h"

static const char *const levels[] = {
	[BERTH_DOCTOR_OK] = "ok", [BERTH_DOCTOR_NOTE] = "note", [BERTH_DOCTOR_PROBLEM] = "problem"};

void berth_doctor_add(json_t *checks, const char *subject, const struct berth_doctor_finding *finding)
{
	json_array_append_new(checks, json_pack("{s:s, s:s, s:s, s:s?}", "subject", subject, "level",
						levels[finding->level], "finding", finding->text, "remedy",
						finding->remedy[0] ? finding->remedy : NULL));
}

static void add(json_t *checks, const char *subject, enum berth_doctor_level level, const char *remedy,
		const char *format, ...) __attribute__((format(printf, 5, 6)));

static void add(json_t *checks, const char *subject, enum berth_doctor_level level, const char *remedy,
		const char *format, ...)
{
	struct berth_doctor_finding finding = {.level = level};
	va_list args;
	va_start(args, format);
	vsnprintf(finding.text, sizeof(finding.text), format, args);
	va_end(args);
	snprintf(finding.remedy, sizeof(finding.remedy), "%s", remedy);
	berth_doctor_add(checks, subject, &finding);
}

static void check_engine(const struct berth_daemon_state *state, json_t *status, json_t *checks)
{
	const char *image = json_string_value(json_object_get(status, "segment"));
	json_int_t restarts = json_integer_value(json_object_get(status, "restarts"));

	add(checks, "engine", BERTH_DOCTOR_OK, "", "%s, because %s", state->engine->ops->name,
	    state->engine->reason);
	if (json_is_false(json_object_get(status, "running")))
		add(checks, "engine", BERTH_DOCTOR_PROBLEM, "journalctl -u berthd shows how it ended",
		    "berth-dpdk is not running: no packet is forwarded");
	if (restarts)
		add(checks, "engine", BERTH_DOCTOR_NOTE, "journalctl -u berthd shows how it ended",
		    "berth-dpdk was restarted %lld times", (long long)restarts);
	if (image && strncmp(image, "/dev/shm/", strlen("/dev/shm/")) == 0)
		add(checks, "engine", BERTH_DOCTOR_NOTE,
		    "reserve hugepages (hugepages.md), then: berthctl shutdown; systemctl start berthd",
		    "its tables are not in hugepages: lookups are slower");
	if (state->publication.error[0])
		add(checks, "engine", BERTH_DOCTOR_PROBLEM, "",
		    "the latest configuration is not in force; publication failed: %s", state->publication.error);
	else if (state->publication.is_late)
		add(checks, "engine", BERTH_DOCTOR_PROBLEM, "journalctl -u berthd shows since when and why",
		    "a change is not in force: for a second or more, a worker has used the former generation");
}

static void check_state_directory(const struct berth_daemon_state *state, json_t *checks)
{
	if (state->saved_fault[0])
		add(checks, "state directory", BERTH_DOCTOR_PROBLEM,
		    "correct it: berthd tries again every 10 s and at every change",
		    "%s; what operators set does not survive a reboot", state->saved_fault);
	if (state->session_save.error[0])
		add(checks, "state directory", BERTH_DOCTOR_PROBLEM,
		    "correct it: berthd tries again every `sessions.save`",
		    "the sessions are not saved: %s; a reboot would lose them", state->session_save.error);
	if (state->saved_damage[0])
		add(checks, "state directory", BERTH_DOCTOR_PROBLEM,
		    "set again what is missing, remove the damaged file, and restart berthd (forwarding goes on)",
		    "%s", state->saved_damage);
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

/* The engine's own report of a port: see its status. */
static void check_driver(const char *name, const json_t *status, json_t *checks)
{
	size_t i;
	json_t *port;
	json_array_foreach(json_object_get(status, "ports"), i, port)
	{
		const char *fault = json_string_value(json_object_get(port, "fault"));
		const char *of = json_string_value(json_object_get(port, "name"));
		if (of && fault && strcmp(of, name) == 0)
			add(checks, name, BERTH_DOCTOR_PROBLEM,
			    "docs/interfaces.md has the drivers and settings that work", "%s", fault);
	}
}

static void check_interface(const struct berth_interface_config *config, struct berth_rtnl *rtnl,
			    const json_t *status, json_t *checks)
{
	char advice[96] = "";
	struct berth_rtnl_link link;
	uint32_t ifindex = if_nametoindex(config->name);

	if (!ifindex || berth_rtnl_link(rtnl, ifindex, &link)) {
		add(checks, config->name, BERTH_DOCTOR_PROBLEM,
		    "ip link lists the interfaces; correct `interfaces` in the configuration",
		    "interface not found");
		return;
	}
	if (!link.is_up) {
		snprintf(advice, sizeof(advice), "ip link set dev %s up, and check the cable", config->name);
		add(checks, config->name, BERTH_DOCTOR_PROBLEM, advice, "the interface is down");
		return;
	}
	add(checks, config->name, BERTH_DOCTOR_OK, "", "up, MTU %u", link.mtu);
	check_driver(config->name, status, checks);
	if (config->xdp == BERTH_XDP_AUTO && is_generic(status, config->name))
		add(checks, config->name, BERTH_DOCTOR_NOTE,
		    "use a NIC whose driver supports XDP, which is several times faster; `xdp: generic` accepts "
		    "generic mode",
		    "its driver does not support XDP: the program runs in generic mode");
}

/* Reads a number below /proc/sys; -1: not readable. */
static int read_setting(const char *path)
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

/* In mode nat answers without a next hop pass to the kernel, with the service's address as source. */
static void check_nat(const struct berth_daemon_state *state, struct berth_rtnl *rtnl, json_t *checks)
{
	for (size_t i = 0; i < state->model->n_services; i++) {
		const struct berth_service_config *service = &state->model->services[i].config;
		struct berth_rtnl_route route = {0};
		if (!berth_mode_returns(service->mode) || !berth_addr_is4(&service->address))
			continue;
		if (read_setting("/proc/sys/net/ipv4/ip_forward") == 0)
			add(checks, service->name, BERTH_DOCTOR_NOTE,
			    "on berth's host: sysctl net.ipv4.ip_forward=1",
			    "nat: the kernel does not route answers that berth passes to it (verdict "
			    "returned_pass)");
		bool local = berth_rtnl_route(rtnl, &service->address, &route) == 0 && route.ifindex &&
			     !route.is_unicast;
		if (local && read_setting("/proc/sys/net/ipv4/conf/all/accept_local") == 0)
			add(checks, service->name, BERTH_DOCTOR_NOTE,
			    "on berth's host: sysctl net.ipv4.conf.all.accept_local=1",
			    "nat: the kernel drops answers that berth passes to it (verdict returned_pass), "
			    "because "
			    "their source is its own address");
	}
}

void berth_doctor_system(const struct berth_daemon_state *state, struct berth_rtnl *rtnl, json_t *checks)
{
	const struct berth_config *config = state->model->config;
	json_t *status = state->engine->ops->status(state->engine);

	check_engine(state, status, checks);
	check_state_directory(state, checks);
	for (size_t i = 0; i < config->n_interfaces; i++)
		check_interface(&config->interfaces[i], rtnl, status, checks);
	check_nat(state, rtnl, checks);
	json_decref(status);
}

/* The remedy for the most common reason that applies. */
static const char *eligible_remedy(const struct berth_eligible_count *count)
{
	return !count->n     ? "add backends to the service in the configuration"
	       : count->down ? "fix the servers or their health checks: berthctl show backends SERVICE"
	       : count->without_next_hop
		       ? "on berth's host, check routes and neighbours: ip route get ADDRESS; ip neigh"
	       : count->withdrawn ? "berthctl backend enable SERVICE/BACKEND, or set a weight above 0"
	       : count->unknown	  ? "wait for the first health checks: berthctl show backends SERVICE"
				  : "raise `max-flows`, or add backends";
}

void berth_doctor_service(const struct berth_model_service *service, json_t *checks)
{
	struct berth_eligible_count count;
	char reasons[BERTH_INELIGIBLE_TEXT];

	berth_eligible_count(service, &count);
	if (count.eligible)
		return;
	berth_eligible_explain(&count, false, reasons);
	add(checks, service->config.name, BERTH_DOCTOR_PROBLEM, eligible_remedy(&count), "no eligible backend: %s",
	    reasons);
}

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

static void explain_unresolved(const struct berth_config *config, const struct berth_rtnl_route *route,
			       struct berth_doctor_finding *finding)
{
	char interface[IF_NAMESIZE] = "";
	const char *text, *remedy;
	bool is_used = false;

	if_indextoname(route->ifindex, interface);
	for (size_t i = 0; i < config->n_interfaces; i++)
		is_used |= strcmp(config->interfaces[i].name, interface) == 0;
	if (!route->ifindex || !route->is_unicast) {
		text = "no route to it";
		remedy = "on berth's host, add a route: ip route add ADDRESS via GATEWAY";
	} else if (!is_used) {
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

bool berth_doctor_make_target(const struct berth_daemon_state *state, struct berth_rtnl *rtnl,
			      const struct berth_model_service *service, const struct berth_model_backend *backend,
			      struct berth_doctor_target *target, struct berth_doctor_finding *finding)
{
	const struct berth_next_hop *hop = &backend->next_hop;
	const struct berth_config *config = state->model->config;
	bool service4 = berth_addr_is4(&service->config.address);
	struct berth_rtnl_route route = {0};

	berth_rtnl_route(rtnl, &backend->config.address, &route);
	if (!hop->is_resolved) {
		explain_unresolved(config, &route, finding);
		return false;
	}
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
		.is_check_up = backend->health == BERTH_HEALTH_UP,
		.is_up = berth_model_health(backend) == BERTH_HEALTH_UP,
	};
	memcpy(target->dst_mac, hop->dst_mac, sizeof(target->dst_mac));
	memcpy(target->src_mac, hop->src_mac, sizeof(target->src_mac));
	if (service4 == berth_addr_is4(&target->backend))
		target->inner_source = hop->source;
	else
		find_source(service4, config->interfaces[hop->port].name, &target->inner_source);
	return true;
}
