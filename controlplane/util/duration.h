/* SPDX-License-Identifier: BSD-3-Clause */
/* Durations as text: a whole number with its unit. Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* "10s" in milliseconds; -1: invalid. */
int64_t berth_duration_parse(const char *text);
/* Milliseconds as "10s". */
void berth_duration_format(char *text, size_t size, int64_t ms);
