/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the kernel's routes and neighbours say, in the daemon's model: the next hops of backends, and the routes
 * by which mode nat answers clients; and this host's own addresses. A part of daemon.c.
 */
#pragma once

#include <stdbool.h>

struct berth_daemon;

/* Has the ways followed that the model needs. -ENOMEM. */
int berth_network_follow(struct berth_daemon *daemon);
/* Brings ports, next hops, routes and own addresses up to date. Whether the model changed. */
bool berth_network_update(struct berth_daemon *daemon);
