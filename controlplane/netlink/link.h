/* SPDX-License-Identifier: BSD-3-Clause */
/* A kernel interface by its name. */
#pragma once

#include "dataplane/core/abi.h"

/* Fills index, link address and MTU. -ENODEV: there is none of that name. */
int berth_link_port(const char *name, struct berth_port *port);
