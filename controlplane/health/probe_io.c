/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/health/probe_io.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/health/tunnel.h"

int berth_probe_socket(struct berth_probe *probe, int family, int type, int protocol)
{
	int given = probe->given_fd;
	probe->given_fd = -1;
	if (given >= 0)
		return given;
	return probe->flow ? berth_tunnel_socket(probe, family, type, protocol) : socket(family, type, protocol);
}

enum berth_probe_result berth_probe_wait(struct berth_probe *probe, int fd, short events, event_callback_fn fn)
{
	probe->fd = fd;
	if (event_assign(&probe->io, probe->base, fd, events, fn, probe) < 0 || event_add(&probe->io, NULL) < 0) {
		close(fd);
		return berth_probe_fail(probe, ENOMEM);
	}
	return BERTH_PROBE_PENDING;
}

void berth_probe_close(struct berth_probe *probe)
{
	event_del(&probe->io);
	close(probe->fd);
}
