// SPDX-License-Identifier: BSD-3-Clause
/* The log lines of changes: requests go over the socket to a real daemon, and its log is read. */
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/support/berthd.h"
#include "tests/support/loop.h"

#define VALID                                                                                                      \
	"engine: null\\ninterfaces: [{name: lo}]\\n"                                                               \
	"limits: {flows: 1024, sessions: 1024, services: 5, backends: 60}\\n"

/* Without health checks: only commands are logged. */
static const char configuration[] =
	"engine: 'null'\n"
	"interfaces: [{name: lo}]\n"
	"limits: {flows: 1024, sessions: 1024, services: 5, backends: 60}\n"
	"services:\n"
	"  - {name: web, address: 203.0.113.10, protocol: tcp, port: 80, mode: ipip, table-size: 251, health: "
	"{type: none}, affinity: {by: client, timeout: 2h}, backends: [{name: b1, address: 192.0.2.11}, "
	"{name: b2, address: 192.0.2.12}]}\n";

static int set_up(void **state)
{
	return berthd_set_up(state, configuration);
}

static int tear_down(void **state)
{
	return berthd_tear_down(state);
}

static int connect_to(const struct berthd *f)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->socket);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* What berthd logs while it runs a request, which is JSON with ' for ". The caller frees it. */
static char *log_of(struct berthd *f, const char *request)
{
	char line[1024], *text = NULL;
	size_t length = 0;
	int fd = connect_to(f);
	FILE *terminal = stderr;
	snprintf(line, sizeof(line), "%s\n", request);
	for (char *at = line; *at; at++)
		if (*at == '\'')
			*at = '"';
	assert_int_equal(send(fd, line, strlen(line), 0), strlen(line));
	stderr = open_memstream(&text, &length);
	loop_for(f->daemon->base, 30);
	fclose(stderr);
	stderr = terminal;
	close(fd);
	assert_non_null(text);
	return text;
}

/* Expects one line: the client, then `expected`. */
static void expect_log(struct berthd *f, const char *request, const char *expected)
{
	char line[1024];
	snprintf(line, sizeof(line), "berthd: uid %u pid %d: %s\n", geteuid(), getpid(), expected);
	char *text = log_of(f, request);
	if (strcmp(text, line) != 0)
		fail_msg("%s\nlogged:   %sexpected: %s", request, text, line);
	free(text);
}

static void every_change_has_one_log_line_with_client_command_and_result(void **state)
{
	static const struct {
		const char *request;
		const char *expected;
	} changes[] = {
		{"{'command':'backend drain','arguments':{'backend':'web/b1'}}", "backend drain \"web/b1\": ok"},
		{"{'command':'backend drain','arguments':{'deadline':'60s','flows-only':true,'backend':'web/b1'}}",
		 "backend drain \"web/b1\" --flows-only --deadline \"60s\": ok"},
		{"{'command':'backend evict','arguments':{'backend':'web/b1'}}", "backend evict \"web/b1\": ok"},
		{"{'command':'backend disable','arguments':{'backend':'web/b1'}}",
		 "backend disable \"web/b1\": ok"},
		{"{'command':'backend enable','arguments':{'backend':'web/b1'}}", "backend enable \"web/b1\": ok"},
		{"{'command':'backend health','arguments':{'backend':'web/b1','health':'down'}}",
		 "backend health \"web/b1\" \"down\": ok"},
		{"{'command':'session pin','arguments':{'client':'198.51.100.7','backend':'web/b2'}}",
		 "session pin \"198.51.100.7\" \"web/b2\": ok"},
		{"{'command':'session unpin','arguments':{'client':'198.51.100.7','service':'web'}}",
		 "session unpin \"198.51.100.7\" \"web\": ok, 1 cleared"},
		{"{'command':'session pin','arguments':{'client':'198.51.100.9','backend':'web/b2'}}",
		 "session pin \"198.51.100.9\" \"web/b2\": ok"},
		{"{'command':'session clear','arguments':{'service':'web'}}",
		 "session clear --service \"web\": ok, 1 cleared"},
		{"{'command':'session move','arguments':{'client':'198.51.100.8','backend':'web/b2'}}",
		 "session move \"198.51.100.8\" \"web/b2\": failed: 198.51.100.8 has no session in web; `berthctl "
		 "session pin` creates one"},
		{"{'command':'backend drain','arguments':{'backend':'web/b9'}}",
		 "backend drain \"web/b9\": failed: backend web/b9 not found; `berthctl show backends` lists all "
		 "backends"},
		{"{'command':'shutdown'}", "shutdown: ok"},
	};
	struct berthd *f = *state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		expect_log(f, changes[i].request, changes[i].expected);
}

static void an_apply_has_one_log_line(void **state)
{
	struct berthd *f = *state;
	expect_log(f,
		   "{'command':'config apply','arguments':{'no-save':true,'file':'new.yaml','text':'" VALID "'}}",
		   "config apply \"new.yaml\" --no-save: ok");
}

/* What is logged for the results of `session clear` for these services, in JSON with ' for ". */
static char *log_of_pages(const char *const (*pages)[2], size_t n)
{
	static const struct berth_server_peer peer = {.uid = 7, .pid = 9};
	char *text = NULL;
	size_t length = 0;
	FILE *terminal = stderr;
	stderr = open_memstream(&text, &length);
	for (size_t i = 0; i < n; i++) {
		char dump[256];
		snprintf(dump, sizeof(dump), "%s", pages[i][1]);
		for (char *at = dump; *at; at++)
			*at = *at == '\'' ? '"' : *at;
		json_t *arguments = json_pack("{s:s, s:s}", "service", pages[i][0], "after",
					      i % 2 ? "131072" : "0");
		json_t *result = json_loads(dump, 0, NULL);
		berth_cmd_log(peer, &berth_commands[BERTH_COMMAND_session_clear], arguments, NULL, result);
		json_decref(arguments);
		json_decref(result);
	}
	fclose(stderr);
	stderr = terminal;
	return text;
}

static void the_pages_of_a_clear_are_one_line(void **state)
{
	(void)state;
	static const char *const complete[][2] = {{"web", "{'cleared_sessions': 3, 'next': '131072'}"},
						  {"web", "{'cleared_sessions': 4, 'next': '262144'}"},
						  {"web", "{'cleared_sessions': 0, 'next': null}"}};
	static const char *const stopped[][2] = {{"web", "{'cleared_sessions': 3, 'next': '131072'}"},
						 {"dns", "{'cleared_sessions': 1, 'next': null}"}};
	static const char *const nothing[][2] = {{"web", "{'cleared_sessions': 0, 'next': '131072'}"},
						 {"web", "{'cleared_sessions': 0, 'next': null}"}};
	char *text = log_of_pages(complete, 3);
	assert_string_equal(text, "berthd: uid 7 pid 9: session clear --service \"web\": ok, 7 cleared\n");
	free(text);
	text = log_of_pages(stopped, 2);
	assert_string_equal(text, "berthd: uid 7 pid 9: session clear --service \"web\": ok, 3 cleared\n"
				  "berthd: uid 7 pid 9: session clear --service \"dns\": ok, 1 cleared\n");
	free(text);
	text = log_of_pages(nothing, 2);
	assert_string_equal(text, "");
	free(text);
}

static void a_command_that_changes_nothing_is_not_logged(void **state)
{
	static const char *const requests[] = {
		"{'command':'show backends'}",
		"{'command':'config check','arguments':{'file':'-','text':'x'}}",
		"{'command':'wait drained','arguments':{'backend':'web/b1'}}",
		"{'command':'session clear','arguments':{'service':'web'}}",
		"{'command':'unknown'}",
	};
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		char *text = log_of(*state, requests[i]);
		assert_string_equal(text, "");
		free(text);
	}
}

static void expect_one_printable_line(struct berthd *f, const char *file, const char *text)
{
	char request[1024];
	snprintf(request, sizeof(request),
		 "{'command':'config apply','arguments':{'no-save':true,'file':'%s','text':'%s'}}", file, text);
	char *log = log_of(f, request);
	size_t length = strlen(log);
	assert_true(length > 0);
	for (size_t at = 0; at < length - 1; at++)
		if (log[at] < ' ' || log[at] > '~')
			fail_msg("byte %02x in \"%s\"", (unsigned char)log[at], log);
	assert_int_equal(log[length - 1], '\n');
	free(log);
}

static void a_file_name_cannot_add_a_line_or_an_escape_to_the_log(void **state)
{
	static const char *const names[] = {
		"x\\nberthd: uid 0 pid 1: shutdown: ok",
		"\\u001b[2J\\u001b]0;title\\u0007",
		"\\u007f\\u009b\\u2028\\u202e",
		"\\r\\b",
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		expect_one_printable_line(*state, names[i], VALID);
		expect_one_printable_line(*state, names[i], "services: [");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_change_has_one_log_line_with_client_command_and_result),
		TEST(an_apply_has_one_log_line),
		TEST(the_pages_of_a_clear_are_one_line),
		TEST(a_command_that_changes_nothing_is_not_logged),
		TEST(a_file_name_cannot_add_a_line_or_an_escape_to_the_log),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
