/* SPDX-License-Identifier: BSD-3-Clause */
/* The text of requests and answers. Called by server.c. */
#pragma once

#include <jansson.h>

#include "controlplane/api/wire.h"
#include "controlplane/util/error.h"

/* The JSON of a line without its newline. NULL: invalid, or more than BERTH_WIRE_REQUEST_PARTS. */
json_t *berth_server_parse_request(const char *line, size_t length);
/* The text of an answer, without a newline, which the caller frees. Takes `result`; NULL: its allocation failed. Of
 * an error it is the list of all errors, or NULL. NULL: out of memory. */
char *berth_server_format_answer(enum berth_code code, json_t *result, char error[BERTH_ERROR_BYTES]);
