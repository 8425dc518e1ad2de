// SPDX-License-Identifier: BSD-3-Clause
/* For events of devices, in DPDK 22.11. */
#define ALLOW_EXPERIMENTAL_API

#include "dataplane/removal.h"

#include <rte_dev.h>
#include <rte_errno.h>
#include <string.h>

#include "dataplane/core/atomic.h"
#include "dataplane/log.h"

/* Written by DPDK's thread of interrupts, read by the main lcore. */
static bool is_removed[BERTH_MAX_PORTS];

static void on_event(const char *device, enum rte_dev_event_type event, void *arg)
{
	(void)device;
	if (event == RTE_DEV_EVENT_REMOVE)
		BERTH_STORE((bool *)arg, true);
}

void berth_removal_watch(const struct berth_ports *ports)
{
	for (uint32_t i = 0; i < ports->n; i++) {
		const struct berth_eth_port *port = &ports->port[i];
		if (*port->pci && rte_dev_event_callback_register(port->pci, on_event, &is_removed[i]))
			berth_log("%s: its removal is not noticed: %s", port->name, rte_strerror(rte_errno));
	}
}

const char *berth_removal_port(const struct berth_ports *ports)
{
	for (uint32_t i = 0; i < ports->n; i++)
		if (BERTH_LOAD(&is_removed[i]))
			return ports->port[i].name;
	return NULL;
}
