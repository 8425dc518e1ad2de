/* SPDX-License-Identifier: BSD-3-Clause */
/* What the driver of a port counts, for the status file. Main lcore: the packet path has no part in it. */
#pragma once

#include <stdio.h>

#include "dataplane/port_watch.h"

/* Members of a JSON object, each with a comma behind it. */
void berth_port_stats_print(FILE *file, const struct berth_eth_port *port, const struct berth_port_link *link);
