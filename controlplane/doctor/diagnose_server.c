// SPDX-License-Identifier: BSD-3-Clause
/* Diagnosis of the next hop, of the server, and of the way from clients to berth and back. */
#include <netinet/in.h>
#include <stdio.h>

#include "controlplane/doctor/diagnosis.h"

enum {
	MAC_TEXT = sizeof("00:00:00:00:00:00"),
	HALF_OPEN_FLOWS = 3, /* fewer may be a client that has gone, or one that scans */
};

static const char *format_mac(const uint8_t mac[6], char text[MAC_TEXT])
{
	snprintf(text, MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	return text;
}

bool berth_doctor_check_next_hop(struct diagnosis *diagnosis)
{
	const struct berth_doctor_target *target = diagnosis->target;
	const struct berth_doctor_results *results = diagnosis->results;
	char address[BERTH_ADDRESS_TEXT], used[MAC_TEXT], other[MAC_TEXT];
	bool is_resolved = results->is_answered[BERTH_DOCTOR_RESOLVE];

	if (!results->has_other_mac || (!is_resolved && results->is_answered[BERTH_DOCTOR_DIRECT]))
		return false;
	berth_address_format(&target->next_hop, address);
	format_mac(target->dst_mac, used);
	format_mac(results->other_mac, other);
	if (is_resolved)
		berth_doctor_finding_remedy(
			berth_doctor_finding_new(diagnosis, BERTH_DOCTOR_PROBLEM,
						 "two hosts answer for its next hop %s: %s and %s", address, used,
						 other),
			"remove the address from one of them");
	else
		berth_doctor_finding_remedy(
			berth_doctor_finding_new(diagnosis, BERTH_DOCTOR_PROBLEM,
						 "wrong %s of its next hop %s: %s does not answer, %s does",
						 target->is_static ? "static link address" : "link address",
						 address, used, other),
			"on berth's host: ip neigh del %s dev %s", address, target->interface);
	return !is_resolved;
}

/* The check cannot run, so the backend's state does not follow the server. */
void berth_doctor_check_error(struct diagnosis *diagnosis)
{
	const struct berth_doctor_target *target = diagnosis->target;
	struct berth_doctor_finding *finding = berth_doctor_finding_new(
		diagnosis, BERTH_DOCTOR_PROBLEM, "its health check cannot run: %s", target->health_reason);
	if (target->is_check_stale)
		berth_doctor_finding_remedy(
			finding, "on this host: check limits (LimitNOFILE=, memory), links and routes; after "
				 "`stale` the check counts as failed");
	else
		berth_doctor_finding_remedy(
			finding, "fix `health` of the service, or the file's permissions: the check counts as "
				 "failed");
}

static void check_health(struct diagnosis *diagnosis)
{
	const struct berth_doctor_target *target = diagnosis->target;
	if (target->is_up == target->is_check_up) {
		if (!target->is_up)
			berth_doctor_finding_remedy(
				berth_doctor_finding_new(diagnosis, BERTH_DOCTOR_PROBLEM,
							 "its health check fails: %s", target->health_reason),
				"start the server; if it answers others, compare `health` with it, and check the "
				"firewalls of both hosts (nft list ruleset)");
		return;
	}
	berth_doctor_finding_remedy(
		berth_doctor_finding_new(diagnosis, BERTH_DOCTOR_NOTE,
					 "forced %s by an operator; its health check reports: %s",
					 target->is_up ? "up" : "down", target->health_reason),
		"berthctl backend health SERVICE/BACKEND auto ends the override");
}

/* The server behind a path that is fine. Datagrams that are not answered mean nothing. */
static void check_port(struct diagnosis *diagnosis)
{
	const struct berth_doctor_target *target = diagnosis->target;
	const struct berth_doctor_results *results = diagnosis->results;
	const union berth_addr *address = berth_mode_returns(target->mode) ? &target->backend : &target->service;
	const char *protocol = target->protocol == IPPROTO_TCP ? "TCP" : "UDP";
	char text[BERTH_ADDRESS_TEXT];

	berth_address_format(address, text);
	if (!target->port || results->is_answered[BERTH_DOCTOR_PORT])
		return;
	if (results->is_port_refused)
		berth_doctor_finding_remedy(
			berth_doctor_finding_new(diagnosis, BERTH_DOCTOR_PROBLEM,
						 "refuses %s port %u at %s: no server listens there", protocol,
						 target->port, text),
			"on the backend: start the server, and let it listen on %s or on all addresses (ss -ln "
			"shows where it does)",
			text);
	else if (results->is_port_prohibited || target->protocol == IPPROTO_TCP)
		berth_doctor_finding_remedy(
			berth_doctor_finding_new(
				diagnosis, BERTH_DOCTOR_PROBLEM,
				"answers pings at %s, but %s %s port %u: a firewall %s it%s", text,
				results->is_port_prohibited ? "rejects" : "does not answer", protocol, target->port,
				results->is_port_prohibited ? "rejects" : "drops",
				results->is_port_prohibited ? "" : ", or the server accepts nothing"),
			"on the backend: allow %s port %u to %s (nft list ruleset)", protocol, target->port, text);
}

/* Berth does not see the answers of modes other than nat, but a client that gets them completes its handshake. */
static void check_answers(struct diagnosis *diagnosis)
{
	const struct berth_doctor_target *target = diagnosis->target;
	if (target->half_open < HALF_OPEN_FLOWS || target->half_open != target->flows)
		return;
	berth_doctor_finding_remedy(
		berth_doctor_finding_new(diagnosis, BERTH_DOCTOR_PROBLEM,
					 "clients get no answer: all of its %llu flows are half-open, although it "
					 "answers berth",
					 (unsigned long long)target->half_open),
		"on the backend: ip route get CLIENT from %s, and check its firewall; on routers between it and "
		"the clients: filters of source addresses",
		diagnosis->service);
}

void berth_doctor_check_server(struct diagnosis *diagnosis)
{
	size_t before = diagnosis->n;
	check_health(diagnosis);
	if (diagnosis->n == before || diagnosis->target->is_up)
		check_port(diagnosis);
	if (diagnosis->n == before)
		check_answers(diagnosis);
}

void berth_doctor_check_route(struct diagnosis *diagnosis)
{
	const struct berth_doctor_target *target = diagnosis->target;
	const struct berth_doctor_results *results = diagnosis->results;
	char gateway[BERTH_ADDRESS_TEXT], source[BERTH_ADDRESS_TEXT];

	if (results->is_answered[BERTH_DOCTOR_ROUTE])
		return;
	berth_address_format(&target->next_hop, gateway);
	berth_doctor_finding_remedy(
		results->has_no_route
			? berth_doctor_finding_new(diagnosis, BERTH_DOCTOR_PROBLEM,
						   "%s is not routed to berth: the gateway %s has no route to it",
						   diagnosis->service, gateway)
			: berth_doctor_finding_new(diagnosis, BERTH_DOCTOR_NOTE,
						   "a packet to %s that this host sends to its gateway %s does not "
						   "come back: it is routed elsewhere, or the gateway filters it",
						   diagnosis->service, gateway),
		"on the router: a route to %s via %s", diagnosis->service,
		berth_address_format(&target->source, source));
}
