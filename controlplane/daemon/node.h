/* SPDX-License-Identifier: BSD-3-Clause */
/* Follows whether this node answers packets, and whether its services are ready: state.node, is_health_known. */
#pragma once

#include <stdbool.h>

enum berth_forwarding {
	BERTH_FORWARDS,	     /* a packet that comes in now is answered as configured */
	BERTH_FORWARD_WAITS, /* for something that a restart of berthd does not bring */
	BERTH_FORWARD_FAULT,
};

struct berth_daemon;

/* -ENOMEM. */
int berth_node_open(struct berth_daemon *daemon);
void berth_node_close(struct berth_daemon *daemon);
/* After the first generation is published, and the engine started. */
int berth_node_start(struct berth_daemon *daemon);
/* The model has another configuration. */
void berth_node_configure(struct berth_daemon *daemon);
/* An operator drains the node, or ends that. Kept over restarts. */
void berth_node_drain(struct berth_daemon *daemon, bool drain);
/* Ends the loop; with `stop` the engine ends with it, else forwarding goes on. */
void berth_daemon_exit(struct berth_daemon *daemon, bool stop);
/* Withdraws what is announced, then stops the engine and ends berthd, after a wait if routes stood. */
void berth_node_stop(struct berth_daemon *daemon);
/* Now; also called by a timer. */
void berth_node_follow(struct berth_daemon *daemon);

/* As it was found by the last follow; `status`: one line that says why. */
enum berth_forwarding berth_node_forwarding(const struct berth_daemon *daemon, const char **status);
