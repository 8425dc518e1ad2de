/* SPDX-License-Identifier: BSD-3-Clause */
/* What a configuration changes, in one line. Pure. */
#pragma once

#include <stddef.h>

struct berth_config;

/* "web/b1: weight 100 -> 50, and 3 more changes". */
void berth_history_describe(const struct berth_config *before, const struct berth_config *after, char *text,
			    size_t size);
