/* SPDX-License-Identifier: BSD-3-Clause */
/* responder INTERFACE BACKEND ROUTER-MAC [NODE-MAC...]: answers the questions of generator.c that reach a backend,
 * below its kernel, which must drop them. A node is known by the address from which it sends. */
#include <net/ethernet.h>
#include <netinet/ether.h>
#include <poll.h>
#include <sys/ioctl.h>

#include "tests/faults/burst.h"

enum {
	NODES_MAX = 8,
};

static struct {
	uint8_t backend;
	uint8_t own[ETH_ALEN];
	uint8_t router[ETH_ALEN];
	uint8_t nodes[NODES_MAX][ETH_ALEN];
	int n_nodes;
} self;

static void read_address(const char *text, uint8_t *address)
{
	struct ether_addr read;
	if (!ether_aton_r(text, &read)) {
		fprintf(stderr, "responder: not an Ethernet address: %s\n", text);
		exit(2);
	}
	memcpy(address, &read, ETH_ALEN);
}

static void read_own_address(int fd, const char *interface)
{
	struct ifreq request = {0};
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	if (ioctl(fd, SIOCGIFHWADDR, &request))
		question_die("SIOCGIFHWADDR");
	memcpy(self.own, request.ifr_hwaddr.sa_data, ETH_ALEN);
}

static uint8_t node_of(const uint8_t *address)
{
	for (int i = 0; i < self.n_nodes; i++)
		if (!memcmp(self.nodes[i], address, ETH_ALEN))
			return (uint8_t)(i + 1);
	return 0;
}

static void swap(uint8_t *at, uint32_t bytes)
{
	uint8_t first[16];
	memcpy(first, at, bytes);
	memcpy(at, at + bytes, bytes);
	memcpy(at + bytes, first, bytes);
}

/* Turns a question into its answer. */
static void answer(struct question_frame *frame)
{
	frame->question->backend = self.backend;
	frame->question->node = node_of(frame->link->h_source);
	memcpy(frame->link->h_source, self.own, ETH_ALEN);
	memcpy(frame->link->h_dest, self.router, ETH_ALEN);
	frame->ip[frame->is6 ? 7 : 8] = 64; /* hop limit */
	swap(frame->ip + (frame->is6 ? 8 : 12), frame->is6 ? 16 : 4);
	swap(frame->ports, 2);
	if (frame->protocol == IPPROTO_TCP)
		frame->ports[13] = TH_ACK | (frame->ports[13] & TH_SYN);
	question_finish(frame);
}

static void answer_all(struct burst *in, struct burst *out)
{
	int n;
	while ((n = burst_receive(in)) > 0) {
		for (int i = 0; i < n; i++) {
			struct question_frame frame;
			if (!question_parse(in->frames[i], in->messages[i].msg_len, &frame) ||
			    memcmp(frame.link->h_dest, self.own, ETH_ALEN) != 0)
				continue;
			answer(&frame);
			memcpy(burst_next(out), in->frames[i], frame.length);
			burst_push(out, frame.length);
		}
		burst_flush(out);
	}
}

int main(int argc, char **argv)
{
	static struct burst in, out;
	if (argc < 4 || argc > 4 + NODES_MAX) {
		fprintf(stderr, "usage: responder INTERFACE BACKEND ROUTER-MAC [NODE-MAC...]\n");
		return 2;
	}
	int fd = question_socket(argv[1]);
	read_own_address(fd, argv[1]);
	self.backend = (uint8_t)atoi(argv[2]);
	read_address(argv[3], self.router);
	for (int i = 4; i < argc; i++)
		read_address(argv[i], self.nodes[self.n_nodes++]);
	burst_init(&in, fd);
	burst_init(&out, fd);
	printf("ready\n");
	fflush(stdout);
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	while (poll(&wait, 1, -1) >= 0)
		answer_all(&in, &out);
	return 1;
}
