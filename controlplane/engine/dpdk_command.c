// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/engine/dpdk_command.h"

#include <stdarg.h>
#include <stdio.h>

#include "controlplane/engine/numa.h"

__attribute__((format(printf, 2, 3))) static void add_word(struct berth_dpdk_command *command, const char *format,
							   ...)
{
	va_list args;
	if (command->argc == BERTH_DPDK_MAX_ARGS)
		return;
	va_start(args, format);
	vsnprintf(command->text[command->argc], BERTH_DPDK_ARG_BYTES, format, args);
	va_end(args);
	command->argv[command->argc] = command->text[command->argc];
	command->argc++;
}

static void add_text(struct berth_dpdk_command *command, const char *option, const char *value)
{
	add_word(command, "%s", option);
	add_word(command, "%s", value);
}

static void add_number(struct berth_dpdk_command *command, const char *option, uint32_t value)
{
	add_word(command, "%s", option);
	add_word(command, "%u", value);
}

void berth_dpdk_command_make(struct berth_dpdk_command *command, const struct berth_dpdk_command_paths *paths,
			     const struct berth_config *config, int node)
{
	static const char *const idle[] = {NULL, "poll", "adaptive"};
	const struct berth_dpdk_config *dpdk = &config->dpdk;
	*command = (struct berth_dpdk_command){0};
	add_word(command, "%s", paths->program);
	add_text(command, "--instance", paths->instance);
	add_text(command, "--image", paths->image);
	add_text(command, "--run-dir", paths->run_dir);
	if (dpdk->workers)
		add_number(command, "--workers", dpdk->workers);
	if (idle[dpdk->idle])
		add_text(command, "--idle", idle[dpdk->idle]);
	add_number(command, "--memory", dpdk->memory_mb);
	if (node != BERTH_NO_NODE)
		add_number(command, "--node", (uint32_t)node);
	add_number(command, "--rx-ring", dpdk->rx_ring);
	add_number(command, "--tx-ring", dpdk->tx_ring);
	for (size_t i = 0; i < config->n_interfaces; i++) {
		const struct berth_interface_config *port = &config->interfaces[i];
		add_word(command, "--port");
		char mtu[16] = "";
		if (port->mtu)
			snprintf(mtu, sizeof(mtu), ",mtu=%u", port->mtu);
		add_word(command, "%s,queues=%u%s%s%s", port->name, port->queues, mtu,
			 port->device[0] ? ",device=" : "", port->device);
	}
}
