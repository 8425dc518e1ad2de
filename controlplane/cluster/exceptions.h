/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The exceptions of this node, scan by scan: what others have to be told. A scan shows each exception that it
 * finds; the set says whether it is news. What no scan has shown again is gone. Bounded, and pure: time is an
 * argument. Used from one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/tables/exception.h"

struct berth_exceptions;

/* An entry of a table. `low`: low bits of its hash, as many as the table needs for its place. */
struct berth_exception_key {
	uint32_t tag;
	uint32_t low;
	enum berth_table table;
};

/* Of a word in a bucket of a table with so many. The same in both buckets that the word can be in. */
struct berth_exception_key berth_exceptions_key(enum berth_table table, uint64_t word, uint32_t bucket,
						uint32_t buckets);

enum berth_exception_news {
	BERTH_EXCEPTION_KNOWN, /* no news */
	BERTH_EXCEPTION_NEW,
	BERTH_EXCEPTION_CHANGED,   /* another backend */
	BERTH_EXCEPTION_REFRESHED, /* so much later traffic that others would let it expire too early */
	BERTH_EXCEPTION_LOST,	   /* no room: it is counted, and told by no one */
};

/* For `most` exceptions. NULL: no memory. */
struct berth_exceptions *berth_exceptions_new(uint32_t most);
void berth_exceptions_free(struct berth_exceptions *set);

/* A scan found it on this backend (any number that names it), with traffic last at `seen_s`; it expires `timeout_s`
 * after its last traffic. News count as told from now on. */
enum berth_exception_news berth_exceptions_show(struct berth_exceptions *set, const struct berth_exception_key *key,
						uint16_t backend, uint32_t seen_s, uint32_t timeout_s);

/* Another node needs to be told it once more. False: that is known already. */
bool berth_exceptions_want(struct berth_exceptions *set, const struct berth_exception_key *key);
/* Ends what want began. False: it was told since. */
bool berth_exceptions_take_want(struct berth_exceptions *set, const struct berth_exception_key *key);
/* This node's own record, on this backend, has come back in the order in which all nodes read: who needed it
 * before has it. */
void berth_exceptions_heard(struct berth_exceptions *set, const struct berth_exception_key *key, uint16_t backend);
/* It is news, although it may have been told a moment ago. False: it was, for this reason, and had no traffic
 * since, so that nodes which cannot agree do not go on. */
bool berth_exceptions_renew(struct berth_exceptions *set, const struct berth_exception_key *key, uint32_t seen_s);
/* The entry began then. If what was told was an earlier one, which has ended, it is news. */
void berth_exceptions_begin(struct berth_exceptions *set, const struct berth_exception_key *key, uint32_t began_s);

/* It could not be told: it is news again with the next scan. */
void berth_exceptions_defer(struct berth_exceptions *set, const struct berth_exception_key *key);

/* Another node has told it, and will tell it again. It becomes this node's to tell with later traffic here. */
void berth_exceptions_receive(struct berth_exceptions *set, const struct berth_exception_key *key, uint16_t backend,
			      uint32_t seen_s);

/* A whole scan has ended. */
void berth_exceptions_scan_ended(struct berth_exceptions *set);

/* Looks at the next `slots` places, and removes and reports what the last whole scan has not shown. Call it between
 * slices of scans, so that it has been around once per 100 scans at least. `gone` must not use the set. */
typedef void berth_exception_gone_fn(void *arg, const struct berth_exception_key *key, uint16_t backend);
void berth_exceptions_sweep(struct berth_exceptions *set, uint32_t slots, berth_exception_gone_fn *gone, void *arg);

/* All are to be told again: whoever was told has lost it. But not what other nodes have told: they do. */
void berth_exceptions_tell_again(struct berth_exceptions *set);

uint32_t berth_exceptions_count(const struct berth_exceptions *set);
/* Places to look at for all of them. */
uint32_t berth_exceptions_slots(const struct berth_exceptions *set);
/* How often there was no room. */
uint64_t berth_exceptions_lost(const struct berth_exceptions *set);
