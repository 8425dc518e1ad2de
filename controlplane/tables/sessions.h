/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The session table as people see it: read session by session, and changed one at a time, while workers run. berthd
 * is one more writer of the table, under a worker's number that is no worker's; so views for all of this are made
 * by berth_sessions_view, of the generation that is published.
 */
#pragma once

#include "dataplane/core/image.h"

/* A session as it was read. */
struct berth_session {
	uint64_t word;
	uint32_t at;		    /* its place in the table */
	bool known;		    /* `client` is about this very word */
	struct berth_client client; /* copied */
};

/* Which sessions are meant. Numbers are as in words: in a group, of its first service. */
struct berth_session_filter {
	uint32_t service;	 /* 0: any */
	uint32_t backend;	 /* 0: any */
	bool by_client;		 /* only clients within the prefix, or who are the prefix that it is within */
	union berth_addr prefix; /* bits past `bits` are 0 */
	uint8_t bits;		 /* of 128, an IPv4 prefix has 96 more than its own */
};

struct berth_view berth_sessions_view(const struct berth_image *image, uint32_t now);

/* Finds the next session from place `*at` on, up to place `end`, and sets `*at` to the place behind it. False:
 * there is none before `end`. Sessions that are added or removed meanwhile may be found or not, all others are
 * found once. */
bool berth_sessions_next(const struct berth_view *view, const struct berth_session_filter *filter, uint32_t *at,
			 uint32_t end, struct berth_session *found);

/* Removes a session that was read; false: it is gone, or on another backend by now. */
bool berth_sessions_clear(const struct berth_view *view, const struct berth_session *session);

/* Makes `backend` (its number as in words) the one of `client` in the service of that number, because of `reason`:
 * PINNED, and where the client has no session it gets one; or MOVED, which is -ENOENT there. -ENOSPC: no room in
 * the table. -EBUSY: workers write the same session all the time. 0 with what stands now in `placed`. */
int berth_sessions_place(const struct berth_view *view, const union berth_addr *client, uint32_t number,
			 uint32_t backend, enum berth_reason reason, struct berth_session *placed);

/* The session of `client` in the service of that number; false: there is none. */
bool berth_sessions_find(const struct berth_view *view, const union berth_addr *client, uint32_t number,
			 struct berth_session *found);

/* The bits of a client's address that tell clients of a service apart, of 128. */
uint8_t berth_sessions_bits(const struct berth_service *service, const union berth_addr *client);
