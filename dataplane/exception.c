/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/exception.h"

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
	/* Until somebody rings. A signal to stop may come just before that sleep and wake nobody. */
	LONG_SLEEP_US = 1000000,
	LOG_SECONDS = 60,
};

static struct rte_ring *make_ring(const char *name, uint32_t number)
{
	char text[RTE_RING_NAMESIZE];
	snprintf(text, sizeof(text), "%s-%u", name, number);
	struct rte_ring *ring = rte_ring_create(text, RING_SLOTS, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (!ring)
		berth_log("no room for the ring %s: %s", text, rte_strerror(rte_errno));
	return ring;
}

/* "bt-" and the interface's name, or its number where the name has no room. */
static void name_inject_tap(char name[BERTH_IFNAME_BYTES], const char *interface)
{
	if (snprintf(name, BERTH_IFNAME_BYTES, "bt-%s", interface) >= BERTH_IFNAME_BYTES)
		snprintf(name, BERTH_IFNAME_BYTES, "bt-%u", if_nametoindex(interface));
}

static int open_tap(struct berth_exception *exception, uint32_t i, const char *bpf_dir)
{
	const struct berth_eth_port *port = &exception->ports->port[i];
	char *name = exception->tap_name[i];
	bool inject = port->beside == BERTH_BESIDE_INJECT;
	if (port->beside == BERTH_BESIDE_OWN)
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
	exception->tap[i] = berth_tap_open(&options);
	if (exception->tap[i] < 0)
		return exception->tap[i];
	if (inject)
		return berth_inject_attach(bpf_dir, name, port->name);
	exception->host[i] = make_ring("host", i);
	return exception->host[i] ? 0 : -ENOMEM;
}

int berth_exception_open(struct berth_exception *exception, const struct berth_ports *ports, uint32_t workers,
			 struct rte_mempool *pool, const char *bpf_dir)
{
	*exception = (struct berth_exception){.ports = ports, .pool = pool, .workers = workers};
	for (uint32_t i = 0; i < BERTH_MAX_PORTS; i++)
		exception->tap[i] = -1;
	exception->doorbell.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	int error = exception->doorbell.fd < 0 ? -errno : 0;
	for (uint32_t i = 0; !error && i < workers; i++) {
		exception->pass[i] = make_ring("pass", i);
		error = exception->pass[i] ? 0 : -ENOMEM;
	}
	for (uint32_t i = 0; !error && i < ports->n; i++)
		error = open_tap(exception, i, bpf_dir);
	if (error)
		berth_exception_close(exception);
	return error;
}

void berth_exception_close(struct berth_exception *exception)
{
	for (uint32_t i = 0; i < BERTH_MAX_PORTS; i++) {
		/* A TAP ends with its descriptor, and what is attached to it with the TAP. */
		if (exception->tap[i] >= 0)
			close(exception->tap[i]);
		exception->tap[i] = -1;
		rte_ring_free(exception->host[i]);
		exception->host[i] = NULL;
	}
	for (uint32_t i = 0; i < exception->workers; i++) {
		rte_ring_free(exception->pass[i]);
		exception->pass[i] = NULL;
	}
	if (exception->doorbell.fd >= 0)
		close(exception->doorbell.fd);
	exception->doorbell.fd = -1;
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

/* What one worker passed. Returns how many packets moved. */
static uint32_t to_kernel(struct berth_exception *exception, struct rte_ring *ring)
{
	struct rte_mbuf *mbufs[BURST];
	uint32_t n = rte_ring_sc_dequeue_burst(ring, (void **)mbufs, BURST, NULL);
	for (uint32_t i = 0; i < n; i++) {
		if (!write_packet(exception->tap[mbufs[i]->port], mbufs[i]))
			exception->lost++;
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

/* What the kernel sends through port `i`. Where the worker does not keep up, packets wait in the TAP's own
 * queue, which the kernel bounds and counts. */
static uint32_t from_kernel(struct berth_exception *exception, uint32_t i)
{
	uint32_t n = 0;
	while (n < BURST && !rte_ring_full(exception->host[i])) {
		struct rte_mbuf *mbuf = rte_pktmbuf_alloc(exception->pool);
		if (!mbuf)
			break;
		if (!read_packet(exception->tap[i], mbuf)) {
			rte_pktmbuf_free(mbuf);
			break;
		}
		rte_ring_sp_enqueue(exception->host[i], mbuf);
		n++;
	}
	return n;
}

static uint32_t move_all(struct berth_exception *exception)
{
	uint32_t moved = 0;
	for (uint32_t i = 0; i < exception->workers; i++)
		moved += to_kernel(exception, exception->pass[i]);
	for (uint32_t i = 0; i < exception->ports->n; i++) {
		if (exception->host[i])
			moved += from_kernel(exception, i);
	}
	return moved;
}

/* Sleeps, but no longer than until the kernel sends something or a worker rings. */
static void wait_for_any(const struct berth_exception *exception, uint32_t microseconds)
{
	struct pollfd fds[BERTH_MAX_PORTS + 1] = {{.fd = exception->doorbell.fd, .events = POLLIN}};
	nfds_t n = 1;
	for (uint32_t i = 0; i < exception->ports->n; i++) {
		if (exception->host[i])
			fds[n++] = (struct pollfd){.fd = exception->tap[i], .events = POLLIN};
	}
	const struct timespec timeout = {
		.tv_sec = microseconds / 1000000,
		.tv_nsec = (long)(microseconds % 1000000) * 1000,
	};
	ppoll(fds, n, &timeout, NULL);
}

/* The last look for work comes after it was said that somebody waits. */
static void wait_for_ring(struct berth_exception *exception)
{
	berth_doorbell_wait(&exception->doorbell);
	if (!move_all(exception))
		wait_for_any(exception, LONG_SLEEP_US);
	berth_doorbell_answer(&exception->doorbell);
}

static void say_losses(struct berth_exception *exception)
{
	uint64_t now = rte_get_tsc_cycles();
	if (exception->lost == exception->lost_said || now < exception->next_word)
		return;
	berth_log("%llu packets for the kernel were lost: their TAP device did not take them; is it up?",
		  (unsigned long long)(exception->lost - exception->lost_said));
	exception->lost_said = exception->lost;
	exception->next_word = now + LOG_SECONDS * rte_get_tsc_hz();
}

void berth_exception_run(struct berth_exception *exception, const bool *stop)
{
	uint32_t sleep_us = 0;
	while (!BERTH_LOAD(stop)) {
		if (move_all(exception)) {
			sleep_us = 0;
			continue;
		}
		say_losses(exception);
		if (sleep_us == MAX_SLEEP_US) {
			wait_for_ring(exception);
			continue;
		}
		sleep_us = sleep_us ? RTE_MIN(sleep_us * 2, (uint32_t)MAX_SLEEP_US) : MIN_SLEEP_US;
		wait_for_any(exception, sleep_us);
	}
}
