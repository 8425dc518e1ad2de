/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/config/yaml.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct reader {
	yaml_parser_t parser;
	const char *text;
	size_t length;
	struct berth_yaml *yaml;
	char *error;
};

static const struct berth_yaml_mark first_mark = {1, 1};

/* The usual causes of the scanner's errors. The first problem found in its message applies. */
static const struct {
	const char *problem;
	const char *fix;
} hints[] = {
	{"tab character", "indent with spaces"},
	{"cannot start any token", "indent with spaces, and quote text that begins with a special character"},
	{"mapping values are not allowed",
	 "check the indentation, and quote text that has a \": \" or ends in \":\""},
	{"could not find expected ':'", "write KEY: VALUE"},
	{"did not find expected key", "check the indentation of this line and of the one above"},
	{"block sequence entries", "begin the list on a line of its own"},
	{"',' or ']'", "separate the items with \",\" and end the list with \"]\""},
	{"',' or '}'", "separate the keys with \",\" and end the section with \"}\""},
	{"end of stream", "close the quote"},
	{"escape character", "write \"\\\\\" for a backslash, or use single quotes"},
	{"UTF-8", "save the file as UTF-8"},
	{"control characters", "remove this one"},
	{"alphabetic or numeric", "quote text that begins with \"&\" or \"*\""},
	{"tag", "remove the tag"},
	{"directive", "remove the line that begins with \"%\""},
	{"document start", "check the indentation; the file is one document"},
};

static const char *hint_for(const char *problem)
{
	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
		if (strstr(problem, hints[i].problem))
			return hints[i].fix;
	return "check the indentation and the quotes here";
}

/* Cut at the front: the end of a long path identifies the file. */
static const char *short_name(const char *name)
{
	const size_t most = 200;
	size_t length = strlen(name);
	return length > most ? name + length - most : name;
}

int berth_yaml_fail(const char *name, struct berth_yaml_mark mark, char error[BERTH_ERROR_BYTES],
		    const char *format, ...)
{
	int used = snprintf(error, BERTH_ERROR_BYTES, "%s:%u:%u: ", short_name(name), mark.line, mark.column);
	va_list args;

	va_start(args, format);
	vsnprintf(error + used, (size_t)(BERTH_ERROR_BYTES - used), format, args);
	va_end(args);
	/* The message can quote the file: replace line ends, terminal escapes and parts of characters. */
	for (char *c = error; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return -EINVAL;
}

static struct berth_yaml_mark mark_from(const yaml_mark_t *mark)
{
	return (struct berth_yaml_mark){(uint32_t)mark->line + 1, (uint32_t)mark->column + 1};
}

#define FAIL(r, mark, ...) berth_yaml_fail((r)->yaml->name, (mark), (r)->error, __VA_ARGS__)

static int fail_memory(struct reader *r)
{
	FAIL(r, first_mark, "not enough memory to read the file; free some and try again");
	return -ENOMEM;
}

/* The place of an invalid byte, of which libyaml gives only the offset. */
static struct berth_yaml_mark mark_of_offset(const struct reader *r, size_t offset)
{
	struct berth_yaml_mark mark = first_mark;

	for (size_t i = 0; i < offset && i < r->length; i++) {
		bool continues = ((unsigned char)r->text[i] & 0xc0) == 0x80;
		if (r->text[i] == '\n')
			mark = (struct berth_yaml_mark){mark.line + 1, 1};
		else if (!continues)
			mark.column++;
	}
	return mark;
}

static int fail_syntax(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	const char *problem = p->problem ? p->problem : "not YAML";

	if (p->error == YAML_MEMORY_ERROR)
		return fail_memory(r);
	if (p->error == YAML_READER_ERROR)
		return FAIL(r, mark_of_offset(r, p->problem_offset), "%s; %s", problem, hint_for(problem));
	if (p->context && p->context_mark.line != p->problem_mark.line)
		return FAIL(r, mark_from(&p->problem_mark), "%s %s from line %zu on; %s", problem, p->context,
			    p->context_mark.line + 1, hint_for(problem));
	return FAIL(r, mark_from(&p->problem_mark), "%s%s%s; %s", problem, p->context ? " " : "",
		    p->context ? p->context : "", hint_for(problem));
}

static int next_event(struct reader *r, yaml_event_t *event)
{
	return yaml_parser_parse(&r->parser, event) ? 0 : fail_syntax(r);
}

static int record_place(struct reader *r, const void *what, struct berth_yaml_mark mark)
{
	struct berth_yaml *yaml = r->yaml;

	if (yaml->n_places == BERTH_YAML_MAX_VALUES)
		return FAIL(r, mark, "more than %d keys and values; make the file smaller", BERTH_YAML_MAX_VALUES);
	if (yaml->n_places == yaml->room) {
		size_t room = yaml->room ? 2 * yaml->room : 256;
		struct berth_yaml_place *places = realloc(yaml->places, room * sizeof(*places));
		if (!places)
			return fail_memory(r);
		yaml->places = places;
		yaml->room = room;
	}
	yaml->places[yaml->n_places++] = (struct berth_yaml_place){what, mark};
	return 0;
}

static struct berth_yaml_mark find(const struct berth_yaml *yaml, const void *what)
{
	/* Linear, because only messages need it. */
	for (size_t i = 0; i < yaml->n_places; i++)
		if (yaml->places[i].what == what)
			return yaml->places[i].mark;
	return first_mark;
}

struct berth_yaml_mark berth_yaml_mark_of(const struct berth_yaml *yaml, const json_t *value)
{
	return find(yaml, value);
}

/* The text of a key in its object: jansson does not move it while the key exists. */
static const char *key_in(json_t *object, const char *key)
{
	return json_object_iter_key(json_object_iter_at(object, key));
}

struct berth_yaml_mark berth_yaml_mark_of_key(const struct berth_yaml *yaml, json_t *object, const char *key)
{
	return find(yaml, key_in(object, key));
}

static int check_plain(struct reader *r, const yaml_event_t *event)
{
	struct berth_yaml_mark mark = mark_from(&event->start_mark);
	const yaml_char_t *anchor = NULL;
	const yaml_char_t *tag = NULL;

	if (event->type == YAML_SCALAR_EVENT) {
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
	} else if (event->type == YAML_SEQUENCE_START_EVENT) {
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
	} else if (event->type == YAML_MAPPING_START_EVENT) {
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
	} else if (event->type == YAML_ALIAS_EVENT) {
		return FAIL(r, mark, "alias *%.60s; write the value itself",
			    (const char *)event->data.alias.anchor);
	}
	if (anchor)
		return FAIL(r, mark, "anchor &%.60s; remove it, and repeat the value where it is needed",
			    (const char *)anchor);
	if (tag)
		return FAIL(r, mark, "tag (%.60s); remove it, the key determines the type of its value",
			    (const char *)tag);
	if (event->type == YAML_SCALAR_EVENT &&
	    strlen((const char *)event->data.scalar.value) != event->data.scalar.length)
		return FAIL(r, mark, "a null byte in a text; remove it");
	return 0;
}

/* Shortest decimal form only: YAML parsers disagree about 010, 0x10, 1_000 and 1e3. */
static bool integer_from(const char *text, json_int_t *number)
{
	const char *digits = text + (*text == '-');
	size_t n = strspn(digits, "0123456789");

	if (n == 0 || n > 18 || digits[n] || (digits[0] == '0' && (n > 1 || digits != text)))
		return false;
	*number = strtoll(text, NULL, 10);
	return true;
}

static json_t *scalar_from(const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	json_int_t number;

	if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
		if (!*text)
			return json_null();
		if (integer_from(text, &number))
			return json_integer(number);
	}
	return json_string(text);
}

static int read_value(struct reader *r, const yaml_event_t *event, unsigned int depth, json_t **value);

/* Reads a list after its start event, up to its end. */
static int read_items(struct reader *r, unsigned int depth, json_t *list)
{
	for (;;) {
		yaml_event_t event;
		json_t *item = NULL;
		int err = next_event(r, &event);
		if (err)
			return err;
		bool end = event.type == YAML_SEQUENCE_END_EVENT;
		if (!end)
			err = read_value(r, &event, depth, &item);
		if (!err && json_is_null(item))
			err = FAIL(r, mark_from(&event.start_mark), "an empty item; write a value or remove it");
		yaml_event_delete(&event);
		if (err || end)
			return err;
		if (json_array_append_new(list, item))
			return fail_memory(r);
	}
}

static int check_key(struct reader *r, const yaml_event_t *event, json_t *object)
{
	struct berth_yaml_mark mark = mark_from(&event->start_mark);
	int err = check_plain(r, event);

	if (err)
		return err;
	if (event->type != YAML_SCALAR_EVENT)
		return FAIL(r, mark, "a list or section as a key; write a word");
	const char *key = (const char *)event->data.scalar.value;
	if (!*key)
		return FAIL(r, mark, "an empty key; write a word before the \":\"");
	if (!strcmp(key, "<<"))
		return FAIL(r, mark, "merge key <<; write the keys themselves");
	if (json_object_get(object, key))
		return FAIL(r, mark, "duplicate key \"%.60s\", first at line %u; remove one of them", key,
			    berth_yaml_mark_of_key(r->yaml, object, key).line);
	return 0;
}

/* Reads the value of a key into its object. */
static int read_member(struct reader *r, const yaml_event_t *key_event, unsigned int depth, json_t *object)
{
	const char *key = (const char *)key_event->data.scalar.value;
	json_t *value = NULL;
	yaml_event_t event;
	int err = next_event(r, &event);

	if (err)
		return err;
	err = read_value(r, &event, depth, &value);
	yaml_event_delete(&event);
	if (err)
		return err;
	if (json_object_set_new(object, key, value))
		return fail_memory(r);
	return record_place(r, key_in(object, key), mark_from(&key_event->start_mark));
}

/* Reads a section after its start event, up to its end. */
static int read_members(struct reader *r, unsigned int depth, json_t *object)
{
	for (;;) {
		yaml_event_t event;
		int err = next_event(r, &event);
		if (err)
			return err;
		bool end = event.type == YAML_MAPPING_END_EVENT;
		if (!end)
			err = check_key(r, &event, object);
		if (!end && !err)
			err = read_member(r, &event, depth, object);
		yaml_event_delete(&event);
		if (err || end)
			return err;
	}
}

/* `depth`: of the value's container; BERTH_YAML_MAX_DEPTH bounds the recursion. */
static int read_value(struct reader *r, const yaml_event_t *event, unsigned int depth, json_t **value)
{
	struct berth_yaml_mark mark = mark_from(&event->start_mark);
	bool list = event->type == YAML_SEQUENCE_START_EVENT;
	bool section = event->type == YAML_MAPPING_START_EVENT;
	int err = check_plain(r, event);

	if (err)
		return err;
	if ((list || section) && depth == BERTH_YAML_MAX_DEPTH)
		return FAIL(r, mark, "nested more than %d deep; remove it, no key has so many levels below it",
			    BERTH_YAML_MAX_DEPTH);
	*value = list ? json_array() : section ? json_object() : scalar_from(event);
	if (!*value)
		return fail_memory(r);
	if (!json_is_null(*value))
		err = record_place(r, *value, mark);
	if (!err && list)
		err = read_items(r, depth + 1, *value);
	if (!err && section)
		err = read_members(r, depth + 1, *value);
	if (err) {
		json_decref(*value);
		*value = NULL;
	}
	return err;
}

/* `start`: a document's start event, or the stream's end for an empty document. */
static int read_document(struct reader *r, const yaml_event_t *start)
{
	yaml_event_t event;
	int err;

	if (start->type != YAML_DOCUMENT_START_EVENT) {
		r->yaml->root = json_null();
		return 0;
	}
	if (start->data.document_start.version_directive ||
	    start->data.document_start.tag_directives.start != start->data.document_start.tag_directives.end)
		return FAIL(r, mark_from(&start->start_mark),
			    "a directive; remove the line that begins with \"%%\"");
	err = next_event(r, &event);
	if (err)
		return err;
	err = read_value(r, &event, 0, &r->yaml->root);
	yaml_event_delete(&event);
	return err;
}

static int read_stream(struct reader *r)
{
	yaml_event_type_t type = YAML_NO_EVENT;

	while (type != YAML_STREAM_END_EVENT) {
		yaml_event_t event;
		int err = next_event(r, &event);
		if (err)
			return err;
		type = event.type;
		if (type == YAML_DOCUMENT_START_EVENT && r->yaml->root)
			err = FAIL(r, mark_from(&event.start_mark),
				   "a second document; the file is one document, "
				   "remove the \"---\" or what follows it");
		else if (type == YAML_DOCUMENT_START_EVENT || (type == YAML_STREAM_END_EVENT && !r->yaml->root))
			err = read_document(r, &event);
		yaml_event_delete(&event);
		if (err)
			return err;
	}
	return 0;
}

int berth_yaml_parse(struct berth_yaml *yaml, const char *name, const char *text, size_t length,
		     char error[BERTH_ERROR_BYTES])
{
	/* Skipped, because libyaml counts a byte order mark as a column. */
	size_t skip = length >= 3 && !memcmp(text, "\xef\xbb\xbf", 3) ? 3 : 0;
	struct reader r = {.text = text + skip, .length = length - skip, .yaml = yaml, .error = error};
	int err;

	*yaml = (struct berth_yaml){.name = name};
	if (length > BERTH_YAML_MAX_BYTES)
		return FAIL(&r, first_mark, "the file is larger than %d MiB; make it smaller",
			    BERTH_YAML_MAX_BYTES >> 20);
	if (!yaml_parser_initialize(&r.parser))
		return fail_memory(&r);
	/* Set explicitly, because libyaml detects UTF-16 by the first two bytes. */
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)r.text, r.length);
	err = read_stream(&r);
	yaml_parser_delete(&r.parser);
	if (err)
		berth_yaml_clear(yaml);
	return err;
}

void berth_yaml_clear(struct berth_yaml *yaml)
{
	json_decref(yaml->root);
	free(yaml->places);
	*yaml = (struct berth_yaml){0};
}
