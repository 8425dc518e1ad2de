// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/engine/choose.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/compile/compile.h"
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
	if (engines[kind] != engine->ops)
		fixed = "engine";
	else if (memcmp(&config->limits, &now->limits, sizeof(now->limits)) != 0)
		fixed = "limits";
	else if (strcmp(config->secret_file, now->secret_file) != 0)
		fixed = "secret-file";
	else if (kind == BERTH_ENGINE_DPDK && count_dpdk_workers(config) > engine->image.geometry.workers)
		fixed = "a larger number of workers or queues than the tables have counters for";
	if (fixed)
		snprintf(error, BERTH_ERROR_BYTES,
			 "%s cannot change while the engine runs; put it into the configuration file and restart "
			 "berthd: forwarding stops meanwhile, and all flows and sessions are lost",
			 fixed);
	return !fixed;
}

void berth_engine_remove_others(const struct berth_engine *engine, const struct berth_engine_paths *paths)
{
	for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++)
		if (engines[i] && engines[i] != engine->ops)
			engines[i]->remove(paths);
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
	*engine = ops->open(config, paths, &geometry, error);
	if (!*engine)
		return BERTH_EXIT_ENGINE;
	snprintf((*engine)->reason, sizeof((*engine)->reason), "%s", reason);
	berth_log("engine %s: %s", ops->name, (*engine)->adopted ? "adopted the existing tables" : "new tables");
	return BERTH_EXIT_OK;
}
