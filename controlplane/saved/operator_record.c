// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/saved/operator_record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/config/parse_backends.h"
#include "controlplane/util/address.h"

static const char *const kinds[] = {
	[BERTH_OPERATOR_ADMIN] = "admin", [BERTH_OPERATOR_HEALTH] = "health", [BERTH_OPERATOR_PIN] = "pin"};

static const char *const forced_names[] = {
	[BERTH_FORCED_NOT] = "no", [BERTH_FORCED_UP] = "up", [BERTH_FORCED_DOWN] = "down"};

const char *berth_forced_name(enum berth_forced forced)
{
	return forced_names[forced];
}

/* --- order --- */

int berth_operator_record_compare_keys(const struct berth_operator_record *a, const struct berth_operator_record *b)
{
	int order = (int)a->kind - (int)b->kind;
	if (!order)
		order = (int)a->is_group - (int)b->is_group;
	if (!order)
		order = strcmp(a->service, b->service);
	if (order)
		return order;
	if (a->kind != BERTH_OPERATOR_PIN)
		return strcmp(a->backend, b->backend);
	order = memcmp(&a->client, &b->client, sizeof(a->client));
	return order ? order : (int)a->bits - (int)b->bits;
}

/* The members behind the time and the node differ only if a node has set two things in one millisecond, which it
 * does not, or if someone else has written them. */
int berth_operator_record_compare_age(const struct berth_operator_record *a, const struct berth_operator_record *b)
{
	int order = (a->time_ms > b->time_ms) - (a->time_ms < b->time_ms);
	if (!order)
		order = strcmp(a->node, b->node);
	if (!order)
		order = (int)a->value - (int)b->value;
	if (!order)
		order = strcmp(a->backend, b->backend);
	if (!order)
		order = (a->until_s > b->until_s) - (a->until_s < b->until_s);
	return order ? order : strcmp(a->by, b->by);
}

bool berth_operator_record_is_end(const struct berth_operator_record *record)
{
	return record->kind == BERTH_OPERATOR_PIN ? !record->backend[0] : !record->value;
}

static void describe_pin(const struct berth_operator_record *record, char text[BERTH_ERROR_BYTES])
{
	char client[BERTH_PREFIX_TEXT];
	berth_prefix_format(&record->client, record->bits, client);
	if (record->backend[0])
		snprintf(text, BERTH_ERROR_BYTES, "%s: %s is pinned to %s", record->service, client,
			 record->backend);
	else
		snprintf(text, BERTH_ERROR_BYTES, "%s: %s is not pinned", record->service, client);
}

const char *berth_operator_record_describe(const struct berth_operator_record *record, char text[BERTH_ERROR_BYTES])
{
	if (record->kind == BERTH_OPERATOR_PIN)
		describe_pin(record, text);
	else if (record->kind == BERTH_OPERATOR_ADMIN)
		snprintf(text, BERTH_ERROR_BYTES, "%s/%s is %s%s", record->service, record->backend,
			 berth_admin_name(record->value), record->until_s ? ", with a deadline" : "");
	else
		snprintf(text, BERTH_ERROR_BYTES, "%s/%s is %s%s", record->service, record->backend,
			 record->value ? "forced " : "as its health checks say",
			 record->value ? berth_forced_name(record->value) : "");
	return text;
}

/* --- JSON --- */

static json_t *value_json(const struct berth_operator_record *record)
{
	char client[BERTH_PREFIX_TEXT];
	if (record->kind == BERTH_OPERATOR_PIN)
		return json_pack("{s:s, s:s, s:s}", record->is_group ? "group" : "service", record->service,
				 "client", berth_prefix_format(&record->client, record->bits, client), "backend",
				 record->backend);
	return json_pack("{s:s, s:s, s:s}", "service", record->service, "backend", record->backend, "value",
			 record->kind == BERTH_OPERATOR_ADMIN ? berth_admin_name(record->value)
							      : berth_forced_name(record->value));
}

json_t *berth_operator_record_json(const struct berth_operator_record *record)
{
	json_t *value = value_json(record);
	json_t *json = json_pack("{s:s, s:I, s:s, s:s}", "set", kinds[record->kind], "time_ms",
				 (json_int_t)record->time_ms, "node", record->node, "by", record->by);
	if (!json || !value || json_object_update(json, value) ||
	    (record->until_s && json_object_set_new(json, "until_s", json_integer(record->until_s))) ||
	    (record->is_local && json_object_set_new(json, "local", json_true()))) {
		json_decref(json);
		json = NULL;
	}
	json_decref(value);
	return json;
}

int berth_saved_read_name(const json_t *object, const char *key, char name[BERTH_NAME_BYTES])
{
	const json_t *value = json_object_get(object, key);
	const size_t length = json_string_length(value);
	if (!length || length >= BERTH_NAME_BYTES || strlen(json_string_value(value)) != length)
		return -EINVAL;
	memcpy(name, json_string_value(value), length + 1);
	return 0;
}

/* The index of the text; -EINVAL: none. */
static int index_of(const json_t *value, const char *const *names, int n)
{
	const char *text = json_string_value(value);
	for (int i = 0; text && i < n; i++)
		if (strcmp(names[i], text) == 0)
			return i;
	return -EINVAL;
}

int berth_saved_read_admin(const json_t *value)
{
	const char *names[BERTH_ADMIN_COUNT];
	for (int i = 0; i < BERTH_ADMIN_COUNT; i++)
		names[i] = berth_admin_name((enum berth_admin)i);
	return index_of(value, names, BERTH_ADMIN_COUNT);
}

int berth_saved_read_forced(const json_t *value)
{
	return index_of(value, forced_names, sizeof(forced_names) / sizeof(forced_names[0]));
}

static int read_pin(struct berth_operator_record *record, const json_t *json)
{
	const char *client = json_string_value(json_object_get(json, "client"));
	const char *backend = json_string_value(json_object_get(json, "backend"));
	record->is_group = json_object_get(json, "group") != NULL;
	if (!client || !backend || berth_prefix_parse(client, &record->client, &record->bits))
		return -EINVAL;
	record->client = berth_prefix_of(&record->client, record->bits);
	return backend[0] ? berth_saved_read_name(json, "backend", record->backend) : 0;
}

static int read_backend(struct berth_operator_record *record, const json_t *json)
{
	const json_t *word = json_object_get(json, "value"), *until = json_object_get(json, "until_s");
	const bool is_admin = record->kind == BERTH_OPERATOR_ADMIN;
	const int value = is_admin ? berth_saved_read_admin(word) : berth_saved_read_forced(word);
	const json_int_t until_s = json_integer_value(until);
	if (value < 0 || berth_saved_read_name(json, "backend", record->backend) ||
	    (until && (!is_admin || !json_is_integer(until) || until_s <= 0)))
		return -EINVAL;
	record->value = (uint8_t)value;
	record->until_s = until_s;
	return 0;
}

/* It is written to logs. */
static int read_by(struct berth_operator_record *record, const json_t *json)
{
	static const char valid[] = "abcdefghijklmnopqrstuvwxyz0123456789 ";
	const char *by = json_string_value(json_object_get(json, "by"));
	if (!by || strlen(by) >= BERTH_OPERATOR_BY_BYTES || strspn(by, valid) != strlen(by))
		return -EINVAL;
	snprintf(record->by, sizeof(record->by), "%s", by);
	return 0;
}

int berth_operator_record_read(struct berth_operator_record *record, const json_t *json)
{
	const int kind = index_of(json_object_get(json, "set"), kinds, BERTH_OPERATOR_KINDS);
	const json_t *time_ms = json_object_get(json, "time_ms");
	*record = (struct berth_operator_record){.is_local = json_is_true(json_object_get(json, "local"))};
	if (kind < 0 || !json_is_integer(time_ms) || json_integer_value(time_ms) <= 0 || read_by(record, json) ||
	    berth_saved_read_name(json, "node", record->node) || !berth_config_is_name(record->node))
		return -EINVAL;
	record->kind = (enum berth_operator_kind)kind;
	record->time_ms = (uint64_t)json_integer_value(time_ms);
	const bool is_pin = record->kind == BERTH_OPERATOR_PIN;
	if (berth_saved_read_name(json, is_pin && json_object_get(json, "group") ? "group" : "service",
				  record->service))
		return -EINVAL;
	return is_pin ? read_pin(record, json) : read_backend(record, json);
}
