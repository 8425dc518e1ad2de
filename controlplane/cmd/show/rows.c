// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/cmd/show/rows.h"

#include <stdlib.h>
#include <string.h>

#include "controlplane/util/address.h"
#include "controlplane/util/glob.h"

enum {
	MOST_SEEN = 20000, /* services and backends that one page of services looks at */
};

static bool has_host(const struct berth_cmd_filter *filter, const struct berth_model_service *service)
{
	for (size_t i = 0; i < service->n_backends; i++)
		if (berth_addr_equal(&service->backends[i].config.address, &filter->host))
			return true;
	return false;
}

bool berth_cmd_filter_service(const struct berth_cmd_filter *filter, const struct berth_model_service *service)
{
	return (!filter->service[0] || berth_glob_match(filter->service, service->config.name)) &&
	       (!filter->has_host || has_host(filter, service));
}

bool berth_cmd_filter_backend(const struct berth_cmd_filter *filter, const struct berth_model_backend *backend)
{
	return (!filter->backend[0] || berth_glob_match(filter->backend, backend->config.name)) &&
	       (!filter->is_down || berth_model_health(backend) != BERTH_HEALTH_UP) &&
	       (!filter->has_host || berth_addr_equal(&backend->config.address, &filter->host));
}

/* "GLOB" or "GLOB/GLOB". */
static enum berth_code parse_names(const struct berth_cmd_context *context, const char *text,
				   struct berth_cmd_filter *filter, char error[BERTH_ERROR_BYTES])
{
	const char *slash = strchr(text, '/');
	const size_t length = slash ? (size_t)(slash - text) : strlen(text);
	if (length >= sizeof(filter->service) || (slash && strlen(slash + 1) >= sizeof(filter->backend)))
		return berth_cmd_fail(error, BERTH_CODE_INVALID, "invalid name \"%.32s...\": it is too long", text);
	memcpy(filter->service, text, length);
	snprintf(filter->backend, sizeof(filter->backend), "%s", slash ? slash + 1 : "");
	for (size_t i = 0; i < context->state->model->n_services; i++)
		if (berth_glob_match(filter->service, context->state->model->services[i].config.name))
			return BERTH_CODE_OK;
	return berth_cmd_fail(error, BERTH_CODE_NOT_FOUND,
			      "service \"%s\" not found; `berthctl show services` lists all services",
			      filter->service);
}

enum berth_code berth_cmd_parse_filter(const struct berth_cmd_context *context, const json_t *arguments,
				       struct berth_cmd_filter *filter, char error[BERTH_ERROR_BYTES])
{
	const char *names = berth_cmd_text(arguments, "service"), *host = berth_cmd_text(arguments, "host");
	*filter = (struct berth_cmd_filter){.is_down = json_is_true(json_object_get(arguments, "down")),
					    .has_host = host != NULL};
	if (host && berth_address_parse(host, &filter->host))
		return berth_cmd_fail(error, BERTH_CODE_INVALID,
				      "invalid host \"%.64s\"; write the address of a server, as 192.0.2.11", host);
	return names ? parse_names(context, names, filter, error) : BERTH_CODE_OK;
}

static void add_row(json_t *rows, json_t *row)
{
	if (row)
		json_array_append_new(rows, row);
}

enum berth_code berth_cmd_page_services(const struct berth_cmd_context *context, const json_t *arguments,
					berth_cmd_service_fn *row, json_t **services, json_t **next,
					char error[BERTH_ERROR_BYTES])
{
	const struct berth_model *model = context->state->model;
	struct berth_cmd_filter filter;
	uint64_t at, seen = 0;
	enum berth_code code = berth_cmd_parse_filter(context, arguments, &filter, error);
	if (!code)
		code = berth_cmd_parse_cursor(arguments, &at, error);
	if (code)
		return code;
	*services = json_array();
	for (; at < model->n_services && json_array_size(*services) < BERTH_WIRE_ROWS && seen < MOST_SEEN; at++) {
		const struct berth_model_service *service = &model->services[at];
		seen += 1 + service->n_backends;
		if (berth_cmd_filter_service(&filter, service))
			add_row(*services, row(context->state, service));
	}
	*next = berth_cmd_cursor(at, model->n_services);
	return BERTH_CODE_OK;
}

/* --- names by number --- */

static json_t *text_json(const char *text)
{
	return text[0] ? json_string(text) : json_null();
}

void berth_row_names_free(struct berth_row_name *names, uint32_t n)
{
	for (uint32_t i = 0; names && i < n; i++) {
		json_decref(names[i].service);
		json_decref(names[i].group);
		json_decref(names[i].backend);
	}
	free(names);
}

static void add_service(struct berth_row_name *names, const struct berth_model_service *service,
			enum berth_row_numbers numbers)
{
	json_t *name = json_string(service->config.name), *group = text_json(service->config.group);
	for (size_t i = 0; i < service->n_backends; i++) {
		const struct berth_model_backend *backend = &service->backends[i];
		struct berth_row_name *row =
			&names[numbers == BERTH_ROW_FLOWS ? backend->number : backend->session_number];
		if (!row->backend)
			*row = (struct berth_row_name){json_incref(name), json_incref(group),
						       json_string(backend->config.name), service->config.protocol};
	}
	json_decref(name);
	json_decref(group);
}

struct berth_row_name *berth_row_names_new(const struct berth_model *model, uint32_t n,
					   enum berth_row_numbers numbers)
{
	struct berth_row_name *names = calloc(n, sizeof(*names));
	for (size_t i = 0; names && i < model->n_services; i++)
		add_service(names, &model->services[i], numbers);
	return names;
}
