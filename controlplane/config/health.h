/* SPDX-License-Identifier: BSD-3-Clause */
/* Health checks as configured: the section `health` of a service. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/util/account.h"
#include "dataplane/core/types.h"

enum {
	BERTH_HEALTH_TEXT_BYTES = 256, /* a path, a host or a file name, with its final 0 */
	BERTH_HEALTH_DATA_BYTES = 256, /* payload to send, or to expect */
	BERTH_HEALTH_COMMAND_BYTES = 1024,
	BERTH_HEALTH_ARGUMENTS = 64, /* including the program */
	BERTH_HEALTH_STATUSES = 16,
};

/* Runs programs of exec checks that name no user. */
#define BERTH_HEALTH_USER "nobody"

/* X(symbol, name, has_port, passes when): the types of check; `none` besides, which probes nothing. */
#define BERTH_HEALTH_CHECKS(X)                                                                                     \
	X(TCP, "tcp", true, "a connection is accepted")                                                            \
	X(HTTP, "http", true, "a request is answered as expected")                                                 \
	X(HTTPS, "https", true, "the same over TLS")                                                               \
	X(UDP, "udp", true, "a datagram is answered")                                                              \
	X(ICMP, "icmp", false, "an echo request is answered")                                                      \
	X(EXEC, "exec", true, "a program exits with 0")

enum berth_health_type {
	BERTH_HEALTH_NONE, /* always up */
#define X(symbol, name, has_port, passes) BERTH_HEALTH_##symbol,
	BERTH_HEALTH_CHECKS(X)
#undef X
	BERTH_HEALTH_AGENT, /* the agent beside a check: no type in the configuration */
	BERTH_HEALTH_TYPES,
};

enum berth_health_via {
	BERTH_VIA_DIRECT, /* the backend's own address */
	BERTH_VIA_TUNNEL, /* the service's address, in the mode's outer header */
};

struct berth_health_status_range {
	uint16_t first;
	uint16_t last;
};

/* No padding, unused bytes are 0: checks are equal if their bytes are. */
struct berth_health_config {
	enum berth_health_type type;
	enum berth_health_via via;
	uint32_t interval_ms; /* from start to start */
	uint32_t timeout_ms;
	uint32_t rise;	   /* successes in a row that bring a backend up */
	uint32_t fall;	   /* failures in a row that take it down */
	uint32_t stale_ms; /* how long an error of this host keeps the last state */
	uint16_t port;	   /* 0: see berth_config_probe_port */
	uint16_t n_statuses;
	struct berth_health_status_range statuses[BERTH_HEALTH_STATUSES]; /* http, https: accepted */
	uint8_t is_head;						  /* http, https: HEAD instead of GET */
	uint8_t is_unverified;						  /* https: accept any certificate */
	uint16_t send_bytes;
	uint16_t expect_bytes;
	uint16_t command_bytes;
	char path[BERTH_HEALTH_TEXT_BYTES];
	char host[BERTH_HEALTH_TEXT_BYTES];	  /* "": the backend's address */
	char ca[BERTH_HEALTH_TEXT_BYTES];	  /* "": the system's certificates */
	char tls_name[BERTH_HEALTH_TEXT_BYTES];	  /* "": `host` */
	uint8_t send[BERTH_HEALTH_DATA_BYTES];	  /* udp */
	uint8_t expect[BERTH_HEALTH_DATA_BYTES];  /* what the body or the datagram must contain */
	char command[BERTH_HEALTH_COMMAND_BYTES]; /* exec: program and arguments, each with a final 0 */
	char user[BERTH_ACCOUNT_BYTES];		  /* exec: whom the program runs as; "": BERTH_HEALTH_USER */
	struct berth_account account;		  /* exec: the ids of `user` */
	uint32_t half_life_ms;	    /* scheduler response-time: of the weight of a probe; 0: two intervals */
	uint32_t agent_interval_ms; /* 0: 2 s */
	uint32_t agent_timeout_ms;  /* 0: 1 s */
	uint16_t agent_port;	    /* 0: no agent */
	uint16_t pad;
};
BERTH_ASSERT_SIZE(struct berth_health_config, 108 + 6 * 256 + 1024 + 32 + 140 + 12);

/* The check that reads the agent's line, as far as checks are concerned. */
struct berth_health_config berth_health_agent(const struct berth_health_config *health);
/* The check without the agent: services that differ in it alone share probes. */
struct berth_health_config berth_health_without_agent(const struct berth_health_config *health);

/* Defaults of every key. */
extern const struct berth_health_config berth_health_defaults;
/* Whether a check of this type connects or sends to a port. */
bool berth_health_has_port(enum berth_health_type type);
/* In what time the weight of a measured time halves, with the default. */
uint32_t berth_health_half_life_ms(const struct berth_health_config *health);
/* The type in the configuration: "tcp". */
const char *berth_health_type_name(enum berth_health_type type);
