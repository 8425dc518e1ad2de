/* SPDX-License-Identifier: BSD-3-Clause */
/* The capabilities of a program of berth; capabilities(7). docs/security.md has the table. */
#pragma once

#include <linux/capability.h>
#include <stdint.h>

/* For the argument of berth_capabilities_keep. */
#define BERTH_CAPABILITY(capability) (UINT64_C(1) << (capability))

/* Removes all capabilities but those in `keep` from the bounding set of the calling thread, which still has them.
 * Needs CAP_SETPCAP. Returns 0 or -errno. */
int berth_capabilities_bound(uint64_t keep);

/*
 * Gives up all capabilities but those in `keep`, in every set of the calling thread (threads and programs that it
 * starts later inherit that), and sets no_new_privs. Without CAP_SETPCAP the bounding set stays, which gives
 * nothing back. Returns 0 or -errno.
 */
int berth_capabilities_keep(uint64_t keep);
/* The same in all threads of the process, by a signal (the first real-time one). -ETIMEDOUT: a thread blocks it.
 * One call at a time. */
int berth_capabilities_keep_in_all_threads(uint64_t keep);
