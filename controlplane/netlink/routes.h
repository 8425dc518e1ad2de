/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel's main table -> the few routes by which an engine sends mode nat's answers itself. Pure.
 */
#pragma once

#include "controlplane/netlink/neigh.h"

/*
 * Fills `out`, the longest prefix first, kind NONE after the last. For every address the list tells the kernel's
 * own way or says that it is the kernel's to route, never another way. Returns 1 if routes that could be taken over
 * were left to the kernel because there are too many, else 0; -ENOMEM.
 */
int berth_routes_make(struct berth_route out[BERTH_MAX_ROUTES], const struct berth_neigh_route *routes, size_t n,
		      const struct berth_port *ports, size_t n_ports);
