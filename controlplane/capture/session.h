/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The running capture; there is at most one. A client starts it and reads its records in parts; it ends when no
 * client has read for some seconds, when another one starts, or with its engine. In berthd's event loop.
 */
#pragma once

#include "controlplane/engine/engine.h"

enum {
	BERTH_CAPTURE_LEASE_S = 3, /* it ends after this time without a read */
};

struct berth_capture;
struct event_base;

/* Of the engine that is current when it is called. NULL: out of memory. */
struct berth_capture *berth_capture_new(struct event_base *base, struct berth_engine *const *engine);
/* Before the engine is closed. */
void berth_capture_free(struct berth_capture *capture);
/* Starts one; `id` is its number. 0, or -errno with one line in `error`. */
int berth_capture_start(struct berth_capture *capture, const struct berth_capture_filter *filter, uint64_t *id,
			char error[BERTH_ERROR_BYTES]);
/* As the engine's. -ENOENT: that capture has ended. */
int berth_capture_read(struct berth_capture *capture, uint64_t id, uint32_t most, berth_capture_fn *fn, void *arg,
		       uint64_t *missed);
