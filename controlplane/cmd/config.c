// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdio.h>

#include "controlplane/cmd/cmd.h"
#include "controlplane/config/parse.h"

static bool has_weight(const struct berth_service_config *service)
{
	for (size_t i = 0; i < service->n_backends; i++)
		if (service->backends[i].weight > 0)
			return true;
	for (size_t i = 0; i < service->n_sources; i++)
		if (service->sources[i].template.weight > 0)
			return true;
	return false;
}

/* Valid, but probably a mistake. */
static json_t *warnings_of(const struct berth_config *config)
{
	json_t *warnings = json_array();
	for (size_t i = 0; i < config->n_services; i++) {
		const struct berth_service_config *service = &config->services[i];
		if (has_weight(service))
			continue;
		const char *reason = service->n_backends + service->n_sources ? "all of its backends have weight 0"
									      : "it has no backends";
		json_array_append_new(warnings,
				      json_sprintf("service %s accepts no clients: %s", service->name, reason));
	}
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
			 (json_int_t)backends, "dns_names", (json_int_t)names, "warnings", warnings_of(config));
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
	return berth_cmd_answer_in_force(context, result);
}
