/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the line of an agent: connects, and reads to the first line end or the end of the connection. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/health/probe_io.h"
#include "controlplane/health/types.h"
#include "controlplane/util/address.h"

_Static_assert((int)BERTH_AGENT_REASON_BYTES == (int)BERTH_PROBE_REASON_BYTES, "one size of reasons");

struct line {
	size_t length;
	char bytes[BERTH_AGENT_LINE_BYTES];
};

static void close_line(struct berth_probe *probe)
{
	berth_probe_close(probe);
	free(probe->own);
	probe->own = NULL;
}

static enum berth_probe_result read_words(struct berth_probe *probe, size_t length)
{
	const struct line *line = probe->own;
	probe->is_refused = !berth_agent_read(&probe->agent, line->bytes, length, probe->reason);
	return probe->is_refused ? BERTH_PROBE_FAILURE : BERTH_PROBE_SUCCESS;
}

/* PENDING while the line has not ended. `n`: what recv(2) returned. */
static enum berth_probe_result take(struct berth_probe *probe, ssize_t n)
{
	struct line *line = probe->own;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? BERTH_PROBE_PENDING : berth_probe_fail(probe, errno);
	if (n == 0 && line->length == 0) {
		berth_probe_set_reason(probe, "closed without a line");
		return BERTH_PROBE_FAILURE;
	}
	if (n == 0)
		return read_words(probe, line->length);
	line->length += (size_t)n;
	for (size_t i = 0; i < line->length; i++)
		if (line->bytes[i] == '\n' || line->bytes[i] == '\r')
			return read_words(probe, i);
	return line->length == sizeof(line->bytes) ? read_words(probe, line->length) : BERTH_PROBE_PENDING;
}

/* One read a call, so that no agent delays other checks. */
static void on_readable(evutil_socket_t fd, short events, void *arg)
{
	(void)events;
	struct berth_probe *probe = arg;
	struct line *line = probe->own;
	probe->timeout_reason = "no whole line";
	const ssize_t n = recv(fd, line->bytes + line->length, sizeof(line->bytes) - line->length, 0);
	enum berth_probe_result result = take(probe, n);
	if (result == BERTH_PROBE_PENDING)
		return;
	close_line(probe);
	berth_probe_done(probe, result);
}

/* False with errno. */
static bool connect_to(const struct berth_probe *probe, int fd)
{
	/* Closing resets the connection, so that neither side keeps it in TIME_WAIT. */
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};
	struct sockaddr_storage to;
	socklen_t length = berth_address_to_socket(&probe->key.address, (uint16_t)probe->key.port, &to);
	return setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) == 0 &&
	       (connect(fd, (struct sockaddr *)&to, length) == 0 || errno == EINPROGRESS);
}

static enum berth_probe_result start(struct berth_probe *probe)
{
	const int family = berth_addr_is4(&probe->key.address) ? AF_INET : AF_INET6;
	int fd = berth_probe_socket(probe, family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (fd < 0)
		return berth_probe_fail(probe, errno);
	struct line *line = calloc(1, sizeof(*line));
	if (!line || !connect_to(probe, fd)) {
		const int error = line ? errno : ENOMEM;
		free(line);
		close(fd);
		return berth_probe_fail(probe, error);
	}
	probe->own = line;
	enum berth_probe_result result = berth_probe_wait(probe, fd, EV_READ | EV_PERSIST, on_readable);
	if (result != BERTH_PROBE_PENDING) {
		free(line);
		probe->own = NULL;
	}
	return result;
}

const struct berth_probe_ops berth_probe_agent = {.start = start, .cancel = close_line};
