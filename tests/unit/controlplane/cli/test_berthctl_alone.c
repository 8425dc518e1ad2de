// SPDX-License-Identifier: BSD-3-Clause
/* What berthctl says where berthd is not there, is silent, is going or is none. */
#include "tests/unit/controlplane/cli/berthctl.h"

static void listen_falsely(struct fixture *f, const char *reply)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strcpy(address.sun_path, f->berthd.socket);
	f->reply = reply;
	f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(f->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(f->listener, 1), 0);
}

static void a_wrong_command_line_is_exit_2(void **state)
{
	static const struct {
		const char *words;
		const char *says;
	} cases[] = {
		{"", "usage: berthctl"},
		{"-x show stats", "invalid option"},
		{"show servces", "did you mean `show services`?"},
		{"show stats now", "`now`"},
		{"-s a -i b show stats", "-s"},
		{"-i a/b show stats", "slashes"},
		{"-t 0 show stats", "-t"},
		{"-t 5x show stats", "-t"},
		{"-s", "requires an argument"},
		{"help nonsense", "help"},
		{"-s "
		 "/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		 "xxx"
		 "xxxxxxxxxxx show stats",
		 "too long"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct outcome outcome = run_until(*state, cases[i].words, NULL);
		ends_with(&outcome, 2, cases[i].says);
	}
}

static void help_needs_no_berthd(void **state)
{
	static const struct {
		const char *words;
		const char *says;
	} cases[] = {
		{"help", "config apply FILE [--no-save]"}, {"--help", "usage: berthctl"},
		{"help config apply", "--no-save"},	   {"config apply --help", "--no-save"},
		{"show backends -h", "SERVICE"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct outcome outcome = run_until(*state, cases[i].words, NULL);
		ends_with(&outcome, 0, cases[i].says);
		assert_string_equal(outcome.err, "");
	}
}

static void no_berthd_is_exit_4_and_what_to_do(void **state)
{
	struct fixture *f = *state;
	struct outcome outcome = ask(f, "show stats");
	ends_with(&outcome, 4, "berthd is not running or has another instance name");
	ends_with(&outcome, 4, f->berthd.socket);
	listen_falsely(f, NULL);
	close(f->listener);
	outcome = ask(f, "show stats");
	ends_with(&outcome, 4, "berthd is not running");
	f->listener = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void no_permission_is_exit_4_and_what_to_do(void **state)
{
	struct fixture *f = *state;
	if (geteuid() != 0)
		skip(); /* only root can become somebody else */
	f->uid = 65534;
	struct outcome outcome = ask(f, "show stats");
	ends_with(&outcome, 4, "you are not in the socket's group; use sudo");
}

static void a_silent_berthd_is_waited_for_so_long_and_no_longer(void **state)
{
	struct fixture *f = *state;
	listen_falsely(f, NULL);
	uint64_t began = berth_clock_ms();
	struct outcome outcome = ask(f, "-t 1 show stats");
	ends_with(&outcome, 4, "no answer from berthd for 1 seconds");
	assert_in_range(berth_clock_ms() - began, 900, PATIENCE_MS - 1);
}

static void what_is_no_berthd_is_found_out(void **state)
{
	static const struct {
		const char *reply;
		int status;
		const char *says;
	} cases[] = {
		{"", 4, "ended the connection before it answered"},
		{"{\"ok\": true, \"resu", 4, "ended the connection before it answered"},
		{"220 mail.example.com\r\n", 4, "is not berthd"},
		{"[]\n", 4, "is not berthd"},
		{"{}\n", 1, "berthd says neither yes nor no"},
		{"{\"ok\": true}\n", 1, "berthd says neither yes nor no"},
		{"{\"ok\": false, \"error\": \"too many clients\", \"code\": \"busy\"}\n", 1,
		 "berthctl: too many clients"},
	};
	struct fixture *f = *state;
	listen_falsely(f, "");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		f->reply = cases[i].reply;
		struct outcome outcome = ask(f, "show stats");
		ends_with(&outcome, cases[i].status, cases[i].says);
	}
}

/* As berthd's main() does when its loop has ended. */
static void close_when_told(struct fixture *f)
{
	if (!f->base || !f->berthd.daemon->stop)
		return;
	berth_daemon_close(f->berthd.daemon);
	f->base = NULL;
}

static void shutdown_is_answered_before_berthd_is_gone(void **state)
{
	struct fixture *f = *state;
	char words[128];
	snprintf(words, sizeof(words), "-s %s shutdown", f->berthd.socket);
	struct outcome outcome = run_until(f, words, close_when_told);
	ends_with(&outcome, 0, "forwarding has stopped, berthd ends\n");
	assert_null(f->base);
	assert_int_equal(access(f->berthd.socket, F_OK), -1);
}

static void shutdown_waits_until_berthd_is_gone(void **state)
{
	struct fixture *f = *state;
	listen_falsely(f, "{\"ok\": true, \"result\": {}}\n");
	f->stays_ms = 300;
	uint64_t began = berth_clock_ms();
	struct outcome outcome = ask(f, "shutdown");
	ends_with(&outcome, 0, "");
	assert_in_range(berth_clock_ms() - began, 300, PATIENCE_MS - 1);
}

int main(int argc, char **argv)
{
	if (!find_berthctl(argc, argv))
		return 2;
#define ALONE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define SERVED(name) cmocka_unit_test_setup_teardown(name, set_up_daemon, tear_down)
	const struct CMUnitTest tests[] = {
		ALONE(a_wrong_command_line_is_exit_2),
		ALONE(help_needs_no_berthd),
		ALONE(no_berthd_is_exit_4_and_what_to_do),
		SERVED(no_permission_is_exit_4_and_what_to_do),
		ALONE(a_silent_berthd_is_waited_for_so_long_and_no_longer),
		ALONE(what_is_no_berthd_is_found_out),
		SERVED(shutdown_is_answered_before_berthd_is_gone),
		ALONE(shutdown_waits_until_berthd_is_gone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
