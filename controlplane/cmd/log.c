// SPDX-License-Identifier: BSD-3-Clause
/* The log line of a change: "uid 0 pid 812: backend drain "web/b1" --deadline "60s": ok". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/cmd/cmd.h"
#include "controlplane/util/log.h"

enum {
	TEXT_BYTES = BERTH_CMD_LINE_BYTES,
	VALUE_BYTES = 100, /* of one argument */
};

/* Appends an argument as JSON text, so that quotes mark where a value of the client starts and ends. */
static void append_value(char text[TEXT_BYTES], const json_t *value)
{
	size_t used = strlen(text);
	char *quoted = json_dumps(value, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
	bool is_long = quoted && strlen(quoted) > VALUE_BYTES;
	snprintf(text + used, TEXT_BYTES - used, " %.*s%s", VALUE_BYTES, quoted ? quoted : "?",
		 is_long ? "..." : "");
	free(quoted);
}

/* As berthctl's command line has it. The text of a file is left out. */
static void append_argument(char text[TEXT_BYTES], const struct berth_argument *argument, const json_t *value)
{
	size_t i, used = strlen(text);
	json_t *word;
	bool is_named = argument->kind == BERTH_ARGUMENT_FLAG || argument->kind == BERTH_ARGUMENT_OPTION;
	if (!value || json_is_false(value))
		return;
	if (is_named)
		snprintf(text + used, TEXT_BYTES - used, " --%s", argument->name);
	json_array_foreach(value, i, word) append_value(text, word);
	if (argument->kind != BERTH_ARGUMENT_FLAG && !json_is_array(value))
		append_value(text, value);
}

void berth_cmd_format_line(char text[TEXT_BYTES], const struct berth_command *command, const json_t *arguments)
{
	snprintf(text, TEXT_BYTES, "%s", command->words);
	for (const struct berth_argument *argument = command->arguments; argument->name; argument++)
		if (strcmp(argument->name, "after") != 0)
			append_argument(text, argument, json_object_get(arguments, argument->name));
}

/* The pages of one clear so far. They are one change, with one line: after its last page, or before the line of
 * another change if the client stopped before. */
static struct {
	struct berth_server_peer peer;
	char text[TEXT_BYTES];
	json_int_t n;
} cleared;

static void log_cleared(void)
{
	if (cleared.n)
		berth_log("uid %d pid %d: %s: ok, %" JSON_INTEGER_FORMAT " cleared", (int)cleared.peer.uid,
			  (int)cleared.peer.pid, cleared.text, cleared.n);
	cleared.n = 0;
}

static void add_cleared(struct berth_server_peer peer, const char *text, json_int_t n, bool is_last)
{
	bool is_same = cleared.peer.uid == peer.uid && cleared.peer.pid == peer.pid &&
		       strcmp(cleared.text, text) == 0;
	if (!is_same)
		log_cleared();
	cleared.peer = peer;
	snprintf(cleared.text, sizeof(cleared.text), "%s", text);
	cleared.n += n;
	if (is_last)
		log_cleared();
}

/* The service and backend that a command is about, where its arguments name them. */
static void subject_of(const json_t *arguments, char service[VALUE_BYTES], struct berth_log_about *about)
{
	const char *backend = berth_cmd_text(arguments, "backend"), *slash = backend ? strchr(backend, '/') : NULL;
	about->service = berth_cmd_text(arguments, "service");
	if (!slash || slash - backend >= VALUE_BYTES)
		return;
	snprintf(service, VALUE_BYTES, "%.*s", (int)(slash - backend), backend);
	about->service = service;
	about->backend = slash + 1;
}

void berth_cmd_log(struct berth_server_peer peer, const struct berth_command *command, const json_t *arguments,
		   const char *error, const json_t *result)
{
	char text[TEXT_BYTES], service[VALUE_BYTES];
	struct berth_log_about about = {.priority = error ? BERTH_LOG_WARNING : BERTH_LOG_INFO};
	const json_t *count = json_object_get(result, "cleared_sessions");
	/* Of a capture the start is logged, not each read. */
	if (strcmp(command->words, "capture") == 0 && json_object_get(arguments, "after"))
		return;
	berth_cmd_format_line(text, command, arguments);
	if (count) {
		add_cleared(peer, text, json_integer_value(count),
			    !json_is_string(json_object_get(result, "next")));
		return;
	}
	log_cleared();
	subject_of(arguments, service, &about);
	berth_log_about(&about, "uid %d pid %d: %s: %s%s", (int)peer.uid, (int)peer.pid, text,
			error ? "failed: " : "ok", error ? error : "");
}
