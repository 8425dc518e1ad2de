/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses from text, for tests of the core. */
#pragma once

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/core/abi.h"

static inline union berth_addr fixture_addr(const char *text)
{
	union berth_addr addr;
	struct berth_be32 v4;
	if (inet_pton(AF_INET, text, &v4) == 1) {
		memset(&addr, 0, 10);
		memset(&addr.byte[10], 0xff, 2);
		memcpy(&addr.byte[12], &v4, 4);
	} else if (inet_pton(AF_INET6, text, &addr) != 1) {
		fprintf(stderr, "fixture: no address: %s\n", text);
		abort();
	}
	return addr;
}
