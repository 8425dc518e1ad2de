/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/util/net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/util/address.h"

bool berth_net_is_host(const union berth_addr *address)
{
	static const union berth_addr none;

	if (berth_addr_is4(address)) {
		return address->byte[12] != 0 && address->byte[12] < 224;
	}
	return !berth_addr_equal(address, &none) && address->byte[0] != 0xff;
}

bool berth_net_is_loopback(const union berth_addr *address)
{
	static const union berth_addr loopback = {.byte = {[15] = 1}};

	return berth_addr_is4(address) ? address->byte[12] == 127 : berth_addr_equal(address, &loopback);
}

bool berth_net_is_link_local(const union berth_addr *address)
{
	if (berth_addr_is4(address))
		return address->byte[12] == 169 && address->byte[13] == 254;
	return address->byte[0] == 0xfe && (address->byte[1] & 0xc0) == 0x80;
}

bool berth_net_is_prefix(const union berth_addr *address, uint8_t bits)
{
	union berth_addr first = berth_prefix_of(address, bits), last = first;

	if (!berth_addr_equal(&first, address))
		return false;
	for (size_t bit = bits; bit < BERTH_ADDRESS_BITS; bit++)
		last.byte[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	/* An IPv6 prefix that contains ::ffff:0:0/96 begins with :: or ends with ::ffff:255.255.255.255. */
	return berth_net_is_host(&first) && berth_net_is_host(&last);
}

/* Parses a port without leading zeros at the beginning of a text; `end`: the rest. 0: invalid. */
static uint16_t port_at(const char *text, const char **end)
{
	size_t digits = strspn(text, "0123456789");

	*end = text + digits;
	if (digits == 0 || *text == '0')
		return 0;
	long port = strtol(text, NULL, 10); /* LONG_MAX on overflow */
	return port <= UINT16_MAX ? (uint16_t)port : 0;
}

bool berth_net_parse_port(const char *text, uint16_t *port)
{
	const char *rest;

	*port = port_at(text, &rest);
	return *port && *rest == 0;
}

bool berth_net_parse_ports(const char *text, uint16_t *first, uint16_t *last)
{
	const char *rest;

	if (!strcmp(text, "any")) {
		*first = 0;
		*last = UINT16_MAX;
		return true;
	}
	*first = port_at(text, &rest);
	if (!*first || *rest != '-')
		return false;
	*last = port_at(rest + 1, &rest);
	return *last > *first && *rest == 0;
}

int berth_net_parse_place(const char *text, union berth_addr *address, uint16_t *port)
{
	bool brackets = *text == '[';
	const char *end = brackets ? strchr(text, ']') : strchr(text, ':');
	const char *colon = end && brackets ? end + 1 : end;
	char alone[BERTH_ADDRESS_TEXT];

	text += brackets;
	if (!end || *colon != ':' || (size_t)(end - text) >= sizeof(alone))
		return -EINVAL;
	memcpy(alone, text, (size_t)(end - text));
	alone[end - text] = 0;
	if (berth_address_parse(alone, address) || berth_addr_is4(address) == brackets)
		return -EINVAL;
	return berth_net_parse_port(colon + 1, port) ? 0 : -EINVAL;
}
