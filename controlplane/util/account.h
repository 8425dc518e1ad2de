/* SPDX-License-Identifier: BSD-3-Clause */
/* A user of this host, as programs run as: its ids and those of its groups. */
#pragma once

#include <stdint.h>

enum {
	BERTH_ACCOUNT_BYTES = 32, /* name of a user or group of the host, with its final 0 */
	BERTH_ACCOUNT_GROUPS = 32,
};

/* No padding, unused members are 0. */
struct berth_account {
	uint32_t uid;
	uint32_t gid;
	uint32_t n_groups;
	uint32_t groups[BERTH_ACCOUNT_GROUPS]; /* supplementary */
};

/* Finds a user by its name. Returns 0, -ENOENT, -E2BIG (more groups than BERTH_ACCOUNT_GROUPS) or another -errno.
 */
int berth_account_find(const char *name, struct berth_account *account);
