// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/server/peer.h"

#include <sys/socket.h>
#include <unistd.h>

const struct berth_server_peer berth_server_unknown_peer = {.uid = (uid_t)-1, .gid = (gid_t)-1};

struct berth_server_peer berth_server_peer_of(int fd)
{
	struct ucred process;
	socklen_t length = sizeof(process);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &process, &length) != 0)
		return berth_server_unknown_peer;
	struct berth_server_peer peer = {.uid = process.uid, .gid = process.gid, .pid = process.pid};
	length = sizeof(peer.groups);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, peer.groups, &length) == 0)
		peer.n_groups = length / sizeof(peer.groups[0]);
	return peer;
}

bool berth_server_peer_is_privileged(const struct berth_server_peer *peer)
{
	return peer->uid == 0 || peer->uid == geteuid();
}
