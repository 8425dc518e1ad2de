/* SPDX-License-Identifier: BSD-3-Clause */
/* Which ports of the DPDK engine have a TAP device that berthd makes. Pure. */
#pragma once

#include <stdbool.h>
#include <string.h>

/* Drivers that take packets from an interface of the kernel. */
#define BERTH_AF_PACKET_DRIVER "net_af_packet"
#define BERTH_AF_XDP_DRIVER "net_af_xdp"

static inline bool berth_has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* By the device of a port in the configuration; "": its kernel interface. */
static inline bool berth_device_has_tap(const char *device)
{
	return device[0] && !berth_has_prefix(device, BERTH_AF_PACKET_DRIVER) &&
	       !berth_has_prefix(device, BERTH_AF_XDP_DRIVER);
}
