/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PCI devices that are taken away while they forward. The kernel removes a device of VFIO only when the process
 * that has it gives it back, so this process ends; the next one opens the other ports. Main lcore.
 */
#pragma once

#include "dataplane/ports.h"

/* From now on. A failure is logged. */
void berth_removal_watch(const struct berth_ports *ports);
/* The name of a port whose device is being removed; NULL: none is. */
const char *berth_removal_port(const struct berth_ports *ports);
