// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/util/log_ring.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct {
	struct berth_log_event all[BERTH_LOG_EVENTS];
	uint64_t end; /* number of the next event, less 1 */
	LIST_HEAD(, berth_log_waiter) waiters;
} ring;

uint64_t berth_log_ring_end(void)
{
	return ring.end + 1;
}

uint64_t berth_log_ring_first(void)
{
	return ring.end >= BERTH_LOG_EVENTS ? ring.end + 1 - BERTH_LOG_EVENTS : 1;
}

/* A copy of a text, of `bytes` with its final 0, at a place that has zeros. NULL stays NULL. */
static const char *copy_to(char *at, const char *text, size_t bytes)
{
	return text ? memcpy(at, text, bytes - 1) : NULL;
}

static size_t bytes_of(const char *text)
{
	return text ? strnlen(text, BERTH_LOG_TEXT_BYTES - 1) + 1 : 0;
}

void berth_log_ring_add(const struct berth_log_about *about, const char *text)
{
	struct berth_log_event *event = &ring.all[++ring.end % BERTH_LOG_EVENTS];
	struct timespec now;
	struct berth_log_waiter *waiter;
	const size_t service = bytes_of(about->service), backend = bytes_of(about->backend);
	const size_t rest = strnlen(text, BERTH_LOG_TEXT_BYTES - 1) + 1;
	char *memory = calloc(1, rest + service + backend);
	clock_gettime(CLOCK_REALTIME, &now);
	free((char *)(uintptr_t)event->text); /* the first part of its memory */
	*event = (struct berth_log_event){0};
	if (memory) {
		event->number = ring.end;
		event->unix_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
		event->priority = about->priority;
		event->text = memory;
		memcpy(memory, text, rest - 1);
		event->service = copy_to(memory + rest, about->service, service);
		event->backend = copy_to(memory + rest + service, about->backend, backend);
	}
	LIST_FOREACH(waiter, &ring.waiters, entry)
	waiter->added(waiter->arg);
}

const struct berth_log_event *berth_log_ring_get(uint64_t number)
{
	const struct berth_log_event *event = &ring.all[number % BERTH_LOG_EVENTS];
	return event->number == number && number ? event : NULL;
}

void berth_log_ring_wait(struct berth_log_waiter *waiter)
{
	LIST_INSERT_HEAD(&ring.waiters, waiter, entry);
}

void berth_log_ring_cancel(struct berth_log_waiter *waiter)
{
	LIST_REMOVE(waiter, entry);
}
