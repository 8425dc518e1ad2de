// SPDX-License-Identifier: BSD-3-Clause
/* `show names`: what a command line can be completed with. */
#include <stdio.h>
#include <string.h>

#include "controlplane/cmd/cmd.h"
#include "controlplane/util/address.h"

enum {
	MAX_NAMES = 200,
	NAME_BYTES = 2 * BERTH_NAME_BYTES + BERTH_ADDRESS_TEXT,
};

struct names {
	json_t *list;
	const char *prefix;
	bool is_cut; /* there are more */
};

/* Adds a name that is not the same as one before. False: the list is full. */
static bool add(struct names *names, const char *name)
{
	const json_t *other;
	size_t i;
	if (strncmp(name, names->prefix, strlen(names->prefix)) != 0)
		return true;
	json_array_foreach(names->list, i, other) if (strcmp(json_string_value(other), name) == 0) return true;
	names->is_cut = json_array_size(names->list) == MAX_NAMES;
	if (!names->is_cut)
		json_array_append_new(names->list, json_string(name));
	return !names->is_cut;
}

/* Adds SERVICE/BACKEND, or the address, of each backend. */
static bool add_backends(struct names *names, const struct berth_model_service *service, bool as_hosts)
{
	char name[NAME_BYTES];
	int length = as_hosts ? 0 : snprintf(name, sizeof(name), "%s/", service->config.name);
	size_t same = (size_t)length < strlen(names->prefix) ? (size_t)length : strlen(names->prefix);
	bool has_room = true;
	if (strncmp(name, names->prefix, same) != 0)
		return true; /* none of this service */
	for (size_t i = 0; i < service->n_backends && has_room; i++) {
		if (as_hosts)
			berth_address_format(&service->backends[i].config.address, name);
		else
			snprintf(name + length, sizeof(name) - (size_t)length, "%s",
				 service->backends[i].config.name);
		has_room = add(names, name);
	}
	return has_room;
}

enum berth_code berth_cmd_show_names(const struct berth_cmd_context *context, const json_t *arguments,
				     json_t **result, char error[BERTH_ERROR_BYTES])
{
	const struct berth_model *model = context->state->model;
	const char *kind = berth_cmd_text(arguments, "kind"), *prefix = berth_cmd_text(arguments, "prefix");
	bool of_services = strcmp(kind, "services") == 0, of_hosts = strcmp(kind, "hosts") == 0;
	struct names names = {.prefix = prefix ? prefix : ""};
	if (!of_services && !of_hosts && strcmp(kind, "backends") != 0)
		return berth_cmd_fail(error, BERTH_CODE_INVALID,
				      "no names of \"%.64s\"; write services, backends or hosts", kind);
	names.list = json_array();
	bool has_room = true;
	for (size_t i = 0; i < model->n_services && has_room; i++)
		has_room = of_services ? add(&names, model->services[i].config.name)
				       : add_backends(&names, &model->services[i], of_hosts);
	*result = json_pack("{s:o, s:b}", "names", names.list, "is_cut", names.is_cut);
	return BERTH_CODE_OK;
}
