// SPDX-License-Identifier: BSD-3-Clause
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
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

/* An echo request, a TCP segment or a UDP datagram. */
struct plan {
	const union berth_addr *src; /* NULL: the probe does not apply */
	const union berth_addr *dst;
	bool is_encapsulated;
	uint16_t bytes;	  /* without encapsulation */
	uint8_t protocol; /* 0: an echo request */
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
	return (struct plan){.src = &target->inner_source,
			     .dst = &target->service,
			     .is_encapsulated = berth_mode_encapsulates(target->mode)};
}

static uint16_t small_bytes(const struct plan *plan)
{
	size_t bytes = plan->protocol == IPPROTO_TCP   ? sizeof(struct tcphdr)
		       : plan->protocol == IPPROTO_UDP ? sizeof(struct berth_udp)
						       : ECHO_BYTES + sizeof(struct berth_doctor_payload);
	return (uint16_t)(ip_bytes(plan->dst) + bytes);
}

static struct plan plan_probe(const struct berth_doctor_target *target, enum berth_doctor_probe probe)
{
	static const struct plan none = {0};
	struct plan plan = {.src = &target->source, .dst = &target->backend};
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
	case BERTH_DOCTOR_PORT:
	case BERTH_DOCTOR_RESET:
		plan = nat ? plan : plan_service(target);
		plan.protocol = target->protocol;
		plan.src = target->port ? plan.src : NULL;
		break;
	default:
		break;
	}
	if (!plan.src)
		return none;
	plan.bytes = probe == BERTH_DOCTOR_LARGE ? berth_doctor_large_bytes(target) : small_bytes(&plan);
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
		berth_write_udp(&udp, &inner, &backend, inner.length + BERTH_UDP_BYTES);
		at = mempcpy(at, &udp, sizeof(udp));
	}
	return at;
}

/* Sum of the pseudo-header (RFC 8200 section 8.1, RFC 9293 section 3.1). IPv4 addresses are mapped, so they add a
 * prefix that is left out. */
static uint32_t pseudo_header(const union berth_addr *src, const union berth_addr *dst, uint8_t protocol,
			      size_t bytes)
{
	const size_t skip = berth_addr_is4(dst) ? sizeof(*dst) - sizeof(struct berth_be32) : 0;
	uint32_t sum = add(0, src->byte + skip, sizeof(*src) - skip);
	sum = add(sum, dst->byte + skip, sizeof(*dst) - skip);
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

/* Writes a SYN, or the RST after it. Its number identifies the probe in the answer. */
static void put_tcp(uint8_t *at, const struct berth_doctor_target *target, const struct plan *plan,
		    const struct berth_doctor_probe_id *id)
{
	bool is_reset = id->probe == BERTH_DOCTOR_RESET;
	struct tcphdr tcp = {
		.th_sport = berth_to_be16(target->source_port).raw,
		.th_dport = berth_to_be16(target->port).raw,
		.th_seq = berth_to_be32(berth_doctor_sequence(id) + is_reset).raw,
		.th_off = sizeof(tcp) / 4,
		.th_flags = is_reset ? TH_RST : TH_SYN,
		.th_win = UINT16_MAX,
	};
	uint32_t sum = pseudo_header(plan->src, plan->dst, IPPROTO_TCP, sizeof(tcp));
	tcp.th_sum = finish_checksum(add(sum, (const uint8_t *)&tcp, sizeof(tcp)));
	memcpy(at, &tcp, sizeof(tcp));
}

/* Writes an empty datagram. */
static void put_udp(uint8_t *at, const struct berth_doctor_target *target, const struct plan *plan)
{
	const uint16_t words[3] = {berth_to_be16(target->source_port).raw, berth_to_be16(target->port).raw,
				   berth_to_be16(sizeof(struct berth_udp)).raw};
	uint32_t sum = pseudo_header(plan->src, plan->dst, IPPROTO_UDP, sizeof(struct berth_udp));
	uint16_t checksum = finish_checksum(add(sum, (const uint8_t *)words, sizeof(words)));
	checksum = checksum ? checksum : UINT16_MAX;
	at = mempcpy(at, words, sizeof(words));
	memcpy(at, &checksum, sizeof(checksum));
}

uint32_t berth_doctor_sequence(const struct berth_doctor_probe_id *id)
{
	return id->run + id->target;
}

static size_t build_ip(const struct berth_doctor_target *target, const struct plan *plan,
		       const struct berth_doctor_probe_id *id, uint8_t *packet)
{
	bool inner4 = berth_addr_is4(plan->dst);
	uint8_t protocol = plan->protocol ? plan->protocol : inner4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	uint8_t *at = packet;

	if (plan->is_encapsulated)
		at = put_encapsulation(at, target, plan->bytes, inner4);
	at = put_ip(at, plan->src, plan->dst, protocol, plan->bytes - (size_t)ip_bytes(plan->dst), BERTH_OWN_TTL);
	if (protocol == IPPROTO_TCP)
		put_tcp(at, target, plan, id);
	else if (protocol == IPPROTO_UDP)
		put_udp(at, target, plan);
	else
		put_echo(at, plan, id);
	return (size_t)(at - packet) + plan->bytes - ip_bytes(plan->dst);
}

/* Who has an address. To the backend's link address only, or to all hosts of the link. */
struct question {
	const union berth_addr *source;
	const union berth_addr *address;
};

static size_t build_arp(const struct berth_doctor_target *target, const struct question *question, uint8_t *packet)
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
	memcpy(arp.arp_spa, &question->source->word[3], sizeof(arp.arp_spa));
	memcpy(arp.arp_tpa, &question->address->word[3], sizeof(arp.arp_tpa));
	memcpy(packet, &arp, sizeof(arp));
	return sizeof(arp);
}

static size_t build_solicitation(const struct berth_doctor_target *target, const struct question *question,
				 uint8_t *packet)
{
	enum {
		BYTES = sizeof(struct nd_neighbor_solicit) + ND_OPTION_BYTES
	};
	const uint8_t option[] = {ND_OPT_SOURCE_LINKADDR, 1};
	union berth_addr group = {.byte = {0xff, 2, [11] = 1, [12] = 0xff}};
	memcpy(group.byte + 13, question->address->byte + 13, 3);

	uint8_t *at = put_ip(packet, question->source, &group, IPPROTO_ICMPV6, BYTES, ND_TTL);
	memset(at, 0, BYTES);
	at[0] = ND_NEIGHBOR_SOLICIT;
	memcpy(at + 8, question->address, sizeof(*question->address));
	memcpy(at + sizeof(struct nd_neighbor_solicit), option, sizeof(option));
	memcpy(at + sizeof(struct nd_neighbor_solicit) + sizeof(option), target->src_mac, sizeof(target->src_mac));
	uint16_t checksum = finish_checksum(
		add(pseudo_header(question->source, &group, IPPROTO_ICMPV6, BYTES), at, BYTES));
	memcpy(at + 2, &checksum, sizeof(checksum));
	return (size_t)(at - packet) + BYTES;
}

/* What NEIGHBOR and RESOLVE ask; NULL address: the probe does not apply. */
static struct question plan_question(const struct berth_doctor_target *target, enum berth_doctor_probe probe)
{
	static const struct question none = {0};
	if (probe == BERTH_DOCTOR_NEIGHBOR) {
		if (!target->is_on_link || !is_set(&target->inner_source) || berth_mode_returns(target->mode))
			return none;
		return (struct question){&target->inner_source, &target->service};
	}
	if (!is_set(&target->next_hop) || berth_addr_is4(&target->next_hop) != berth_addr_is4(&target->source))
		return none;
	return (struct question){&target->source, &target->next_hop};
}

/* The link address of all hosts, or of those that listen for the solicitation (RFC 2464 section 7). */
static void set_group_mac(const struct question *question, uint8_t mac[6])
{
	const uint8_t group[6] = {0x33, 0x33, 0xff};
	memset(mac, 0xff, 6);
	if (berth_addr_is4(question->address))
		return;
	memcpy(mac, group, 3);
	memcpy(mac + 3, question->address->byte + 13, 3);
}

static void build_question(const struct berth_doctor_target *target, enum berth_doctor_probe probe,
			   struct berth_doctor_packet *packet)
{
	const struct question question = plan_question(target, probe);
	if (!question.address)
		return;
	bool is4 = berth_addr_is4(question.address);
	if (probe == BERTH_DOCTOR_RESOLVE)
		set_group_mac(&question, packet->dst_mac);
	packet->ethertype = is4 ? ETH_P_ARP : BERTH_ETHERTYPE_IP6;
	packet->bytes = is4 ? build_arp(target, &question, packet->data)
			    : build_solicitation(target, &question, packet->data);
}

static struct plan plan_route(const struct berth_doctor_target *target)
{
	struct plan plan = {.src = &target->source, .dst = &target->service};
	plan.bytes = small_bytes(&plan);
	return plan;
}

void berth_doctor_build(const struct berth_doctor_target *target, const struct berth_doctor_probe_id *id,
			struct berth_doctor_packet *packet)
{
	packet->bytes = 0;
	memcpy(packet->dst_mac, target->dst_mac, sizeof(packet->dst_mac));
	if (target->is_route != (id->probe == BERTH_DOCTOR_ROUTE))
		return;
	if (id->probe == BERTH_DOCTOR_NEIGHBOR || id->probe == BERTH_DOCTOR_RESOLVE) {
		build_question(target, id->probe, packet);
		return;
	}
	const struct plan plan = target->is_route ? plan_route(target) : plan_probe(target, id->probe);
	if (!plan.src)
		return;
	packet->ethertype = berth_addr_is4(plan.is_encapsulated ? &target->backend : plan.dst)
				    ? BERTH_ETHERTYPE_IP4
				    : BERTH_ETHERTYPE_IP6;
	packet->bytes = build_ip(target, &plan, id, packet->data);
	if (id->probe == BERTH_DOCTOR_UDP_CHECKSUM)
		set_udp_checksum(target, packet->data, packet->bytes);
}
