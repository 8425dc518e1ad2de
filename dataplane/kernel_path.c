/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/kernel_path.h"

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "dataplane/core/atomic.h"
#include "dataplane/inject.h"
#include "dataplane/log.h"
#include "dataplane/tap.h"

enum {
	RING_SLOTS = 512,
	BURST = 32,
	MAX_SEGMENTS = 16,
	MIN_SLEEP_US = 50,
	MAX_SLEEP_US = 500,
	/* Until a worker rings the doorbell. Finite, because a stop signal just before the sleep does not end it.
	 */
	LONG_SLEEP_US = 1000000,
	LOG_SECONDS = 60,
};

static struct rte_ring *create_ring(const char *name, uint32_t number)
{
	char text[RTE_RING_NAMESIZE];
	snprintf(text, sizeof(text), "%s-%u", name, number);
	struct rte_ring *ring = rte_ring_create(text, RING_SLOTS, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (!ring)
		berth_log("cannot create the ring %s: %s", text, rte_strerror(rte_errno));
	return ring;
}

/* "bt-" and the interface name, or its index where the name is too long. */
static void name_inject_tap(char name[BERTH_IFNAME_BYTES], const char *interface)
{
	if (snprintf(name, BERTH_IFNAME_BYTES, "bt-%s", interface) >= BERTH_IFNAME_BYTES)
		snprintf(name, BERTH_IFNAME_BYTES, "bt-%u", if_nametoindex(interface));
}

static int open_tap(struct berth_kernel_path *path, uint32_t i, const char *bpf_dir)
{
	const struct berth_eth_port *port = &path->ports->port[i];
	char *name = path->tap_name[i];
	bool inject = port->delivery == BERTH_DELIVERY_INJECT;
	if (port->delivery == BERTH_DELIVERY_COPY)
		return 0;
	if (inject)
		name_inject_tap(name, port->name);
	else
		memcpy(name, port->name, sizeof(port->name));

	const struct berth_tap_options options = {
		.name = name,
		.mac = inject ? NULL : port->mac,
		.mtu = port->mtu,
		.silent = inject,
	};
	path->tap[i] = berth_tap_open(&options);
	if (path->tap[i] < 0)
		return path->tap[i];
	if (inject)
		return berth_inject_attach(bpf_dir, name, port->name);
	path->from_kernel[i] = create_ring("from-kernel", i);
	return path->from_kernel[i] ? 0 : -ENOMEM;
}

int berth_kernel_path_open(struct berth_kernel_path *path, const struct berth_ports *ports, uint32_t workers,
			   struct rte_mempool *pool, const char *bpf_dir)
{
	*path = (struct berth_kernel_path){.ports = ports, .pool = pool, .workers = workers};
	for (uint32_t i = 0; i < BERTH_MAX_PORTS; i++)
		path->tap[i] = -1;
	path->doorbell.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	int error = path->doorbell.fd < 0 ? -errno : 0;
	for (uint32_t i = 0; !error && i < workers; i++) {
		path->to_kernel[i] = create_ring("to-kernel", i);
		error = path->to_kernel[i] ? 0 : -ENOMEM;
	}
	for (uint32_t i = 0; !error && i < ports->n; i++)
		error = open_tap(path, i, bpf_dir);
	if (error)
		berth_kernel_path_close(path);
	return error;
}

void berth_kernel_path_close(struct berth_kernel_path *path)
{
	for (uint32_t i = 0; i < BERTH_MAX_PORTS; i++) {
		/* The kernel removes a TAP device and its BPF program with the descriptor. */
		if (path->tap[i] >= 0)
			close(path->tap[i]);
		path->tap[i] = -1;
		rte_ring_free(path->from_kernel[i]);
		path->from_kernel[i] = NULL;
	}
	for (uint32_t i = 0; i < path->workers; i++) {
		rte_ring_free(path->to_kernel[i]);
		path->to_kernel[i] = NULL;
	}
	if (path->doorbell.fd >= 0)
		close(path->doorbell.fd);
	path->doorbell.fd = -1;
}

static bool write_packet(int fd, const struct rte_mbuf *mbuf)
{
	struct iovec part[MAX_SEGMENTS];
	int parts = 0;
	for (const struct rte_mbuf *at = mbuf; at; at = at->next) {
		if (parts == MAX_SEGMENTS)
			return false;
		part[parts++] = (struct iovec){
			.iov_base = rte_pktmbuf_mtod(at, void *),
			.iov_len = rte_pktmbuf_data_len(at),
		};
	}
	return writev(fd, part, parts) == (ssize_t)rte_pktmbuf_pkt_len(mbuf);
}

/* Moves a burst of one worker. Returns the number of packets. */
static uint32_t move_to_kernel(struct berth_kernel_path *path, struct rte_ring *ring)
{
	struct rte_mbuf *mbufs[BURST];
	uint32_t n = rte_ring_sc_dequeue_burst(ring, (void **)mbufs, BURST, NULL);
	for (uint32_t i = 0; i < n; i++) {
		if (!write_packet(path->tap[mbufs[i]->port], mbufs[i]))
			path->lost++;
	}
	if (n)
		rte_pktmbuf_free_bulk(mbufs, n);
	return n;
}

static bool read_packet(int fd, struct rte_mbuf *mbuf)
{
	ssize_t bytes = read(fd, rte_pktmbuf_mtod(mbuf, void *), rte_pktmbuf_tailroom(mbuf));
	if (bytes <= 0)
		return false;
	rte_pktmbuf_data_len(mbuf) = (uint16_t)bytes;
	rte_pktmbuf_pkt_len(mbuf) = (uint32_t)bytes;
	return true;
}

/* Moves a burst of port `i`. While the ring is full, packets wait in the queue of the TAP: the kernel bounds it and
 * counts its drops. */
static uint32_t move_from_kernel(struct berth_kernel_path *path, uint32_t i)
{
	uint32_t n = 0;
	while (n < BURST && !rte_ring_full(path->from_kernel[i])) {
		struct rte_mbuf *mbuf = rte_pktmbuf_alloc(path->pool);
		if (!mbuf)
			break;
		if (!read_packet(path->tap[i], mbuf)) {
			rte_pktmbuf_free(mbuf);
			break;
		}
		rte_ring_sp_enqueue(path->from_kernel[i], mbuf);
		n++;
	}
	return n;
}

static uint32_t move_all(struct berth_kernel_path *path)
{
	uint32_t moved = 0;
	for (uint32_t i = 0; i < path->workers; i++)
		moved += move_to_kernel(path, path->to_kernel[i]);
	for (uint32_t i = 0; i < path->ports->n; i++) {
		if (path->from_kernel[i])
			moved += move_from_kernel(path, i);
	}
	return moved;
}

/* Sleeps until the timeout, a packet from the kernel or the doorbell. */
static void sleep_until_event(const struct berth_kernel_path *path, uint32_t timeout_us)
{
	struct pollfd fds[BERTH_MAX_PORTS + 1] = {{.fd = path->doorbell.fd, .events = POLLIN}};
	nfds_t n = 1;
	for (uint32_t i = 0; i < path->ports->n; i++) {
		if (path->from_kernel[i])
			fds[n++] = (struct pollfd){.fd = path->tap[i], .events = POLLIN};
	}
	const struct timespec timeout = {
		.tv_sec = timeout_us / 1000000,
		.tv_nsec = (long)(timeout_us % 1000000) * 1000,
	};
	ppoll(fds, n, &timeout, NULL);
}

/* The rings are checked once more after the doorbell is armed: a worker that filled one before did not ring. */
static void sleep_until_doorbell(struct berth_kernel_path *path)
{
	berth_doorbell_arm(&path->doorbell);
	if (!move_all(path))
		sleep_until_event(path, LONG_SLEEP_US);
	berth_doorbell_disarm(&path->doorbell);
}

static void log_losses(struct berth_kernel_path *path)
{
	uint64_t now = rte_get_tsc_cycles();
	if (path->lost == path->logged_lost || now < path->next_log_cycles)
		return;
	berth_log("%llu packets to the kernel were lost: their TAP device did not accept them; is it up?",
		  (unsigned long long)(path->lost - path->logged_lost));
	path->logged_lost = path->lost;
	path->next_log_cycles = now + LOG_SECONDS * rte_get_tsc_hz();
}

void berth_kernel_path_run(struct berth_kernel_path *path, const bool *stop)
{
	uint32_t sleep_us = 0;
	while (!BERTH_LOAD(stop)) {
		if (move_all(path)) {
			sleep_us = 0;
			continue;
		}
		log_losses(path);
		if (sleep_us == MAX_SLEEP_US) {
			sleep_until_doorbell(path);
			continue;
		}
		sleep_us = sleep_us ? RTE_MIN(sleep_us * 2, (uint32_t)MAX_SLEEP_US) : MIN_SLEEP_US;
		sleep_until_event(path, sleep_us);
	}
}
