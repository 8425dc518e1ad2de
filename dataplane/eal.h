/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DPDK's environment: which memory, which cores, which buses. Main lcore, once at start.
 */
#pragma once

#include <rte_mempool.h>
#include <stdbool.h>

#include "dataplane/options.h"

/*
 * Starts DPDK with one main lcore and `workers` more, numbered from 1. Each has a core of its own if there are
 * enough, of options->node as far as it has any; else all share all cores. Hugepages where enough are free,
 * ordinary pages otherwise. 0 or -errno; the reason is logged.
 */
int berth_eal_start(const struct berth_options *options, uint32_t workers);
void berth_eal_stop(void);

/* The one pool of packet buffers, of options->memory_mb, on options->node where it has room. NULL: logged why. */
struct rte_mempool *berth_eal_pool(const struct berth_options *options);

/* Whether `device` names a device on the PCI bus; its full address goes to `name` then. */
bool berth_eal_is_pci(const char *device, char *name, size_t room);
