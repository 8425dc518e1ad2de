// SPDX-License-Identifier: BSD-3-Clause
/*
 * ping INTERFACE COUNT MILLISECONDS: sends COUNT packets of one TCP flow by an interface, each after a pause, and
 * prints as JSON the microseconds until each came back from the engine at the other end of the cable. It polls for
 * them, so that the wake-up of the engine is measured and not its own.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/support/bench.h"
#include "tests/bench/support/rig.h"

enum {
	TIMEOUT_NS = 1000000000,
	SOURCE_AT = 6, /* offset of the source link address */
};

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static int open_interface(const char *name)
{
	const struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(name),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)))
		fail(name);
	return fd;
}

/* Runs on the first core: the worker has the last one (dataplane/eal.c). */
static void pin(void)
{
	cpu_set_t all, first;
	sched_getaffinity(0, sizeof(all), &all);
	CPU_ZERO(&first);
	for (size_t i = 0; i < CPU_SETSIZE && !CPU_COUNT(&first); i++)
		if (CPU_ISSET(i, &all))
			CPU_SET(i, &first);
	sched_setaffinity(0, sizeof(first), &first);
}

/* Whether a received frame is from the engine, which writes the rig's source address. */
static bool is_answer(const uint8_t *frame, ssize_t bytes)
{
	static const uint8_t engine[] = {2, 0, 0, 0, 1, 1};
	return bytes > ETH_HLEN && !memcmp(frame + SOURCE_AT, engine, sizeof(engine));
}

static double round_trip_ns(int fd, const uint8_t *frame, uint32_t bytes)
{
	double start = bench_now_ns();
	if (send(fd, frame, bytes, 0) != (ssize_t)bytes)
		fail("send");
	for (;;) {
		uint8_t received[2048];
		ssize_t n = recv(fd, received, sizeof(received), MSG_DONTWAIT);
		double ns = bench_now_ns() - start;
		if (is_answer(received, n))
			return ns;
		if (n < 0 && errno != EAGAIN)
			fail("recv");
		if (ns > TIMEOUT_NS) {
			fprintf(stderr, "ping: a packet did not come back\n");
			exit(1);
		}
	}
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	const struct rig rig = {.options = {.mode = "l2", .flows = 1}};
	int fd = open_interface(argv[1]);
	int count = atoi(argv[2]);
	useconds_t pause = (useconds_t)atoi(argv[3]) * 1000;
	uint8_t frame[RIG_FRAME_BYTES];
	pin();
	uint32_t bytes = rig_frame(&rig, 0, BERTH_TCP_ACK, frame);

	putchar('[');
	for (int i = 0; i < count; i++) {
		usleep(pause);
		printf("%s%.2f", i ? ", " : "", round_trip_ns(fd, frame, bytes) / 1e3);
	}
	printf("]\n");
	return 0;
}
