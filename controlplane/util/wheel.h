/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Timers of an event loop, many of which are set anew all the time: to set or cancel one takes the same short time
 * however many there are, where a heap reads memory of others. They are due in whole ticks of a millisecond, and
 * those of a tick one after the other, so that what they send can go together.
 */
#pragma once

#include <event2/event.h>
#include <stdint.h>
#include <sys/queue.h>

struct berth_wheel;

TAILQ_HEAD(berth_wheel_list, berth_wheel_timer);

/* Owned by its user; all 0: not set. */
struct berth_wheel_timer {
	void (*fn)(void *arg);
	void *arg;
	struct berth_wheel_list *list; /* NULL: not set */
	uint64_t tick;
	TAILQ_ENTRY(berth_wheel_timer) entry;
};

/* NULL: out of memory. */
struct berth_wheel *berth_wheel_new(struct event_base *base);
/* No timer may be set. */
void berth_wheel_free(struct berth_wheel *wheel);
/* Calls timer->fn once, not before `us` have passed. One that is set is set anew. */
void berth_wheel_set(struct berth_wheel *wheel, struct berth_wheel_timer *timer, uint64_t us);
/* No effect if it is not set. */
void berth_wheel_cancel(struct berth_wheel *wheel, struct berth_wheel_timer *timer);
