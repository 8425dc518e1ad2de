/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tables that say which keys a section of the configuration has, and one reader for them all: it fills a
 * struct from a section, and for whatever does not fit says where it stands and what may stand there.
 */
#pragma once

#include "controlplane/config/yaml.h"
#include "dataplane/core/types.h"

/* What reading needs everywhere. After the first error nothing else is read. */
struct berth_schema {
	const struct berth_yaml *yaml;
	char *error; /* BERTH_ERROR_BYTES */
};

enum berth_field_kind {
	BERTH_FIELD_NUMBER,
	BERTH_FIELD_DURATION, /* "10s" */
	BERTH_FIELD_WORD,     /* one of a few */
	BERTH_FIELD_TEXT,
	BERTH_FIELD_ADDRESS, /* of one host; union berth_addr */
	BERTH_FIELD_PREFIX,  /* of hosts, or of one; union berth_addr, and its bits of 128 in a uint8_t */
	BERTH_FIELD_PORTS,   /* one, a range or any; the first and the last one in a uint16_t each */
	BERTH_FIELD_SECTION,
	BERTH_FIELD_LIST,
	BERTH_FIELD_CUSTOM, /* whatever its function takes */
};

struct berth_word {
	const char *word; /* NULL ends the list */
	int value;
};

/* A key. A key that is not there leaves its member as it is, so the caller sets the defaults first. */
struct berth_field {
	const char *key;
	enum berth_field_kind kind;
	bool required; /* of a list: with at least one item */
	size_t offset; /* of the member in the struct that is filled; lists and sections get this place */
	size_t size;   /* of the member; 0: checked, but kept nowhere */
	size_t second; /* offset of a prefix's bits, of the last port */
	int64_t min;   /* numbers, and milliseconds of durations */
	int64_t max;   /* likewise */
	int64_t unit;  /* durations: how many milliseconds one of the member is */
	const struct berth_word *words;
	bool (*is_valid_number)(int64_t number); /* beyond its range; NULL: yes */
	bool (*is_valid_text)(const char *text);
	const char *noun; /* texts, BERTH_FIELD_CUSTOM, and numbers that not every number fits: "a prime number" */
	const struct berth_section *section;
	/* Of lists, empty or not, and BERTH_FIELD_CUSTOM. */
	int (*read_value)(struct berth_schema *schema, json_t *list, void *member);
};

#define BERTH_MEMBER(type, member) .offset = offsetof(type, member), .size = sizeof(((type *)NULL)->member)

/* What stands between the braces of a field; more may follow. */
#define BERTH_NUMBER(name, type, member, low, high)                                                                \
	.key = (name), .kind = BERTH_FIELD_NUMBER, .min = (low), .max = (high), BERTH_MEMBER(type, member)
#define BERTH_DURATION(name, type, member, low, high, member_unit)                                                 \
	.key = (name), .kind = BERTH_FIELD_DURATION, .min = (low), .max = (high), .unit = (member_unit),           \
	BERTH_MEMBER(type, member)
#define BERTH_WORD(name, type, member, list)                                                                       \
	.key = (name), .kind = BERTH_FIELD_WORD, .words = (list), BERTH_MEMBER(type, member)
#define BERTH_TEXT(name, type, member, fits, what)                                                                 \
	.key = (name), .kind = BERTH_FIELD_TEXT, .is_valid_text = (fits), .noun = (what), BERTH_MEMBER(type, member)
#define BERTH_ADDRESS(name, type, member) .key = (name), .kind = BERTH_FIELD_ADDRESS, BERTH_MEMBER(type, member)
#define BERTH_PREFIX(name, type, member, bits)                                                                     \
	.key = (name), .kind = BERTH_FIELD_PREFIX, .second = offsetof(type, bits), BERTH_MEMBER(type, member)
#define BERTH_PORTS(name, type, member, last)                                                                      \
	.key = (name), .kind = BERTH_FIELD_PORTS, .second = offsetof(type, last), BERTH_MEMBER(type, member)

struct berth_section {
	const char *name; /* for messages: "a service" */
	const struct berth_field *fields;
	size_t n_fields;
};

#define BERTH_FIELDS(array) .fields = (array), .n_fields = sizeof(array) / sizeof((array)[0])

/* Fills `out` from `value`. 0 or -errno with one line in the schema's `error`, like all below. */
int berth_schema_read(struct berth_schema *schema, const struct berth_section *section, json_t *value, void *out);

/* An error at the value of `key` in `object`; at the object itself where it has no such key. -EINVAL. */
__attribute__((format(printf, 4, 5))) int berth_schema_fail(struct berth_schema *schema, json_t *object,
							    const char *key, const char *format, ...);
/* -ENOMEM. */
int berth_schema_fail_memory(struct berth_schema *schema);
/* Zeroed memory for `n` of `size` bytes; NULL only with an error. */
void *berth_schema_alloc(struct berth_schema *schema, size_t n, size_t size);

/* "10s" in milliseconds; -1: it is no duration. */
int64_t berth_schema_parse_duration(const char *text);

/* A section's text that another must not have: fails where `seen` has it, else adds it. `what` and `mend` make
 * the message: "duplicate WHAT TEXT, first at line N; MEND". */
int berth_schema_unique(struct berth_schema *schema, json_t *seen, const char *text, json_t *object,
			const char *key, const char *what, const char *mend);

/* The values of a list's items so far, for keys whose values must differ. */
struct berth_schema_seen {
	json_t *names;
	json_t *places; /* addresses, or addresses with protocol and port */
};

int berth_schema_seen_init(struct berth_schema *schema, struct berth_schema_seen *seen);
void berth_schema_seen_clear(struct berth_schema_seen *seen);
