/* SPDX-License-Identifier: BSD-3-Clause */
/* PCI devices of ports of the DPDK engine: which can be used, and which were removed or have come back. */
#pragma once

#include <jansson.h>

#include "controlplane/config/config.h"
#include "controlplane/util/error.h"
#include "dataplane/interface/pci_fault.h"

struct berth_pci_devices {
	const char *sysfs; /* "/sys" */
	struct berth_pci_device {
		char name[BERTH_IFNAME_BYTES]; /* of the port */
		char address[BERTH_PCI_ADDRESS_BYTES];
	} at[BERTH_MAX_PORTS];
	size_t n;
};

/* Those of this configuration. */
void berth_pci_devices_list(struct berth_pci_devices *devices, const struct berth_config *config);
/* A device that is not in the list must be one that DPDK can drive. 0, or -ENODEV with the reason in `error`. */
int berth_pci_devices_check(const struct berth_pci_devices *devices, const struct berth_config *config,
			    char error[BERTH_ERROR_BYTES]);
/* Why the device of a port does not forward, by the engine's status of the port; "": it does. True: berth-dpdk is
 * to start again, because the cause is gone or because the device is. No effect on a port without a PCI device. */
bool berth_pci_devices_follow(const struct berth_pci_devices *devices, const json_t *port,
			      char fault[BERTH_ERROR_BYTES]);
