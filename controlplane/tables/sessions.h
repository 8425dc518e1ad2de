/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads and changes single sessions in the session table, while workers run. berthd is one more writer of the
 * table: it has a worker number of its own (BERTH_CONTROL_WORKER). Callers take their view from
 * berth_sessions_view; it is of the current generation.
 */
#pragma once

#include "dataplane/core/image.h"

#include "dataplane/core/packet.h"

/* A session as read. */
struct berth_session {
	uint64_t word;
	uint32_t at;		    /* the word's index in the table */
	bool has_client;	    /* `client` belongs to this word */
	struct berth_client client; /* a copy */
};

/* Whether more than a SYN, or more than one datagram, of the client was seen. */
bool berth_session_is_confirmed(const struct berth_session *session);

/* Numbers are as in table words: those of an group are its first service's. */
struct berth_session_filter {
	uint32_t service;	 /* 0: any */
	uint32_t backend;	 /* 0: any */
	bool by_client;		 /* only clients within the prefix, or the client prefix that contains it */
	union berth_addr prefix; /* bits beyond `bits` are 0 */
	uint8_t bits;		 /* of 128: an IPv4 prefix length plus 96 */
};

struct berth_view berth_sessions_view(const struct berth_image *image, uint32_t now);

/* Finds the next matching session from index `*at` up to `end` (exclusive), and sets `*at` to the index after it.
 * False: none before `end`. Sessions inserted or removed meanwhile may be missed; all others are found once. */
bool berth_sessions_next(const struct berth_view *view, const struct berth_session_filter *filter, uint32_t *at,
			 uint32_t end, struct berth_session *found);

/* Removes a session. False: it was removed, or moved to another backend, after it was read. */
bool berth_sessions_remove(const struct berth_view *view, const struct berth_session *session);

/*
 * Assigns a client of service number `number` to backend number `backend`. Reason PINNED inserts a session if the
 * client has none; reason MOVED is -ENOENT then. -ENOSPC: the table has no room. -EBUSY: workers kept changing the
 * same session. 0 with the session in `placed`.
 */
int berth_sessions_assign(const struct berth_view *view, const union berth_addr *client, uint32_t number,
			  uint32_t backend, enum berth_reason reason, struct berth_session *placed);

/* A session of a former table, with its ages at the view's time. */
struct berth_session_record {
	union berth_addr client; /* the prefix */
	uint32_t service;	 /* to which the numbers below belong */
	uint32_t backend;
	uint32_t idle_s;
	uint32_t age_s; /* since it is on this backend */
	uint32_t flows;
	uint32_t from; /* as in struct berth_client; 0: none */
	enum berth_reason reason;
};

/* Prefetches the lines of a client's session in the service. */
void berth_sessions_prefetch(const struct berth_view *view, const union berth_addr *client, uint32_t number);
/* Inserts a session, unless the client has one. 0; -ENOSPC: no room. */
int berth_sessions_restore(const struct berth_view *view, const struct berth_session_record *record);

/* Moves the sessions of a bucket of the former table, with these clients, into the table. Returns how many. */
uint32_t berth_sessions_move(const struct berth_view *view, const struct berth_bucket *bucket,
			     const struct berth_client *clients);

/* The session of a client of service number `number`; false: not found. */
bool berth_sessions_lookup(const struct berth_view *view, const union berth_addr *client, uint32_t number,
			   struct berth_session *found);

/* For tables/: */
/* Reads the client of a session's word, which is at `at`. */
void berth_sessions_read_client(const struct berth_view *view, struct berth_session *session);
/* Clears the reason of a word's client before a change of the word, so that no worker finds the pin or the former
 * backend of the session as it was before. */
void berth_sessions_clear_reason(const struct berth_view *view, uint32_t at, uint32_t tag);
/* Clears a client's former backend if it was removed: its number will be assigned to another backend. */
void berth_sessions_clear_removed(struct berth_client *client, const struct berth_view *view);
/* A packet of the client, with the fields that a session lookup reads. */
struct berth_packet berth_sessions_packet(const union berth_addr *client, uint32_t service);

/* The client prefix length of a service, in bits of 128. */
uint8_t berth_sessions_prefix_bits(const struct berth_service *service, const union berth_addr *client);
