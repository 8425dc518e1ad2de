/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What decides about packets, in one shape for all: the core compiled for the host, the DPDK pipeline over real
 * mbufs, the XDP program in the kernel. Each has an image of its own.
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
	uint32_t first; /* bytes of it in the first buffer; 0: all */
	uint32_t now;
};

/* What an engine made of a frame. */
struct outcome {
	enum berth_verdict
		verdict;	/* by the engine's counters; BERTH_NO_VERDICT where they count not exactly one */
	enum berth_class class; /* what it did */
	uint32_t port;		/* to which it forwarded; else 0 */
	uint32_t bytes;		/* of the frame as it left; 0 where it is gone */
	uint8_t frame[FIXTURE_ROOM];
};

struct engine {
	const char *name;
	struct berth_image image;
	bool takes_chains; /* frames in several buffers */
	uint32_t shortest; /* and longest frame that it can be given */
	uint32_t longest;
	void (*run)(struct engine *engine, const struct sent *sent, struct outcome *outcome); /* all but verdict */
	/* Many frames at once, at the same second, or NULL: gives the frames that left, in the order of ports and
	 * then those that passed, and their number. */
	uint32_t (*run_burst)(struct engine *engine, const struct sent *sent, uint32_t n, struct outcome *left);
	/* Lets go of the tables and takes them up again, as another process would that finds them; or NULL. */
	void (*restart)(struct engine *engine);
	void (*close)(struct engine *engine);
};

/* The worker that every engine is: the number of the CPU that this process stays on, for test-run runs where its
 * caller runs. */
extern uint32_t engine_worker;

/* Opens the engines that were built, the host's first, the XDP program's (of BPF object `object`) last, with images
 * of world_geometry. Returns how many; ends the process where one can't be opened. */
uint32_t engines_open(struct engine engines[ENGINES_MAX], const char *object);
void engines_close(struct engine *engines, uint32_t n);

void engine_run(struct engine *engine, const struct sent *sent, struct outcome *outcome);

static inline bool engine_can(const struct engine *engine, const struct sent *sent)
{
	return (engine->takes_chains || !sent->first) && sent->bytes >= engine->shortest &&
	       sent->bytes <= engine->longest;
}

/* Of one engine each. engine_dpdk_start() comes before all else: it decides where this process runs. */
void engine_host_open(struct engine *engine, const struct berth_geometry *geometry);
void engine_dpdk_start(void);
void engine_dpdk_open(struct engine *engine, const struct berth_geometry *geometry);
void engine_xdp_open(struct engine *engine, const struct berth_geometry *geometry, const char *object);
