/* SPDX-License-Identifier: BSD-3-Clause */
/* The text of requests and answers. Called by the server, and by what writes an answer in parts. */
#pragma once

#include <jansson.h>

#include "controlplane/api/wire.h"
#include "controlplane/util/error.h"

struct evbuffer;

/* The JSON of a line without its newline. NULL: invalid, or more than BERTH_WIRE_REQUEST_PARTS. */
json_t *berth_server_parse_request(const char *line, size_t length);
/* The text of an answer, without a newline, which the caller frees. Takes `result`; NULL: its allocation failed. Of
 * an error it is the list of all errors, or NULL. NULL: out of memory. */
char *berth_server_format_answer(enum berth_code code, json_t *result, char error[BERTH_ERROR_BYTES]);
/* The text of a value as answers have it, a part of one. Takes `value`; NULL: its allocation failed. 0 or -ENOMEM.
 */
int berth_server_write_part(struct evbuffer *out, json_t *value);
