// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdio.h>

#include "controlplane/cmd/cmd.h"

static bool takes_somebody(const struct berth_service_config *service)
{
	for (size_t i = 0; i < service->n_backends; i++)
		if (service->backends[i].weight > 0)
			return true;
	return false;
}

/* What is allowed and yet hardly meant. */
static json_t *warnings_of(const struct berth_config *config)
{
	json_t *warnings = json_array();
	for (size_t i = 0; i < config->n_services; i++) {
		const struct berth_service_config *service = &config->services[i];
		if (takes_somebody(service))
			continue;
		const char *why = service->n_backends ? "all its backends have weight 0" : "it has no backends";
		json_array_append_new(warnings, json_sprintf("service %s takes nobody: %s", service->name, why));
	}
	return warnings;
}

/* {"services", "backends", "warnings"}; NULL: no memory. */
static json_t *summary_of(const struct berth_config *config)
{
	size_t backends = 0;
	for (size_t i = 0; i < config->n_services; i++)
		backends += config->services[i].n_backends;
	return json_pack("{s:I, s:I, s:o}", "services", (json_int_t)config->n_services, "backends",
			 (json_int_t)backends, "warnings", warnings_of(config));
}

/* Whether a model of this configuration alone fits the running engine's tables. Takes `config`. */
static bool fits(const struct berth_daemon *daemon, struct berth_config *config, char error[BERTH_ERROR_BYTES])
{
	const struct berth_geometry *geometry = &daemon->engine->image.geometry;
	struct berth_generation *generation = NULL;
	struct berth_model model;
	if (berth_model_init(&model, geometry) != 0) {
		snprintf(error, BERTH_ERROR_BYTES, "out of memory");
		berth_config_free(config);
		return false;
	}
	if (berth_model_apply(&model, config, error) == 0)
		generation = berth_compile(&model, geometry, error);
	else
		berth_config_free(config);
	bool is_compiled = generation != NULL;
	berth_generation_free(generation);
	berth_model_clear(&model);
	return is_compiled;
}

enum berth_code berth_cmd_config_check(struct berth_daemon *daemon, const json_t *arguments, json_t **result,
				       char error[BERTH_ERROR_BYTES])
{
	const json_t *text = json_object_get(arguments, "text");
	struct berth_config *config = berth_config_parse(berth_cmd_text(arguments, "file"), json_string_value(text),
							 json_string_length(text), error);
	if (!config)
		return BERTH_CODE_CONFIG;
	if (!berth_daemon_accepts(daemon, config, error)) {
		berth_config_free(config);
		return BERTH_CODE_CONFIG;
	}
	json_t *summary = summary_of(config);
	if (!fits(daemon, config, error)) {
		json_decref(summary);
		return BERTH_CODE_CONFIG;
	}
	*result = summary;
	return BERTH_CODE_OK;
}

enum berth_code berth_cmd_config_apply(struct berth_daemon *daemon, const json_t *arguments, json_t **result,
				       char error[BERTH_ERROR_BYTES])
{
	const json_t *text = json_object_get(arguments, "text");
	bool save = !json_is_true(json_object_get(arguments, "no-save"));
	int err = berth_daemon_apply(daemon, berth_cmd_text(arguments, "file"), json_string_value(text),
				     json_string_length(text), save, error);
	if (err)
		return err == -EIO || err == -ENOMEM ? BERTH_CODE_INTERNAL : BERTH_CODE_CONFIG;
	*result = summary_of(daemon->model.config);
	if (*result)
		json_object_set_new(*result, "saved",
				    save ? json_string(daemon->options.config_path) : json_null());
	return BERTH_CODE_OK;
}
