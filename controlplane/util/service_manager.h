/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The service manager that started this process, by systemd's protocol (sd_notify(3)): datagrams of VARIABLE=VALUE
 * lines to the socket that NOTIFY_SOCKET names. Main thread.
 */
#pragma once

#include <stdbool.h>

/* Whether there is one that wants to be told. */
bool berth_service_manager_exists(void);
/* Sends lines, separated by newlines. It never waits; 0 or -errno. */
int berth_service_manager_tell(const char *lines);
/* For a wait of the main thread, in which its loop does not run: to be called in each second of it. */
void berth_service_manager_feed_watchdog(void);
