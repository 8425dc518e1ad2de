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
	FRAMES_PER_TICK = 256,
	ROUNDS = 4,	     /* so that one lost packet is not taken as a fault */
	LAST_ROUND_MS = 700, /* replies may be queued behind traffic */
	MIN_MS = 300,	     /* some findings are replies that should not arrive */
	MAX_MS = 5000,
	PACKETS_PER_CALL = 256,
	RECEIVE_BYTES = 4 << 20,
};

struct berth_doctor_run {
	berth_doctor_done_fn *done;
	void *arg;
	struct berth_doctor_target *targets;
	struct berth_doctor_results *results;
	size_t *representative; /* by target: the first target with the same encapsulation */
	size_t n;
	uint32_t id;
	int fd;
	struct event *readable;
	struct event *tick;
	unsigned int round;  /* rounds started */
	size_t next;	     /* next probe of this round: target * PROBES + probe */
	uint64_t round_ms;   /* CLOCK_MONOTONIC of its start */
	uint64_t started_ms; /* CLOCK_MONOTONIC */
};

/* Start of each round. The first answers decide which probes follow. */
static const unsigned int rounds_ms[ROUNDS] = {0, 100, 400, 900};

/* Accepts ARP, ICMP, ICMPv6 (also after a fragment header) and TCP to the ports of probes. Offsets start at the
 * network header. */
static const struct sock_filter filter[] = {
	BPF_STMT(BPF_LD | BPF_H | BPF_ABS, (__u32)(SKF_AD_OFF + SKF_AD_PROTOCOL)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETHERTYPE_ARP, 15, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETHERTYPE_IP, 0, 5),
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMP, 12, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 10),
	BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
	BPF_JUMP(BPF_JMP | BPF_JA, 6, 0, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETHERTYPE_IPV6, 0, 7),
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 6),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMPV6, 6, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_FRAGMENT, 5, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 3),
	BPF_STMT(BPF_LDX | BPF_W | BPF_IMM, BERTH_IP6_BYTES),
	/* The destination port, behind the header whose length is in X. */
	BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
	BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, BERTH_DOCTOR_SOURCE_PORT, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, 0),
	BPF_STMT(BPF_RET | BPF_K, UINT16_MAX),
};

/* Receives from all interfaces: the engine passes ICMP to the kernel, and AF_PACKET delivers it before the kernel
 * drops it (an answer from the service's address, if this host owns that address). Protocol 0 until bind: nothing
 * arrives before the filter is attached. */
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

/* Returns false if the device's queue is full. */
static bool send_packet(struct berth_doctor_run *run, size_t t, enum berth_doctor_probe probe)
{
	const struct berth_doctor_target *target = &run->targets[t];
	const struct berth_doctor_probe_id id = {.run = run->id, .target = (uint32_t)t, .probe = probe};
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET, .sll_ifindex = (int)target->ifindex, .sll_halen = sizeof(target->dst_mac)};
	struct berth_doctor_packet packet;
	berth_doctor_build(target, &id, &packet);
	to.sll_protocol = htons(packet.ethertype);
	memcpy(to.sll_addr, packet.dst_mac, sizeof(packet.dst_mac));
	if (!packet.bytes ||
	    sendto(run->fd, packet.data, packet.bytes, 0, (const struct sockaddr *)&to, sizeof(to)) >= 0)
		return true;
	/* Other errors are the interface's; berth_doctor_system reports them. */
	return errno != EAGAIN && errno != ENOBUFS;
}

/* A connection that opens is reset at once. */
static void record_tcp(struct berth_doctor_run *run, const struct berth_doctor_reply *reply, const uint8_t mac[6])
{
	const size_t t = (uint32_t)(reply->sequence - run->id);
	if (t >= run->n)
		return;
	bool was_open = run->results[t].is_answered[BERTH_DOCTOR_PORT];
	berth_doctor_record(&run->targets[t], &run->results[t], reply, mac);
	if (!was_open && run->results[t].is_answered[BERTH_DOCTOR_PORT])
		send_packet(run, t, BERTH_DOCTOR_RESET);
}

static void record(struct berth_doctor_run *run, const struct berth_doctor_reply *reply, const uint8_t mac[6])
{
	if (reply->type == BERTH_DOCTOR_REPLY_NONE)
		return;
	if (reply->type == BERTH_DOCTOR_REPLY_ECHO || reply->type == BERTH_DOCTOR_REPLY_REQUEST) {
		size_t t = reply->id.target;
		if (reply->id.run == run->id && t < run->n)
			berth_doctor_record(&run->targets[t], &run->results[t], reply, mac);
		return;
	}
	if (reply->type == BERTH_DOCTOR_REPLY_OPEN || reply->type == BERTH_DOCTOR_REPLY_REFUSED) {
		record_tcp(run, reply, mac);
		return;
	}
	/* An ICMP error may not quote the probe's payload; it holds for all targets with the same encapsulation. */
	for (size_t t = 0; t < run->n; t++)
		berth_doctor_record(&run->targets[t], &run->results[t], reply, mac);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	struct berth_doctor_run *run = arg;
	for (int i = 0; i < PACKETS_PER_CALL; i++) {
		uint8_t packet[BERTH_DOCTOR_PACKET_BYTES];
		struct sockaddr_ll from = {0};
		socklen_t length = sizeof(from);
		ssize_t n = recvfrom(fd, packet, sizeof(packet), 0, (struct sockaddr *)&from, &length);
		if (n < 0)
			return;
		struct berth_doctor_reply reply = berth_doctor_parse(ntohs(from.sll_protocol), packet, (size_t)n);
		record(run, &reply, from.sll_addr);
	}
}

static bool is_tunnel_answered(const struct berth_doctor_results *results)
{
	return results->is_answered[BERTH_DOCTOR_SERVICE] || results->is_answered[BERTH_DOCTOR_DECAP] ||
	       results->is_answered[BERTH_DOCTOR_UDP_CHECKSUM];
}

static bool is_port_known(const struct berth_doctor_results *results)
{
	return results->is_answered[BERTH_DOCTOR_PORT] || results->is_port_refused || results->is_port_prohibited;
}

/* True if a probe is sent in this round. Linux limits ICMP errors to a peer to a burst of six and then one per
 * second. So only one target per encapsulation probes a tunnel that may be unreachable, else errors about others
 * get lost. */
static bool is_due(const struct berth_doctor_run *run, size_t t, enum berth_doctor_probe probe)
{
	const struct berth_doctor_results *results = &run->results[t];
	bool nat = berth_mode_returns(run->targets[t].mode);

	if (results->is_answered[probe])
		return false;
	switch (probe) {
	case BERTH_DOCTOR_LARGE:
		return results->is_answered[nat ? BERTH_DOCTOR_DIRECT : BERTH_DOCTOR_SERVICE];
	case BERTH_DOCTOR_DECAP:
	case BERTH_DOCTOR_UDP_CHECKSUM:
		if (run->round == 1 || results->is_answered[BERTH_DOCTOR_SERVICE])
			return false;
		break;
	case BERTH_DOCTOR_SERVICE:
		if (!berth_doctor_overhead(&run->targets[t]))
			return true;
		break;
	case BERTH_DOCTOR_PORT:
		return results->is_answered[nat ? BERTH_DOCTOR_DIRECT : BERTH_DOCTOR_SERVICE] &&
		       !is_port_known(results);
	case BERTH_DOCTOR_RESET:
		return false;
	case BERTH_DOCTOR_RESOLVE:
		/* Backends behind one gateway are neighbours in the list. */
		return t == 0 || !berth_addr_equal(&run->targets[t].next_hop, &run->targets[t - 1].next_hop);
	default:
		return true;
	}
	if (results->is_unreachable || results->is_prohibited)
		return false;
	return run->representative[t] == t || is_tunnel_answered(&run->results[run->representative[t]]) ||
	       run->round > 2;
}

/* Returns false if the device's queue is full. */
static bool send_probe(struct berth_doctor_run *run, size_t t, enum berth_doctor_probe probe)
{
	return !is_due(run, t, probe) || send_packet(run, t, probe);
}

/* Returns true if all probes of the round are sent. */
static bool send_some(struct berth_doctor_run *run)
{
	size_t all = run->n * BERTH_DOCTOR_PROBES;
	for (int i = 0; i < FRAMES_PER_TICK && run->next < all; i++, run->next++)
		if (!send_probe(run, run->next / BERTH_DOCTOR_PROBES, run->next % BERTH_DOCTOR_PROBES))
			return false;
	return run->next == all;
}

/* True if no further reply can change the diagnosis. */
static bool is_complete(const struct berth_doctor_target *target, const struct berth_doctor_results *results)
{
	if (target->is_route)
		return results->is_answered[BERTH_DOCTOR_ROUTE] || results->has_no_route;
	/* Few servers answer an empty datagram. */
	if (target->port && target->protocol == IPPROTO_TCP && !is_port_known(results))
		return false;
	return results->is_answered[BERTH_DOCTOR_LARGE] &&
	       results->is_answered[berth_mode_returns(target->mode) ? BERTH_DOCTOR_RETURN : BERTH_DOCTOR_SERVICE];
}

static bool is_run_complete(const struct berth_doctor_run *run)
{
	for (size_t t = 0; t < run->n; t++)
		if (!is_complete(&run->targets[t], &run->results[t]))
			return false;
	return true;
}

static void finish(struct berth_doctor_run *run)
{
	run->done(run->arg, run->results);
	berth_doctor_run_free(run);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct berth_doctor_run *run = arg;
	uint64_t now = berth_clock_ms();
	bool sent = send_some(run);

	if (!sent && now - run->started_ms < MAX_MS)
		return;
	if ((is_run_complete(run) && now - run->started_ms >= MIN_MS) ||
	    (run->round == ROUNDS && now - run->round_ms >= LAST_ROUND_MS) || now - run->started_ms >= MAX_MS) {
		finish(run);
	} else if (run->round < ROUNDS && now - run->started_ms >= rounds_ms[run->round]) {
		run->round++;
		run->round_ms = now;
		run->next = 0;
	}
}

/* Compares by encapsulation: targets that compare equal get the same ICMP errors. */
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

static int find_representatives(struct berth_doctor_run *run)
{
	size_t *sorted = calloc(run->n + 1, sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < run->n; i++)
		sorted[i] = i;
	qsort_r(sorted, run->n, sizeof(*sorted), compare_tunnels, run->targets);
	for (size_t i = 0; i < run->n; i++) {
		bool same = i > 0 && compare_tunnels(&sorted[i - 1], &sorted[i], run->targets) == 0;
		run->representative[sorted[i]] = same ? run->representative[sorted[i - 1]] : sorted[i];
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
	for (size_t t = 0; t < run->n; t++)
		run->targets[t].source_port = (uint16_t)(BERTH_DOCTOR_SOURCE_PORT +
							 (run->id + t) % BERTH_DOCTOR_SOURCE_PORTS);
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
	run->results = calloc(n + 1, sizeof(*run->results));
	run->representative = calloc(n + 1, sizeof(*run->representative));
	if (!run->targets || !run->results || !run->representative)
		goto out;
	if (n)
		memcpy(run->targets, targets, n * sizeof(*targets));
	err = find_representatives(run);
	if (!err)
		err = open_run(run, base);
	if (!err)
		return run;
out:
	snprintf(error, BERTH_ERROR_BYTES, "cannot send probes: %s%s", strerror(-err),
		 err == -EPERM ? "; berthd needs CAP_NET_RAW" : "");
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
	free(run->results);
	free(run->representative);
	free(run);
}
