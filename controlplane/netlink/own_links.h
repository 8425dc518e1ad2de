/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The link addresses at which this host receives frames of a port: the port's own, and those of the VLANs and
 * macvlans on it (VRRP uses one) and of the bridge, bond or team above it.
 */
#pragma once

#include "dataplane/core/abi.h"

/*
 * Reads them from the kernel for `n_ports` ports: the ports' own first, unused entries at the end. 0; 1: there are
 * more than BERTH_MAX_LINKS, some are missing; -errno with `links` unchanged.
 */
int berth_own_links_read(struct berth_link links[BERTH_MAX_LINKS], const struct berth_port *ports, size_t n_ports);
