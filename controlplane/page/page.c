// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/page/page.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum {
	VALUE_BYTES = 256, /* of a query */
};

struct figures {
	const char *path;
	berth_cmd_fn *show;
	const char *arguments[2]; /* that a query may have */
};

static const struct figures figures[] = {
	{"/show/services", berth_cmd_show_services, {"after"}},
	{"/show/backends", berth_cmd_show_backends, {"after", "service"}},
	{"/show/drops", berth_cmd_show_drops, {NULL}},
	{"/show/engine", berth_cmd_show_engine, {NULL}},
	{"/show/stats", berth_cmd_show_stats, {NULL}},
	{"/show/ports", berth_cmd_show_ports, {NULL}},
	{"/show/node", berth_cmd_show_node, {"after"}},
	{"/show/cluster", berth_cmd_show_cluster, {NULL}},
};

static int hex_digit(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/* Decodes %2F. False: too long, or not a text. */
static bool decode(const char *from, size_t length, char value[VALUE_BYTES])
{
	size_t n = 0;
	for (size_t i = 0; i < length; i++) {
		if (n == VALUE_BYTES - 1)
			return false;
		bool is_escape = from[i] == '%' && i + 2 < length && isxdigit((unsigned char)from[i + 1]) &&
				 isxdigit((unsigned char)from[i + 2]);
		value[n] = from[i];
		if (is_escape) {
			value[n] = (char)(hex_digit(from[i + 1]) * 16 + hex_digit(from[i + 2]));
			i += 2;
		}
		if (!value[n++])
			return false;
	}
	value[n] = '\0';
	return true;
}

static bool permits(const struct figures *what, const char *key, size_t length)
{
	for (size_t i = 0; i < 2 && what->arguments[i]; i++)
		if (strlen(what->arguments[i]) == length && strncmp(what->arguments[i], key, length) == 0)
			return true;
	return false;
}

/* The arguments in a query, as in service=web&after=200. NULL: it has others. */
static json_t *arguments_of(const struct figures *what, const char *query)
{
	char value[VALUE_BYTES];
	json_t *arguments = json_object();
	while (*query) {
		size_t pair = strcspn(query, "&"), key = strcspn(query, "=&");
		if (key == pair || !permits(what, query, key) || !decode(query + key + 1, pair - key - 1, value) ||
		    json_object_setn_new_nocheck(arguments, query, key, json_string(value)) != 0) {
			json_decref(arguments);
			return NULL;
		}
		query += pair;
		query += *query == '&';
	}
	return arguments;
}

/* What an operator may see and others need not. */
static void remove_private(json_t *result)
{
	json_t *node;
	size_t i;
	json_object_del(result, "secret_file");
	json_array_foreach(json_object_get(result, "nodes"), i, node)
	{
		json_object_del(node, "secret_digest");
		json_object_del(node, "config_digest");
	}
}

static void write_json(struct berth_text *text, json_t *value)
{
	char *dump = json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(BERTH_WIRE_DIGITS));
	if (dump)
		berth_text_copy(text, (struct berth_labels){dump, strlen(dump)});
	text->failed |= !dump;
	free(dump);
	json_decref(value);
}

static const char *write_figures(const struct berth_cmd_context *context, const struct figures *what,
				 const char *query, struct berth_text *text)
{
	char error[BERTH_ERROR_BYTES];
	json_t *result = NULL, *arguments = arguments_of(what, query);
	if (!arguments)
		return NULL;
	if (what->show(context, arguments, &result, error) == BERTH_CODE_OK && result)
		remove_private(result);
	else
		result = json_pack("{s:s}", "error", error);
	json_decref(arguments);
	write_json(text, result);
	return "application/json";
}

const char *berth_page_write(const struct berth_cmd_context *context, const char *target, struct berth_text *text)
{
	size_t path = strcspn(target, "?");
	const char *query = target[path] ? target + path + 1 : target + path;
	if (strcmp(target, "/") == 0) {
		berth_text_copy(text, (struct berth_labels){berth_page_document, strlen(berth_page_document)});
		return "text/html";
	}
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		if (strlen(figures[i].path) == path && strncmp(figures[i].path, target, path) == 0)
			return write_figures(context, &figures[i], query, text);
	return NULL;
}
