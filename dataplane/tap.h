/* SPDX-License-Identifier: BSD-3-Clause */
/* A TAP device: an Ethernet interface of the kernel; a descriptor reads and writes its frames. Main lcore. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct berth_tap_options {
	const char *name;
	const uint8_t *mac; /* 6 bytes; NULL: the kernel chooses */
	uint16_t mtu;
	bool silent; /* the kernel sends nothing through it on its own: no ARP, no IPv6 */
};

/* Creates the device, or opens a persistent one of that name, and sets it up. Returns a non-blocking descriptor,
 * with which the device is removed, or -errno; the reason is logged. */
int berth_tap_open(const struct berth_tap_options *options);
