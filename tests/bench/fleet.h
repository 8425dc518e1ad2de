/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A large installation for the benchmarks of the control plane: 1,000 services of ten backends in one image,
 * compiled and published by the real control plane, and threads that read it as the DPDK engine's workers do: the
 * generation once a burst, then 32 packets through the core's stages, half of them of known flows, half the first
 * of new ones.
 */
#pragma once

#include <pthread.h>

#include "controlplane/compile/compile.h"
#include "controlplane/tables/publish.h"

enum {
	FLEET_SERVICES = 1000,
	FLEET_BACKENDS = 10, /* of each */
	FLEET_MAX_WORKERS = 8,
	FLEET_BURST = 32,
	FLEET_ROUND = 2 * FLEET_SERVICES / FLEET_BURST + 1, /* bursts in which each service has a new flow */
};

struct fleet;

/* A worker. All but `thread` is written by the thread and read by others. */
struct fleet_worker {
	struct fleet *fleet;
	pthread_t thread;
	uint32_t number;
	uint8_t *frames; /* as many as there are services, each to another one */
	uint64_t bursts; /* ended */
	uint64_t lost;	 /* packets whose verdict does not forward */
	uint64_t moved;	 /* packets of known flows that went to another backend than the flow's */
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

/* The configuration as YAML, for free(). */
char *fleet_text(void);

/* Published, all backends up, nobody reading. Exits on any failure: nothing could be measured. */
void fleet_make(struct fleet *fleet);
void fleet_drop(struct fleet *fleet);

/* As many workers as there are cores beside the caller's, at least one, each on a core of its own. */
void fleet_start(struct fleet *fleet);
void fleet_stop(struct fleet *fleet);

/* Keeps a thread on one core, if that is allowed here. */
void fleet_pin(pthread_t thread, uint32_t core);

/* Compiles and publishes the model, and sets what each backend may get. */
void fleet_publish(struct fleet *fleet);
/* Spins until every worker reads the current generation. */
void fleet_await_seen(const struct fleet *fleet);
/* Spins until every worker has begun and ended so many bursts after the call. */
void fleet_await_bursts(const struct fleet *fleet, uint32_t bursts);
