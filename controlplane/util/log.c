// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/util/log.h"

#include <stdarg.h>
#include <stdio.h>

enum {
	LINE_BYTES = 1024,
};

/* Names in a message come from clients, files and DNS: a newline in one would be a forged line, and an escape
 * would reach the reader's terminal. Writes such bytes as \xNN. */
static void make_printable(const char *from, char to[4 * LINE_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	for (; *from; from++) {
		unsigned char byte = (unsigned char)*from;
		if (byte >= ' ' && byte <= '~') {
			*to++ = (char)byte;
			continue;
		}
		*to++ = '\\';
		*to++ = 'x';
		*to++ = digits[byte >> 4];
		*to++ = digits[byte & 15];
	}
	*to = '\0';
}

void berth_log(const char *format, ...)
{
	char line[LINE_BYTES], printable[4 * LINE_BYTES];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	make_printable(line, printable);
	fprintf(stderr, "berthd: %s\n", printable);
}
