/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Generation -> image: writes into the half that nobody reads and makes it current with one store.
 */
#pragma once

#include "controlplane/compile.h"
#include "controlplane/engine.h"

struct berth_publisher;

/* For an engine whose image is founded or adopted. NULL: no memory. */
struct berth_publisher *berth_publisher_new(struct berth_engine *engine);
void berth_publisher_free(struct berth_publisher *publisher);

/*
 * Publishes. 0: it is current. -EAGAIN: the half or the row lines it needs may still be read by a worker; call
 * again a little later. -ENOSPC: the rows do not fit (message in `error`). Nothing is changed unless 0.
 */
int berth_publish(struct berth_publisher *publisher, const struct berth_generation *generation,
		  char error[BERTH_ERROR_BYTES]);

/* Sets what a backend may get, at once. */
void berth_publish_admits(struct berth_publisher *publisher, uint32_t backend, uint8_t admits);
