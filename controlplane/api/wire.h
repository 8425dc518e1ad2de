/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a client and berthd talk: a Unix stream socket, and on it one JSON object a line, each way.
 *
 *   {"command": "show backends", "arguments": {"service": "web"}}     "arguments" may be left out
 *   {"ok": true, "result": {...}}
 *   {"ok": false, "error": "one line", "code": "invalid"}
 *
 * Requests on one connection are answered in order. A wrong request is answered with an error and the
 * connection stays; what is no JSON object on one line is answered with an error and ends the connection.
 * Whoever may open the socket may use it: permission is the socket's mode.
 *
 * What may be long comes in pages: where a result has "next", a string, the same command with it as its argument
 * "after" goes on from there; null is the end. A page may be short, or empty, and not the last. Between pages
 * others are answered.
 */
#pragma once

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/un.h>

#define BERTH_RUN_DIR "/run/berth"
#define BERTH_INSTANCE "berth"

enum {
	BERTH_WIRE_REQUEST_BYTES = 8 << 20, /* of a line, its end not counted: it may carry a whole configuration */
	BERTH_WIRE_REQUEST_PARTS = 64,	    /* brackets, braces, commas and colons of a request */
	BERTH_WIRE_PAGE = 1000,		    /* entries of a page, at most */
	BERTH_WIRE_PATH_BYTES = sizeof(((struct sockaddr_un *)NULL)->sun_path),
};

/* Why a request was refused. X(symbol, word) */
#define BERTH_CODES(X)                                                                                             \
	X(OK, "ok")		  /* it was not */                                                                 \
	X(INVALID, "invalid")	  /* not a request, an unknown command or wrong arguments */                       \
	X(NOT_FOUND, "not_found") /* a service or backend of this name does not exist */                           \
	X(CONFIG, "config")	  /* the configuration is wrong or does not fit; nothing was changed */            \
	X(TOO_LARGE, "too_large")                                                                                  \
	X(TIMEOUT, "timeout") /* half a request, and no more of it */                                              \
	X(BUSY, "busy")	      /* too many clients */                                                               \
	X(INTERNAL, "internal")

enum berth_code {
#define X(symbol, word) BERTH_CODE_##symbol,
	BERTH_CODES(X)
#undef X
};

/* Writes where an instance's socket is. 0, or -ENAMETOOLONG. */
static inline int berth_wire_path(char path[BERTH_WIRE_PATH_BYTES], const char *run_dir, const char *instance)
{
	int n = snprintf(path, BERTH_WIRE_PATH_BYTES, "%s/%s.sock", run_dir, instance);
	return n < 0 || n >= BERTH_WIRE_PATH_BYTES ? -ENAMETOOLONG : 0;
}
