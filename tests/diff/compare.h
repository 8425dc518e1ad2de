/* SPDX-License-Identifier: BSD-3-Clause */
/* Sends frames to several engines and compares their outcomes, counters and tables. */
#pragma once

#include "tests/diff/engine.h"

/* Returns NULL if all engines agree; else the name of the difference, and prints its details. `verdict` is the
 * first engine's. */
const char *compare_engines(struct engine *engines, uint32_t n, const struct sent *sent,
			    enum berth_verdict *verdict);

/*
 * The same for up to ENGINE_BURST frames of one second: engines that take bursts get them as a burst, the others
 * one by one. Tables and counters are compared after the last frame.
 *
 * A burst keeps the order within a flow but steers known flows before new ones. If a new flow evicts a live one
 * (event flow_evicted), the order of the two matters and the engines differ from there on: `evicted` becomes true.
 */
const char *compare_bursts(struct engine *engines, uint32_t n, const struct sent *sent, uint32_t frames,
			   enum berth_verdict *verdicts, bool *evicted);
