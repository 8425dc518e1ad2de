/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a new engine process does before it forwards if none swept the tables for long (core/clock.h): the clock of
 * the tables has stopped, and goes on by complete sweeps only.
 */
#pragma once

#include "dataplane/core/image.h"

/* Seconds of CLOCK_MONOTONIC. */
uint32_t berth_clock_read(void);

/* Sweeps the tables until their time is `monotonic`. No worker runs. */
void berth_catch_up(const struct berth_image *image, uint32_t monotonic);
