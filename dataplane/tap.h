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
	int logged;  /* -errno of the last attempt, which is not logged again; 0: none */
};

/* Creates the device, or opens a persistent one of that name (berthd makes those of ports), and sets it up: what is
 * as it should be is not touched. Returns a non-blocking descriptor, with which a device is removed that is not
 * persistent, or -errno; the reason is logged. */
int berth_tap_open(const struct berth_tap_options *options);
/* Sets the link address again if it has another one. 1: it was set; 0: it has it; -errno. */
int berth_tap_keep_mac(const char *name, const uint8_t mac[6]);
void berth_tap_set_carrier(int fd, bool is_up);
/* False: the device was removed, or has another name now. */
bool berth_tap_is_there(int fd, const char *name);
