/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Probes with `via: tunnel`: they take the path of clients' packets. A probe goes to the service's address; the
 * code of the engines (dataplane/core) rewrites or encapsulates it for one backend.
 *
 *     probe's socket -> kernel in the namespace -> TUN device -> emit -> packet socket -> backend
 *     probe's socket <- kernel in the namespace <- TUN device <--------- packet socket <- backend
 *
 * The kernel's TCP and UDP run in a network namespace of berthd (netns.h), in which the service's address is
 * remote. The receiving packet socket gets a copy of each answer. The host's own kernel also receives the answer
 * and has no connection for it. The host must therefore own the service's address: then its kernel drops the
 * answer, or resets a connection to itself. Without the address the reset would go to the backend and end the
 * probe.
 */
#pragma once

#include "controlplane/health/next_hop.h"
#include "controlplane/health/probe.h"

struct berth_tunnel;

/* NULL: failed; `reason` is set. */
struct berth_tunnel *berth_tunnel_new(struct event_base *base, const struct berth_health_next_hops *next_hops,
				      char reason[BERTH_PROBE_REASON_BYTES]);
/* All probes must have ended. */
void berth_tunnel_free(struct berth_tunnel *tunnel);

/* Prepares a probe before its start. PENDING: the probe may start and opens its sockets by berth_tunnel_socket.
 * Other results: the probe ends with this result. */
enum berth_probe_result berth_tunnel_begin(struct berth_tunnel *tunnel, struct berth_probe *probe);
/* No effect on a probe that does not use the tunnel. */
void berth_tunnel_end(struct berth_probe *probe);
/* Opens a socket in the namespace, bound to the probe's source address and port. -1 with errno. */
int berth_tunnel_socket(const struct berth_probe *probe, int family, int type, int protocol);
