// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/util/activation.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The kernel names the process that listens. */
static bool is_trusted(int fd)
{
	struct ucred peer;
	socklen_t bytes = sizeof(peer);
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 &&
	       (peer.uid == 0 || peer.uid == geteuid());
}

int berth_activation_connect(const char *run_dir, const char *program)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const int length = snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s.socket", run_dir, program);
	if (length >= (int)sizeof(address.sun_path))
		return -ENOENT;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	int err = connect(fd, (const struct sockaddr *)&address, sizeof(address)) ? -errno : 0;
	if (!err && !is_trusted(fd))
		err = -EPERM;
	if (!err)
		return fd;
	close(fd);
	return err;
}
