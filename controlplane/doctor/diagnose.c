// SPDX-License-Identifier: BSD-3-Clause
/* Diagnosis: findings and remedies from the results of probes. The commands are those of docs/backends.md. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/doctor/diagnosis.h"
#include "controlplane/model/path_mtu.h"

static bool is4(const union berth_addr *address)
{
	return berth_addr_is4(address);
}

/* Protocol number in the outer IP header. */
static uint8_t outer_protocol(const struct berth_doctor_target *target)
{
	return (uint8_t)berth_mode_protocol(target->mode, !is4(&target->service));
}

struct berth_doctor_finding *berth_doctor_finding_new(struct diagnosis *diagnosis, enum berth_doctor_level level,
						      const char *format, ...)
{
	struct berth_doctor_finding *finding = &diagnosis->findings[diagnosis->n++];
	va_list args;
	*finding = (struct berth_doctor_finding){.level = level};
	va_start(args, format);
	vsnprintf(finding->text, sizeof(finding->text), format, args);
	va_end(args);
	return finding;
}

void berth_doctor_finding_remedy(struct berth_doctor_finding *finding, const char *format, ...)
{
	size_t used = strlen(finding->remedy);
	va_list args;
	va_start(args, format);
	vsnprintf(finding->remedy + used, sizeof(finding->remedy) - used, format, args);
	va_end(args);
}

static const char *mode_name(const struct berth_doctor_target *target)
{
	return berth_mode_name(target->mode);
}

/* A Linux tunnel device that decapsulates. */
struct tunnel_device {
	const char *name;
	const char *module;
	const char *setup; /* command that makes it accept both inner families, with " && "; or "" */
};

static struct tunnel_device find_tunnel_device(const struct berth_doctor_target *target)
{
	if (is4(&target->backend))
		return is4(&target->service) ? (struct tunnel_device){"tunl0", "ipip", ""}
					     : (struct tunnel_device){"sit0", "sit", ""};
	/* By default ip6tnl0 accepts inner IPv6 only. */
	return (struct tunnel_device){"ip6tnl0", "ip6_tunnel",
				      is4(&target->service) ? "ip -6 tunnel change ip6tnl0 mode any && " : ""};
}

static void add_decap_remedy(const struct berth_doctor_target *target, struct berth_doctor_finding *finding)
{
	const struct tunnel_device device = find_tunnel_device(target);
	bool outer4 = is4(&target->backend);
	berth_doctor_finding_remedy(finding, "on the backend: ");
	if (berth_mode_has_tunnel_port(target->mode))
		berth_doctor_finding_remedy(finding, "modprobe %s && ip %sfou add port %u gue && ",
					    outer4 ? "fou" : "fou6", outer4 ? "" : "-6 ", target->gue_port);
	berth_doctor_finding_remedy(finding, "modprobe %s && %sip link set %s up", device.module, device.setup,
				    device.name);
	if (is4(&target->service))
		berth_doctor_finding_remedy(finding,
					    " && sysctl net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.%s.rp_filter=0",
					    device.name);
	berth_doctor_finding_remedy(finding, "; or, without these modules: berth-decap attach eth0");
	if (berth_mode_has_tunnel_port(target->mode) && target->gue_port != 6080)
		berth_doctor_finding_remedy(finding, " --gue-port %u", target->gue_port);
}

static void add_address_remedy(const struct berth_doctor_target *target, struct berth_doctor_finding *finding)
{
	char text[BERTH_PREFIX_TEXT];
	if (target->bits < BERTH_ADDRESS_BITS)
		berth_doctor_finding_remedy(finding, "ip route add local %s dev lo",
					    berth_prefix_format(&target->prefix, target->bits, text));
	else
		berth_doctor_finding_remedy(finding, "ip addr add %s/%d dev lo",
					    berth_address_format(&target->service, text),
					    is4(&target->service) ? 32 : 128);
}

static void report_large_lost(struct diagnosis *diagnosis, const char *address)
{
	const struct berth_doctor_target *target = diagnosis->target;
	uint16_t overhead = berth_doctor_overhead(target), large = berth_doctor_large_bytes(target);
	struct berth_doctor_finding *finding = berth_doctor_finding_new(
		diagnosis, BERTH_DOCTOR_PROBLEM, "%s: %s answers small packets, but no packet of %u bytes",
		mode_name(target), address, large);
	berth_doctor_finding_remedy(finding, "on every host and switch of the path: ip link set dev eth0 mtu %u",
				    large + overhead);
	if (overhead)
		berth_doctor_finding_remedy(finding, " (%u bytes and %u bytes of encapsulation)", large, overhead);
	berth_doctor_finding_remedy(finding, "; or reduce the clients' packets: docs/backends.md, MTU");
	if (diagnosis->results->path_mtu) {
		size_t used = strlen(finding->text);
		snprintf(finding->text + used, sizeof(finding->text) - used, "; a router reports a path MTU of %u",
			 diagnosis->results->path_mtu);
	}
}

/* Clients can reduce their packets: berth tells them. */
static void report_narrow(struct diagnosis *diagnosis, const char *address, uint32_t mtu, const char *known_from)
{
	const struct berth_doctor_target *target = diagnosis->target;
	uint32_t overhead = berth_doctor_overhead(target);
	berth_doctor_finding_remedy(
		berth_doctor_finding_new(
			diagnosis, BERTH_DOCTOR_NOTE,
			"%s: %s answers; the path's MTU of %u%s limits clients to packets of at most %u bytes; "
			"berth answers larger ones with an ICMP error",
			mode_name(target), address, mtu, known_from, mtu - overhead),
		"set an MTU of %u between berth and the backend; or see docs/backends.md, MTU",
		BERTH_DOCTOR_CLIENT_BYTES + overhead);
}

/* Whether berth uses what the router reports. */
static bool is_report_used(const struct diagnosis *diagnosis)
{
	const struct berth_doctor_target *target = diagnosis->target;
	return berth_mode_encapsulates(target->mode) &&
	       diagnosis->results->path_mtu >=
		       berth_path_mtu_floor(target->mode, is4(&target->service), is4(&target->backend));
}

/* Small packets arrive; checks large ones. */
static void check_size(struct diagnosis *diagnosis)
{
	const struct berth_doctor_target *target = diagnosis->target;
	const char *address = berth_mode_returns(target->mode) ? "its own address" : diagnosis->service;
	uint16_t overhead = berth_doctor_overhead(target), large = berth_doctor_large_bytes(target);

	if (!diagnosis->results->is_answered[BERTH_DOCTOR_LARGE]) {
		if (is_report_used(diagnosis))
			report_narrow(diagnosis, address, diagnosis->results->path_mtu,
				      ", which a router reports,");
		else
			report_large_lost(diagnosis, address);
		return;
	}
	if (large >= BERTH_DOCTOR_CLIENT_BYTES || overhead == 0) {
		berth_doctor_finding_new(diagnosis, BERTH_DOCTOR_OK, "%s: %s answers packets of up to %u bytes",
					 mode_name(target), address, large);
		return;
	}
	report_narrow(diagnosis, address, target->mtu, "");
}

/* The DIRECT probe is unanswered, too. */
static void report_silence(struct diagnosis *diagnosis)
{
	const struct berth_doctor_target *target = diagnosis->target;
	struct berth_doctor_finding *finding;
	if (target->is_check_up) {
		finding = berth_doctor_finding_new(
			diagnosis, BERTH_DOCTOR_NOTE,
			"its health check succeeds, but it answers no pings: not tested further");
		berth_doctor_finding_remedy(finding, "allow ICMP echo requests from berth's host");
	} else {
		finding = berth_doctor_finding_new(diagnosis, BERTH_DOCTOR_PROBLEM,
						   "no answer at all (health check: %s)", target->health_reason);
		berth_doctor_finding_remedy(
			finding, "check that the backend is running and that its firewall allows berth's host");
	}
	/* One host may be a backend of many services, whose checks fail with different words. */
	snprintf(finding->cause, sizeof(finding->cause), "silent %u %02x%02x%02x%02x%02x%02x", target->ifindex,
		 target->dst_mac[0], target->dst_mac[1], target->dst_mac[2], target->dst_mac[3], target->dst_mac[4],
		 target->dst_mac[5]);
	if (!target->is_on_link) {
		size_t used = strlen(finding->cause);
		char address[BERTH_ADDRESS_TEXT];
		snprintf(finding->cause + used, sizeof(finding->cause) - used, " %s",
			 berth_address_format(&target->backend, address));
	}
	finding->is_silence = true;
}

/* "UDP port 6080", "protocol 4" */
static void format_protocol(const struct berth_doctor_target *target, char text[32])
{
	if (berth_mode_has_tunnel_port(target->mode))
		snprintf(text, 32, "UDP port %u", target->gue_port);
	else
		snprintf(text, 32, "protocol %d", outer_protocol(target));
}

/* It answers DIRECT, but no encapsulated packet, and sends no ICMP error. Loose rp_filter also drops packets on a
 * device without an address. */
static void report_dropped(struct diagnosis *diagnosis)
{
	const struct berth_doctor_target *target = diagnosis->target;
	const struct tunnel_device device = find_tunnel_device(target);
	bool inner4 = is4(&target->service);
	/* The DECAP probe needs one family, so it cannot show if the service's address is missing. */
	bool is_mixed = is4(&target->backend) != inner4;
	char protocol[32];
	format_protocol(target, protocol);
	struct berth_doctor_finding *finding = berth_doctor_finding_new(
		diagnosis, BERTH_DOCTOR_PROBLEM,
		"answers pings, but drops %s packets without an ICMP error: %s%sa firewall drops %s",
		mode_name(target), inner4 ? "rp_filter on the tunnel device, or " : "",
		is_mixed ? "the service's address is missing, or " : "", protocol);
	if (inner4 || is_mixed)
		berth_doctor_finding_remedy(finding, "on the backend: ");
	if (inner4)
		berth_doctor_finding_remedy(finding,
					    "%ssysctl net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.%s.rp_filter=0; ",
					    device.setup, device.name);
	if (is_mixed) {
		add_address_remedy(target, finding);
		berth_doctor_finding_remedy(finding, "; ");
	}
	berth_doctor_finding_remedy(finding, "%sallow %s from berth's host", inner4 || is_mixed ? "and " : "",
				    protocol);
}

static void report_missing_address(struct diagnosis *diagnosis, const char *format)
	__attribute__((format(printf, 2, 0)));

/* `format` takes the service's address. */
static void report_missing_address(struct diagnosis *diagnosis, const char *format)
{
	struct berth_doctor_finding *finding = berth_doctor_finding_new(diagnosis, BERTH_DOCTOR_PROBLEM, format,
									diagnosis->service);
	berth_doctor_finding_remedy(finding, "on the backend: ");
	add_address_remedy(diagnosis->target, finding);
}

static void check_tunnel(struct diagnosis *diagnosis)
{
	const struct berth_doctor_results *results = diagnosis->results;
	const struct berth_doctor_target *target = diagnosis->target;
	const char *mode = mode_name(target);
	char protocol[32];

	format_protocol(target, protocol);
	if (results->is_answered[BERTH_DOCTOR_SERVICE])
		check_size(diagnosis);
	else if (results->is_answered[BERTH_DOCTOR_UDP_CHECKSUM])
		berth_doctor_finding_remedy(
			berth_doctor_finding_new(
				diagnosis, BERTH_DOCTOR_PROBLEM,
				"accepts gue only with an outer UDP checksum, which berth omits (RFC 6935)"),
			"on the backend: use `ip -6 fou` or `berth-decap attach eth0`; both accept packets "
			"without");
	else if (results->is_answered[BERTH_DOCTOR_DECAP])
		report_missing_address(diagnosis,
				       "decapsulates, but does not answer at %s: the service's address is missing");
	else if (results->is_unreachable)
		add_decap_remedy(
			target, berth_doctor_finding_new(diagnosis, BERTH_DOCTOR_PROBLEM,
							 "rejects %s as unreachable: nothing on it decapsulates %s",
							 protocol, mode));
	else if (results->is_prohibited)
		berth_doctor_finding_remedy(berth_doctor_finding_new(diagnosis, BERTH_DOCTOR_PROBLEM,
								     "a firewall on the path rejects %s", mode),
					    "allow %s from berth's host", protocol);
	else if (results->is_answered[BERTH_DOCTOR_DIRECT])
		report_dropped(diagnosis);
	else
		report_silence(diagnosis);
}

static void check_l2(struct diagnosis *diagnosis)
{
	const struct berth_doctor_results *results = diagnosis->results;

	if (!diagnosis->target->is_on_link)
		berth_doctor_finding_remedy(
			berth_doctor_finding_new(
				diagnosis, BERTH_DOCTOR_PROBLEM,
				"its route leads over a router; mode %s needs a backend on berth's own link",
				mode_name(diagnosis->target)),
			"set mode: ipip or gue for this service, or change the route to the backend");
	else if (results->is_answered[BERTH_DOCTOR_SERVICE])
		check_size(diagnosis);
	else if (results->is_answered[BERTH_DOCTOR_DIRECT])
		report_missing_address(
			diagnosis, "answers at its own address, but not at %s: the service's address is missing");
	else
		report_silence(diagnosis);
}

static void check_nat(struct diagnosis *diagnosis)
{
	const struct berth_doctor_results *results = diagnosis->results;
	bool is_direct = results->is_answered[BERTH_DOCTOR_DIRECT];
	char gateway[BERTH_ADDRESS_TEXT];

	if (results->is_answered[BERTH_DOCTOR_RETURN] && !results->returns_via_router) {
		check_size(diagnosis);
	} else if (is_direct || results->returns_via_router) {
		const char *cause = results->returns_via_router
					    ? "return via another router: berth is not its gateway"
					    : "do not return via berth: berth is not its gateway, or it owns the "
					      "service's address";
		berth_doctor_finding_remedy(berth_doctor_finding_new(diagnosis, BERTH_DOCTOR_PROBLEM,
								     "nat: its answers to clients %s", cause),
					    "on the backend: ip %sroute replace default via %s",
					    is4(&diagnosis->target->backend) ? "" : "-6 ",
					    berth_address_format(&diagnosis->target->source, gateway));
	} else {
		report_silence(diagnosis);
	}
}

static void report_neighbor(struct diagnosis *diagnosis)
{
	if (is4(&diagnosis->target->service))
		berth_doctor_finding_remedy(
			berth_doctor_finding_new(
				diagnosis, BERTH_DOCTOR_PROBLEM,
				"answers ARP requests for %s: it diverts the service's packets from berth",
				diagnosis->service),
			"on the backend: sysctl net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2, "
			"and configure the address on lo only");
	else
		berth_doctor_finding_remedy(
			berth_doctor_finding_new(
				diagnosis, BERTH_DOCTOR_PROBLEM,
				"answers neighbour solicitations for %s: it diverts the service's packets from "
				"berth",
				diagnosis->service),
			"on the backend: ip addr del %s/128 dev eth0 && ip addr add %s/128 dev lo",
			diagnosis->service, diagnosis->service);
}

size_t berth_doctor_diagnose(const struct berth_doctor_target *target, const struct berth_doctor_results *results,
			     struct berth_doctor_finding findings[BERTH_DOCTOR_FINDINGS])
{
	struct diagnosis diagnosis = {.target = target, .results = results, .findings = findings};
	bool has_source = target->inner_source.half[0] || target->inner_source.half[1];

	berth_address_format(&target->service, diagnosis.service);
	if (target->is_route) {
		berth_doctor_check_route(&diagnosis);
		return diagnosis.n;
	}
	if (berth_doctor_check_next_hop(&diagnosis))
		return diagnosis.n;
	if (results->answers_neighbor)
		report_neighbor(&diagnosis);
	if (!has_source)
		berth_doctor_finding_new(&diagnosis, BERTH_DOCTOR_NOTE,
					 "this host has no %s address to test %s from",
					 is4(&target->service) ? "IPv4" : "IPv6", diagnosis.service);
	else if (berth_mode_encapsulates(target->mode))
		check_tunnel(&diagnosis);
	else if (berth_mode_returns(target->mode))
		check_nat(&diagnosis);
	else
		check_l2(&diagnosis);
	bool is_path_fine = findings[diagnosis.n - 1].level == BERTH_DOCTOR_OK;
	if (target->is_check_misconfigured || target->is_check_stale)
		berth_doctor_check_error(&diagnosis);
	else if (is_path_fine)
		berth_doctor_check_server(&diagnosis);
	return diagnosis.n;
}
