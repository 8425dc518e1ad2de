/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Merged segments: packets that a driver (LRO, rx-gro-hw), an interface below (GRO) or a sender on the same machine
 * (TSO) made of several TCP segments. Generic XDP gets them as one packet, which is longer than the MTU and cannot
 * be split, so that uploads stall. Native XDP gets none: a driver that merges refuses it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/util/error.h"

/* Packets that were too long for their path and for the MTU of the interface that they came by. `map`: of the
 * program, by interface. */
uint64_t berth_merging_count(int map, uint32_t ifindex);
/* The interface is gone; another one may get its number. */
void berth_merging_forget(int map, uint32_t ifindex);

/* Switches off on the interface what merges, and logs it. False: nothing was on that could be switched off. */
bool berth_merging_stop(const char *interface);
/* What merges, and what helps against it, for people. */
void berth_merging_describe(const char *interface, char text[BERTH_ERROR_BYTES]);

/* Why a driver refused the native program with `err` (-errno), and what helps, for people. */
void berth_merging_describe_refusal(const char *interface, int err, char text[BERTH_ERROR_BYTES]);
