// SPDX-License-Identifier: BSD-3-Clause
/*
 * burst INTERFACE PACKETS: sends PACKETS packets of one TCP flow back to back by an interface. A test run of an XDP
 * program sends them (Linux 5.18), about three million per second; system calls would reach half a million, too few
 * to fill a receive ring.
 */
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/support/bench.h"
#include "tests/bench/support/rig.h"

enum {
	AT_ONCE = 64, /* packets per batch; between batches the other end of a veth cable, which holds 256, is
			 served */
};

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* The program: return bpf_redirect(interface, 0) */
static int load(uint32_t interface)
{
	const struct bpf_insn program[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_1, .imm = (int32_t)interface},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = 0},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "burst", "BSD", program, sizeof(program) / sizeof(*program),
			       NULL);
	if (fd < 0)
		fail("burst: XDP program");
	return fd;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	uint32_t interface = if_nametoindex(argv[1]);
	if (!interface)
		fail(argv[1]);
	const struct rig rig = {.options = {.mode = "l2", .flows = 1}};
	uint8_t frame[RIG_FRAME_BYTES];
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .flags = BPF_F_TEST_XDP_LIVE_FRAMES,
		    .repeat = atoi(argv[2]), .batch_size = AT_ONCE);
	options.data_size_in = rig_frame(&rig, 0, BERTH_TCP_ACK, frame);
	if (bpf_prog_test_run_opts(load(interface), &options))
		fail("burst");
	printf("{\"ns\": %u}\n", options.duration); /* per packet */
	return 0;
}
