// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/doctor/run.h"

#include <errno.h>
#include <event2/event.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/util/clock.h"

enum {
	TICK_US = 5000,
	FRAMES_A_TICK = 256,
	ROUNDS = 4,	     /* a lost packet must not look like a fault */
	LAST_ROUND_MS = 700, /* what came in may wait behind traffic */
	LEAST_MS = 300,	     /* some findings are answers that nobody should give */
	MOST_MS = 5000,
	PACKETS_A_TURN = 256,
	RECEIVE_BYTES = 4 << 20,
};

struct berth_doctor_run {
	berth_doctor_done_fn *done;
	void *arg;
	struct berth_doctor_target *targets;
	struct berth_doctor_evidence *evidence;
	size_t *leader; /* by target: the first that has the same tunnel */
	size_t n;
	uint32_t id;
	int fd;
	struct event *readable;
	struct event *tick;
	unsigned int round;  /* rounds begun */
	size_t next;	     /* target and probe of this round that are sent next: target * PROBES + probe */
	uint64_t round_ms;   /* when this round began */
	uint64_t started_ms; /* CLOCK_MONOTONIC */
};

/* When each round begins. The first answers decide what else is worth asking. */
static const unsigned int rounds_ms[ROUNDS] = {0, 100, 400, 900};

/* ICMP and ICMPv6 (also behind a fragment header) and ARP, seen from the network header on. */
static const struct sock_filter filter[] = {
	BPF_STMT(BPF_LD | BPF_H | BPF_ABS, (__u32)(SKF_AD_OFF + SKF_AD_PROTOCOL)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETHERTYPE_ARP, 8, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETHERTYPE_IP, 0, 2),
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMP, 5, 4),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETHERTYPE_IPV6, 0, 3),
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 6),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMPV6, 2, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_FRAGMENT, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, 0),
	BPF_STMT(BPF_RET | BPF_K, UINT16_MAX),
};

/* Sees what comes in by any interface: the engine passes ICMP to the kernel, and AF_PACKET shows it before the
 * kernel drops it (an answer from the service's address, which berth's host may have itself). It receives nothing
 * before the filter is there. */
static int open_socket(void)
{
	const struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), (struct sock_filter *)filter};
	const struct sockaddr_ll all = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	const int bytes = RECEIVE_BYTES, yes = 1;
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof(yes)) ||
	    bind(fd, (const struct sockaddr *)&all, sizeof(all))) {
		int err = -errno;
		close(fd);
		return err;
	}
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	return fd;
}

static void learn(struct berth_doctor_run *run, const struct berth_doctor_seen *seen, const uint8_t mac[6])
{
	if (seen->word == BERTH_DOCTOR_NOTHING)
		return;
	if (seen->word == BERTH_DOCTOR_ANSWERED) {
		size_t t = seen->tag.target;
		if (seen->tag.run == run->id && t < run->n)
			berth_doctor_learn(&run->targets[t], &run->evidence[t], seen, mac);
		return;
	}
	/* An error does not quote enough of the probe to tell whose it was, and holds for all of its kind anyway.
	 */
	for (size_t t = 0; t < run->n; t++)
		berth_doctor_learn(&run->targets[t], &run->evidence[t], seen, mac);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	struct berth_doctor_run *run = arg;
	for (int i = 0; i < PACKETS_A_TURN; i++) {
		uint8_t packet[BERTH_DOCTOR_PACKET_BYTES];
		struct sockaddr_ll from = {0};
		socklen_t length = sizeof(from);
		ssize_t n = recvfrom(fd, packet, sizeof(packet), 0, (struct sockaddr *)&from, &length);
		if (n < 0)
			return;
		struct berth_doctor_seen seen = berth_doctor_read(ntohs(from.sll_protocol), packet, (size_t)n);
		learn(run, &seen, from.sll_addr);
	}
}

static bool through_tunnel(const struct berth_doctor_evidence *evidence)
{
	return evidence->answered[BERTH_DOCTOR_SERVICE] || evidence->answered[BERTH_DOCTOR_OWN] ||
	       evidence->answered[BERTH_DOCTOR_SUMMED];
}

/* Whether a probe is to be sent in this round. A host sends few ICMP errors, Linux six and then one a second to
 * each peer: one that refuses a tunnel must not be asked about it by every service, or its word about another is
 * missing. */
static bool is_due(const struct berth_doctor_run *run, size_t t, enum berth_doctor_probe probe)
{
	const struct berth_doctor_evidence *evidence = &run->evidence[t];
	bool nat = berth_mode_returns(run->targets[t].mode);

	if (evidence->answered[probe])
		return false;
	switch (probe) {
	case BERTH_DOCTOR_BIG:
		return evidence->answered[nat ? BERTH_DOCTOR_DIRECT : BERTH_DOCTOR_SERVICE];
	case BERTH_DOCTOR_OWN:
	case BERTH_DOCTOR_SUMMED:
		if (run->round == 1 || evidence->answered[BERTH_DOCTOR_SERVICE])
			return false;
		break;
	case BERTH_DOCTOR_SERVICE:
		if (!berth_doctor_outer_bytes(&run->targets[t]))
			return true;
		break;
	default:
		return true;
	}
	if (evidence->refused || evidence->forbidden)
		return false;
	return run->leader[t] == t || through_tunnel(&run->evidence[run->leader[t]]) || run->round > 2;
}

/* false: the device has no room now. */
static bool send_probe(struct berth_doctor_run *run, size_t t, enum berth_doctor_probe probe)
{
	const struct berth_doctor_target *target = &run->targets[t];
	const struct berth_doctor_tag tag = {.run = run->id, .target = (uint32_t)t, .probe = probe};
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET, .sll_ifindex = (int)target->ifindex, .sll_halen = sizeof(target->dst_mac)};
	struct berth_doctor_packet packet;
	if (!is_due(run, t, probe))
		return true;
	berth_doctor_build(target, &tag, &packet);
	to.sll_protocol = htons(packet.ethertype);
	memcpy(to.sll_addr, target->dst_mac, sizeof(target->dst_mac));
	if (!packet.bytes ||
	    sendto(run->fd, packet.data, packet.bytes, 0, (const struct sockaddr *)&to, sizeof(to)) >= 0)
		return true;
	/* Anything else is the interface's fault, and told apart as such. */
	return errno != EAGAIN && errno != ENOBUFS;
}

/* Whether the round is sent. */
static bool send_some(struct berth_doctor_run *run)
{
	size_t all = run->n * BERTH_DOCTOR_PROBES;
	for (int i = 0; i < FRAMES_A_TICK && run->next < all; i++, run->next++)
		if (!send_probe(run, run->next / BERTH_DOCTOR_PROBES, run->next % BERTH_DOCTOR_PROBES))
			return false;
	return run->next == all;
}

/* Nothing that is missing could change what is said. */
static bool is_answered(const struct berth_doctor_target *target, const struct berth_doctor_evidence *evidence)
{
	return evidence->answered[BERTH_DOCTOR_BIG] &&
	       evidence->answered[berth_mode_returns(target->mode) ? BERTH_DOCTOR_RETURN : BERTH_DOCTOR_SERVICE];
}

static bool all_answered(const struct berth_doctor_run *run)
{
	for (size_t t = 0; t < run->n; t++)
		if (!is_answered(&run->targets[t], &run->evidence[t]))
			return false;
	return true;
}

static void finish(struct berth_doctor_run *run)
{
	run->done(run->arg, run->evidence);
	berth_doctor_run_free(run);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct berth_doctor_run *run = arg;
	uint64_t now = berth_clock_ms();
	bool sent = send_some(run);

	if (!sent && now - run->started_ms < MOST_MS)
		return;
	if ((all_answered(run) && now - run->started_ms >= LEAST_MS) ||
	    (run->round == ROUNDS && now - run->round_ms >= LAST_ROUND_MS) || now - run->started_ms >= MOST_MS) {
		finish(run);
	} else if (run->round < ROUNDS && now - run->started_ms >= rounds_ms[run->round]) {
		run->round++;
		run->round_ms = now;
		run->next = 0;
	}
}

/* As tunnels: those that are equal are refused together. */
static int compare_tunnels(const void *a, const void *b, void *targets)
{
	const struct berth_doctor_target *x = (const struct berth_doctor_target *)targets + *(const size_t *)a;
	const struct berth_doctor_target *y = (const struct berth_doctor_target *)targets + *(const size_t *)b;
	bool x4 = berth_addr_is4(&x->service), y4 = berth_addr_is4(&y->service);
	int order = memcmp(&x->backend, &y->backend, sizeof(x->backend));
	if (order == 0)
		order = (int)x->mode - (int)y->mode;
	if (order == 0)
		order = berth_mode_has_tunnel_port(x->mode) ? x->gue_port - y->gue_port : x4 - y4;
	return order;
}

static int find_leaders(struct berth_doctor_run *run)
{
	size_t *sorted = calloc(run->n + 1, sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < run->n; i++)
		sorted[i] = i;
	qsort_r(sorted, run->n, sizeof(*sorted), compare_tunnels, run->targets);
	for (size_t i = 0; i < run->n; i++) {
		bool same = i > 0 && compare_tunnels(&sorted[i - 1], &sorted[i], run->targets) == 0;
		run->leader[sorted[i]] = same ? run->leader[sorted[i - 1]] : sorted[i];
	}
	free(sorted);
	return 0;
}

static int open_run(struct berth_doctor_run *run, struct event_base *base)
{
	const struct timeval tick = {.tv_usec = TICK_US};
	run->fd = open_socket();
	if (run->fd < 0)
		return run->fd;
	if (getrandom(&run->id, sizeof(run->id), 0) != sizeof(run->id))
		return -EIO;
	run->readable = event_new(base, run->fd, EV_READ | EV_PERSIST, on_readable, run);
	run->tick = event_new(base, -1, EV_PERSIST, on_tick, run);
	if (!run->readable || !run->tick || event_add(run->readable, NULL) || event_add(run->tick, &tick))
		return -ENOMEM;
	run->round = 1;
	run->started_ms = berth_clock_ms();
	run->round_ms = run->started_ms;
	return 0;
}

struct berth_doctor_run *berth_doctor_run_new(struct event_base *base, const struct berth_doctor_target *targets,
					      size_t n, berth_doctor_done_fn *done, void *arg,
					      char error[BERTH_ERROR_BYTES])
{
	int err = -ENOMEM;
	struct berth_doctor_run *run = calloc(1, sizeof(*run));
	if (!run)
		goto out;
	*run = (struct berth_doctor_run){.done = done, .arg = arg, .n = n, .fd = -1};
	run->targets = calloc(n + 1, sizeof(*targets));
	run->evidence = calloc(n + 1, sizeof(*run->evidence));
	run->leader = calloc(n + 1, sizeof(*run->leader));
	if (!run->targets || !run->evidence || !run->leader)
		goto out;
	if (n)
		memcpy(run->targets, targets, n * sizeof(*targets));
	err = find_leaders(run);
	if (!err)
		err = open_run(run, base);
	if (!err)
		return run;
out:
	snprintf(error, BERTH_ERROR_BYTES, "cannot send probes: %s%s", strerror(-err),
		 err == -EPERM ? "; berthd needs CAP_NET_RAW for it" : "");
	berth_doctor_run_free(run);
	return NULL;
}

void berth_doctor_run_free(struct berth_doctor_run *run)
{
	if (!run)
		return;
	if (run->readable)
		event_free(run->readable);
	if (run->tick)
		event_free(run->tick);
	if (run->fd >= 0)
		close(run->fd);
	free(run->targets);
	free(run->evidence);
	free(run->leader);
	free(run);
}
