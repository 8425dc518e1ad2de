/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The last lines of this process's log, for `berthctl events`. log.c adds each line; a ring of fixed size keeps
 * them. One thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "controlplane/util/log_about.h"

enum {
	BERTH_LOG_EVENTS = 1000,     /* that are kept */
	BERTH_LOG_TEXT_BYTES = 1024, /* of the text; a longer one is cut */
};

struct berth_log_event {
	uint64_t number; /* 1, 2, ... */
	int64_t unix_ms;
	enum berth_log_priority priority;
	const char *service; /* NULL: it is about no service */
	const char *backend; /* likewise */
	const char *text;
};

/* Without memory for it an event is lost: its number is missing. */
void berth_log_ring_add(const struct berth_log_about *about, const char *text);
/* Numbers of the oldest event that may be there, and after the newest one. */
uint64_t berth_log_ring_first(void);
uint64_t berth_log_ring_end(void);
/* Valid until the next event. NULL: it is not there. */
const struct berth_log_event *berth_log_ring_get(uint64_t number);

/* Waits for events. `added` may be called anywhere a line is logged, so it must only wake up what then reads them.
 */
struct berth_log_waiter {
	void (*added)(void *arg);
	void *arg;
	LIST_ENTRY(berth_log_waiter) entry;
};

void berth_log_ring_wait(struct berth_log_waiter *waiter);
void berth_log_ring_cancel(struct berth_log_waiter *waiter);
