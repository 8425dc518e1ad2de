/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One interface to three engines: the core compiled for the host, the DPDK pipeline over real mbufs, the XDP
 * program in the kernel. Each has an image of its own.
 */
#pragma once

#include "tests/support/send.h"

enum {
	ENGINES_MAX = 3,
	ENGINE_BURST = 32,
};

/* A frame that comes in on port 0 at second `now`. */
struct sent {
	const uint8_t *frame;
	uint32_t bytes;
	uint32_t first; /* bytes in the first buffer; 0: all */
	uint32_t now;
};

/* The outcome of a frame in an engine. */
struct engine_outcome {
	enum berth_verdict verdict; /* from the engine's counters; BERTH_NO_VERDICT unless they count exactly one */
	enum berth_class class;	    /* the action that was seen */
	uint32_t port;		    /* egress port of a forwarded frame; else 0 */
	uint32_t bytes;		    /* of the frame that left; 0: none left */
	uint8_t frame[FIXTURE_ROOM];
};

struct engine {
	const char *name;
	void *own; /* the engine's */
	struct berth_image image;
	bool takes_chains; /* frames in several buffers */
	uint32_t shortest; /* shortest and longest frame that it accepts, in bytes */
	uint32_t longest;
	void (*run)(struct engine *engine, const struct sent *sent,
		    struct engine_outcome *outcome); /* fills all of `outcome` but the verdict */
	/* A burst of frames of one second; NULL: the engine takes no bursts. Writes the frames that left, by port,
	 * then those that passed; returns their number. */
	uint32_t (*run_burst)(struct engine *engine, const struct sent *sent, uint32_t n,
			      struct engine_outcome *left);
	/* Detaches from the tables and adopts them again, as a new process would; NULL: not supported. */
	void (*restart)(struct engine *engine);
	void (*close)(struct engine *engine);
};

/* The worker number of every engine: the CPU of this process, because test-run uses the caller's CPU. */
extern uint32_t engine_worker;

/* Opens the engines that were built, with images of world_geometry: the host core first, the XDP program of BPF
 * object `object` last. Returns their number; exits if one fails to open. */
uint32_t engines_open(struct engine engines[ENGINES_MAX], const char *object);
void engines_close(struct engine *engines, uint32_t n);

void engine_run(struct engine *engine, const struct sent *sent, struct engine_outcome *outcome);

static inline bool engine_accepts(const struct engine *engine, const struct sent *sent)
{
	return (engine->takes_chains || !sent->first) && sent->bytes >= engine->shortest &&
	       sent->bytes <= engine->longest;
}

/* Open one engine each. Call engine_dpdk_start() first, once or more: it sets the CPU affinity of this process. */
void engine_host_open(struct engine *engine, const struct berth_geometry *geometry);
void engine_dpdk_start(void);
void engine_dpdk_open(struct engine *engine, const struct berth_geometry *geometry);
void engine_xdp_open(struct engine *engine, const struct berth_geometry *geometry, const char *object);
