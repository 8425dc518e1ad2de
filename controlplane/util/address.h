/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses as text and as socket addresses. */
#pragma once

#include <sys/socket.h>

#include "dataplane/core/types.h"

enum {
	BERTH_ADDRESS_TEXT = 46,
	BERTH_PREFIX_TEXT = BERTH_ADDRESS_TEXT + 4, /* "/128" */
	BERTH_ADDRESS_BITS = 128,
	BERTH_ADDRESS_BITS4 = 96, /* added to the length of an IPv4 prefix */
};

/* "192.0.2.1" or "2001:db8::1"; 0 or -EINVAL. */
int berth_address_parse(const char *text, union berth_addr *address);
/* Returns `text`. */
const char *berth_address_format(const union berth_addr *address, char text[BERTH_ADDRESS_TEXT]);

/* "192.0.2.0/24", or an address alone, which is a prefix of BERTH_ADDRESS_BITS. 0 or -EINVAL. Keeps the bits of the
 * address beyond the prefix. */
int berth_prefix_parse(const char *text, union berth_addr *address, uint8_t *bits);
/* Without a length if that is BERTH_ADDRESS_BITS. Returns `text`. */
const char *berth_prefix_format(const union berth_addr *address, uint8_t bits, char text[BERTH_PREFIX_TEXT]);
/* The address with the bits beyond the prefix cleared. */
union berth_addr berth_prefix_of(const union berth_addr *address, uint8_t bits);
/* Whether the prefix contains the address. */
bool berth_prefix_holds(const union berth_addr *prefix, uint8_t bits, const union berth_addr *address);

/* `port` in host order; returns the length of the socket address. */
socklen_t berth_address_to_socket(const union berth_addr *address, uint16_t port, struct sockaddr_storage *out);
