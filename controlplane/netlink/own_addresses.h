/* SPDX-License-Identifier: BSD-3-Clause */
/* The host's own addresses, for neigh.c. */
#pragma once

#include "controlplane/netlink/neigh.h"

/* Zeroed: addresses that are not followed. */
struct berth_own {
	union berth_addr *addresses; /* NULL: not followed */
	union berth_addr *next;	     /* the same, being read */
	size_t n;
	bool more; /* than BERTH_NEIGH_MAX_OWN */
};

/* -ENOMEM. Empty before the first survey. */
int berth_own_follow(struct berth_own *own, bool follow);
/* 0 with `changed` set if they did; on an error they are as they were. */
int berth_own_survey(struct berth_own *own, bool *changed);
