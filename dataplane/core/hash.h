/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Keyed hashes: XXH3 with the image's secret, over one 16-byte input for IPv4 and two for IPv6.
 *
 * Inputs are never longer: seeded XXH3 has known crafted collisions from 17 bytes on (xxHash issue 1127). A packet
 * has the same hash on every engine and on every node with the same secret. A change here moves every client.
 */
#pragma once

#include "abi.h"
#include "packet.h"

#ifdef __bpf__
/* BPF has no 128-bit multiplication. The secret is read in aligned words: byte by byte is slow. */
#undef __SIZEOF_INT128__
#define XXH_FORCE_MEMORY_ACCESS 2
#endif
#define XXH_INLINE_ALL
#define XXH_NO_STREAM
#include <xxhash.h>

BERTH_INLINE uint64_t berth_hash16(const uint8_t *secret, uint64_t a, uint64_t b)
{
	/* XXH3_64bits_withSecret for this length; compilers do not always inline that one. */
	const uint64_t input[2] = {a, b};
	return XXH3_len_9to16_64b((const uint8_t *)input, sizeof(input), secret, 0);
}

/* An address as one word: an IPv4 address itself, an IPv6 address hashed. */
BERTH_INLINE uint64_t berth_hash_addr(const uint8_t *secret, const union berth_addr *addr, bool is6)
{
	return is6 ? berth_hash16(secret, addr->half[0], addr->half[1]) : addr->word[3].raw;
}

/* Destination port << 16 | source port. One 32-bit load: a byte-swapping 16-bit load (movbe) keeps the upper bits
 * of its register, which makes each hash depend on the previous one and takes twice the time. */
BERTH_INLINE uint32_t berth_ports(const struct berth_packet *packet)
{
	struct berth_be32 both;
	__builtin_memcpy(&both, &packet->sport, sizeof(both));
	uint32_t ports = berth_from_be32(both);
	return ports << 16 | ports >> 16;
}

/* The flow hash: service, client address, client port, destination port. */
BERTH_INLINE uint64_t berth_hash_flow(const uint8_t *secret, const struct berth_packet *packet)
{
	return berth_hash16(secret, berth_hash_addr(secret, &packet->src, packet->is6),
			    (uint64_t)packet->flow_key << 32 | berth_ports(packet));
}

/* Mode nat: the hash of the flow that a backend's packet to a client answers. `port`: that of the service, 0: the
 * backend's, in a service with many ports. Such a service has one address. */
BERTH_INLINE uint64_t berth_hash_answered(const uint8_t *secret, const struct berth_packet *packet,
					  struct berth_be16 port)
{
	const uint32_t to = berth_from_be16(port.raw ? port : packet->sport);
	return berth_hash16(secret, berth_hash_addr(secret, &packet->dst, packet->is6),
			    (uint64_t)packet->flow_key << 32 | to << 16 | berth_from_be16(packet->dport));
}

/* The flow key of a service with a prefix: the destination address is part of the flow. */
BERTH_INLINE uint32_t berth_flow_key_of(const uint8_t *secret, const struct berth_packet *packet, uint32_t flow_key)
{
	return flow_key ^ (uint32_t)berth_hash_addr(secret, &packet->dst, packet->is6);
}

/* The hash of a datagram, common to its fragments: both addresses, identification and, in IPv4, protocol (RFC 791,
 * RFC 8200 section 4.5). */
BERTH_INLINE uint64_t berth_hash_datagram(const uint8_t *secret, const struct berth_packet *packet, uint32_t id)
{
	uint64_t ends = packet->is6 ? berth_hash16(secret, berth_hash_addr(secret, &packet->src, true),
						   berth_hash_addr(secret, &packet->dst, true))
				    : (uint64_t)packet->src.word[3].raw << 32 | packet->dst.word[3].raw;
	return berth_hash16(secret, ends, (uint64_t)(packet->is6 ? 0 : packet->protocol) << 32 | id);
}

/* A mask of `bits` leading ones for half an address, in network byte order. */
BERTH_INLINE uint64_t berth_prefix_mask(uint32_t bits)
{
	uint64_t mask = bits == 0 ? 0 : bits >= 64 ? ~UINT64_C(0) : ~UINT64_C(0) << (64 - bits);
	return (uint64_t)BERTH_SWAP32((uint32_t)(mask >> 32)) | (uint64_t)BERTH_SWAP32((uint32_t)mask) << 32;
}

/* An address with all but its first `bits` (of 128) cleared. */
BERTH_INLINE union berth_addr berth_addr_prefix(union berth_addr addr, uint32_t bits)
{
	addr.half[0] &= berth_prefix_mask(bits);
	addr.half[1] &= berth_prefix_mask(bits > 64 ? bits - 64 : 0);
	return addr;
}

/* The address of a client, cut to the service's prefix length. */
BERTH_INLINE union berth_addr berth_client_prefix(const struct berth_packet *packet,
						  const struct berth_service *service)
{
	return berth_addr_prefix(packet->src, packet->is6 ? service->prefix6 : 96u + service->prefix4);
}

/* The session hash: service, client prefix. */
BERTH_INLINE uint64_t berth_hash_session(const uint8_t *secret, const struct berth_packet *packet,
					 const struct berth_service *service)
{
	union berth_addr client = berth_client_prefix(packet, service);
	return berth_hash16(secret, berth_hash_addr(secret, &client, packet->is6),
			    (uint64_t)service->session_key << 32 | packet->is6);
}
