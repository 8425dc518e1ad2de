// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/store/outbox.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/helper/message.h"

enum {
	SECOND_US = 1000000,
};

void berth_outbox_init(struct berth_outbox *outbox)
{
	*outbox = (struct berth_outbox){0};
	STAILQ_INIT(&outbox->queue);
}

void berth_outbox_clear(struct berth_outbox *outbox)
{
	while (!STAILQ_EMPTY(&outbox->queue))
		berth_outbox_pop(outbox);
}

static int by_service(const void *a, const void *b)
{
	const struct berth_outbox_batch *one = a, *other = b;
	return (one->service > other->service) - (one->service < other->service);
}

static bool has_room(const struct berth_outbox *outbox, size_t bytes)
{
	return bytes <= BERTH_OUTBOX_BYTES && outbox->held + bytes <= BERTH_OUTBOX_BYTES;
}

/* The waiting batch that this one joins; NULL: none. */
static struct berth_outbox_batch *open_batch(const struct berth_outbox *outbox,
					     const struct berth_outbox_batch *batch)
{
	struct berth_outbox_batch *const *found = batch->may_join ? tfind(batch, &outbox->open, by_service) : NULL;
	const size_t waiting = found ? (*found)->bytes : BERTH_HELPER_STORE_BATCH_BYTES;
	return waiting < BERTH_HELPER_STORE_BATCH_BYTES && batch->bytes <= BERTH_HELPER_STORE_BATCH_BYTES - waiting
		       ? *found
		       : NULL;
}

/* Doubled, so that many small batches are not copied for each of them. */
static size_t room_for(size_t bytes)
{
	return 2 * bytes < BERTH_HELPER_STORE_BATCH_BYTES ? 2 * bytes : BERTH_HELPER_STORE_BATCH_BYTES;
}

static bool grow(struct berth_outbox *outbox, struct berth_outbox_batch *batch, size_t bytes)
{
	const size_t room = room_for(bytes);
	uint8_t *records = has_room(outbox, room - batch->room) ? realloc(batch->records, room) : NULL;
	if (!records)
		return false;
	outbox->held += room - batch->room;
	batch->records = records;
	batch->room = room;
	return true;
}

static bool join(struct berth_outbox *outbox, struct berth_outbox_batch *to, const struct berth_outbox_batch *batch,
		 const uint8_t *records)
{
	const size_t bytes = to->bytes + batch->bytes;
	if (bytes > to->room && !grow(outbox, to, bytes))
		return false;
	memcpy(to->records + to->bytes, records, batch->bytes);
	to->bytes = bytes;
	to->horizon_s = batch->horizon_s;
	outbox->bytes += batch->bytes;
	return true;
}

static void seal(struct berth_outbox *outbox, struct berth_outbox_batch *batch)
{
	if (batch->may_join)
		tdelete(batch, &outbox->open, by_service);
	batch->may_join = false;
}

/* Without memory nothing joins it. */
static void open_for_others(struct berth_outbox *outbox, struct berth_outbox_batch *batch)
{
	struct berth_outbox_batch *const *former = tfind(batch, &outbox->open, by_service);
	if (former)
		seal(outbox, *former);
	batch->may_join = tsearch(batch, &outbox->open, by_service);
}

static struct berth_outbox_batch *copy_of(const struct berth_outbox_batch *batch, const uint8_t *records)
{
	struct berth_outbox_batch *copy = malloc(sizeof(*copy));
	uint8_t *copied = malloc(batch->bytes);
	if (!copy || !copied) {
		free(copy);
		free(copied);
		return NULL;
	}
	*copy = *batch;
	copy->records = copied;
	copy->room = batch->bytes;
	memcpy(copied, records, batch->bytes);
	return copy;
}

bool berth_outbox_push(struct berth_outbox *outbox, const struct berth_outbox_batch *batch, const uint8_t *records)
{
	struct berth_outbox_batch *waiting = open_batch(outbox, batch);
	if (waiting)
		return join(outbox, waiting, batch, records);
	const size_t held = sizeof(*batch) + batch->bytes;
	struct berth_outbox_batch *copy = held > batch->bytes && has_room(outbox, held) ? copy_of(batch, records)
											: NULL;
	if (!copy)
		return false;
	STAILQ_INSERT_TAIL(&outbox->queue, copy, entry);
	outbox->n++;
	outbox->bytes += batch->bytes;
	outbox->held += held;
	if (batch->may_join)
		open_for_others(outbox, copy);
	return true;
}

bool berth_outbox_send(struct berth_outbox *outbox, struct berth_outbox_batch *batch, uint64_t now_ms)
{
	const uint64_t now_us = 1000 * now_ms;
	if (outbox->free_us > now_us + SECOND_US)
		return false;
	if (outbox->free_us < now_us)
		outbox->free_us = now_us;
	outbox->free_us += SECOND_US * batch->bytes / BERTH_OUTBOX_RATE;
	seal(outbox, batch);
	return true;
}

void berth_outbox_pop(struct berth_outbox *outbox)
{
	struct berth_outbox_batch *first = STAILQ_FIRST(&outbox->queue);
	seal(outbox, first);
	STAILQ_REMOVE_HEAD(&outbox->queue, entry);
	outbox->n--;
	outbox->bytes -= first->bytes;
	outbox->held -= sizeof(*first) + first->room;
	free(first->records);
	free(first);
}
