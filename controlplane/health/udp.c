/* SPDX-License-Identifier: BSD-3-Clause */
/* The UDP probe: a datagram is answered, by anything or by one with a text in it. */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/util/address.h"
#include "controlplane/health/match.h"
#include "controlplane/health/probe.h"

enum {
	MOST_STRAYS = 64, /* answers without the text: a server that sends more of them is no better than silent */
	DATAGRAM_BYTES = 65536,
};

/* 0: nothing but other answers so far. */
static enum berth_probe_result judge(struct berth_probe *probe, ssize_t n, const uint8_t *datagram)
{
	const struct berth_health_config *check = probe->key.check;
	struct berth_match match;

	if (n < 0 && errno == ECONNREFUSED) {
		berth_probe_say(probe, "port unreachable");
		return BERTH_PROBE_FAILURE;
	}
	if (n < 0)
		return errno == EAGAIN ? BERTH_PROBE_UNDER_WAY : berth_probe_error(probe, errno);
	berth_match_init(&match, check->expect, check->expect_bytes);
	if (berth_match_feed(&match, datagram, (size_t)n)) {
		berth_probe_say(probe, "answered in %.1f ms", berth_probe_took_ms(probe));
		return BERTH_PROBE_SUCCESS;
	}
	probe->missing = "answers, but none with the text expected,";
	if (++probe->strays < MOST_STRAYS)
		return BERTH_PROBE_UNDER_WAY;
	berth_probe_say(probe, "%d answers, none with the text expected", MOST_STRAYS);
	return BERTH_PROBE_FAILURE;
}

/* One datagram a turn, so that one server's flood holds nobody up. */
static void on_readable(evutil_socket_t fd, short events, void *arg)
{
	(void)events;
	static uint8_t datagram[DATAGRAM_BYTES];
	struct berth_probe *probe = arg;

	enum berth_probe_result result = judge(probe, recv(fd, datagram, sizeof(datagram), 0), datagram);
	if (result == BERTH_PROBE_UNDER_WAY)
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
		return berth_probe_error(probe, errno);
	probe->strays = 0;
	/* Connected, so that no other's datagram comes, and the server's ICMP errors do. */
	if (connect(fd, (struct sockaddr *)&to, length) < 0 || send(fd, check->send, check->send_bytes, 0) < 0) {
		int error = errno;
		close(fd);
		return berth_probe_error(probe, error);
	}
	return berth_probe_wait(probe, fd, EV_READ | EV_PERSIST, on_readable);
}

const struct berth_probe_ops berth_probe_udp = {.start = start, .cancel = berth_probe_close};
