// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/config/diff.h"

#include <stdio.h>
#include <string.h>

#include "controlplane/config/parse_backends.h"
#include "controlplane/config/parse_services.h"
#include "controlplane/config/schema.h"
#include "controlplane/util/address.h"

enum {
	KEY_BYTES = 64,
	VALUE_BYTES = 288, /* the longest text of a configuration has 255 bytes */
};

/* A comparison in progress. */
struct diff {
	berth_config_change_fn *fn;
	void *arg;
	const char *service;
	const char *backend;
	size_t n; /* changes so far */
};

static void emit(struct diff *diff, enum berth_config_what what, const char *key, const char *before,
		 const char *after)
{
	const struct berth_config_change change = {what, diff->service, diff->backend, key, before, after};
	diff->fn(diff->arg, &change);
	diff->n++;
}

/* An unsigned member of `size` bytes; little-endian. */
static uint64_t number_at(const void *member, size_t size)
{
	uint64_t number = 0;
	memcpy(&number, member, size < sizeof(number) ? size : sizeof(number));
	return number;
}

static const char *word_of(const struct berth_word *words, uint64_t value)
{
	while (words->word && (uint64_t)words->value != value)
		words++;
	return words->word ? words->word : "default";
}

/* False: the value has no short text. */
static bool format_value(const struct berth_field *field, const char *base, char text[VALUE_BYTES])
{
	const void *member = base + field->offset, *second = base + field->second;
	char address[BERTH_PREFIX_TEXT];
	uint16_t ports[2];
	switch (field->kind) {
	case BERTH_FIELD_NUMBER:
		snprintf(text, VALUE_BYTES, "%llu", (unsigned long long)number_at(member, field->size));
		return true;
	case BERTH_FIELD_DURATION:
		berth_schema_format_duration(text, VALUE_BYTES,
					     (int64_t)number_at(member, field->size) * field->unit);
		return true;
	case BERTH_FIELD_WORD:
		snprintf(text, VALUE_BYTES, "%s", word_of(field->words, number_at(member, field->size)));
		return true;
	case BERTH_FIELD_TEXT:
		snprintf(text, VALUE_BYTES, "%s", *(const char *)member ? (const char *)member : "none");
		return true;
	case BERTH_FIELD_ADDRESS:
		snprintf(text, VALUE_BYTES, "%s", berth_address_format(member, address));
		return true;
	case BERTH_FIELD_PREFIX:
		snprintf(text, VALUE_BYTES, "%s",
			 *(const uint8_t *)second ? berth_prefix_format(member, *(const uint8_t *)second, address)
						  : "none");
		return true;
	case BERTH_FIELD_PORTS:
		memcpy(&ports[0], member, sizeof(ports[0]));
		memcpy(&ports[1], second, sizeof(ports[1]));
		snprintf(text, VALUE_BYTES, "%u-%u", ports[0], ports[1]);
		return true;
	default:
		return false;
	}
}

static bool is_equal(const struct berth_field *field, const char *before, const char *after)
{
	bool has_second = field->kind == BERTH_FIELD_PREFIX || field->kind == BERTH_FIELD_PORTS;
	if (field->kind == BERTH_FIELD_TEXT)
		return strcmp(before + field->offset, after + field->offset) == 0;
	return memcmp(before + field->offset, after + field->offset, field->size) == 0 &&
	       (!has_second || before[field->second] == after[field->second]);
}

/* Whether a value of the section is stored by a function of its own, in a place that the table does not tell. */
static bool has_hidden_values(const struct berth_section *section)
{
	for (size_t i = 0; i < section->n_fields; i++)
		if (!section->fields[i].size && section->fields[i].kind != BERTH_FIELD_SECTION)
			return true;
	return false;
}

static void compare(struct diff *diff, const struct berth_section *section, const char *prefix, const void *before,
		    const void *after, size_t size);

/* `size`: of the structs; a member beyond is not of the configuration. */
static void compare_field(struct diff *diff, const struct berth_field *field, const char *prefix,
			  const char *before, const char *after, size_t size)
{
	char key[KEY_BYTES], from[VALUE_BYTES], to[VALUE_BYTES];
	snprintf(key, sizeof(key), "%s%s%s", prefix, prefix[0] ? "." : "", field->key);
	if (field->offset + field->size > size)
		return;
	if (field->kind == BERTH_FIELD_SECTION) {
		const size_t so_far = diff->n, all = field->size ? field->size : size;
		const size_t at = field->size ? field->offset : 0;
		compare(diff, field->section, key, before + at, after + at, all);
		if (field->size && diff->n == so_far && has_hidden_values(field->section) &&
		    memcmp(before + at, after + at, field->size) != 0)
			emit(diff, BERTH_CONFIG_CHANGED, key, NULL, NULL);
	} else if (field->size && !is_equal(field, before, after)) {
		bool has_text = format_value(field, before, from) && format_value(field, after, to);
		emit(diff, BERTH_CONFIG_CHANGED, key, has_text ? from : NULL, has_text ? to : NULL);
	}
}

static void compare(struct diff *diff, const struct berth_section *section, const char *prefix, const void *before,
		    const void *after, size_t size)
{
	for (size_t i = 0; i < section->n_fields; i++)
		compare_field(diff, &section->fields[i], prefix, before, after, size);
}

static const struct berth_backend_config *find_backend(const struct berth_service_config *service, const char *name)
{
	for (size_t i = 0; i < service->n_backends; i++)
		if (strcmp(service->backends[i].name, name) == 0)
			return &service->backends[i];
	return NULL;
}

static void compare_backends(struct diff *diff, const struct berth_service_config *before,
			     const struct berth_service_config *after)
{
	for (size_t i = 0; i < before->n_backends; i++) {
		const struct berth_backend_config *other = find_backend(after, before->backends[i].name);
		diff->backend = before->backends[i].name;
		if (!other) {
			emit(diff, BERTH_CONFIG_REMOVED, NULL, NULL, NULL);
			continue;
		}
		const struct berth_source_config a = {.template = before->backends[i]}, b = {.template = *other};
		compare(diff, &berth_config_backend, "", &a, &b, sizeof(a));
	}
	for (size_t i = 0; i < after->n_backends; i++) {
		diff->backend = after->backends[i].name;
		if (!find_backend(before, after->backends[i].name))
			emit(diff, BERTH_CONFIG_ADDED, NULL, NULL, NULL);
	}
	diff->backend = NULL;
}

bool berth_config_is_same_service(const struct berth_service_config *a, const struct berth_service_config *b)
{
	return berth_addr_equal(&a->address, &b->address) && a->bits == b->bits && a->protocol == b->protocol &&
	       a->port == b->port && a->last_port == b->last_port;
}

static const struct berth_service_config *find_service(const struct berth_config *config,
						       const struct berth_service_config *like)
{
	for (size_t i = 0; i < config->n_services; i++)
		if (berth_config_is_same_service(&config->services[i], like))
			return &config->services[i];
	return NULL;
}

void berth_config_diff(const struct berth_config *before, const struct berth_config *after,
		       berth_config_change_fn *fn, void *arg)
{
	struct diff diff = {.fn = fn, .arg = arg};
	compare(&diff, &berth_config_root, "", before, after, sizeof(*before));
	for (size_t i = 0; i < before->n_services; i++) {
		const struct berth_service_config *service = &before->services[i];
		const struct berth_service_config *other = find_service(after, service);
		diff.service = service->name;
		if (!other) {
			emit(&diff, BERTH_CONFIG_REMOVED, NULL, NULL, NULL);
			continue;
		}
		compare(&diff, &berth_config_service, "", service, other, sizeof(*service));
		compare_backends(&diff, service, other);
	}
	for (size_t i = 0; i < after->n_services; i++) {
		diff.service = after->services[i].name;
		if (!find_service(before, &after->services[i]))
			emit(&diff, BERTH_CONFIG_ADDED, NULL, NULL, NULL);
	}
}
