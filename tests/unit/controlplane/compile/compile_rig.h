/* SPDX-License-Identifier: BSD-3-Clause */
/* A configuration, parsed and compiled. */
#pragma once

#include "controlplane/config/parse.h"
#include "controlplane/util/address.h"
#include "tests/support/control.h"

/* A configuration compiled, and what else an image around it needs to classify packets. */
struct compile_rig {
	struct berth_model model;
	struct berth_geometry geometry;
	struct berth_generation *generation;
	struct berth_ctl ctl;
};

/* `services`: lines of "NAME ADDRESS PORT OTHER-KEYS"; `top`: other lines of the file. */
static inline struct berth_config *config_of(const char *top, const char *services)
{
	char name[16], address[64], port[16], keys[256], error[BERTH_ERROR_BYTES] = "";
	char *text = malloc(strlen(top) + 4 * strlen(services) + 256);
	char *at = text + sprintf(text, "engine: 'null'\ninterfaces: [{name: eth0}]\n%sservices:\n", top);
	while (sscanf(services, "%15s %63s %15s %255[^\n]", name, address, port, keys) == 4) {
		at += sprintf(at,
			      "- {name: %s, address: \"%s\", port: %s, table-size: 31, health: {type: none}, %s}\n",
			      name, address, port, keys);
		services = strchr(services, '\n') + 1;
	}
	struct berth_config *config = berth_config_parse("test.yaml", text, (size_t)(at - text), error);
	assert_string_equal(error, "");
	free(text);
	return config;
}

static inline struct compile_rig *compile(const char *top, const char *services)
{
	char error[BERTH_ERROR_BYTES];
	struct compile_rig *rig = calloc(1, sizeof(*rig));
	struct berth_config *config = config_of(top, services);
	rig->geometry = berth_geometry_of(&config->limits, 31, 1);
	assert_int_equal(berth_model_init(&rig->model, &rig->geometry), 0);
	assert_int_equal(berth_model_apply(&rig->model, config, error), 0);
	rig->generation = berth_compile(&rig->model, &rig->geometry, error);
	if (!rig->generation)
		fail_msg("%s", error);
	return rig;
}

static inline void drop(struct compile_rig *rig)
{
	berth_generation_free(rig->generation);
	berth_model_clear(&rig->model);
	free(rig);
}

static inline union berth_addr addr(const char *text)
{
	union berth_addr address;
	assert_int_equal(berth_address_parse(text, &address), 0);
	return address;
}

static inline void compile_again(struct compile_rig *rig)
{
	char error[BERTH_ERROR_BYTES];
	berth_generation_free(rig->generation);
	rig->generation = berth_compile(&rig->model, &rig->geometry, error);
	if (!rig->generation)
		fail_msg("%s", error);
}
