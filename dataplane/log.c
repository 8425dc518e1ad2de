/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/log.h"

#include <stdarg.h>
#include <stdio.h>

void berth_log(const char *format, ...)
{
	/* One write a line, so that lines of several processes on one stderr do not mix. */
	char line[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	fprintf(stderr, "berth-dpdk: %s\n", line);
}
