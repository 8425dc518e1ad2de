/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ICMP probe: succeeds if an echo request is answered. It uses a ping socket if net.ipv4.ping_group_range permits,
 * which receives its own answers only; else a raw socket (CAP_NET_RAW), which receives all ICMP messages of the
 * server. In both cases an answer must contain the random bytes of its request.
 */
#include "controlplane/health/icmp.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/health/probe_io.h"
#include "controlplane/health/types.h"
#include "controlplane/util/address.h"
#include "dataplane/core/checksum.h"

enum {
	PACKET_BYTES = 512, /* longer than any answer; the rest is truncated */
	MIN_IP_BYTES = 20,
};

/* ICMP and ICMPv6 differ in the type only; for ICMPv6 the kernel fills in the checksum. */
struct echo {
	uint8_t type;
	uint8_t code;
	uint16_t checksum;
	uint16_t id; /* on a ping socket the kernel sets it */
	uint16_t sequence;
	uint64_t cookie;
};
BERTH_ASSERT_SIZE(struct echo, 16);

/* Internet checksum (RFC 1071). */
static uint16_t checksum(const struct echo *echo)
{
	uint16_t words[sizeof(*echo) / 2];
	uint32_t sum = 0;

	memcpy(words, echo, sizeof(words));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		sum += words[i];
	return (uint16_t)~berth_checksum_fold(sum);
}

/* Lets only echo replies through to a raw socket. */
static int set_filter(int fd, bool is4)
{
	struct icmp6_filter only6;
	const uint32_t only4 = ~(1u << ICMP_ECHOREPLY);

	ICMP6_FILTER_SETBLOCKALL(&only6);
	ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &only6);
	return is4 ? setsockopt(fd, SOL_RAW, 1 /* ICMP_FILTER of <linux/icmp.h> */, &only4, sizeof(only4))
		   : setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &only6, sizeof(only6));
}

int berth_icmp_socket(bool is4, bool *is_raw)
{
	const int family = is4 ? AF_INET : AF_INET6, protocol = is4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	const int flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
	int fd = socket(family, SOCK_DGRAM | flags, protocol);

	*is_raw = false;
	if (fd >= 0 || (errno != EACCES && errno != EPERM && errno != EPROTONOSUPPORT))
		return fd;
	*is_raw = true;
	fd = socket(family, SOCK_RAW | flags, protocol);
	if (fd < 0 || !set_filter(fd, is4))
		return fd;
	close(fd);
	errno = ENOMEM;
	return -1;
}

/* Tests if a packet answers this probe. */
static bool is_answer(const struct berth_probe *probe, const uint8_t *packet, size_t bytes)
{
	bool is4 = berth_addr_is4(&probe->key.address);
	struct echo echo;
	size_t header = 0;

	/* Only raw IPv4 sockets deliver the IP header. */
	if (is4 && probe->is_raw)
		header = bytes ? (size_t)(packet[0] & 0xf) * 4 : MIN_IP_BYTES;
	if (bytes < header + sizeof(echo))
		return false;
	memcpy(&echo, packet + header, sizeof(echo));
	return echo.type == (is4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY) && echo.code == 0 &&
	       echo.sequence == (uint16_t)probe->cookie && echo.cookie == probe->cookie;
}

static void on_readable(evutil_socket_t fd, short events, void *arg)
{
	(void)events;
	struct berth_probe *probe = arg;
	enum berth_probe_result result = BERTH_PROBE_SUCCESS;
	uint8_t packet[PACKET_BYTES];

	ssize_t n = recv(fd, packet, sizeof(packet), 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n >= 0 && !is_answer(probe, packet, (size_t)n))
		return;
	if (n < 0)
		result = berth_probe_fail(probe, errno);
	else
		berth_probe_set_reason(probe, "answered in %.1f ms", berth_probe_elapsed_ms(probe));
	berth_probe_close(probe);
	berth_probe_done(probe, result);
}

static enum berth_probe_result start(struct berth_probe *probe)
{
	bool is4 = berth_addr_is4(&probe->key.address);
	struct sockaddr_storage to;
	socklen_t length = berth_address_to_socket(&probe->key.address, 0, &to);

	if (getrandom(&probe->cookie, sizeof(probe->cookie), 0) != sizeof(probe->cookie))
		return berth_probe_fail(probe, EAGAIN);
	int fd = probe->given_fd;
	probe->given_fd = -1;
	if (fd < 0)
		fd = berth_icmp_socket(is4, &probe->is_raw);
	if (fd < 0)
		return berth_probe_fail(probe, errno);
	struct echo echo = {
		.type = is4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST,
		.id = (uint16_t)(probe->cookie >> 16),
		.sequence = (uint16_t)probe->cookie,
		.cookie = probe->cookie,
	};
	echo.checksum = is4 ? checksum(&echo) : 0;
	/* A connected socket receives only this server's packets. */
	if (connect(fd, (struct sockaddr *)&to, length) < 0 || send(fd, &echo, sizeof(echo), 0) < 0) {
		int error = errno;
		close(fd);
		return berth_probe_fail(probe, error);
	}
	return berth_probe_wait(probe, fd, EV_READ | EV_PERSIST, on_readable);
}

const struct berth_probe_ops berth_probe_icmp = {.start = start, .cancel = berth_probe_close};
