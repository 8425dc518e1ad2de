/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Answers of berth itself: an ICMP error for a packet that is larger than the path MTU or whose TTL expires (RFC
 * 792, RFC 1191, RFC 1812 section 4.3.2, RFC 4443), and a RST for a flow of a backend that is down. The packet
 * becomes the answer and leaves by the port where it arrived.
 */
#pragma once

#include "checksum.h"
#include "encap.h"
#include "steer.h"

enum {
	BERTH_ANSWER_TOS = 0xc0, /* internetwork control, RFC 1812 section 4.3.2.5 */
	/* Maximum bytes of an answer (RFC 1812 section 4.3.2.3, RFC 4443 section 3), and of its quote. */
	BERTH_ANSWER4_BYTES = 576,
	BERTH_ANSWER6_BYTES = 1280,
	BERTH_QUOTE4_BYTES = BERTH_ANSWER4_BYTES - BERTH_IP4_BYTES - BERTH_ICMP_BYTES,
	BERTH_QUOTE6_BYTES = BERTH_ANSWER6_BYTES - BERTH_IP6_BYTES - BERTH_ICMP_BYTES,
};

/* The client of a packet; return traffic (mode nat) goes to it. */
BERTH_INLINE const union berth_addr *berth_answer_client(const struct berth_packet *packet)
{
	return packet->traits & BERTH_RETURN ? &packet->dst : &packet->src;
}

/*
 * Takes an answer out of the client's budget for its kind; false: it is spent for this second.
 *
 * A budget for each kind: senders of expiring packets must not stop path MTU discovery. And one for each client
 * (IPv6: each /64, of which a client has all addresses), found by a keyed hash: whoever spends his own leaves the
 * others' alone, and nobody knows whose budget he shares. All budgets together bound what a worker sends. Budgets
 * of return traffic are its clients', too: a backend has many.
 */
BERTH_INLINE bool berth_answer_take_token(const struct berth_view *view, const struct berth_packet *packet,
					  enum berth_answer kind)
{
	struct berth_budgets *budgets = berth_at_budgets(view, view->worker);
	const struct berth_ctl *ctl = berth_at_ctl(view, 0);
	if (!budgets || !ctl)
		return false;
	const union berth_addr *client = berth_answer_client(packet);
	const uint64_t who = packet->is6 ? client->half[0] : client->word[3].raw;
	const uint64_t hash = berth_hash16(ctl->secret, who, packet->is6);
	uint32_t *slot = &budgets->slot[kind][hash & (BERTH_ANSWER_SLOTS - 1)];
	const uint32_t unused = view->now << 8;
	const uint32_t used = (*slot ^ unused) > UINT8_MAX ? 0 : *slot - unused;
	if (used >= BERTH_MAX_ANSWERS)
		return false;
	*slot = unused + used + 1;
	return true;
}

/* Whether a packet may be answered (RFC 1122 section 3.2.2, RFC 4443 section 2.4 (e)). Frames to a multicast or
 * broadcast address have passed to the kernel before. */
BERTH_INLINE bool berth_may_answer(const struct berth_packet *packet, int verdict)
{
	if (packet->traits & (BERTH_ICMP_ERROR | BERTH_LATER_FRAGMENT))
		return false;
	if (packet->traits & BERTH_RETURN && verdict == BERTH_VERDICT_TTL_EXPIRED)
		return false;
	if (packet->tcp_flags & BERTH_TCP_RST && verdict == BERTH_VERDICT_RESET)
		return false;
	return berth_has_valid_source(packet);
}

/* The sum of `bytes` (a multiple of 4, at most BERTH_QUOTE6_BYTES) from `at` on. */
BERTH_INLINE uint32_t berth_answer_sum(const struct berth_frame *frame, uint32_t at, uint32_t bytes)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < BERTH_QUOTE6_BYTES / 4; i++) {
		const struct berth_wire32 *word = BERTH_AT(frame, const struct berth_wire32, at + i * 4);
		if (i * 4 >= bytes || !word)
			break;
		sum += word->raw;
	}
	sum = (sum & 0xffffffff) + (sum >> 32);
	return (uint32_t)((sum & 0xffff) + (sum >> 16));
}

BERTH_INLINE uint32_t berth_sum_addr(const union berth_addr *addr)
{
	uint32_t sum = 0;
	for (uint32_t i = 0; i < 4; i++)
		sum += (addr->word[i].raw & 0xffff) + (addr->word[i].raw >> 16);
	return sum;
}

/* Writes the ICMP header at `at`, before `quote` bytes; `pseudo` is the sum of the pseudo header. */
BERTH_INLINE bool berth_answer_icmp(struct berth_frame *frame, uint32_t at, uint16_t type_code, uint32_t rest,
				    uint32_t quote, uint32_t pseudo)
{
	struct berth_icmp *icmp = BERTH_AT(frame, struct berth_icmp, at);
	if (!icmp)
		return false;
	BERTH_OPAQUE(icmp); /* clang would compute it again below, as a pointer that the verifier has not checked */
	icmp->type = (uint8_t)(type_code >> 8);
	icmp->code = (uint8_t)type_code;
	icmp->checksum = 0;
	icmp->rest = berth_to_be32(rest);
	uint32_t sum = berth_answer_sum(frame, at + BERTH_ICMP_BYTES, quote);
	uint32_t head = berth_to_be16(type_code).raw + (icmp->rest.raw & 0xffff) + (icmp->rest.raw >> 16);
	icmp->checksum = (uint16_t)~berth_checksum_fold(berth_checksum_fold(sum) + head + pseudo);
	return true;
}

BERTH_INLINE bool berth_answer4(struct berth_frame *frame, const struct berth_packet *packet,
				const union berth_addr *from, bool is_too_big, uint32_t mtu, uint32_t quote)
{
	struct berth_ip4 *ip = BERTH_AT(frame, struct berth_ip4, packet->network);
	if (!ip)
		return false;
	berth_write_ip4(ip, BERTH_ANSWER_TOS, BERTH_IP4_BYTES + BERTH_ICMP_BYTES + quote, BERTH_PROTO_ICMP,
			from->word[3], packet->src.word[3]);
	uint16_t type_code = is_too_big ? BERTH_ICMP_UNREACHABLE << 8 | BERTH_ICMP_FRAGMENTATION_NEEDED
					: BERTH_ICMP_TIME_EXCEEDED << 8;
	return berth_answer_icmp(frame, packet->network + BERTH_IP4_BYTES, type_code, is_too_big ? mtu : 0, quote,
				 0);
}

BERTH_INLINE bool berth_answer6(struct berth_frame *frame, const struct berth_packet *packet,
				const union berth_addr *from, bool is_too_big, uint32_t mtu, uint32_t quote)
{
	struct berth_ip6 *ip = BERTH_AT(frame, struct berth_ip6, packet->network);
	if (!ip)
		return false;
	uint16_t length = (uint16_t)(BERTH_ICMP_BYTES + quote);
	ip->version_class_label = berth_to_be32(6u << 28);
	ip->payload = berth_to_be16(length);
	ip->next_header = BERTH_PROTO_ICMP6;
	ip->hop_limit = BERTH_OWN_TTL;
	ip->src = *from;
	ip->dst = packet->src;
	uint32_t pseudo = berth_sum_addr(from) + berth_sum_addr(&packet->src) + berth_to_be16(length).raw +
			  berth_to_be16(BERTH_PROTO_ICMP6).raw;
	uint16_t type_code = (is_too_big ? BERTH_ICMP6_PACKET_TOO_BIG : BERTH_ICMP6_TIME_EXCEEDED) << 8;
	return berth_answer_icmp(frame, packet->network + BERTH_IP6_BYTES, type_code, is_too_big ? mtu : 0, quote,
				 pseudo);
}

/* Writes the link addresses that are at offset `at` to the start of the frame, source and destination exchanged. */
BERTH_INLINE bool berth_reverse_link(struct berth_frame *frame, uint32_t at)
{
	struct macs {
		uint8_t dst[BERTH_ETH_ADDR_BYTES];
		uint8_t src[BERTH_ETH_ADDR_BYTES];
	};
	const struct macs *from = BERTH_AT(frame, const struct macs, at);
	if (!from)
		return false;
	const struct macs was = *from;
	struct macs *to = BERTH_AT(frame, struct macs, 0);
	if (!to)
		return false;
	__builtin_memcpy(to->dst, was.src, sizeof(to->dst));
	__builtin_memcpy(to->src, was.dst, sizeof(to->src));
	return true;
}

/* Adds `head` bytes before the packet, exchanges the link addresses and cuts the frame after `quote` bytes of the
 * packet. */
BERTH_INLINE bool berth_answer_frame(struct berth_frame *frame, const struct berth_packet *packet, uint32_t head,
				     uint32_t quote)
{
	uint32_t network = packet->network;
	if (!berth_frame_push(frame, head) || !berth_frame_trim(frame, network + head + quote))
		return false;
	return berth_move_tags(frame, network, head, packet->is6 ? BERTH_ETHERTYPE_IP6 : BERTH_ETHERTYPE_IP4) &&
	       berth_reverse_link(frame, head);
}

/* The source address of an answer: the packet's destination; for return traffic the service's address. */
BERTH_INLINE union berth_addr berth_answer_source(const struct berth_view *view, const struct berth_packet *packet)
{
	const struct berth_service *service = berth_service_of(view, packet->service);
	return packet->traits & BERTH_RETURN && service ? service->address : packet->dst;
}

/* The TCP header of a RST in words of host order, without its checksum (RFC 9293 section 3.5.2, groups 1 and 2). */
struct berth_reset {
	uint32_t ports;
	uint32_t seq;
	uint32_t ack;
	uint32_t flags; /* data offset, flags, window */
};

/* Builds the RST for the segment at `at`; `length` is header and data in bytes. */
BERTH_INLINE bool berth_reset_for(const struct berth_frame *frame, uint32_t at, uint32_t length,
				  struct berth_reset *reset)
{
	const struct berth_tcp *tcp = BERTH_AT(frame, const struct berth_tcp, at);
	if (!tcp)
		return false;
	bool has_ack = tcp->flags & BERTH_TCP_ACK;
	uint32_t counted = length - (uint32_t)(tcp->offset >> 4) * 4 + !!(tcp->flags & BERTH_TCP_SYN) +
			   !!(tcp->flags & BERTH_TCP_FIN);
	reset->ports = (uint32_t)berth_from_be16(tcp->dport) << 16 | berth_from_be16(tcp->sport);
	reset->seq = has_ack ? berth_from_be32(tcp->ack) : 0;
	reset->ack = has_ack ? 0 : berth_from_be32(tcp->seq) + counted;
	reset->flags = 5u << 28 | (uint32_t)(BERTH_TCP_RST | (has_ack ? 0 : BERTH_TCP_ACK)) << 16;
	return true;
}

BERTH_INLINE uint32_t berth_sum32(uint32_t word)
{
	return (word & 0xffff) + (word >> 16);
}

/* Writes a big-endian word at any alignment. */
BERTH_INLINE void berth_put_be32(void *header, uint32_t offset, uint32_t value)
{
	((struct berth_wire32 *)(void *)((uint8_t *)header + offset))->raw = berth_to_be32(value).raw;
}

/* Writes the RST at `at`; `pseudo` is the sum of the addresses in memory order. */
BERTH_INLINE bool berth_reset_write(struct berth_frame *frame, uint32_t at, const struct berth_reset *reset,
				    uint32_t pseudo)
{
	struct berth_tcp *tcp = BERTH_AT(frame, struct berth_tcp, at);
	if (!tcp)
		return false;
	uint32_t sum = berth_sum32(reset->ports) + berth_sum32(reset->seq) + berth_sum32(reset->ack) +
		       berth_sum32(reset->flags) + BERTH_PROTO_TCP + BERTH_TCP_BYTES;
	struct berth_be16 folded = berth_to_be16(berth_checksum_fold(sum));
	uint16_t checksum = (uint16_t)~berth_checksum_fold(folded.raw + (uint32_t)berth_checksum_fold(pseudo));
	berth_put_be32(tcp, 0, reset->ports);
	berth_put_be32(tcp, 4, reset->seq);
	berth_put_be32(tcp, 8, reset->ack);
	berth_put_be32(tcp, 12, reset->flags);
	((struct berth_wire32 *)(void *)((uint8_t *)tcp + 16))->raw = checksum;
	return true;
}

/* Turns a segment of a flow whose backend is down into a RST to the client. Returns the verdict. */
BERTH_RARE_STEP int berth_answer_reset(BERTH_HANDLE *handle, const struct berth_packet *packet)
{
	if (!BERTH_IS_SET(packet))
		return BERTH_VERDICT_INTERNAL;
	BERTH_OPEN(frame, handle);
	const uint32_t network = packet->network;
	const uint32_t head = packet->is6 ? BERTH_IP6_BYTES : BERTH_IP4_BYTES;
	struct berth_reset reset;
	if (network > BERTH_ETH_BYTES + 2 * BERTH_VLAN_BYTES || packet->transport > BERTH_MAX_L4_OFFSET ||
	    !berth_may_answer(packet, BERTH_VERDICT_RESET))
		return BERTH_VERDICT_RESET;
	if (!berth_reset_for(frame, packet->transport, network + packet->length - packet->transport, &reset) ||
	    !berth_frame_trim(frame, network + head + BERTH_TCP_BYTES) || !berth_reverse_link(frame, 0))
		return BERTH_VERDICT_INTERNAL;
	uint32_t pseudo = berth_sum_addr(&packet->src) + berth_sum_addr(&packet->dst);
	if (packet->is6) {
		struct berth_ip6 *ip = BERTH_AT(frame, struct berth_ip6, network);
		if (!ip)
			return BERTH_VERDICT_INTERNAL;
		ip->version_class_label = berth_to_be32(6u << 28);
		ip->payload = berth_to_be16(BERTH_TCP_BYTES);
		ip->next_header = BERTH_PROTO_TCP;
		ip->hop_limit = BERTH_OWN_TTL;
		ip->src = packet->dst;
		ip->dst = packet->src;
	} else {
		/* (IPv4 addresses are ::ffff:a.b.c.d; 0xffff adds nothing to a ones' complement sum.) */
		struct berth_ip4 *ip = BERTH_AT(frame, struct berth_ip4, network);
		if (!ip)
			return BERTH_VERDICT_INTERNAL;
		berth_write_ip4(ip, 0, BERTH_IP4_BYTES + BERTH_TCP_BYTES, BERTH_PROTO_TCP, packet->dst.word[3],
				packet->src.word[3]);
	}
	return berth_reset_write(frame, network + head, &reset, pseudo) ? BERTH_VERDICT_ANSWERED_RESET
									: BERTH_VERDICT_INTERNAL;
}

/* Turns a packet with `verdict` TTL_EXPIRED or TOO_BIG (for `mtu`) into an ICMP error to its sender. Returns the
 * verdict of the answer, or `verdict` if none may be sent. The frame must be as received. */
BERTH_RARE_STEP int berth_answer(const struct berth_view *view, BERTH_HANDLE *handle,
				 const struct berth_packet *packet, int verdict, uint32_t mtu)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(packet))
		return verdict;
	BERTH_OPEN(frame, handle);
	bool is_too_big = verdict == BERTH_VERDICT_TOO_BIG;
	if (packet->network > BERTH_ETH_BYTES + 2 * BERTH_VLAN_BYTES || !berth_may_answer(packet, verdict) ||
	    !berth_answer_take_token(view, packet, is_too_big ? BERTH_ANSWER_TOO_BIG : BERTH_ANSWER_TIME_EXCEEDED))
		return verdict;
	uint64_t held = (uint64_t)(frame->end - frame->data);
	BERTH_OPAQUE(held); /* clang would subtract halves of pointers, which the verifier refuses */
	held -= packet->network;
	uint32_t most = packet->is6 ? BERTH_QUOTE6_BYTES : BERTH_QUOTE4_BYTES;
	uint32_t quote = packet->length < most ? packet->length : most;
	quote = (quote < held ? quote : (uint32_t)held) & ~3u;
	uint32_t head = packet->is6 ? BERTH_IP6_BYTES + BERTH_ICMP_BYTES : BERTH_IP4_BYTES + BERTH_ICMP_BYTES;
	if (!berth_answer_frame(frame, packet, head, quote))
		return BERTH_VERDICT_NO_HEADROOM;
	const union berth_addr from = berth_answer_source(view, packet);
	bool written = packet->is6 ? berth_answer6(frame, packet, &from, is_too_big, mtu, quote)
				   : berth_answer4(frame, packet, &from, is_too_big, mtu, quote);
	if (!written)
		return BERTH_VERDICT_INTERNAL;
	return is_too_big ? BERTH_VERDICT_ANSWERED_TOO_BIG : BERTH_VERDICT_ANSWERED_TTL_EXPIRED;
}
