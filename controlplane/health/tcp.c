/* SPDX-License-Identifier: BSD-3-Clause */
/* The TCP probe: the server accepts a connection. */
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/address.h"
#include "controlplane/health/probe.h"

/* Errors that are this machine's and say nothing of the server. */
static bool is_ours(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM || error == EAGAIN;
}

static enum berth_probe_result judge(struct berth_probe *probe, int error)
{
	char *why = probe->why;

	if (error == 0) {
		double ms = (double)(berth_probe_now_us() - probe->started_us) / 1000;
		snprintf(why, sizeof(probe->why), "connected in %.1f ms", ms);
		return BERTH_PROBE_SUCCESS;
	}
	snprintf(why, sizeof(probe->why), "%s", strerror(error));
	why[0] = (char)tolower((unsigned char)why[0]);
	return is_ours(error) ? BERTH_PROBE_UNSURE : BERTH_PROBE_FAILURE;
}

static void on_writable(evutil_socket_t fd, short events, void *arg)
{
	(void)events;
	struct berth_probe *probe = arg;
	int error = 0;
	socklen_t length = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		error = errno;
	close(fd);
	berth_probe_done(probe, judge(probe, error));
}

static enum berth_probe_result start(struct berth_probe *probe)
{
	/* Closing resets the connection, so that no TIME_WAIT is left behind, on either side. */
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};
	struct sockaddr_storage to;
	socklen_t length = berth_address_to_socket(&probe->key.address, (uint16_t)probe->key.port, &to);
	int error = 0;

	int fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (fd < 0)
		return judge(probe, errno);
	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) == 0 &&
	    connect(fd, (struct sockaddr *)&to, length) == 0)
		goto out;
	error = errno;
	if (error != EINPROGRESS)
		goto out;
	error = ENOMEM;
	if (event_assign(&probe->io, probe->base, fd, EV_WRITE, on_writable, probe) < 0 ||
	    event_add(&probe->io, NULL) < 0)
		goto out;
	probe->fd = fd;
	return BERTH_PROBE_UNDER_WAY;
out:
	close(fd);
	return judge(probe, error);
}

static void cancel(struct berth_probe *probe)
{
	event_del(&probe->io);
	close(probe->fd);
}

const struct berth_probe_ops berth_probe_tcp = {.start = start, .cancel = cancel};
