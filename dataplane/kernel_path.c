/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/kernel_path.h"

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_ether.h>
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
	/* Until a worker rings the doorbell. Finite, because a stop signal just before the sleep does not end it,
	 * and for the links of the ports. */
	LONG_SLEEP_US = 100000,
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

/* Buffers for a frame with a VLAN tag. */
static uint32_t segments_of(struct rte_mempool *pool, uint32_t mtu)
{
	uint32_t room = rte_pktmbuf_data_room_size(pool) - RTE_PKTMBUF_HEADROOM;
	return RTE_MIN((mtu + RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN + room - 1) / room, (uint32_t)BERTH_MAX_SEGMENTS);
}

static int open_device(struct berth_kernel_path *path, uint32_t i, int logged)
{
	const struct berth_eth_port *port = &path->ports->port[i];
	const bool inject = port->delivery == BERTH_DELIVERY_INJECT;
	const struct berth_tap_options options = {
		.name = path->tap_name[i],
		.mac = inject || !berth_eth_port_has_mac(port) ? NULL : port->mac,
		.mtu = port->mtu,
		.silent = inject,
		.logged = logged,
	};
	path->tap[i] = berth_tap_open(&options);
	return path->tap[i] < 0 ? path->tap[i] : 0;
}

bool berth_kernel_path_keep_tap(struct berth_kernel_path *path, uint32_t i)
{
	const uint64_t now = rte_get_tsc_cycles();
	const int former = path->tap[i];
	const char *name = path->tap_name[i];
	const bool was_there = former >= 0;
	if (was_there ? berth_tap_is_there(former, name) : now - path->tap_tried_cycles[i] < rte_get_tsc_hz())
		return false;
	if (was_there) {
		berth_log(
			"ALARM: %s: its TAP device was removed or renamed, with its addresses and routes; making a "
			"new one",
			name);
		close(former);
	}
	path->tap_tried_cycles[i] = now;
	if (open_device(path, i, was_there ? 0 : former))
		return false;
	if (!was_there)
		berth_log("%s: it has a TAP device again", name);
	return true;
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

	int error = open_device(path, i, 0);
	if (error)
		return error;
	if (inject)
		return berth_inject_attach(bpf_dir, name, port->name);
	path->segments[i] = segments_of(path->pool, port->mtu);
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

static void free_ring(struct rte_ring *ring)
{
	struct rte_mbuf *mbuf;
	while (ring && !rte_ring_sc_dequeue(ring, (void **)&mbuf))
		rte_pktmbuf_free(mbuf);
	rte_ring_free(ring);
}

void berth_kernel_path_close(struct berth_kernel_path *path)
{
	for (uint32_t i = 0; i < BERTH_MAX_PORTS; i++) {
		/* The kernel removes a TAP device that is not persistent, and its BPF program, with the
		 * descriptor. */
		if (path->tap[i] >= 0)
			close(path->tap[i]);
		path->tap[i] = -1;
		free_ring(path->from_kernel[i]);
		path->from_kernel[i] = NULL;
		rte_pktmbuf_free_bulk(path->next[i], path->segments[i]);
		path->segments[i] = 0;
	}
	for (uint32_t i = 0; i < path->workers; i++) {
		free_ring(path->to_kernel[i]);
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

static bool allocate_next(struct berth_kernel_path *path, uint32_t i)
{
	for (uint32_t s = 0; s < path->segments[i]; s++) {
		struct rte_mbuf **mbuf = &path->next[i][s];
		if (!*mbuf)
			*mbuf = rte_pktmbuf_alloc(path->pool);
		if (!*mbuf)
			return false;
	}
	return true;
}

/* Takes the buffers that hold a packet of `bytes`. */
static struct rte_mbuf *take_packet(struct rte_mbuf **next, uint32_t bytes)
{
	struct rte_mbuf *first = next[0], *last = NULL;
	rte_pktmbuf_pkt_len(first) = bytes;
	for (uint32_t s = 0; bytes; s++) {
		struct rte_mbuf *mbuf = next[s];
		uint32_t length = RTE_MIN(bytes, (uint32_t)rte_pktmbuf_tailroom(mbuf));
		rte_pktmbuf_data_len(mbuf) = (uint16_t)length;
		if (last)
			last->next = mbuf;
		last = mbuf;
		first->nb_segs = (uint16_t)(s + 1);
		next[s] = NULL;
		bytes -= length;
	}
	return first;
}

/* Reads the next packet of port `i` that fits; NULL: there is none. A longer one must not leave without its end. */
static struct rte_mbuf *read_packet(struct berth_kernel_path *path, uint32_t i)
{
	struct iovec part[BERTH_MAX_SEGMENTS + 1];
	uint32_t n = path->segments[i];
	size_t room = 0;
	char beyond;
	for (uint32_t s = 0; s < n; s++) {
		part[s] = (struct iovec){rte_pktmbuf_mtod(path->next[i][s], void *),
					 rte_pktmbuf_tailroom(path->next[i][s])};
		room += part[s].iov_len;
	}
	part[n] = (struct iovec){&beyond, sizeof(beyond)};
	for (;;) {
		ssize_t bytes = readv(path->tap[i], part, (int)n + 1);
		if (bytes <= 0)
			return NULL;
		if ((size_t)bytes <= room)
			return take_packet(path->next[i], (uint32_t)bytes);
		path->too_long[i]++;
	}
}

/* Moves a burst of port `i`. While the ring is full, packets wait in the queue of the TAP: the kernel bounds it and
 * counts its drops. */
static uint32_t move_from_kernel(struct berth_kernel_path *path, uint32_t i)
{
	uint32_t n = 0;
	while (n < BURST && !rte_ring_full(path->from_kernel[i])) {
		struct rte_mbuf *mbuf = allocate_next(path, i) ? read_packet(path, i) : NULL;
		if (!mbuf)
			break;
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

static void log_lost(struct berth_kernel_path *path)
{
	if (path->lost != path->logged_lost)
		berth_log("%llu packets to the kernel were lost: their TAP device did not accept them; is it up?",
			  (unsigned long long)(path->lost - path->logged_lost));
	path->logged_lost = path->lost;
}

static void log_too_long(struct berth_kernel_path *path, uint32_t i)
{
	const struct berth_eth_port *port = &path->ports->port[i];
	if (path->too_long[i] != path->logged_too_long[i])
		berth_log(
			"%s: %llu packets of the kernel were dropped: they are longer than the port's MTU; ip link "
			"set dev %s mtu %u",
			port->name, (unsigned long long)(path->too_long[i] - path->logged_too_long[i]), port->name,
			port->mtu);
	path->logged_too_long[i] = path->too_long[i];
}

static void log_losses(struct berth_kernel_path *path)
{
	uint64_t now = rte_get_tsc_cycles();
	bool news = path->lost != path->logged_lost;
	for (uint32_t i = 0; i < path->ports->n; i++)
		news |= path->too_long[i] != path->logged_too_long[i];
	if (!news || now - path->logged_cycles < LOG_SECONDS * rte_get_tsc_hz())
		return;
	log_lost(path);
	for (uint32_t i = 0; i < path->ports->n; i++)
		log_too_long(path, i);
	path->logged_cycles = now;
}

void berth_kernel_path_run(struct berth_kernel_path *path, const bool *stop, void (*on_turn)(void *arg), void *arg)
{
	uint32_t sleep_us = 0;
	while (!BERTH_LOAD(stop)) {
		on_turn(arg);
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
