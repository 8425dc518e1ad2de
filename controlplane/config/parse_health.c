/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/config/parse_health.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SECOND_MS = 1000,
	HOUR_MS = 3600 * SECOND_MS,
	LEAST_INTERVAL_MS = 50,
	MAX_COUNT = 100,
	FIRST_STATUS = 200, /* 1xx are not final */
	LAST_STATUS = 599,
	DIGITS_BYTES = 24,
};

/* Short, so that a key is a line. */
#define HEALTH struct berth_health_config

#define DATA_NOUN "1 to 255 bytes of text, or {hex: ...} with them as hex digits"
#define DATA_SCHEMA                                                                                                \
	"{\"anyOf\": [{\"type\": [\"string\", \"integer\"], \"minLength\": 1, \"maxLength\": 255},"                \
	"{\"type\": \"object\", \"properties\": {\"hex\": {\"type\": [\"string\", \"integer\"]}},"                 \
	"\"required\": [\"hex\"], \"additionalProperties\": false}]}"
#define STATUS_NOUN "a list of statuses and ranges like [200-299, 304]"
#define COMMAND_NOUN "a list of a program's full path and its arguments, like [/usr/local/bin/check, -q]"
#define EXPECT_NOUN "{status: [200-299], body: ...} for http and https, " DATA_NOUN " for udp"

#define X(symbol, name, has_port, passes) {name, BERTH_HEALTH_##symbol},
static const struct berth_word type_words[] = {BERTH_HEALTH_CHECKS(X){"none", BERTH_HEALTH_NONE}, {NULL, 0}};
#undef X
static const struct berth_word via_words[] = {
	{"direct", BERTH_VIA_DIRECT}, {"tunnel", BERTH_VIA_TUNNEL}, {NULL, 0}};
static const struct berth_word method_words[] = {{"GET", 0}, {"HEAD", 1}, {NULL, 0}};
static const struct berth_word verify_words[] = {{"true", 0}, {"false", 1}, {NULL, 0}};

/* It becomes part of a request line and of a URL. */
static bool is_path(const char *text)
{
	for (const char *c = text; *c; c++)
		if (*c <= ' ' || *c > '~' || *c == '#')
			return false;
	return *text == '/';
}

static bool consists_of(const char *text, const char *more)
{
	for (const char *c = text; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr(more, *c))
			return false;
	return *text;
}

static bool is_host(const char *text)
{
	return consists_of(text, "._-:[]");
}

static bool is_tls_name(const char *text)
{
	return consists_of(text, "._-");
}

static bool is_user(const char *text)
{
	return *text && !strpbrk(text, " \t\n:");
}

static bool is_file(const char *text)
{
	return *text == '/';
}

/* A text, or an integer as it was written; NULL: another type, or a text with a null byte. */
static const char *text_of(const json_t *value, char digits[DIGITS_BYTES])
{
	if (json_is_integer(value)) {
		snprintf(digits, DIGITS_BYTES, "%lld", (long long)json_integer_value(value));
		return digits;
	}
	const char *text = json_string_value(value);
	return text && strlen(text) == json_string_length(value) ? text : NULL;
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef";
	const char *at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;
	return at ? (int)(at - digits) : -1;
}

static bool parse_hex(const char *text, uint8_t data[BERTH_HEALTH_DATA_BYTES], uint16_t *bytes)
{
	size_t n = strlen(text);

	if (n == 0 || n % 2 || n / 2 >= BERTH_HEALTH_DATA_BYTES)
		return false;
	for (size_t i = 0; i < n; i += 2) {
		int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);
		if (high < 0 || low < 0)
			return false;
		data[i / 2] = (uint8_t)(high << 4 | low);
	}
	*bytes = (uint16_t)(n / 2);
	return true;
}

static int read_data(struct berth_schema *schema, json_t *value, uint8_t data[BERTH_HEALTH_DATA_BYTES],
		     uint16_t *bytes)
{
	char digits[DIGITS_BYTES];
	bool is_hex = json_object_size(value) == 1 && json_object_get(value, "hex");
	const char *text = text_of(is_hex ? json_object_get(value, "hex") : value, digits);

	if (is_hex && text && parse_hex(text, data, bytes))
		return 0;
	if (is_hex || !text || !*text || strlen(text) >= BERTH_HEALTH_DATA_BYTES)
		return berth_schema_fail(schema, value, NULL, "invalid payload; write " DATA_NOUN);
	*bytes = (uint16_t)strlen(text);
	memcpy(data, text, *bytes);
	return 0;
}

static int read_send(struct berth_schema *schema, json_t *value, void *member)
{
	HEALTH *health = member;
	return read_data(schema, value, health->send, &health->send_bytes);
}

static int read_body(struct berth_schema *schema, json_t *value, void *member)
{
	HEALTH *health = member;
	return read_data(schema, value, health->expect, &health->expect_bytes);
}

/* "200-299", 304 */
static bool parse_statuses(const json_t *value, struct berth_health_status_range *range)
{
	char digits[DIGITS_BYTES], rest;
	unsigned int first, last;
	const char *text = text_of(value, digits);

	if (!text || strspn(text, "0123456789-") != strlen(text) || strlen(text) > strlen("200-299"))
		return false;
	int n = sscanf(text, "%3u-%3u%c", &first, &last, &rest);
	if (n == 1 && strlen(text) == 3)
		last = first;
	else if (n != 2)
		return false;
	*range = (struct berth_health_status_range){(uint16_t)first, (uint16_t)last};
	return first >= FIRST_STATUS && first <= last && last <= LAST_STATUS;
}

static int read_statuses(struct berth_schema *schema, json_t *list, void *member)
{
	HEALTH *health = member;
	size_t n = json_array_size(list);

	if (n == 0 || n > BERTH_HEALTH_STATUSES)
		return berth_schema_fail(schema, list, NULL, "not a list of 1 to %d items; write " STATUS_NOUN,
					 BERTH_HEALTH_STATUSES);
	memset(health->statuses, 0, sizeof(health->statuses));
	for (size_t i = 0; i < n; i++)
		if (!parse_statuses(json_array_get(list, i), &health->statuses[i]))
			return berth_schema_fail(schema, json_array_get(list, i), NULL,
						 "invalid status; write one from %d to %d, or a range like 200-299",
						 FIRST_STATUS, LAST_STATUS);
	health->n_statuses = (uint16_t)n;
	return 0;
}

static const struct berth_field expect_fields[] = {
	{.key = "status",
	 .kind = BERTH_FIELD_CUSTOM,
	 .noun = STATUS_NOUN,
	 .json_schema = "{\"type\": \"array\", \"minItems\": 1, \"maxItems\": 16,"
			"\"items\": {\"anyOf\": [{\"type\": \"integer\", \"minimum\": 200, \"maximum\": 599},"
			"{\"type\": \"string\", \"pattern\": \"^[2-5][0-9][0-9](-[2-5][0-9][0-9])?$\"}]}}",
	 .read_value = read_statuses},
	{.key = "body",
	 .kind = BERTH_FIELD_CUSTOM,
	 .noun = DATA_NOUN,
	 .json_schema = DATA_SCHEMA,
	 .read_value = read_body},
};

static const struct berth_section expect_section = {"expect", BERTH_FIELDS(expect_fields)};

static bool is_http(const HEALTH *health)
{
	return health->type == BERTH_HEALTH_HTTP || health->type == BERTH_HEALTH_HTTPS;
}

static int read_expect(struct berth_schema *schema, json_t *value, void *member)
{
	HEALTH *health = member;

	if (health->type == BERTH_HEALTH_UDP)
		return read_data(schema, value, health->expect, &health->expect_bytes);
	if (!is_http(health))
		return 0; /* berth_config_check_health refuses it */
	if (!json_is_object(value))
		return berth_schema_fail(schema, value, NULL,
					 "expect of http and https has keys; write {status: [200-299], body: ...} "
					 "or one of them");
	return berth_schema_read(schema, &expect_section, value, health);
}

static int read_command(struct berth_schema *schema, json_t *list, void *member)
{
	HEALTH *health = member;
	char digits[DIGITS_BYTES];
	json_t *item;
	size_t i;

	if (json_array_size(list) == 0 || json_array_size(list) > BERTH_HEALTH_ARGUMENTS)
		return berth_schema_fail(schema, list, NULL, "not a list of 1 to %d items; write " COMMAND_NOUN,
					 BERTH_HEALTH_ARGUMENTS);
	json_array_foreach(list, i, item)
	{
		const char *text = text_of(item, digits);
		if (!text || (i == 0 && *text != '/'))
			return berth_schema_fail(schema, item, NULL,
						 i ? "an argument must be text; put it in quotes"
						   : "not a full path, and no shell searches for the program; "
						     "write one like /usr/local/bin/check");
		size_t bytes = strlen(text) + 1;
		if (health->command_bytes + bytes > BERTH_HEALTH_COMMAND_BYTES)
			return berth_schema_fail(schema, item, NULL,
						 "the command is longer than %d bytes; put it into a script",
						 BERTH_HEALTH_COMMAND_BYTES);
		memcpy(health->command + health->command_bytes, text, bytes);
		health->command_bytes = (uint16_t)(health->command_bytes + bytes);
	}
	return 0;
}

static const struct berth_field tls_fields[] = {
	{BERTH_WORD("verify", HEALTH, is_unverified, verify_words)},
	{BERTH_TEXT("ca", HEALTH, ca, is_file, "the full path of a file with certificates (PEM)")},
	{BERTH_TEXT("name", HEALTH, tls_name, is_tls_name, "a host name, at most 255 bytes")},
};

static const struct berth_section tls_section = {"tls", BERTH_FIELDS(tls_fields)};

static const struct berth_field agent_fields[] = {
	{BERTH_NUMBER("port", HEALTH, agent_port, 1, UINT16_MAX), .required = true},
	{BERTH_DURATION("interval", HEALTH, agent_interval_ms, LEAST_INTERVAL_MS, HOUR_MS, 1)},
	{BERTH_DURATION("timeout", HEALTH, agent_timeout_ms, 1, HOUR_MS, 1)},
};

static const struct berth_section agent_section = {"agent", BERTH_FIELDS(agent_fields)};

/* The type first, because the form of `expect` depends on it. */
static const struct berth_field health_fields[] = {
	{BERTH_WORD("type", HEALTH, type, type_words)},
	{BERTH_NUMBER("port", HEALTH, port, 1, UINT16_MAX)},
	{BERTH_DURATION("interval", HEALTH, interval_ms, LEAST_INTERVAL_MS, HOUR_MS, 1)},
	{BERTH_DURATION("timeout", HEALTH, timeout_ms, 1, HOUR_MS, 1)},
	{BERTH_NUMBER("rise", HEALTH, rise, 1, MAX_COUNT)},
	{BERTH_NUMBER("fall", HEALTH, fall, 1, MAX_COUNT)},
	{BERTH_DURATION("stale", HEALTH, stale_ms, 0, HOUR_MS, 1)},
	{BERTH_DURATION("half-life", HEALTH, half_life_ms, LEAST_INTERVAL_MS, HOUR_MS, 1)},
	{BERTH_WORD("via", HEALTH, via, via_words)},
	{BERTH_WORD("method", HEALTH, is_head, method_words)},
	{BERTH_TEXT("path", HEALTH, path, is_path,
		    "a path like /health of printable characters, at most 255 bytes")},
	{BERTH_TEXT("host", HEALTH, host, is_host, "a host name, at most 255 bytes")},
	{.key = "tls", .kind = BERTH_FIELD_SECTION, .section = &tls_section},
	{.key = "send",
	 .kind = BERTH_FIELD_CUSTOM,
	 .noun = DATA_NOUN,
	 .json_schema = DATA_SCHEMA,
	 .read_value = read_send},
	{.key = "expect",
	 .kind = BERTH_FIELD_CUSTOM,
	 .noun = EXPECT_NOUN,
	 .section = &expect_section,
	 .json_schema = DATA_SCHEMA,
	 .read_value = read_expect},
	{.key = "command",
	 .kind = BERTH_FIELD_CUSTOM,
	 .noun = COMMAND_NOUN,
	 .json_schema = "{\"type\": \"array\", \"minItems\": 1, \"maxItems\": 64,"
			"\"items\": {\"type\": [\"string\", \"integer\"]}}",
	 .read_value = read_command},
	{BERTH_TEXT("user", HEALTH, user, is_user, "the name of a user of this host, at most 31 bytes")},
	{.key = "agent", .kind = BERTH_FIELD_SECTION, .section = &agent_section},
};

const struct berth_section berth_config_health = {"health", BERTH_FIELDS(health_fields)};

#define OF(type) (1u << BERTH_HEALTH_##type)

/* The keys that only some types have. */
static const struct {
	const char *key;
	uint32_t types;
	const char *words;
	const char *one;
} uses[] = {
	{"port", OF(TCP) | OF(HTTP) | OF(HTTPS) | OF(UDP) | OF(EXEC) | OF(NONE), "tcp, http, https, udp or exec",
	 "tcp"},
	{"method", OF(HTTP) | OF(HTTPS), "http or https", "http"},
	{"path", OF(HTTP) | OF(HTTPS), "http or https", "http"},
	{"host", OF(HTTP) | OF(HTTPS), "http or https", "http"},
	{"tls", OF(HTTPS), "https", "https"},
	{"send", OF(UDP), "udp", "udp"},
	{"expect", OF(HTTP) | OF(HTTPS) | OF(UDP), "http, https or udp", "http"},
	{"command", OF(EXEC), "exec", "exec"},
	{"user", OF(EXEC), "exec", "exec"},
};

#define TUNNEL_TYPES (OF(TCP) | OF(HTTP) | OF(HTTPS) | OF(UDP))

static int check_uses(struct berth_schema *schema, json_t *item, const HEALTH *health)
{
	for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++)
		if (json_object_get(item, uses[i].key) && !(uses[i].types & 1u << health->type))
			return berth_schema_fail(schema, item, uses[i].key,
						 "%s is for checks of type %s, and this one is of type %s; "
						 "remove it, or write type: %s",
						 uses[i].key, uses[i].words, berth_health_type_name(health->type),
						 uses[i].one);
	return 0;
}

/* The ids are looked up once, so that no probe waits for a directory service. */
static int find_account(struct berth_schema *schema, json_t *item, HEALTH *health)
{
	const char *name = health->user[0] ? health->user : BERTH_HEALTH_USER;
	int err = health->type == BERTH_HEALTH_EXEC ? berth_account_find(name, &health->account) : 0;

	if (err == -ENOENT)
		return berth_schema_fail(schema, item, "user",
					 "user \"%s\" not found on this host; create it, or write user: with the "
					 "name of an existing one",
					 name);
	if (err == -E2BIG)
		return berth_schema_fail(schema, item, "user",
					 "user \"%s\" is in more than %d groups; use another one", name,
					 BERTH_ACCOUNT_GROUPS);
	return err ? berth_schema_fail(schema, item, "user", "user \"%s\" cannot be looked up: %s", name,
				       strerror(-err))
		   : 0;
}

int berth_config_check_health(struct berth_schema *schema, json_t *service_item,
			      const struct berth_service_config *service, HEALTH *health)
{
	json_t *item = json_object_get(service_item, "health");
	int err = check_uses(schema, item, health);

	if (err)
		return err;
	if (health->type == BERTH_HEALTH_UDP && !health->send_bytes)
		return berth_schema_fail(schema, item, NULL,
					 "a check of type udp needs a payload; add send: " DATA_NOUN);
	if (health->type == BERTH_HEALTH_EXEC && !health->command_bytes)
		return berth_schema_fail(schema, item, NULL,
					 "a check of type exec needs a program; add command: " COMMAND_NOUN);
	if (health->via == BERTH_VIA_TUNNEL && !(TUNNEL_TYPES & 1u << health->type))
		return berth_schema_fail(schema, item, "via",
					 "checks of type %s cannot use the tunnel; write type: tcp, http, https or "
					 "udp, or via: direct",
					 berth_health_type_name(health->type));
	if (health->via == BERTH_VIA_TUNNEL && berth_mode_returns(service->mode))
		return berth_schema_fail(schema, item, "via",
					 "mode %s sends to the backend's own address, like direct checks; remove "
					 "via",
					 berth_mode_name(service->mode));
	if (health->is_head && health->expect_bytes)
		return berth_schema_fail(schema, json_object_get(item, "expect"), "body",
					 "an answer to HEAD has no body; remove body, or write method: GET");
	return find_account(schema, item, health);
}
