/* SPDX-License-Identifier: BSD-3-Clause */
/* The environment of DPDK (EAL): memory, cores, buses, the packet buffer pool. Main lcore, at start and stop. */
#pragma once

#include <rte_mempool.h>
#include <stdbool.h>

#include "dataplane/options.h"

/*
 * Starts DPDK with a main lcore (0) and `workers` worker lcores (from 1). Each worker gets a core of its own if
 * there are enough, first of options->node; else all lcores share all cores. Memory: hugepages if enough are free
 * or become free within `wait_ms`, else small pages. 0 or -errno; the reason is logged.
 */
int berth_eal_start(const struct berth_options *options, uint32_t workers, uint32_t wait_ms);
/* Removes the packet buffers, which no process uses from then on. */
void berth_eal_stop(const struct berth_options *options);

/* The pool of all packet buffers: options->memory_mb, on options->node if it has room. NULL: the reason is logged.
 */
struct rte_mempool *berth_eal_pool(const struct berth_options *options);

/* Whether a port is a PCI device. */
bool berth_eal_has_pci(const struct berth_options *options);
