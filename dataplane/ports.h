/* SPDX-License-Identifier: BSD-3-Clause */
/* The ports of the engine. Main lcore, while no worker runs. */
#pragma once

#include <rte_mempool.h>
#include <stdbool.h>
#include <string.h>

#include "dataplane/interface/pci_fault.h"
#include "dataplane/options.h"

/* How packets that pass reach the kernel. */
enum berth_kernel_delivery {
	BERTH_DELIVERY_COPY,   /* af_packet: the kernel receives every packet itself; none is delivered */
	BERTH_DELIVERY_INJECT, /* AF_XDP: injected into the kernel interface from which the engine took them */
	BERTH_DELIVERY_TAP,    /* no kernel interface: a TAP device with the name of the port */
};

struct berth_eth_port {
	char name[BERTH_IFNAME_BYTES];
	const char *driver;
	uint16_t id; /* DPDK port number */
	uint16_t rx_queues;
	uint16_t tx_queues;
	uint32_t xdp_program; /* AF_XDP: id of the program that the driver attached */
	uint16_t mtu;	      /* bytes of the largest network-layer packet */
	uint8_t mac[6];
	bool receives_chains; /* packets longer than a buffer, in several */
	bool sends_chains;    /* transmits mbufs of several segments */
	bool has_rss;	      /* spreads flows over its receive queues */
	enum berth_kernel_delivery delivery;
	char pci[BERTH_PCI_ADDRESS_BYTES]; /* its address; "": no PCI device */
	bool is_absent;	   /* its device cannot be opened: a device that sends and receives nothing */
	bool had_fault;	   /* the system said why: DPDK may drive it when that is gone */
	bool is_explained; /* the last line of the log says why it does not start */
};

/* False: its driver has none (net_ring); its TAP device keeps what the kernel chose. */
static inline bool berth_eth_port_has_mac(const struct berth_eth_port *port)
{
	static const uint8_t none[6];
	return memcmp(port->mac, none, sizeof(none)) != 0;
}

struct berth_ports {
	uint32_t n;
	struct berth_eth_port port[BERTH_MAX_PORTS]; /* in the order of the options */
};

/* Opens and starts every port, with `workers` transmit queues each. 0 or -errno: the reason is logged, and all
 * ports are closed. A PCI device that is not there or not bound keeps only its own port from forwarding, if there
 * is another one. */
int berth_ports_open(struct berth_ports *ports, const struct berth_options *options, uint32_t workers,
		     struct rte_mempool *pool);
void berth_ports_close(struct berth_ports *ports);
