// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdio.h>

#include "controlplane/cmd/cmd.h"
#include "controlplane/config/parse.h"
#include "controlplane/config/warnings.h"

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

/* {"services", "backends", "dns_names", "warnings"}. No DNS lookup. NULL: out of memory. */
static json_t *summary_of(const struct berth_config *config)
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

/* The summary of a valid configuration that the engine can use; NULL with one line in `error`. */
static json_t *check(const struct berth_cmd_context *context, const json_t *arguments,
		     char error[BERTH_ERROR_BYTES])
{
	const json_t *text = json_object_get(arguments, "text");
	struct berth_config *config = berth_config_parse(berth_cmd_text(arguments, "file"), json_string_value(text),
							 json_string_length(text), error);
	json_t *summary = config && context->actions->accepts(context->daemon, config, error) ? summary_of(config)
											      : NULL;
	berth_config_free(config);
	return summary;
}

enum berth_code berth_cmd_config_check(const struct berth_cmd_context *context, const json_t *arguments,
				       json_t **result, char error[BERTH_ERROR_BYTES])
{
	*result = check(context, arguments, error);
	return *result ? BERTH_CODE_OK : BERTH_CODE_CONFIG;
}

enum berth_code berth_cmd_config_apply(const struct berth_cmd_context *context, const json_t *arguments,
				       json_t **result, char error[BERTH_ERROR_BYTES])
{
	const json_t *text = json_object_get(arguments, "text");
	bool save = !json_is_true(json_object_get(arguments, "no-save"));
	json_t *summary = check(context, arguments, error);
	if (!summary)
		return BERTH_CODE_CONFIG;
	int err = context->actions->apply(context->daemon, berth_cmd_text(arguments, "file"),
					  json_string_value(text), json_string_length(text), save, error);
	if (err) {
		json_decref(summary);
		return err == -EIO || err == -ENOMEM ? BERTH_CODE_INTERNAL : BERTH_CODE_CONFIG;
	}
	json_object_set_new(summary, "saved", save ? json_string(context->state->config_path) : json_null());
	*result = summary;
	return berth_cmd_answer_applied(context, result);
}
