/* SPDX-License-Identifier: BSD-3-Clause */
/* For tests of the control plane: short configurations, and the null engine. */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/compile/compile.h"
#include "controlplane/config/parse.h"
#include "controlplane/engine/engine.h"
#include "controlplane/tables/publish.h"

#include "tests/support/unit.h"

static const char head[] = "engine: 'null'\n"
			   "interfaces: [{name: eth0}]\n"
			   "limits: {flows: 1024, sessions: 1024, services: 8, backends: 60}\n";

/* `services`: the YAML under the services key, or "" for none. */
__attribute__((unused)) static struct berth_config *configure(const char *services)
{
	char text[8192], error[BERTH_ERROR_BYTES] = "";
	snprintf(text, sizeof(text), "%s%s%s", head, services[0] ? "services:\n" : "", services);
	struct berth_config *config = berth_config_parse("test.yaml", text, strlen(text), error);
	assert_string_equal(error, "");
	assert_non_null(config);
	return config;
}

/* A service "web" on 203.0.113.10:80 with these backends, each "NAME LAST-NUMBER-OF-ADDRESS WEIGHT". */
__attribute__((unused)) static struct berth_config *configure_web(const char *const *backends)
{
	char text[4096];
	int n = snprintf(
		text, sizeof(text),
		"  - {name: web, address: 203.0.113.10, protocol: tcp, port: 80, mode: l2, table-size: 251, "
		"backends: [");
	for (; *backends; backends++) {
		char name[32];
		unsigned int last, weight;
		assert_int_equal(sscanf(*backends, "%31s %u %u", name, &last, &weight), 3);
		n += snprintf(text + n, sizeof(text) - (size_t)n, "{name: %s, address: 192.0.2.%u, weight: %u},",
			      name, last, weight);
	}
	snprintf(text + n, sizeof(text) - (size_t)n, "]}\n");
	return configure(text);
}

#define BACKENDS(...) ((const char *const[]){__VA_ARGS__, NULL})

__attribute__((unused)) static struct berth_engine *null_engine(const struct berth_config *config)
{
	char error[BERTH_ERROR_BYTES];
	struct berth_geometry geometry = berth_geometry_of(&config->limits, 251, 2);
	struct berth_engine *engine = berth_engine_null.open(config, NULL, &geometry, error);
	assert_non_null(engine);
	return engine;
}

/* All places of a generation's classifier, which the caller frees. */
__attribute__((unused)) static struct berth_vip *classifier_of(const struct berth_generation *generation)
{
	struct berth_vip *vips = calloc(generation->n_vips, sizeof(*vips));
	assert_non_null(vips);
	for (size_t i = 0; i < generation->n_slots; i++)
		vips[generation->slots[i].at] = generation->slots[i].vip;
	return vips;
}

/* Every backend up, with a next hop. */
__attribute__((unused)) static void all_up(struct berth_model *model)
{
	for (size_t i = 0; i < model->n_services; i++)
		for (size_t j = 0; j < model->services[i].n_backends; j++) {
			model->services[i].backends[j].health = BERTH_HEALTH_UP;
			model->services[i].backends[j].next_hop.is_resolved = true;
		}
}

/* Publishes the model, and what each backend eligibility unless it fails. What berth_publish returns. */
__attribute__((unused)) static int publish_model(struct berth_publisher *publisher,
						 const struct berth_engine *engine, struct berth_model *model)
{
	char error[BERTH_ERROR_BYTES];
	struct berth_generation *generation = berth_compile(model, &engine->image.geometry, error);
	assert_non_null(generation);
	int status = berth_publish(publisher, generation, error);
	berth_generation_free(generation);
	for (size_t i = 0; status >= 0 && i < model->n_services; i++)
		for (size_t j = 0; j < model->services[i].n_backends; j++) {
			const struct berth_model_backend *backend = &model->services[i].backends[j];
			berth_publish_eligibility(publisher, backend->number, berth_model_eligibility(backend));
		}
	return status;
}

/* The same where it is done once. */
__attribute__((unused)) static void publish_once(struct berth_engine *engine, struct berth_model *model)
{
	struct berth_publisher *publisher = berth_publisher_new(engine);
	assert_int_equal(publish_model(publisher, engine, model), 0);
	berth_publisher_free(publisher);
}
