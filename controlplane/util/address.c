/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/util/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int berth_address_parse(const char *text, union berth_addr *address)
{
	union berth_addr parsed = {{0}};
	struct berth_be32 v4;

	if (inet_pton(AF_INET, text, &v4.raw) == 1) {
		berth_addr_set4(address, v4);
		return 0;
	}
	/* ::ffff:192.0.2.1 is the form of 192.0.2.1 in memory; no packet has such an address. As text it would be
	 * a second spelling of the same address. */
	if (inet_pton(AF_INET6, text, parsed.byte) != 1 || berth_addr_is4(&parsed))
		return -EINVAL;
	*address = parsed;
	return 0;
}

const char *berth_address_format(const union berth_addr *address, char text[BERTH_ADDRESS_TEXT])
{
	bool is4 = berth_addr_is4(address);
	const void *from = is4 ? (const void *)&address->word[3] : address->byte;

	_Static_assert((int)BERTH_ADDRESS_TEXT == INET6_ADDRSTRLEN, "room for every address");
	return inet_ntop(is4 ? AF_INET : AF_INET6, from, text, BERTH_ADDRESS_TEXT);
}

/* A decimal number up to `max`, without leading zeros; -1: invalid. */
static int parse_bits(const char *text, int max)
{
	size_t digits = strspn(text, "0123456789");
	if (digits == 0 || digits > 3 || text[digits] != 0 || (text[0] == '0' && digits > 1))
		return -1;
	int bits = atoi(text);
	return bits <= max ? bits : -1;
}

int berth_prefix_parse(const char *text, union berth_addr *address, uint8_t *bits)
{
	const char *slash = strchr(text, '/');
	char host[BERTH_ADDRESS_TEXT];
	size_t length = slash ? (size_t)(slash - text) : strlen(text);

	if (length >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, length);
	host[length] = 0;
	if (berth_address_parse(host, address))
		return -EINVAL;
	int offset = berth_addr_is4(address) ? BERTH_ADDRESS_BITS4 : 0;
	int parsed = slash ? parse_bits(slash + 1, BERTH_ADDRESS_BITS - offset) : BERTH_ADDRESS_BITS - offset;
	if (parsed < 0)
		return -EINVAL;
	*bits = (uint8_t)(parsed + offset);
	return 0;
}

const char *berth_prefix_format(const union berth_addr *address, uint8_t bits, char text[BERTH_PREFIX_TEXT])
{
	int offset = berth_addr_is4(address) ? BERTH_ADDRESS_BITS4 : 0;

	berth_address_format(address, text);
	if (bits < BERTH_ADDRESS_BITS)
		sprintf(text + strlen(text), "/%d", bits - offset);
	return text;
}

union berth_addr berth_prefix_of(const union berth_addr *address, uint8_t bits)
{
	union berth_addr prefix = {{0}};

	memcpy(prefix.byte, address->byte, bits / 8);
	if (bits % 8)
		prefix.byte[bits / 8] = (uint8_t)(address->byte[bits / 8] & 0xff00 >> bits % 8);
	return prefix;
}

bool berth_prefix_holds(const union berth_addr *prefix, uint8_t bits, const union berth_addr *address)
{
	union berth_addr masked = berth_prefix_of(address, bits);
	return berth_addr_equal(&masked, prefix);
}

socklen_t berth_address_to_socket(const union berth_addr *address, uint16_t port, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	if (berth_addr_is4(address)) {
		struct sockaddr_in *in = (struct sockaddr_in *)out;
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		in->sin_addr.s_addr = address->word[3].raw;
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	memcpy(&in6->sin6_addr, address->byte, sizeof(in6->sin6_addr));
	return sizeof(*in6);
}
