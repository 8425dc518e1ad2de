// SPDX-License-Identifier: BSD-3-Clause
/* The null engine: tables in plain memory, no forwarding. For tests, plans, and trying a configuration. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "controlplane/engine/engine.h"

struct null_engine {
	struct berth_engine engine;
	void *memory;
	struct berth_record *record; /* its own, if it was given none */
};

static int null_check(const struct berth_config *config, char error[BERTH_ERROR_BYTES])
{
	(void)config;
	(void)error;
	return 0;
}

static void null_close(struct berth_engine *engine, bool stop)
{
	(void)stop;
	struct null_engine *null = (struct null_engine *)engine;
	free(null->memory);
	free(null->record);
	free(null);
}

static int set_record(struct null_engine *null, struct berth_record *record)
{
	const struct berth_geometry *g = &null->engine.image.geometry;
	if (!record) {
		record = null->record = calloc(1, berth_record_bytes(g->services, g->backends));
		if (!record)
			return -ENOMEM;
		record->n_services = g->services;
		record->n_backends = g->backends;
	}
	null->engine.record = record;
	return 0;
}

static struct berth_engine *null_open(const struct berth_config *config, const struct berth_engine_paths *paths,
				      const struct berth_geometry *geometry, char error[BERTH_ERROR_BYTES])
{
	(void)config;
	struct null_engine *null = calloc(1, sizeof(*null));
	if (!null)
		goto fail;
	null->engine.ops = &berth_engine_null;
	null->engine.workers = 1;
	null->memory = calloc(1, berth_image_bytes(geometry));
	if (!null->memory)
		goto fail;
	berth_image_place(&null->engine.image, geometry, null->memory);
	if (berth_image_create(&null->engine.image, geometry, paths ? paths->secret : NULL) ||
	    set_record(null, paths ? paths->record : NULL))
		goto fail;
	return &null->engine;
fail:
	snprintf(error, BERTH_ERROR_BYTES, "out of memory for the tables; lower limits.flows");
	if (null)
		null_close(&null->engine, true);
	return NULL;
}

static enum berth_engine_change null_compare(const struct berth_engine *engine, const struct berth_config *config,
					     uint32_t *pause_ms)
{
	(void)engine;
	(void)config;
	*pause_ms = 0;
	return BERTH_ENGINE_SAME;
}

static int null_configure(struct berth_engine *engine, const struct berth_config *config,
			  char error[BERTH_ERROR_BYTES])
{
	(void)engine;
	(void)config;
	(void)error;
	return 0;
}

static int null_start(struct berth_engine *engine, struct event_base *base, char error[BERTH_ERROR_BYTES])
{
	(void)engine;
	(void)base;
	(void)error;
	return 0;
}

static bool null_is_quiescent(struct berth_engine *engine)
{
	(void)engine;
	return true;
}

static bool null_is_running(const struct berth_engine *engine)
{
	(void)engine;
	return false;
}

static void null_follow_interfaces(struct berth_engine *engine)
{
	(void)engine;
}

static json_t *null_status(struct berth_engine *engine)
{
	(void)engine;
	return json_pack("{s:s, s:[]}", "mode", "no forwarding", "ports");
}

static void null_drop_former(struct berth_engine *engine)
{
	(void)engine;
}

static int null_map_stores(const struct berth_engine_paths *paths, struct berth_mapped_stores *stores)
{
	(void)paths;
	(void)stores;
	return -ENOENT;
}

static uint32_t null_swept(const struct berth_engine_paths *paths)
{
	(void)paths;
	return 0;
}

static void null_halt(const struct berth_engine_paths *paths)
{
	(void)paths;
}

static void null_remove(const struct berth_engine_paths *paths)
{
	(void)paths;
}

const struct berth_engine_ops berth_engine_null = {
	.name = "null",
	.is_replaced_live = true,
	.check = null_check,
	.open = null_open,
	.compare = null_compare,
	.configure = null_configure,
	.start = null_start,
	.is_quiescent = null_is_quiescent,
	.is_running = null_is_running,
	.follow_interfaces = null_follow_interfaces,
	.status = null_status,
	.drop_former = null_drop_former,
	.map_stores = null_map_stores,
	.swept = null_swept,
	.halt = null_halt,
	.close = null_close,
	.remove = null_remove,
};
