// SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
/* The program of the XDP engine. */
#include "bpf/engine.h"

SEC("xdp")
int berth_xdp(struct xdp_md *ctx)
{
	return berth_run(ctx);
}

const char _license[] SEC("license") = "Dual BSD/GPL";
