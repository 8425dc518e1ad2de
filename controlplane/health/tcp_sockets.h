/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sockets of TCP probes. One whose probe succeeded is disconnected and used again for the next probe of the same
 * server: to create, watch and remove a socket takes as long as half of a connection. It is never used for another
 * server, because the kernel counts on from the last sequence number, which the server of the former connection
 * knows.
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
