// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/util/log.h"

#include <stdarg.h>
#include <stdio.h>

void berth_log(const char *format, ...)
{
	char line[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	fprintf(stderr, "berthd: %s\n", line);
}
