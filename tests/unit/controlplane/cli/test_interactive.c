// SPDX-License-Identifier: BSD-3-Clause
/* berthctl on a terminal without a command: editing, completion, history, errors. A pseudo terminal types. */
#include "tests/unit/controlplane/cli/berthctl.h"

#include <pty.h>

struct session {
	struct fixture *f;
	int terminal;
	pid_t pid;
	char text[1 << 16]; /* what the terminal shows since the last line was typed */
	size_t length;
};

static void open_session(struct session *s, struct fixture *f)
{
	static const struct winsize size = {.ws_row = 40, .ws_col = 120};
	*s = (struct session){.f = f};
	s->pid = forkpty(&s->terminal, NULL, NULL, &size);
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		setenv("HOME", f->berthd.dir, 1);
		setenv("TERM", "vt100", 1);
		execl(program, program, "-s", f->berthd.socket, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(fcntl(s->terminal, F_SETFL, O_NONBLOCK), 0);
}

/* Turns berthd's loop until the terminal shows the text. */
static void shows(struct session *s, const char *text)
{
	uint64_t end = berth_clock_ms() + PATIENCE_MS;
	while (!strstr(s->text, text)) {
		turn(s->f);
		ssize_t n = read(s->terminal, s->text + s->length, sizeof(s->text) - 1 - s->length);
		s->length += n > 0 ? (size_t)n : 0;
		s->text[s->length] = '\0';
		if (berth_clock_ms() > end)
			fail_msg("no \"%s\" in \"%s\"", text, s->text);
	}
}

static void types(struct session *s, const char *keys)
{
	s->length = 0;
	s->text[0] = '\0';
	assert_int_equal(write(s->terminal, keys, strlen(keys)), strlen(keys));
}

static void expect_end(struct session *s, int status)
{
	int got = -1;
	uint64_t end = berth_clock_ms() + PATIENCE_MS;
	while (waitpid(s->pid, &got, WNOHANG) == 0) {
		turn(s->f);
		assert_true(berth_clock_ms() < end);
	}
	assert_true(WIFEXITED(got));
	assert_int_equal(WEXITSTATUS(got), status);
	close(s->terminal);
}

static void commands_run_and_names_are_completed(void **state)
{
	struct session s;
	open_session(&s, *state);
	shows(&s, "berth> ");
	types(&s, "sh ba web6\n");
	shows(&s, "2001:db8::11");
	shows(&s, "berth> ");
	types(&s, "backend dr\tweb/\t\t");
	shows(&s, "  web/b1\r\n  web/b2\r\n");
	types(&s, "2 --dead\t"); /* libedit draws the rest alone */
	shows(&s, "line ");
	types(&s, "90s\n");
	shows(&s, "web/b2 is draining");
	shows(&s, "berth> ");
	types(&s, "quit\n");
	expect_end(&s, 0);
}

static void an_error_ends_nothing(void **state)
{
	struct session s;
	open_session(&s, *state);
	shows(&s, "berth> ");
	types(&s, "show servces\n");
	shows(&s, "did you mean `show services`?");
	types(&s, "show backends 'web\n");
	shows(&s, "a quotation mark is missing");
	types(&s, "session p\n");
	shows(&s, "`session pin` needs CLIENT");
	types(&s, "s s\n");
	shows(&s, "`s s` is the beginning of: show services, show sessions, show stats");
	types(&s, "shut\n");
	shows(&s, "did you mean `shutdown`?");
	types(&s, "show ?\n");
	shows(&s, "  show services    services");
	berth_daemon_close(s.f->berthd.daemon);
	s.f->base = NULL;
	types(&s, "show stats\n");
	shows(&s, "berthd is not running");
	shows(&s, "berth> ");
	types(&s, "\x04");
	expect_end(&s, 0);
}

static void lines_are_kept_for_the_owner_alone(void **state)
{
	struct fixture *f = *state;
	struct session s;
	struct stat file;
	char path[sizeof(f->berthd.dir) + 32];
	snprintf(path, sizeof(path), "%s/.berthctl_history", f->berthd.dir);
	open_session(&s, f);
	shows(&s, "berth> ");
	types(&s, "show names hosts\n");
	shows(&s, "192.0.2.12");
	types(&s, "quit\n");
	expect_end(&s, 0);
	assert_int_equal(stat(path, &file), 0);
	assert_int_equal(file.st_mode & 0777, 0600);
	open_session(&s, f);
	shows(&s, "berth> ");
	types(&s, "\x10\x10\n"); /* the line before `quit` */
	shows(&s, "192.0.2.12");
	types(&s, "\x04");
	expect_end(&s, 0);
}

static int remove_history(void **state)
{
	struct fixture *f = *state;
	char path[sizeof(f->berthd.dir) + 32];
	snprintf(path, sizeof(path), "%s/.berthctl_history", f->berthd.dir);
	unlink(path);
	return tear_down(state);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(commands_run_and_names_are_completed, set_up_daemon,
						remove_history),
		cmocka_unit_test_setup_teardown(an_error_ends_nothing, set_up_daemon, remove_history),
		cmocka_unit_test_setup_teardown(lines_are_kept_for_the_owner_alone, set_up_daemon, remove_history),
	};
	if (!find_berthctl(argc, argv))
		return 2;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
