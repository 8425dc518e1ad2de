/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Wakes the main lcore, which sleeps when no packet goes to the kernel. Ringing is a system call only while the
 * doorbell is armed; the main lcore arms it after a pause, so seldom under load.
 */
#pragma once

#include <stdbool.h>
#include <sys/eventfd.h>

#include "dataplane/core/atomic.h"

struct berth_doorbell {
	int fd; /* eventfd, readable after a ring */
	/* Set by the main lcore; cleared by it and by the worker that rings. */
	bool armed __attribute__((aligned(64)));
};

/* Main lcore. After it, check for work once more, then sleep until `fd` is readable. */
static inline void berth_doorbell_arm(struct berth_doorbell *bell)
{
	__atomic_store_n(&bell->armed, true, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Main lcore, after the sleep. */
static inline void berth_doorbell_disarm(struct berth_doorbell *bell)
{
	eventfd_t rings;
	__atomic_store_n(&bell->armed, false, __ATOMIC_SEQ_CST);
	eventfd_read(bell->fd, &rings);
}

/* Worker, after it has filled its ring. The fence pairs with the one in berth_doorbell_arm: either this call reads
 * `armed`, or the last check of the main lcore finds the packets. */
static inline void berth_doorbell_ring(struct berth_doorbell *bell)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (BERTH_LOAD(&bell->armed) && __atomic_exchange_n(&bell->armed, false, __ATOMIC_SEQ_CST))
		eventfd_write(bell->fd, 1);
}
