/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages between berthd and berth-helper, over a socketpair of type SOCK_SEQPACKET: one or more a packet, each at
 * a multiple of 8 bytes; one with descriptors has a packet of its own. Both sides check length and version of each,
 * and berthd every member of what it gets: a helper may have been taken over by a server that it talked to.
 */
#pragma once

#include "controlplane/config/config.h"
#include "controlplane/util/agent_words.h"

enum {
	BERTH_HELPER_VERSION = 4,
	BERTH_HELPER_MESSAGE_BYTES = 21 << 10, /* the longest one; no packet is longer */
	BERTH_HELPER_FDS = 2,		       /* of one message */
	BERTH_HELPER_REASON_BYTES = 160,
	BERTH_HELPER_DNS_ADDRESSES = 1025, /* one more than a good answer has */
	BERTH_HELPER_DNS_ERROR_BYTES = 96,
	BERTH_HELPER_STORE_VALUE_BYTES = 512,
	BERTH_HELPER_STORE_NODES = 256, /* in one cluster */
	/* Of records of one service and node that are told together: 256 of the longest. */
	BERTH_HELPER_STORE_BATCH_BYTES = 256 * 80,
	BERTH_HELPER_STORE_TELLS = 64, /* batches of one round */
	BERTH_HELPER_STORE_PAGE = 256, /* services of one round */
	BERTH_HELPER_STORE_ID_BYTES = 64,
};

enum berth_helper_type {
	/* from berthd */
	BERTH_HELPER_PING,
	BERTH_HELPER_PROBE,
	BERTH_HELPER_LOOKUP,
	BERTH_HELPER_CANCEL, /* the probe or lookup with this id; a header alone */
	/* from berth-helper */
	BERTH_HELPER_PONG,
	BERTH_HELPER_PROBED,
	BERTH_HELPER_LOOKED_UP,
	/* from berthd */
	BERTH_HELPER_STORE_VISIT,
	/* from berth-helper */
	BERTH_HELPER_STORE_NODE,
	BERTH_HELPER_STORE_VISITED,
	/* from berthd */
	BERTH_HELPER_STORE_TELL,
	BERTH_HELPER_STORE_ROUND,
	/* from berth-helper */
	BERTH_HELPER_STORE_TOLD,
	BERTH_HELPER_STORE_BATCH,
	BERTH_HELPER_STORE_READ,
	BERTH_HELPER_STORE_ROUND_ENDED,
};

struct berth_helper_header {
	uint16_t version;
	uint16_t type;
	uint32_t bytes; /* of the message */
	uint64_t id;	/* chosen by berthd; of its answer, too */
};
BERTH_ASSERT_SIZE(struct berth_helper_header, 16);

enum {
	BERTH_HELPER_HAS_SOCKET = 1 << 0, /* the first descriptor: the probe's socket, opened by berthd */
	BERTH_HELPER_IS_RAW = 1 << 1,	  /* which is a raw socket */
	BERTH_HELPER_HAS_CA = 1 << 2,	  /* the last descriptor: a file of CA certificates */
	BERTH_HELPER_IS_TUNNEL = 1 << 3,  /* the host's routes do not matter */
};

/* Of `check` only the first berth_helper_check_bytes are sent. */
struct berth_helper_probe {
	struct berth_helper_header header;
	union berth_addr address;
	uint16_t port;
	uint16_t flags;
	uint32_t pad;
	struct berth_health_config check;
};

struct berth_helper_probed {
	struct berth_helper_header header;
	uint32_t result; /* enum berth_probe_result */
	char reason[BERTH_HELPER_REASON_BYTES];
	uint32_t duration_us;
	/* Of agents: */
	struct berth_agent_words agent;
	uint32_t is_refused;
	uint32_t pad;
};
BERTH_ASSERT_SIZE(struct berth_helper_probed, 16 + 8 + 160 + 16);

struct berth_helper_dns_server {
	union berth_addr address;
	uint16_t port;
	uint16_t pad;
	uint32_t ifindex; /* of a link-local address; 0: none */
};
BERTH_ASSERT_SIZE(struct berth_helper_dns_server, 24);

struct berth_helper_lookup {
	struct berth_helper_header header;
	uint32_t timeout_ms;
	uint32_t n_servers;
	struct berth_helper_dns_server servers[BERTH_MAX_DNS_SERVERS];
	char name[BERTH_DNS_NAME_BYTES];
};

/* One query of a lookup is answered. Of `addresses` only n are sent. */
struct berth_helper_looked_up {
	struct berth_helper_header header;
	uint32_t type;	 /* enum berth_dns_record_type */
	uint32_t status; /* enum berth_dns_status, not PENDING */
	uint32_t ttl_s;
	uint32_t n;
	char error[BERTH_HELPER_DNS_ERROR_BYTES];
	union berth_addr addresses[BERTH_HELPER_DNS_ADDRESSES];
};
_Static_assert(sizeof(struct berth_helper_looked_up) <= BERTH_HELPER_MESSAGE_BYTES, "the longest message");

/*
 * One visit to the store of a cluster: berthd's value is written under its node's name, and the values of the
 * others are read. A helper that already has a connection with the same `server`, `sentinel` and user goes on with
 * it.
 */
struct berth_helper_store_visit {
	struct berth_helper_header header;
	struct berth_store_server server;
	uint32_t timeout_ms;
	uint32_t life_ms;			 /* of the value */
	char sentinel[BERTH_NAME_BYTES];	 /* what Sentinel, at `server`, calls the master; "": none */
	char username[BERTH_STORE_USER_BYTES];	 /* "": the default user */
	char password[BERTH_STORE_SECRET_BYTES]; /* "": none */
	char cluster[BERTH_NAME_BYTES];
	char node[BERTH_NAME_BYTES];
	char value[BERTH_HELPER_STORE_VALUE_BYTES]; /* a text */
	/* With TLS a message may bring a descriptor: a file with the authorities from now on. */
	uint32_t uses_tls;
	uint32_t pad;
	char tls_name[BERTH_DNS_NAME_BYTES]; /* in certificates; "": the address */
};

BERTH_ASSERT_SIZE(struct berth_helper_store_visit, 16 + 32 + 64 + 64 + 256 + 64 + 64 + 512 + 8 + 256);

/* What the store has under a node's name; before the answer. This node's own value is that from before the visit.
 */
struct berth_helper_store_node {
	struct berth_helper_header header;
	char name[BERTH_NAME_BYTES];
	uint32_t bytes;
	uint32_t pad;
	char value[BERTH_HELPER_STORE_VALUE_BYTES]; /* not ended by 0 */
};

BERTH_ASSERT_SIZE(struct berth_helper_store_node, 16 + 64 + 8 + 512);

/* The answer. */
struct berth_helper_store_visited {
	struct berth_helper_header header;
	uint32_t failed;
	uint32_t refused;			/* names and values that cannot be those of nodes */
	struct berth_store_server server;	/* Redis itself, found by Sentinel or not; port 0: not known */
	char reason[BERTH_HELPER_REASON_BYTES]; /* "": success */
};
BERTH_ASSERT_SIZE(struct berth_helper_store_visited, 16 + 32 + 160);

/*
 * A round of records. berthd sends the batches that are to be written (a TELL for each), then a ROUND, which says
 * which streams are to be read. berth-helper answers with
 *   TOLD         for each batch that the store has taken or refused,
 *   BATCH        for each batch that it has read,
 *   READ         for each stream in which it found something, after its batches,
 *   ROUND_ENDED  at the end.
 * All of these messages have the round's id. The next round begins after the end of the one before.
 */

/* An id in a stream of Redis: milliseconds, and a number among those of the same millisecond. */
struct berth_store_position {
	uint64_t ms;
	uint64_t sequence;
};

/* TELL and BATCH. Only `bytes` of `records` are sent. */
struct berth_helper_store_batch {
	struct berth_helper_header header;
	uint64_t service;
	uint32_t horizon_s; /* TELL: what is older is removed from the stream */
	/* BATCH: where it is in its stream, since when by the store's clock, and whether this run of this node has
	 * told it. */
	struct berth_store_position at;
	uint32_t age_s;
	uint32_t is_own;
	uint32_t bytes;
	uint8_t records[BERTH_HELPER_STORE_BATCH_BYTES];
};
_Static_assert(sizeof(struct berth_helper_store_batch) <= BERTH_HELPER_MESSAGE_BYTES, "a long message");

struct berth_helper_store_stream {
	uint64_t service;
	struct berth_store_position after; /* what is read already */
};
BERTH_ASSERT_SIZE(struct berth_helper_store_stream, 24);

/* Of `page` only `n` are sent. */
struct berth_helper_store_round {
	struct berth_helper_header header;
	struct berth_store_server server; /* Redis itself */
	char username[BERTH_STORE_USER_BYTES];
	char password[BERTH_STORE_SECRET_BYTES];
	char cluster[BERTH_NAME_BYTES];
	char node[BERTH_NAME_BYTES];
	uint64_t run; /* of this berthd: batches with its node and run are its own */
	uint32_t timeout_ms;
	uint32_t count; /* entries of each stream, at most */
	uint32_t n;
	uint32_t uses_tls; /* with the authorities of the last visit */
	struct berth_helper_store_stream page[BERTH_HELPER_STORE_PAGE];
};
BERTH_ASSERT_SIZE(struct berth_helper_store_round, 16 + 24 + 64 + 256 + 64 + 64 + 24 + 256 * 24);

struct berth_helper_store_told {
	struct berth_helper_header header;
	struct berth_store_position at;
	uint32_t refused; /* the key is no stream that can be written */
	uint32_t pad;
};
BERTH_ASSERT_SIZE(struct berth_helper_store_told, 16 + 16 + 8);

/* After its batches. */
struct berth_helper_store_read {
	struct berth_helper_header header;
	struct berth_store_position after;
	uint32_t index;	    /* in the round's page */
	uint32_t refused;   /* entries that are no batches, or 1: the key is no stream */
	uint32_t is_behind; /* there may be more */
	uint32_t pad;
};
BERTH_ASSERT_SIZE(struct berth_helper_store_read, 16 + 16 + 16);

/* Streams of the page without a READ have no more. */
struct berth_helper_store_round_ended {
	struct berth_helper_header header;
	uint32_t failed;
	uint32_t pad;
	char epoch[BERTH_HELPER_STORE_ID_BYTES];  /* of the data in the store; "": not known */
	char run_id[BERTH_HELPER_STORE_ID_BYTES]; /* of the server's process; "": not known */
	char reason[BERTH_HELPER_REASON_BYTES];	  /* "": success */
};
BERTH_ASSERT_SIZE(struct berth_helper_store_round_ended, 16 + 8 + 64 + 64 + 160);

/* What a check of this type needs of its configuration: all before the first member that it does not use. */
static inline size_t berth_helper_check_bytes(enum berth_health_type type)
{
	return type == BERTH_HEALTH_TCP || type == BERTH_HEALTH_ICMP || type == BERTH_HEALTH_AGENT
		       ? offsetof(struct berth_health_config, path)
		       : offsetof(struct berth_health_config, command);
}

static inline size_t berth_helper_probe_bytes(enum berth_health_type type)
{
	return offsetof(struct berth_helper_probe, check) + berth_helper_check_bytes(type);
}

static inline size_t berth_helper_looked_up_bytes(size_t n)
{
	return offsetof(struct berth_helper_looked_up, addresses) + n * sizeof(union berth_addr);
}

static inline size_t berth_helper_store_batch_bytes(size_t bytes)
{
	return offsetof(struct berth_helper_store_batch, records) + bytes;
}

static inline size_t berth_helper_store_round_bytes(size_t n)
{
	return offsetof(struct berth_helper_store_round, page) + n * sizeof(struct berth_helper_store_stream);
}
