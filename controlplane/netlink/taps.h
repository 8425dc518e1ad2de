/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The TAP devices beside DPDK ports. They are persistent, so that their addresses and routes outlive berth-dpdk and
 * berthd; and berthd holds a queue of each, which is never read: while berthd or berth-dpdk runs, no carrier is
 * lost, so that neighbours stay and no network manager removes addresses.
 *
 * The alias of a device says which instance has made it. Only such devices are removed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "dataplane/interface/option_limits.h"

struct berth_taps {
	const char *instance;
	struct berth_held_tap {
		char name[BERTH_IFNAME_BYTES]; /* "": none */
		int fd;
	} held[BERTH_MAX_PORTS];
};

void berth_taps_init(struct berth_taps *taps, const char *instance);
/* Holds the device, which is made if there is none: without a carrier, until berth-dpdk forwards. No effect if it
 * is held. One that is not persistent must be that of berth-dpdk (`is_engines`): it becomes persistent. 0 or
 * -errno; -EINVAL, -EBUSY: an interface or a TAP device of this name exists that cannot be held; -EEXIST: it is of
 * another program. */
int berth_taps_hold(struct berth_taps *taps, const char *name, bool is_engines);
/* Nothing receives what the kernel sends. */
void berth_taps_clear_carriers(const struct berth_taps *taps);
/* Removes the devices of this instance whose names are not among `n`, and logs each. 0 or -errno. */
int berth_taps_remove_others(struct berth_taps *taps, const char *const *names, size_t n);
/* The devices stay. */
void berth_taps_close(struct berth_taps *taps);
