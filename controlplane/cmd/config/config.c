// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdio.h>

#include "controlplane/cmd/cmd.h"
#include "controlplane/cmd/config/parser.h"
#include "controlplane/config/warnings.h"
#include "controlplane/history/digest.h"

static void add_warning(void *arg, const char *warning)
{
	json_array_append_new(arg, json_string(warning));
}

json_t *berth_cmd_warnings(const struct berth_config *config)
{
	json_t *warnings = json_array();
	berth_config_warn(config, add_warning, warnings);
	return warnings;
}

json_t *berth_cmd_config_summary(const struct berth_config *config)
{
	size_t backends = 0, names = 0;
	for (size_t i = 0; i < config->n_services; i++) {
		backends += config->services[i].n_configured;
		names += config->services[i].n_sources;
	}
	return json_pack("{s:I, s:I, s:I, s:o}", "services", (json_int_t)config->n_services, "backends",
			 (json_int_t)backends, "dns_names", (json_int_t)names, "warnings",
			 berth_cmd_warnings(config));
}

static bool parse(const struct berth_cmd_context *context, const json_t *arguments, bool applies,
		  struct berth_cmd_parsed *parsed)
{
	const json_t *text = json_object_get(arguments, "text");
	const struct berth_cmd_source source = {.name = berth_cmd_text(arguments, "file"),
						.text = json_string_value(text),
						.length = json_string_length(text),
						.applies = applies,
						.saves = applies &&
							 !json_is_true(json_object_get(arguments, "no-save")) &&
							 !json_object_get(arguments, "confirm")};
	return berth_cmd_parse_all(context, &source, 1, parsed);
}

/* The summary of a valid configuration that the engine can use. Else NULL, with the first error in `error` and all
 * of them in `errors`, a new reference. */
static json_t *check(const struct berth_cmd_context *context, const struct berth_cmd_parsed *parsed,
		     json_t **errors, char error[BERTH_ERROR_BYTES])
{
	if (parsed->config && context->actions->accepts(context->daemon, parsed->config, error))
		return berth_cmd_config_summary(parsed->config);
	if (parsed->config)
		json_array_append_new(parsed->errors, json_string(error));
	else
		snprintf(error, BERTH_ERROR_BYTES, "%s", parsed->error);
	*errors = json_incref(parsed->errors);
	return NULL;
}

enum berth_code berth_cmd_config_check(const struct berth_cmd_context *context, const json_t *arguments,
				       json_t **result, char error[BERTH_ERROR_BYTES])
{
	struct berth_cmd_parsed parsed;
	if (!parse(context, arguments, false, &parsed))
		return BERTH_CODE_OK;
	json_t *summary = check(context, &parsed, result, error);
	berth_cmd_parsed_clear(&parsed);
	if (!summary)
		return BERTH_CODE_CONFIG;
	*result = summary;
	return BERTH_CODE_OK;
}

enum berth_code berth_cmd_begin_apply(const struct berth_cmd_context *context, const json_t *arguments,
				      struct berth_cmd_apply *apply, char line[BERTH_CMD_LINE_BYTES],
				      char error[BERTH_ERROR_BYTES])
{
	const uid_t uid = berth_server_peer(context->server).uid;
	uint64_t confirm_ms;
	enum berth_code code = berth_cmd_parse_duration(arguments, "confirm", &confirm_ms, error);
	berth_cmd_format_line(line, context->command, arguments);
	*apply = (struct berth_cmd_apply){
		.what = line,
		.uid = uid == (uid_t)-1 ? -1 : (int64_t)uid,
		.save = !json_is_true(json_object_get(arguments, "no-save")),
		.force = json_is_true(json_object_get(arguments, "force")),
		.confirm_s = (uint32_t)(confirm_ms / 1000),
	};
	return code;
}

enum berth_code berth_cmd_apply_code(int err)
{
	switch (-err) {
	case 0:
		return BERTH_CODE_OK;
	case EIO:
	case ENOMEM:
		return BERTH_CODE_INTERNAL;
	case EBUSY:
	case EEXIST:
		return BERTH_CODE_CONFLICT;
	case ENOENT:
		return BERTH_CODE_NOT_FOUND;
	default:
		return BERTH_CODE_CONFIG;
	}
}

enum berth_code berth_cmd_end_apply(const struct berth_cmd_context *context, const struct berth_cmd_apply *apply,
				    json_t *summary, json_t **result)
{
	const bool is_saved = apply->save && !apply->confirm_s;
	json_object_set_new(summary, "saved", is_saved ? json_string(context->state->config_path) : json_null());
	json_object_set_new(summary, "confirm_s",
			    context->state->history->confirmation.former ? json_integer(apply->confirm_s)
									 : json_null());
	*result = summary;
	return berth_cmd_answer_applied(context, result);
}

/* A text with the line of `config show` is one that an operator has edited: was it made of what is in force? Skips
 * the line. */
static enum berth_code check_origin(const struct berth_cmd_context *context, struct berth_cmd_apply *apply,
				    char error[BERTH_ERROR_BYTES])
{
	const struct berth_config_text *now = context->state->model->config->text;
	uint64_t digest;
	const size_t line = berth_digest_line_of(apply->text, apply->length, &digest);
	const uint64_t in_force = berth_digest_of(now->text, now->length);
	const bool is_in_force = berth_digest_of(apply->text + line, apply->length - line) == in_force;
	if (line && !apply->force && digest != in_force && !is_in_force)
		return berth_cmd_fail(error, BERTH_CODE_CONFLICT,
				      "the configuration has changed since `config show` printed this one; `config "
				      "history` says who changed it, --force overwrites the change");
	apply->text += line;
	apply->length -= line;
	return BERTH_CODE_OK;
}

/* Takes the configuration of `parsed` if it can be used. */
static enum berth_code apply_parsed(const struct berth_cmd_context *context, const json_t *arguments,
				    struct berth_cmd_parsed *parsed, struct berth_cmd_apply *apply, json_t **result,
				    char error[BERTH_ERROR_BYTES])
{
	const json_t *text = json_object_get(arguments, "text");
	json_t *summary = check(context, parsed, result, error);
	if (!summary)
		return BERTH_CODE_CONFIG;
	apply->name = berth_cmd_text(arguments, "file");
	apply->text = json_string_value(text);
	apply->length = json_string_length(text);
	apply->config = &parsed->config;
	enum berth_code code = check_origin(context, apply, error);
	if (!code)
		code = berth_cmd_apply_code(context->actions->apply(context->daemon, apply, error));
	if (!code)
		return berth_cmd_end_apply(context, apply, summary, result);
	json_decref(summary);
	return code;
}

enum berth_code berth_cmd_config_apply(const struct berth_cmd_context *context, const json_t *arguments,
				       json_t **result, char error[BERTH_ERROR_BYTES])
{
	struct berth_cmd_apply apply;
	struct berth_cmd_parsed parsed;
	char line[BERTH_CMD_LINE_BYTES];
	enum berth_code code = berth_cmd_begin_apply(context, arguments, &apply, line, error);
	if (code || !parse(context, arguments, true, &parsed))
		return code;
	code = apply_parsed(context, arguments, &parsed, &apply, result, error);
	berth_cmd_parsed_clear(&parsed);
	return code;
}
