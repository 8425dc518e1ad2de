/* SPDX-License-Identifier: BSD-3-Clause */
/* UDP probe: succeeds if a datagram is answered, with the expected text if one is configured. */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/health/match.h"
#include "controlplane/health/probe_io.h"
#include "controlplane/health/types.h"
#include "controlplane/util/address.h"

enum {
	MAX_MISMATCHES = 64, /* answers without the expected text; then the probe fails */
	DATAGRAM_BYTES = 65536,
};

/* Returns PENDING while no answer has the expected text. */
static enum berth_probe_result evaluate(struct berth_probe *probe, ssize_t n, const uint8_t *datagram)
{
	const struct berth_health_config *check = probe->key.check;
	struct berth_match match;

	if (n < 0 && errno == ECONNREFUSED) {
		berth_probe_set_reason(probe, "port unreachable");
		return BERTH_PROBE_FAILURE;
	}
	if (n < 0)
		return errno == EAGAIN ? BERTH_PROBE_PENDING : berth_probe_fail(probe, errno);
	berth_match_init(&match, check->expect, check->expect_bytes);
	if (berth_match_feed(&match, datagram, (size_t)n)) {
		berth_probe_set_reason(probe, "answered in %.1f ms", berth_probe_elapsed_ms(probe));
		return BERTH_PROBE_SUCCESS;
	}
	probe->timeout_reason = "no answer with the expected text";
	if (++probe->mismatches < MAX_MISMATCHES)
		return BERTH_PROBE_PENDING;
	berth_probe_set_reason(probe, "%d answers without the expected text", MAX_MISMATCHES);
	return BERTH_PROBE_FAILURE;
}

/* Reads one datagram per call, so that a flood from one server does not delay other checks. */
static void on_readable(evutil_socket_t fd, short events, void *arg)
{
	(void)events;
	static uint8_t datagram[DATAGRAM_BYTES];
	struct berth_probe *probe = arg;

	enum berth_probe_result result = evaluate(probe, recv(fd, datagram, sizeof(datagram), 0), datagram);
	if (result == BERTH_PROBE_PENDING)
		return;
	berth_probe_close(probe);
	berth_probe_done(probe, result);
}

static enum berth_probe_result start(struct berth_probe *probe)
{
	const struct berth_health_config *check = probe->key.check;
	struct sockaddr_storage to;
	socklen_t length = berth_address_to_socket(&probe->key.address, (uint16_t)probe->key.port, &to);

	int fd = berth_probe_socket(probe, to.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
	if (fd < 0)
		return berth_probe_fail(probe, errno);
	probe->mismatches = 0;
	/* A connected socket receives only this server's datagrams and ICMP errors. */
	if (connect(fd, (struct sockaddr *)&to, length) < 0 || send(fd, check->send, check->send_bytes, 0) < 0) {
		int error = errno;
		close(fd);
		return berth_probe_fail(probe, error);
	}
	return berth_probe_wait(probe, fd, EV_READ | EV_PERSIST, on_readable);
}

const struct berth_probe_ops berth_probe_udp = {.start = start, .cancel = berth_probe_close};
