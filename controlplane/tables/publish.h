/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Generation -> image: writes a generation into the half that no worker reads, and makes it current with one store.
 * berthd alone publishes, in its event loop.
 */
#pragma once

#include "controlplane/compile/compile.h"
#include "controlplane/engine/engine.h"

struct berth_publisher;

/* For an engine with a new or an adopted image. NULL: out of memory. */
struct berth_publisher *berth_publisher_new(struct berth_engine *engine);
void berth_publisher_free(struct berth_publisher *publisher);

/* Whether the selection tables have room at their largest, so that no later change of weights or eligibility needs
 * more. 0, or -ENOSPC with one line in `error`. */
int berth_publisher_check(const struct berth_geometry *geometry, const struct berth_generation *generation,
			  char error[BERTH_ERROR_BYTES]);

/* Publishes. 0: the generation is current. -EAGAIN: a worker may still read the half that it needs; call again
 * later. -ENOSPC: berth_publisher_check. On an error nothing is changed. */
int berth_publish(struct berth_publisher *publisher, const struct berth_generation *generation,
		  char error[BERTH_ERROR_BYTES]);

/* Writes backends and tables of the generation, about `most` of them or one table, which berth_publish then finds
 * written; of no other generation in between, and only while the publisher is quiescent. berth_publisher_check must
 * have passed. True: all are written. */
bool berth_publisher_write_ahead(struct berth_publisher *publisher, const struct berth_generation *generation,
				 uint32_t most);

/* Whether the grace period of the last publication is over: every worker reads the current generation. */
bool berth_publisher_is_quiescent(struct berth_publisher *publisher);

/*
 * Copies tables of the current generation, about `most` lines or one table, to the half that no worker reads, where
 * the next publication finds them: it then writes only what has changed. Only while it is quiescent. True: all are
 * there.
 */
bool berth_publisher_copy_ahead(struct berth_publisher *publisher, uint32_t most);

/* Sets the eligibility bits of a backend, by its number. Workers see them with their next packet. */
void berth_publish_eligibility(struct berth_publisher *publisher, uint32_t backend, uint8_t eligibility);
