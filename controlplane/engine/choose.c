// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/engine/choose.h"

#include <stdio.h>
#include <unistd.h>

#include "controlplane/compile/compile.h"
#include "controlplane/util/log.h"

/* Workers that the image has counters for. Each CPU that may be plugged in later is a worker of the XDP engine. */
static uint32_t count_workers(enum berth_engine_kind kind, const struct berth_config *config)
{
	uint32_t workers = config->dpdk.workers;
	if (kind == BERTH_ENGINE_XDP)
		return (uint32_t)sysconf(_SC_NPROCESSORS_CONF);
	for (size_t i = 0; !config->dpdk.workers && i < config->n_interfaces; i++)
		if (config->interfaces[i].queues > workers)
			workers = config->interfaces[i].queues;
	return workers ? workers : 1;
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
		berth_log("engine auto: xdp, because %s", reason);
		return BERTH_ENGINE_XDP;
	}
	snprintf(reason, BERTH_ENGINE_REASON_BYTES, "every interface names a device for DPDK");
	berth_log("engine auto: dpdk, because %s", reason);
	return BERTH_ENGINE_DPDK;
}

enum berth_exit berth_engine_open(const struct berth_config *config, const struct berth_engine_paths *paths,
				  struct berth_engine **engine, char error[BERTH_ERROR_BYTES])
{
	static const struct berth_engine_ops *const engines[] = {
		[BERTH_ENGINE_XDP] = &berth_engine_xdp,
		[BERTH_ENGINE_DPDK] = &berth_engine_dpdk,
		[BERTH_ENGINE_NULL] = &berth_engine_null,
	};
	char reason[BERTH_ENGINE_REASON_BYTES];
	enum berth_engine_kind kind = choose_engine(config, reason);
	const struct berth_engine_ops *ops = engines[kind];
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
