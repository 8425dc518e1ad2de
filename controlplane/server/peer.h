/* SPDX-License-Identifier: BSD-3-Clause */
/* The process at the other end of a Unix socket, by the kernel's word. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum {
	BERTH_SERVER_GROUPS = 64, /* of a process; it has no access by others */
};

/* The process that has sent a request, as SO_PEERCRED and SO_PEERGROUPS of its socket say: its values when it
 * connected. */
struct berth_server_peer {
	uid_t uid; /* (uid_t)-1: unknown */
	gid_t gid;
	pid_t pid;			   /* 0: unknown */
	gid_t groups[BERTH_SERVER_GROUPS]; /* the supplementary ones */
	size_t n_groups;
};

extern const struct berth_server_peer berth_server_unknown_peer;

/* Of a connected socket. */
struct berth_server_peer berth_server_peer_of(int fd);
/* Root, and the user of berthd. */
bool berth_server_peer_is_privileged(const struct berth_server_peer *peer);
