/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/ports.h"

#include <errno.h>
#include <net/if.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/eal.h"
#include "dataplane/interface/pci_fault.h"
#include "dataplane/interface/tap_ports.h"
#include "dataplane/interface/xdp_program.h"
#include "dataplane/log.h"

enum {
	/* Bytes of a frame beside the network-layer packet: with two VLAN tags. */
	FRAME_OVERHEAD = RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN + 2 * RTE_VLAN_HLEN,
};

/* MTU of a kernel interface, which af_packet and AF_XDP drivers do not report. 0: no such interface. */
static uint16_t kernel_mtu(const char *name)
{
	struct ifreq request = {0};
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return 0;
	bool found = ioctl(fd, SIOCGIFMTU, &request) == 0;
	close(fd);
	return found ? (uint16_t)RTE_MIN(request.ifr_mtu, UINT16_MAX) : 0;
}

/* Probes the device of port `index`; copies the name that DPDK gives it to `name`. */
static int probe(const struct berth_port_options *options, uint32_t index, uint32_t workers, char *name,
		 size_t size)
{
	/* EAL has probed it from the allow list. */
	char address[BERTH_PCI_ADDRESS_BYTES];
	if (berth_pci_address(options->device, address)) {
		snprintf(name, size, "%s", address);
		return 0;
	}

	char device[BERTH_DEVICE_BYTES];
	snprintf(device, sizeof(device), "%s", options->device);
	/* AF_XDP has queue pairs, and every worker needs a transmit queue. */
	if (!*device)
		snprintf(device, sizeof(device), "net_af_xdp%u,iface=%s,start_queue=0,queue_count=%u", index,
			 options->name, workers);
	snprintf(name, size, "%.*s", (int)strcspn(device, ","), device);

	if (!*options->device && !if_nametoindex(options->name)) {
		berth_log("%s: interface not found; see `ip link`, or give the port a device", options->name);
		return -ENODEV;
	}
	/* Drivers return -1 for every error and log the reason. */
	if (!rte_dev_probe(device))
		return 0;
	if (!*options->device)
		berth_log("%s: AF_XDP cannot open %u queue(s); lower queues, or see `ethtool -l %s`", options->name,
			  workers, options->name);
	else
		berth_log("%s: DPDK cannot open the device \"%s\"; check its driver name and arguments",
			  options->name, device);
	return -ENODEV;
}

static enum berth_kernel_delivery delivery_of(const struct berth_port_options *options)
{
	if (berth_device_is_af_packet(options->device))
		return BERTH_DELIVERY_COPY;
	return berth_device_has_tap(options->device, options->name) ? BERTH_DELIVERY_TAP : BERTH_DELIVERY_INJECT;
}

static int plan_queues(struct berth_eth_port *port, const struct berth_port_options *options, uint32_t workers,
		       const struct rte_eth_dev_info *info)
{
	port->tx_queues = (uint16_t)workers;
	port->rx_queues = (uint16_t)RTE_MIN(options->queues, workers);
	if (!strcmp(port->driver, BERTH_AF_XDP_DRIVER))
		port->rx_queues = port->tx_queues;
	if (info->max_rx_queues >= port->rx_queues && info->max_tx_queues >= port->tx_queues)
		return 0;
	berth_log("%s: queues to receive and to transmit: %u and %u; needed are %u and %u; lower workers or queues",
		  port->name, info->max_rx_queues, info->max_tx_queues, port->rx_queues, port->tx_queues);
	port->is_explained = true;
	return -ENOSPC;
}

/*
 * QEMU's vmxnet3 gives a packet several buffers only to a driver that asks for them (maxNumRxSG), as Linux does for
 * LRO and DPDK never; it drops others as errors.
 */
static bool receives_in_one_buffer(const char *driver)
{
	char vendor[8] = "";
	FILE *file = strcmp(driver, "net_vmxnet3") ? NULL : fopen("/sys/class/dmi/id/sys_vendor", "re");
	if (!file)
		return false;
	const bool is_qemu = fgets(vendor, sizeof(vendor), file) && strcmp(vendor, "QEMU\n") == 0;
	fclose(file);
	return is_qemu;
}

static int configure(struct berth_eth_port *port, const struct rte_eth_dev_info *info)
{
	struct rte_eth_conf conf = {0};
	uint64_t hash = info->flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP);
	if (port->rx_queues > 1 && hash) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf = hash;
		port->has_rss = true;
	}
	/* Packets that are longer than a buffer are received and sent in several. */
	bool is_long = port->mtu + FRAME_OVERHEAD > RTE_MBUF_DEFAULT_DATAROOM;
	if (is_long && !receives_in_one_buffer(port->driver))
		conf.rxmode.offloads |= info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER;
	port->receives_chains = conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_SCATTER;
	conf.txmode.offloads |= info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	port->sends_chains = conf.txmode.offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	if (is_long && port->delivery == BERTH_DELIVERY_TAP && !(port->sends_chains && port->receives_chains)) {
		berth_log("%s: its driver %s, or the device, cannot send and receive packets in several buffers; "
			  "lower the MTU from %u to at most %u",
			  port->name, port->driver, port->mtu, RTE_MBUF_DEFAULT_DATAROOM - FRAME_OVERHEAD);
		port->is_explained = true;
		return -ENOTSUP;
	}
	return rte_eth_dev_configure(port->id, port->rx_queues, port->tx_queues, &conf);
}

/* The port's MTU: configured, else the kernel interface's, else the driver's. Before the queues are set up, which
 * depend on it. */
static int set_mtu(struct berth_eth_port *port, const struct berth_port_options *options)
{
	if (!options->mtu)
		return 0;
	int error = rte_eth_dev_set_mtu(port->id, (uint16_t)options->mtu);
	if (error == -ENOTSUP)
		berth_log("%s: its driver %s cannot set an MTU; remove mtu", port->name, port->driver);
	else if (error)
		berth_log("%s: MTU %u: its driver %s refuses it; lower mtu", port->name, options->mtu,
			  port->driver);
	port->is_explained = error != 0;
	return error;
}

static int set_up_queues(const struct berth_eth_port *port, const struct berth_options *options,
			 struct rte_mempool *pool)
{
	uint16_t rx_ring = (uint16_t)options->rx_ring;
	uint16_t tx_ring = (uint16_t)options->tx_ring;
	unsigned int socket = (unsigned int)rte_eth_dev_socket_id(port->id);
	int error = rte_eth_dev_adjust_nb_rx_tx_desc(port->id, &rx_ring, &tx_ring);
	if (!error && (rx_ring < options->rx_ring || tx_ring < options->tx_ring))
		berth_log("%s: its driver %s has queues of at most %u and %u descriptors: dpdk.rx-ring and "
			  "dpdk.tx-ring "
			  "(%u and %u) are cut to that",
			  port->name, port->driver, rx_ring, tx_ring, options->rx_ring, options->tx_ring);
	for (uint16_t i = 0; !error && i < port->rx_queues; i++)
		error = rte_eth_rx_queue_setup(port->id, i, rx_ring, socket, NULL, pool);
	for (uint16_t i = 0; !error && i < port->tx_queues; i++)
		error = rte_eth_tx_queue_setup(port->id, i, tx_ring, socket, NULL);
	return error;
}

/* For neighbour discovery. An interface of the kernel receives its multicast addresses already. */
static void receive_multicast(const struct berth_eth_port *port)
{
	if (port->delivery == BERTH_DELIVERY_TAP && rte_eth_allmulticast_enable(port->id))
		rte_eth_promiscuous_enable(port->id);
}

static int start(struct berth_eth_port *port, const struct berth_options *options, uint32_t workers, uint32_t index,
		 struct rte_mempool *pool)
{
	struct rte_eth_dev_info info;
	int error = rte_eth_dev_info_get(port->id, &info);
	if (error)
		return error;
	port->driver = info.driver_name;
	port->delivery = delivery_of(&options->ports[index]);
	if (!strcmp(port->driver, BERTH_AF_XDP_DRIVER) && !(pool->flags & RTE_MEMPOOL_F_NO_IOVA_CONTIG)) {
		berth_log("%s: AF_XDP and PCI ports need different packet buffers; run one instance of berth for "
			  "each kind of port",
			  port->name);
		port->is_explained = true;
		return -ENOTSUP;
	}
	struct rte_ether_addr mac;
	rte_eth_macaddr_get(port->id, &mac);
	memcpy(port->mac, mac.addr_bytes, sizeof(port->mac));
	rte_eth_dev_get_mtu(port->id, &port->mtu);
	uint16_t mtu = port->delivery == BERTH_DELIVERY_TAP ? 0 : kernel_mtu(port->name);
	if (mtu)
		port->mtu = mtu;
	if (options->ports[index].mtu)
		port->mtu = (uint16_t)options->ports[index].mtu;

	error = plan_queues(port, &options->ports[index], workers, &info);
	if (!error)
		error = configure(port, &info);
	if (!error)
		error = set_mtu(port, &options->ports[index]);
	if (!error)
		error = set_up_queues(port, options, pool);
	if (!error)
		error = rte_eth_dev_start(port->id);
	if (!error)
		receive_multicast(port);
	if (port->delivery == BERTH_DELIVERY_INJECT)
		port->xdp_program = berth_xdp_program_id(if_nametoindex(port->name));
	return error;
}

/* True: the system says why. */
static bool log_undriven(const char *port, const char *name)
{
	char address[BERTH_PCI_ADDRESS_BYTES], fault[BERTH_PCI_FAULT_BYTES];
	const bool has_fault = berth_pci_address(name, address) && berth_pci_find_fault("/sys", address, fault);
	if (has_fault)
		berth_log("%s: %s", port, fault);
	else
		berth_log("%s: DPDK drives no device %s; is it bound to vfio-pci? (lspci -k)", port, name);
	return has_fault;
}

static void log_start_failure(const struct berth_eth_port *port, const char *name, int error)
{
	berth_log("%s: %s does not start: %s%s", port->name, name, rte_strerror(-error),
		  berth_has_prefix(name, BERTH_AF_XDP_DRIVER) ? "; AF_XDP needs a driver with native XDP" : "");
}

static int open_port(struct berth_ports *ports, const struct berth_options *options, uint32_t workers,
		     struct rte_mempool *pool)
{
	uint32_t index = ports->n;
	struct berth_eth_port *port = &ports->port[index];
	char name[BERTH_DEVICE_BYTES];
	snprintf(port->name, sizeof(port->name), "%s", options->ports[index].name);
	int error = probe(&options->ports[index], index, workers, name, sizeof(name));
	if (error)
		return error;
	berth_pci_address(options->ports[index].device, port->pci);
	if (rte_eth_dev_get_port_by_name(name, &port->id)) {
		port->had_fault = log_undriven(port->name, name);
		return -ENOENT;
	}
	error = start(port, options, workers, index, pool);
	if (error) {
		if (!port->is_explained)
			log_start_failure(port, name, error);
		rte_eth_dev_close(port->id);
		return error;
	}
	ports->n++;
	return 0;
}

/* In place of a device: a ring that is full, which nothing reads. What is to leave by the port is counted as what a
 * full queue does not take. */
static int start_full_ring(const char *name, uint32_t workers, struct rte_mempool *pool, uint16_t *id)
{
	struct rte_ring *rings[BERTH_MAX_WORKERS];
	const struct rte_eth_conf conf = {0};
	struct rte_ring *ring = rte_ring_create(name, 2, SOCKET_ID_ANY, 0);
	struct rte_mbuf *mbuf = ring ? rte_pktmbuf_alloc(pool) : NULL;
	if (!mbuf || rte_ring_enqueue(ring, mbuf))
		return -ENOMEM;
	for (uint32_t i = 0; i < workers; i++)
		rings[i] = ring;
	const int port = rte_eth_from_rings(name, rings, 1, rings, workers, 0);
	if (port < 0)
		return -ENOMEM;
	*id = (uint16_t)port;
	int error = rte_eth_dev_configure(*id, 1, (uint16_t)workers, &conf);
	if (!error)
		error = rte_eth_rx_queue_setup(*id, 0, 1, SOCKET_ID_ANY, NULL, pool);
	for (uint16_t i = 0; !error && i < workers; i++)
		error = rte_eth_tx_queue_setup(*id, i, 1, SOCKET_ID_ANY, NULL);
	return error ? error : rte_eth_dev_start(*id);
}

static int open_absent(struct berth_ports *ports, const struct berth_port_options *options, uint32_t workers,
		       struct rte_mempool *pool)
{
	struct berth_eth_port *port = &ports->port[ports->n];
	char name[RTE_RING_NAMESIZE];
	snprintf(name, sizeof(name), "absent%u", ports->n);
	const int error = start_full_ring(name, workers, pool, &port->id);
	if (error) {
		berth_log("%s: nothing can take its place: %s", options->name, rte_strerror(-error));
		return error;
	}
	const uint16_t mtu = kernel_mtu(options->name);
	port->driver = "none";
	port->delivery = BERTH_DELIVERY_TAP;
	port->is_absent = true;
	port->sends_chains = true;
	port->mtu = options->mtu ? (uint16_t)options->mtu : mtu ? mtu : RTE_ETHER_MTU;
	port->pci[0] = '\0';
	ports->n++;
	berth_log("ALARM: %s: no packet is forwarded on it", options->name);
	return 0;
}

static bool has_device(const struct berth_ports *ports)
{
	for (uint32_t i = 0; i < ports->n; i++)
		if (!ports->port[i].is_absent)
			return true;
	return false;
}

int berth_ports_open(struct berth_ports *ports, const struct berth_options *options, uint32_t workers,
		     struct rte_mempool *pool)
{
	uint32_t unexplained = 0;
	*ports = (struct berth_ports){0};
	while (ports->n < options->n_ports) {
		int error = open_port(ports, options, workers, pool);
		/* Without a port and without a reason for one of them, a new start may find what this one did not.
		 */
		unexplained += error == -ENOENT && !ports->port[ports->n].had_fault;
		if (error == -ENOENT)
			error = open_absent(ports, &options->ports[ports->n], workers, pool);
		if (error) {
			berth_ports_close(ports);
			return error;
		}
	}
	if (unexplained && !has_device(ports)) {
		berth_log("no port can be opened");
		berth_ports_close(ports);
		return -ENODEV;
	}
	return 0;
}

void berth_ports_close(struct berth_ports *ports)
{
	while (ports->n) {
		uint16_t id = ports->port[--ports->n].id;
		rte_eth_dev_stop(id);
		rte_eth_dev_close(id);
	}
}
