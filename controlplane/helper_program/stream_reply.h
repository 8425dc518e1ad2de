/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads what Redis answers to XREAD, which may be from anyone, and may be cut off. Pure. */
#pragma once

#include <hiredis/hiredis.h>

#include "controlplane/helper/message.h"

enum {
	BERTH_STREAM_KEY_BYTES = BERTH_NAME_BYTES + 32,
};

/* What came of one stream of a round's page. */
struct berth_stream_result {
	struct berth_store_position after;
	uint32_t entries; /* of any kind */
	uint32_t refused; /* entries that are no batches */
	bool is_refused;  /* the key is no stream */
};

/* A batch in a stream. */
struct berth_stream_entry {
	uint64_t service;
	struct berth_store_position at;
	bool is_own; /* from this run of this node */
	const char *records;
	size_t bytes;
};

struct berth_stream_reader {
	const struct berth_helper_store_round *round;
	struct berth_stream_result *results; /* of each stream of the page */
	/* Returns false if memory is short. */
	bool (*batch)(void *arg, const struct berth_stream_entry *entry);
	void *arg;
};

/* "berth:CLUSTER:x:0123456789abcdef". Returns `key`. */
const char *berth_stream_key(const char *cluster, uint64_t service, char key[BERTH_STREAM_KEY_BYTES]);
/* "1700000000000-1". Returns false if it is none. */
bool berth_stream_parse_position(const redisReply *reply, struct berth_store_position *position);
uint32_t berth_stream_age_s(struct berth_store_position position, uint64_t now_ms);
/* Copies printable bytes. */
void berth_stream_copy_id(char id[BERTH_HELPER_STORE_ID_BYTES], const char *text, size_t bytes);
/* Of the answer to INFO; "" if it is not there. */
void berth_stream_parse_run_id(const redisReply *reply, char id[BERTH_HELPER_STORE_ID_BYTES]);
/* Of the answer to TIME. Returns false if it is none. */
bool berth_stream_parse_time(const redisReply *reply, uint64_t *now_ms);
/* Returns what is wrong with the answer, or NULL. An answer that is cut off at an entry that is too long counts
 * that one as refused. */
const char *berth_stream_read(const struct berth_stream_reader *reader, const redisReply *reply, bool is_cut);
