/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Exceptions told to other nodes through the store, and received from them. The scan shows this node's; those of
 * others are put into the tables as they arrive. Nothing waits for the store but `ready`, and that for a limited
 * time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct berth_daemon;

/* With the store. Without memory exceptions are not exchanged, which is logged. */
void berth_cluster_exceptions_open(struct berth_daemon *daemon);
void berth_cluster_exceptions_close(struct berth_daemon *daemon);
/* A configuration is in force. */
void berth_cluster_exceptions_configure(struct berth_daemon *daemon);

/* After each slice of a scan. */
void berth_cluster_exceptions_scanned(struct berth_daemon *daemon, bool has_ended);
/* Whether rows have changed, so that the scan has to find exceptions soon. */
bool berth_cluster_exceptions_hurry(struct berth_daemon *daemon);
/* Follows whether `ready` waits for what others have told: state.node.is_synchronising. */
void berth_cluster_exceptions_follow(struct berth_daemon *daemon);
