// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/path_mtu/parse.h"

#include <string.h>

#include "dataplane/core/checksum.h"

enum {
	MIN_QUOTE_BYTES = 8, /* behind the quoted IP header (RFC 792) */
};

/* The sum of an ICMP message and, in IPv6, its pseudo-header (RFC 8200 section 8.1): all bits set if it is intact.
 */
static bool is_intact(const uint8_t *message, size_t bytes, const struct berth_ip6 *ip6)
{
	uint64_t sum = 0;
	uint16_t word;
	for (size_t i = 0; i + 1 < bytes; i += sizeof(word)) {
		memcpy(&word, message + i, sizeof(word));
		sum += word;
	}
	if (bytes % 2) {
		const uint8_t last[2] = {message[bytes - 1], 0};
		memcpy(&word, last, sizeof(word));
		sum += word;
	}
	for (int i = 0; ip6 && i < 4; i++)
		sum += (uint64_t)ip6->src.word[i].raw + ip6->dst.word[i].raw;
	if (ip6)
		sum += (uint64_t)berth_to_be32((uint32_t)bytes).raw + berth_to_be32(BERTH_PROTO_ICMP6).raw;
	return berth_checksum_fold64(sum) == 0xffff;
}

/* Finds the ICMP message in a packet and checks its type. Returns its bytes; 0: something else. */
static size_t find4(const uint8_t *packet, size_t bytes, const uint8_t **message, struct berth_too_big *report)
{
	struct berth_ip4 ip;
	struct berth_icmp icmp;
	if (bytes < sizeof(ip))
		return 0;
	memcpy(&ip, packet, sizeof(ip));
	size_t header = (size_t)(ip.version_ihl & 0xf) * 4, length = berth_from_be16(ip.length);
	if (header < sizeof(ip) || ip.protocol != BERTH_PROTO_ICMP ||
	    berth_from_be16(ip.fragment) & BERTH_IP4_FRAGMENT_MASK || length > bytes ||
	    length < header + sizeof(icmp))
		return 0;
	memcpy(&icmp, packet + header, sizeof(icmp));
	if (icmp.type != BERTH_ICMP_UNREACHABLE || icmp.code != BERTH_ICMP_FRAGMENTATION_NEEDED ||
	    !is_intact(packet + header, length - header, NULL))
		return 0;
	berth_addr_set4(&report->reporter, ip.src);
	report->mtu = berth_from_be32(icmp.rest) & 0xffff;
	*message = packet + header;
	return length - header;
}

static size_t find6(const uint8_t *packet, size_t bytes, const uint8_t **message, struct berth_too_big *report)
{
	struct berth_ip6 ip;
	struct berth_icmp icmp;
	if (bytes < sizeof(ip) + sizeof(icmp))
		return 0;
	memcpy(&ip, packet, sizeof(ip));
	memcpy(&icmp, packet + sizeof(ip), sizeof(icmp));
	size_t length = berth_from_be16(ip.payload);
	if (ip.next_header != BERTH_PROTO_ICMP6 || length > bytes - sizeof(ip) || length < sizeof(icmp) ||
	    icmp.type != BERTH_ICMP6_PACKET_TOO_BIG || !is_intact(packet + sizeof(ip), length, &ip))
		return 0;
	report->reporter = ip.src;
	report->mtu = berth_from_be32(icmp.rest);
	*message = packet + sizeof(ip);
	return length;
}

/* Reads the quoted packet's IP header. Returns its bytes; 0: not a packet that berth writes. */
static size_t read_quoted4(const uint8_t *quoted, size_t bytes, struct berth_too_big *report)
{
	struct berth_ip4 ip;
	if (bytes < sizeof(ip) + MIN_QUOTE_BYTES)
		return 0;
	memcpy(&ip, quoted, sizeof(ip));
	if (ip.version_ihl != 0x45 || berth_from_be16(ip.fragment) != BERTH_IP4_DONT_FRAGMENT)
		return 0;
	berth_addr_set4(&report->source, ip.src);
	berth_addr_set4(&report->destination, ip.dst);
	report->protocol = ip.protocol;
	report->length = berth_from_be16(ip.length);
	return sizeof(ip);
}

static size_t read_quoted6(const uint8_t *quoted, size_t bytes, struct berth_too_big *report)
{
	struct berth_ip6 ip;
	if (bytes < sizeof(ip) + MIN_QUOTE_BYTES || quoted[0] >> 4 != 6)
		return 0;
	memcpy(&ip, quoted, sizeof(ip));
	report->source = ip.src;
	report->destination = ip.dst;
	report->protocol = ip.next_header;
	report->length = berth_from_be16(ip.payload) + (uint32_t)sizeof(ip);
	return sizeof(ip);
}

bool berth_path_mtu_parse(const uint8_t *packet, size_t bytes, struct berth_too_big *report)
{
	const uint8_t *message = NULL;
	struct berth_udp udp = {0};
	*report = (struct berth_too_big){0};
	bool is4 = bytes && packet[0] >> 4 == 4, is6 = bytes && packet[0] >> 4 == 6;
	size_t length = is4   ? find4(packet, bytes, &message, report)
			: is6 ? find6(packet, bytes, &message, report)
			      : 0;
	if (!length)
		return false;
	const uint8_t *quoted = message + sizeof(struct berth_icmp);
	size_t rest = length - sizeof(struct berth_icmp);
	size_t header = is4 ? read_quoted4(quoted, rest, report) : read_quoted6(quoted, rest, report);
	if (!header)
		return false;
	if (report->protocol == BERTH_PROTO_UDP)
		memcpy(&udp, quoted + header, sizeof(udp));
	report->dport = berth_from_be16(udp.dport);
	return true;
}
