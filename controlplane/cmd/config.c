// SPDX-License-Identifier: BSD-3-Clause
#include <stdio.h>
#include <string.h>

#include "controlplane/cmd/cmd.h"

static bool same_interfaces(const struct berth_config *a, const struct berth_config *b)
{
	if (a->n_interfaces != b->n_interfaces)
		return false;
	for (size_t i = 0; i < a->n_interfaces; i++) {
		const struct berth_interface_config *one = &a->interfaces[i];
		const struct berth_interface_config *other = &b->interfaces[i];
		if (strcmp(one->name, other->name) != 0 || strcmp(one->device, other->device) != 0 ||
		    one->xdp != other->xdp || one->queues != other->queues)
			return false;
	}
	return true;
}

static bool same_dpdk(const struct berth_dpdk_config *a, const struct berth_dpdk_config *b)
{
	return a->workers == b->workers && a->idle == b->idle && a->memory_mb == b->memory_mb &&
	       a->rx_ring == b->rx_ring && a->tx_ring == b->tx_ring;
}

static bool same_limits(const struct berth_limits *a, const struct berth_limits *b)
{
	return a->flows == b->flows && a->sessions == b->sessions && a->services == b->services &&
	       a->backends == b->backends;
}

/* What of `next` waits for a restart, because an engine is made with it. */
static json_t *warnings_of(const struct berth_config *running, const struct berth_config *next)
{
	const struct {
		const char *key;
		bool same;
	} fixed[] = {
		{"engine", running->engine == next->engine},
		{"interfaces", same_interfaces(running, next)},
		{"dpdk", same_dpdk(&running->dpdk, &next->dpdk)},
		{"limits", same_limits(&running->limits, &next->limits)},
	};
	json_t *warnings = json_array();
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (!fixed[i].same)
			json_array_append_new(
				warnings, json_sprintf("`%s` differs from what runs; berthd takes it up when it "
						       "is started again",
						       fixed[i].key));
	return warnings;
}

/* {"services", "backends", "warnings"}; NULL: no memory. */
static json_t *summary_of(const struct berth_config *running, const struct berth_config *next)
{
	size_t backends = 0;
	for (size_t i = 0; i < next->n_services; i++)
		backends += next->services[i].n_backends;
	return json_pack("{s:I, s:I, s:o}", "services", (json_int_t)next->n_services, "backends",
			 (json_int_t)backends, "warnings", warnings_of(running, next));
}

/* Whether a model of this configuration alone fits the running engine's tables. Takes `config`. */
static int check_fit(const struct berth_daemon *daemon, struct berth_config *config, char error[BERTH_ERROR_BYTES])
{
	const struct berth_geometry *geometry = &daemon->engine->image.geometry;
	struct berth_model scratch;
	snprintf(error, BERTH_ERROR_BYTES, "berthd is out of memory");
	if (berth_model_init(&scratch, geometry) != 0) {
		berth_config_free(config);
		return -1;
	}
	int rc = berth_model_apply(&scratch, config, error);
	if (rc != 0)
		berth_config_free(config);
	struct berth_generation *generation = rc == 0 ? berth_compile(&scratch, geometry, error) : NULL;
	rc = generation ? 0 : -1;
	berth_generation_free(generation);
	berth_model_clear(&scratch);
	return rc;
}

enum berth_code berth_cmd_config_check(struct berth_daemon *daemon, const json_t *arguments, json_t **result,
				       char error[BERTH_ERROR_BYTES])
{
	const json_t *text = json_object_get(arguments, "text");
	struct berth_config *config = berth_config_parse(berth_cmd_text(arguments, "file"), json_string_value(text),
							 json_string_length(text), error);
	if (!config)
		return BERTH_CODE_CONFIG;
	json_t *summary = summary_of(daemon->model.config, config);
	if (check_fit(daemon, config, error) != 0) {
		json_decref(summary);
		return BERTH_CODE_CONFIG;
	}
	*result = summary;
	return BERTH_CODE_OK;
}

enum berth_code berth_cmd_config_apply(struct berth_daemon *daemon, const json_t *arguments, json_t **result,
				       char error[BERTH_ERROR_BYTES])
{
	const char *name = berth_cmd_text(arguments, "file");
	const json_t *text = json_object_get(arguments, "text");
	bool save = !json_is_true(json_object_get(arguments, "no-save"));
	struct berth_config *config = berth_config_parse(name, json_string_value(text), json_string_length(text),
							 error);
	if (!config)
		return BERTH_CODE_CONFIG;
	json_t *summary = summary_of(daemon->model.config, config);
	berth_config_free(config);
	if (berth_daemon_apply(daemon, name, json_string_value(text), json_string_length(text), save, error) != 0) {
		json_decref(summary);
		return BERTH_CODE_CONFIG;
	}
	if (summary)
		json_object_set_new(summary, "saved", save ? json_string(daemon->options.config_path) : json_null());
	*result = summary;
	return BERTH_CODE_OK;
}
