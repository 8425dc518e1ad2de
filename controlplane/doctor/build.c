// SPDX-License-Identifier: BSD-3-Clause
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/ip_icmp.h>
#include <string.h>

#include "controlplane/doctor/payload.h"
#include "controlplane/util/frame.h"
#include "dataplane/core/encap.h"

enum {
	ND_TTL = 255, /* required for neighbour solicitations (RFC 4861 section 7.1.1) */
	ECHO_BYTES = 8,
	MIN_LARGE_BYTES = 256, /* with a smaller MTU there is no LARGE probe */
	ND_OPTION_BYTES = 8,
};

/* An echo request. */
struct plan {
	const union berth_addr *src; /* NULL: the probe does not apply */
	const union berth_addr *dst;
	bool is_encapsulated;
	uint16_t bytes; /* without encapsulation */
};

static uint16_t ip_bytes(const union berth_addr *address)
{
	return berth_addr_is4(address) ? BERTH_IP4_BYTES : BERTH_IP6_BYTES;
}

static bool is_set(const union berth_addr *address)
{
	return address->half[0] || address->half[1];
}

uint16_t berth_doctor_overhead(const struct berth_doctor_target *target)
{
	return (uint16_t)berth_mode_overhead(target->mode, berth_addr_is4(&target->backend));
}

uint16_t berth_doctor_large_bytes(const struct berth_doctor_target *target)
{
	uint16_t overhead = berth_doctor_overhead(target);
	if (target->mtu < MIN_LARGE_BYTES + overhead)
		return 0;
	uint16_t most = (uint16_t)(target->mtu - overhead);
	return most < BERTH_DOCTOR_CLIENT_BYTES ? most : BERTH_DOCTOR_CLIENT_BYTES;
}

static struct plan plan_service(const struct berth_doctor_target *target)
{
	/* In mode l2 a router would send a frame for the service's address back to berth. */
	if (!is_set(&target->inner_source) || (berth_mode_is_link_only(target->mode) && !target->is_on_link))
		return (struct plan){0};
	return (struct plan){&target->inner_source, &target->service, berth_mode_encapsulates(target->mode), 0};
}

static struct plan plan_probe(const struct berth_doctor_target *target, enum berth_doctor_probe probe)
{
	static const struct plan none = {0};
	struct plan plan = {&target->source, &target->backend, false, 0};
	bool nat = berth_mode_returns(target->mode);
	bool same_family = berth_addr_is4(&target->service) == berth_addr_is4(&target->backend);

	switch (probe) {
	case BERTH_DOCTOR_DECAP:
		plan.is_encapsulated = true;
		if (!berth_mode_encapsulates(target->mode) || !same_family)
			plan.src = NULL;
		break;
	case BERTH_DOCTOR_SERVICE:
		plan = nat ? none : plan_service(target);
		break;
	case BERTH_DOCTOR_LARGE:
		plan = nat ? plan : plan_service(target);
		break;
	case BERTH_DOCTOR_UDP_CHECKSUM:
		plan = berth_mode_has_tunnel_port(target->mode) && !berth_addr_is4(&target->backend)
			       ? plan_service(target)
			       : none;
		break;
	case BERTH_DOCTOR_RETURN:
		plan.src = nat ? &target->service : NULL;
		break;
	default:
		break;
	}
	if (!plan.src)
		return none;
	plan.bytes = probe == BERTH_DOCTOR_LARGE
			     ? berth_doctor_large_bytes(target)
			     : (uint16_t)(ip_bytes(plan.dst) + ECHO_BYTES + sizeof(struct berth_doctor_payload));
	return plan.bytes ? plan : none;
}

/* Adds bytes to an internet checksum (RFC 1071). */
static uint32_t add(uint32_t sum, const uint8_t *bytes, size_t n)
{
	for (; n > 1; bytes += 2, n -= 2) {
		uint16_t word;
		memcpy(&word, bytes, sizeof(word));
		sum += word;
	}
	return n ? sum + berth_to_be16((uint16_t)(bytes[0] << 8)).raw : sum;
}

static uint16_t finish_checksum(uint32_t sum)
{
	return (uint16_t)~berth_checksum_fold(sum);
}

/* Writes an IP header in the destination's family before `payload` bytes; returns the end of the header. */
static uint8_t *put_ip(uint8_t *at, const union berth_addr *src, const union berth_addr *dst, uint8_t protocol,
		       size_t payload, uint8_t hop_limit)
{
	if (berth_addr_is4(dst)) {
		struct berth_ip4 ip;
		berth_write_ip4(&ip, 0, (uint32_t)(sizeof(ip) + payload), protocol, src->word[3], dst->word[3]);
		memcpy(at, &ip, sizeof(ip));
		return at + sizeof(ip);
	}
	const struct berth_ip6 ip = {
		.version_class_label = berth_to_be32(UINT32_C(6) << 28),
		.payload = berth_to_be16((uint16_t)payload),
		.next_header = protocol,
		.hop_limit = hop_limit,
		.src = *src,
		.dst = *dst,
	};
	memcpy(at, &ip, sizeof(ip));
	return at + sizeof(ip);
}

/* Writes the encapsulation as the engines do, for a flow with hash 0; returns its end. */
static uint8_t *put_encapsulation(uint8_t *at, const struct berth_doctor_target *target, uint16_t inner_bytes,
				  bool inner4)
{
	const struct berth_backend backend = {.mode = (uint8_t)target->mode,
					      .address = target->backend,
					      .outer_src = target->source,
					      .dport = berth_to_be16(target->gue_port)};
	const struct berth_packet inner = {.length = inner_bytes, .is6 = !inner4};
	uint32_t overhead = berth_overhead(&backend);

	if (berth_is_outer4(&backend)) {
		struct berth_ip4 ip;
		berth_write_ip4(&ip, 0, inner_bytes + overhead, berth_mode_protocol(target->mode, !inner4),
				berth_outer_source(&inner, &backend), backend.address.word[3]);
		at = mempcpy(at, &ip, sizeof(ip));
	} else {
		struct berth_ip6 ip;
		berth_write_ip6(&ip, &inner, &backend, overhead);
		at = mempcpy(at, &ip, sizeof(ip));
	}
	if (berth_mode_has_tunnel_port(target->mode)) {
		struct berth_udp udp;
		berth_write_udp(&udp, &inner, &backend);
		at = mempcpy(at, &udp, sizeof(udp));
	}
	return at;
}

/* Sum of the IPv6 pseudo-header (RFC 8200 section 8.1). */
static uint32_t pseudo_header(const union berth_addr *src, const union berth_addr *dst, uint8_t protocol,
			      size_t bytes)
{
	uint32_t sum = add(0, src->byte, sizeof(*src));
	sum = add(sum, dst->byte, sizeof(*dst));
	return sum + berth_to_be16((uint16_t)bytes).raw + berth_to_be16(protocol).raw;
}

/* Sets the checksum of the outer UDP header over IPv6. */
static void set_udp_checksum(const struct berth_doctor_target *target, uint8_t *packet, size_t bytes)
{
	uint8_t *udp = packet + BERTH_IP6_BYTES;
	size_t length = bytes - BERTH_IP6_BYTES;
	uint32_t sum = pseudo_header(&target->source, &target->backend, IPPROTO_UDP, length);
	uint16_t checksum = finish_checksum(add(sum, udp, length));
	if (checksum == 0)
		checksum = UINT16_MAX;
	memcpy(udp + offsetof(struct berth_udp, checksum), &checksum, sizeof(checksum));
}

/* Writes an echo request. ICMPv6 has another type than ICMP, and its checksum covers a pseudo-header. */
static void put_echo(uint8_t *at, const struct plan *plan, const struct berth_doctor_probe_id *id)
{
	bool is4 = berth_addr_is4(plan->dst);
	size_t bytes = plan->bytes - (size_t)ip_bytes(plan->dst);
	const struct berth_doctor_payload payload = {.magic = BERTH_DOCTOR_MAGIC, .id = *id};
	const uint16_t id_sequence[2] = {(uint16_t)id->run, (uint16_t)id->target};

	memset(at, 0, bytes);
	at[0] = is4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
	memcpy(at + 4, id_sequence, sizeof(id_sequence));
	memcpy(at + ECHO_BYTES, &payload, sizeof(payload));
	uint16_t checksum = finish_checksum(
		add(is4 ? 0 : pseudo_header(plan->src, plan->dst, IPPROTO_ICMPV6, bytes), at, bytes));
	memcpy(at + 2, &checksum, sizeof(checksum));
}

static size_t build_echo(const struct berth_doctor_target *target, const struct plan *plan,
			 const struct berth_doctor_probe_id *id, uint8_t *packet)
{
	bool inner4 = berth_addr_is4(plan->dst);
	uint8_t *at = packet;

	if (plan->is_encapsulated)
		at = put_encapsulation(at, target, plan->bytes, inner4);
	at = put_ip(at, plan->src, plan->dst, inner4 ? IPPROTO_ICMP : IPPROTO_ICMPV6,
		    plan->bytes - (size_t)ip_bytes(plan->dst), BERTH_OWN_TTL);
	put_echo(at, plan, id);
	return (size_t)(at - packet) + plan->bytes - ip_bytes(plan->dst);
}

/* Sent to the backend's link address only, not broadcast. */
static size_t build_arp(const struct berth_doctor_target *target, uint8_t *packet)
{
	struct ether_arp arp = {
		.ea_hdr =
			{
				.ar_hrd = berth_to_be16(ARPHRD_ETHER).raw,
				.ar_pro = berth_to_be16(BERTH_ETHERTYPE_IP4).raw,
				.ar_hln = BERTH_ETH_ADDR_BYTES,
				.ar_pln = sizeof(struct berth_be32),
				.ar_op = berth_to_be16(ARPOP_REQUEST).raw,
			},
	};
	memcpy(arp.arp_sha, target->src_mac, sizeof(arp.arp_sha));
	memcpy(arp.arp_spa, &target->inner_source.word[3], sizeof(arp.arp_spa));
	memcpy(arp.arp_tpa, &target->service.word[3], sizeof(arp.arp_tpa));
	memcpy(packet, &arp, sizeof(arp));
	return sizeof(arp);
}

static size_t build_solicitation(const struct berth_doctor_target *target, uint8_t *packet)
{
	enum {
		BYTES = sizeof(struct nd_neighbor_solicit) + ND_OPTION_BYTES
	};
	const uint8_t option[] = {ND_OPT_SOURCE_LINKADDR, 1};
	union berth_addr group = {.byte = {0xff, 2, [11] = 1, [12] = 0xff}};
	memcpy(group.byte + 13, target->service.byte + 13, 3);

	uint8_t *at = put_ip(packet, &target->inner_source, &group, IPPROTO_ICMPV6, BYTES, ND_TTL);
	memset(at, 0, BYTES);
	at[0] = ND_NEIGHBOR_SOLICIT;
	memcpy(at + 8, &target->service, sizeof(target->service));
	memcpy(at + sizeof(struct nd_neighbor_solicit), option, sizeof(option));
	memcpy(at + sizeof(struct nd_neighbor_solicit) + sizeof(option), target->src_mac, sizeof(target->src_mac));
	uint16_t checksum = finish_checksum(
		add(pseudo_header(&target->inner_source, &group, IPPROTO_ICMPV6, BYTES), at, BYTES));
	memcpy(at + 2, &checksum, sizeof(checksum));
	return (size_t)(at - packet) + BYTES;
}

void berth_doctor_build(const struct berth_doctor_target *target, const struct berth_doctor_probe_id *id,
			struct berth_doctor_packet *packet)
{
	bool service4 = berth_addr_is4(&target->service);

	packet->bytes = 0;
	if (id->probe == BERTH_DOCTOR_NEIGHBOR) {
		if (!target->is_on_link || !is_set(&target->inner_source) || berth_mode_returns(target->mode))
			return;
		packet->ethertype = service4 ? ETH_P_ARP : BERTH_ETHERTYPE_IP6;
		packet->bytes = service4 ? build_arp(target, packet->data)
					 : build_solicitation(target, packet->data);
		return;
	}
	const struct plan plan = plan_probe(target, id->probe);
	if (!plan.src)
		return;
	packet->ethertype = berth_addr_is4(plan.is_encapsulated ? &target->backend : plan.dst)
				    ? BERTH_ETHERTYPE_IP4
				    : BERTH_ETHERTYPE_IP6;
	packet->bytes = build_echo(target, &plan, id, packet->data);
	if (id->probe == BERTH_DOCTOR_UDP_CHECKSUM)
		set_udp_checksum(target, packet->data, packet->bytes);
}
