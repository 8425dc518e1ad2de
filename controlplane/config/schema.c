/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/config/schema.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "controlplane/config/spelling.h"
#include "controlplane/util/address.h"
#include "controlplane/util/duration.h"
#include "controlplane/util/net.h"

enum {
	PHRASE_BYTES = 240, /* longest part of a message */
};

__attribute__((format(printf, 2, 3))) static void append(char phrase[PHRASE_BYTES], const char *format, ...)
{
	size_t used = strlen(phrase);
	va_list args;

	va_start(args, format);
	vsnprintf(phrase + used, PHRASE_BYTES - used, format, args);
	va_end(args);
}

int berth_schema_seen_init(struct berth_schema *schema, struct berth_schema_seen *seen)
{
	*seen = (struct berth_schema_seen){json_object(), json_object()};
	return seen->names && seen->places ? 0 : berth_schema_fail_memory(schema);
}

void berth_schema_seen_clear(struct berth_schema_seen *seen)
{
	json_decref(seen->names);
	json_decref(seen->places);
}

static struct berth_yaml_mark mark_in(const struct berth_yaml *yaml, json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	if (!value)
		return berth_yaml_mark_of(yaml, object);
	return json_is_null(value) ? berth_yaml_mark_of_key(yaml, object, key) : berth_yaml_mark_of(yaml, value);
}

static int fail_at(struct berth_schema *schema, struct berth_yaml_mark mark, const char *message)
{
	char error[BERTH_ERROR_BYTES];
	int err = berth_yaml_fail(schema->yaml->name, mark, error, "%s", message);
	if (!schema->n_errors++)
		memcpy(schema->error, error, sizeof(error));
	if (schema->fn)
		schema->fn(schema->arg, error);
	return err;
}

bool berth_schema_goes_on(const struct berth_schema *schema, int err)
{
	return err == -EINVAL && schema->fn && schema->n_errors < BERTH_CONFIG_ERRORS;
}

int berth_schema_fail(struct berth_schema *schema, json_t *object, const char *key, const char *format, ...)
{
	char message[BERTH_ERROR_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	return fail_at(schema, mark_in(schema->yaml, object, key), message);
}

int berth_schema_fail_value(struct berth_schema *schema, json_t *value, const char *key, const char *noun)
{
	if (json_is_string(value))
		return berth_schema_fail(schema, value, NULL, "%s cannot be \"%.60s\"; write %s", key,
					 json_string_value(value), noun);
	if (json_is_integer(value))
		return berth_schema_fail(schema, value, NULL, "%s cannot be %lld; write %s", key,
					 (long long)json_integer_value(value), noun);
	return berth_schema_fail(schema, value, NULL, "%s cannot be keys or a list; write %s", key, noun);
}

int berth_schema_fail_memory(struct berth_schema *schema)
{
	berth_yaml_fail(schema->yaml->name, (struct berth_yaml_mark){1, 1}, schema->error,
			"not enough memory for the configuration; free some and try again");
	return -ENOMEM;
}

void *berth_schema_alloc(struct berth_schema *schema, size_t n, size_t size)
{
	void *memory = calloc(n ? n : 1, size);

	if (!memory)
		berth_schema_fail_memory(schema);
	return memory;
}

int berth_schema_unique(struct berth_schema *schema, json_t *seen, const char *text, json_t *object,
			const char *key, const char *what, const char *fix)
{
	json_t *first = json_object_get(seen, text);

	if (first)
		return berth_schema_fail(schema, object, key, "duplicate %s %s, first at line %u; %s", what, text,
					 mark_in(schema->yaml, first, key).line, fix);
	return json_object_set(seen, text, object) ? berth_schema_fail_memory(schema) : 0;
}

/* The key that was probably meant; NULL: none is similar. */
static const char *nearest_key(const struct berth_section *section, const char *key)
{
	const char *nearest = NULL;
	size_t least = berth_spelling_limit(key);

	for (size_t i = 0; i < section->n_fields; i++) {
		size_t distance = berth_spelling_distance(key, section->fields[i].key);
		if (distance < least) {
			least = distance;
			nearest = section->fields[i].key;
		}
	}
	return nearest;
}

static bool has_key(const struct berth_section *section, const char *key)
{
	for (size_t i = 0; i < section->n_fields; i++)
		if (!strcmp(section->fields[i].key, key))
			return true;
	return false;
}

static int fail_unknown(struct berth_schema *schema, const struct berth_section *section, json_t *object,
			const char *key)
{
	char message[BERTH_ERROR_BYTES], known[PHRASE_BYTES] = "";
	const char *meant = berth_synonym_of_key(key);
	if (!meant || !has_key(section, meant))
		meant = nearest_key(section, key);
	for (size_t i = 0; i < section->n_fields && !meant; i++)
		append(known, "%s%s", i ? ", " : "", section->fields[i].key);
	if (meant)
		snprintf(message, sizeof(message), "unknown key \"%.60s\" in %s; did you mean \"%s\"?", key,
			 section->name, meant);
	else
		snprintf(message, sizeof(message), "unknown key \"%.60s\" in %s; remove it, the keys here are: %s",
			 key, section->name, known);
	return fail_at(schema, berth_yaml_mark_of_key(schema->yaml, object, key), message);
}

static int check_keys(struct berth_schema *schema, const struct berth_section *section, json_t *object)
{
	const char *key;
	json_t *value;
	int err = 0;

	json_object_foreach(object, key, value)
	{
		if (has_key(section, key))
			continue;
		err = fail_unknown(schema, section, object, key);
		if (!berth_schema_goes_on(schema, err))
			break;
	}
	return err;
}

static void append_duration(char phrase[PHRASE_BYTES], int64_t ms)
{
	char text[32];

	berth_duration_format(text, sizeof(text), ms);
	append(phrase, "%s", text);
}

static void append_words(char phrase[PHRASE_BYTES], const struct berth_word *words)
{
	for (const struct berth_word *word = words; word->word; word++)
		append(phrase, "%s%s", word == words ? "" : word[1].word ? ", " : " or ", word->word);
}

/* Appends the valid values, after "write ". */
static void append_expected(char phrase[PHRASE_BYTES], const struct berth_field *field)
{
	switch (field->kind) {
	case BERTH_FIELD_NUMBER:
		append(phrase, "%s from %lld to %lld", field->noun ? field->noun : "a whole number",
		       (long long)field->min, (long long)field->max);
		break;
	case BERTH_FIELD_DURATION:
		append(phrase, "a whole number with its unit (ms, s, m or h), from ");
		append_duration(phrase, field->min);
		append(phrase, " to ");
		append_duration(phrase, field->max);
		append(phrase, "%s", field->unit == 1000 ? " in full seconds" : "");
		break;
	case BERTH_FIELD_WORD:
		append_words(phrase, field->words);
		break;
	case BERTH_FIELD_TEXT:
	case BERTH_FIELD_CUSTOM:
		append(phrase, "%s", field->noun);
		break;
	case BERTH_FIELD_ADDRESS:
		append(phrase, "the IPv4 or IPv6 address of one host, like 192.0.2.10 or 2001:db8::10");
		break;
	case BERTH_FIELD_PREFIX:
		append(phrase, "an IPv4 or IPv6 address or prefix of hosts, like 192.0.2.10 or 2001:db8::/64");
		break;
	case BERTH_FIELD_PORTS:
		append(phrase, "a port from 1 to 65535, a range like 8000-8099, or any");
		break;
	case BERTH_FIELD_SECTION:
		append(phrase, "keys, like {%s: ...}", field->section->fields[0].key);
		break;
	case BERTH_FIELD_LIST:
		append(phrase, "a list%s, each item after a \"- \"",
		       field->required ? " of at least one item" : "");
		break;
	}
}

static void append_value(char phrase[PHRASE_BYTES], const json_t *value)
{
	if (json_is_string(value))
		append(phrase, "\"%.60s\"", json_string_value(value));
	else if (json_is_integer(value))
		append(phrase, "%lld", (long long)json_integer_value(value));
	else if (json_is_array(value) && json_array_size(value))
		append(phrase, "a list");
	else if (json_is_object(value))
		append(phrase, "a section");
	else
		append(phrase, "empty");
}

/* Whether a text is a number in quotes. */
static bool is_digits(const char *text)
{
	size_t n = text ? strspn(text, "0123456789") : 0;
	return n > 0 && n < 10 && text[n] == 0;
}

/* For a prefix with host bits that are not 0: appends the two values that could be meant. */
static bool append_prefix_meant(char phrase[PHRASE_BYTES], const char *text)
{
	char prefix[BERTH_PREFIX_TEXT], alone[BERTH_ADDRESS_TEXT];
	union berth_addr address, first;
	uint8_t bits;

	if (!text || berth_prefix_parse(text, &address, &bits))
		return false;
	first = berth_prefix_of(&address, bits);
	if (berth_addr_equal(&first, &address) || !berth_net_is_host(&first))
		return false;
	append(phrase, "%s, or %s for this address alone", berth_prefix_format(&first, bits, prefix),
	       berth_address_format(&address, alone));
	return true;
}

/* Appends the word of berth that a word of another program stands for. */
static bool append_word_meant(char phrase[PHRASE_BYTES], const struct berth_field *field, const char *text)
{
	const char *meant = text ? berth_synonym_of_word(field->key, text) : NULL;
	for (const struct berth_word *word = field->words; word->word; word++) {
		if (!text || (strcasecmp(word->word, text) != 0 &&
			      (!meant || strncmp(meant, word->word, strlen(word->word)) != 0)))
			continue;
		append(phrase, "%s", meant ? meant : word->word);
		return true;
	}
	return false;
}

/* For the name of a host in place of its address: `dns` is the key for it, where there is one. */
static void append_dns(char phrase[PHRASE_BYTES], const struct berth_section *section, const char *text)
{
	if (text && isalpha((unsigned char)text[0]) && !strpbrk(text, ":/ "))
		append(phrase,
		       has_key(section, "dns") ? "; for a name in DNS write \"dns: %.60s\" and no address"
					       : "; the name \"%.60s\" is not looked up",
		       text);
}

static int reject(struct berth_schema *schema, const struct berth_section *section, json_t *object,
		  const struct berth_field *field)
{
	const json_t *value = json_object_get(object, field->key);
	char phrase[PHRASE_BYTES] = "";

	append(phrase, "%s cannot be ", field->key);
	append_value(phrase, value);
	append(phrase, "; write ");
	const char *text = json_string_value(value);
	if (!(field->kind == BERTH_FIELD_PREFIX && append_prefix_meant(phrase, text)) &&
	    !(field->kind == BERTH_FIELD_WORD && append_word_meant(phrase, field, text)))
		append_expected(phrase, field);
	if (field->kind == BERTH_FIELD_ADDRESS || field->kind == BERTH_FIELD_PREFIX)
		append_dns(phrase, section, text);
	if ((field->kind == BERTH_FIELD_NUMBER || field->kind == BERTH_FIELD_PORTS) &&
	    is_digits(json_string_value(value)))
		append(phrase, ", without quotes");
	return berth_schema_fail(schema, object, field->key, "%s", phrase);
}

static int fail_missing(struct berth_schema *schema, const struct berth_section *section, json_t *object,
			const struct berth_field *field)
{
	char phrase[PHRASE_BYTES] = "";

	append(phrase, "%s has no %s; add \"%s:\" and after it ", section->name, field->key, field->key);
	append_expected(phrase, field);
	return berth_schema_fail(schema, object, field->key, "%s", phrase);
}

/* Stores the number in the width of the member; its range has been checked. */
static void store(const struct berth_field *field, void *out, int64_t number)
{
	uint8_t n8 = (uint8_t)number;
	uint16_t n16 = (uint16_t)number;
	uint32_t n32 = (uint32_t)number;
	const void *from = field->size == sizeof(n8)	? (void *)&n8
			   : field->size == sizeof(n16) ? (void *)&n16
							: &n32;

	memcpy((char *)out + field->offset, from, field->size);
}

static bool number_in_range(const struct berth_field *field, int64_t number)
{
	return number >= field->min && number <= field->max;
}

static bool parse_number(const struct berth_field *field, const json_t *value, void *out)
{
	int64_t number = json_integer_value(value);

	if (!json_is_integer(value) || !number_in_range(field, number) ||
	    (field->is_valid_number && !field->is_valid_number(number)))
		return false;
	store(field, out, number);
	return true;
}

static bool parse_duration(const struct berth_field *field, const json_t *value, void *out)
{
	int64_t ms = json_is_string(value) ? berth_duration_parse(json_string_value(value)) : -1;

	if (!number_in_range(field, ms) || ms % field->unit)
		return false;
	store(field, out, ms / field->unit);
	return true;
}

static bool parse_word(const struct berth_field *field, const json_t *value, void *out)
{
	const char *text = json_string_value(value);

	for (const struct berth_word *word = field->words; text && word->word; word++) {
		if (strcmp(word->word, text) != 0)
			continue;
		store(field, out, word->value);
		return true;
	}
	return false;
}

/* An integer is accepted as it was written: a backend can be called 1. */
static bool parse_text(const struct berth_field *field, const json_t *value, void *out)
{
	char digits[24];
	const char *text = json_string_value(value);

	if (json_is_integer(value)) {
		snprintf(digits, sizeof(digits), "%lld", (long long)json_integer_value(value));
		text = digits;
	}
	if (!text || strlen(text) >= field->size || !field->is_valid_text(text))
		return false;
	memcpy((char *)out + field->offset, text, strlen(text) + 1);
	return true;
}

static bool parse_address(const struct berth_field *field, const json_t *value, void *out)
{
	union berth_addr address;
	const char *text = json_string_value(value);

	if (!text || berth_address_parse(text, &address) || !berth_net_is_host(&address))
		return false;
	memcpy((char *)out + field->offset, &address, sizeof(address));
	return true;
}

static bool parse_prefix(const struct berth_field *field, const json_t *value, void *out)
{
	union berth_addr address;
	uint8_t bits;
	const char *text = json_string_value(value);

	if (!text || berth_prefix_parse(text, &address, &bits) || !berth_net_is_prefix(&address, bits))
		return false;
	memcpy((char *)out + field->offset, &address, sizeof(address));
	memcpy((char *)out + field->second, &bits, sizeof(bits));
	return true;
}

static bool parse_ports(const struct berth_field *field, const json_t *value, void *out)
{
	const char *text = json_string_value(value);
	json_int_t number = json_integer_value(value);
	uint16_t first, last;

	if (json_is_integer(value) && number > 0 && number <= UINT16_MAX)
		first = last = (uint16_t)number;
	else if (!text || !berth_net_parse_ports(text, &first, &last))
		return false;
	memcpy((char *)out + field->offset, &first, sizeof(first));
	memcpy((char *)out + field->second, &last, sizeof(last));
	return true;
}

static bool parse_value(const struct berth_field *field, const json_t *value, void *out)
{
	switch (field->kind) {
	case BERTH_FIELD_NUMBER:
		return parse_number(field, value, out);
	case BERTH_FIELD_DURATION:
		return parse_duration(field, value, out);
	case BERTH_FIELD_WORD:
		return parse_word(field, value, out);
	case BERTH_FIELD_TEXT:
		return parse_text(field, value, out);
	case BERTH_FIELD_ADDRESS:
		return parse_address(field, value, out);
	case BERTH_FIELD_PREFIX:
		return parse_prefix(field, value, out);
	case BERTH_FIELD_PORTS:
		return parse_ports(field, value, out);
	/* A null is an empty section or list: all its lines can be comments. */
	case BERTH_FIELD_SECTION:
		return json_is_object(value) || json_is_null(value);
	case BERTH_FIELD_LIST:
		return field->required ? json_array_size(value) > 0 : json_is_array(value) || json_is_null(value);
	case BERTH_FIELD_CUSTOM:
		return !json_is_null(value);
	}
	return false;
}

static int read_field(struct berth_schema *schema, const struct berth_section *section, json_t *object,
		      const struct berth_field *field, void *out)
{
	json_t *value = json_object_get(object, field->key);
	void *member = berth_schema_member(field, out);

	if (!value)
		return field->required ? fail_missing(schema, section, object, field) : 0;
	if (!parse_value(field, value, out))
		return reject(schema, section, object, field);
	if (field->kind == BERTH_FIELD_CUSTOM)
		return field->read_value(schema, value, member);
	if (json_is_object(value))
		return berth_schema_read(schema, field->section, value, member);
	if (json_is_array(value))
		return field->read_value(schema, value, member);
	return 0;
}

/* Fails for a value that is not a section. */
static int fail_not_a_section(struct berth_schema *schema, const struct berth_section *section, json_t *value)
{
	const struct berth_field *field = section->fields;

	while (!field->required)
		field++;
	return berth_schema_fail(schema, value, NULL, "%s has no keys; write \"KEY: VALUE\", at least \"%s: ...\"",
				 section->name, field->key);
}

int berth_schema_read(struct berth_schema *schema, const struct berth_section *section, json_t *value, void *out)
{
	if (!json_is_object(value))
		return fail_not_a_section(schema, section, value);
	int first = check_keys(schema, section, value);
	for (size_t i = 0; i < section->n_fields && (!first || berth_schema_goes_on(schema, first)); i++) {
		int err = read_field(schema, section, value, &section->fields[i], out);
		first = first && err != -ENOMEM ? first : err;
	}
	return first;
}
