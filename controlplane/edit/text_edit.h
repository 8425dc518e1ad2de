/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Changes of a YAML text in place, by the marks of libyaml: all that is not changed stays byte by byte, comments
 * included. Nodes are numbers; 0 is none. The text is one that config/parse.h accepts: no aliases, tags or anchors.
 * Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct berth_text_edit;

/* NULL: out of memory, or not YAML. */
struct berth_text_edit *berth_text_edit_new(const char *text, size_t length);
void berth_text_edit_free(struct berth_text_edit *edit);

int berth_text_root(struct berth_text_edit *edit);
/* The value of a key. */
int berth_text_member(struct berth_text_edit *edit, int mapping, const char *key);
/* Items of a list; 0 for another node. */
size_t berth_text_count(struct berth_text_edit *edit, int list);
int berth_text_item(struct berth_text_edit *edit, int list, size_t index);
/* NULL: not a text. */
const char *berth_text_scalar(struct berth_text_edit *edit, int node);

/* Changes, which do not show in the nodes. `value`: YAML in one line. */
void berth_text_set(struct berth_text_edit *edit, int mapping, const char *key, const char *value);
/* Nothing, if the key is absent. */
void berth_text_unset(struct berth_text_edit *edit, int mapping, const char *key);
/* Appends to the list that `key` has, or makes it. */
void berth_text_append(struct berth_text_edit *edit, int mapping, const char *key, const char *value);
/* Removes those items of a list for which `is_removed` is true. */
void berth_text_remove(struct berth_text_edit *edit, int list, const bool *is_removed);

/* The text with the changes; the caller frees it. NULL: out of memory, or the changes meet each other. */
char *berth_text_edit_finish(struct berth_text_edit *edit, size_t *length);
