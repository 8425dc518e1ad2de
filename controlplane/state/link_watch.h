/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the engine's interfaces have lost lately: two samples of their statistics, of which the older one is 30 to
 * 60 s old (less after a start). daemon/ takes the samples.
 */
#pragma once

#include "controlplane/netlink/rtnl.h"
#include "dataplane/core/limits.h"

struct berth_link_sample {
	uint64_t at_ms; /* CLOCK_MONOTONIC; 0: none */
	uint32_t ifindex[BERTH_MAX_PORTS];
	struct berth_rtnl_losses losses[BERTH_MAX_PORTS];
};

struct berth_link_watch {
	struct berth_link_sample older, newer;
};
