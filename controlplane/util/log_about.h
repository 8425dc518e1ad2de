/* SPDX-License-Identifier: BSD-3-Clause */
/* What a line of the log is about, and how important it is. */
#pragma once

/* Those of syslog(3) that berth uses. X(symbol, number, word) */
#define BERTH_LOG_PRIORITIES(X)                                                                                    \
	X(ERROR, 3, "error")	 /* an alarm */                                                                    \
	X(WARNING, 4, "warning") /* worse than before, or probably a mistake */                                    \
	X(NOTICE, 5, "notice")	 /* an alarm is over */                                                            \
	X(INFO, 6, "info")

enum berth_log_priority {
	BERTH_LOG_BY_TEXT, /* ERROR for "ALARM: ...", WARNING for "warning: ...", NOTICE for "alarm over: ...", or
			      INFO */
#define X(symbol, number, word) BERTH_LOG_##symbol = (number),
	BERTH_LOG_PRIORITIES(X)
#undef X
};

/* What a line is about. */
struct berth_log_about {
	const char *service; /* NULL: no service */
	const char *backend; /* NULL: no backend of it */
	enum berth_log_priority priority;
};

/* Of a service, and of a backend of it or NULL; the priority is that of the text. */
#define BERTH_ABOUT(service, backend) (&(const struct berth_log_about){(service), (backend), BERTH_LOG_BY_TEXT})
