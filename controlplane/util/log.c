// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/util/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/util/log_ring.h"

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

const char *berth_log_priority_word(enum berth_log_priority priority)
{
#define X(symbol, number, word)                                                                                    \
	if (priority == BERTH_LOG_##symbol)                                                                        \
		return word;
	BERTH_LOG_PRIORITIES(X)
#undef X
	return "unknown";
}

static enum berth_log_priority priority_of(const char *line)
{
	static const struct {
		const char *begin;
		enum berth_log_priority priority;
	} begins[] = {
		{"ALARM: ", BERTH_LOG_ERROR},
		{"alarm over: ", BERTH_LOG_NOTICE},
		{"warning: ", BERTH_LOG_WARNING},
	};
	for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
		if (strncmp(line, begins[i].begin, strlen(begins[i].begin)) == 0)
			return begins[i].priority;
	return BERTH_LOG_INFO;
}

/* Whether standard error is a stream of systemd's journal: JOURNAL_STREAM has its device and inode
 * (systemd.exec(5)).
 */
static bool is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat status;
	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &status) == 0 &&
	       status.st_dev == device && status.st_ino == inode;
}

static void write_line(const struct berth_log_about *about, const char *format, va_list args)
{
	char line[LINE_BYTES], printable[4 * LINE_BYTES];
	struct berth_log_about event = *about;
	vsnprintf(line, sizeof(line), format, args);
	make_printable(line, printable);
	if (event.priority == BERTH_LOG_BY_TEXT)
		event.priority = priority_of(line);
	if (is_journal()) /* sd-daemon(3): the journal takes <N> off the line */
		fprintf(stderr, "<%d>", (int)event.priority);
	fprintf(stderr, "berthd: %s\n", printable);
	berth_log_ring_add(&event, printable);
}

void berth_log(const char *format, ...)
{
	const struct berth_log_about nothing = {0};
	va_list args;
	va_start(args, format);
	write_line(&nothing, format, args);
	va_end(args);
}

void berth_log_about(const struct berth_log_about *about, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	write_line(about, format, args);
	va_end(args);
}
