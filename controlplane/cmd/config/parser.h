/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Parses the configurations of requests. A long one is parsed by a thread while the loop goes on, since 3 MiB take
 * some 0.4 s; its request is run again when that is done. All functions run on the thread of the event loop.
 */
#pragma once

#include "controlplane/cmd/cmd.h"

/* What a text was parsed to. */
struct berth_cmd_parsed {
	struct berth_config *config; /* NULL: it is invalid */
	json_t *errors;		     /* all lines */
	char error[BERTH_ERROR_BYTES];
};

/* NULL: out of memory. */
struct berth_cmd_parser *berth_cmd_parser_new(struct event_base *base);
/* Waits for the thread. To be called after the server is freed: until then its requests may wait for the parser. */
void berth_cmd_parser_free(struct berth_cmd_parser *parser);

/*
 * Parses a text of the request that is being run. `name`: of its file, for messages. False: a thread parses it; the
 * handler returns BERTH_CODE_OK without a result, and is called once more with the same arguments. True: clear
 * `parsed`.
 */
bool berth_cmd_parse(const struct berth_cmd_context *context, const char *name, const char *text, size_t length,
		     struct berth_cmd_parsed *parsed);
void berth_cmd_parsed_clear(struct berth_cmd_parsed *parsed);
