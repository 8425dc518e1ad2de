/* SPDX-License-Identifier: BSD-3-Clause */
/* The XDP program of an interface: whether it is the one that an engine of berth has put there. */
#pragma once

#include <bpf/libbpf.h>
#include <stdint.h>
#include <stdio.h>

enum berth_xdp_program {
	BERTH_XDP_PROGRAM_OWN,
	BERTH_XDP_PROGRAM_MISSING,
	BERTH_XDP_PROGRAM_FOREIGN,
};

/* The id of the interface's program, anybody's; 0: it has none, or there is no such interface. */
static inline uint32_t berth_xdp_program_id(uint32_t ifindex)
{
	uint32_t id = 0;
	return ifindex && bpf_xdp_query_id((int)ifindex, 0, &id) == 0 ? id : 0;
}

static inline enum berth_xdp_program berth_xdp_program_compare(uint32_t ifindex, uint32_t own)
{
	const uint32_t id = berth_xdp_program_id(ifindex);
	if (!id)
		return BERTH_XDP_PROGRAM_MISSING;
	return id == own ? BERTH_XDP_PROGRAM_OWN : BERTH_XDP_PROGRAM_FOREIGN;
}

/* What users are told of a foreign program. */
static inline void berth_xdp_program_describe_foreign(const char *name, char *text, size_t size)
{
	snprintf(text, size,
		 "%s: another XDP program is attached; `ip link show %s` shows it, `ip link set %s xdp off` "
		 "removes it",
		 name, name, name);
}
