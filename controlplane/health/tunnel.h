/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Probes by the way that clients' packets take (`via: tunnel`): to the service's address, rewritten for one backend
 * by the very code that the engines run, and sent where they send.
 *
 * The kernel's own TCP and UDP make the packets, in a network namespace that is berthd's alone (room.c): there the
 * service's address is nobody's, and all routes lead to a TUN device. What comes out of it, emit.h rewrites and a
 * packet socket sends. What the backend answers comes in as any packet for this host; a packet socket takes a
 * copy, and the TUN device carries it in. This host's kernel, too, gets the answer, and knows nothing of it: so it
 * must have the service's address itself. Then it drops the answer, or resets what it takes to be its own
 * connection to itself; with another's address the reset would reach the backend and end the probe.
 */
#pragma once

#include "controlplane/health/health.h"
#include "controlplane/health/probe.h"

struct berth_tunnel;

/* NULL with the reason in `why`. */
struct berth_tunnel *berth_tunnel_new(struct event_base *base, const struct berth_health_ways *ways,
				      char why[BERTH_PROBE_WHY_BYTES]);
/* All probes must have ended. */
void berth_tunnel_free(struct berth_tunnel *tunnel);

/* Before a probe starts. UNDER_WAY: it may, and its sockets are the tunnel's until berth_tunnel_end. */
enum berth_probe_result berth_tunnel_begin(struct berth_tunnel *tunnel, struct berth_probe *probe);
void berth_tunnel_end(struct berth_probe *probe);
/* A socket of a probe that began, bound to its port. -1 with the reason in errno. */
int berth_tunnel_socket(const struct berth_probe *probe, int family, int type, int protocol);
