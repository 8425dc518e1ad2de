// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/engine/grace_period.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "controlplane/util/log.h"

static int make_maps(struct berth_grace_period *period)
{
	if (period->maps > 0)
		return 0;
	period->map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "berth_grace", sizeof(uint32_t), sizeof(uint32_t), 1,
				     NULL);
	if (period->map < 0)
		return -errno;
	LIBBPF_OPTS(bpf_map_create_opts, options, .inner_map_fd = (uint32_t)period->map);
	period->maps = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "berth_graces", sizeof(uint32_t),
				      sizeof(uint32_t), 1, &options);
	return period->maps < 0 ? -errno : 0;
}

/* The kernel ends an update of a map of maps only after a grace period, so that the caller knows that no program
 * uses the former map (maybe_wait_bpf_programs, since Linux 4.20). */
static int update_map_of_maps(struct berth_grace_period *period)
{
	const uint32_t key = 0;
	int err = make_maps(period);
	if (!err && bpf_map_update_elem(period->maps, &key, &period->map, BPF_ANY))
		err = -errno;
	if (err)
		berth_grace_period_close(period);
	return err;
}

/* membarrier(2) is the direct interface, but it fails on a kernel that was booted with nohz_full=, or built without
 * it. */
int berth_grace_period_wait(struct berth_grace_period *period)
{
	int err = syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) ? update_map_of_maps(period) : 0;
	if (err && err != period->error)
		berth_log("cannot wait for running XDP programs, so no change comes into force: %s; berth needs "
			  "membarrier(2) or BPF maps of maps",
			  strerror(-err));
	period->error = err;
	return err;
}

void berth_grace_period_close(struct berth_grace_period *period)
{
	if (period->maps > 0)
		close(period->maps);
	if (period->map > 0)
		close(period->map);
	period->maps = period->map = 0;
}
