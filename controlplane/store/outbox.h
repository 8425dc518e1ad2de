/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Batches of records that wait to be written to the store, oldest first, bounded in bytes. What a service adds
 * while a batch of it waits joins that batch, so that a slow store gets fewer and longer ones. Bounded in bytes per
 * second, too. Pure: time is an argument.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

enum {
	BERTH_OUTBOX_BYTES = 32 << 20, /* about 400,000 records */
	/* Per second, about 250,000 records of flows: a store for many nodes is not flooded by one of them. */
	BERTH_OUTBOX_RATE = 16 << 20,
};

struct berth_outbox_batch {
	STAILQ_ENTRY(berth_outbox_batch) entry;
	uint64_t service;
	uint32_t horizon_s; /* of the service */
	uint64_t queued_ms;
	size_t bytes;
	size_t room;   /* of `records` */
	bool may_join; /* records may be added to it */
	uint8_t *records;
};

struct berth_outbox {
	STAILQ_HEAD(, berth_outbox_batch) queue;
	size_t n;
	size_t bytes;	  /* of the records */
	size_t held;	  /* bytes of memory */
	void *open;	  /* of tsearch: of each service the batch that others may join */
	uint64_t free_us; /* when what was sent is within the rate */
};

void berth_outbox_init(struct berth_outbox *outbox);
void berth_outbox_clear(struct berth_outbox *outbox);
/* Copies `records`, of batch->bytes; the member `records` of `batch` is not used. Returns false if there is no room
 * or no memory. */
bool berth_outbox_push(struct berth_outbox *outbox, const struct berth_outbox_batch *batch, const uint8_t *records);
/* It is written now: nothing joins it from now on. False: not now, the rate is reached. A second's bytes may go at
 * once.
 */
bool berth_outbox_send(struct berth_outbox *outbox, struct berth_outbox_batch *batch, uint64_t now_ms);
/* Removes the oldest one. The outbox must not be empty. */
void berth_outbox_pop(struct berth_outbox *outbox);
