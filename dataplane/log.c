/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/log.h"

#include <stdarg.h>
#include <stdio.h>

/* One write a line, so that lines of several processes on one stderr do not mix. */
static char line[1024];

void berth_log(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	fprintf(stderr, "berth-dpdk: %s\n", line);
}

const char *berth_log_last(void)
{
	return line;
}
