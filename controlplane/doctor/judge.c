// SPDX-License-Identifier: BSD-3-Clause
/* What answers mean. The commands are those of docs/backends.md. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/doctor/probe.h"
#include "controlplane/util/address.h"

/* What is said of one target. */
struct verdict {
	const struct berth_doctor_target *target;
	const struct berth_doctor_evidence *evidence;
	struct berth_doctor_finding *findings;
	size_t n;
	char service[BERTH_ADDRESS_TEXT];
};

static bool is4(const union berth_addr *address)
{
	return berth_addr_is4(address);
}

/* What comes in the outer header as its protocol. */
static uint8_t outer_protocol(const struct berth_doctor_target *target)
{
	return (uint8_t)berth_mode_protocol(target->mode, !is4(&target->service));
}

static bool is_about(const struct berth_doctor_target *target, const struct berth_doctor_seen *seen)
{
	return berth_mode_encapsulates(target->mode) && berth_addr_equal(&seen->about, &target->backend) &&
	       seen->protocol == outer_protocol(target) &&
	       (!berth_mode_has_tunnel_port(target->mode) || seen->port == target->gue_port);
}

static void learn_answer(const struct berth_doctor_target *target, struct berth_doctor_evidence *evidence,
			 const struct berth_doctor_seen *seen, bool from_backend)
{
	enum berth_doctor_probe probe = seen->tag.probe;
	bool to_service = (probe == BERTH_DOCTOR_SERVICE || probe == BERTH_DOCTOR_BIG ||
			   probe == BERTH_DOCTOR_SUMMED) &&
			  !berth_mode_returns(target->mode);
	if (!berth_addr_equal(&seen->from, to_service ? &target->service : &target->backend))
		return;
	evidence->answered[probe] = true;
	if (probe == BERTH_DOCTOR_RETURN)
		evidence->by_other = !from_backend;
}

void berth_doctor_learn(const struct berth_doctor_target *target, struct berth_doctor_evidence *evidence,
			const struct berth_doctor_seen *seen, const uint8_t mac[6])
{
	bool from_backend = memcmp(mac, target->dst_mac, sizeof(target->dst_mac)) == 0;
	switch (seen->word) {
	case BERTH_DOCTOR_ANSWERED:
		learn_answer(target, evidence, seen, from_backend);
		break;
	case BERTH_DOCTOR_REFUSED:
		evidence->refused |= is_about(target, seen) && berth_addr_equal(&seen->from, &target->backend);
		break;
	case BERTH_DOCTOR_FORBIDDEN:
		evidence->forbidden |= is_about(target, seen);
		break;
	case BERTH_DOCTOR_TOO_BIG:
		if (is_about(target, seen))
			evidence->mtu = seen->mtu;
		break;
	case BERTH_DOCTOR_CLAIMED:
		evidence->claimed |= target->on_link && from_backend && !berth_mode_returns(target->mode) &&
				     berth_addr_equal(&seen->about, &target->service);
		break;
	case BERTH_DOCTOR_NOTHING:
		break;
	}
}

static struct berth_doctor_finding *find(struct verdict *verdict, enum berth_doctor_level level, const char *format,
					 ...) __attribute__((format(printf, 3, 4)));

/* A finding without advice. */
static struct berth_doctor_finding *find(struct verdict *verdict, enum berth_doctor_level level, const char *format,
					 ...)
{
	struct berth_doctor_finding *finding = &verdict->findings[verdict->n++];
	va_list args;
	finding->level = level;
	finding->advice[0] = '\0';
	va_start(args, format);
	vsnprintf(finding->seen, sizeof(finding->seen), format, args);
	va_end(args);
	return finding;
}

static void advise(struct berth_doctor_finding *finding, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void advise(struct berth_doctor_finding *finding, const char *format, ...)
{
	size_t used = strlen(finding->advice);
	va_list args;
	va_start(args, format);
	vsnprintf(finding->advice + used, sizeof(finding->advice) - used, format, args);
	va_end(args);
}

static const char *mode_name(const struct berth_doctor_target *target)
{
	return berth_mode_name(target->mode);
}

/* A kernel's device that takes the outer header off, its module, and what makes it take all of what comes. */
struct device {
	const char *name;
	const char *module;
	const char *also;
};

static struct device device_of(const struct berth_doctor_target *target)
{
	if (is4(&target->backend))
		return is4(&target->service) ? (struct device){"tunl0", "ipip", ""}
					     : (struct device){"sit0", "sit", ""};
	/* By itself it takes IPv6 alone. */
	return (struct device){"ip6tnl0", "ip6_tunnel",
			       is4(&target->service) ? "ip -6 tunnel change ip6tnl0 mode any && " : ""};
}

static void advise_decapsulation(const struct berth_doctor_target *target, struct berth_doctor_finding *finding)
{
	const struct device device = device_of(target);
	bool outer4 = is4(&target->backend);
	advise(finding, "on the backend: ");
	if (berth_mode_has_tunnel_port(target->mode))
		advise(finding, "modprobe %s && ip %sfou add port %u gue && ", outer4 ? "fou" : "fou6",
		       outer4 ? "" : "-6 ", target->gue_port);
	advise(finding, "modprobe %s && %sip link set %s up", device.module, device.also, device.name);
	if (is4(&target->service))
		advise(finding, " && sysctl net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.%s.rp_filter=0",
		       device.name);
	advise(finding, "; or, where there are no such modules: berth-decap attach eth0");
	if (berth_mode_has_tunnel_port(target->mode) && target->gue_port != 6080)
		advise(finding, " --gue-port %u", target->gue_port);
}

static void advise_address(const struct berth_doctor_target *target, struct berth_doctor_finding *finding)
{
	char text[BERTH_PREFIX_TEXT];
	if (target->bits < BERTH_ADDRESS_BITS)
		advise(finding, "ip route add local %s dev lo",
		       berth_prefix_format(&target->prefix, target->bits, text));
	else
		advise(finding, "ip addr add %s/%d dev lo", berth_address_format(&target->service, text),
		       is4(&target->service) ? 32 : 128);
}

/* The large ones, where small ones come through. */
static void judge_size(struct verdict *verdict)
{
	const struct berth_doctor_target *target = verdict->target;
	const char *what = berth_mode_returns(target->mode) ? "its own address" : verdict->service;
	uint16_t outer = berth_doctor_outer_bytes(target), big = berth_doctor_big_bytes(target);
	struct berth_doctor_finding *finding;

	if (!verdict->evidence->answered[BERTH_DOCTOR_BIG]) {
		finding = find(verdict, BERTH_DOCTOR_WRONG, "%s: %s answers small packets, but not one of %u bytes",
			       mode_name(target), what, big);
		advise(finding, "on every host and switch of the way: ip link set dev eth0 mtu %u", big + outer);
		if (outer)
			advise(finding, " (%u bytes and %u of outer header)", big, outer);
		advise(finding, ", or have clients send less: docs/backends.md, MTU");
		if (verdict->evidence->mtu) {
			size_t used = strlen(finding->seen);
			snprintf(finding->seen + used, sizeof(finding->seen) - used,
				 "; a router on the way says %u", verdict->evidence->mtu);
		}
		return;
	}
	if (big >= BERTH_DOCTOR_CLIENT_BYTES || outer == 0) {
		find(verdict, BERTH_DOCTOR_OK, "%s: %s answers, packets of %u bytes too", mode_name(target), what,
		     big);
		return;
	}
	finding = find(
		verdict, BERTH_DOCTOR_NOTE,
		"%s: %s answers; the MTU of the way is %u, so clients must send at most %u bytes at once, and "
		"are told so when they send more",
		mode_name(target), what, target->mtu, big);
	advise(finding,
	       "an MTU of %u on the way from berth to the backend spares them that; or see docs/backends.md, MTU",
	       BERTH_DOCTOR_CLIENT_BYTES + outer);
}

/* Not even the plain ping is answered. */
static void judge_silence(struct verdict *verdict)
{
	struct berth_doctor_finding *finding;
	if (verdict->target->alive) {
		finding = find(verdict, BERTH_DOCTOR_NOTE,
			       "its health check is fine, but it answers no pings: nothing more can be told");
		advise(finding, "let ICMP echo requests from berth's host in");
	} else {
		finding = find(verdict, BERTH_DOCTOR_WRONG, "does not answer at all (health check: %s)",
			       verdict->target->health_reason);
		advise(finding, "is the backend running, and does its firewall let berth's host in?");
	}
}

/* It answers plain pings and nothing through the tunnel, and does not say why. A device without an address fails
 * loose rp_filter, too. */
static void judge_swallowed(struct verdict *verdict)
{
	const struct berth_doctor_target *target = verdict->target;
	const struct device device = device_of(target);
	bool inner4 = is4(&target->service);
	bool mixed = is4(&target->backend) != inner4; /* nothing told whether the service's address is there */
	char what[32];
	if (berth_mode_has_tunnel_port(target->mode))
		snprintf(what, sizeof(what), "UDP port %u", target->gue_port);
	else
		snprintf(what, sizeof(what), "protocol %d", outer_protocol(target));
	struct berth_doctor_finding *finding = find(
		verdict, BERTH_DOCTOR_WRONG,
		"answers pings, but nothing that comes through %s, and does not refuse it: %s%sa firewall drops %s",
		mode_name(target), inner4 ? "rp_filter on the tunnel device, or " : "",
		mixed ? "the service's address is missing, or " : "", what);
	if (inner4 || mixed)
		advise(finding, "on the backend: ");
	if (inner4)
		advise(finding, "%ssysctl net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.%s.rp_filter=0; ",
		       device.also, device.name);
	if (mixed) {
		advise_address(target, finding);
		advise(finding, "; ");
	}
	advise(finding, "and let %s from berth's host in", what);
}

static void judge_tunnel(struct verdict *verdict)
{
	const struct berth_doctor_evidence *evidence = verdict->evidence;
	const struct berth_doctor_target *target = verdict->target;
	const char *mode = mode_name(target);
	struct berth_doctor_finding *finding;

	if (evidence->answered[BERTH_DOCTOR_SERVICE]) {
		judge_size(verdict);
	} else if (evidence->answered[BERTH_DOCTOR_SUMMED]) {
		finding = find(
			verdict, BERTH_DOCTOR_WRONG,
			"it takes gue only with an outer UDP checksum, which berth does not send (RFC 6935)");
		advise(finding, "on the backend: ip -6 fou, or berth-decap attach eth0, take it without");
	} else if (evidence->answered[BERTH_DOCTOR_OWN]) {
		finding = find(verdict, BERTH_DOCTOR_WRONG,
			       "%s is taken off, but %s is not there: the service's address is missing", mode,
			       verdict->service);
		advise(finding, "on the backend: ");
		advise_address(target, finding);
	} else if (evidence->refused) {
		finding = find(verdict, BERTH_DOCTOR_WRONG,
			       "it refuses %s as unreachable: nothing there takes the outer header off", mode);
		advise_decapsulation(target, finding);
	} else if (evidence->forbidden) {
		finding = find(verdict, BERTH_DOCTOR_WRONG, "a firewall on the way rejects %s", mode);
		advise(finding, "let %s %u from berth's host in",
		       berth_mode_has_tunnel_port(target->mode) ? "UDP port" : "protocol",
		       berth_mode_has_tunnel_port(target->mode) ? target->gue_port : outer_protocol(target));
	} else if (evidence->answered[BERTH_DOCTOR_DIRECT]) {
		judge_swallowed(verdict);
	} else {
		judge_silence(verdict);
	}
}

static void judge_l2(struct verdict *verdict)
{
	const struct berth_doctor_evidence *evidence = verdict->evidence;
	struct berth_doctor_finding *finding;

	if (!verdict->target->on_link) {
		finding = find(verdict, BERTH_DOCTOR_WRONG,
			       "the way to it leads over a router, and mode l2 works on one link only");
		advise(finding,
		       "mode: ipip or gue for this service, or a route to the backend on berth's own link");
	} else if (evidence->answered[BERTH_DOCTOR_SERVICE]) {
		judge_size(verdict);
	} else if (evidence->answered[BERTH_DOCTOR_DIRECT]) {
		finding = find(verdict, BERTH_DOCTOR_WRONG,
			       "it answers at its own address, but not at %s: the service's address is missing",
			       verdict->service);
		advise(finding, "on the backend: ");
		advise_address(verdict->target, finding);
	} else {
		judge_silence(verdict);
	}
}

static void judge_nat(struct verdict *verdict)
{
	const struct berth_doctor_evidence *evidence = verdict->evidence;
	char gateway[BERTH_ADDRESS_TEXT];
	struct berth_doctor_finding *finding;

	if (evidence->answered[BERTH_DOCTOR_RETURN] && !evidence->by_other) {
		judge_size(verdict);
	} else if (evidence->answered[BERTH_DOCTOR_DIRECT] || evidence->by_other) {
		finding = find(verdict, BERTH_DOCTOR_WRONG, "nat: its answers to clients %s",
			       evidence->by_other
				       ? "come back by another router: berth is not its gateway"
				       : "do not come back by berth: berth is not its gateway, or it has the "
					 "service's address itself");
		advise(finding, "on the backend: ip %sroute replace default via %s",
		       is4(&verdict->target->backend) ? "" : "-6 ",
		       berth_address_format(&verdict->target->source, gateway));
	} else {
		judge_silence(verdict);
	}
}

static void judge_claim(struct verdict *verdict)
{
	struct berth_doctor_finding *finding;
	if (is4(&verdict->target->service)) {
		finding = find(verdict, BERTH_DOCTOR_WRONG,
			       "it answers ARP requests for %s: it would take the service away from berth",
			       verdict->service);
		advise(finding, "on the backend: sysctl net.ipv4.conf.all.arp_ignore=1 "
				"net.ipv4.conf.all.arp_announce=2, and "
				"the address on lo alone");
		return;
	}
	finding = find(verdict, BERTH_DOCTOR_WRONG,
		       "it answers neighbour solicitations for %s: it would take the service away from berth",
		       verdict->service);
	advise(finding, "on the backend: ip addr del %s/128 dev eth0 && ip addr add %s/128 dev lo",
	       verdict->service, verdict->service);
}

/* Of one that is fine, as far as probes can tell. */
static void judge_health(struct verdict *verdict)
{
	const struct berth_doctor_target *target = verdict->target;
	const char *force = target->up ? "up" : "down";
	if (target->up == target->alive) {
		if (!target->up)
			find(verdict, BERTH_DOCTOR_WRONG, "its health check fails: %s", target->health_reason);
		return;
	}
	advise(find(verdict, BERTH_DOCTOR_NOTE, "an operator forced it %s; its health check says: %s", force,
		    target->health_reason),
	       "berthctl backend health SERVICE/BACKEND auto, if that is over");
}

size_t berth_doctor_judge(const struct berth_doctor_target *target, const struct berth_doctor_evidence *evidence,
			  struct berth_doctor_finding findings[BERTH_DOCTOR_FINDINGS])
{
	struct verdict verdict = {.target = target, .evidence = evidence, .findings = findings};
	bool has_source = target->inner_source.half[0] || target->inner_source.half[1];

	berth_address_format(&target->service, verdict.service);
	if (evidence->claimed)
		judge_claim(&verdict);
	if (!has_source)
		find(&verdict, BERTH_DOCTOR_NOTE, "berth's host has no %s address to try %s from",
		     is4(&target->service) ? "IPv4" : "IPv6", verdict.service);
	else if (berth_mode_encapsulates(target->mode))
		judge_tunnel(&verdict);
	else if (berth_mode_returns(target->mode))
		judge_nat(&verdict);
	else
		judge_l2(&verdict);
	if (findings[verdict.n - 1].level == BERTH_DOCTOR_OK)
		judge_health(&verdict);
	return verdict.n;
}
