// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/engine/choose.h"

#include <linux/capability.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "controlplane/compile/compile.h"
#include "controlplane/util/log.h"

static uint32_t workers_of(enum berth_engine_kind kind, const struct berth_config *config)
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
		if (config->services[i].rows > rows)
			rows = config->services[i].rows;
	return rows;
}

/* What an engine needs; the same that the kernel asks for. */
static bool is_permitted(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};
	if (syscall(SYS_capget, &header, data))
		return false;
	bool bpf = data[CAP_TO_INDEX(CAP_BPF)].effective & CAP_TO_MASK(CAP_BPF);
	bool admin = data[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective & CAP_TO_MASK(CAP_SYS_ADMIN);
	bool net = data[CAP_TO_INDEX(CAP_NET_ADMIN)].effective & CAP_TO_MASK(CAP_NET_ADMIN);
	return (bpf || admin) && net;
}

/* dpdk where each interface names a device that DPDK drives, else xdp. Writes why. */
static enum berth_engine_kind choose_engine(const struct berth_config *config, char why[BERTH_ENGINE_WHY_BYTES])
{
	snprintf(why, BERTH_ENGINE_WHY_BYTES, "the configuration names it");
	if (config->engine != BERTH_ENGINE_AUTO)
		return config->engine;
	for (size_t i = 0; i < config->n_interfaces; i++) {
		if (config->interfaces[i].device[0])
			continue;
		snprintf(why, BERTH_ENGINE_WHY_BYTES, "interface %s names no device for DPDK",
			 config->interfaces[i].name);
		berth_log("engine auto: xdp, because %s", why);
		return BERTH_ENGINE_XDP;
	}
	snprintf(why, BERTH_ENGINE_WHY_BYTES, "every interface names a device for it");
	berth_log("engine auto: dpdk, because %s", why);
	return BERTH_ENGINE_DPDK;
}

int berth_engine_open(struct berth_daemon *daemon, const struct berth_config *config, char error[BERTH_ERROR_BYTES])
{
	static const struct berth_engine_ops *const engines[] = {
		[BERTH_ENGINE_XDP] = &berth_engine_xdp,
		[BERTH_ENGINE_DPDK] = &berth_engine_dpdk,
		[BERTH_ENGINE_NULL] = &berth_engine_null,
	};
	enum berth_engine_kind kind = choose_engine(config, daemon->engine_why);
	const struct berth_engine_ops *ops = engines[kind];
	if (kind != BERTH_ENGINE_NULL && !is_permitted()) {
		snprintf(error, BERTH_ERROR_BYTES,
			 "no permission: berthd needs CAP_BPF and CAP_NET_ADMIN; run it as root or by its systemd "
			 "unit");
		return BERTH_EXIT_PERMISSION;
	}
	if (ops->probe(config, error))
		return BERTH_EXIT_ENGINE;
	struct berth_geometry geometry = berth_geometry_of(&config->limits, largest_rows(config),
							   workers_of(kind, config));
	daemon->engine = ops->open(config, &daemon->options.paths, &geometry, error);
	if (!daemon->engine)
		return BERTH_EXIT_ENGINE;
	berth_log("engine %s: %s", ops->name,
		  daemon->engine->adopted ? "taking over the tables that are there" : "new tables");
	return BERTH_EXIT_OK;
}
