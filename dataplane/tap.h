/* SPDX-License-Identifier: BSD-3-Clause */
/* A TAP device: an Ethernet interface of the kernel whose other end is a descriptor. Main lcore. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct berth_tap_options {
	const char *name;
	const uint8_t *mac; /* NULL: any */
	uint16_t mtu;
	bool silent; /* the kernel is to send nothing by itself through it: no ARP, no IPv6 */
};

/* Makes the device, or takes a persistent one of that name, and sets it up. Returns a non-blocking descriptor
 * whose end is the device's, or -errno; the reason is logged. */
int berth_tap_open(const struct berth_tap_options *options);
