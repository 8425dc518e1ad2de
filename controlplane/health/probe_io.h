/* SPDX-License-Identifier: BSD-3-Clause */
/* Sockets of probes: opened directly or in the tunnel's network namespace, and watched on the event loop. */
#pragma once

#include "controlplane/health/probe.h"

/* The socket that was given to the probe, else socket(2); in the tunnel's network namespace if the probe uses the
 * tunnel. -1 with errno. */
int berth_probe_socket(struct berth_probe *probe, int family, int type, int protocol);
/* Calls `fn` when `fd` is ready for `events`. Returns PENDING, or closes `fd` and returns the error's result. */
enum berth_probe_result berth_probe_wait(struct berth_probe *probe, int fd, short events, event_callback_fn fn);
/* Stops waiting and closes `fd`. Serves as `cancel` for types without other state. */
void berth_probe_close(struct berth_probe *probe);
