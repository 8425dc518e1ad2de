/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine's ports: found, configured, started. Main lcore, while no worker runs.
 */
#pragma once

#include <rte_mempool.h>
#include <stdbool.h>

#include "dataplane/options.h"

/* How the kernel stands beside a port. */
enum berth_beside {
	BERTH_BESIDE_OWN,    /* it receives every packet itself (af_packet): it is given nothing */
	BERTH_BESIDE_INJECT, /* it has the interface, the engine takes its packets (AF_XDP): given back there */
	BERTH_BESIDE_TAP,    /* it has no interface: a TAP of the port's name stands for it */
};

struct berth_eth_port {
	char name[BERTH_IFNAME_BYTES];
	const char *driver;
	uint16_t id; /* DPDK's number */
	uint16_t rx_queues;
	uint16_t tx_queues;
	uint16_t mtu;
	uint8_t mac[6];
	bool chains; /* transmits packets of several segments */
	enum berth_beside beside;
};

struct berth_ports {
	uint32_t n;
	struct berth_eth_port port[BERTH_MAX_PORTS];
};

/* Opens and starts every port, with `workers` transmit queues each. 0 or -errno; the reason is logged, and
 * nothing stays open. */
int berth_ports_open(struct berth_ports *ports, const struct berth_options *options, uint32_t workers,
		     struct rte_mempool *pool);
void berth_ports_close(struct berth_ports *ports);
