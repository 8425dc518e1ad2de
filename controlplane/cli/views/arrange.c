// SPDX-License-Identifier: BSD-3-Clause
/* The order of rows (--sort), and rows that a table leaves out (without --all). */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/cli/cli.h"

/* A row with its place in the answer, which decides between equal ones. */
struct item {
	json_t *row;
	size_t place;
};

struct order {
	const struct berth_column *column;
	bool is_reversed;
};

/* A word of --sort is a title in any case, with - or _ for spaces, or a key of the JSON. */
static bool names_column(const char *word, const struct berth_column *column)
{
	const char *title = column->title, *dot = strrchr(column->key, '.');
	if (strcmp(word, dot ? dot + 1 : column->key) == 0)
		return true;
	for (; *word && *title; word++, title++)
		if (tolower((unsigned char)*word) != tolower((unsigned char)*title) &&
		    !(*title == ' ' && (*word == '-' || *word == '_')))
			return false;
	return !*word && !*title;
}

static double number_of(const json_t *row, const char *key)
{
	return json_number_value(berth_cli_find(row, key));
}

/* Below 0: `a` comes first. Numbers: the largest; texts: by the alphabet, with b2 before b10. */
static int compare(const struct item *a, const struct item *b, const struct order *order)
{
	const struct berth_column *column = order->column;
	char left[BERTH_CELL_BYTES], right[BERTH_CELL_BYTES];
	if (column->layout & BERTH_COLUMN_RIGHT) {
		const double x = number_of(a->row, column->key), y = number_of(b->row, column->key);
		return (x < y) - (x > y);
	}
	column->cell(a->row, column->key, left);
	column->cell(b->row, column->key, right);
	return strverscmp(left, right);
}

static int compare_items(const void *a, const void *b, void *arg)
{
	const struct item *x = a, *y = b;
	const struct order *order = arg;
	const int result = compare(x, y, order);
	if (result)
		return order->is_reversed ? -result : result;
	return x->place < y->place ? -1 : 1;
}

void berth_cli_sort(json_t *rows, const struct berth_column *column, bool is_reversed)
{
	struct order order = {.column = column, .is_reversed = is_reversed};
	const size_t n = json_array_size(rows);
	struct item *items = calloc(n ? n : 1, sizeof(*items));
	for (size_t i = 0; items && i < n; i++)
		items[i] = (struct item){json_incref(json_array_get(rows, i)), i};
	if (items)
		qsort_r(items, n, sizeof(*items), compare_items, &order);
	for (size_t i = 0; items && i < n; i++)
		json_array_set_new(rows, i, items[i].row);
	free(items);
}

static enum berth_cli_status sort(const struct berth_call *call, json_t *result, const char *by,
				  char error[BERTH_CLI_ERROR_BYTES])
{
	size_t n = 0;
	struct order order = {.is_reversed = by[0] == '-'};
	const struct berth_column *columns = berth_cli_columns(call->command, &n);
	for (size_t i = 0; columns && i < n && !order.column; i++)
		if (names_column(by + order.is_reversed, &columns[i]))
			order.column = &columns[i];
	if (order.column) {
		berth_cli_sort(json_object_get(result, berth_cli_rows_key(call->command)), order.column,
			       order.is_reversed);
		return BERTH_CLI_OK;
	}
	int used = snprintf(error, BERTH_CLI_ERROR_BYTES, "no column \"%.32s\"; write one of:", by);
	for (size_t i = 0; columns && i < n; i++) {
		const char *dot = strrchr(columns[i].key, '.');
		used += snprintf(error + used, BERTH_CLI_ERROR_BYTES - (size_t)used, " %s",
				 dot ? dot + 1 : columns[i].key);
	}
	return BERTH_CLI_USAGE;
}

/* Of the reasons in `show drops` those that have occurred. */
static void remove_unused(json_t *drops)
{
	for (size_t i = json_array_size(drops); i-- > 0;)
		if (berth_cli_number(json_array_get(drops, i), "count") == 0)
			json_array_remove(drops, i);
}

enum berth_cli_status berth_cli_arrange(const struct berth_call *call, json_t *result,
					char error[BERTH_CLI_ERROR_BYTES])
{
	const char *by = json_string_value(json_object_get(call->display, "sort"));
	if (call->command == BERTH_COMMAND_show_drops && !call->json &&
	    !json_is_true(json_object_get(call->display, "all")))
		remove_unused(json_object_get(result, "drops"));
	return by ? sort(call, result, by, error) : BERTH_CLI_OK;
}
