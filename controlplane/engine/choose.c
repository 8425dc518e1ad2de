// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/engine/choose.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/compile/compile.h"
#include "controlplane/engine/kept.h"
#include "controlplane/util/log.h"

static const struct berth_engine_ops *const engines[] = {
	[BERTH_ENGINE_XDP] = &berth_engine_xdp,
	[BERTH_ENGINE_DPDK] = &berth_engine_dpdk,
	[BERTH_ENGINE_NULL] = &berth_engine_null,
};

/* Workers of berth-dpdk. */
static uint32_t count_dpdk_workers(const struct berth_config *config)
{
	uint32_t workers = config->dpdk.workers;
	for (size_t i = 0; !config->dpdk.workers && i < config->n_interfaces; i++)
		if (config->interfaces[i].queues > workers)
			workers = config->interfaces[i].queues;
	return workers ? workers : 1;
}

/* Workers that the image has counters for. Each CPU that may be plugged in later is a worker of the XDP engine;
 * DPDK may get as many queues as there are CPUs while its tables stay. */
static uint32_t count_workers(enum berth_engine_kind kind, const struct berth_config *config)
{
	const uint32_t cpus = (uint32_t)sysconf(_SC_NPROCESSORS_CONF);
	if (kind == BERTH_ENGINE_XDP)
		return cpus;
	const uint32_t most = cpus < BERTH_MAX_WORKERS ? cpus : BERTH_MAX_WORKERS;
	const uint32_t workers = count_dpdk_workers(config);
	return workers > most ? workers : most;
}

static uint32_t largest_rows(const struct berth_config *config)
{
	uint32_t rows = BERTH_DEFAULT_ROWS;
	for (size_t i = 0; i < config->n_services; i++)
		if (config->services[i].table_size > rows)
			rows = config->services[i].table_size;
	return rows;
}

/* The capabilities that the kernel requires to load BPF programs and to drive network interfaces. */
static bool is_permitted(void)
{
	return (berth_has_capability(CAP_BPF) || berth_has_capability(CAP_SYS_ADMIN)) &&
	       berth_has_capability(CAP_NET_ADMIN);
}

static enum berth_engine_kind choose_engine(const struct berth_config *config,
					    char reason[BERTH_ENGINE_REASON_BYTES])
{
	snprintf(reason, BERTH_ENGINE_REASON_BYTES, "the configuration names it");
	if (config->engine != BERTH_ENGINE_AUTO)
		return config->engine;
	for (size_t i = 0; i < config->n_interfaces; i++) {
		if (config->interfaces[i].device[0])
			continue;
		snprintf(reason, BERTH_ENGINE_REASON_BYTES, "interface %s names no device for DPDK",
			 config->interfaces[i].name);
		return BERTH_ENGINE_XDP;
	}
	snprintf(reason, BERTH_ENGINE_REASON_BYTES, "every interface names a device for DPDK");
	return BERTH_ENGINE_DPDK;
}

bool berth_engine_accepts(const struct berth_engine *engine, const struct berth_config *now,
			  const struct berth_config *config, char error[BERTH_ERROR_BYTES])
{
	char reason[BERTH_ENGINE_REASON_BYTES];
	const enum berth_engine_kind kind = choose_engine(config, reason);
	const char *fixed = NULL;
	bool loses = false;
	if (engines[kind] != engine->ops)
		fixed = "engine";
	else if (memcmp(&config->limits, &now->limits, sizeof(now->limits)) != 0)
		fixed = "limits";
	else if (strcmp(config->secret_file, now->secret_file) != 0)
		loses = (fixed = "secret-file");
	else if (kind == BERTH_ENGINE_DPDK && count_dpdk_workers(config) > engine->image.geometry.workers)
		fixed = "a larger number of workers or queues than the tables have counters for";
	if (fixed)
		snprintf(error, BERTH_ERROR_BYTES,
			 "%s cannot change while berthd runs; put it into the configuration file and restart "
			 "berthd: %s",
			 fixed,
			 loses ? "all flows and sessions are lost then"
			 : engines[kind] != engine->ops
				 ? "flows and sessions stay, and packets stop until the other engine forwards"
			 : kind == BERTH_ENGINE_DPDK
				 ? "flows and sessions stay, and packets stop while berth-dpdk restarts"
				 : "flows and sessions stay, and no packet is lost");
	return !fixed;
}

/* The kinds of engines that have stores, as in records. */
static enum berth_record_engine record_kind(const struct berth_engine_ops *ops)
{
	return ops == &berth_engine_xdp	   ? BERTH_RECORD_XDP
	       : ops == &berth_engine_dpdk ? BERTH_RECORD_DPDK
					   : BERTH_RECORD_NONE;
}

static const struct berth_engine_ops *ops_of(enum berth_record_engine kind)
{
	return kind == BERTH_RECORD_XDP ? &berth_engine_xdp : kind == BERTH_RECORD_DPDK ? &berth_engine_dpdk : NULL;
}

/* Copies the words from the stores of the engine that has them now. */
static int copy_words(const struct berth_engine *engine, const struct berth_engine_ops *from,
		      const struct berth_engine_paths *paths)
{
	const struct berth_store_sizes sizes = berth_record_sizes(engine->record);
	struct berth_engine_paths recorded = *paths;
	struct berth_mapped_stores stores = {0};
	recorded.record = engine->record;
	int err = from->map_stores(&recorded, &stores);
	if (err)
		return err;
	berth_kept_copy(&engine->image, &stores.image, &sizes);
	berth_mapped_stores_close(&stores);
	return 0;
}

/* The engine of another kind that has the tables; NULL: none. */
static const struct berth_engine_ops *former_engine(const struct berth_engine *engine)
{
	if (!engine->record || engine->record->engine == record_kind(engine->ops))
		return NULL;
	return ops_of(engine->record->engine);
}

void berth_engine_take_over(struct berth_engine *engine, const struct berth_engine_paths *paths)
{
	const struct berth_engine_ops *former = former_engine(engine);
	if (former) {
		former->halt(paths);
		if (copy_words(engine, former, paths))
			berth_log("ALARM: the tables of the %s engine are gone: flows and sessions are lost",
				  former->name);
		else
			berth_log("flows and sessions are copied from the %s engine, which has ended",
				  former->name);
		BERTH_STORE(&engine->record->engine, record_kind(engine->ops));
	}
	for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++)
		if (engines[i] && engines[i] != engine->ops)
			engines[i]->remove(paths);
}

void berth_engine_close(struct berth_engine *engine, const struct berth_engine_paths *paths, bool stop)
{
	struct berth_record_file file = engine->record_file;
	/* A start that fails leaves nothing of its own. */
	const bool is_useless = !engine->adopted && !engine->is_started;
	engine->ops->close(engine, stop);
	berth_record_file_close(&file);
	if (stop || is_useless)
		berth_record_file_remove(paths->instance);
}

/* Opens the engine with the tables that are kept. NULL with one line in `error`. */
static struct berth_engine *open_with(const struct berth_engine_ops *ops, const struct berth_config *config,
				      const struct berth_engine_paths *paths, struct berth_geometry *geometry,
				      char error[BERTH_ERROR_BYTES])
{
	const enum berth_record_engine kind = record_kind(ops);
	struct berth_engine_paths with = *paths;
	struct berth_kept kept = {0};
	if (kind != BERTH_RECORD_NONE && berth_kept_open(&kept, paths, kind, geometry, error))
		return NULL;
	const bool has_former = kept.former.record != NULL;
	with.record = kept.current.record;
	with.has_stores = has_former && kept.current.record->engine == kind;
	if (has_former)
		with.secret = kept.current.record->secret;
	struct berth_engine *engine = ops->open(config, &with, geometry, error);
	berth_kept_close(&kept);
	if (!engine) {
		berth_record_file_close(&kept.current);
		if (kind != BERTH_RECORD_NONE && !has_former)
			berth_record_file_remove(paths->instance);
		return NULL;
	}
	if (kind == BERTH_RECORD_NONE)
		return engine;
	engine->adopted = has_former;
	engine->record_file = kept.current;
	engine->record = kept.current.record;
	memcpy(engine->record->secret, engine->image.ctl->secret, sizeof(engine->record->secret));
	/* Again when that engine has ended; now for the numbers in the words. */
	if (former_engine(engine))
		copy_words(engine, former_engine(engine), paths);
	return engine;
}

enum berth_exit berth_engine_open(const struct berth_config *config, const struct berth_engine_paths *paths,
				  struct berth_engine **engine, char error[BERTH_ERROR_BYTES])
{
	char reason[BERTH_ENGINE_REASON_BYTES];
	enum berth_engine_kind kind = choose_engine(config, reason);
	const struct berth_engine_ops *ops = engines[kind];
	if (config->engine == BERTH_ENGINE_AUTO)
		berth_log("engine auto: %s, because %s", ops->name, reason);
	if (kind != BERTH_ENGINE_NULL && !is_permitted()) {
		snprintf(error, BERTH_ERROR_BYTES,
			 "no permission: berthd needs CAP_BPF and CAP_NET_ADMIN; run it as root or by its systemd "
			 "unit");
		return BERTH_EXIT_PERMISSION;
	}
	if (ops->check(config, error))
		return BERTH_EXIT_ENGINE;
	struct berth_geometry geometry = berth_geometry_of(&config->limits, largest_rows(config),
							   count_workers(kind, config));
	*engine = open_with(ops, config, paths, &geometry, error);
	if (!*engine)
		return BERTH_EXIT_ENGINE;
	snprintf((*engine)->reason, sizeof((*engine)->reason), "%s", reason);
	berth_log("engine %s: %s", ops->name, (*engine)->adopted ? "adopted the existing tables" : "new tables");
	return BERTH_EXIT_OK;
}
