// SPDX-License-Identifier: BSD-3-Clause
#include <string.h>

#include "controlplane/cmd/cmd.h"
#include "controlplane/util/address.h"
#include "controlplane/util/clock.h"

static json_t *addresses_json(const struct berth_dns_answer *answer)
{
	json_t *list = json_array();
	char text[BERTH_ADDRESS_TEXT];
	for (size_t i = 0; answer && i < answer->n; i++)
		json_array_append_new(list, json_string(berth_address_format(&answer->addresses[i], text)));
	return list;
}

/* Backends that have left DNS and still have flows or sessions: "web/pod@192.0.2.11". */
static void add_draining(json_t *list, const struct berth_model_service *service,
			 const struct berth_source_config *source)
{
	size_t length = strlen(source->template.name);
	for (size_t i = 0; i < service->n_backends; i++) {
		const struct berth_backend_config *backend = &service->backends[i].config;
		if (backend->leaving && strncmp(backend->name, source->template.name, length) == 0 &&
		    backend->name[length] == BERTH_DNS_NAME_SEPARATOR[0])
			json_array_append_new(list, json_sprintf("%s/%s", service->config.name, backend->name));
	}
}

/* Addresses that cannot be backends: "web: 2001:db8::1: mode l2 needs an IPv4 backend". */
static json_t *skipped_json(const struct berth_dns_expansion *expansion, const char *name)
{
	json_t *list = json_array();
	char text[BERTH_ADDRESS_TEXT];
	for (size_t i = 0; i < expansion->n_skipped; i++) {
		const struct berth_dns_skipped *skipped = &expansion->skipped[i];
		if (strcmp(skipped->dns, name) == 0)
			json_array_append_new(list, json_sprintf("%s: %s: %s", skipped->service,
								 berth_address_format(&skipped->address, text),
								 skipped->reason));
	}
	return list;
}

static json_t *name_json(const struct berth_daemon_state *state, const char *name, json_t *used_by,
			 json_t *draining)
{
	struct berth_dns_name_status status = {0};
	uint64_t now_ms = berth_clock_ms();
	berth_dns_resolver_get(state->dns_resolver, name, &status);
	json_t *age = status.last_success_ms ? berth_cmd_count((now_ms - status.last_success_ms) / 1000)
					     : json_null();
	json_t *next = status.is_querying ? json_null()
					  : berth_cmd_count(status.next_query_ms > now_ms
								    ? (status.next_query_ms - now_ms) / 1000
								    : 0);
	return json_pack("{s:s, s:O, s:o, s:o, s:o, s:o, s:o, s:s?, s:O, s:o}", "name", name, "used_by", used_by,
			 "addresses", addresses_json(berth_dns_state_answer(state->dns_state, name)), "age_s", age,
			 "next_query_s", next, "queries", berth_cmd_count(status.queries), "failures",
			 berth_cmd_count(status.failures), "last_error", status.error[0] ? status.error : NULL,
			 "draining", draining, "skipped", skipped_json(state->dns_expansion, name));
}

/* The users of a DNS name. */
struct uses {
	json_t *used_by; /* "web/pod" */
	json_t *draining;
};

static struct uses uses_of(const struct berth_model *model, const char *name)
{
	struct uses uses = {json_array(), json_array()};
	for (size_t i = 0; i < model->n_services; i++) {
		const struct berth_model_service *service = &model->services[i];
		for (size_t j = 0; j < service->config.n_sources; j++) {
			const struct berth_source_config *source = &model->config->services[i].sources[j];
			if (strcmp(source->dns, name) != 0)
				continue;
			json_array_append_new(uses.used_by,
					      json_sprintf("%s/%s", service->config.name, source->template.name));
			add_draining(uses.draining, service, source);
		}
	}
	return uses;
}

enum berth_code berth_cmd_show_dns(const struct berth_cmd_context *context, const json_t *arguments,
				   json_t **result, char error[BERTH_ERROR_BYTES])
{
	const struct berth_config *config = context->state->model->config;
	uint64_t after, at = 0;
	enum berth_code code = berth_cmd_parse_cursor(arguments, &after, error);
	if (code)
		return code;
	json_t *names = json_array(), *seen = json_object();
	for (size_t i = 0; i < config->n_services; i++)
		for (size_t j = 0; j < config->services[i].n_sources; j++) {
			const char *name = config->services[i].sources[j].dns;
			if (json_object_get(seen, name))
				continue;
			json_object_set_new(seen, name, json_true());
			const uint64_t index = at++;
			if (index < after || index >= after + BERTH_WIRE_PAGE)
				continue;
			struct uses uses = uses_of(context->state->model, name);
			json_array_append_new(names, name_json(context->state, name, uses.used_by, uses.draining));
			json_decref(uses.used_by);
			json_decref(uses.draining);
		}
	json_decref(seen);
	*result = json_pack("{s:o, s:o}", "names", names, "next", berth_cmd_next_page(after, at));
	return BERTH_CODE_OK;
}
