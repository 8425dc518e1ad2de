// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/edit/text_edit.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* Replaces the bytes from start to end. */
struct change {
	size_t start, end;
	char *text; /* NULL: nothing in their place */
	size_t order;
};

struct berth_text_edit {
	const char *text;
	size_t length;
	size_t skip;	   /* a byte order mark, which libyaml is not given */
	uint32_t *offsets; /* of characters, which libyaml counts; NULL: each is one byte */
	yaml_document_t document;
	struct change *changes;
	size_t n, room;
	bool has_failed; /* out of memory */
};

static bool is_ascii(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] >= 0x80)
			return false;
	return true;
}

static bool find_offsets(struct berth_text_edit *edit)
{
	size_t n = 0;
	if (is_ascii(edit->text, edit->length))
		return true;
	edit->offsets = calloc(edit->length + 1, sizeof(*edit->offsets));
	if (!edit->offsets)
		return false;
	for (size_t i = 0; i < edit->length; i++)
		if (((unsigned char)edit->text[i] & 0xc0) != 0x80)
			edit->offsets[n++] = (uint32_t)i;
	while (n <= edit->length)
		edit->offsets[n++] = (uint32_t)edit->length;
	return true;
}

static bool load(struct berth_text_edit *edit)
{
	yaml_parser_t parser;
	if (!yaml_parser_initialize(&parser))
		return false;
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)edit->text, edit->length);
	const bool is_loaded = yaml_parser_load(&parser, &edit->document);
	yaml_parser_delete(&parser);
	return is_loaded;
}

struct berth_text_edit *berth_text_edit_new(const char *text, size_t length)
{
	struct berth_text_edit *edit = calloc(1, sizeof(*edit));
	if (!edit)
		return NULL;
	edit->skip = length >= 3 && !memcmp(text, "\xef\xbb\xbf", 3) ? 3 : 0;
	edit->text = text + edit->skip;
	edit->length = length - edit->skip;
	if (find_offsets(edit) && load(edit))
		return edit;
	free(edit->offsets);
	free(edit);
	return NULL;
}

void berth_text_edit_free(struct berth_text_edit *edit)
{
	for (size_t i = 0; i < edit->n; i++)
		free(edit->changes[i].text);
	yaml_document_delete(&edit->document);
	free(edit->changes);
	free(edit->offsets);
	free(edit);
}

/* --- nodes --- */

static const yaml_node_t *node_of(struct berth_text_edit *edit, int node)
{
	return yaml_document_get_node(&edit->document, node);
}

int berth_text_root(struct berth_text_edit *edit)
{
	return node_of(edit, 1) ? 1 : 0;
}

const char *berth_text_scalar(struct berth_text_edit *edit, int node)
{
	const yaml_node_t *found = node_of(edit, node);
	return found && found->type == YAML_SCALAR_NODE ? (const char *)found->data.scalar.value : NULL;
}

static const yaml_node_pair_t *find_pair(struct berth_text_edit *edit, int mapping, const char *key)
{
	const yaml_node_t *node = node_of(edit, mapping);
	if (!node || node->type != YAML_MAPPING_NODE)
		return NULL;
	for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top;
	     pair++) {
		const char *name = berth_text_scalar(edit, pair->key);
		if (name && strcmp(name, key) == 0)
			return pair;
	}
	return NULL;
}

int berth_text_member(struct berth_text_edit *edit, int mapping, const char *key)
{
	const yaml_node_pair_t *pair = find_pair(edit, mapping, key);
	return pair ? pair->value : 0;
}

size_t berth_text_count(struct berth_text_edit *edit, int list)
{
	const yaml_node_t *node = node_of(edit, list);
	return node && node->type == YAML_SEQUENCE_NODE
		       ? (size_t)(node->data.sequence.items.top - node->data.sequence.items.start)
		       : 0;
}

int berth_text_item(struct berth_text_edit *edit, int list, size_t index)
{
	return index < berth_text_count(edit, list) ? node_of(edit, list)->data.sequence.items.start[index] : 0;
}

static bool is_flow(const yaml_node_t *node)
{
	return node->type == YAML_MAPPING_NODE	  ? node->data.mapping.style == YAML_FLOW_MAPPING_STYLE
	       : node->type == YAML_SEQUENCE_NODE ? node->data.sequence.style == YAML_FLOW_SEQUENCE_STYLE
						  : true;
}

/* --- places in the text --- */

static size_t offset_of(const struct berth_text_edit *edit, const yaml_mark_t *mark)
{
	const size_t at = mark->index < edit->length ? mark->index : edit->length;
	return edit->offsets ? edit->offsets[at] : at;
}

static size_t start_of(struct berth_text_edit *edit, int node)
{
	return offset_of(edit, &node_of(edit, node)->start_mark);
}

/* After its last byte. The end that libyaml has of a collection in block style is after the comments that follow.
 */
static size_t end_of(struct berth_text_edit *edit, int node)
{
	const yaml_node_t *found = node_of(edit, node);
	if (is_flow(found))
		return offset_of(edit, &found->end_mark);
	if (found->type == YAML_MAPPING_NODE) {
		const yaml_node_pair_t *last = found->data.mapping.pairs.top - 1;
		const size_t key = end_of(edit, last->key), value = end_of(edit, last->value);
		return key > value ? key : value;
	}
	return end_of(edit, found->data.sequence.items.top[-1]);
}

static size_t line_start(const struct berth_text_edit *edit, size_t at)
{
	while (at > 0 && edit->text[at - 1] != '\n')
		at--;
	return at;
}

/* Of its line feed, or of the end of the text; before a carriage return. */
static size_t line_end(const struct berth_text_edit *edit, size_t at)
{
	while (at < edit->length && edit->text[at] != '\n')
		at++;
	return at > 0 && at < edit->length && edit->text[at - 1] == '\r' ? at - 1 : at;
}

static size_t next_line(const struct berth_text_edit *edit, size_t at)
{
	while (at < edit->length && edit->text[at] != '\n')
		at++;
	return at < edit->length ? at + 1 : at;
}

/* Of the "-" of an item in block style. */
static size_t dash_of(const struct berth_text_edit *edit, size_t at)
{
	while (at > 0 && edit->text[at - 1] != '-')
		at--;
	return at > 0 ? at - 1 : 0;
}

/* --- changes --- */

/* Takes `text`. */
static void add_change(struct berth_text_edit *edit, size_t start, size_t end, char *text)
{
	if (edit->n == edit->room) {
		const size_t room = edit->room ? 2 * edit->room : 16;
		struct change *changes = realloc(edit->changes, room * sizeof(*changes));
		if (!changes) {
			edit->has_failed = true;
			free(text);
			return;
		}
		edit->changes = changes;
		edit->room = room;
	}
	edit->changes[edit->n] = (struct change){start, end, text, edit->n};
	edit->n++;
}

__attribute__((format(printf, 4, 5))) static void change(struct berth_text_edit *edit, size_t start, size_t end,
							 const char *format, ...)
{
	char *text = NULL;
	va_list args;
	va_start(args, format);
	if (vasprintf(&text, format, args) < 0) {
		text = NULL;
		edit->has_failed = true;
	}
	va_end(args);
	add_change(edit, start, end, text);
}

/* After its last key with a single value, so that lists stay at the end; else after its last one. */
static size_t end_of_keys(struct berth_text_edit *edit, const yaml_node_t *mapping)
{
	const yaml_node_pair_t *pairs = mapping->data.mapping.pairs.start;
	for (const yaml_node_pair_t *pair = mapping->data.mapping.pairs.top; pair-- > pairs;) {
		const yaml_node_t *value = node_of(edit, pair->value);
		if (value->type == YAML_SCALAR_NODE && value->data.scalar.length &&
		    value->data.scalar.style <= YAML_DOUBLE_QUOTED_SCALAR_STYLE)
			return end_of(edit, pair->value);
	}
	const size_t value = end_of(edit, mapping->data.mapping.pairs.top[-1].value);
	const size_t key = end_of(edit, mapping->data.mapping.pairs.top[-1].key);
	return value > key ? value : key;
}

static void insert_key(struct berth_text_edit *edit, int mapping, const char *key, const char *value)
{
	const yaml_node_t *node = node_of(edit, mapping);
	const bool is_empty = node->data.mapping.pairs.start == node->data.mapping.pairs.top;
	if (is_empty) {
		change(edit, start_of(edit, mapping), end_of(edit, mapping), "{%s: %s}", key, value);
	} else if (is_flow(node)) {
		const size_t at = end_of(edit, node->data.mapping.pairs.top[-1].value);
		change(edit, at, at, ", %s: %s", key, value);
	} else {
		const bool is_list = value[0] == '[';
		const size_t at = line_end(edit, is_list ? end_of(edit, mapping) : end_of_keys(edit, node));
		const int indent = (int)node_of(edit, node->data.mapping.pairs.start->key)->start_mark.column;
		change(edit, at, at, "\n%*s%s: %s", indent, "", key, value);
	}
}

void berth_text_set(struct berth_text_edit *edit, int mapping, const char *key, const char *value)
{
	const yaml_node_pair_t *pair = find_pair(edit, mapping, key);
	if (!pair) {
		insert_key(edit, mapping, key, value);
		return;
	}
	size_t start = start_of(edit, pair->value), end = end_of(edit, pair->value);
	const size_t after_key = end_of(edit, pair->key);
	const bool is_empty = end == start;
	if (is_empty) /* its mark may be anywhere up to the next key */
		start = end = after_key + 1 + strcspn(edit->text + after_key, ":");
	change(edit, start, end, "%s%s", is_empty ? " " : "", value);
}

void berth_text_unset(struct berth_text_edit *edit, int mapping, const char *key)
{
	const yaml_node_pair_t *pair = find_pair(edit, mapping, key);
	const yaml_node_t *node = node_of(edit, mapping);
	if (!pair)
		return;
	const bool is_first = pair == node->data.mapping.pairs.start,
		   is_last = pair + 1 == node->data.mapping.pairs.top;
	const size_t start = start_of(edit, pair->key), end = end_of(edit, pair->value);
	if (is_flow(node) && !is_first)
		add_change(edit, end_of(edit, pair[-1].value), end, NULL);
	else if (!is_last && (is_first || is_flow(node)))
		add_change(edit, start, start_of(edit, pair[1].key), NULL);
	else if (is_flow(node))
		add_change(edit, start, end, NULL);
	else
		add_change(edit, line_start(edit, start), next_line(edit, end), NULL);
}

void berth_text_append(struct berth_text_edit *edit, int mapping, const char *key, const char *value)
{
	const int list = berth_text_member(edit, mapping, key);
	const size_t n = berth_text_count(edit, list);
	if (!n) {
		char *items;
		if (asprintf(&items, "[%s]", value) < 0) {
			edit->has_failed = true;
			return;
		}
		berth_text_set(edit, mapping, key, items);
		free(items);
		return;
	}
	const int last = berth_text_item(edit, list, n - 1);
	const size_t end = end_of(edit, last);
	if (is_flow(node_of(edit, list))) {
		change(edit, end, end, ", %s", value);
		return;
	}
	const size_t at = line_end(edit, end), dash = dash_of(edit, start_of(edit, berth_text_item(edit, list, 0)));
	change(edit, at, at, "\n%*s- %s", (int)(dash - line_start(edit, dash)), "", value);
}

/* In flow style commas separate items, so each goes with the one before it, if one stays there, else after it. */
static void remove_in_flow(struct berth_text_edit *edit, int list, const bool *is_removed)
{
	const size_t n = berth_text_count(edit, list);
	bool has_kept = false;
	for (size_t i = 0; i < n; i++) {
		const size_t start = start_of(edit, berth_text_item(edit, list, i));
		const size_t end = end_of(edit, berth_text_item(edit, list, i));
		if (!is_removed[i])
			has_kept = true;
		else if (has_kept)
			add_change(edit, end_of(edit, berth_text_item(edit, list, i - 1)), end, NULL);
		else
			add_change(edit, start,
				   i + 1 < n ? start_of(edit, berth_text_item(edit, list, i + 1)) : end, NULL);
	}
}

void berth_text_remove(struct berth_text_edit *edit, int list, const bool *is_removed)
{
	const size_t n = berth_text_count(edit, list);
	if (n && is_flow(node_of(edit, list))) {
		remove_in_flow(edit, list, is_removed);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		const int item = berth_text_item(edit, list, i);
		if (is_removed[i])
			add_change(edit, line_start(edit, dash_of(edit, start_of(edit, item))),
				   next_line(edit, end_of(edit, item)), NULL);
	}
}

/* --- */

static int by_place(const void *a, const void *b)
{
	const struct change *x = a, *y = b;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

static bool write_changes(struct berth_text_edit *edit, FILE *out)
{
	size_t at = 0;
	fwrite(edit->text - edit->skip, 1, edit->skip, out);
	for (size_t i = 0; i < edit->n; i++) {
		const struct change *change = &edit->changes[i];
		if (change->start < at || change->end < change->start)
			return false;
		fwrite(edit->text + at, 1, change->start - at, out);
		if (change->text)
			fputs(change->text, out);
		at = change->end;
	}
	fwrite(edit->text + at, 1, edit->length - at, out);
	return true;
}

char *berth_text_edit_finish(struct berth_text_edit *edit, size_t *length)
{
	char *text = NULL;
	FILE *out = edit->has_failed ? NULL : open_memstream(&text, length);
	if (!out)
		return NULL;
	if (edit->n)
		qsort(edit->changes, edit->n, sizeof(*edit->changes), by_place);
	bool is_whole = write_changes(edit, out) && !ferror(out);
	is_whole = fclose(out) == 0 && is_whole;
	if (is_whole)
		return text;
	free(text);
	return NULL;
}
