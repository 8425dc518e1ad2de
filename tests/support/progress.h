/* SPDX-License-Identifier: BSD-3-Clause */
/* How far a long run is and how long it takes on, in one line of a terminal. Nothing is shown where standard error
 * is none. */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	PROGRESS_BYTES = 160,
};

struct progress {
	double start_s, shown_s; /* CLOCK_MONOTONIC; 0: not yet */
};

static inline double progress_now_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* `share`: of the work, 0 to 1. */
static inline void progress_text(char text[PROGRESS_BYTES], const char *what, double share, double elapsed_s)
{
	const unsigned int elapsed = (unsigned int)elapsed_s;
	int n = snprintf(text, PROGRESS_BYTES, "%s: %.0f%% in %u:%02u", what, share * 100, elapsed / 60,
			 elapsed % 60);
	if (n > 0 && n < PROGRESS_BYTES && share > 0.01) {
		const unsigned int left = (unsigned int)(elapsed_s / share - elapsed_s + 0.5);
		snprintf(text + n, (size_t)(PROGRESS_BYTES - n), ", about %u:%02u left", left / 60, left % 60);
	}
}

/* Twice a second at most. The work is `done` of `all` or, if that is a larger share, the time since the first call
 * of `limit_s` (0: no limit). */
static inline void progress_show(struct progress *progress, const char *what, double done, double all,
				 double limit_s)
{
	char text[PROGRESS_BYTES];
	const double now = progress_now_s();
	if (progress->start_s <= 0)
		progress->start_s = now;
	if (now - progress->shown_s < 0.5 || !isatty(STDERR_FILENO))
		return;
	const double elapsed = now - progress->start_s;
	double share = all > 0 ? done / all : 0;
	if (limit_s > 0 && elapsed / limit_s > share)
		share = elapsed / limit_s;
	progress_text(text, what, share < 1 ? share : 1, elapsed);
	progress->shown_s = now;
	fprintf(stderr, "\r\033[K%s", text);
}

/* Before other output. */
static inline void progress_clear(const struct progress *progress)
{
	if (progress->shown_s > 0)
		fputs("\r\033[K", stderr);
}
