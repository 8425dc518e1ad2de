/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What nodes tell each other: batches of records, checked one by one and put into the tables. Whoever can write to
 * the store can write a batch, so each member is checked, and a record names services and backends by their ids.
 * What this node has told comes back in order with the others', so that sessions are cleared in that order on all
 * nodes. Pure: time is an argument. One thread.
 */
#pragma once

#include "controlplane/cluster/sender.h"
#include "controlplane/tables/received.h"

struct berth_receiver_counts {
	uint64_t put[BERTH_RECEIVED_OUTCOME_COUNT];
	uint64_t unknown;  /* of a service or backend that this node does not have */
	uint64_t own;	   /* of this run of this node */
	uint64_t commands; /* what operators do with sessions on other nodes, carried out here */
	uint64_t refused[BERTH_CLUSTER_RECORD_FAULT_COUNT];
};

struct berth_receiver;

/* `sender`: what is put into the tables is not told again. NULL: no memory. */
struct berth_receiver *berth_receiver_new(struct berth_sender *sender);
void berth_receiver_free(struct berth_receiver *receiver);

struct berth_receiver_batch {
	uint64_t service; /* id */
	const uint8_t *records;
	size_t bytes;
	uint32_t age_s; /* since it was told */
	/* Its commands may have been carried out here before. They leave alone what had packets since it was told.
	 */
	bool is_again;
};

/* `now` in seconds of CLOCK_MONOTONIC. While workers run. False: some of it is of a service or backend that this
 * node does not have. */
bool berth_receiver_take(struct berth_receiver *receiver, const struct berth_image *image, uint32_t now,
			 const struct berth_receiver_batch *batch);

/* Whether this node has a service and backend now of which it could not take a record before. True once for them.
 */
bool berth_receiver_may_take_more(struct berth_receiver *receiver, const struct berth_image *image);

/* Goes on with the commands that take longer than a batch may; true: there was one. Between two slices of a scan.
 */
bool berth_receiver_step(struct berth_receiver *receiver, const struct berth_image *image, uint32_t now);

const struct berth_receiver_counts *berth_receiver_counts(const struct berth_receiver *receiver);
/* Of all records, those that no node of this version sends. */
uint64_t berth_receiver_refused(const struct berth_receiver_counts *counts);
