/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Follows the ports while they forward: the link of a NIC is the carrier of its TAP device, whose link address
 * stays the port's. Main lcore.
 */
#pragma once

#include "dataplane/kernel_path.h"

struct berth_port_watch {
	const struct berth_ports *ports;
	struct berth_kernel_path *kernel_path;
	uint64_t looked_cycles;
	bool has_looked;
	struct berth_port_link {
		bool is_up;
		uint32_t speed_mbps;   /* UINT32_MAX: not known */
		uint64_t mac_resets;   /* how often another program had set another address */
		uint64_t mac_logged_s; /* when that was logged; 0: never */
		int error;	       /* of the last attempt to set it again */
	} port[BERTH_MAX_PORTS];
};

/* One look, at most every 100 ms. True: a link has changed. */
bool berth_port_watch_look(struct berth_port_watch *watch);
