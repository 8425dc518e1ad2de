/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The protocol between a client and berthd: a Unix stream socket that carries one JSON object per line in each
 * direction.
 *
 *   {"command": "show backends", "arguments": {"service": "web"}}     "arguments" is optional
 *   {"ok": true, "result": {...}}
 *   {"ok": false, "error": "one line", "code": "invalid"}
 *
 * berthd answers the requests of a connection in order. After an invalid command or invalid arguments the
 * connection stays open. A line that is not a JSON object gets an error, and berthd closes the connection. What a
 * process may send depends on its role (server/access.h).
 *
 * Long results come in pages: while "next" in a result is a string, the same command with that string as its
 * argument "after" returns the next page; null marks the last one. A page that is not the last may be short or
 * empty. berthd serves other connections between pages.
 */
#pragma once

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/un.h>

#define BERTH_RUN_DIR "/run/berth"
#define BERTH_INSTANCE "berth"

enum {
	BERTH_WIRE_REQUEST_BYTES = 8 << 20, /* per line, without the newline; a request may hold a configuration */
	BERTH_WIRE_REQUEST_PARTS = 64,	    /* brackets, braces, commas and colons per request */
	BERTH_WIRE_PAGE = 1000,		    /* entries per page, at most */
	BERTH_WIRE_ROWS = 200,		    /* services or backends per page: about 8 ms of a processor */
	BERTH_WIRE_DIGITS = 12,		    /* significant ones of a number with a fraction */
	BERTH_WIRE_PATH_BYTES = sizeof(((struct sockaddr_un *)NULL)->sun_path),
};

/* The "code" of an error. X(symbol, word) */
#define BERTH_CODES(X)                                                                                             \
	X(OK, "ok")		  /* no error */                                                                   \
	X(INVALID, "invalid")	  /* malformed request, unknown command or invalid arguments */                    \
	X(DENIED, "denied")	  /* the role of the client does not permit it */                                  \
	X(NOT_FOUND, "not_found") /* no service, backend or session of this name */                                \
	X(CONFIG, "config")	  /* the configuration is invalid or does not fit; nothing changed */              \
	X(CONFLICT, "conflict") /* changed by another meanwhile, or a confirmation is awaited; nothing changed */  \
	X(TOO_LARGE, "too_large")                                                                                  \
	X(TIMEOUT, "timeout") /* no request, or not the rest of one, in time */                                    \
	X(BUSY, "busy")	      /* too many clients or unread answers */                                             \
	X(INTERNAL, "internal")

enum berth_code {
#define X(symbol, word) BERTH_CODE_##symbol,
	BERTH_CODES(X)
#undef X
};

/* Writes the path of an instance's socket. 0, or -ENAMETOOLONG. */
static inline int berth_wire_path(char path[BERTH_WIRE_PATH_BYTES], const char *run_dir, const char *instance)
{
	int n = snprintf(path, BERTH_WIRE_PATH_BYTES, "%s/%s.sock", run_dir, instance);
	return n < 0 || n >= BERTH_WIRE_PATH_BYTES ? -ENAMETOOLONG : 0;
}
