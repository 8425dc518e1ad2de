// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/doctor/system.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/doctor/cluster.h"
#include "controlplane/model/eligible.h"
#include "controlplane/model/panic.h"

static void check_state_directory(const struct berth_daemon_state *state, json_t *checks)
{
	if (state->saved_fault[0])
		berth_doctor_addf(checks, "state directory", BERTH_DOCTOR_PROBLEM,
				  "correct it: berthd tries again every 10 s and at every change",
				  "%s; what operators set does not survive a reboot", state->saved_fault);
	if (state->session_save.error[0])
		berth_doctor_addf(checks, "state directory", BERTH_DOCTOR_PROBLEM,
				  "correct it: berthd tries again every `sessions.save`",
				  "the sessions are not saved: %s; a reboot would lose them",
				  state->session_save.error);
	if (state->saved_damage[0])
		berth_doctor_addf(
			checks, "state directory", BERTH_DOCTOR_PROBLEM,
			"set again what is missing, remove the damaged file, and restart berthd (forwarding "
			"goes on)",
			"%s", state->saved_damage);
}

static void check_host(const struct berth_daemon_state *state, json_t *checks)
{
	if (state->netlink && berth_netlink_status(state->netlink).error)
		berth_doctor_addf(
			checks, "network", BERTH_DOCTOR_PROBLEM, "journalctl -u berthd shows since when",
			"the kernel's routes and neighbours cannot be read (%s): the last known next hops are used",
			strerror(-berth_netlink_status(state->netlink).error));
	if (state->metrics_fault && state->metrics_fault[0])
		berth_doctor_addf(checks, "metrics", BERTH_DOCTOR_PROBLEM, "ip address lists this host's addresses",
				  "%s", state->metrics_fault);
}

static void check_helpers(const struct berth_daemon_state *state, json_t *checks)
{
	for (int i = 0; i < BERTH_HELPERS; i++) {
		const struct berth_helper_status *status = state->helpers[i]
								   ? berth_helper_status(state->helpers[i])
								   : NULL;
		if (!status || !status->fault[0])
			continue;
		if (!status->is_running)
			berth_doctor_addf(checks, "helper", BERTH_DOCTOR_PROBLEM,
					  "journalctl -u berthd shows why; berthd starts it again",
					  "the helper for %s does not run (%s): what it did last stays in use",
					  status->name, status->fault);
		else
			berth_doctor_addf(checks, "helper", BERTH_DOCTOR_NOTE,
					  "journalctl -u berthd shows when and how it ended",
					  "the helper for %s was restarted %" PRIu64 " times, the last time: %s",
					  status->name, status->restarts, status->fault);
	}
}

static void check_health(const struct berth_daemon_state *state, json_t *checks)
{
	const struct berth_health_delays *delays = state->health ? berth_health_delays(state->health) : NULL;
	if (delays && delays->is_behind)
		berth_doctor_addf(
			checks, "health checks", BERTH_DOCTOR_PROBLEM,
			"longer intervals, fewer checks (of type exec 16 run at once), or more processor time for "
			"berthd and its helpers on this host",
			"%u of %u checks came half of their interval late or later: deaths are found late",
			delays->of_late, delays->probes);
}

static void check_announced(const struct berth_daemon_state *state, json_t *checks)
{
	char reason[BERTH_ERROR_BYTES];
	for (size_t i = 0; i < state->model->n_services; i++) {
		const struct berth_model_service *service = &state->model->services[i];
		if (!berth_announcer_explain(state->announcer, &state->node, &state->model->config->announce,
					     service, reason))
			continue;
		berth_doctor_addf(checks, service->config.name,
				  state->node.is_drained ? BERTH_DOCTOR_NOTE : BERTH_DOCTOR_PROBLEM,
				  "berthctl show node lists what is announced", "not announced by this node: %s",
				  reason);
	}
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
			berth_doctor_addf(checks, service->name, BERTH_DOCTOR_NOTE,
					  "on berth's host: sysctl net.ipv4.ip_forward=1",
					  "nat: the kernel does not route answers that berth passes to it (verdict "
					  "returned_pass)");
		bool local = berth_rtnl_route(rtnl, &service->address, &route) == 0 && route.ifindex &&
			     !route.is_unicast;
		if (local && read_setting("/proc/sys/net/ipv4/conf/all/accept_local") == 0)
			berth_doctor_addf(
				checks, service->name, BERTH_DOCTOR_NOTE,
				"on berth's host: sysctl net.ipv4.conf.all.accept_local=1",
				"nat: the kernel drops answers that berth passes to it (verdict returned_pass), "
				"because their source is its own address");
	}
}

void berth_doctor_system(const struct berth_daemon_state *state, struct berth_rtnl *rtnl, json_t *checks)
{
	const struct berth_config *config = state->model->config;
	json_t *status = state->engine->ops->status(state->engine);

	berth_doctor_engine(state, status, checks);
	berth_doctor_tables(state, checks);
	berth_doctor_nodes(state, status, checks);
	check_state_directory(state, checks);
	check_host(state, checks);
	check_helpers(state, checks);
	check_health(state, checks);
	berth_doctor_cluster(state, checks);
	check_announced(state, checks);
	for (size_t i = 0; i < config->n_interfaces; i++)
		berth_doctor_link(state, i, rtnl, status, checks);
	berth_doctor_dpdk_ports(state, status, checks);
	check_nat(state, rtnl, checks);
	json_decref(status);
}

/* The remedy for the most common reason that applies. */
static const char *eligible_remedy(const struct berth_eligible_count *count)
{
	return !count->n ? "add backends to the service in the configuration"
	       : count->down || count->without_next_hop
		       ? "the findings about its backends say what to fix: berthctl doctor SERVICE"
	       : count->withdrawn ? "berthctl backend enable SERVICE/BACKEND, or set a weight above 0"
	       : count->unknown	  ? "wait for the first health checks: berthctl show backends SERVICE"
				  : "raise `max-flows`, or add backends";
}

static void add_panic(const struct berth_model_service *service, json_t *checks)
{
	size_t n, down;
	berth_panic_count(service, &n, &down);
	berth_doctor_addf(checks, service->config.name, BERTH_DOCTOR_PROBLEM,
			  "check this host's links, routes and firewall first, then the servers: berthctl doctor "
			  "SERVICE",
			  "panic: %zu of %zu backends are down; those that were up last stay in use", down, n);
}

static void add_limited(const struct berth_model_service *service, json_t *checks)
{
	berth_doctor_addf(checks, service->config.name, BERTH_DOCTOR_PROBLEM,
			  "berthctl show stats tells which: source_limited or service_limited; find the flood, or "
			  "raise the limit in `new-flows`",
			  "new flows are over a limit: new clients are dropped");
}

void berth_doctor_service(const struct berth_model_service *service, json_t *checks)
{
	struct berth_eligible_count count;
	char reasons[BERTH_INELIGIBLE_TEXT];

	if (service->panic)
		add_panic(service, checks);
	if (service->is_limited)
		add_limited(service, checks);
	berth_eligible_count(service, &count);
	if (count.eligible)
		return;
	berth_eligible_summarize(&count, reasons);
	berth_doctor_addf(checks, service->config.name, BERTH_DOCTOR_PROBLEM, eligible_remedy(&count),
			  "no eligible backend: %s", reasons);
}
