/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses as text and as socket addresses. */
#pragma once

#include <sys/socket.h>

#include "dataplane/core/types.h"

enum {
	BERTH_ADDRESS_TEXT = 46
};

/* "192.0.2.1" or "2001:db8::1"; 0 or -EINVAL. */
int berth_address_parse(const char *text, union berth_addr *address);
/* Returns `text`. */
const char *berth_address_format(const union berth_addr *address, char text[BERTH_ADDRESS_TEXT]);
/* `port` in host order; returns the length of the socket address. */
socklen_t berth_address_to_socket(const union berth_addr *address, uint16_t port, struct sockaddr_storage *out);
