/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TCP probe: succeeds if the server answers a SYN with a SYN-ACK. The answer to that is a RST at once, so that the
 * server makes no connection and its application is not disturbed.
 */
#include <errno.h>
#include <sys/socket.h>

#include "controlplane/health/tcp_sockets.h"
#include "controlplane/health/types.h"
#include "controlplane/util/address.h"

static enum berth_probe_result finish(struct berth_probe *probe, int error)
{
	berth_tcp_sockets_release(probe->shared, probe, !error);
	if (error)
		return berth_probe_fail(probe, error);
	const uint64_t tenths = (berth_probe_now_us() - probe->started_us + 50) / 100;
	berth_probe_set_reason(probe, "connected in %u.%u ms", (unsigned int)(tenths / 10),
			       (unsigned int)(tenths % 10));
	return BERTH_PROBE_SUCCESS;
}

static void on_ready(struct berth_probe *probe, int error)
{
	berth_probe_done(probe, finish(probe, error));
}

static void *open_sockets(struct event_base *base)
{
	return berth_tcp_sockets_new(base, on_ready);
}

static void close_sockets(void *shared)
{
	berth_tcp_sockets_free(shared);
}

static enum berth_probe_result start(struct berth_probe *probe)
{
	struct sockaddr_storage to;
	socklen_t length = berth_address_to_socket(&probe->key.address, (uint16_t)probe->key.port, &to);
	int error = berth_tcp_sockets_take(probe->shared, probe);
	if (error)
		return berth_probe_fail(probe, error);
	if (connect(probe->fd, (struct sockaddr *)&to, length) < 0)
		error = errno;
	return error == EINPROGRESS ? BERTH_PROBE_PENDING : finish(probe, error);
}

static void cancel(struct berth_probe *probe)
{
	berth_tcp_sockets_release(probe->shared, probe, false);
}

const struct berth_probe_ops berth_probe_tcp = {
	.open = open_sockets, .close = close_sockets, .start = start, .cancel = cancel};
