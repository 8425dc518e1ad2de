/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Receives ICMP errors about packets that are larger than a link. The engines pass them to the kernel, and packet
 * sockets get them there: berth's outer source addresses need not be addresses of this host. Runs in berthd's event
 * loop.
 */
#pragma once

#include "controlplane/model/path_mtu.h"
#include "controlplane/util/error.h"

struct event_base;
struct berth_path_mtu_listener;

typedef void berth_path_mtu_fn(void *arg, const struct berth_too_big *report);

/* NULL with the reason in `error`. */
struct berth_path_mtu_listener *berth_path_mtu_listen(struct event_base *base, berth_path_mtu_fn *fn, void *arg,
						      char error[BERTH_ERROR_BYTES]);
void berth_path_mtu_listener_free(struct berth_path_mtu_listener *listener);
