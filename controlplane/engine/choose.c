// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/engine/choose.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/compile/compile.h"
#include "controlplane/engine/dpdk_file.h"
#include "controlplane/engine/kept.h"
#include "controlplane/util/clock.h"
#include "controlplane/util/log.h"

static const struct berth_engine_ops *const engines[] = {
	[BERTH_ENGINE_XDP] = &berth_engine_xdp,
	[BERTH_ENGINE_DPDK] = &berth_engine_dpdk,
	[BERTH_ENGINE_NULL] = &berth_engine_null,
};

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
	const uint32_t most = cpus < BERTH_MAX_QUEUES ? cpus : BERTH_MAX_QUEUES;
	const uint32_t workers = count_dpdk_workers(config);
	return workers > most ? workers : most;
}

/* Lines of all selection tables. */
static uint64_t count_row_lines(const struct berth_config *config)
{
	uint64_t lines = 0;
	for (size_t i = 0; i < config->n_services; i++)
		if (config->services[i].n_backends || config->services[i].n_sources)
			lines += berth_config_row_lines(&config->services[i]);
	return lines;
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

/* The tables that a configuration asks for. */
static struct berth_geometry geometry_of(enum berth_engine_kind kind, const struct berth_config *config)
{
	return berth_geometry_of(&config->limits, count_row_lines(config), count_workers(kind, config));
}

/* Whether the selection tables of all services have room in a half of the row lines. */
static bool rows_fit(const struct berth_geometry *geometry, const struct berth_config *config)
{
	return count_row_lines(config) <= berth_half_row_lines(geometry);
}

static enum berth_engine_kind kind_of(const struct berth_config *config)
{
	char reason[BERTH_ENGINE_REASON_BYTES];
	return choose_engine(config, reason);
}

bool berth_engine_is_dpdk(const struct berth_config *config)
{
	return kind_of(config) == BERTH_ENGINE_DPDK;
}

struct berth_geometry berth_engine_geometry(const struct berth_config *config)
{
	return geometry_of(kind_of(config), config);
}

uint64_t berth_engine_huge_table_bytes(const struct berth_config *config)
{
	if (!berth_engine_is_dpdk(config))
		return 0;
	const struct berth_geometry geometry = berth_engine_geometry(config), *g = &geometry;
	uint64_t bytes = berth_dpdk_file_bytes(berth_image_own_bytes(g));
#define X(name, type, count) bytes += berth_dpdk_file_bytes(BERTH_SECTION_BYTES(type, count));
	BERTH_STORE_SECTIONS(X)
#undef X
	return bytes;
}

bool berth_engine_keeps_kind(const struct berth_engine *engine, const struct berth_config *config)
{
	return engines[kind_of(config)] == engine->ops;
}

bool berth_engine_fits(const struct berth_engine *engine, const struct berth_config *config)
{
	const enum berth_engine_kind kind = kind_of(config);
	if (engines[kind] != engine->ops)
		return false;
	const struct berth_geometry *has = &engine->wanted, wants = geometry_of(kind, config);
	return wants.services == has->services && wants.backends == has->backends &&
	       wants.flow_buckets == has->flow_buckets && wants.session_buckets == has->session_buckets &&
	       (kind != BERTH_ENGINE_DPDK || count_dpdk_workers(config) <= engine->image.geometry.workers) &&
	       rows_fit(&engine->image.geometry, config);
}

bool berth_engine_accepts(const struct berth_engine *engine, const struct berth_config *now,
			  const struct berth_config *config, char error[BERTH_ERROR_BYTES])
{
	const enum berth_engine_kind kind = kind_of(config);
	if (strcmp(config->secret_file, now->secret_file) != 0) {
		snprintf(error, BERTH_ERROR_BYTES,
			 "secret-file cannot change while berthd runs; put it into the configuration file and "
			 "restart berthd: all flows and sessions are lost then");
		return false;
	}
	if (berth_engine_fits(engine, config))
		return true;
	if ((kind == BERTH_ENGINE_NULL) != (engine->ops == &berth_engine_null)) {
		snprintf(error, BERTH_ERROR_BYTES,
			 "engine: null has no flows and sessions to keep; put it into the configuration file and "
			 "restart berthd");
		return false;
	}
	struct berth_geometry wanted = geometry_of(kind, config);
	/* Entries may have kept a table larger than its limit. It stays so while the engine changes. */
	if (engines[kind] != engine->ops && memcmp(&config->limits, &now->limits, sizeof(now->limits)) == 0) {
		wanted.flow_buckets = engine->record->flow_buckets;
		wanted.session_buckets = engine->record->session_buckets;
	}
	return engines[kind]->check(config, error) == 0 &&
	       (kind == BERTH_ENGINE_NULL ||
		berth_kept_check(engine->record, record_kind(engines[kind]), &wanted, error) == 0);
}

enum berth_engine_change berth_engine_compare(const struct berth_engine *engine, const struct berth_config *config,
					      uint32_t *pause_ms)
{
	const enum berth_engine_change change = engine->ops->compare(engine, config, pause_ms);
	if (berth_engine_fits(engine, config))
		return change;
	const bool is_same_kind = berth_engine_keeps_kind(engine, config);
	*pause_ms = 0;
	if (is_same_kind && engine->ops->is_replaced_live)
		return BERTH_ENGINE_TABLES;
	*pause_ms = engine->process.pause_ms ? engine->process.pause_ms : BERTH_ENGINE_ASSUMED_PAUSE_MS;
	return is_same_kind ? BERTH_ENGINE_RESTART : BERTH_ENGINE_KIND;
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

/* Takes over the flows and sessions of an engine of another kind, which ends. */
static void take_over(struct berth_engine *engine, const struct berth_engine_paths *paths)
{
	const struct berth_engine_ops *former = former_engine(engine);
	if (!former)
		return;
	former->halt(paths);
	if (copy_words(engine, former, paths))
		berth_log("ALARM: the tables of the %s engine are gone: flows and sessions are lost", former->name);
	else
		berth_log("flows and sessions are copied from the %s engine, which has ended", former->name);
	berth_record_set_engine(engine->record, record_kind(engine->ops));
}

int berth_engine_start(struct berth_engine *engine, const struct berth_engine_paths *paths, struct event_base *base,
		       char error[BERTH_ERROR_BYTES])
{
	take_over(engine, paths);
	/* Before a worker moves a word into one of its tables. */
	int err = engine->is_record_new ? berth_record_file_install(paths->instance, error) : 0;
	if (err)
		return err;
	engine->is_record_new = false;
	err = engine->ops->start(engine, base, error);
	if (!err)
		engine->ops->drop_former(engine);
	for (size_t i = 0; !err && i < sizeof(engines) / sizeof(engines[0]); i++)
		if (engines[i] && engines[i] != engine->ops)
			engines[i]->remove(paths);
	return err;
}

int berth_engine_resume(struct berth_engine *engine, const struct berth_engine_paths *paths,
			struct event_base *base, char error[BERTH_ERROR_BYTES])
{
	const struct berth_record *record = engine->record_file.record;
	struct berth_record_file file;
	if (record) {
		int err = berth_record_file_create(&file, paths->instance, record, record, error);
		if (!err)
			err = berth_record_file_install(paths->instance, error);
		if (err)
			return err;
		berth_record_file_close(&engine->record_file);
		engine->record_file = file;
		engine->record = file.record;
	}
	return engine->ops->start(engine, base, error);
}

void berth_engine_close(struct berth_engine *engine, const struct berth_engine_paths *paths, bool stop)
{
	struct berth_record_file file = engine->record_file;
	/* A start that fails leaves nothing of its own. */
	const bool is_useless = !engine->adopted && !engine->is_started;
	const bool has_dropped = engine->is_record_new;
	engine->ops->close(engine, stop);
	berth_record_file_close(&file);
	if (has_dropped)
		berth_record_file_drop(paths->instance);
	if (stop || is_useless)
		berth_record_file_remove(paths->instance);
}

/* The time of the last complete sweep. A time ahead of the clock is damage: the sweeps would wait for it. */
static void set_swept(const struct berth_engine *engine, uint32_t former)
{
	const uint32_t now = berth_clock_s();
	const uint32_t swept = engine->is_image_adopted ? BERTH_LOAD(&engine->image.ctl->swept) : former;
	const bool is_valid = swept && (int32_t)(now - swept) >= 0;
	BERTH_STORE(&engine->image.ctl->swept, is_valid ? swept : now + !now);
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
	const struct berth_engine_ops *former = has_former ? ops_of(kept.former.record->engine) : NULL;
	const uint32_t swept = former ? former->swept(paths) : 0;
	with.record = kept.current.record;
	with.has_stores = has_former && kept.current.record->engine == kind;
	if (has_former)
		with.secret = kept.current.record->secret;
	const bool is_new = kept.current.record != kept.former.record;
	struct berth_engine *engine = ops->open(config, &with, geometry, error);
	berth_kept_close(&kept);
	if (!engine) {
		berth_record_file_close(&kept.current);
		if (is_new)
			berth_record_file_drop(paths->instance);
		return NULL;
	}
	if (kind == BERTH_RECORD_NONE)
		return engine;
	set_swept(engine, swept);
	engine->adopted = has_former;
	engine->record_file = kept.current;
	engine->is_record_new = is_new;
	engine->record = kept.current.record;
	berth_record_set_secret(engine->record, engine->image.ctl->secret);
	/* Again when that engine has ended; now for the numbers in the words. */
	if (former_engine(engine))
		copy_words(engine, former_engine(engine), paths);
	return engine;
}

static enum berth_exit open_engine(const struct berth_config *config, const struct berth_engine_paths *paths,
				   enum berth_engine_kind kind, struct berth_engine **engine,
				   char error[BERTH_ERROR_BYTES])
{
	const struct berth_engine_ops *ops = engines[kind];
	if (kind != BERTH_ENGINE_NULL && !is_permitted()) {
		snprintf(error, BERTH_ERROR_BYTES,
			 "no permission: berthd needs CAP_BPF and CAP_NET_ADMIN; run it as root or by its systemd "
			 "unit");
		return BERTH_EXIT_PERMISSION;
	}
	if (ops->check(config, error))
		return BERTH_EXIT_ENGINE;
	const struct berth_geometry wanted = geometry_of(kind, config);
	struct berth_geometry geometry = wanted;
	*engine = open_with(ops, config, paths, &geometry, error);
	if (!*engine)
		return BERTH_EXIT_ENGINE;
	(*engine)->wanted = wanted;
	return BERTH_EXIT_OK;
}

enum berth_exit berth_engine_open(const struct berth_config *config, const struct berth_engine_paths *paths,
				  struct berth_engine **engine, char error[BERTH_ERROR_BYTES])
{
	char reason[BERTH_ENGINE_REASON_BYTES];
	enum berth_engine_kind kind = choose_engine(config, reason);
	if (config->engine == BERTH_ENGINE_AUTO)
		berth_log("engine auto: %s, because %s", engines[kind]->name, reason);
	enum berth_exit status = open_engine(config, paths, kind, engine, error);
	if (status)
		return status;
	snprintf((*engine)->reason, sizeof((*engine)->reason), "%s", reason);
	berth_log("engine %s: %s", (*engine)->ops->name,
		  (*engine)->adopted ? "adopted the existing tables" : "new tables");
	return BERTH_EXIT_OK;
}

/* Whether the tables have the size that the configuration asks for: entries may have kept a table as it was. */
static bool has_wanted_size(const struct berth_engine *engine)
{
	return engine->image.geometry.flow_buckets == engine->wanted.flow_buckets &&
	       engine->image.geometry.session_buckets == engine->wanted.session_buckets;
}

int berth_engine_open_beside(struct berth_engine *former, const struct berth_config *config,
			     const struct berth_engine_paths *paths, struct berth_engine **engine,
			     char error[BERTH_ERROR_BYTES])
{
	char reason[BERTH_ENGINE_REASON_BYTES];
	struct berth_engine_paths beside = *paths;
	beside.is_beside = true;
	beside.discard = false;
	/* What an earlier attempt left. */
	former->ops->drop_former(former);
	if (open_engine(config, &beside, choose_engine(config, reason), engine, error)) {
		former->ops->drop_former(former);
		return -ENOMEM;
	}
	snprintf((*engine)->reason, sizeof((*engine)->reason), "%s", reason);
	/* The configuration asks for another size. */
	if (paths->is_turned_back)
		(*engine)->wanted.flow_buckets = (*engine)->image.geometry.flow_buckets;
	if (former->ops == (*engine)->ops && !has_wanted_size(*engine)) {
		berth_engine_close_beside(*engine, former, paths);
		*engine = NULL;
		snprintf(error, BERTH_ERROR_BYTES,
			 "limits: not all entries have left the tables of the former size; try again in a few "
			 "seconds");
		return -EAGAIN;
	}
	(*engine)->process.restarts = former->process.restarts;
	(*engine)->process.pause_ms = former->process.pause_ms;
	return 0;
}

void berth_engine_close_beside(struct berth_engine *engine, struct berth_engine *former,
			       const struct berth_engine_paths *paths)
{
	const struct berth_engine_ops *ops = engine->ops;
	berth_engine_close(engine, paths, false);
	if (ops != former->ops)
		ops->remove(paths);
	former->ops->drop_former(former);
}
