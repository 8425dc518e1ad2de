/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether this host's own link towards a server is down: then a probe says nothing about the server. */
#pragma once

#include <net/if.h>
#include <stdbool.h>

#include "controlplane/netlink/rtnl_socket.h"
#include "dataplane/core/types.h"

struct berth_own_link {
	struct berth_rtnl rtnl;
};

/* Opens the socket while there are descriptors; where that fails, the first question tries again. */
void berth_own_link_open(struct berth_own_link *own);

/* True: the kernel sends packets for `address` to an interface that is down or has no carrier; its name is in
 * `name`. False also if the kernel cannot be asked. */
bool berth_own_link_is_down(struct berth_own_link *own, const union berth_addr *address, char name[IF_NAMESIZE]);
void berth_own_link_close(struct berth_own_link *own);
