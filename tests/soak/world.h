/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The world of a soak: services and servers, the real control plane in this process (model, compile, publish, walk,
 * counts), the image of an engine, and the oracle, which is told of everything that is done here.
 */
#pragma once

#include "controlplane/engine/engine.h"
#include "controlplane/tables/load.h"
#include "controlplane/model/model.h"
#include "controlplane/tables/publish.h"
#include "controlplane/tables/scan.h"
#include "tests/diff/engine.h"
#include "tests/diff/random.h"
#include "tests/soak/oracle/oracle.h"

enum {
	SOAK_SERVICES = 15,
	SOAK_SERVERS = 40, /* of a service, those that are not there counted too */
	SOAK_START = 1000000,
	SOAK_ROWS = 4099,
	SOAK_BOUND = 125, /* hundredths */
	SOAK_LATELY = 16,
};

struct soak_server {
	bool present;
	bool up;   /* as it is; checks find it out */
	bool told; /* that it is up, as far as berthd was told */
	enum berth_admin admin;
	uint32_t weight;
	int backup; /* a server; -1: none */
};

/* What a service is like, and what changes of it. */
struct soak_service {
	const char *name;
	const char *address;
	const char *protocol;
	uint16_t port;
	const char *mode;
	bool outer6; /* ipip: its servers have IPv6 addresses */
	const char *scheduler;
	bool by_client;
	uint8_t prefix4;
	uint8_t prefix6;
	const char *group;    /* or NULL */
	uint16_t server_port; /* mode nat: that its servers listen on; 0: the service's */
	uint32_t crowd;	      /* percent of its flows that come from one client */
	bool spills;
	bool returns;
	bool resets;
	bool has_backups;
	uint32_t slow_start; /* seconds */
	uint32_t max_flows;  /* of its first server; 0: any number */
	bool present;
	uint32_t session_timeout;
	uint32_t timeout[5]; /* half-open, established, closing, one-way, repeated */
	uint32_t n_servers;  /* that there can be */
	struct soak_server server[SOAK_SERVERS];
};

/* A client that was there lately. */
struct soak_client {
	uint64_t address[2];
	bool is6;
};

struct soak_world {
	struct engine engine;
	struct berth_engine control; /* what the control plane sees of it */
	struct berth_model model;
	struct berth_publisher *publisher;
	struct berth_scan *walk;
	struct berth_load *load;
	uint32_t slices; /* that this pass takes */
	struct oracle *oracle;
	struct random random;
	uint32_t n_services;
	struct soak_service services[SOAK_SERVICES];
	struct soak_client lately[SOAK_SERVICES][SOAK_LATELY];
	uint64_t n_lately[SOAK_SERVICES];
	uint32_t now;
	uint64_t shown;	       /* findings that were printed */
	bool dirty;	       /* the model is not published yet */
	bool chaotic;	       /* publications may have to wait for workers */
	uint64_t publications; /* and what was done between them */
	uint64_t actions;
	uint64_t walks;
	uint64_t restarts;
};

/* Something was found; the first few are printed. */
void soak_found(struct soak_world *world);
/* Ends the process where something cannot be. */
void soak_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* The services of the chaos, or the one of the ramp. */
void soak_services_chaos(struct soak_world *world);
void soak_services_ramp(struct soak_world *world, uint32_t servers);

/* With services filled in; `flows`: how many the tables hold. Opens the engine "xdp" or "dpdk". */
void soak_open(struct soak_world *world, const char *engine, const char *object, uint32_t flows, uint32_t sessions,
	       uint64_t seed);
void soak_close(struct soak_world *world);

/* For the soak's own files. */
struct berth_config *soak_configure(const struct soak_world *world);
union berth_addr soak_server_address(const struct soak_world *world, uint32_t service, uint32_t server);
/* NULL: the model has none. */
struct berth_model_backend *soak_backend(struct soak_world *world, uint32_t service, uint32_t server);
typedef void soak_each_fn(struct soak_world *world, struct berth_model_backend *backend, uint32_t service,
			  uint32_t server);
/* Every backend of the model. */
void soak_each(struct soak_world *world, soak_each_fn *what);
/* What the oracle is to know of the servers' states; of the generation that has just become current. */
void soak_tell(struct soak_world *world);
void soak_tell_generation(struct soak_world *world);

/* What berthd does. */
void soak_apply(struct soak_world *world);
void soak_publish(struct soak_world *world);
void soak_check(struct soak_world *world, uint32_t service, uint32_t server); /* a health check's answer */
void soak_administer(struct soak_world *world, uint32_t service, uint32_t server, enum berth_admin admin);
/* What an operator does to sessions: of a client that was there lately, or all on a server. */
void soak_pin(struct soak_world *world, uint32_t service, uint32_t client, uint32_t server);
void soak_move(struct soak_world *world, uint32_t service, uint32_t client, uint32_t server);
void soak_unpin(struct soak_world *world, uint32_t service, uint32_t client);
void soak_clear(struct soak_world *world, uint32_t service, uint32_t client);
void soak_clear_server(struct soak_world *world, uint32_t service, uint32_t server);
void soak_restart_control(struct soak_world *world);
void soak_restart_engine(struct soak_world *world);
void soak_walk(struct soak_world *world);
void soak_set_time(struct soak_world *world, uint32_t now);
void soak_change_worker(struct soak_world *world);
/* Flows and sessions that the last walk found. */
uint64_t soak_flows_of(const struct soak_world *world, uint32_t service, uint32_t server);
