/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sockets of TCP probes. After a probe that succeeded the socket is disconnected, and the next probe of the same
 * server uses it again: to create, watch and remove a socket takes as long as half of a connection. A probe of
 * another server does not: the kernel goes on from the last sequence number, and the server before knows that
 * number.
 */
#pragma once

#include "controlplane/health/probe.h"

struct berth_tcp_sockets;

/* `ready` is called when the socket of a probe is connected (0) or has failed (errno). NULL: no memory or
 * descriptors.
 */
struct berth_tcp_sockets *berth_tcp_sockets_new(struct event_base *base,
						void (*ready)(struct berth_probe *probe, int error));
/* No probe may have a socket. */
void berth_tcp_sockets_free(struct berth_tcp_sockets *sockets);
/* Gives the probe a socket, which is probe->fd. Returns 0 or an errno. */
int berth_tcp_sockets_take(struct berth_tcp_sockets *sockets, struct berth_probe *probe);
/* Ends the connection of the probe's socket. `is_good`: the probe succeeded. */
void berth_tcp_sockets_release(struct berth_tcp_sockets *sockets, struct berth_probe *probe, bool is_good);
