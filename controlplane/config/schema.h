/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tables of the keys that a section of the configuration has, and one reader for all tables. It fills a struct from
 * a section; an error names the place, the value and the valid values.
 */
#pragma once

#include "controlplane/config/yaml.h"
#include "dataplane/core/types.h"

enum {
	BERTH_CONFIG_ERRORS = 100, /* of one file, at most */
};

/* `error`: one line, valid during the call. */
typedef void berth_config_error_fn(void *arg, const char *error);

/* The reader's context. Without `fn` reading stops at the first error; else it goes on with the next key or item.
 */
struct berth_schema {
	const struct berth_yaml *yaml;
	char *error; /* BERTH_ERROR_BYTES: the first one */
	berth_config_error_fn *fn;
	void *arg;
	size_t n_errors;
	size_t n_before; /* errors before the service that is being read */
	bool is_sound;	 /* it has none before its backends, which are compared with it then */
};

enum berth_field_kind {
	BERTH_FIELD_NUMBER,
	BERTH_FIELD_DURATION, /* "10s" */
	BERTH_FIELD_WORD,     /* one of `words` */
	BERTH_FIELD_TEXT,
	BERTH_FIELD_ADDRESS, /* of a host, into a union berth_addr */
	BERTH_FIELD_PREFIX,  /* of hosts, into a union berth_addr and a uint8_t for its length of 128 */
	BERTH_FIELD_PORTS,   /* a port, a range or `any`, into two uint16_t: first and last */
	BERTH_FIELD_SECTION,
	BERTH_FIELD_LIST,
	BERTH_FIELD_CUSTOM, /* `read_value` parses it */
};

struct berth_word {
	const char *word; /* NULL ends the list */
	int value;
};

/* A key. If it is absent, its member keeps the default that the caller has set. */
struct berth_field {
	const char *key;
	enum berth_field_kind kind;
	bool required;	/* a required list has at least one item */
	size_t offset;	/* of the member in the struct to fill; passed on for lists and sections */
	size_t size;	/* of the member; 0: checked, not stored */
	size_t pointed; /* of a section: bytes of the struct that its member points to; 0: it is the struct */
	size_t second;	/* offset of the prefix length or the last port */
	int64_t min;	/* numbers; durations: milliseconds */
	int64_t max;	/* as min */
	int64_t unit;	/* durations: milliseconds per unit of the member */
	const struct berth_word *words;
	bool (*is_valid_number)(int64_t number); /* within its range; NULL: all are */
	bool (*is_valid_text)(const char *text);
	const char *noun; /* what a text, a custom value or a checked number must be: "a prime number" */
	const struct berth_section *section; /* of a section, or of each item of a list */
	/* JSON schema of a custom value, or of each item of a list without a section: for editors (reference/) */
	const char *json_schema;
	/* For lists, also empty ones, and BERTH_FIELD_CUSTOM. */
	int (*read_value)(struct berth_schema *schema, json_t *list, void *member);
};

#define BERTH_JSON_TEXT "{\"type\": \"string\"}"

#define BERTH_MEMBER(type, member) .offset = offsetof(type, member), .size = sizeof(((type *)NULL)->member)

/* Initializers of a field; more can follow in its braces. */
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

/* What the field fills, of a struct at `base`. */
static inline void *berth_schema_member(const struct berth_field *field, const void *base)
{
	char *member = (char *)base + field->offset;
	return field->pointed ? *(void **)(void *)member : member;
}

struct berth_section {
	const char *name; /* for messages: "a service" */
	const struct berth_field *fields;
	size_t n_fields;
};

#define BERTH_FIELDS(array) .fields = (array), .n_fields = sizeof(array) / sizeof((array)[0])

/* Fills `out` from `value`. 0 or -errno with one line in the schema's `error`, like all below. */
int berth_schema_read(struct berth_schema *schema, const struct berth_section *section, json_t *value, void *out);

/* Whether to go on after an error, to find more. */
bool berth_schema_goes_on(const struct berth_schema *schema, int err);
/* Fails at the value of `key` in `object`, or at the object if it has no such key. -EINVAL. */
__attribute__((format(printf, 4, 5))) int berth_schema_fail(struct berth_schema *schema, json_t *object,
							    const char *key, const char *format, ...);
/* Fails at `value`, of a custom `key`, which must be a `noun`. -EINVAL. */
int berth_schema_fail_value(struct berth_schema *schema, json_t *value, const char *key, const char *noun);
/* -ENOMEM. */
int berth_schema_fail_memory(struct berth_schema *schema);
/* Zeroed memory for `n` elements of `size` bytes, also for n = 0. NULL: no memory, and the error is set. */
void *berth_schema_alloc(struct berth_schema *schema, size_t n, size_t size);

/* The keys of the top level; those of struct berth_config come first in the struct that they fill: parse.c. */
extern const struct berth_section berth_config_root;

/* Fails if `seen` contains `text`, else adds it. The message: "duplicate WHAT TEXT, first at line N; FIX". */
int berth_schema_unique(struct berth_schema *schema, json_t *seen, const char *text, json_t *object,
			const char *key, const char *what, const char *fix);

/* The values of a list's items so far, for keys whose values must differ. */
struct berth_schema_seen {
	json_t *names;
	json_t *places; /* addresses, or addresses with protocol and port */
};

int berth_schema_seen_init(struct berth_schema *schema, struct berth_schema_seen *seen);
void berth_schema_seen_clear(struct berth_schema_seen *seen);
