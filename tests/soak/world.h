/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The world of a soak: services and servers, the real control plane in this process (model, compile, publish, scan,
 * counts), the image of an engine, and the oracle, which gets every change.
 */
#pragma once

#include "controlplane/engine/engine.h"
#include "controlplane/model/model.h"
#include "controlplane/tables/load.h"
#include "controlplane/tables/publish.h"
#include "controlplane/tables/scan.h"
#include "tests/diff/engine.h"
#include "tests/diff/random.h"
#include "tests/soak/oracle/oracle.h"

enum {
	SOAK_SERVICES = 17,
	SOAK_SERVERS = 40, /* of a service, with absent ones */
	SOAK_START = 1000000,
	SOAK_ROWS = 4099,
	SOAK_BOUND = 125, /* hundredths */
	SOAK_RECENT = 16,
};

struct soak_server {
	bool present;
	bool up;	  /* the real state */
	bool reported_up; /* the state that the last check reported to berthd */
	enum berth_admin admin;
	uint32_t weight;
	int backup;	      /* a server; -1: none */
	uint32_t response_us; /* 0: not known */
};

/* A service's configuration and its servers. */
struct soak_service {
	const char *name;
	const char *address;
	const char *protocol;
	uint16_t port;
	const char *mode;
	bool outer6; /* ipip: its servers have IPv6 addresses */
	const char *scheduler;
	bool is_timed;		/* response-time */
	bool is_by_connections; /* its times are of connections, from the last scan on */
	bool by_client;
	uint8_t prefix4;
	uint8_t prefix6;
	const char *group;    /* or NULL */
	uint16_t server_port; /* mode nat: port of its servers; 0: the service's */
	uint32_t crowd;	      /* percent of its flows that come from one client */
	bool spills;
	bool returns;
	bool resets;
	bool has_backups;
	uint32_t slow_start; /* seconds */
	uint32_t max_flows;  /* of its first server; 0: any number */
	bool present;
	uint32_t session_timeout;
	uint32_t timeout[5]; /* half-open, established, closing, unreplied, assured */
	uint32_t n_servers;  /* present and absent */
	struct soak_server server[SOAK_SERVERS];
};

/* A recent client. */
struct soak_client {
	uint64_t address[2];
	bool is6;
};

struct soak_world {
	struct engine engine;
	struct berth_engine control; /* the engine as the control plane sees it */
	struct berth_model model;
	struct berth_publisher *publisher;
	struct berth_scan *scan;
	struct berth_load *load;
	uint32_t slices; /* of the current scan */
	struct oracle *oracle;
	struct random random;
	uint32_t n_services;
	struct soak_service services[SOAK_SERVICES];
	struct soak_client recent[SOAK_SERVICES][SOAK_RECENT];
	uint64_t n_recent[SOAK_SERVICES];
	uint32_t now;
	uint64_t shown;	       /* number of findings that were printed */
	bool dirty;	       /* the model is not published yet */
	bool chaotic;	       /* events happen, and publications may have to wait */
	uint64_t publications; /* `actions`: changes between them */
	uint64_t actions;
	uint64_t scans;
	uint64_t restarts;
};

/* Reports a finding; prints the first few. */
void soak_report_finding(struct soak_world *world);
/* Prints the message and exits, on a failure of the soak itself. */
void soak_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* The services of the chaos, or the one of the ramp. */
void soak_services_chaos(struct soak_world *world);
void soak_services_ramp(struct soak_world *world, uint32_t servers);

/* Needs the services. Opens the engine "xdp" or "dpdk" with tables for `flows` flows and `sessions` sessions. */
void soak_open(struct soak_world *world, const char *engine, const char *object, uint32_t flows, uint32_t sessions,
	       uint64_t seed);
void soak_close(struct soak_world *world);

/* For the soak's own files. */
struct berth_config *soak_configure(const struct soak_world *world);
union berth_addr soak_server_address(const struct soak_world *world, uint32_t service, uint32_t server);
/* NULL: not in the model. */
struct berth_model_backend *soak_backend(struct soak_world *world, uint32_t service, uint32_t server);
typedef void soak_each_fn(struct soak_world *world, struct berth_model_backend *backend, uint32_t service,
			  uint32_t server);
/* Calls `what` for every backend of the model. */
void soak_each(struct soak_world *world, soak_each_fn *what);
/* Pass the servers' states, or the current generation, to the oracle. */
void soak_update_oracle(struct soak_world *world);
void soak_update_oracle_generation(struct soak_world *world);

/* Operations of berthd. */
void soak_apply(struct soak_world *world);
void soak_publish(struct soak_world *world);
void soak_check(struct soak_world *world, uint32_t service, uint32_t server); /* a health check's result */
void soak_administer(struct soak_world *world, uint32_t service, uint32_t server, enum berth_admin admin);
/* An operator's commands on the session of a recent client, or on all sessions of a server. */
void soak_pin(struct soak_world *world, uint32_t service, uint32_t client, uint32_t server);
void soak_move(struct soak_world *world, uint32_t service, uint32_t client, uint32_t server);
void soak_unpin(struct soak_world *world, uint32_t service, uint32_t client);
void soak_clear(struct soak_world *world, uint32_t service, uint32_t client);
void soak_clear_server(struct soak_world *world, uint32_t service, uint32_t server);
void soak_restart_control(struct soak_world *world);
void soak_restart_engine(struct soak_world *world);
void soak_scan(struct soak_world *world);
void soak_set_time(struct soak_world *world, uint32_t now);
void soak_change_worker(struct soak_world *world);
/* Live and closing flows of a server in the last scan. */
uint64_t soak_flows_of(const struct soak_world *world, uint32_t service, uint32_t server);
