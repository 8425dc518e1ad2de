/* SPDX-License-Identifier: BSD-3-Clause */
/* What berth-dpdk gives up; docs/security.md has the reasons. */
#pragma once

#include <stdbool.h>

/* Before EAL starts its threads. `has_devices`: a port is a PCI device. Both log what fails. */
void berth_privileges_start(bool has_devices);
/* After the ports are open and the workers run, for all threads. */
void berth_privileges_run(bool has_devices);
