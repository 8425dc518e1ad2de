/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The services whose records this node writes and reads, and how far it has read the stream of each. Pure. A
 * service is behind until a read of it reached the end of its stream.
 */
#pragma once

#include "controlplane/helper/message.h"

enum {
	BERTH_FOLLOWED_BEHIND_PAGE = 16, /* services that are behind, so that each gives more */
	BERTH_MIN_HORIZON_S = 60,
	BERTH_MAX_HORIZON_S = 90000, /* the longest timeout is a day */
};

/* What is wanted of a service's stream. */
struct berth_followed_wish {
	uint64_t id;
	uint32_t horizon_s; /* for how long a record can be needed: older entries of the stream are removed */
	bool is_read;	    /* false: this node writes it alone */
	bool may_join;	    /* several batches behind each other are a batch, too */
};

struct berth_followed_service {
	uint64_t id;
	struct berth_store_position read;   /* the last entry; 0-0: none */
	struct berth_store_position seen;   /* the last one that was ever read */
	struct berth_store_position missed; /* the first one that could not be taken; 0-0: none */
	bool was_whole;			    /* once, all was read */
	uint32_t horizon_s;
	bool is_read;
	bool may_join;
	bool is_behind;
};

struct berth_followed {
	struct berth_followed_service *all; /* sorted by id */
	size_t n;
	size_t n_read; /* of them */
	size_t n_behind;
	size_t turn, behind_turn; /* where the next pages begin */
	bool was_behind_page;
};

/* Those that are read as before keep their positions. Ids are without a second of the same. Returns 0 or -ENOMEM:
 * then nothing changes. */
int berth_followed_set(struct berth_followed *followed, const struct berth_followed_wish *wishes, size_t n);
void berth_followed_free(struct berth_followed *followed);
/* NULL: it is not followed. */
struct berth_followed_service *berth_followed_find(const struct berth_followed *followed, uint64_t id);
/* All that are read are to be read from the start. */
void berth_followed_reset(struct berth_followed *followed);
/* This one is to be read from the start. */
void berth_followed_reset_one(struct berth_followed *followed, uint64_t id);
/* This entry of its stream could not be taken. */
void berth_followed_miss(struct berth_followed_service *service, struct berth_store_position at);
/* All streams are to be read again from what could not be taken. */
void berth_followed_reset_missed(struct berth_followed *followed);
/* Whether the entry may have been carried out here before: it is read again, or is from before this run. */
bool berth_followed_is_again(const struct berth_followed_service *service, struct berth_store_position at);
/* Takes how far a stream has been read. */
void berth_followed_take(struct berth_followed *followed, struct berth_followed_service *service,
			 struct berth_store_position read, bool is_behind);
/* Chooses what to read next: all that are read in turn, and in every second page those that are behind. Returns how
 * many. */
size_t berth_followed_next_page(struct berth_followed *followed,
				const struct berth_followed_service *page[BERTH_HELPER_STORE_PAGE]);
/* Whether the pages of all have come to an end, and begin again. */
static inline bool berth_followed_is_around(const struct berth_followed *followed)
{
	return followed->turn == 0;
}

static inline bool berth_store_is_before(struct berth_store_position a, struct berth_store_position b)
{
	return a.ms != b.ms ? a.ms < b.ms : a.sequence < b.sequence;
}
