/* SPDX-License-Identifier: BSD-3-Clause */
/* Sends a frame to several engines, and compares all that they did and wrote. */
#pragma once

#include "tests/diff/engine.h"

/* Returns NULL where all agree; else what differs, with the details printed. `verdict` is the first engine's. */
const char *compare_engines(struct engine *engines, uint32_t n, const struct sent *sent,
			    enum berth_verdict *verdict);

/*
 * The same for up to ENGINE_BURST frames of the same second: engines that take bursts get them as one, the others
 * one by one. Tables and counters are compared after the last.
 *
 * A burst keeps the order within a flow but steers known flows before new ones. So where a new one makes a living
 * one give way (the event flow_evicted), which of the two came first decides, and nothing is to be compared from
 * there on: `evicted` becomes true.
 */
const char *compare_bursts(struct engine *engines, uint32_t n, const struct sent *sent, uint32_t frames,
			   enum berth_verdict *verdicts, bool *evicted);
