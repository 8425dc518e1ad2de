/* SPDX-License-Identifier: BSD-3-Clause */
/* Input and output of the oracle: services, packets and their outcomes, findings. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	ORACLE_SERVICES = 32,
	ORACLE_SERVERS = 64, /* of a service */
	ORACLE_NO_SERVER = 0xff,
	ORACLE_SECRET_BYTES = 192,
};

enum oracle_state {
	ORACLE_HALF_OPEN,
	ORACLE_ESTABLISHED,
	ORACLE_CLOSING,
	ORACLE_UNREPLIED,
	ORACLE_ASSURED,
	ORACLE_SESSION,
	ORACLE_STATES,
};

enum oracle_scheduler {
	ORACLE_MAGLEV,
	ORACLE_ROUND_ROBIN,
	ORACLE_LEAST_CONN,
};

/* X(symbol, text): the reason for which a server beyond its bound may get a flow. */
#define ORACLE_ALLOWANCES(X)                                                                                       \
	X(STUCK, "stuck to their session")                                                                         \
	X(BACKUP, "failed over to a backup")                                                                       \
	X(HOME, "returned to its server")                                                                          \
	X(ALONE, "no other server has room")

enum oracle_allowance {
	ORACLE_WITHIN, /* within the bound */
#define X(symbol, name) ORACLE_ALLOWED_##symbol,
	ORACLE_ALLOWANCES(X)
#undef X
	ORACLE_ALLOWANCE_COUNT,
};

enum oracle_admin {
	ORACLE_ADMIN_ENABLED,
	ORACLE_ADMIN_DRAINING, /* its flows and sessions stay */
	ORACLE_ADMIN_FLOWS_ONLY,
	ORACLE_ADMIN_DISABLED,
	ORACLE_ADMIN_EVICTED, /* its entries are removed */
};

/* X(symbol, text, whether a flow that breaks for this reason could have been kept) */
#define ORACLE_REASONS(X)                                                                                          \
	X(NONE, "unexplained", true)                                                                               \
	X(NEW, "new", false)                                                                                       \
	X(DOWN, "down", false)                                                                                     \
	X(DISABLED, "disabled", false)                                                                             \
	X(EVICTED, "evicted", false)                                                                               \
	X(FLOWS_ONLY, "flows-only", false)                                                                         \
	X(REMOVED, "removed", false)                                                                               \
	X(EXPIRED, "expired", false)                                                                               \
	X(ENDED, "finished flow's ports", false)                                                                   \
	X(DRAINED, "new connection, drained", false)                                                               \
	X(SESSION_LEFT, "new connection, session elsewhere", false)                                                \
	X(YIELDED, "unconfirmed or idle, evicted", false)                                                          \
	X(TABLE_FULL, "table full", true)                                                                          \
	X(UNTRACKED, "reset of no flow", false)                                                                    \
	X(SPILLED, "spilled", false)                                                                               \
	X(FAILBACK, "failback", false)                                                                             \
	X(PINNED, "pinned", false)                                                                                 \
	X(MOVED, "moved by an operator", false)                                                                    \
	X(CLEARED, "cleared by an operator", false)                                                                \
	X(SAME_TAG, "same tag", true)

enum oracle_reason {
#define X(symbol, name, avoidable) ORACLE_##symbol,
	ORACLE_REASONS(X)
#undef X
	ORACLE_REASON_COUNT,
};

/* Choices of a row: servers of the service, or ORACLE_NO_SERVER. */
struct oracle_row {
	uint8_t first;
	uint8_t second;
};

struct oracle_server {
	bool present;
	uint32_t weight;    /* as configured; 0: no new clients */
	uint32_t counts;    /* the weight that the selection table was made with */
	uint32_t max_flows; /* 0: any number */
	uint8_t backup;	    /* a server, or ORACLE_NO_SERVER */
};

/* A service as it was published. */
struct oracle_service {
	bool present;
	bool is_udp;
	bool by_client;
	bool resets; /* on-down: reset */
	bool spills;
	bool returns;	 /* failback: return */
	uint8_t prefix4; /* bits */
	uint8_t prefix6;
	uint8_t sessions_of; /* the service that numbers the servers of its sessions: itself, or its group */
	uint32_t flow_key;
	uint32_t session_key;
	uint32_t timeout[ORACLE_STATES];
	enum oracle_scheduler scheduler;
	uint32_t bound; /* most flows of a server in hundredths of its share; 0: no bound */
	bool is_timed;	/* least-conn, and its loads are multiplied by the servers' times */
	uint32_t n_rows;
	const struct oracle_row *rows; /* copied by oracle_publish */
	struct oracle_server server[ORACLE_SERVERS];
};

struct oracle_packet {
	uint64_t client[2]; /* in network byte order; IPv4 as ::ffff:a.b.c.d */
	uint8_t is6;
	uint8_t service;
	uint16_t sport;
	uint16_t dport;
	bool begins; /* the first packet of a connection, for the client */
	bool syn;    /* SYN without ACK and RST */
	bool any_syn;
	bool fin;
	bool rst;
	bool data;
};

enum oracle_what {
	ORACLE_SENT,
	ORACLE_RESET, /* answered with a RST, or dropped because the limit of RSTs is reached */
	ORACLE_DROPPED,
	ORACLE_OTHER, /* any other outcome: always unexplained */
};

/* The outcome of a packet. */
struct oracle_seen {
	enum oracle_what what;
	uint8_t service; /* the destination */
	uint8_t server;
	bool is_known;	      /* counted as a packet of a known flow */
	bool table_full;      /* counted as a flow without room */
	bool evicted_entry;   /* counted an eviction */
	bool session_full;    /* counted a session without room */
	bool evicted_session; /* counted an eviction of a session */
};

enum oracle_plain {
	ORACLE_MODULO,	     /* hash modulo the number of servers */
	ORACLE_PLAIN_MAGLEV, /* the selection table, and no flow table */
	ORACLE_PLAINS,
};

struct oracle_findings {
	uint64_t packets;
	uint64_t flows;
	uint64_t moves[ORACLE_REASON_COUNT];	     /* of flows */
	uint64_t session_moves[ORACLE_REASON_COUNT]; /* of sessions */
	uint64_t broken[ORACLE_REASON_COUNT];	     /* connections with a packet to another backend, or to none */
	uint64_t broken_avoidable;
	uint64_t broken_unavoidable;
	double peak;			      /* most connections broken in a second, as a share of the live ones */
	uint64_t plain_broken[ORACLE_PLAINS]; /* connections that plain hashing would have broken although their
					       * backend was up
					       */
	double plain_peak[ORACLE_PLAINS];
	uint64_t spilled;			    /* flows on another server than their session */
	uint64_t allowance[ORACLE_ALLOWANCE_COUNT]; /* allowed flows of servers beyond their bound, by reason */
	uint64_t measures;			    /* checked measures of services with bounds */
	uint64_t beyond; /* forbidden flows of servers beyond their bound, and wrong over-share or limit bits */
	uint64_t unexplained;
};
