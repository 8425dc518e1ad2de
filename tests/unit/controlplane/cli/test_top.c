// SPDX-License-Identifier: BSD-3-Clause
/* berthctl top on a terminal, and without one. */
#include "tests/unit/controlplane/cli/berthctl.h"

#include <pty.h>

enum {
	LINES = 12,
	COLUMNS_OF_TERMINAL = 80,
};

struct terminal {
	struct fixture *f;
	int fd;
	pid_t pid;
	char text[1 << 18]; /* all that was written */
	size_t length;
};

static struct terminal *open_terminal(struct fixture *f, const char *more)
{
	static struct terminal terminal;
	const struct winsize size = {.ws_row = LINES, .ws_col = COLUMNS_OF_TERMINAL};
	terminal = (struct terminal){.f = f};
	terminal.pid = forkpty(&terminal.fd, NULL, NULL, &size);
	assert_true(terminal.pid >= 0);
	if (terminal.pid == 0) {
		execl(program, program, "-s", f->berthd.socket, "top", more, (char *)NULL);
		_exit(127);
	}
	return &terminal;
}

/* Lets both run until the text written since `from` has `wanted`. */
static void wait_for(struct terminal *t, size_t from, const char *wanted)
{
	const uint64_t end_ms = berth_clock_ms() + PATIENCE_MS;
	while (!strstr(t->text + from, wanted)) {
		struct timeval now = {.tv_usec = 500};
		fd_set set;
		FD_ZERO(&set);
		FD_SET(t->fd, &set);
		turn(t->f);
		if (select(t->fd + 1, &set, NULL, NULL, &now) == 1) {
			const ssize_t n = read(t->fd, t->text + t->length, sizeof(t->text) - 1 - t->length);
			if (n <= 0)
				break;
			t->length += (size_t)n;
			t->text[t->length] = '\0';
		}
		if (berth_clock_ms() > end_ms)
			break;
	}
	if (!strstr(t->text + from, wanted))
		fail_msg("no \"%s\" in \"%s\"", wanted, t->text + from);
}

/* Types, and waits for what follows. */
static void type(struct terminal *t, const char *keys, const char *wanted)
{
	const size_t from = t->length;
	assert_int_equal(write(t->fd, keys, strlen(keys)), strlen(keys));
	wait_for(t, from, wanted);
}

static void expect_end(struct terminal *t)
{
	int status = -1;
	const uint64_t end_ms = berth_clock_ms() + PATIENCE_MS;
	while (waitpid(t->pid, &status, WNOHANG) == 0 && berth_clock_ms() < end_ms)
		turn(t->f);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close(t->fd);
}

static void keys_choose_views_and_orders(void **state)
{
	struct terminal *t = open_terminal(*state, NULL);
	wait_for(t, 0, "\033[?1049h");
	wait_for(t, 0, "2 services by BITS/S; h: help, q: quit");
	wait_for(t, 0, "SERVICE ");
	type(t, "2", "3 backends by BITS/S");
	type(t, "<", "3 backends by PACKETS/S");
	type(t, "\033[C", "3 backends by BITS/S");
	type(t, "\033[D", "3 backends by PACKETS/S");
	type(t, "r", "by PACKETS/S, reversed");
	type(t, "r", "by PACKETS/S; h");
	type(t, "3", "2 workers by PACKETS/S");
	type(t, "4", "REASON ");
	type(t, "h", "keys of berthctl top");
	type(t, "h", "REASON ");
	type(t, "1", "2 services");
	type(t, "q", "\033[?1049l");
	expect_end(t);
}

static void lines_and_columns_fit_the_terminal(void **state)
{
	struct terminal *t = open_terminal(*state, "drops");
	wait_for(t, 0, "REASON ");
	type(t, " ", "\033[J");
	const char *page = strstr(t->text, "\033[H");
	const char *end = strstr(page, "\033[J");
	size_t lines = 1;
	for (const char *line = page + strlen("\033[H"); line < end; lines++) {
		const size_t length = strcspn(line, "\033");
		assert_in_range(length, 0, COLUMNS_OF_TERMINAL);
		line = strstr(line, "\r\n");
		if (!line || line > end)
			break;
		line += 2;
	}
	assert_int_equal(lines, LINES);
	/* The second reason moves to the top. */
	char second[64];
	const char *row = strstr(page, "MEANING");
	row = strstr(strstr(row, "\r\n") + 2, "\r\n") + 2;
	snprintf(second, sizeof(second), "\033[K\r\n%.*s", (int)strcspn(row, " "), row);
	const char *titles = "MEANING";
	type(t, "\033[B", second);
	wait_for(t, 0, titles);
	kill(t->pid, SIGTERM);
	wait_for(t, 0, "\033[?1049l");
	expect_end(t);
}

/* So few cycles that every worker with packets was busy all the time, however late the next page comes. */
static json_t *status_with_cycles(struct berth_engine *engine)
{
	(void)engine;
	return json_pack("{s:[], s:i}", "ports", "cycles_per_second", 1000);
}

static void what_workers_did_follows_within_a_second(void **state)
{
	struct fixture *f = *state;
	struct berth_engine *engine = f->berthd.daemon->engine;
	static struct berth_engine_ops with_cycles;
	const struct berth_engine_ops *ops = engine->ops;
	with_cycles = *ops;
	with_cycles.status = status_with_cycles;
	engine->ops = &with_cycles;
	struct terminal *t = open_terminal(f, "workers");
	struct berth_worker *worker = &f->berthd.daemon->engine->image.workers[0];
	wait_for(t, 0, "WORKER ");
	worker->received += 64000;
	worker->bursts += 2000;
	worker->polls += 8000;
	worker->busy_cycles += 64000 * 250;
	wait_for(t, t->length, " 100%     32     250    64000"); /* and PACKETS */
	type(t, "q", "\033[?1049l");
	expect_end(t);
	engine->ops = ops;
}

static void a_berthd_that_is_gone_is_told_and_found_again(void **state)
{
	struct fixture *f = *state;
	struct terminal *t = open_terminal(f, NULL);
	wait_for(t, 0, "2 services");
	berth_daemon_close(f->berthd.daemon);
	f->base = NULL;
	wait_for(t, t->length, "berth");
	wait_for(t, 0, "berthd is not running");
	berthd_open(&f->berthd);
	f->base = f->berthd.daemon->base;
	wait_for(t, t->length, "2 services by BITS/S");
	type(t, "q", "\033[?1049l");
	expect_end(t);
}

static void without_a_terminal_it_prints_one_page(void **state)
{
	static const struct {
		const char *words;
		const char *says;
	} cases[] = {
		{"top", "2 services by BITS/S\n\nSERVICE  "},
		{"top --once backends", "3 backends by BITS/S\n\nSERVICE  BACKEND  "},
		{"top workers",
		 "2 workers by PACKETS/S\n\nWORKER  PACKETS/S  BUSY  BURST  CYCLES  PACKETS\n     0         "
		 " 0     -      -       -        0\n"},
		{"top drops", "drops by PACKETS/S\n\nREASON "},
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct outcome outcome = berthctl(f, cases[i].words);
		expect_outcome(&outcome, 0, cases[i].says);
		expect_outcome(&outcome, 0, "test: null, generation ");
		assert_null(strchr(outcome.out, '\033'));
	}
	struct outcome outcome = berthctl(f, "top sessions");
	expect_outcome(&outcome, 2, "top shows services, backends, workers or drops");
	outcome = run_until(f, "-s /nonexistent.sock top", NULL);
	expect_outcome(&outcome, 4, "berthd is not running");
}

int main(int argc, char **argv)
{
	if (!find_berthctl(argc, argv))
		return 2;
	unsetenv("COLUMNS");
#define SERVED(name) cmocka_unit_test_setup_teardown(name, set_up_daemon, tear_down)
	const struct CMUnitTest tests[] = {
		SERVED(keys_choose_views_and_orders),
		SERVED(lines_and_columns_fit_the_terminal),
		SERVED(what_workers_did_follows_within_a_second),
		SERVED(a_berthd_that_is_gone_is_told_and_found_again),
		SERVED(without_a_terminal_it_prints_one_page),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
