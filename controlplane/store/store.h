/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The store of a cluster as berthd sees it. Once a second a helper process writes this node's presence and reads
 * those of the others; berthd never waits for it, and forwarding does not depend on it. After a failure the next
 * visit is to the next server, later and later. Event loop's thread.
 */
#pragma once

#include <event2/event.h>

#include "controlplane/cluster/receiver.h"
#include "controlplane/helper/helper.h"
#include "controlplane/store/peers.h"
#include "controlplane/store/rounds.h"
#include "controlplane/util/error.h"

struct berth_store;

/* Fills what this node tells: digests and counts. */
typedef void berth_store_describe_fn(void *arg, struct berth_presence *own);

/* Times are CLOCK_MONOTONIC. */
struct berth_store_status {
	bool is_connected; /* the last visit succeeded */
	bool is_alarm;	   /* it cannot be reached, as was logged */
	bool is_doubled;   /* another berthd visits as this node */
	uint64_t since_ms; /* since when it is connected, or is not */
	uint64_t visits;
	uint64_t failures;
	uint64_t refused;		  /* names and values that cannot be those of nodes */
	uint64_t refused_now;		  /* of them, in the last visit */
	struct berth_store_server server; /* Redis; port 0: not known */
	char error[BERTH_ERROR_BYTES];	  /* of the last failure; "": none yet */
	struct berth_presence own;
	struct berth_peers peers; /* the others */
};

/* The helper must outlive it. NULL: out of memory. */
struct berth_store *berth_store_new(struct event_base *base, struct berth_helper *helper,
				    const struct berth_cluster_config *config, berth_store_describe_fn *describe,
				    void *arg);
void berth_store_free(struct berth_store *store);
const struct berth_store_status *berth_store_status(const struct berth_store *store);

/* --- records --- */

void berth_store_set_listener(struct berth_store *store, const struct berth_store_listener *listener);
/* Which services' records this node tells, and which it wants; copied. Horizons are 60 s to 90000 s. Returns 0 or
 * -ENOMEM: then nothing changes. */
int berth_store_follow_services(struct berth_store *store, const struct berth_followed_wish *wishes, size_t n);
/* What the stream of a service has is read from the start, once more. */
void berth_store_read_again(struct berth_store *store, uint64_t service);
/* All streams are read again from the first batch that could not be taken (on_batch). */
void berth_store_read_missed(struct berth_store *store);
/* Gives a batch of records of one service to be told, at most BERTH_HELPER_STORE_BATCH_BYTES. Returns false, which
 * is counted, if the queue is full (offer it later) or the service is not followed. */
bool berth_store_tell(struct berth_store *store, uint64_t service, const uint8_t *batch, size_t bytes);
const struct berth_store_records *berth_store_records(const struct berth_store *store);
/* Records and entries of streams that no node of this version has written. */
uint64_t berth_store_refused_records(const struct berth_store *store, const struct berth_receiver *receiver);
