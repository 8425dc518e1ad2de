/* SPDX-License-Identifier: BSD-3-Clause */
/* TCP probe: succeeds if the server accepts a connection. */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/health/probe_io.h"
#include "controlplane/health/types.h"
#include "controlplane/util/address.h"

static enum berth_probe_result finish(struct berth_probe *probe, int error)
{
	if (error)
		return berth_probe_fail(probe, error);
	berth_probe_set_reason(probe, "connected in %.1f ms", berth_probe_elapsed_ms(probe));
	return BERTH_PROBE_SUCCESS;
}

static void on_writable(evutil_socket_t fd, short events, void *arg)
{
	(void)events;
	struct berth_probe *probe = arg;
	int error = 0;
	socklen_t length = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		error = errno;
	berth_probe_close(probe);
	berth_probe_done(probe, finish(probe, error));
}

static enum berth_probe_result start(struct berth_probe *probe)
{
	/* Closing resets the connection, so that neither side keeps it in TIME_WAIT. */
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};
	struct sockaddr_storage to;
	socklen_t length = berth_address_to_socket(&probe->key.address, (uint16_t)probe->key.port, &to);
	int error = 0;

	int fd = berth_probe_socket(probe, to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (fd < 0)
		return berth_probe_fail(probe, errno);
	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) < 0 ||
	    connect(fd, (struct sockaddr *)&to, length) < 0)
		error = errno;
	if (error == EINPROGRESS)
		return berth_probe_wait(probe, fd, EV_WRITE, on_writable);
	close(fd);
	return finish(probe, error);
}

const struct berth_probe_ops berth_probe_tcp = {.start = start, .cancel = berth_probe_close};
