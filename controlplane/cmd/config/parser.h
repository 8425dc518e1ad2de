/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Parses configurations. A long one is parsed by a thread while the loop goes on, since 3 MiB take some 0.4 s; what
 * asked for it goes on when that is done. All functions run on the thread of the event loop.
 */
#pragma once

#include "controlplane/cmd/cmd.h"

enum {
	BERTH_CMD_SOURCES = 2, /* texts of a request, at most */
};

/* A text that is to be parsed. */
struct berth_cmd_source {
	const char *name; /* of its file, for messages */
	const char *text;
	size_t length;
	bool applies; /* it is to be put in force */
	bool saves;   /* and to be in the configuration file */
};

/* Prepares a configuration that is to be put in force, in turns of the loop before what asked for it goes on. */
struct berth_cmd_preparer {
	/* In the thread, of a text that is valid and to be saved. */
	void (*in_thread)(void *arg, const char *text, size_t length);
	bool (*turn)(void *arg, struct berth_config *config); /* false: no more is to be done */
	void (*end)(void *arg);				      /* the configuration is in force, or will not be */
	void *arg;
};

/* What a text was parsed to. */
struct berth_cmd_parsed {
	struct berth_config *config; /* NULL: it is invalid */
	json_t *errors;		     /* all lines */
	char error[BERTH_ERROR_BYTES];
};

/* NULL: out of memory. */
struct berth_cmd_parser *berth_cmd_parser_new(struct event_base *base);
void berth_cmd_parser_set_preparer(struct berth_cmd_parser *parser, const struct berth_cmd_preparer *preparer);
/* Waits for the thread. To be called after the server is freed: until then its requests may wait for the parser. */
void berth_cmd_parser_free(struct berth_cmd_parser *parser);

/*
 * Parses a text of the request that is being run. False: a thread parses it; the handler returns BERTH_CODE_OK
 * without a result, and is called once more with the same arguments. True: clear `parsed`.
 */
bool berth_cmd_parse(const struct berth_cmd_context *context, const char *name, const char *text, size_t length,
		     struct berth_cmd_parsed *parsed);
/* The same for all `n` texts of a request, at most BERTH_CMD_SOURCES. */
bool berth_cmd_parse_all(const struct berth_cmd_context *context, const struct berth_cmd_source *sources, size_t n,
			 struct berth_cmd_parsed *parsed);
/* Whether the request is run again after another text of it was parsed: what it was to use has changed. */
bool berth_cmd_has_other_text(const struct berth_cmd_context *context, const struct berth_cmd_source *source);
void berth_cmd_parsed_clear(struct berth_cmd_parsed *parsed);

/* What berthd itself has read. The function, which may take the configuration, is called before this returns if the
 * text is short; else in a later turn of the loop, or never if berthd ends. */
typedef void berth_cmd_parsed_fn(void *arg, const struct berth_cmd_source *source, struct berth_cmd_parsed *parsed);
void berth_cmd_parse_then(struct berth_cmd_parser *parser, const struct berth_cmd_source *source,
			  berth_cmd_parsed_fn *fn, void *arg);
