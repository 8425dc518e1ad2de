// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/cli/top/top.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	PERIOD_MS = 1000,
};

struct top {
	const struct berth_cli_options *options;
	struct berth_connection connection;
	bool is_connected;
	bool is_once;
	bool has_help;
	bool is_reversed;
	enum berth_top_view view;
	size_t order[BERTH_TOP_VIEWS]; /* the column that each view is sorted by */
	size_t above;		       /* rows that are scrolled away */
	struct berth_top_sample sample;
	char error[BERTH_CLI_ERROR_BYTES]; /* of the last attempt; "": it succeeded */
};

static const char help_text[] = "keys of berthctl top\n\n"
				"  1 2 3 4      services, backends, workers, drops\n"
				"  < >, arrows  sort by the column to the left, to the right\n"
				"  r            reverse the order\n"
				"  up, down     scroll\n"
				"  space        refresh\n"
				"  h, ?         this text, or back\n"
				"  q            quit\n";

/* A new sample. On an error the former one stays. */
static enum berth_cli_status refresh(struct top *top)
{
	struct berth_top_sample next;
	enum berth_cli_status status = BERTH_CLI_OK;
	top->error[0] = '\0';
	if (!top->is_connected)
		status = berth_cli_open(top->options, &top->connection, top->error);
	top->is_connected = !status;
	if (!status)
		status = berth_top_take(&top->connection, top->view, &top->sample, &next, top->error);
	if (!status) {
		berth_top_clear(&top->sample);
		top->sample = next;
	} else if (top->is_connected) {
		berth_cli_disconnect(&top->connection);
		top->is_connected = false;
	}
	return status;
}

static void show_view(struct top *top, enum berth_top_view view)
{
	berth_top_clear(&top->sample);
	top->view = view;
	top->above = 0;
	refresh(top);
}

/* "berth: dpdk, 2 workers, generation 7: 1.2M packets/s, ..." */
static void print_head(FILE *out, const struct top *top)
{
	static const struct {
		const char *key;
		const char *unit;
	} rates[] = {{"rates.1s.packets_per_s", "packets/s"},
		     {"rates.1s.bits_per_s", "bits/s"},
		     {"rates.1s.new_flows_per_s", "new flows/s"},
		     {"rates.1s.dropped_packets_per_s", "dropped/s"}};
	const json_t *engine = top->sample.engine;
	char cell[BERTH_CELL_BYTES];
	fprintf(out, "%s: %s, generation %" JSON_INTEGER_FORMAT "\n", berth_cli_text(engine, "instance"),
		berth_cli_text(engine, "engine"), berth_cli_number(engine, "generation"));
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		berth_cell_rate(engine, rates[i].key, cell);
		fprintf(out, "%s%s %s", i ? ", " : "", cell, rates[i].unit);
	}
	fputc('\n', out);
}

/* Of the sorted rows those from `above` on, at most `n`. */
static json_t *rows_of_page(struct top *top, size_t n)
{
	size_t n_columns;
	const struct berth_column *columns = berth_top_columns(top->view, &n_columns);
	json_t *all = json_copy(top->sample.rows), *rows = json_array();
	berth_cli_sort(all, &columns[top->order[top->view]], top->is_reversed);
	if (top->above >= json_array_size(all))
		top->above = json_array_size(all) ? json_array_size(all) - 1 : 0;
	for (size_t i = top->above; i < json_array_size(all) && i - top->above < n; i++)
		json_array_append(rows, json_array_get(all, i));
	json_decref(all);
	return rows;
}

static void print_page(FILE *out, struct top *top, size_t n_rows)
{
	size_t n;
	const struct berth_column *columns = berth_top_columns(top->view, &n);
	json_t *rows = rows_of_page(top, n_rows);
	print_head(out, top);
	if (top->error[0])
		fprintf(out, "%s\n", top->error);
	else
		fprintf(out, "%zu %s by %s%s%s\n", json_array_size(top->sample.rows), berth_top_name(top->view),
			columns[top->order[top->view]].title, top->is_reversed ? ", reversed" : "",
			top->is_once ? "" : "; h: help, q: quit");
	fputc('\n', out);
	berth_cli_table_print(out, columns, n, rows);
	json_decref(rows);
}

static void draw(struct top *top)
{
	enum {
		HEAD_LINES = 5, /* with the titles of the table */
	};
	int lines, columns;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	if (!out)
		return;
	berth_top_screen_size(&lines, &columns);
	berth_cli_table_set_width(columns);
	if (top->has_help)
		fputs(help_text, out);
	else
		print_page(out, top, lines > HEAD_LINES ? (size_t)(lines - HEAD_LINES) : 1);
	fclose(out);
	berth_top_screen_show(text);
	free(text);
}

static void choose_order(struct top *top, bool right)
{
	size_t n, *order = &top->order[top->view];
	berth_top_columns(top->view, &n);
	*order = (*order + (right ? 1 : n - 1)) % n;
}

static void obey(struct top *top, enum berth_top_key key, char character)
{
	if (key == BERTH_TOP_KEY_LEFT || key == BERTH_TOP_KEY_RIGHT)
		choose_order(top, key == BERTH_TOP_KEY_RIGHT);
	else if (key == BERTH_TOP_KEY_UP)
		top->above -= top->above > 0;
	else if (key == BERTH_TOP_KEY_DOWN)
		top->above++;
	else if (key != BERTH_TOP_KEY_OTHER)
		return;
	else if (character >= '1' && character < '1' + BERTH_TOP_VIEWS)
		show_view(top, (enum berth_top_view)(character - '1'));
	else if (character == 'r')
		top->is_reversed = !top->is_reversed;
	else if (character == 'h' || character == '?')
		top->has_help = !top->has_help;
	else if (character == ' ')
		refresh(top);
}

static int now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int)(now.tv_sec % 1000000 * 1000 + now.tv_nsec / 1000000);
}

/* Every second, or if berthd needs long to answer, a fifth of the time. */
static void run(struct top *top)
{
	enum berth_top_key key = BERTH_TOP_KEY_NONE;
	int due_ms = now_ms() + PERIOD_MS;
	while (key != BERTH_TOP_KEY_QUIT) {
		char character = 0;
		draw(top);
		const int left_ms = due_ms - now_ms();
		key = berth_top_screen_key(left_ms > 0 ? left_ms : 0, &character);
		obey(top, key, character);
		const int begin_ms = now_ms();
		if (begin_ms < due_ms)
			continue;
		refresh(top);
		const int took_ms = now_ms() - begin_ms;
		due_ms = now_ms() + (4 * took_ms > PERIOD_MS ? 4 * took_ms : PERIOD_MS);
	}
}

static enum berth_cli_status parse(struct top *top, int argc, char *const *argv)
{
	for (int i = 0; i < argc; i++) {
		enum berth_top_view view = 0;
		if (strcmp(argv[i], "--once") == 0) {
			top->is_once = true;
			continue;
		}
		while (view < BERTH_TOP_VIEWS && strcmp(argv[i], berth_top_name(view)) != 0)
			view++;
		if (view == BERTH_TOP_VIEWS)
			return berth_cli_usage_error(
				top->options->json,
				"top shows services, backends, workers or drops; its option is --once");
		top->view = view;
	}
	return BERTH_CLI_OK;
}

/* One page. Workers and drops have rates of their own, so they need two samples. */
static enum berth_cli_status print_once(struct top *top)
{
	const struct timespec pause = {.tv_nsec = PERIOD_MS / 2 * 1000000};
	enum berth_cli_status status = BERTH_CLI_OK;
	top->is_once = true;
	if (top->view == BERTH_TOP_WORKERS || top->view == BERTH_TOP_DROPS) {
		nanosleep(&pause, NULL);
		status = refresh(top);
	}
	berth_cli_table_set_width(top->options->wide ? 0 : berth_cli_line_width(stdout));
	if (!status)
		print_page(stdout, top, SIZE_MAX);
	return status;
}

enum berth_cli_status berth_cli_top(const struct berth_cli_options *options, int argc, char *const *argv)
{
	struct top top = {.options = options};
	for (enum berth_top_view view = 0; view < BERTH_TOP_VIEWS; view++)
		top.order[view] = berth_top_first_order(view);
	enum berth_cli_status status = parse(&top, argc, argv);
	if (status)
		return status;
	if (options->json)
		return berth_cli_usage_error(true,
					     "top has no JSON; show services, backends, stats and drops have it");
	status = refresh(&top);
	if (!status && !top.is_once && berth_top_screen_open()) {
		run(&top);
		berth_top_screen_close();
	} else if (!status) {
		status = print_once(&top);
	}
	if (status)
		fprintf(stderr, "berthctl: %s\n", top.error);
	if (top.is_connected)
		berth_cli_disconnect(&top.connection);
	berth_top_clear(&top.sample);
	return status;
}
