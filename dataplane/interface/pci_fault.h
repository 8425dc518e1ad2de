/* SPDX-License-Identifier: BSD-3-Clause */
/* Why DPDK cannot drive a PCI device, by what the kernel says of it in sysfs. berth-dpdk and berthd. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum {
	BERTH_PCI_ADDRESS_BYTES = 17, /* "0000:03:00.0", or a domain of eight digits, and its NUL */
	BERTH_PCI_FAULT_BYTES = 384,
};

/* Takes the address from the `device` of a port, whose domain may be missing and which may have arguments behind a
 * comma. False: it is no PCI address. */
bool berth_pci_address(const char *device, char address[BERTH_PCI_ADDRESS_BYTES]);
/* Whether vfio-pci has the device and cannot give it to a process. DPDK does not start if it can use none of the
 * devices that it is given for this reason; it passes over others that it cannot use. */
bool berth_pci_is_withheld(const char *sysfs, const char *address);
/* True: `fault` has one line with the cause and what removes it. `sysfs`: "/sys". */
bool berth_pci_find_fault(const char *sysfs, const char *address, char fault[BERTH_PCI_FAULT_BYTES]);
