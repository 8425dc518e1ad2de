/* SPDX-License-Identifier: BSD-3-Clause */
/* Which ports of the DPDK engine have a TAP device, which berthd makes before berth-dpdk starts. Pure. */
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

static inline bool berth_device_is_af_packet(const char *device)
{
	return berth_has_prefix(device, BERTH_AF_PACKET_DRIVER) || berth_has_prefix(device, "eth_af_packet");
}

static inline bool berth_device_has_interface(const char *device, const char *name)
{
	const char *value = strstr(device, ",iface=");
	const size_t length = strlen(name);
	if (!value)
		return false;
	value += strlen(",iface=");
	return strncmp(value, name, length) == 0 && (value[length] == ',' || !value[length]);
}

/* By the device and the name of a port in the configuration. Device "": the kernel interface of that name. One on
 * AF_XDP has a TAP if its interface has another name. */
static inline bool berth_device_has_tap(const char *device, const char *name)
{
	if (!device[0] || berth_device_is_af_packet(device))
		return false;
	return !berth_has_prefix(device, BERTH_AF_XDP_DRIVER) || !berth_device_has_interface(device, name);
}
