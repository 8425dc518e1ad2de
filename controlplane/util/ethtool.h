/* SPDX-License-Identifier: BSD-3-Clause */
/* What the kernel's driver of a network interface says of it: ethtool(8). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	BERTH_DRIVER_BYTES = 32,
};

struct berth_ethtool {
	char driver[BERTH_DRIVER_BYTES]; /* "": not known */
	uint32_t speed_mbps;		 /* 0: not known */
	uint32_t queues;		 /* that receive; 0: not known */
	uint32_t combined, max_combined; /* queues that receive and send, and how many there can be */
	bool has_rss;			 /* spreads flows over its queues by a table that can be read */
	bool has_gro, has_gro_hw, has_lro, has_rx_vlan;
};

/* What is not known stays 0. */
void berth_ethtool_read(const char *name, struct berth_ethtool *facts);
