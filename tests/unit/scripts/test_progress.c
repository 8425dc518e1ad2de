// SPDX-License-Identifier: BSD-3-Clause
/* The line that says how far a long run is. */
#include "tests/support/progress.h"

#include <pty.h>
#include <stdlib.h>

#include "tests/support/unit.h"

static void the_time_that_is_left_follows_from_the_share(void **state)
{
	(void)state;
	static const struct {
		double share, elapsed_s;
		const char *text;
	} cases[] = {
		{0, 0, "flows: 0% in 0:00"},
		{0.005, 9, "flows: 0% in 0:09"},
		{0.25, 61, "flows: 25% in 1:01, about 3:03 left"},
		{1, 3600, "flows: 100% in 60:00, about 0:00 left"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[PROGRESS_BYTES];
		progress_text(text, "flows", cases[i].share, cases[i].elapsed_s);
		assert_string_equal(text, cases[i].text);
	}
}

/* Standard error is `fd` meanwhile; returns what could be read at `other`. */
static size_t shown(int fd, int other, char *text, size_t bytes)
{
	struct progress progress = {0};
	const int kept = dup(STDERR_FILENO);
	dup2(fd, STDERR_FILENO);
	progress_show(&progress, "flows", 10, 40, 0);
	progress_show(&progress, "flows", 11, 40, 0); /* too soon */
	progress_clear(&progress);
	fflush(stderr);
	dup2(kept, STDERR_FILENO);
	close(kept);
	close(fd);
	/* A terminal passes on what was written in parts. */
	size_t used = 0;
	for (ssize_t n = 1; n > 0 && used<bytes - 1; used += n> 0 ? (size_t)n : 0)
		n = read(other, text + used, bytes - 1 - used);
	text[used] = '\0';
	close(other);
	return strlen(text);
}

static void it_is_shown_on_a_terminal_alone(void **state)
{
	(void)state;
	int terminal, other, pipes[2];
	char text[512];
	assert_int_equal(openpty(&other, &terminal, NULL, NULL, NULL), 0);
	assert_true(shown(terminal, other, text, sizeof(text)) > 0);
	assert_string_equal(text, "\r\033[Kflows: 25% in 0:00, about 0:00 left\r\033[K");
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(shown(pipes[1], pipes[0], text, sizeof(text)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_time_that_is_left_follows_from_the_share),
		cmocka_unit_test(it_is_shown_on_a_terminal_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
