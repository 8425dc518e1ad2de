/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/health/probe.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void berth_probe_done(struct berth_probe *probe, enum berth_probe_result result)
{
	probe->done(probe, result);
}

uint64_t berth_probe_now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

double berth_probe_elapsed_ms(const struct berth_probe *probe)
{
	return (double)(berth_probe_now_us() - probe->started_us) / 1000;
}

void berth_probe_set_reason(struct berth_probe *probe, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(probe->reason, sizeof(probe->reason), format, args);
	va_end(args);
	for (char *c = probe->reason; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

/* Errors caused by this host; they do not count against the server. */
static bool is_local_error(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM || error == EAGAIN ||
	       error == EADDRNOTAVAIL || error == EPERM || error == EACCES;
}

enum berth_probe_result berth_probe_fail(struct berth_probe *probe, int error)
{
	berth_probe_set_reason(probe, "%s", strerror(error));
	probe->reason[0] = (char)tolower((unsigned char)probe->reason[0]);
	return is_local_error(error) ? BERTH_PROBE_UNKNOWN : BERTH_PROBE_FAILURE;
}
