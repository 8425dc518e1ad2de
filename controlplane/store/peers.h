/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The other nodes of the cluster, as the store has shown them. Pure: time is an argument (CLOCK_MONOTONIC of this
 * host; nodes' clocks are not compared).
 */
#pragma once

#include "controlplane/store/presence.h"

enum {
	BERTH_PEER_LOST_MS = 5000,	/* without a new beat */
	BERTH_PEER_FORGET_MS = 3600000, /* then it is listed no longer */
};

struct berth_peer {
	struct berth_presence presence; /* the last one */
	uint64_t seen_ms;		/* its last new beat */
	bool is_lost;
	bool has_other_config; /* than this node; as was logged */
	bool has_other_secret;
};

struct berth_peers {
	struct berth_peer all[BERTH_HELPER_STORE_NODES]; /* sorted by name */
	size_t n;
};

/* Takes what the store has of a node. Returns false if there is no room for another one. */
bool berth_peers_take(struct berth_peers *nodes, const struct berth_presence *presence, uint64_t now_ms);
/* Compares all with this node, whose digests `own` has, and logs each change once. */
void berth_peers_compare(struct berth_peers *nodes, const char *cluster, const struct berth_presence *own,
			 uint64_t now_ms);
