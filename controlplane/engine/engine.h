/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What forwards, as the control plane sees it: an image, and five questions. Three implementations: xdp, dpdk
 * and null. Nothing above this interface knows which one runs.
 *
 * All of publishing, counting and walking is plain memory in the image and therefore common (publish.h,
 * walk.h, counters.h).
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "controlplane/config/config.h"
#include "dataplane/core/image.h"

enum {
	BERTH_ENGINE_REASON_BYTES = 96
};

struct event_base;
struct berth_engine;

/* How an engine is found again: names in the file systems. */
struct berth_engine_paths {
	const char *instance; /* "berth" unless told; names pins and segments */
	const char *run_dir;  /* for sockets, logs and process ids */
};

struct berth_engine_ops {
	const char *name; /* "xdp", "dpdk", "null" */
	/* Can this configuration run here? 0, or -errno with the reason in `error`. Changes nothing. */
	int (*probe)(const struct berth_config *config, char error[BERTH_ERROR_BYTES]);
	/* Adopts the instance's image if it is there and of this geometry, else makes one. Fills `image`, sets
	 * `adopted`. Packets are not touched before start. */
	struct berth_engine *(*open)(const struct berth_config *config, const struct berth_engine_paths *paths,
				     const struct berth_geometry *geometry, char error[BERTH_ERROR_BYTES]);
	/* Begins to forward (attaches, or starts the process); called after the first generation is published.
	 * Does nothing where it already forwards. */
	int (*start)(struct berth_engine *engine, struct event_base *base, char error[BERTH_ERROR_BYTES]);
	/* Whether no worker can still read a generation older than the current one. May take some milliseconds,
	 * never waits for a worker. */
	bool (*quiescent)(struct berth_engine *engine);
	/* Whether packets are forwarded now: the process runs, the program is attached to every interface. */
	bool (*runs)(const struct berth_engine *engine);
	/* {"engine": ..., "mode": ..., "ports": [...], ...} for `show engine`. */
	json_t *(*status)(struct berth_engine *engine);
	/* Lets go. `stop` also ends forwarding and removes the image; without it forwarding goes on. */
	void (*close)(struct berth_engine *engine, bool stop);
};

/* Common head of every engine. */
struct berth_engine {
	const struct berth_engine_ops *ops;
	struct berth_image image;
	bool adopted;				/* the image was there before */
	uint32_t workers;			/* of image.geometry.workers, how many can run */
	char reason[BERTH_ENGINE_REASON_BYTES]; /* why it was chosen: "the configuration names it", ... */
};

extern const struct berth_engine_ops berth_engine_xdp;
extern const struct berth_engine_ops berth_engine_dpdk;
extern const struct berth_engine_ops berth_engine_null;

/* Writes a new image's header: magic, geometry, secret, generation 0. Zeroed memory before. */
int berth_image_found(struct berth_image *image, const struct berth_geometry *geometry);
/* Whether what stands there is an image of this geometry and ABI; the reason why not in `error`. */
bool berth_image_fits(const struct berth_ctl *ctl, const struct berth_geometry *geometry,
		      char error[BERTH_ERROR_BYTES]);
