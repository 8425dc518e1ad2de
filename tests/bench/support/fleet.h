/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A large installation for the benchmarks of the control plane: 1,000 services of ten backends in one image,
 * compiled and published by the real control plane, and threads that read it like workers of the DPDK engine: the
 * generation once per burst, then 32 packets through the stages of the core, half of existing flows and half first
 * packets of new ones.
 */
#pragma once

#include <pthread.h>

#include "controlplane/compile/compile.h"
#include "controlplane/tables/publish.h"

enum {
	FLEET_SERVICES = 1000,
	FLEET_BACKENDS = 10, /* of each service */
	FLEET_MAX_WORKERS = 8,
	FLEET_BURST = 32,
	FLEET_ROUND = 2 * FLEET_SERVICES / FLEET_BURST + 1, /* bursts in which each service gets a new flow */
};

struct fleet;

/* A worker. Its thread writes all fields except `thread`; other threads read them. */
struct fleet_worker {
	struct fleet *fleet;
	pthread_t thread;
	uint32_t number;
	uint8_t *frames; /* one per service */
	uint64_t bursts; /* completed */
	uint64_t lost;	 /* packets whose verdict does not forward */
	uint64_t moved;	 /* packets of existing flows that went to a backend other than the flow's */
};

struct fleet {
	struct berth_engine engine;
	void *memory;
	struct berth_model model;
	struct berth_publisher *publisher;
	struct fleet_worker workers[FLEET_MAX_WORKERS];
	uint32_t n_workers;
	bool stop;
};

/* The configuration as YAML; free() it. */
char *fleet_text(void);

/* Creates and publishes a fleet with all backends up and no readers. Exits the process on failure. */
void fleet_make(struct fleet *fleet);
/* The same with room for so many flows. */
void fleet_make_for(struct fleet *fleet, uint32_t flows);
/* The same from another configuration. */
void fleet_make_from(struct fleet *fleet, const char *text);
void fleet_drop(struct fleet *fleet);

/* Starts a worker on each core except the caller's, at least one. */
void fleet_start(struct fleet *fleet);
void fleet_stop(struct fleet *fleet);

/* Binds a thread to one core, if that is permitted. */
void fleet_pin(pthread_t thread, uint32_t core);

/* Compiles and publishes the model, and sets the eligibility of each backend. */
void fleet_publish(struct fleet *fleet);
/* Spins until every worker reads the current generation. */
void fleet_await_seen(const struct fleet *fleet);
/* Spins until every worker has started and completed this many bursts after the call. */
void fleet_await_bursts(const struct fleet *fleet, uint32_t bursts);
