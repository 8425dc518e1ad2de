/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The exception path: packets that are not for berth go to the kernel, and where the kernel has no interface
 * of its own, what it sends comes back.
 *
 *   worker --ring--> main lcore --write(2)--> TAP --[BPF inject]--> kernel interface      AF_XDP port
 *   worker --ring--> main lcore --write(2)--> TAP, which is the kernel's interface        PCI port and others
 *   worker 0 <--ring-- main lcore <--read(2)-- TAP                                        likewise
 *
 * A port on af_packet has none: its kernel interface receives all packets itself, also those that berth
 * forwards, so such a port is for tests.
 *
 * All of this runs on the main lcore; workers touch only the rings, one of their own each. When nothing
 * moves the main lcore sleeps, half a millisecond at most, which is what the path adds to a packet's way in the
 * worst case. When nothing has moved for longer, it sleeps until a worker rings or the kernel sends something.
 */
#pragma once

#include <rte_mempool.h>
#include <rte_ring.h>

#include "dataplane/doorbell.h"
#include "dataplane/ports.h"

struct berth_exception {
	const struct berth_ports *ports;
	struct rte_mempool *pool;
	uint32_t workers;
	struct rte_ring *pass[BERTH_MAX_WORKERS];	    /* from worker i; mbuf->port is the port's number */
	struct berth_doorbell doorbell;			    /* rung by workers, for what they put into `pass` */
	struct rte_ring *host[BERTH_MAX_PORTS];		    /* to worker 0, for port i; NULL: nothing comes back */
	char tap_name[BERTH_MAX_PORTS][BERTH_IFNAME_BYTES]; /* "": none */
	int tap[BERTH_MAX_PORTS];			    /* descriptor, or -1 */
	uint64_t lost;					    /* packets that a TAP did not take */
	uint64_t lost_said;				    /* of them, how many the log knows of */
	uint64_t next_word;				    /* when it may hear of more, in cycles */
};

/* Makes the rings and the TAP devices. `bpf_dir` as of berth_inject_attach. 0 or -errno; the reason is logged,
 * and nothing is left. */
int berth_exception_open(struct berth_exception *exception, const struct berth_ports *ports, uint32_t workers,
			 struct rte_mempool *pool, const char *bpf_dir);
/* Moves packets until `*stop` is set (by a signal, say). */
void berth_exception_run(struct berth_exception *exception, const bool *stop);
void berth_exception_close(struct berth_exception *exception);
