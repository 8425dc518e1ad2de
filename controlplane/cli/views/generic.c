// SPDX-License-Identifier: BSD-3-Clause
#include <string.h>

#include "controlplane/cli/cli.h"

static void print_value(FILE *out, const json_t *value, int indent);

static bool is_nested(const json_t *value)
{
	return (json_is_object(value) && json_object_size(value)) ||
	       (json_is_array(value) && json_array_size(value));
}

static void print_scalar(FILE *out, const json_t *value)
{
	if (json_is_string(value))
		fprintf(out, "%s\n", json_string_value(value));
	else if (json_is_integer(value))
		fprintf(out, "%" JSON_INTEGER_FORMAT "\n", json_integer_value(value));
	else if (json_is_real(value))
		fprintf(out, "%g\n", json_real_value(value));
	else if (json_is_boolean(value))
		fprintf(out, "%s\n", json_is_true(value) ? "yes" : "no");
	else
		fprintf(out, "none\n"); /* null, {} or [] */
}

/* The caller has indented the first line. */
static void print_object(FILE *out, const json_t *object, int indent)
{
	const char *key;
	json_t *value;
	bool first = true;
	json_object_foreach((json_t *)object, key, value)
	{
		fprintf(out, "%*s%s:", first ? 0 : indent, "", key);
		first = false;
		if (is_nested(value)) {
			fprintf(out, "\n%*s", indent + 2, "");
			print_value(out, value, indent + 2);
		} else {
			fputc(' ', out);
			print_scalar(out, value);
		}
	}
}

static void print_array(FILE *out, const json_t *array, int indent)
{
	size_t i;
	json_t *value;
	json_array_foreach(array, i, value)
	{
		fprintf(out, "%*s- ", i ? indent : 0, "");
		print_value(out, value, indent + 2);
	}
}

static void print_value(FILE *out, const json_t *value, int indent)
{
	if (!is_nested(value))
		print_scalar(out, value);
	else if (json_is_object(value))
		print_object(out, value, indent);
	else
		print_array(out, value, indent);
}

void berth_cli_print_generic(FILE *out, const json_t *value)
{
	print_value(out, value, 0);
}
