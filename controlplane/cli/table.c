// SPDX-License-Identifier: BSD-3-Clause
#include <inttypes.h>
#include <string.h>

#include "controlplane/cli/cli.h"

const char *berth_cli_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "-";
}

json_int_t berth_cli_number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

void berth_cell_plain(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	const json_t *value = json_object_get(row, key);
	if (json_is_string(value))
		snprintf(cell, BERTH_CELL_BYTES, "%s", json_string_value(value));
	else if (json_is_integer(value))
		snprintf(cell, BERTH_CELL_BYTES, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_real(value))
		snprintf(cell, BERTH_CELL_BYTES, "%g", json_real_value(value));
	else if (json_is_boolean(value))
		snprintf(cell, BERTH_CELL_BYTES, "%s", json_is_true(value) ? "yes" : "no");
	else
		snprintf(cell, BERTH_CELL_BYTES, "-");
}

void berth_cell_bytes(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double bytes = (double)json_integer_value(json_object_get(row, key));
	size_t unit = 0;
	/* Below 1024, because 1023.96 prints as 1024.0. */
	for (; bytes >= 1023.95 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
		bytes /= 1024;
	snprintf(cell, BERTH_CELL_BYTES, unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

void berth_cell_duration(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	static const struct {
		json_int_t seconds;
		char unit;
	} units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
	const json_t *value = json_object_get(row, key);
	if (!json_is_integer(value)) {
		snprintf(cell, BERTH_CELL_BYTES, "-");
		return;
	}
	json_int_t seconds = json_integer_value(value);
	size_t i = 0;
	while (i < 3 && seconds < units[i].seconds)
		i++;
	int n = snprintf(cell, BERTH_CELL_BYTES, "%" JSON_INTEGER_FORMAT "%c", seconds / units[i].seconds,
			 units[i].unit);
	json_int_t remainder = seconds % units[i].seconds;
	if (i < 3 && remainder / units[i + 1].seconds > 0)
		snprintf(cell + n, BERTH_CELL_BYTES - (size_t)n, " %" JSON_INTEGER_FORMAT "%c",
			 remainder / units[i + 1].seconds, units[i + 1].unit);
}

void berth_cell_list(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	const json_t *list = json_object_get(row, key);
	size_t used = 0;
	size_t i;
	json_t *value;
	snprintf(cell, BERTH_CELL_BYTES, "-");
	json_array_foreach(list, i, value)
	{
		int n = snprintf(cell + used, BERTH_CELL_BYTES - used, "%s%s", i ? "," : "",
				 json_is_string(value) ? json_string_value(value) : "?");
		used += (size_t)n;
		if (used >= BERTH_CELL_BYTES)
			break;
	}
}

/* In characters, not bytes: UTF-8 continuation bytes take no room on the screen. */
static int cell_width(const char *cell)
{
	int width = 0;
	for (; *cell; cell++)
		width += ((unsigned char)*cell & 0xc0) != 0x80;
	return width;
}

static void widen(struct berth_cli_table *table, const json_t *rows)
{
	for (size_t c = 0; c < table->n; c++) {
		const struct berth_column *column = &table->columns[c];
		char cell[BERTH_CELL_BYTES];
		size_t r;
		json_t *row;
		json_array_foreach(rows, r, row)
		{
			column->cell(row, column->key, cell);
			if (cell_width(cell) > table->width[c])
				table->width[c] = cell_width(cell);
		}
	}
}

static void print_cell(FILE *out, const struct berth_column *column, const char *cell, int width, bool last)
{
	int pad = width - cell_width(cell);
	if (column->right)
		fprintf(out, "%*s%s%s", pad, "", cell, last ? "\n" : "  ");
	else if (last)
		fprintf(out, "%s\n", cell);
	else
		fprintf(out, "%s%*s  ", cell, pad, "");
}

void berth_cli_table_init(struct berth_cli_table *table, const struct berth_column *columns, size_t n)
{
	*table = (struct berth_cli_table){.columns = columns, .n = n};
	for (size_t c = 0; c < n; c++)
		table->width[c] = cell_width(columns[c].title);
}

static void print_titles(FILE *out, struct berth_cli_table *table)
{
	for (size_t c = 0; c < table->n; c++)
		print_cell(out, &table->columns[c], table->columns[c].title, table->width[c], c + 1 == table->n);
	table->has_titles = true;
}

void berth_cli_table_add(FILE *out, struct berth_cli_table *table, const json_t *rows)
{
	size_t r;
	json_t *row;
	widen(table, rows);
	if (!table->has_titles)
		print_titles(out, table);
	json_array_foreach(rows, r, row)
	{
		for (size_t c = 0; c < table->n; c++) {
			char cell[BERTH_CELL_BYTES];
			table->columns[c].cell(row, table->columns[c].key, cell);
			print_cell(out, &table->columns[c], cell, table->width[c], c + 1 == table->n);
		}
	}
}

void berth_cli_table_print(FILE *out, const struct berth_column *columns, size_t n, const json_t *rows)
{
	struct berth_cli_table table;
	berth_cli_table_init(&table, columns, n);
	berth_cli_table_add(out, &table, rows);
}
