/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One YAML document -> one jansson tree, with the place of each key and value in the text.
 *
 * Strict: no anchors, aliases, tags, directives, merge keys, duplicate keys or second document. A plain scalar is
 * an integer if it is in shortest decimal form (80, -1), null if it is empty, else text: `null`, `yes` and 0x50 are
 * text. A quoted scalar is always text.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/util/error.h"

enum {
	BERTH_YAML_MAX_BYTES = 8 << 20,
	BERTH_YAML_MAX_DEPTH = 16,	 /* nested lists and sections */
	BERTH_YAML_MAX_VALUES = 1 << 20, /* keys and values; bounds the memory for a hostile text */
};

/* A place in the text. Both count from 1; columns count characters. */
struct berth_yaml_mark {
	uint32_t line;
	uint32_t column;
};

struct berth_yaml_place {
	const void *what; /* a json_t, or the text of a key in the tree */
	struct berth_yaml_mark mark;
};

struct berth_yaml {
	const char *name; /* of the file, for messages; owned by the caller */
	json_t *root;
	struct berth_yaml_place *places;
	size_t n_places;
	size_t room;
};

/* 0, or -errno with one line in `error` and nothing to clear. */
int berth_yaml_parse(struct berth_yaml *yaml, const char *name, const char *text, size_t length,
		     char error[BERTH_ERROR_BYTES]);
void berth_yaml_clear(struct berth_yaml *yaml);

/* The place of a value; 1:1 for a null, of which jansson has only one. */
struct berth_yaml_mark berth_yaml_mark_of(const struct berth_yaml *yaml, const json_t *value);
/* The place of a key of an object. */
struct berth_yaml_mark berth_yaml_mark_of_key(const struct berth_yaml *yaml, json_t *object, const char *key);

/* Writes "name:line:column: message" as one printable line and returns -EINVAL. */
__attribute__((format(printf, 4, 5))) int berth_yaml_fail(const char *name, struct berth_yaml_mark mark,
							  char error[BERTH_ERROR_BYTES], const char *format, ...);
