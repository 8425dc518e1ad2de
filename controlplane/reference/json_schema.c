// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/reference/json_schema.h"

#include <string.h>

static json_t *number(const struct berth_field *field)
{
	return json_pack("{s:s, s:I, s:I}", "type", "integer", "minimum", (json_int_t)field->min, "maximum",
			 (json_int_t)field->max);
}

static json_t *text(const struct berth_field *field)
{
	return json_pack("{s:[s, s], s:I}", "type", "string", "integer", "maxLength", (json_int_t)field->size - 1);
}

/* Readers of YAML 1.1 take some words for truth values. */
static json_t *words(const struct berth_field *field)
{
	json_t *list = json_array();
	for (const struct berth_word *word = field->words; word->word; word++) {
		json_array_append_new(list, json_string(word->word));
		if (!strcmp(word->word, "true") || !strcmp(word->word, "false"))
			json_array_append_new(list, json_boolean(word->word[0] == 't'));
	}
	return json_pack("{s:o}", "enum", list);
}

static json_t *pattern(const char *expression)
{
	return json_pack("{s:s, s:s}", "type", "string", "pattern", expression);
}

static json_t *address(void)
{
	return json_pack("{s:s, s:[{s:s}, {s:s}]}", "type", "string", "anyOf", "format", "ipv4", "format", "ipv6");
}

static json_t *ports(void)
{
	return json_pack("{s:[{s:s, s:i, s:i}, o, {s:s}]}", "anyOf", "type", "integer", "minimum", 1, "maximum",
			 UINT16_MAX, pattern("^[1-9][0-9]{0,4}-[1-9][0-9]{0,4}$"), "const", "any");
}

/* Of an item of a list, or of a custom value. */
static json_t *described(const struct berth_field *field)
{
	json_t *schema = field->json_schema ? json_loads(field->json_schema, 0, NULL) : NULL;
	json_t *section = field->section ? berth_reference_schema(field->section) : NULL;
	return schema && section ? json_pack("{s:[o, o]}", "anyOf", section, schema) : schema ? schema : section;
}

/* Section and list may be empty: then it is null. */
static json_t *list(const struct berth_field *field)
{
	if (field->required)
		return json_pack("{s:s, s:o, s:i}", "type", "array", "items", described(field), "minItems", 1);
	return json_pack("{s:[s, s], s:o}", "type", "array", "null", "items", described(field));
}

static json_t *section_or_null(const struct berth_section *section)
{
	json_t *schema = berth_reference_schema(section);
	if (schema)
		json_object_set_new(schema, "type", json_pack("[s, s]", "object", "null"));
	return schema;
}

static json_t *field_schema(const struct berth_field *field)
{
	switch (field->kind) {
	case BERTH_FIELD_NUMBER:
		return number(field);
	case BERTH_FIELD_DURATION:
		return pattern("^[0-9]{1,9}(ms|s|m|h)$");
	case BERTH_FIELD_WORD:
		return words(field);
	case BERTH_FIELD_TEXT:
		return text(field);
	case BERTH_FIELD_ADDRESS:
		return address();
	case BERTH_FIELD_PREFIX:
		return pattern("^[0-9a-fA-F.:]+(/[0-9]{1,3})?$");
	case BERTH_FIELD_PORTS:
		return ports();
	case BERTH_FIELD_SECTION:
		return section_or_null(field->section);
	case BERTH_FIELD_LIST:
		return list(field);
	case BERTH_FIELD_CUSTOM:
		return described(field);
	}
	return NULL;
}

json_t *berth_reference_schema(const struct berth_section *section)
{
	json_t *properties = json_object(), *required = json_array();
	int err = 0;
	for (size_t i = 0; i < section->n_fields; i++) {
		const struct berth_field *field = &section->fields[i];
		err |= json_object_set_new(properties, field->key, field_schema(field));
		if (field->required)
			json_array_append_new(required, json_string(field->key));
	}
	json_t *schema = json_pack("{s:s, s:o, s:o, s:b}", "type", "object", "properties", properties, "required",
				   required, "additionalProperties", 0);
	if (!err)
		return schema;
	json_decref(schema);
	return NULL;
}
