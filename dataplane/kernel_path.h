/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The slow path to the kernel (DPDK: exception path): packets that pass go to the kernel, and packets that the
 * kernel sends go to a port, where the kernel has no interface of its own.
 *
 *   worker --ring--> main lcore --write(2)--> TAP --[BPF inject]--> kernel interface    AF_XDP port
 *   worker --ring--> main lcore --write(2)--> TAP, the interface of the kernel          PCI and other ports
 *   worker 0 <--ring-- main lcore <--read(2)-- TAP                                      PCI and other ports
 *
 * A port on af_packet has neither: its kernel interface receives every packet, also those that berth forwards. Use
 * such ports for tests only.
 *
 * Main lcore. Workers use only the rings, each its own. The main lcore sleeps when no packet moves: up to 0.5 ms,
 * the most that the path adds to the latency of a packet. After some such sleeps it waits for the doorbell of a
 * worker or for a packet from the kernel.
 */
#pragma once

#include <rte_mempool.h>
#include <rte_ring.h>

#include "dataplane/doorbell.h"
#include "dataplane/ports.h"

enum {
	BERTH_MAX_SEGMENTS = 33, /* buffers of a packet of BERTH_MAX_MTU bytes, with its link header */
};

struct berth_kernel_path {
	const struct berth_ports *ports;
	struct rte_mempool *pool;
	uint32_t workers;
	struct rte_ring *to_kernel[BERTH_MAX_WORKERS];	    /* from worker i; mbuf->port is the port number */
	struct berth_doorbell doorbell;			    /* workers ring it after they fill `to_kernel` */
	struct rte_ring *from_kernel[BERTH_MAX_PORTS];	    /* to worker 0, for port i; NULL: none */
	char tap_name[BERTH_MAX_PORTS][BERTH_IFNAME_BYTES]; /* "": none */
	int tap[BERTH_MAX_PORTS];			    /* descriptor; negative: none */
	uint64_t tap_tried_cycles[BERTH_MAX_PORTS];	    /* when it was last made again */
	/* Buffers for the next packet from the TAP of port i: as many as the port's MTU needs, each NULL or
	 * allocated. */
	struct rte_mbuf *next[BERTH_MAX_PORTS][BERTH_MAX_SEGMENTS];
	uint32_t segments[BERTH_MAX_PORTS];
	uint64_t lost;			    /* packets that a TAP did not accept */
	uint64_t logged_lost;		    /* value of `lost` in the latest log line */
	uint64_t too_long[BERTH_MAX_PORTS]; /* packets of the kernel above the port's MTU */
	uint64_t logged_too_long[BERTH_MAX_PORTS];
	uint64_t logged_cycles; /* time of the last log line */
};

/* Creates the rings and TAP devices. `bpf_dir` as in berth_inject_attach. 0 or -errno: the reason is logged, and
 * everything is closed. */
int berth_kernel_path_open(struct berth_kernel_path *path, const struct berth_ports *ports, uint32_t workers,
			   struct rte_mempool *pool, const char *bpf_dir);
/* Moves packets until `*stop` is set. Calls `on_turn(arg)` between them, at least every 100 ms. */
void berth_kernel_path_run(struct berth_kernel_path *path, const bool *stop, void (*on_turn)(void *arg), void *arg);
/* Makes the TAP device of port `i` again if it was removed or renamed; after a failure at most once a second. True:
 * it is a new one. */
bool berth_kernel_path_keep_tap(struct berth_kernel_path *path, uint32_t i);
void berth_kernel_path_close(struct berth_kernel_path *path);
