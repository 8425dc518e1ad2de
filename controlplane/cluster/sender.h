/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What this node tells others: the exceptions that its scan shows and that are news, as batches of records, each of
 * one service. What cannot be told now is news again with the next scan, so nothing waits here for long and no
 * record is older than a slice of a scan. It also answers a record of another node with its own entry, if that is
 * on another backend and stays (received.h). Pure. One thread.
 */
#pragma once

#include "controlplane/cluster/exceptions.h"
#include "controlplane/cluster/record.h"
#include "controlplane/tables/scan.h"

enum {
	BERTH_SENDER_BATCH = 256, /* records in a batch, at most */
	BERTH_SENDER_BATCH_BYTES = BERTH_SENDER_BATCH * BERTH_CLUSTER_RECORD_MAX_BYTES,
};

/* Gives a batch on. False: it cannot be told now. */
typedef bool berth_sender_tell_fn(void *arg, uint64_t service, const uint8_t *batch, size_t bytes);

struct berth_sender_options {
	uint32_t node; /* this one; not 0 */
	uint64_t epoch;
	uint32_t most; /* exceptions */
	berth_sender_tell_fn *tell;
	void *arg;
};

/* Why a record was told. X(symbol, name) */
#define BERTH_SENDER_REASONS(X)                                                                                    \
	X(NEW, "new")                                                                                              \
	X(CHANGED, "changed")                                                                                      \
	X(REFRESHED, "refreshed")                                                                                  \
	X(ANSWERED, "answered")

enum berth_sender_reason {
#define BERTH_X(symbol, name) BERTH_SENDER_##symbol,
	BERTH_SENDER_REASONS(BERTH_X)
#undef BERTH_X
	BERTH_SENDER_REASON_COUNT,
};

struct berth_sender_counts {
	uint64_t told[BERTH_SENDER_REASON_COUNT]; /* records */
	uint64_t batches;
	uint64_t bytes;
	uint64_t commands; /* of operators */
	uint64_t deferred; /* records that could not be told when they were found */
};

struct berth_sender;

/* NULL: no memory. */
struct berth_sender *berth_sender_new(const struct berth_sender_options *options);
void berth_sender_free(struct berth_sender *sender);

/* The host's time, in seconds since 1970, and that of the tables. Before the first slice of a scan, and now and
 * then. */
void berth_sender_set_time(struct berth_sender *sender, uint32_t unix_s, uint32_t now);
/* For how long a session has been on its backend that began at this time since 1970. Negative: clocks differ. */
int32_t berth_sender_held_s(const struct berth_sender *sender, const struct berth_view *view,
			    uint32_t began_unix_s);

/* A berth_scan_exception_fn. */
void berth_sender_show(void *arg, const struct berth_view *view, const struct berth_scan_exception *exception);
/* After each slice of a scan: tells what it has shown, and the answers. */
void berth_sender_flush(struct berth_sender *sender, const struct berth_view *view);
/* The digest of the configuration in force, which each record has. */
void berth_sender_set_configuration(struct berth_sender *sender, uint64_t digest);
/* After each whole scan that counted exceptions. */
void berth_sender_scan_ended(struct berth_sender *sender);
/* What was told is lost. */
void berth_sender_tell_again(struct berth_sender *sender);

/* Tells at once what an operator does with sessions: a MOVE or CLEAR, of which the caller fills service, backend
 * and client. False: it cannot be told. */
bool berth_sender_command(struct berth_sender *sender, const struct berth_cluster_record *command);

/* Another node has told of an entry, which is in the table here as `entry`. Its last packet there was `idle_s` ago;
 * this node may have had later ones, and has told no node of them. */
void berth_sender_receive(struct berth_sender *sender, const struct berth_view *view, enum berth_table table,
			  const struct berth_entry *entry, uint32_t idle_s);
/* Another node has told it on another backend than this entry, which stays. It is told with the next flush, or ten
 * seconds after it was told before, unless all nodes read that after the other node's record. */
void berth_sender_answer(struct berth_sender *sender, const struct berth_view *view, enum berth_table table,
			 const struct berth_entry *entry);
bool berth_sender_has_answers(const struct berth_sender *sender);
/* This node's own record of the entry has come back in the order in which all nodes read: answers to what came
 * before it are not needed. */
void berth_sender_heard(struct berth_sender *sender, const struct berth_view *view, enum berth_table table,
			const struct berth_entry *entry);
/* Of the last record that is told, or waits to be. */
uint64_t berth_sender_sequence(const struct berth_sender *sender);
/* Whether a record is this node's own, of this run. */
bool berth_sender_is_own(const struct berth_sender *sender, const struct berth_cluster_record *record);

/* "new", ... */
const char *berth_sender_reason_name(enum berth_sender_reason reason);
const struct berth_sender_counts *berth_sender_counts(const struct berth_sender *sender);
const struct berth_exceptions *berth_sender_exceptions(const struct berth_sender *sender);
