// SPDX-License-Identifier: BSD-3-Clause
/* berthctl without a berthd, and with one that is silent, malformed or about to end. */
#include "tests/unit/controlplane/cli/berthctl.h"

static void listen_as_fake(struct fixture *f, const char *reply)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strcpy(address.sun_path, f->berthd.socket);
	f->reply = reply;
	f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(f->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(f->listener, 1), 0);
}

static void an_invalid_command_line_is_exit_status_2(void **state)
{
	static const struct {
		const char *words;
		const char *text;
	} cases[] = {
		{"", "usage: berthctl"},
		{"-x show stats", "unknown option -x; see berthctl --help"},
		{"--nope show stats", "unknown option --nope;"},
		{"-jx show stats", "unknown option -x;"},
		{"--timeout", "option --timeout needs a value;"},
		{"show servces", "did you mean `show services`?"},
		{"show stats now", "`now`"},
		{"-s a -i b show stats", "-s"},
		{"-i a/b show stats", "slashes"},
		{"-t 0 show stats", "-t"},
		{"-t 5x show stats", "-t"},
		{"-s", "option -s needs a value;"},
		{"help nonsense", "help"},
		{"-s "
		 "/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		 "xxxxxxxxxxxxxx show stats",
		 "too long"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct outcome outcome = run_until(*state, cases[i].words, NULL);
		expect_outcome(&outcome, 2, cases[i].text);
	}
}

static void errors_are_json_where_results_are(void **state)
{
	static const struct {
		const char *words;
		int status;
		const char *code;
	} cases[] = {
		{"show servces -j", 2, "usage"},
		{"-j backend drain", 2, "usage"},
		{"-j show stats", 4, "unreachable"},
		{"config check /no/such/file --json", 3, "config"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct outcome outcome = berthctl(*state, cases[i].words);
		json_t *error = json_loads(outcome.err, 0, NULL);
		assert_int_equal(outcome.status, cases[i].status);
		assert_string_equal(outcome.out, "");
		assert_non_null(error);
		assert_string_equal(json_string_value(json_object_get(error, "code")), cases[i].code);
		assert_int_equal(json_integer_value(json_object_get(error, "exit_status")), cases[i].status);
		assert_true(json_string_length(json_object_get(error, "error")) > 0);
		json_decref(error);
	}
}

static void help_needs_no_berthd(void **state)
{
	static const struct {
		const char *words;
		const char *text;
	} cases[] = {
		{"help", "config apply     apply"},
		{"--help", "usage: berthctl"},
		{"--version", "berthctl " BERTH_VERSION "\n"},
		{"help config apply", "--no-save"},
		{"config apply --help", "--no-save"},
		{"show backends -h", "--service GLOB"},
		{"config import --help", "config import ipvs|keepalived|haproxy FILE"},
		{"help config import", "config import ipvs|keepalived|haproxy FILE"},
		{"config import haproxy -h", "config import ipvs|keepalived|haproxy FILE"},
		{"schema --help", "berthctl [OPTION]... schema\n"},
		{"top --help", "--once"},
		{"help report", "--anonymous"},
		{"help config", "config apply  "},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct outcome outcome = run_until(*state, cases[i].words, NULL);
		expect_outcome(&outcome, 0, cases[i].text);
		assert_string_equal(outcome.err, "");
	}
}

static void without_berthd_the_exit_status_is_4_with_a_remedy(void **state)
{
	struct fixture *f = *state;
	struct outcome outcome = berthctl(f, "show stats");
	expect_outcome(&outcome, 4, "berthd is not running, or its instance");
	expect_outcome(&outcome, 4, f->berthd.socket);
	listen_as_fake(f, NULL);
	close(f->listener);
	outcome = berthctl(f, "show stats");
	expect_outcome(&outcome, 4, "berthd is not running");
	f->listener = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void without_permission_the_exit_status_is_4_with_a_remedy(void **state)
{
	struct fixture *f = *state;
	if (geteuid() != 0)
		skip(); /* only root can change its user */
	f->uid = 65534;
	struct outcome outcome = berthctl(f, "show stats");
	expect_outcome(&outcome, 4, "you are not in the group of the socket; use sudo");
}

static void a_silent_berthd_is_a_timeout(void **state)
{
	struct fixture *f = *state;
	listen_as_fake(f, NULL);
	uint64_t began = berth_clock_ms();
	struct outcome outcome = berthctl(f, "-t 1 show stats");
	expect_outcome(&outcome, 4, "no answer from berthd for 1 second;");
	assert_in_range(berth_clock_ms() - began, 900, PATIENCE_MS - 1);
}

static void a_malformed_reply_is_an_error(void **state)
{
	static const struct {
		const char *reply;
		int status;
		const char *text;
	} cases[] = {
		{"", 4, "closed the connection without an answer"},
		{"{\"ok\": true, \"resu", 4, "closed the connection without an answer"},
		{"220 mail.example.com\r\n", 4, "is not berthd"},
		{"[]\n", 4, "is not berthd"},
		{"{}\n", 1, "malformed reply from berthd"},
		{"{\"ok\": true}\n", 1, "malformed reply from berthd"},
		{"{\"ok\": false, \"error\": \"too many clients\", \"code\": \"busy\"}\n", 1,
		 "berthctl: too many clients"},
	};
	struct fixture *f = *state;
	listen_as_fake(f, "");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		f->reply = cases[i].reply;
		struct outcome outcome = berthctl(f, "show stats");
		expect_outcome(&outcome, cases[i].status, cases[i].text);
	}
}

static void a_list_without_rows_is_an_error(void **state)
{
	static const char *const commands[] = {"show services", "show backends -j", "show sessions",
					       "show flows -j", "events"};
	static const char *const replies[] = {"{\"ok\": true}\n", "{\"ok\": true, \"result\": {}}\n",
					      "{\"ok\": true, \"result\": {\"services\": 5, \"flows\": {}}}\n"};
	struct fixture *f = *state;
	listen_as_fake(f, "");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		for (size_t k = 0; k < sizeof(replies) / sizeof(replies[0]); k++) {
			f->reply = replies[k];
			struct outcome outcome = berthctl(f, commands[i]);
			expect_outcome(&outcome, 1, "malformed reply from berthd");
		}
}

/* As main() of berthd does after its loop has ended. */
static void close_when_stopped(struct fixture *f)
{
	if (!f->base || !f->berthd.daemon->stop)
		return;
	berth_daemon_close(f->berthd.daemon);
	f->base = NULL;
}

static void shutdown_is_answered_before_berthd_ends(void **state)
{
	struct fixture *f = *state;
	char words[128];
	snprintf(words, sizeof(words), "-s %s shutdown", f->berthd.socket);
	struct outcome outcome = run_until(f, words, close_when_stopped);
	expect_outcome(&outcome, 0, "forwarding has stopped, berthd ends\n");
	assert_null(f->base);
	assert_int_equal(access(f->berthd.socket, F_OK), -1);
}

static void shutdown_waits_until_berthd_has_ended(void **state)
{
	struct fixture *f = *state;
	listen_as_fake(f, "{\"ok\": true, \"result\": {}}\n");
	f->stays_ms = 300;
	uint64_t began = berth_clock_ms();
	struct outcome outcome = berthctl(f, "shutdown");
	expect_outcome(&outcome, 0, "");
	assert_in_range(berth_clock_ms() - began, 300, PATIENCE_MS - 1);
}

static void words_of_its_own_commands_are_completed(void **state)
{
	static const struct {
		const char *words;
		const char *out;
	} cases[] = {
		{"complete sc", "schema\n"},
		{"complete config im", "import\n"},
		{"complete config import k", "keepalived\n"},
		{"complete top w", "workers\n"},
		{"complete config top w", ""},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct outcome outcome = run_until(*state, cases[i].words, NULL);
		assert_int_equal(outcome.status, 0);
		assert_string_equal(outcome.out, cases[i].out);
	}
}

int main(int argc, char **argv)
{
	if (!find_berthctl(argc, argv))
		return 2;
#define ALONE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define SERVED(name) cmocka_unit_test_setup_teardown(name, set_up_daemon, tear_down)
	const struct CMUnitTest tests[] = {
		ALONE(an_invalid_command_line_is_exit_status_2),
		ALONE(errors_are_json_where_results_are),
		ALONE(help_needs_no_berthd),
		ALONE(words_of_its_own_commands_are_completed),
		ALONE(without_berthd_the_exit_status_is_4_with_a_remedy),
		SERVED(without_permission_the_exit_status_is_4_with_a_remedy),
		ALONE(a_silent_berthd_is_a_timeout),
		ALONE(a_malformed_reply_is_an_error),
		ALONE(a_list_without_rows_is_an_error),
		SERVED(shutdown_is_answered_before_berthd_ends),
		ALONE(shutdown_waits_until_berthd_has_ended),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
