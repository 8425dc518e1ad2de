// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/store/presence.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/config/parse_backends.h"

enum {
	VERSION = 1,
	EPOCH_DIGITS = 16,
};

int berth_presence_format(const struct berth_presence *presence, char text[BERTH_HELPER_STORE_VALUE_BYTES])
{
	char epoch[EPOCH_DIGITS + 1];
	snprintf(epoch, sizeof(epoch), "%016" PRIx64, presence->epoch);
	json_t *json = json_pack("{s:i, s:s, s:I, s:s, s:s, s:I, s:I}", "version", VERSION, "epoch", epoch, "beat",
				 (json_int_t)presence->beat, "config_digest", presence->config_digest,
				 "secret_digest", presence->secret_digest, "services",
				 (json_int_t)presence->services, "backends", (json_int_t)presence->backends);
	if (!json)
		return -ENOMEM;
	const size_t n = json_dumpb(json, text, BERTH_HELPER_STORE_VALUE_BYTES - 1, JSON_COMPACT);
	json_decref(json);
	if (n == 0 || n >= BERTH_HELPER_STORE_VALUE_BYTES)
		return -EMSGSIZE;
	text[n] = 0;
	return 0;
}

/* Exactly so many hexadecimal digits. NULL: no. */
static const char *digits_of(const json_t *json, const char *key, size_t n)
{
	const char *text = json_string_value(json_object_get(json, key));
	return text && strlen(text) == n && strspn(text, "0123456789abcdef") == n ? text : NULL;
}

static bool read_count(const json_t *json, const char *key, uint32_t *count)
{
	const json_t *value = json_object_get(json, key);
	const json_int_t number = json_integer_value(value);
	*count = (uint32_t)number;
	return json_is_integer(value) && number >= 0 && number <= UINT32_MAX;
}

static bool read_members(struct berth_presence *presence, const json_t *json)
{
	const char *epoch = digits_of(json, "epoch", EPOCH_DIGITS);
	const char *config = digits_of(json, "config_digest", BERTH_PRESENCE_CONFIG_DIGITS);
	const char *secret = digits_of(json, "secret_digest", BERTH_PRESENCE_SECRET_DIGITS);
	const json_t *beat = json_object_get(json, "beat");
	if (json_integer_value(json_object_get(json, "version")) != VERSION || !epoch || !config || !secret ||
	    !json_is_integer(beat) || json_integer_value(beat) < 0 ||
	    !read_count(json, "services", &presence->services) ||
	    !read_count(json, "backends", &presence->backends))
		return false;
	presence->epoch = strtoull(epoch, NULL, 16);
	presence->beat = (uint64_t)json_integer_value(beat);
	snprintf(presence->config_digest, sizeof(presence->config_digest), "%s", config);
	snprintf(presence->secret_digest, sizeof(presence->secret_digest), "%s", secret);
	return true;
}

bool berth_presence_parse(struct berth_presence *presence, const char *node, const char *value, size_t bytes)
{
	json_error_t ignored;
	if (!berth_config_is_name(node) || bytes >= BERTH_HELPER_STORE_VALUE_BYTES)
		return false;
	*presence = (struct berth_presence){0};
	snprintf(presence->node, sizeof(presence->node), "%s", node);
	json_t *json = json_loadb(value, bytes, JSON_REJECT_DUPLICATES, &ignored);
	const bool is_valid = json && read_members(presence, json);
	json_decref(json);
	return is_valid;
}
