// SPDX-License-Identifier: BSD-3-Clause
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "controlplane/cli/cli.h"

enum {
	GAP = 2,	 /* characters between two columns */
	LEAST_WIDTH = 4, /* of a cell with the mark of a cut */
};

const char *berth_cli_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "-";
}

json_int_t berth_cli_number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

const json_t *berth_cli_find(const json_t *object, const char *path)
{
	const char *dot = strchr(path, '.');
	char key[64];
	if (!dot)
		return json_object_get(object, path);
	snprintf(key, sizeof(key), "%.*s", (int)(dot - path), path);
	return berth_cli_find(json_object_get(object, key), dot + 1);
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

void berth_cell_rate(const json_t *row, const char *key, char cell[BERTH_CELL_BYTES])
{
	static const char units[] = " kMGT";
	const json_t *value = berth_cli_find(row, key);
	double rate = json_number_value(value);
	size_t unit = 0;
	/* Below 1000, because 999.96 prints as 1000.0. */
	for (; rate >= 999.5 && unit + 2 < sizeof(units); unit++)
		rate /= 1000;
	if (!json_is_number(value))
		snprintf(cell, BERTH_CELL_BYTES, "-");
	else if (unit)
		snprintf(cell, BERTH_CELL_BYTES,
			 rate < 9.995	? "%.2f%c"
			 : rate < 99.95 ? "%.1f%c"
					: "%.0f%c",
			 rate, units[unit]);
	else
		snprintf(cell, BERTH_CELL_BYTES, rate < 9.95 && rate > 0 ? "%.1f" : "%.0f", rate);
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

/* Characters of a line; 0: no limit. Set once, by main(). */
static int line_width;

void berth_cli_table_set_width(int width)
{
	line_width = width;
}

int berth_cli_line_width(FILE *out)
{
	enum {
		DEFAULT = 80,
		MOST = 10000,
	};
	struct winsize size;
	const char *text = getenv("COLUMNS");
	long columns = text ? strtol(text, NULL, 10) : 0;
	if (columns > 0 && columns <= MOST)
		return (int)columns;
	if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col)
		return size.ws_col;
	return DEFAULT;
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

/* Of a line with the visible columns. */
static int table_width(const struct berth_cli_table *table)
{
	int width = -GAP;
	for (size_t c = 0; c < table->n; c++)
		width += table->is_hidden[c] ? 0 : table->width[c] + GAP;
	return width;
}

static int least_width(const struct berth_column *column)
{
	return (int)(column->layout >> 8 & 0xff);
}

static unsigned int drop_order(const struct berth_column *column)
{
	return column->layout >> 16;
}

/* How far column `c` can be narrowed; its cells are then cut with a mark. `also_kept`: those with KEEP, too. */
static int slack(const struct berth_cli_table *table, size_t c, bool also_kept)
{
	const struct berth_column *column = &table->columns[c];
	const int title = cell_width(column->title), least = least_width(column);
	if (table->is_hidden[c] || !least || (column->layout & BERTH_COLUMN_KEEP && !also_kept))
		return 0;
	const int room = table->width[c] - (title > least ? title : least);
	return room > 0 ? room : 0;
}

/* Narrows columns by `excess` characters in all, the widest first; false: they cannot be narrowed so far. */
static bool narrow(struct berth_cli_table *table, int excess, bool also_kept)
{
	int sum = 0;
	for (size_t c = 0; c < table->n; c++)
		sum += slack(table, c, also_kept);
	if (sum < excess)
		return false;
	for (; excess > 0; excess--) {
		size_t widest = table->n;
		for (size_t c = 0; c < table->n; c++)
			if (slack(table, c, also_kept) &&
			    (widest == table->n || table->width[c] > table->width[widest]))
				widest = c;
		table->width[widest]--;
	}
	return true;
}

/* Hides the column with the largest order of at least `least`; of equal ones the last. The first column stays. */
static bool hide_one(struct berth_cli_table *table, unsigned int least)
{
	size_t found = 0;
	for (size_t c = 1; c < table->n; c++)
		if (!table->is_hidden[c] && drop_order(&table->columns[c]) >= least &&
		    (!found || drop_order(&table->columns[c]) >= drop_order(&table->columns[found])))
			found = c;
	table->is_hidden[found] = found != 0;
	return found != 0;
}

/* Makes the lines fit the limit. */
static void fit(struct berth_cli_table *table)
{
	for (int excess; line_width && (excess = table_width(table) - line_width) > 0;) {
		if (narrow(table, excess, false) || hide_one(table, 1) || narrow(table, excess, true) ||
		    hide_one(table, 0))
			continue;
		table->width[0] = line_width > LEAST_WIDTH ? line_width : LEAST_WIDTH;
		return;
	}
}

/* Cuts a cell to `width` characters; the end of what is left says so. */
static void cut(char cell[BERTH_CELL_BYTES], int width)
{
	static const char mark[] = "...";
	if (!line_width || cell_width(cell) <= width)
		return;
	char *at = cell;
	for (int left = width - (int)strlen(mark); *at && (left > 0 || ((unsigned char)*at & 0xc0) == 0x80); at++)
		left -= ((unsigned char)at[1] & 0xc0) != 0x80;
	memcpy(at, mark, sizeof(mark));
}

static void print_cell(FILE *out, const struct berth_cli_table *table, size_t c, char cell[BERTH_CELL_BYTES])
{
	const struct berth_column *column = &table->columns[c];
	bool last = true;
	for (size_t i = c + 1; i < table->n; i++)
		last &= table->is_hidden[i];
	cut(cell, table->width[c]);
	int pad = table->width[c] - cell_width(cell);
	if (column->layout & BERTH_COLUMN_RIGHT)
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
	char cell[BERTH_CELL_BYTES];
	fit(table);
	for (size_t c = 0; c < table->n; c++) {
		snprintf(cell, sizeof(cell), "%s", table->columns[c].title);
		if (!table->is_hidden[c])
			print_cell(out, table, c, cell);
	}
	table->has_titles = true;
}

void berth_cli_table_add(FILE *out, struct berth_cli_table *table, const json_t *rows)
{
	size_t r;
	json_t *row;
	if (!line_width || !table->has_titles)
		widen(table, rows);
	if (!table->has_titles)
		print_titles(out, table);
	json_array_foreach(rows, r, row)
	{
		for (size_t c = 0; c < table->n; c++) {
			char cell[BERTH_CELL_BYTES];
			if (table->is_hidden[c])
				continue;
			table->columns[c].cell(row, table->columns[c].key, cell);
			print_cell(out, table, c, cell);
		}
	}
}

static void keep_cell(struct berth_cli_table *table, const char *cell)
{
	const size_t bytes = strlen(cell) + 1;
	if (table->kept_bytes + bytes > table->kept_room) {
		const size_t room = 2 * table->kept_room + 65536;
		char *larger = realloc(table->kept, room);
		table->has_failed |= !larger;
		if (!larger)
			return;
		table->kept = larger;
		table->kept_room = room;
	}
	memcpy(table->kept + table->kept_bytes, cell, bytes);
	table->kept_bytes += bytes;
}

void berth_cli_table_keep(struct berth_cli_table *table, const json_t *rows)
{
	size_t r;
	json_t *row;
	json_array_foreach(rows, r, row)
	{
		for (size_t c = 0; c < table->n && !table->has_failed; c++) {
			char cell[BERTH_CELL_BYTES];
			table->columns[c].cell(row, table->columns[c].key, cell);
			if (cell_width(cell) > table->width[c])
				table->width[c] = cell_width(cell);
			keep_cell(table, cell);
		}
		table->n_kept += !table->has_failed;
	}
}

/* On a terminal, since a script that needs other columns has chosen -w or -j. */
static void print_hidden(FILE *out, const struct berth_cli_table *table)
{
	bool has_one = false;
	for (size_t c = 0; c < table->n && isatty(fileno(out)); c++) {
		if (table->is_hidden[c])
			fprintf(out, "%s%s", has_one ? ", " : "-w also shows: ", table->columns[c].title);
		has_one |= table->is_hidden[c];
	}
	if (has_one)
		fputc('\n', out);
}

void berth_cli_table_print_kept(FILE *out, struct berth_cli_table *table)
{
	const char *at = table->kept;
	print_titles(out, table);
	for (size_t r = 0; r < table->n_kept; r++)
		for (size_t c = 0; c < table->n; c++) {
			char cell[BERTH_CELL_BYTES];
			snprintf(cell, sizeof(cell), "%s", at);
			at += strlen(at) + 1;
			if (!table->is_hidden[c])
				print_cell(out, table, c, cell);
		}
	print_hidden(out, table);
	free(table->kept);
	table->kept = NULL;
}

void berth_cli_table_print(FILE *out, const struct berth_column *columns, size_t n, const json_t *rows)
{
	struct berth_cli_table table;
	berth_cli_table_init(&table, columns, n);
	berth_cli_table_add(out, &table, rows);
	print_hidden(out, &table);
}
