// SPDX-License-Identifier: BSD-3-Clause
/* `backend set|add|remove` and `service set|add|remove`: edits of the configuration in force, applied like a file.
 */
#include "controlplane/edit/edit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/cmd/cmd.h"
#include "controlplane/cmd/config/parser.h"
#include "controlplane/server/access.h"

#define NAME "the edited configuration"

enum {
	PAIRS = 32,
};

/* The argument `keys`, after `n` pairs that are there. */
static enum berth_code parse_pairs(const json_t *arguments, struct berth_edit_pair pairs[PAIRS], size_t *n,
				   char error[BERTH_ERROR_BYTES])
{
	const json_t *words = json_object_get(arguments, "keys");
	const size_t count = json_array_size(words);
	if (count % 2)
		return berth_cmd_fail(error, BERTH_CODE_INVALID, "\"%.64s\" has no value; write KEY VALUE",
				      json_string_value(json_array_get(words, count - 1)));
	if (*n + count / 2 > PAIRS)
		return berth_cmd_fail(error, BERTH_CODE_INVALID, "more than %d keys; write them in a file", PAIRS);
	for (size_t i = 0; i < count; i += 2)
		pairs[(*n)++] = (struct berth_edit_pair){json_string_value(json_array_get(words, i)),
							 json_string_value(json_array_get(words, i + 1))};
	return BERTH_CODE_OK;
}

/* An operator may change how much a backend gets, and not what is one. */
static enum berth_code check_role(const struct berth_cmd_context *context, const struct berth_edit *edit,
				  char error[BERTH_ERROR_BYTES])
{
	static const char *const free_keys[] = {"weight", "max-flows", "backup"};
	const struct berth_server_peer peer = berth_server_peer(context->server);
	if (berth_access_role(context->state->access, &peer) == BERTH_ROLE_ADMIN)
		return BERTH_CODE_OK;
	for (size_t i = 0; i < edit->n; i++) {
		bool is_free = false;
		for (size_t j = 0; j < sizeof(free_keys) / sizeof(free_keys[0]); j++)
			is_free |= strcmp(edit->pairs[i].key, free_keys[j]) == 0;
		if (!is_free)
			return berth_cmd_fail(
				error, BERTH_CODE_DENIED,
				"\"%.64s\" needs the role admin; an operator sets weight, max-flows and "
				"backup",
				edit->pairs[i].key);
	}
	return BERTH_CODE_OK;
}

/* Checks the text like `config check`, and what it changes. */
static json_t *summarize(const struct berth_cmd_context *context, const struct berth_cmd_parsed *parsed,
			 char error[BERTH_ERROR_BYTES])
{
	if (!parsed->config)
		snprintf(error, BERTH_ERROR_BYTES, "%s", parsed->error);
	if (!parsed->config || !context->actions->accepts(context->daemon, parsed->config, error))
		return NULL;
	json_t *summary = berth_cmd_config_summary(parsed->config);
	if (summary)
		json_object_set_new(summary, "changes",
				    berth_cmd_changes(context->state->model->config, parsed->config));
	return summary;
}

static enum berth_code apply_parsed(const struct berth_cmd_context *context, struct berth_cmd_parsed *parsed,
				    struct berth_cmd_apply *apply, json_t **result, char error[BERTH_ERROR_BYTES])
{
	json_t *summary = summarize(context, parsed, error);
	if (!summary)
		return BERTH_CODE_CONFIG;
	apply->config = &parsed->config;
	enum berth_code code = berth_cmd_apply_code(context->actions->apply(context->daemon, apply, error));
	if (!code)
		return berth_cmd_end_apply(context, apply, summary, result);
	json_decref(summary);
	return code;
}

static enum berth_code apply(const struct berth_cmd_context *context, const json_t *arguments, const char *text,
			     size_t length, json_t **result, char error[BERTH_ERROR_BYTES])
{
	struct berth_cmd_apply apply;
	struct berth_cmd_parsed parsed;
	char line[BERTH_CMD_LINE_BYTES];
	enum berth_code code = berth_cmd_begin_apply(context, arguments, &apply, line, error);
	const struct berth_cmd_source source = {.name = NAME,
						.text = text,
						.length = length,
						.applies = true,
						.saves = apply.save && !apply.confirm_s};
	if (code || !berth_cmd_parse_all(context, &source, 1, &parsed))
		return code;
	apply.name = NAME;
	apply.text = text;
	apply.length = length;
	code = apply_parsed(context, &parsed, &apply, result, error);
	berth_cmd_parsed_clear(&parsed);
	return code;
}

static enum berth_code run(const struct berth_cmd_context *context, const json_t *arguments,
			   const struct berth_edit *edit, json_t **result, char error[BERTH_ERROR_BYTES])
{
	const struct berth_config_text *now = context->state->model->config->text;
	size_t length;
	int err;
	enum berth_code code = check_role(context, edit, error);
	if (code)
		return code;
	char *text = berth_edit_apply(edit, now->text, now->length, &length, &err, error);
	if (!text)
		return err == -ENOENT	? BERTH_CODE_NOT_FOUND
		       : err == -ENOMEM ? BERTH_CODE_INTERNAL
					: BERTH_CODE_INVALID;
	if (json_is_true(json_object_get(arguments, "plan")))
		code = berth_cmd_plan_text(context, NAME, text, length, result, error);
	else
		code = apply(context, arguments, text, length, result, error);
	free(text);
	return code;
}

static enum berth_code edit(const struct berth_cmd_context *context, const json_t *arguments,
			    enum berth_edit_what what, const char *target, json_t **result,
			    char error[BERTH_ERROR_BYTES])
{
	struct berth_edit_pair pairs[PAIRS];
	struct berth_edit edit = {.what = what, .target = berth_cmd_text(arguments, target), .pairs = pairs};
	const char *address = berth_cmd_text(arguments, "address");
	const bool is_dns = address && strncmp(address, "dns:", 4) == 0;
	if (address)
		pairs[edit.n++] = (struct berth_edit_pair){is_dns ? "dns" : "address", address + (is_dns ? 4 : 0)};
	enum berth_code code = parse_pairs(arguments, pairs, &edit.n, error);
	return code ? code : run(context, arguments, &edit, result, error);
}

#define EDIT(symbol, what, target)                                                                                 \
	enum berth_code berth_cmd_##symbol(const struct berth_cmd_context *context, const json_t *arguments,       \
					   json_t **result, char error[BERTH_ERROR_BYTES])                         \
	{                                                                                                          \
		return edit(context, arguments, BERTH_EDIT_##what, target, result, error);                         \
	}

EDIT(backend_set, BACKEND_SET, "backend")
EDIT(backend_add, BACKEND_ADD, "backend")
EDIT(backend_remove, BACKEND_REMOVE, "backend")
EDIT(service_set, SERVICE_SET, "service")
EDIT(service_add, SERVICE_ADD, "service")
EDIT(service_remove, SERVICE_REMOVE, "service")
