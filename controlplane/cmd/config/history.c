// SPDX-License-Identifier: BSD-3-Clause
/* The configuration in force and those before it: show, diff, save, history, undo, confirm. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "controlplane/cmd/cmd.h"
#include "controlplane/cmd/config/parser.h"
#include "controlplane/config/diff.h"
#include "controlplane/history/digest.h"
#include "controlplane/history/history.h"
#include "controlplane/util/file.h"

#define FORMER "the former configuration"

/* A number of changes to go back; `absent` without the argument. */
static enum berth_code parse_steps(const json_t *arguments, const char *name, unsigned long absent, size_t *steps,
				   char error[BERTH_ERROR_BYTES])
{
	const char *text = berth_cmd_text(arguments, name);
	char *end = NULL;
	const unsigned long number = text ? strtoul(text, &end, 10) : absent;
	*steps = number;
	if (text && (text[0] < '0' || text[0] > '9' || *end || number > UINT16_MAX))
		return berth_cmd_fail(error, BERTH_CODE_INVALID,
				      "invalid number \"%.32s\"; write one of the column UNDO of `config history`",
				      text);
	return BERTH_CODE_OK;
}

static json_t *text_json(const char *text, size_t length)
{
	char digest[BERTH_DIGEST_TEXT], line[BERTH_DIGEST_LINE];
	const uint64_t number = berth_digest_of(text, length);
	berth_digest_line(number, line);
	return json_pack("{s:s, s:s, s:s%}", "digest", berth_digest_format(number, digest), "digest_line", line,
			 "text", text, length);
}

enum berth_code berth_cmd_config_show(const struct berth_cmd_context *context, const json_t *arguments,
				      json_t **result, char error[BERTH_ERROR_BYTES])
{
	const struct berth_config_text *now = context->state->model->config->text;
	size_t steps, length;
	enum berth_code code = parse_steps(arguments, "undo", 0, &steps, error);
	if (code)
		return code;
	if (!steps) {
		*result = text_json(now->text, now->length);
		return BERTH_CODE_OK;
	}
	const struct berth_history_entry *entry = berth_history_back(context->state->history, steps);
	if (!entry)
		return berth_cmd_fail(error, BERTH_CODE_NOT_FOUND,
				      "no such configuration; `config history` lists those that are kept");
	char *text = berth_history_text(context->state->directory, entry, &length, error);
	if (!text)
		return BERTH_CODE_NOT_FOUND;
	*result = text_json(text, length);
	free(text);
	return BERTH_CODE_OK;
}

/* What `config diff` compares. */
struct both {
	const char *names[2];
	struct berth_cmd_source sources[2]; /* the last one is after the change */
	size_t n;			    /* 1: what is before it is in force */
	char *file;			    /* the configuration file, if it is read */
};

static struct berth_cmd_source source_of(const json_t *arguments, const char *name, const char *content)
{
	const json_t *text = json_object_get(arguments, content);
	return (struct berth_cmd_source){.name = berth_cmd_text(arguments, name),
					 .text = text ? json_string_value(text) : "",
					 .length = json_string_length(text)};
}

/* False with one line in `error`. */
static bool find_both(const struct berth_cmd_context *context, const json_t *arguments, struct both *both,
		      char error[BERTH_ERROR_BYTES])
{
	const char *path = context->state->config_path;
	const char *file = berth_cmd_text(arguments, "file"), *file2 = berth_cmd_text(arguments, "file2");
	size_t length;
	*both = (struct both){.names = {file2 ? file : "in force", file2 ? file2 : file ? file : path}};
	if (file)
		both->sources[both->n++] = source_of(arguments, "file", "text");
	if (file2)
		both->sources[both->n++] = source_of(arguments, "file2", "text2");
	if (both->n)
		return true;
	both->file = berth_file_read(path, &length);
	if (!both->file) {
		snprintf(error, BERTH_ERROR_BYTES, "%s: cannot be read (%s); check the path and its permissions",
			 path, strerror(errno));
		return false;
	}
	both->sources[both->n++] = (struct berth_cmd_source){.name = path, .text = both->file, .length = length};
	return true;
}

static json_t *compare(const struct both *both, const struct berth_config *before, const struct berth_config *after)
{
	const struct berth_config_text *a = before->text, *b = after->text;
	const bool is_same = a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
	return json_pack("{s:s, s:s, s:b, s:o}", "before", both->names[0], "after", both->names[1], "same_text",
			 is_same, "changes", berth_cmd_changes(before, after));
}

/* NULL with one line in `error`. */
static json_t *compare_parsed(const struct berth_cmd_context *context, const struct both *both,
			      const struct berth_cmd_parsed *parsed, char error[BERTH_ERROR_BYTES])
{
	for (size_t i = 0; i < both->n; i++)
		if (!parsed[i].config) {
			snprintf(error, BERTH_ERROR_BYTES, "%s", parsed[i].error);
			return NULL;
		}
	if (both->n == 2)
		return compare(both, parsed[0].config, parsed[1].config);
	struct berth_config *before = berth_config_copy_configured(context->state->model->config);
	json_t *result = before ? compare(both, before, parsed[0].config) : NULL;
	snprintf(error, BERTH_ERROR_BYTES, "out of memory");
	berth_config_free(before);
	return result;
}

enum berth_code berth_cmd_config_diff(const struct berth_cmd_context *context, const json_t *arguments,
				      json_t **result, char error[BERTH_ERROR_BYTES])
{
	struct berth_cmd_parsed parsed[BERTH_CMD_SOURCES];
	struct both both;
	if (!find_both(context, arguments, &both, error))
		return BERTH_CODE_CONFIG;
	const bool is_parsed = berth_cmd_parse_all(context, both.sources, both.n, parsed);
	if (is_parsed)
		*result = compare_parsed(context, &both, parsed, error);
	for (size_t i = 0; is_parsed && i < both.n; i++)
		berth_cmd_parsed_clear(&parsed[i]);
	free(both.file);
	return *result || !is_parsed ? BERTH_CODE_OK : BERTH_CODE_CONFIG;
}

enum berth_code berth_cmd_config_save(const struct berth_cmd_context *context, const json_t *arguments,
				      json_t **result, char error[BERTH_ERROR_BYTES])
{
	const bool force = json_is_true(json_object_get(arguments, "force"));
	int err = context->state->history->confirmation.former ? -EBUSY : 0;
	if (err)
		snprintf(error, BERTH_ERROR_BYTES,
			 "the configuration in force waits for a confirmation; `config confirm` saves it");
	else
		err = context->actions->save_config(context->daemon, force, error);
	if (!err)
		*result = json_pack("{s:s}", "saved", context->state->config_path);
	return berth_cmd_apply_code(err);
}

static json_t *entry_json(const struct berth_history *history, size_t steps)
{
	const struct berth_history_entry *entry = berth_history_back(history, steps);
	const struct berth_history_confirmation *confirmation = &history->confirmation;
	char digest[BERTH_DIGEST_TEXT];
	const uint32_t left = steps ? 0 : berth_history_left(confirmation, time(NULL));
	return json_pack("{s:I, s:I, s:o, s:s, s:s, s:s, s:o}", "undo", (json_int_t)steps, "unix_s",
			 (json_int_t)entry->unix_s, "uid",
			 entry->uid < 0 ? json_null() : json_integer((json_int_t)entry->uid), "digest",
			 berth_digest_format(entry->digest, digest), "what", entry->what, "change", entry->change,
			 "confirm_s", left ? json_integer(left) : json_null());
}

enum berth_code berth_cmd_config_history(const struct berth_cmd_context *context, const json_t *arguments,
					 json_t **result, char error[BERTH_ERROR_BYTES])
{
	const struct berth_history *history = context->state->history;
	json_t *entries = json_array();
	(void)arguments;
	(void)error;
	for (size_t steps = 0; steps < history->n; steps++)
		json_array_append_new(entries, entry_json(history, steps));
	*result = json_pack("{s:o}", "configurations", entries);
	return BERTH_CODE_OK;
}

/* Parses what is to be in force again; nothing, if it is not kept: the action says so. False: in a thread, or with
 * a code. */
static bool parse_former(const struct berth_cmd_context *context, size_t steps, struct berth_cmd_parsed *parsed,
			 enum berth_code *code, char error[BERTH_ERROR_BYTES])
{
	const struct berth_history_entry *entry = berth_history_back(context->state->history, steps);
	struct berth_cmd_source source = {.name = FORMER, .applies = true};
	char *text = entry ? berth_history_text(context->state->directory, entry, &source.length, error) : NULL;
	*parsed = (struct berth_cmd_parsed){.config = NULL};
	source.text = text;
	if (!text)
		return true;
	if (berth_cmd_has_other_text(context, &source))
		*code = berth_cmd_fail(error, BERTH_CODE_CONFLICT,
				       "another configuration has come into force meanwhile; `config history` "
				       "says which");
	const bool is_parsed = !*code && berth_cmd_parse_all(context, &source, 1, parsed);
	free(text);
	return is_parsed;
}

enum berth_code berth_cmd_config_undo(const struct berth_cmd_context *context, const json_t *arguments,
				      json_t **result, char error[BERTH_ERROR_BYTES])
{
	struct berth_cmd_apply apply;
	struct berth_cmd_parsed parsed;
	char line[BERTH_CMD_LINE_BYTES];
	size_t steps;
	enum berth_code code = parse_steps(arguments, "steps", 1, &steps, error);
	if (!code && !steps)
		code = berth_cmd_fail(error, BERTH_CODE_INVALID, "0 is what is in force; write 1 or more");
	if (!code)
		code = berth_cmd_begin_apply(context, arguments, &apply, line, error);
	if (code)
		return code;
	apply.name = FORMER;
	if (!parse_former(context, steps, &parsed, &code, error))
		return code;
	apply.text = NULL;
	apply.config = parsed.config ? &parsed.config : NULL;
	code = berth_cmd_apply_code(context->actions->undo(context->daemon, steps, &apply, error));
	free((char *)apply.text);
	berth_cmd_parsed_clear(&parsed);
	if (code)
		return code;
	return berth_cmd_end_apply(context, &apply, berth_cmd_config_summary(context->state->model->config),
				   result);
}

enum berth_code berth_cmd_config_confirm(const struct berth_cmd_context *context, const json_t *arguments,
					 json_t **result, char error[BERTH_ERROR_BYTES])
{
	bool is_saved;
	(void)arguments;
	int err = context->actions->confirm(context->daemon, &is_saved, error);
	if (!err)
		*result = json_pack("{s:s?}", "saved", is_saved ? context->state->config_path : NULL);
	return berth_cmd_apply_code(err);
}
