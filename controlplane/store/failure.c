// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/store/failure.h"

#include <stdio.h>
#include <sys/random.h>

enum {
	MIN_BACKOFF_MS = 250,
	MAX_BACKOFF_MS = 5000,
};

uint64_t berth_backoff_next(struct berth_backoff *backoff)
{
	const uint32_t ms = backoff->ms ? backoff->ms : MIN_BACKOFF_MS;
	uint32_t random = 0;
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		random = 0;
	backoff->ms = 2 * ms < MAX_BACKOFF_MS ? 2 * ms : MAX_BACKOFF_MS;
	return ms - ms / 4 + random % (ms / 2);
}

void berth_failure_copy(char error[BERTH_ERROR_BYTES], const char *reason)
{
	snprintf(error, BERTH_ERROR_BYTES, "%s", reason);
	for (char *c = error; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

void berth_timer_set(struct event *timer, uint64_t ms)
{
	const struct timeval wait = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
	event_add(timer, &wait);
}
