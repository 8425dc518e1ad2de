/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel's main table -> the few routes by which an engine sends replies to clients itself in mode nat. Pure.
 */
#pragma once

#include "controlplane/netlink/types.h"
#include "dataplane/core/abi.h"

/*
 * Fills `out`, longest prefix first, kind NONE after the last route. For each address the list gives the kernel's
 * own next hop, or leaves the address to the kernel (kind KERNEL); it never gives another next hop. Returns 0; 1:
 * for lack of room some routes are left to the kernel; -ENOMEM.
 */
int berth_nat_routes_build(struct berth_route out[BERTH_MAX_ROUTES], const struct berth_kernel_route *routes,
			   size_t n, const struct berth_port *ports, size_t n_ports);
