// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/interface/pci_fault.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	NAME_BYTES = 64,
	COMMAND_BYTES = 160,
};

struct device {
	const char *sysfs;
	const char *address;
	char *fault;
};

bool berth_pci_address(const char *device, char address[BERTH_PCI_ADDRESS_BYTES])
{
	unsigned int domain = 0, bus, slot, function;
	int end = 0;
	if (sscanf(device, "%8x:%2x:%2x.%1x%n", &domain, &bus, &slot, &function, &end) != 4 || !end) {
		domain = 0;
		end = 0;
		if (sscanf(device, "%2x:%2x.%1x%n", &bus, &slot, &function, &end) != 3)
			return false;
	}
	if (!end || (device[end] && device[end] != ',') || slot > 31 || function > 7)
		return false;
	snprintf(address, BERTH_PCI_ADDRESS_BYTES, "%04x:%02x:%02x.%x", domain, bus & 0xff, slot & 0x1f,
		 function & 7);
	return true;
}

static void path_of(const struct device *device, const char *address, const char *part, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/bus/pci/devices/%s%s%s", device->sysfs, address, *part ? "/" : "", part);
}

/* The last component of what a link of a device leads to; "": there is none. */
static void read_link(const struct device *device, const char *address, const char *part, char name[NAME_BYTES])
{
	char path[PATH_MAX], target[PATH_MAX];
	path_of(device, address, part, path);
	const ssize_t n = readlink(path, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	const char *last = strrchr(target, '/');
	snprintf(name, NAME_BYTES, "%.63s", last ? last + 1 : target);
}

/* The first entry of a directory; "": there is none. */
static void read_entry(const char *path, char name[NAME_BYTES])
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	*name = '\0';
	while (dir && !*name && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			snprintf(name, NAME_BYTES, "%.63s", entry->d_name);
	if (dir)
		closedir(dir);
}

static bool has_iommu(const struct device *device)
{
	char path[PATH_MAX], group[NAME_BYTES];
	snprintf(path, sizeof(path), "%s/kernel/iommu_groups", device->sysfs);
	read_entry(path, group);
	return *group;
}

/* What binds a device to a driver which this host can use. berth-bind takes the devices of the configuration that
 * berthd starts with; one that is tried with another configuration, or a host without systemd, needs the command.
 */
static void describe_bind(const struct device *device, const char *address, char command[COMMAND_BYTES])
{
	const char *driver = has_iommu(device) ? "vfio-pci" : "uio_pci_generic";
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/bus/pci/drivers/%s", device->sysfs, driver);
	const bool is_loaded = access(path, F_OK) == 0;
	snprintf(command, COMMAND_BYTES, "systemctl restart berth-bind (by hand: %s%s%sdpdk-devbind.py -b %s %s)",
		 is_loaded ? "" : "modprobe ", is_loaded ? "" : driver, is_loaded ? "" : " && ", driver, address);
}

static bool is_in(const char *name, const char *const *names)
{
	for (; *names; names++)
		if (strcmp(name, *names) == 0)
			return true;
	return false;
}

static bool find_driver_fault(const struct device *device, const char *driver)
{
	char path[PATH_MAX], interface[NAME_BYTES], command[COMMAND_BYTES];
	describe_bind(device, device->address, command);
	path_of(device, device->address, "net", path);
	read_entry(path, interface);
	if (!*driver)
		snprintf(device->fault, BERTH_PCI_FAULT_BYTES,
			 "the device %s has no driver: %s; a kernel without that module cannot run it",
			 device->address, command);
	else
		snprintf(device->fault, BERTH_PCI_FAULT_BYTES,
			 "the device %s is driven by %s of the kernel%s%s: %s, which takes it from the host",
			 device->address, driver, *interface ? ", as interface " : "", interface, command);
	return true;
}

/* VFIO gives a group to a process only as a whole. Bridges stay with the kernel. */
static bool blocks_group(const struct device *device, const char *address, char driver[NAME_BYTES])
{
	static const char *const harmless[] = {"", "vfio-pci", "pci-stub", "pcieport", NULL};
	read_link(device, address, "driver", driver);
	return strcmp(address, device->address) != 0 && !is_in(driver, harmless);
}

static bool find_group_fault(const struct device *device)
{
	char path[PATH_MAX], group[NAME_BYTES], driver[NAME_BYTES];
	const struct dirent *entry;
	bool is_found = false;
	read_link(device, device->address, "iommu_group", group);
	path_of(device, device->address, "iommu_group/devices", path);
	DIR *dir = opendir(path);
	while (dir && !is_found && (entry = readdir(dir))) {
		is_found = entry->d_name[0] != '.' && blocks_group(device, entry->d_name, driver);
		if (is_found)
			snprintf(device->fault, BERTH_PCI_FAULT_BYTES,
				 "the device %s is in IOMMU group %s with %.16s, which %s drives: dpdk-devbind.py "
				 "-b "
				 "vfio-pci %.16s, too, or put the NIC into another slot",
				 device->address, group, entry->d_name, driver, entry->d_name);
	}
	if (dir)
		closedir(dir);
	return is_found;
}

static bool allows_no_iommu(const struct device *device)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/module/vfio/parameters/enable_unsafe_noiommu_mode", device->sysfs);
	FILE *file = fopen(path, "re");
	const int c = file ? fgetc(file) : EOF;
	if (file)
		fclose(file);
	return c == 'Y' || c == '1';
}

static bool find_vfio_fault(const struct device *device)
{
	char group[NAME_BYTES];
	read_link(device, device->address, "iommu_group", group);
	if (*group)
		return find_group_fault(device);
	if (allows_no_iommu(device))
		return false;
	snprintf(device->fault, BERTH_PCI_FAULT_BYTES,
		 "the device %s is bound to vfio-pci and has no IOMMU: intel_iommu=on iommu=pt on the kernel's "
		 "command line (AMD: in the firmware), or systemctl restart berth-bind (by hand: modprobe "
		 "uio_pci_generic && dpdk-devbind.py -b uio_pci_generic %s)",
		 device->address, device->address);
	return true;
}

bool berth_pci_is_withheld(const char *sysfs, const char *address)
{
	char driver[NAME_BYTES], fault[BERTH_PCI_FAULT_BYTES];
	const struct device device = {sysfs, address, fault};
	read_link(&device, address, "driver", driver);
	return strcmp(driver, "vfio-pci") == 0 && find_vfio_fault(&device);
}

bool berth_pci_find_fault(const char *sysfs, const char *address, char fault[BERTH_PCI_FAULT_BYTES])
{
	/* The last ones share a device with DPDK. berth-bind leaves it to them. */
	static const char *const usable[] = {"uio_pci_generic", "igb_uio", "mlx5_core", "mlx4_core", "mana", NULL};
	const struct device device = {sysfs, address, fault};
	char path[PATH_MAX], driver[NAME_BYTES];
	*fault = '\0';
	path_of(&device, address, "", path);
	if (access(path, F_OK)) {
		snprintf(fault, BERTH_PCI_FAULT_BYTES,
			 "no PCI device %s is there: lspci -D lists those that are; correct `device`", address);
		return true;
	}
	read_link(&device, address, "driver", driver);
	if (strcmp(driver, "vfio-pci") == 0)
		return find_vfio_fault(&device);
	return !is_in(driver, usable) && find_driver_fault(&device, driver);
}
