/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How workers wake the main lcore, which sleeps long when nothing passes to the kernel. It costs a worker a system
 * call only where the main lcore has lain down, which it does only after a while without work; so not often under
 * load.
 */
#pragma once

#include <stdbool.h>
#include <sys/eventfd.h>

#include "dataplane/core/atomic.h"

struct berth_doorbell {
	int fd; /* readable once it was rung */
	/* Set by the main lcore before it looks for work a last time, taken away by whoever rings. */
	bool waiting __attribute__((aligned(64)));
};

/* By the main lcore; then it looks for work once more, and sleeps until `fd` is readable. */
static inline void berth_doorbell_wait(struct berth_doorbell *bell)
{
	__atomic_store_n(&bell->waiting, true, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* By the main lcore, awake again. */
static inline void berth_doorbell_answer(struct berth_doorbell *bell)
{
	eventfd_t rung;
	__atomic_store_n(&bell->waiting, false, __ATOMIC_SEQ_CST);
	eventfd_read(bell->fd, &rung);
}

/* By a worker that has put something into its ring. The fence is the other half of the one above: either this sees
 * that the main lcore waits, or that one sees what is in the ring. */
static inline void berth_doorbell_ring(struct berth_doorbell *bell)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (BERTH_LOAD(&bell->waiting) && __atomic_exchange_n(&bell->waiting, false, __ATOMIC_SEQ_CST))
		eventfd_write(bell->fd, 1);
}
