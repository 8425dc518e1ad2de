/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Generation -> image: writes into the half that nobody reads and makes it current with one store.
 */
#pragma once

#include "controlplane/compile/compile.h"
#include "controlplane/engine/engine.h"

struct berth_publisher;

/* For an engine whose image is founded or adopted. NULL: no memory. */
struct berth_publisher *berth_publisher_new(struct berth_engine *engine);
void berth_publisher_free(struct berth_publisher *publisher);

/*
 * Publishes. 0: it is current. 1: it is current, but for lack of room some services' selection tables are still
 * the ones they had; call again. -EAGAIN: the half or the row lines it needs may still be read by a worker; call
 * again a little later. -ENOSPC: the rows do not fit (message in `error`). Nothing is changed by an error.
 */
int berth_publish(struct berth_publisher *publisher, const struct berth_generation *generation,
		  char error[BERTH_ERROR_BYTES]);

/* Whether no worker can still read a generation older than the current one. */
bool berth_publisher_quiet(struct berth_publisher *publisher);

/* Sets what a backend may get, at once. */
void berth_publish_eligibility(struct berth_publisher *publisher, uint32_t backend, uint8_t eligibility);
