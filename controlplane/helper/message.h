/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages between berthd and berth-helper, over a socketpair of type SOCK_SEQPACKET: one message a packet. Both
 * sides check length and version of each, and berthd every member of what it gets: a helper may have been taken
 * over by a server that it talked to.
 */
#pragma once

#include "controlplane/config/config.h"

enum {
	BERTH_HELPER_VERSION = 1,
	BERTH_HELPER_MESSAGE_BYTES = 20 << 10, /* the longest one */
	BERTH_HELPER_FDS = 2,		       /* of one message */
	BERTH_HELPER_REASON_BYTES = 160,
	BERTH_HELPER_DNS_ADDRESSES = 1025, /* one more than a good answer has */
	BERTH_HELPER_DNS_ERROR_BYTES = 96,
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
	uint32_t pad;
};
BERTH_ASSERT_SIZE(struct berth_helper_probed, 16 + 8 + 160);

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

/* What a check of this type needs of its configuration: all before the first member that it does not use. */
static inline size_t berth_helper_check_bytes(enum berth_health_type type)
{
	return type == BERTH_HEALTH_TCP || type == BERTH_HEALTH_ICMP
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
