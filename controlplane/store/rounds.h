/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the nodes tell each other through the store: batches of records, each of one service, in a stream of Redis
 * per service. A round writes what waits and reads what is new; rounds follow each other at once while there is
 * more, else after 0.1 s, and after a failure later and later. What was not written stays in the queue. Used by
 * store.h. Event loop's thread.
 */
#pragma once

#include <event2/event.h>

#include "controlplane/helper/helper.h"
#include "controlplane/store/followed.h"
#include "controlplane/util/error.h"

struct berth_rounds;

/* A batch that was read. */
struct berth_store_batch {
	uint64_t service;
	bool is_own;	/* this run of this node has told it */
	bool is_again;	/* it may have been carried out here before */
	uint32_t age_s; /* since it was told, by the store's clock */
	const uint8_t *records;
	size_t bytes;
};

/* The calls must not free the store. */
struct berth_store_listener {
	/* Not checked: any bytes, in the order of the service's stream. False: not all of it could be taken, and it
	 * is to be read once more with berth_store_read_missed. */
	bool (*on_batch)(void *arg, const struct berth_store_batch *batch);
	/* What was told is lost (the store has other data, or failed over): tell all again. */
	void (*on_lost)(void *arg);
	/* All streams have been read to their end: once after the first services are followed, and again after what
	 * was lost, after other services are followed, and after what could not be taken before was read again. */
	void (*on_synchronised)(void *arg);
	void *arg;
};

/* Of records, since the configuration named this store. */
struct berth_store_records {
	uint64_t told_batches, told_bytes;
	uint64_t read_batches, read_bytes; /* of other nodes */
	uint64_t refused_entries; /* in the streams: no batches; or a key that is no stream, at each read */
	uint64_t refused_batches; /* of this node: no room, not followed, or the store's key is no stream */
	uint64_t lost;		  /* how often the store had other data */
	uint64_t rounds, failures;
	uint64_t oldest_ms; /* since when the oldest batch waits, CLOCK_MONOTONIC; 0: none waits */
	size_t queue_batches, queue_bytes;
	size_t services;	       /* whose records are written or read */
	size_t read_services, behind;  /* of them those that are read; and those not read to the end */
	bool is_synchronised;	       /* all that is followed has been read to the end */
	bool is_alarm;		       /* rounds fail although visits do not, as was logged */
	char error[BERTH_ERROR_BYTES]; /* of the last failure; "": none yet */
};

/* `run`: of this berthd. The helper must outlive it. NULL: out of memory. */
struct berth_rounds *berth_rounds_new(struct event_base *base, struct berth_helper *helper,
				      const struct berth_cluster_config *config, uint64_t run);
void berth_rounds_free(struct berth_rounds *rounds);
/* Redis itself is reached: rounds may begin, or go on there. */
void berth_rounds_allow(struct berth_rounds *rounds, const struct berth_store_server *server, const char *password);
/* It is not: no round begins. */
void berth_rounds_forbid(struct berth_rounds *rounds);
/* Returns false if the message is invalid. */
bool berth_rounds_received(struct berth_rounds *rounds, const struct berth_helper_header *message);
void berth_rounds_helper_ended(struct berth_rounds *rounds);

void berth_rounds_set_listener(struct berth_rounds *rounds, const struct berth_store_listener *listener);
bool berth_rounds_tell(struct berth_rounds *rounds, uint64_t service, const uint8_t *batch, size_t bytes);
int berth_rounds_follow(struct berth_rounds *rounds, const struct berth_followed_wish *wishes, size_t n);
void berth_rounds_read_again(struct berth_rounds *rounds, uint64_t service);
void berth_rounds_read_missed(struct berth_rounds *rounds);
const struct berth_store_records *berth_rounds_status(struct berth_rounds *rounds);
