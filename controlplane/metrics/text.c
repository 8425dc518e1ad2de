// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/metrics/text.h"

#include <stdlib.h>
#include <string.h>

enum {
	INITIAL_CAPACITY = 64 << 10,
	NUMBER_BYTES = 24, /* 64 bits with one decimal */
};

void berth_text_clear(struct berth_text *text)
{
	free(text->bytes);
	*text = (struct berth_text){0};
}

/* Returns space for `length` bytes at the end; NULL: out of memory. */
static char *reserve(struct berth_text *text, size_t length)
{
	if (text->failed)
		return NULL;
	if (text->capacity - text->length < length) {
		size_t capacity = text->capacity ? 2 * text->capacity : INITIAL_CAPACITY;
		while (capacity - text->length < length)
			capacity *= 2;
		char *bytes = realloc(text->bytes, capacity);
		text->failed = !bytes;
		if (!bytes)
			return NULL;
		text->bytes = bytes;
		text->capacity = capacity;
	}
	return text->bytes + text->length;
}

static void add(struct berth_text *text, const char *bytes, size_t length)
{
	char *at = reserve(text, length);
	if (!at)
		return;
	memcpy(at, bytes, length);
	text->length += length;
}

static void add_word(struct berth_text *text, const char *word)
{
	add(text, word, strlen(word));
}

void berth_text_line(struct berth_text *text, const char *line)
{
	add_word(text, line);
	add(text, "\n", 1);
}

/* `special` are the characters to escape. */
static void add_escaped(struct berth_text *text, const char *value, const char *special)
{
	while (*value) {
		size_t plain = strcspn(value, special);
		add(text, value, plain);
		value += plain;
		if (!*value)
			return;
		add(text, "\\", 1);
		add(text, *value == '\n' ? "n" : value, 1);
		value++;
	}
}

void berth_text_copy(struct berth_text *text, struct berth_labels labels)
{
	add(text, labels.bytes, labels.length);
}

void berth_text_label(struct berth_text *text, size_t start, const char *key, const char *value)
{
	if (!text->failed && text->length > start)
		text->bytes[text->length - 1] = ',';
	else
		add(text, "{", 1);
	add_word(text, key);
	add(text, "=\"", 2);
	add_escaped(text, value, "\\\"\n");
	add(text, "\"}", 2);
}

struct berth_labels berth_text_labels(const struct berth_text *text, size_t start)
{
	if (text->failed)
		return (struct berth_labels){0};
	return (struct berth_labels){.bytes = text->bytes + start, .length = text->length - start};
}

void berth_text_head(struct berth_text *text, const char *name, enum berth_metric_type type, const char *help)
{
	add_word(text, "# HELP ");
	add_word(text, name);
	add(text, " ", 1);
	add_escaped(text, help, "\\\n");
	add_word(text, "\n# TYPE ");
	add_word(text, name);
	bool is_counter = type == BERTH_METRIC_COUNTER || type == BERTH_METRIC_COUNTER_MICROS;
	add_word(text, is_counter ? " counter\n" : " gauge\n");
}

static unsigned int decimals_of(enum berth_metric_type type)
{
	switch (type) {
	case BERTH_METRIC_HUNDREDTHS:
		return 2;
	case BERTH_METRIC_MICROS:
	case BERTH_METRIC_COUNTER_MICROS:
		return 6;
	default:
		return 0;
	}
}

/* Writes the digits before `end`; returns the first one. */
static char *write_number(char *end, enum berth_metric_type type, uint64_t value)
{
	bool is_whole = true; /* no digit behind the point but zeros, which are left out */
	for (unsigned int decimals = decimals_of(type); decimals; decimals--, value /= 10)
		if (value % 10 || !is_whole) {
			*--end = (char)('0' + value % 10);
			is_whole = false;
		}
	if (!is_whole)
		*--end = '.';
	do {
		*--end = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	return end;
}

void berth_text_sample(struct berth_text *text, const char *name, enum berth_metric_type type,
		       struct berth_labels labels, uint64_t value)
{
	char number[NUMBER_BYTES];
	char *first = write_number(number + sizeof(number), type, value);
	size_t digits = (size_t)(number + sizeof(number) - first);
	size_t length = strlen(name) + labels.length + 1 + digits + 1;
	char *at = reserve(text, length);
	if (!at)
		return;
	at = mempcpy(at, name, strlen(name));
	if (labels.length)
		at = mempcpy(at, labels.bytes, labels.length);
	*at++ = ' ';
	at = mempcpy(at, first, digits);
	*at = '\n';
	text->length += length;
}
