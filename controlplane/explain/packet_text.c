// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/explain/packet_text.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/util/address.h"
#include "dataplane/core/checksum.h"

enum {
	WORD_BYTES = 64,
	WORDS = 8, /* protocol, source, "->", destination, flags */
	FIRST_FLAG = 4,
	TTL = 64,
	IP4_VERSION_IHL = 0x45,
	IP6_VERSION = 6,
	TCP_OFFSET = 5 << 4,
	TCP_WINDOW = 65535,
	ECHO_REQUEST = 8,
	ECHO_REQUEST6 = 128,
	HEX_DIGITS = 16,
};

static int fail(char error[BERTH_ERROR_BYTES], const char *format, ...) __attribute__((format(printf, 2, 3)));
static int fail(char error[BERTH_ERROR_BYTES], const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(error, BERTH_ERROR_BYTES, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

static const struct {
	const char *name;
	uint8_t bit;
} flags[] = {
	{"syn", BERTH_TCP_SYN},
	{"ack", BERTH_TCP_ACK},
	{"fin", BERTH_TCP_FIN},
	{"rst", BERTH_TCP_RST},
};

static uint8_t flag_of(const char *word)
{
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (strcasecmp(word, flags[i].name) == 0)
			return flags[i].bit;
	return 0;
}

static int parse_port(const char *text, uint16_t *port)
{
	char *end;
	const unsigned long value = strtoul(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || *end || value > UINT16_MAX)
		return -EINVAL;
	*port = (uint16_t)value;
	return 0;
}

/* "192.0.2.1:80", "[2001:db8::1]:80"; without a port: the address alone. */
static int parse_end(char *word, bool has_port, union berth_addr *address, uint16_t *port)
{
	char *colon = has_port ? strrchr(word, ':') : NULL;
	size_t length = strlen(word);
	if (has_port && (!colon || parse_port(colon + 1, port)))
		return -EINVAL;
	if (colon) {
		*colon = '\0';
		length = strlen(word);
	}
	if (word[0] != '[')
		return colon && strchr(word, ':') ? -EINVAL : berth_address_parse(word, address);
	if (word[length - 1] != ']')
		return -EINVAL;
	word[length - 1] = '\0';
	return berth_address_parse(word + 1, address);
}

/* Returns how many; WORDS + 1: too many, or one is too long. */
static size_t split(const char *text, char words[WORDS][WORD_BYTES])
{
	size_t n = 0;
	while (*(text += strspn(text, " \t"))) {
		const size_t length = strcspn(text, " \t");
		if (n == WORDS || length >= WORD_BYTES)
			return WORDS + 1;
		memcpy(words[n], text, length);
		words[n++][length] = '\0';
		text += length;
	}
	return n;
}

static int protocol_of(const char *word)
{
	return strcasecmp(word, "tcp") == 0    ? BERTH_PROTO_TCP
	       : strcasecmp(word, "udp") == 0  ? BERTH_PROTO_UDP
	       : strcasecmp(word, "icmp") == 0 ? BERTH_PROTO_ICMP
					       : -1;
}

int berth_packet_text_parse(struct berth_packet_text *packet, const char *text, char error[BERTH_ERROR_BYTES])
{
	static const char example[] = "as in \"tcp 198.51.100.7:4242 -> 203.0.113.10:80 syn\"";
	char words[WORDS][WORD_BYTES];
	const size_t n = split(text, words);
	*packet = (struct berth_packet_text){0};
	if (n < FIRST_FLAG || n > WORDS || strcmp(words[2], "->") != 0)
		return fail(error, "not a packet: write protocol, source, ->, destination, %s", example);
	const int protocol = protocol_of(words[0]);
	if (protocol < 0)
		return fail(error, "unknown protocol \"%s\": tcp, udp or icmp", words[0]);
	packet->protocol = (uint8_t)protocol;
	const bool has_ports = protocol != BERTH_PROTO_ICMP;
	for (int i = 0; i < 2; i++) {
		char word[WORD_BYTES];
		memcpy(word, words[1 + 2 * i], sizeof(word));
		if (parse_end(word, has_ports, i ? &packet->dst : &packet->src,
			      i ? &packet->dport : &packet->sport))
			return fail(error, "\"%s\" is not %s, %s", words[1 + 2 * i],
				    has_ports ? "an address with a port" : "an address", example);
	}
	if (berth_addr_is4(&packet->src) != berth_addr_is4(&packet->dst))
		return fail(error, "source and destination are not of one family");
	for (size_t i = FIRST_FLAG; i < n; i++) {
		const uint8_t flag = protocol == BERTH_PROTO_TCP ? flag_of(words[i]) : 0;
		if (!flag)
			return fail(error, "unknown word \"%s\" after the addresses%s", words[i],
				    protocol == BERTH_PROTO_TCP ? ": syn, ack, fin or rst" : "");
		packet->tcp_flags |= flag;
	}
	return 0;
}

/* --- frames --- */

static uint32_t transport_bytes(uint8_t protocol)
{
	return protocol == BERTH_PROTO_TCP ? BERTH_TCP_BYTES : BERTH_UDP_BYTES; /* ICMP has 8 too */
}

static void build_transport(const struct berth_packet_text *packet, uint8_t *at)
{
	if (packet->protocol == BERTH_PROTO_TCP) {
		struct berth_tcp *tcp = (void *)at;
		*tcp = (struct berth_tcp){
			.sport = berth_to_be16(packet->sport),
			.dport = berth_to_be16(packet->dport),
			.offset = TCP_OFFSET,
			.flags = packet->tcp_flags,
			.window = berth_to_be16(TCP_WINDOW),
		};
	} else if (packet->protocol == BERTH_PROTO_UDP) {
		struct berth_udp *udp = (void *)at;
		*udp = (struct berth_udp){
			.sport = berth_to_be16(packet->sport),
			.dport = berth_to_be16(packet->dport),
			.length = berth_to_be16(BERTH_UDP_BYTES),
		};
	} else {
		struct berth_icmp *icmp = (void *)at;
		*icmp = (struct berth_icmp){.type = berth_addr_is4(&packet->src) ? ECHO_REQUEST : ECHO_REQUEST6};
	}
}

static uint16_t checksum_of(const struct berth_ip4 *ip)
{
	uint16_t words[BERTH_IP4_BYTES / sizeof(uint16_t)];
	uint32_t sum = 0;
	memcpy(words, ip, sizeof(words));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		sum += words[i];
	return (uint16_t)~berth_checksum_fold(sum);
}

static uint32_t build4(const struct berth_packet_text *packet, uint8_t *at)
{
	const uint32_t bytes = BERTH_IP4_BYTES + transport_bytes(packet->protocol);
	struct berth_ip4 *ip = (void *)at;
	*ip = (struct berth_ip4){
		.version_ihl = IP4_VERSION_IHL,
		.length = berth_to_be16((uint16_t)bytes),
		.fragment = berth_to_be16(BERTH_IP4_DONT_FRAGMENT),
		.ttl = TTL,
		.protocol = packet->protocol,
		.src = packet->src.word[3],
		.dst = packet->dst.word[3],
	};
	ip->checksum = checksum_of(ip);
	build_transport(packet, at + BERTH_IP4_BYTES);
	return bytes;
}

static uint32_t build6(const struct berth_packet_text *packet, uint8_t *at)
{
	const uint32_t payload = transport_bytes(packet->protocol);
	struct berth_ip6 *ip = (void *)at;
	*ip = (struct berth_ip6){
		.version_class_label = berth_to_be32((uint32_t)IP6_VERSION << 28),
		.payload = berth_to_be16((uint16_t)payload),
		.next_header = packet->protocol == BERTH_PROTO_ICMP ? BERTH_PROTO_ICMP6 : packet->protocol,
		.hop_limit = TTL,
		.src = packet->src,
		.dst = packet->dst,
	};
	build_transport(packet, at + BERTH_IP6_BYTES);
	return BERTH_IP6_BYTES + payload;
}

uint32_t berth_packet_text_build(const struct berth_packet_text *packet, const uint8_t link[6],
				 uint8_t frame[BERTH_TEXT_FRAME_BYTES])
{
	const bool is4 = berth_addr_is4(&packet->src);
	struct berth_eth *eth = (void *)frame;
	*eth = (struct berth_eth){
		.src = {2},
		.type = berth_to_be16(is4 ? BERTH_ETHERTYPE_IP4 : BERTH_ETHERTYPE_IP6),
	};
	memcpy(eth->dst, link, sizeof(eth->dst));
	return BERTH_ETH_BYTES + (is4 ? build4 : build6)(packet, frame + BERTH_ETH_BYTES);
}

/* --- hexadecimal --- */

bool berth_packet_text_is_hex(const char *text)
{
	return text[strspn(text, "0123456789abcdefABCDEF: \t\r\n")] == '\0';
}

static int digit_of(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

int berth_packet_text_parse_hex(const char *text, uint8_t *frame, size_t room, char error[BERTH_ERROR_BYTES])
{
	size_t digits = 0;
	for (; *text; text++) {
		if (!isxdigit((unsigned char)*text)) {
			if (digits % 2)
				return fail(error, "byte %zu of the frame has one digit", digits / 2);
			continue;
		}
		if (digits / 2 == room) {
			fail(error, "the frame is longer than %zu bytes", room);
			return -EMSGSIZE;
		}
		uint8_t *byte = &frame[digits++ / 2];
		*byte = (uint8_t)((digits % 2 ? 0 : *byte * HEX_DIGITS) + digit_of(*text));
	}
	if (digits % 2 || digits == 0)
		return fail(error, digits ? "the last byte of the frame has one digit" : "the frame is empty");
	return (int)(digits / 2);
}
