// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/util/wheel.h"

#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

enum {
	TICK_US = 1000,
	/* A timer that is due later stays in its slot when the wheel passes it. */
	SLOTS = 16384,
	WORD_BITS = 64,
	/* Then other events of the loop have their turn. */
	CALLS_IN_A_TURN = 256,
};

struct berth_wheel {
	struct event *event;
	uint64_t tick;		     /* all slots up to this one are served */
	uint64_t awaited;	     /* the event comes at this tick; 0: it does not come */
	struct berth_wheel_list due; /* taken from their slots, to be called */
	struct berth_wheel_list slots[SLOTS];
	uint64_t used[SLOTS / WORD_BITS]; /* slots with timers */
};

static uint64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void await(struct berth_wheel *wheel, uint64_t tick)
{
	const uint64_t now = now_us(), at = tick * TICK_US;
	const uint64_t us = at > now ? at - now : 0;
	const struct timeval wait = {.tv_sec = (time_t)(us / 1000000), .tv_usec = (suseconds_t)(us % 1000000)};
	wheel->awaited = tick;
	event_add(wheel->event, &wait);
}

/* The next slot with timers, also if they are due when the wheel passes it again. */
static void await_next(struct berth_wheel *wheel)
{
	wheel->awaited = 0;
	if (!TAILQ_EMPTY(&wheel->due)) {
		await(wheel, wheel->tick);
		return;
	}
	for (uint64_t tick = wheel->tick + 1; tick <= wheel->tick + SLOTS;) {
		const uint64_t slot = tick % SLOTS;
		const uint64_t bits = wheel->used[slot / WORD_BITS] >> slot % WORD_BITS;
		if (bits) {
			await(wheel, tick + (unsigned int)__builtin_ctzll(bits));
			return;
		}
		tick += WORD_BITS - slot % WORD_BITS;
	}
}

static void serve(struct berth_wheel *wheel, uint64_t slot, uint64_t now)
{
	struct berth_wheel_timer *timer, *next;
	for (timer = TAILQ_FIRST(&wheel->slots[slot]); timer; timer = next) {
		next = TAILQ_NEXT(timer, entry);
		if (timer->tick > now)
			continue;
		berth_wheel_cancel(wheel, timer);
		TAILQ_INSERT_TAIL(&wheel->due, timer, entry);
		timer->list = &wheel->due;
	}
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct berth_wheel *wheel = arg;
	struct berth_wheel_timer *timer;
	const uint64_t now = now_us() / TICK_US;
	/* After a long pause each slot is served once. */
	uint64_t tick = now - wheel->tick > SLOTS ? now - SLOTS : wheel->tick;
	while (tick < now) {
		const uint64_t slot = ++tick % SLOTS;
		serve(wheel, slot, now);
	}
	wheel->tick = now;
	for (int i = 0; i < CALLS_IN_A_TURN && (timer = TAILQ_FIRST(&wheel->due)); i++) {
		berth_wheel_cancel(wheel, timer);
		timer->fn(timer->arg);
	}
	await_next(wheel);
}

void berth_wheel_set(struct berth_wheel *wheel, struct berth_wheel_timer *timer, uint64_t us)
{
	berth_wheel_cancel(wheel, timer);
	timer->tick = (now_us() + us + TICK_US - 1) / TICK_US;
	if (timer->tick <= wheel->tick)
		timer->tick = wheel->tick + 1;
	const uint64_t slot = timer->tick % SLOTS;
	timer->list = &wheel->slots[slot];
	TAILQ_INSERT_TAIL(timer->list, timer, entry);
	wheel->used[slot / WORD_BITS] |= UINT64_C(1) << slot % WORD_BITS;
	if (!wheel->awaited || timer->tick < wheel->awaited)
		await(wheel, timer->tick);
}

void berth_wheel_cancel(struct berth_wheel *wheel, struct berth_wheel_timer *timer)
{
	const uint64_t slot = timer->tick % SLOTS;
	if (!timer->list)
		return;
	TAILQ_REMOVE(timer->list, timer, entry);
	if (timer->list != &wheel->due && TAILQ_EMPTY(timer->list))
		wheel->used[slot / WORD_BITS] &= ~(UINT64_C(1) << slot % WORD_BITS);
	timer->list = NULL;
}

struct berth_wheel *berth_wheel_new(struct event_base *base)
{
	struct berth_wheel *wheel = calloc(1, sizeof(*wheel));
	if (!wheel)
		return NULL;
	TAILQ_INIT(&wheel->due);
	for (int i = 0; i < SLOTS; i++)
		TAILQ_INIT(&wheel->slots[i]);
	wheel->tick = now_us() / TICK_US;
	wheel->event = evtimer_new(base, on_event, wheel);
	if (wheel->event)
		return wheel;
	free(wheel);
	return NULL;
}

void berth_wheel_free(struct berth_wheel *wheel)
{
	if (!wheel)
		return;
	event_free(wheel->event);
	free(wheel);
}
