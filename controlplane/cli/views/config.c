// SPDX-License-Identifier: BSD-3-Clause
#include <pwd.h>
#include <time.h>

#include "controlplane/api/plural.h"
#include "controlplane/cli/cli.h"

#define NUMBER "%" JSON_INTEGER_FORMAT

/* "web/b1: weight 100 -> 50 (its flows and sessions stay; ...)" */
void berth_cli_print_change(FILE *out, const json_t *change)
{
	const char *service = json_string_value(json_object_get(change, "service"));
	const char *backend = json_string_value(json_object_get(change, "backend"));
	const char *key = json_string_value(json_object_get(change, "key"));
	const char *before = json_string_value(json_object_get(change, "before"));
	const char *effect = json_string_value(json_object_get(change, "effect"));
	if (service)
		fprintf(out, "%s%s%s: ", service, backend ? "/" : "", backend ? backend : "");
	if (before)
		fprintf(out, "%s %s -> %s", key, before, berth_cli_text(change, "after"));
	else
		fprintf(out, "%s%s%s", key ? key : "", key ? " " : "", berth_cli_text(change, "change"));
	if (effect)
		fprintf(out, " (%s)", effect);
	fputc('\n', out);
}

/* `title`: what happened to the configuration. */
static void print_config(FILE *out, const json_t *result, const char *title)
{
	const json_int_t services = berth_cli_number(result, "services");
	const json_int_t backends = berth_cli_number(result, "backends");
	const json_int_t names = berth_cli_number(result, "dns_names");
	fprintf(out, "%s: " NUMBER " service%s, " NUMBER " backend%s", title, services, BERTH_PLURAL(services),
		backends, BERTH_PLURAL(backends));
	if (names)
		fprintf(out, ", " NUMBER " DNS name%s", names, BERTH_PLURAL(names));
	fputc('\n', out);
	berth_cli_print_warnings(out, result);
}

void berth_cli_print_check(FILE *out, const json_t *result)
{
	print_config(out, result, "valid, nothing changed");
}

static void print_saved(FILE *out, const json_t *result)
{
	if (json_is_string(json_object_get(result, "saved")))
		fprintf(out, "saved as %s\n", berth_cli_text(result, "saved"));
	else
		fprintf(out, "not saved: the next start of berthd uses the file on disk\n");
}

static void print_applied(FILE *out, const json_t *result, const char *title)
{
	const json_t *left = json_object_get(result, "confirm_s");
	print_config(out, result, title);
	berth_cli_print_pending(out, result);
	if (json_is_integer(left))
		fprintf(out, "undone in " NUMBER " s, unless `berthctl config confirm` keeps it\n",
			json_integer_value(left));
	else
		print_saved(out, result);
}

void berth_cli_print_apply(FILE *out, const json_t *result)
{
	print_applied(out, result, "applied");
}

/* What an edit has changed, or with --plan the plan of it. */
void berth_cli_print_edit(FILE *out, const json_t *result)
{
	size_t i;
	json_t *change;
	if (json_object_get(result, "moved_flows")) {
		berth_cli_print(out, BERTH_COMMAND_plan, result);
		return;
	}
	json_array_foreach(json_object_get(result, "changes"), i, change) berth_cli_print_change(out, change);
	print_applied(out, result, i ? "applied" : "nothing to change");
}

void berth_cli_print_undo(FILE *out, const json_t *result)
{
	print_applied(out, result, "undone");
}

void berth_cli_print_confirm(FILE *out, const json_t *result)
{
	fprintf(out, "confirmed\n");
	print_saved(out, result);
}

void berth_cli_print_save(FILE *out, const json_t *result)
{
	print_saved(out, result);
}

/* With the line by which `config apply` knows what the text was made from. */
void berth_cli_print_configuration(FILE *out, const json_t *result)
{
	const json_t *text = json_object_get(result, "text");
	fputs(berth_cli_text(result, "digest_line"), out);
	if (text)
		fwrite(berth_cli_text(result, "text"), 1, json_string_length(text), out);
}

void berth_cli_print_diff(FILE *out, const json_t *result)
{
	size_t i;
	json_t *change;
	json_array_foreach(json_object_get(result, "changes"), i, change) berth_cli_print_change(out, change);
	if (!i)
		fprintf(out, "%s: the same as %s%s\n", berth_cli_text(result, "after"),
			berth_cli_text(result, "before"),
			json_is_true(json_object_get(result, "same_text")) ? "" : ", but for comments or spelling");
}

static void time_cell(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	const time_t at = (time_t)berth_cli_number(row, key);
	struct tm local;
	if (!localtime_r(&at, &local) || !strftime(cell, BERTH_CELL_BYTES, "%Y-%m-%d %H:%M:%S", &local))
		snprintf(cell, BERTH_CELL_BYTES, "-");
}

static void user_cell(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	const json_t *uid = json_object_get(row, key);
	const struct passwd *user = json_is_integer(uid) ? getpwuid((uid_t)json_integer_value(uid)) : NULL;
	if (user)
		snprintf(cell, BERTH_CELL_BYTES, "%s", user->pw_name);
	else if (json_is_integer(uid))
		snprintf(cell, BERTH_CELL_BYTES, NUMBER, json_integer_value(uid));
	else
		snprintf(cell, BERTH_CELL_BYTES, "berthd");
}

void berth_cli_print_history(FILE *out, const json_t *result)
{
	static const struct berth_column columns[] = {
		{"UNDO", "undo", berth_cell_plain, BERTH_COLUMN_RIGHT},
		{"WHEN", "unix_s", time_cell, 0},
		{"WHO", "uid", user_cell, 0},
		{"COMMAND", "what", berth_cell_plain, BERTH_COLUMN_LEAST(14)},
		{"CHANGE", "change", berth_cell_plain, BERTH_COLUMN_LEAST(24)},
	};
	const json_t *list = json_object_get(result, "configurations");
	const json_t *left = json_object_get(json_array_get(list, 0), "confirm_s");
	berth_cli_table_print(out, columns, sizeof(columns) / sizeof(columns[0]), list);
	if (json_is_integer(left))
		fprintf(out, "\nthe first one is undone in " NUMBER " s, unless `config confirm` keeps it\n",
			json_integer_value(left));
}
