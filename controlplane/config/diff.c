// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/config/diff.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/config/parse_backends.h"
#include "controlplane/config/parse_services.h"
#include "controlplane/config/schema.h"
#include "controlplane/util/address.h"
#include "controlplane/util/duration.h"

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
	const struct berth_health_config *same_health[2];
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
		berth_duration_format(text, VALUE_BYTES, (int64_t)number_at(member, field->size) * field->unit);
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
	if (field->kind == BERTH_FIELD_SECTION && !field->size) {
		compare(diff, field->section, key, before, after, size);
	} else if (field->kind == BERTH_FIELD_SECTION) {
		const size_t so_far = diff->n, all = field->pointed ? field->pointed : field->size;
		const void *a = berth_schema_member(field, before), *b = berth_schema_member(field, after);
		compare(diff, field->section, key, a, b, all);
		if (diff->n == so_far && has_hidden_values(field->section) && memcmp(a, b, all) != 0)
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

/* A backend of the file, by address or by DNS name, and what it is in the other configuration. */
struct item {
	struct berth_source_config entry; /* as the table of keys has it */
	struct item *other;
};

struct items {
	struct item *list; /* in the order of the file */
	struct item **sorted;
	size_t n;
};

static bool list_items(struct items *items, const struct berth_service_config *service)
{
	const size_t n = service->n_configured + service->n_sources;
	*items = (struct items){.list = calloc(n + 1, sizeof(*items->list)),
				.sorted = calloc(n + 1, sizeof(struct item *))};
	if (!items->list || !items->sorted)
		return false;
	for (size_t i = 0; i < service->n_configured; i++)
		items->list[items->n++].entry.template = service->backends[i];
	for (size_t i = 0; i < service->n_sources; i++)
		items->list[items->n++].entry = service->sources[i];
	return true;
}

static void free_items(struct items *items)
{
	free(items->list);
	free(items->sorted);
}

static int by_name(const void *a, const void *b)
{
	const struct item *const *x = a, *const *y = b;
	return strcmp((*x)->entry.template.name, (*y)->entry.template.name);
}

static int by_place(const void *a, const void *b)
{
	const struct item *const *x = a, *const *y = b;
	const struct berth_source_config *p = &(*x)->entry, *q = &(*y)->entry;
	int order = strcmp(p->dns, q->dns);
	return order ? order : memcmp(&p->template.address, &q->template.address, sizeof(p->template.address));
}

/* Joins items without another one that are equal by this order. */
static void match(struct items *before, struct items *after, int (*order)(const void *a, const void *b))
{
	size_t n = 0;
	for (size_t i = 0; i < after->n; i++)
		if (!after->list[i].other)
			after->sorted[n++] = &after->list[i];
	qsort(after->sorted, n, sizeof(struct item *), order);
	for (size_t i = 0; i < before->n; i++) {
		struct item *item = &before->list[i];
		struct item **found = item->other ? NULL
						  : bsearch(&item, after->sorted, n, sizeof(struct item *), order);
		if (!found || (*found)->other)
			continue;
		item->other = *found;
		(*found)->other = item;
	}
}

static void emit_items(struct diff *diff, const struct items *before, const struct items *after)
{
	for (size_t i = 0; i < before->n; i++) {
		const struct item *item = &before->list[i];
		diff->backend = item->entry.template.name;
		if (item->other)
			compare(diff, &berth_config_backend, "", &item->entry, &item->other->entry,
				sizeof(item->entry));
		else
			emit(diff, BERTH_CONFIG_REMOVED, NULL, NULL, NULL);
	}
	for (size_t i = 0; i < after->n; i++) {
		diff->backend = after->list[i].entry.template.name;
		if (!after->list[i].other)
			emit(diff, BERTH_CONFIG_ADDED, NULL, NULL, NULL);
	}
	diff->backend = NULL;
}

/* Without memory it says no more than that something may have changed. */
static void compare_backends(struct diff *diff, const struct berth_service_config *before,
			     const struct berth_service_config *after)
{
	struct items a, b = {.list = NULL};
	if (list_items(&a, before) && list_items(&b, after)) {
		match(&a, &b, by_name);
		match(&a, &b, by_place);
		emit_items(diff, &a, &b);
	} else {
		emit(diff, BERTH_CONFIG_CHANGED, "backends", NULL, NULL);
	}
	free_items(&a);
	free_items(&b);
}

bool berth_config_is_same_service(const struct berth_service_config *a, const struct berth_service_config *b)
{
	return berth_addr_equal(&a->address, &b->address) && a->bits == b->bits && a->protocol == b->protocol &&
	       a->port == b->port && a->last_port == b->last_port;
}

static bool is_same_list(const void *before, const void *after, size_t n_before, size_t n_after, size_t size)
{
	return n_before == n_after && (n_before == 0 || memcmp(before, after, n_before * size) == 0);
}

/* Services of a file share few health checks, so the last pair that was equal mostly comes again. */
static bool has_same_health(struct diff *diff, const struct berth_service_config *before,
			    const struct berth_service_config *after)
{
	if (diff->same_health[0] && diff->same_health[0] == before->health && diff->same_health[1] == after->health)
		return true;
	if (memcmp(before->health, after->health, sizeof(*before->health)) != 0)
		return false;
	diff->same_health[0] = before->health;
	diff->same_health[1] = after->health;
	return true;
}

/* Whether all bytes of the file's part are equal, as they are in nearly all services of a long file. Other padding
 * only costs the time of a comparison by fields. */
static bool has_same_bytes(struct diff *diff, const struct berth_service_config *before,
			   const struct berth_service_config *after)
{
	return memcmp(before, after, offsetof(struct berth_service_config, health)) == 0 &&
	       has_same_health(diff, before, after) &&
	       is_same_list(before->backends, after->backends, before->n_configured, after->n_configured,
			    sizeof(*before->backends)) &&
	       is_same_list(before->sources, after->sources, before->n_sources, after->n_sources,
			    sizeof(*before->sources));
}

/* `next`: where to look first, after the last one that was found: files are mostly in the same order. */
static const struct berth_service_config *find_service(const struct berth_config *config,
						       const struct berth_service_config *like, size_t *next)
{
	for (size_t i = 0; i < config->n_services; i++) {
		const size_t at = (*next + i) % config->n_services;
		if (!berth_config_is_same_service(&config->services[at], like))
			continue;
		*next = at + 1;
		return &config->services[at];
	}
	return NULL;
}

void berth_config_diff(const struct berth_config *before, const struct berth_config *after,
		       berth_config_change_fn *fn, void *arg)
{
	struct diff diff = {.fn = fn, .arg = arg};
	size_t next = 0;
	compare(&diff, &berth_config_root, "", before, after, sizeof(*before));
	for (size_t i = 0; i < before->n_services; i++) {
		const struct berth_service_config *service = &before->services[i];
		const struct berth_service_config *other = find_service(after, service, &next);
		diff.service = service->name;
		if (!other) {
			emit(&diff, BERTH_CONFIG_REMOVED, NULL, NULL, NULL);
			continue;
		}
		if (has_same_bytes(&diff, service, other))
			continue;
		compare(&diff, &berth_config_service, "", service, other, sizeof(*service));
		compare_backends(&diff, service, other);
	}
	next = 0;
	for (size_t i = 0; i < after->n_services; i++) {
		diff.service = after->services[i].name;
		if (!find_service(before, &after->services[i], &next))
			emit(&diff, BERTH_CONFIG_ADDED, NULL, NULL, NULL);
	}
}
