// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/engine/pci/devices.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/engine/engine.h"
#include "controlplane/util/log.h"

void berth_pci_devices_list(struct berth_pci_devices *devices, const struct berth_config *config)
{
	devices->n = 0;
	for (size_t i = 0; i < config->n_interfaces; i++) {
		struct berth_pci_device *device = &devices->at[devices->n];
		if (!berth_pci_address(config->interfaces[i].device, device->address))
			continue;
		snprintf(device->name, sizeof(device->name), "%s", config->interfaces[i].name);
		devices->n++;
	}
}

static const char *find(const struct berth_pci_devices *devices, const char *name)
{
	for (size_t i = 0; i < devices->n; i++)
		if (name && strcmp(devices->at[i].name, name) == 0)
			return devices->at[i].address;
	return NULL;
}

int berth_pci_devices_check(const struct berth_pci_devices *devices, const struct berth_config *config,
			    char error[BERTH_ERROR_BYTES])
{
	char address[BERTH_PCI_ADDRESS_BYTES], fault[BERTH_PCI_FAULT_BYTES];
	for (size_t i = 0; i < config->n_interfaces; i++) {
		const struct berth_interface_config *interface = &config->interfaces[i];
		const char *former = find(devices, interface->name);
		if (!berth_pci_address(interface->device, address) || (former && strcmp(former, address) == 0) ||
		    !berth_pci_find_fault(devices->sysfs, address, fault))
			continue;
		snprintf(error, BERTH_ERROR_BYTES, "interface %s: %s (interfaces[%zu])", interface->name, fault, i);
		return -ENODEV;
	}
	return 0;
}

bool berth_pci_devices_follow(const struct berth_pci_devices *devices, const json_t *port,
			      char fault[BERTH_ERROR_BYTES])
{
	char cause[BERTH_PCI_FAULT_BYTES], text[BERTH_ERROR_BYTES] = "";
	const char *name = json_string_value(json_object_get(port, "name"));
	const char *address = find(devices, name);
	const bool is_absent = json_is_true(json_object_get(port, "absent")), had_fault = fault[0];
	const bool may_open = had_fault || json_is_true(json_object_get(port, "had_fault"));
	if (!address)
		return false;
	const bool has_cause = berth_pci_find_fault(devices->sysfs, address, cause);
	if (has_cause)
		snprintf(text, sizeof(text), "%s: %s", name, cause);
	else if (is_absent)
		snprintf(text, sizeof(text),
			 "%s: berth-dpdk has not opened the device %s; if this stays, its messages say why", name,
			 address);
	/* A device that seems usable is tried once: until its fault is another one. */
	const bool has_returned = is_absent && !has_cause && may_open && strcmp(fault, text) != 0;
	const bool has_gone = !is_absent && has_cause && !had_fault;
	if (has_returned)
		berth_log("%s: the device %s can be used now; restarting berth-dpdk", name, address);
	berth_engine_set_port_fault(fault, name, text);
	return has_returned || has_gone;
}
