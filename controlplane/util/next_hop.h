/* SPDX-License-Identifier: BSD-3-Clause */
/* A next hop: the link addresses of a frame to an address, from the kernel's routes and neighbours. */
#pragma once

#include "dataplane/core/types.h"

struct berth_next_hop {
	bool is_resolved;	 /* the fields below `ifindex` are valid */
	uint32_t ifindex;	 /* the kernel's interface; 0: no route */
	uint8_t port;		 /* the same interface as an index into the configuration's interfaces */
	uint8_t dst_mac[6];	 /* of the destination itself or of its gateway */
	uint8_t src_mac[6];	 /* of the interface */
	uint16_t mtu;		 /* path MTU: the interface's, or the route's if it is smaller */
	union berth_addr source; /* the kernel's source address for this route */
};
