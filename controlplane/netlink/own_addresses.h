/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the host's own addresses, for netlink.c. */
#pragma once

#include <stddef.h>

#include "dataplane/core/types.h"

/* Zeroed: disabled. */
struct berth_own_reader {
	union berth_addr *addresses; /* NULL: disabled */
	union berth_addr *next;	     /* the buffer for the next read */
	size_t n;
	bool is_truncated; /* the host has more than BERTH_MAX_OWN */
};

/* 0 or -ENOMEM. Empty before the first read. */
int berth_own_reader_enable(struct berth_own_reader *own, bool enable);
/* Sets `changed` if the addresses changed. 0, or -errno with nothing changed. */
int berth_own_reader_read(struct berth_own_reader *own, bool *changed);
