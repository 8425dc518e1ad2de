// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/saved/operator_state.h"
#include "controlplane/saved/sealed_json.h"
#include "controlplane/util/address.h"

enum {
	VERSION = 1,
};

static json_t *backend_json(const struct berth_saved_backend *backend)
{
	json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:I}", "service", backend->service, "backend",
				 backend->backend, "admin", berth_admin_name(backend->admin), "forced",
				 berth_forced_name(backend->forced), "evict_at", (json_int_t)backend->evict_at);
	if (backend->drain_left >= 0)
		json_object_set_new(json, "drain_left", json_integer((json_int_t)backend->drain_left));
	return json;
}

static json_t *pin_json(const struct berth_saved_pin *pin)
{
	char client[BERTH_PREFIX_TEXT];
	return json_pack("{s:s, s:s, s:s}", pin->is_group ? "group" : "service", pin->service, "backend",
			 pin->backend, "client", berth_prefix_format(&pin->client, pin->bits, client));
}

static json_t *records_json(const struct berth_operator_state *state)
{
	json_t *records = json_array();
	for (size_t i = 0; i < state->n_records; i++)
		json_array_append_new(records, berth_operator_record_json(&state->records[i]));
	return records;
}

char *berth_operator_state_format(const struct berth_operator_state *state)
{
	json_t *backends = json_array(), *pins = json_array();
	for (size_t i = 0; i < state->n_backends; i++)
		json_array_append_new(backends, backend_json(&state->backends[i]));
	for (size_t i = 0; i < state->n_pins; i++)
		json_array_append_new(pins, pin_json(&state->pins[i]));
	json_t *root = json_pack("{s:i, s:o, s:o}", "version", VERSION, "backends", backends, "pins", pins);
	/* Files of earlier versions have no such key, and earlier versions ignore it. */
	if (root && state->is_node_drained)
		json_object_set_new(root, "node_drained", json_true());
	if (root && state->n_records)
		json_object_set_new(root, "records", records_json(state));
	bool whole = root && json_array_size(json_object_get(root, "records")) == state->n_records &&
		     json_array_size(backends) == state->n_backends && json_array_size(pins) == state->n_pins;
	if (whole)
		return berth_sealed_json_format(root, JSON_INDENT(1));
	json_decref(root);
	return NULL;
}

static int read_backend(const json_t *object, struct berth_saved_backend *backend)
{
	const json_t *evict_at = json_object_get(object, "evict_at");
	const json_t *left = json_object_get(object, "drain_left"); /* files of earlier versions have none */
	int admin = berth_saved_read_admin(json_object_get(object, "admin"));
	int forced = berth_saved_read_forced(json_object_get(object, "forced"));
	if (berth_saved_read_name(object, "service", backend->service) ||
	    berth_saved_read_name(object, "backend", backend->backend) || admin < 0 || forced < 0 ||
	    !json_is_integer(evict_at) || json_integer_value(evict_at) < 0 ||
	    (left && (!json_is_integer(left) || json_integer_value(left) < 0)))
		return -EINVAL;
	backend->admin = (enum berth_admin)admin;
	backend->forced = (enum berth_forced)forced;
	backend->evict_at = json_integer_value(evict_at);
	backend->drain_left = left ? json_integer_value(left) : -1;
	return 0;
}

static int read_pin(const json_t *object, struct berth_saved_pin *pin)
{
	const char *client = json_string_value(json_object_get(object, "client"));
	pin->is_group = json_object_get(object, "group") != NULL;
	if (berth_saved_read_name(object, pin->is_group ? "group" : "service", pin->service) ||
	    berth_saved_read_name(object, "backend", pin->backend) || !client ||
	    berth_prefix_parse(client, &pin->client, &pin->bits))
		return -EINVAL;
	pin->client = berth_prefix_of(&pin->client, pin->bits);
	return 0;
}

static int read_all(struct berth_operator_state *state, const json_t *backends, const json_t *pins)
{
	const size_t n_backends = json_array_size(backends), n_pins = json_array_size(pins);
	int err = json_is_array(backends) && json_is_array(pins) ? 0 : -EINVAL;
	state->backends = calloc(n_backends + 1, sizeof(*state->backends));
	state->pins = calloc(n_pins + 1, sizeof(*state->pins));
	if (!state->backends || !state->pins)
		return -ENOMEM;
	for (; !err && state->n_backends < n_backends; state->n_backends++)
		err = read_backend(json_array_get(backends, state->n_backends),
				   &state->backends[state->n_backends]);
	for (; !err && state->n_pins < n_pins; state->n_pins++)
		err = read_pin(json_array_get(pins, state->n_pins), &state->pins[state->n_pins]);
	return err;
}

/* Files of earlier versions have none, and of a node in no cluster. */
static int read_records(struct berth_operator_state *state, const json_t *records)
{
	const size_t n = json_array_size(records);
	int err = !records || json_is_array(records) ? 0 : -EINVAL;
	state->records = calloc(n + 1, sizeof(*state->records));
	if (!state->records)
		return -ENOMEM;
	for (; !err && state->n_records < n; state->n_records++)
		err = berth_operator_record_read(&state->records[state->n_records],
						 json_array_get(records, state->n_records));
	return err;
}

int berth_operator_state_parse(struct berth_operator_state *state, const char *text, size_t length)
{
	*state = (struct berth_operator_state){0};
	json_t *root = berth_sealed_json_parse(text, length);
	const json_t *version = json_object_get(root, "version");
	int err = !json_is_integer(version) ? -EINVAL : json_integer_value(version) != VERSION ? -ENOTSUP : 0;
	if (!err)
		err = read_all(state, json_object_get(root, "backends"), json_object_get(root, "pins"));
	if (!err)
		err = read_records(state, json_object_get(root, "records"));
	state->is_node_drained = json_is_true(json_object_get(root, "node_drained"));
	json_decref(root);
	if (err)
		berth_operator_state_clear(state);
	return err;
}
