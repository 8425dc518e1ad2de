/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Exit codes and capabilities of berthd and berth-dpdk. packaging/berthd.service does not restart berthd after
 * codes 0 and 2 to 4.
 */
#pragma once

#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

enum berth_exit {
	BERTH_EXIT_OK = 0,
	BERTH_EXIT_FAILURE = 1, /* unexpected: out of memory, the event loop failed */
	BERTH_EXIT_USAGE = 2,
	BERTH_EXIT_CONFIG = 3, /* the configuration is invalid (berthd) */
	BERTH_EXIT_PERMISSION = 4,
	BERTH_EXIT_ENGINE = 5,	 /* the engine cannot run: no such interface, no memory, no driver */
	BERTH_EXIT_INSTANCE = 6, /* another process runs this instance or uses this image */
};

/* Whether the calling thread has a capability (CAP_NET_ADMIN, ...) in its effective set; capabilities(7). */
static inline bool berth_has_capability(uint32_t capability)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
	if (syscall(SYS_capget, &header, data))
		return false;
	return data[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability);
}
