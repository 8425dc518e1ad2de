/* SPDX-License-Identifier: BSD-3-Clause */
/* A kernel network interface, found by its name. */
#pragma once

#include "dataplane/core/abi.h"

/* Reads the interface's index, MAC address and MTU. 0; -ENODEV: not found. */
int berth_interface_read(const char *name, struct berth_port *port);
