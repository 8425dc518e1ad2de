// SPDX-License-Identifier: BSD-3-Clause
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/ip_icmp.h>
#include <string.h>

#include "controlplane/doctor/tag.h"

enum {
	TTL = 64,
	ND_TTL = 255, /* a neighbour solicitation with less comes from elsewhere (RFC 4861 section 7.1.1) */
	ECHO_BYTES = 8,
	GUE_SOURCE_PORT = 49152,
	/* Less is left for a client where the way is so narrow that nothing works on it. */
	LEAST_BIG_BYTES = 256,
	ND_OPTION_BYTES = 8,
};

/* An echo request, and whether the mode's outer header comes in front of it. */
struct plan {
	const union berth_addr *src; /* NULL: no such probe */
	const union berth_addr *dst;
	bool wrapped;
	uint16_t bytes; /* of the packet without the outer header */
};

static uint16_t ip_bytes(const union berth_addr *address)
{
	return berth_addr_is4(address) ? BERTH_IP4_BYTES : BERTH_IP6_BYTES;
}

static bool is_set(const union berth_addr *address)
{
	return address->half[0] || address->half[1];
}

uint16_t berth_doctor_outer_bytes(const struct berth_doctor_target *target)
{
	return (uint16_t)berth_mode_overhead(target->mode, berth_addr_is4(&target->backend));
}

uint16_t berth_doctor_big_bytes(const struct berth_doctor_target *target)
{
	uint16_t outer = berth_doctor_outer_bytes(target);
	if (target->mtu < LEAST_BIG_BYTES + outer)
		return 0;
	uint16_t most = (uint16_t)(target->mtu - outer);
	return most < BERTH_DOCTOR_CLIENT_BYTES ? most : BERTH_DOCTOR_CLIENT_BYTES;
}

static struct plan plan_service(const struct berth_doctor_target *target)
{
	/* In mode l2 a router would send a frame for the service's address back to berth. */
	if (!is_set(&target->inner_source) || (berth_mode_is_link_only(target->mode) && !target->on_link))
		return (struct plan){0};
	return (struct plan){&target->inner_source, &target->service, berth_mode_encapsulates(target->mode), 0};
}

static struct plan plan_for(const struct berth_doctor_target *target, enum berth_doctor_probe probe)
{
	static const struct plan none = {0};
	struct plan plan = {&target->source, &target->backend, false, 0};
	bool nat = berth_mode_returns(target->mode);
	bool same_family = berth_addr_is4(&target->service) == berth_addr_is4(&target->backend);

	switch (probe) {
	case BERTH_DOCTOR_OWN:
		plan.wrapped = true;
		if (!berth_mode_encapsulates(target->mode) || !same_family)
			plan.src = NULL;
		break;
	case BERTH_DOCTOR_SERVICE:
		plan = nat ? none : plan_service(target);
		break;
	case BERTH_DOCTOR_BIG:
		plan = nat ? plan : plan_service(target);
		break;
	case BERTH_DOCTOR_SUMMED:
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
	plan.bytes = probe == BERTH_DOCTOR_BIG
			     ? berth_doctor_big_bytes(target)
			     : (uint16_t)(ip_bytes(plan.dst) + ECHO_BYTES + sizeof(struct berth_doctor_mark));
	return plan.bytes ? plan : none;
}

/* Adds bytes to an internet checksum, as words of memory (RFC 1071). */
static uint32_t add(uint32_t sum, const uint8_t *bytes, size_t n)
{
	for (; n > 1; bytes += 2, n -= 2) {
		uint16_t word;
		memcpy(&word, bytes, sizeof(word));
		sum += word;
	}
	return n ? sum + berth_to_be16((uint16_t)(bytes[0] << 8)).raw : sum;
}

static uint16_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* The header of a packet with `payload` bytes, in the destination's family. It may not be fragmented, and has the
 * one TTL that says enough. */
static uint8_t *put_ip(uint8_t *at, const union berth_addr *src, const union berth_addr *dst, uint8_t protocol,
		       size_t payload, uint8_t ttl)
{
	if (berth_addr_is4(dst)) {
		struct berth_ip4 ip = {
			.version_ihl = 0x45,
			.length = berth_to_be16((uint16_t)(sizeof(ip) + payload)),
			.fragment = berth_to_be16(BERTH_IP4_DONT_FRAGMENT),
			.ttl = ttl,
			.protocol = protocol,
			.src = src->word[3],
			.dst = dst->word[3],
		};
		ip.checksum = fold(add(0, (const uint8_t *)&ip, sizeof(ip)));
		memcpy(at, &ip, sizeof(ip));
		return at + sizeof(ip);
	}
	struct berth_ip6 ip = {
		.version_class_label = berth_to_be32(UINT32_C(6) << 28),
		.payload = berth_to_be16((uint16_t)payload),
		.next_header = protocol,
		.hop_limit = ttl,
		.src = *src,
		.dst = *dst,
	};
	memcpy(at, &ip, sizeof(ip));
	return at + sizeof(ip);
}

/* As berth's own: no outer checksum (RFC 6935), and nothing between UDP and the packet. */
static uint8_t *put_udp(uint8_t *at, uint16_t port, size_t payload)
{
	const struct berth_udp udp = {
		.sport = berth_to_be16(GUE_SOURCE_PORT),
		.dport = berth_to_be16(port),
		.length = berth_to_be16((uint16_t)(sizeof(udp) + payload)),
	};
	memcpy(at, &udp, sizeof(udp));
	return at + sizeof(udp);
}

/* What UDP and ICMPv6 in IPv6 have in front of their own bytes when they are summed (RFC 8200 section 8.1). */
static uint32_t pseudo_header(const union berth_addr *src, const union berth_addr *dst, uint8_t protocol,
			      size_t bytes)
{
	uint32_t sum = add(0, src->byte, sizeof(*src));
	sum = add(sum, dst->byte, sizeof(*dst));
	return sum + berth_to_be16((uint16_t)bytes).raw + berth_to_be16(protocol).raw;
}

/* Completes the UDP header of a packet in IPv6 with its checksum. */
static void sum_udp(const struct berth_doctor_target *target, uint8_t *packet, size_t bytes)
{
	uint8_t *udp = packet + BERTH_IP6_BYTES;
	size_t length = bytes - BERTH_IP6_BYTES;
	uint32_t sum = pseudo_header(&target->source, &target->backend, IPPROTO_UDP, length);
	uint16_t checksum = fold(add(sum, udp, length));
	if (checksum == 0)
		checksum = UINT16_MAX;
	memcpy(udp + offsetof(struct berth_udp, checksum), &checksum, sizeof(checksum));
}

/* An echo request; ICMP and ICMPv6 differ in its type and in what is summed. */
static void put_echo(uint8_t *at, const struct plan *plan, const struct berth_doctor_tag *tag)
{
	bool is4 = berth_addr_is4(plan->dst);
	size_t bytes = plan->bytes - (size_t)ip_bytes(plan->dst);
	const struct berth_doctor_mark mark = {.magic = BERTH_DOCTOR_MAGIC, .tag = *tag};
	uint16_t id[2] = {(uint16_t)tag->run, (uint16_t)tag->target};

	memset(at, 0, bytes);
	at[0] = is4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
	memcpy(at + 4, id, sizeof(id));
	memcpy(at + ECHO_BYTES, &mark, sizeof(mark));
	uint16_t checksum = fold(
		add(is4 ? 0 : pseudo_header(plan->src, plan->dst, IPPROTO_ICMPV6, bytes), at, bytes));
	memcpy(at + 2, &checksum, sizeof(checksum));
}

static size_t build_echo(const struct berth_doctor_target *target, const struct plan *plan,
			 const struct berth_doctor_tag *tag, uint8_t *packet)
{
	bool inner4 = berth_addr_is4(plan->dst);
	uint8_t *at = packet;

	if (plan->wrapped) {
		uint8_t protocol = (uint8_t)berth_mode_protocol(target->mode, !inner4);
		at = put_ip(at, &target->source, &target->backend, protocol,
			    berth_mode_shim(target->mode) + (size_t)plan->bytes, TTL);
	}
	if (plan->wrapped && berth_mode_has_tunnel_port(target->mode))
		at = put_udp(at, target->gue_port, plan->bytes);
	at = put_ip(at, plan->src, plan->dst, inner4 ? IPPROTO_ICMP : IPPROTO_ICMPV6,
		    plan->bytes - (size_t)ip_bytes(plan->dst), TTL);
	put_echo(at, plan, tag);
	return (size_t)(at - packet) + plan->bytes - ip_bytes(plan->dst);
}

/* To the backend alone, so that nobody else's neighbours are asked. */
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
	uint16_t checksum = fold(
		add(pseudo_header(&target->inner_source, &group, IPPROTO_ICMPV6, BYTES), at, BYTES));
	memcpy(at + 2, &checksum, sizeof(checksum));
	return (size_t)(at - packet) + BYTES;
}

void berth_doctor_build(const struct berth_doctor_target *target, const struct berth_doctor_tag *tag,
			struct berth_doctor_packet *packet)
{
	bool service4 = berth_addr_is4(&target->service);

	packet->bytes = 0;
	if (tag->probe == BERTH_DOCTOR_CLAIM) {
		if (!target->on_link || !is_set(&target->inner_source) || berth_mode_returns(target->mode))
			return;
		packet->ethertype = service4 ? ETH_P_ARP : BERTH_ETHERTYPE_IP6;
		packet->bytes = service4 ? build_arp(target, packet->data)
					 : build_solicitation(target, packet->data);
		return;
	}
	const struct plan plan = plan_for(target, tag->probe);
	if (!plan.src)
		return;
	packet->ethertype = berth_addr_is4(plan.wrapped ? &target->backend : plan.dst) ? BERTH_ETHERTYPE_IP4
										       : BERTH_ETHERTYPE_IP6;
	packet->bytes = build_echo(target, &plan, tag, packet->data);
	if (tag->probe == BERTH_DOCTOR_SUMMED)
		sum_udp(target, packet->data, packet->bytes);
}
