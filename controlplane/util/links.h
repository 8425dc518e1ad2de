/* SPDX-License-Identifier: BSD-3-Clause */
/* The addresses of this host's links in this network namespace, as the kernel has them at one time. */
#pragma once

#include <stdbool.h>

#include "dataplane/core/types.h"

struct ifaddrs;

struct berth_links {
	struct ifaddrs *list; /* NULL: they cannot be read */
};

void berth_links_read(struct berth_links *links);
void berth_links_free(struct berth_links *links);

/* Whether it is one of them. */
bool berth_links_have(const struct berth_links *links, const union berth_addr *address);
/* Whether it is in the network of one of them, or they cannot be read. */
bool berth_links_reach(const struct berth_links *links, const union berth_addr *address);
