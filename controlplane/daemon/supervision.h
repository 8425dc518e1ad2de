/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the service manager (systemd) is told: READY=1 when a packet that comes in now is answered as configured,
 * STATUS= with what that waits for, and WATCHDOG=1 as long as a restart of berthd would heal nothing.
 */
#pragma once

struct berth_daemon;

/* Nothing happens if no service manager wants to be told. -ENOMEM. */
int berth_supervision_open(struct berth_daemon *daemon);
void berth_supervision_close(struct berth_daemon *daemon);
