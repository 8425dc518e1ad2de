// SPDX-License-Identifier: BSD-3-Clause
/*
 * connections PORT NUMBER: opens and resets so many TCP connections, as berth-helper does for a check but with
 * nothing else, each to another address from 198.18.0.1 on. Prints the processor time of one in microseconds. Of
 * connections over loopback it holds most of the server's part, too, as that of berth-helper does.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	PENDING = 64, /* at a time */
	ADDRESSES = 20000,
	FIRST_ADDRESS = 0xc6120001,
};

static double processor_us(void)
{
	struct rusage used;
	getrusage(RUSAGE_SELF, &used);
	return 1e6 * (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
	       (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void start(int epoll, uint16_t port, uint32_t i)
{
	const int seconds = 1;
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};
	const struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(FIRST_ADDRESS + i % ADDRESSES),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	struct epoll_event event = {.events = EPOLLOUT, .data.fd = fd};
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) ||
	    setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds)))
		fail("connections: socket");
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) && errno != EINPROGRESS)
		fail("connections: connect");
	epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static void end(int epoll, int fd)
{
	int error = 0;
	socklen_t length = sizeof(error);
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
	epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
	close(fd);
}

int main(int argc, char **argv)
{
	struct epoll_event events[PENDING];
	const uint16_t port = argc == 3 ? (uint16_t)atoi(argv[1]) : 0;
	const uint32_t n = argc == 3 ? (uint32_t)atoi(argv[2]) : 0;
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!port || !n || epoll < 0)
		return 1;
	const double begin = processor_us();
	for (uint32_t started = 0, ended = 0; ended < n;) {
		for (; started < n && started - ended < PENDING; started++)
			start(epoll, port, started);
		const int ready = epoll_wait(epoll, events, PENDING, -1);
		for (int i = 0; i < ready; i++, ended++)
			end(epoll, events[i].data.fd);
	}
	printf("%.2f\n", (processor_us() - begin) / n);
	return 0;
}
