/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For tests against the real kernel: two fresh network namespaces, and commands in them.
 *
 *     ours                                   peer (a child process)
 *     up0 02:..:01  ---------- veth -------- down0 02:..:02
 *     192.0.2.1/24                           192.0.2.2/24, 192.0.2.3/24
 *     2001:db8::1/64                         2001:db8::2/64
 */
#pragma once

#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "controlplane/util/address.h"

#include "tests/support/loop.h"
#include "tests/support/unit.h"

#define OUR_MAC "02:00:00:00:00:01"
#define PEER_MAC "02:00:00:00:00:02"
#define OTHER_MAC "02:00:00:00:00:77"

/* Runs a command and fails the test unless it ends with 0. */
static void ours(const char *format, ...)
{
	char command[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

#define theirs_of(peer, command, ...)                                                                              \
	ours("nsenter --net=/proc/%d/ns/net sh -c '" command "'", (int)(peer), ##__VA_ARGS__)

static pid_t start_peer(void)
{
	int ready[2];
	char byte;

	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) == 0 && write(ready[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

/* Until a link runs, and with it IPv6: without a link-local address the kernel cannot resolve, and before its other
 * end runs there is no answer. */
#define WAIT_UNTIL_UP                                                                                              \
	"for i in $(seq 300); do ip -6 addr show dev %s scope link | grep -q fe80 &&"                              \
	" ip link show %s | grep -q LOWER_UP && exit 0; sleep 0.01; done; exit 1"

/* The peer's process; ours are the caller's namespaces from here on. */
static pid_t make_links(void)
{
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	pid_t peer = start_peer();
	/* No duplicate address detection: it holds IPv6 back for the first seconds of a link. */
	ours("sysctl -qw net.ipv6.conf.default.accept_dad=0");
	theirs_of(peer, "sysctl -qw net.ipv6.conf.default.accept_dad=0");
	ours("ip link set lo up && ip link add up0 address " OUR_MAC " type veth peer name down0 address " PEER_MAC
	     " netns %d",
	     (int)peer);
	theirs_of(peer, "ip addr add 192.0.2.2/24 dev down0 && ip addr add 192.0.2.3/24 dev down0"
			" && ip addr add 2001:db8::2/64 dev down0 && ip link set down0 up");
	ours("ip addr add 192.0.2.1/24 dev up0 && ip addr add 2001:db8::1/64 dev up0 && ip link set up0 up");
	ours(WAIT_UNTIL_UP, "up0", "up0");
	theirs_of(peer, WAIT_UNTIL_UP, "down0", "down0");
	return peer;
}

static void end_links(pid_t peer)
{
	kill(peer, SIGKILL);
	waitpid(peer, NULL, 0);
}

static inline const char *mac_text(const uint8_t mac[6], char text[18])
{
	snprintf(text, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	return text;
}
