// SPDX-License-Identifier: BSD-3-Clause
/*
 * berthctl as people run it (its path is this test's argument), against a real daemon with the null engine whose
 * loop turns here, and against listeners that are no berthd.
 */
#include "tests/unit/berthd.h"

#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "controlplane/api/wire.h"
#include "controlplane/clock.h"
#include "dataplane/core/flowtab.h"

enum {
	PATIENCE_MS = 20000,
	MAX_WORDS = 12,
};

static const char configuration[] =
	"engine: 'null'\n"
	"interfaces: [{name: lo}]\n"
	"limits: {flows: 1024, sessions: 1024, services: 4, backends: 60}\n"
	"services:\n"
	"  - {name: web, address: 203.0.113.10, protocol: tcp, port: 80, mode: ipip, rows: 251, "
	"affinity: {by: client, timeout: 3h}, health: {type: none}, backends: [{name: b1, address: 192.0.2.11}, "
	"{name: b2, address: 192.0.2.12}]}\n"
	"  - {name: web6, address: '2001:db8::80', protocol: tcp, port: 80, mode: l2, rows: 251, "
	"health: {type: none}, backends: [{name: b1, address: '2001:db8::11'}]}\n";

static const char *program;

struct fixture {
	struct berthd berthd;
	struct event_base *base; /* of the daemon, or NULL where there is none */
	int listener;		 /* that is no berthd; -1: none */
	const char *reply;	 /* what it says before it hangs up; NULL: it says nothing and stays */
	int held;		 /* a connection that it has, -1: none */
	unsigned int stays_ms;	 /* between what it says and its hanging up */
	uint64_t hang_up_ms;
	uid_t uid; /* berthctl's, if not 0 */
};

struct outcome {
	int status;
	char out[1 << 18];
	char err[4096];
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	berthd_prepare(&f->berthd, configuration);
	assert_int_equal(chmod(f->berthd.dir, 0755), 0); /* for who has no permission but to look */
	f->listener = -1;
	f->held = -1;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	if (f->base)
		berth_daemon_close(&f->berthd.daemon);
	if (f->held >= 0)
		close(f->held);
	if (f->listener >= 0) {
		close(f->listener);
		unlink(f->berthd.socket);
	}
	berthd_remove(&f->berthd);
	free(f);
	return 0;
}

static int set_up_daemon(void **state)
{
	set_up(state);
	struct fixture *f = *state;
	berthd_open(&f->berthd);
	f->base = f->berthd.daemon.base;
	return 0;
}

static void listen_falsely(struct fixture *f, const char *reply)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strcpy(address.sun_path, f->berthd.socket);
	f->reply = reply;
	f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(f->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(f->listener, 1), 0);
}

static void turn_falsely(struct fixture *f)
{
	if (f->held >= 0 && berth_clock_ms() >= f->hang_up_ms) {
		close(f->held);
		f->held = -1;
	}
	if (f->held >= 0)
		return;
	f->held = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
	f->hang_up_ms = berth_clock_ms() + f->stays_ms;
	if (f->held >= 0)
		(void)!send(f->held, f->reply, strlen(f->reply), MSG_NOSIGNAL);
}

static void turn(struct fixture *f)
{
	usleep(500);
	if (f->base)
		event_base_loop(f->base, EVLOOP_NONBLOCK);
	if (f->listener >= 0 && f->reply)
		turn_falsely(f);
}

static pid_t start(const struct fixture *f, const char *words, int out, int err)
{
	char line[512];
	char *argv[MAX_WORDS] = {(char *)program};
	snprintf(line, sizeof(line), "%s", words);
	int n = 1;
	for (char *word = strtok(line, " "); word; word = strtok(NULL, " "))
		argv[n++] = word;
	assert_true(n < MAX_WORDS);
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGPIPE, SIG_DFL);
		dup2(out, STDOUT_FILENO);
		dup2(err, STDERR_FILENO);
		if (f->uid && (setgid(f->uid) != 0 || setuid(f->uid) != 0))
			_exit(126);
		execv(program, argv);
		_exit(127);
	}
	assert_true(pid > 0);
	return pid;
}

static void read_back(int fd, char *text, size_t size)
{
	ssize_t n = pread(fd, text, size - 1, 0);
	assert_true(n >= 0);
	text[n] = '\0';
	close(fd);
}

/* Runs `berthctl WORDS` while the loop turns, and `each` after every turn. */
static struct outcome run_until(struct fixture *f, const char *words, void (*each)(struct fixture *))
{
	struct outcome outcome = {.status = -1};
	int out = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	int err = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	assert_true(out >= 0 && err >= 0);
	pid_t pid = start(f, words, out, err);
	int status = 0;
	uint64_t end = berth_clock_ms() + PATIENCE_MS;
	while (waitpid(pid, &status, WNOHANG) == 0) {
		turn(f);
		if (each)
			each(f);
		if (berth_clock_ms() > end) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			break;
		}
	}
	if (WIFEXITED(status))
		outcome.status = WEXITSTATUS(status);
	read_back(out, outcome.out, sizeof(outcome.out));
	read_back(err, outcome.err, sizeof(outcome.err));
	return outcome;
}

/* "-s SOCKET COMMAND..." */
static struct outcome ask(struct fixture *f, const char *words)
{
	char line[400];
	snprintf(line, sizeof(line), "-s %s %s", f->berthd.socket, words);
	return run_until(f, line, NULL);
}

static void ends_with(const struct outcome *outcome, int status, const char *says)
{
	if (outcome->status != status)
		fail_msg("status %d, \"%s\", \"%s\"", outcome->status, outcome->out, outcome->err);
	if (status != 0)
		assert_string_equal(outcome->out, "");
	const char *text = status == 0 ? outcome->out : outcome->err;
	if (!strstr(text, says))
		fail_msg("\"%s\" does not say \"%s\"", text, says);
}

static void services_are_shown_as_a_table(void **state)
{
	struct outcome outcome = ask(*state, "show services");
	ends_with(&outcome, 0, "");
	assert_string_equal(outcome.out,
			    "SERVICE  ADDRESS                MODE  AFFINITY   SCHEDULER   UP  PACKETS  BYTES  "
			    "FLOWS  LIVE  CLIENTS  REFUSED  ALARM\n"
			    "web      tcp 203.0.113.10:80    ipip  client 3h  maglev     2/2        0    0 B  "
			    "    0     0        0        0  -\n"
			    "web6     tcp [2001:db8::80]:80  l2    flow       maglev     1/1        0    0 B  "
			    "    0     0        0        0  -\n");
}

static void results_are_json_where_asked(void **state)
{
	static const char *const commands[] = {"show services", "show backends", "show stats", "show drops",
					       "show engine"};
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		char words[64];
		snprintf(words, sizeof(words), "-j %s", commands[i]);
		struct outcome outcome = ask(*state, words);
		ends_with(&outcome, 0, "{\n  \"");
		json_t *result = json_loads(outcome.out, JSON_REJECT_DUPLICATES, NULL);
		assert_true(json_is_object(result));
		json_decref(result);
		struct outcome plain = ask(*state, commands[i]);
		ends_with(&plain, 0, "\n");
		assert_null(strchr(plain.out, '{'));
	}
}

static void socket_is_found_by_instance_and_run_dir(void **state)
{
	struct fixture *f = *state;
	char words[128];
	snprintf(words, sizeof(words), "-i test -r %s show engine", f->berthd.dir);
	struct outcome outcome = run_until(f, words, NULL);
	ends_with(&outcome, 0, "instance: test\n");
}

static void a_wait_ends_when_the_backend_is_empty_or_its_time_is_up(void **state)
{
	struct fixture *f = *state;
	struct outcome outcome = ask(f, "wait drained web/b2");
	ends_with(&outcome, 1, "takes new clients and will never be drained");
	outcome = ask(f, "backend drain --deadline 1h web/b2 --flows-only");
	ends_with(&outcome, 0, "web/b2 is flows-only and up;");
	uint64_t begin = berth_clock_ms();
	outcome = ask(f, "wait drained web/b2 --timeout 1s");
	assert_int_equal(outcome.status, 1);
	assert_non_null(
		strstr(outcome.out, "web/b2 is not drained after 1 s: 0 flows, 0 that close and 0 clients"));
	assert_in_range(berth_clock_ms() - begin, 1000, 2000);
	outcome = ask(f, "wait drained --timeout=20s web/b2"); /* two whole walks of a second */
	ends_with(&outcome, 0, "web/b2 is drained\n");
	outcome = ask(f, "wait drained web/b2 --timeout 1");
	ends_with(&outcome, 1, "from 1s to 24h");
}

static void a_plan_is_shown_as_a_table(void **state)
{
	struct fixture *f = *state;
	char words[128];
	snprintf(words, sizeof(words), "plan %s", f->berthd.path);
	struct outcome outcome = ask(f, words);
	ends_with(&outcome, 0, "0 flows and 0 clients would move, 0 clients would be taken as new ones");
	assert_non_null(strstr(outcome.out, "web      b2       stays "));
}

static void a_backend_is_drained_by_name(void **state)
{
	struct fixture *f = *state;
	struct outcome outcome = ask(f, "backend drain web/b2");
	ends_with(&outcome, 0, "web/b2 is draining and up;");
	struct berth_model_service *web = berth_model_service(&f->berthd.daemon.model, "web");
	assert_int_equal(berth_model_backend(web, "b2")->admin, BERTH_ADMIN_DRAINING);
	assert_int_equal(berth_model_backend(web, "b1")->admin, BERTH_ADMIN_ENABLED);
}

static void a_refusal_is_exit_1_and_one_line(void **state)
{
	struct outcome outcome = ask(*state, "backend drain web/b9");
	ends_with(&outcome, 1, "berthctl: ");
	ends_with(&outcome, 1, "b9");
	assert_ptr_equal(strchr(outcome.err, '\n'), outcome.err + strlen(outcome.err) - 1);
}

static void a_wrong_configuration_is_exit_3_and_its_place(void **state)
{
	struct fixture *f = *state;
	char file[64];
	char words[128];
	snprintf(file, sizeof(file), "%s/new.yaml", f->berthd.dir);
	assert_int_equal(berth_file_replace(file, "engine: 'null'\nports: []\n", 25), 0);
	static const char *const commands[] = {"config check", "config apply"};
	for (size_t i = 0; i < 2; i++) {
		snprintf(words, sizeof(words), "%s %s", commands[i], file);
		struct outcome outcome = ask(f, words);
		snprintf(words, sizeof(words), "%s:2:1: ", file);
		ends_with(&outcome, 3, words);
		assert_ptr_equal(strstr(outcome.err, words), outcome.err);
		assert_ptr_equal(strchr(outcome.err, '\n'), outcome.err + strlen(outcome.err) - 1);
	}
	unlink(file);
	struct outcome outcome = ask(f, "config check /nonexistent.yaml");
	ends_with(&outcome, 3, "/nonexistent.yaml: No such file");
	assert_int_equal(f->berthd.daemon.model.n_services, 2);
}

static void a_right_configuration_is_applied(void **state)
{
	struct fixture *f = *state;
	char file[64];
	char words[128];
	char text[2048];
	snprintf(file, sizeof(file), "%s/new.yaml", f->berthd.dir);
	snprintf(text, sizeof(text),
		 "%s  - {name: more, address: 203.0.113.9, protocol: udp, port: 53, mode: l2}\n", configuration);
	assert_int_equal(berth_file_replace(file, text, strlen(text)), 0);
	snprintf(words, sizeof(words), "config check %s", file);
	struct outcome outcome = ask(f, words);
	ends_with(&outcome, 0, "3 services, 3 backends\nwarning: service more takes nobody");
	assert_int_equal(f->berthd.daemon.model.n_services, 2);
	snprintf(words, sizeof(words), "config apply %s", file);
	outcome = ask(f, words);
	ends_with(&outcome, 0, f->berthd.path);
	assert_int_equal(f->berthd.daemon.model.n_services, 3);
	unlink(file);
}

enum {
	SESSIONS = 1500, /* more than a page */
};

/* Sessions of 198.51.0.0 and so on in web/b1, as workers would have left them. */
static void put_sessions(struct fixture *f)
{
	const struct berth_image *image = &f->berthd.daemon.engine->image;
	struct berth_model_service *web = berth_model_service(&f->berthd.daemon.model, "web");
	uint32_t b1 = berth_model_backend(web, "b1")->number;
	uint32_t now = berth_clock_s();
	for (uint32_t i = 0; i < SESSIONS; i++) {
		image->sessions[i / BERTH_BUCKET_WORDS].word[i % BERTH_BUCKET_WORDS] = berth_word_make(
			i + 1, b1, now, BERTH_STATE_SESSION);
		image->clients[i] = (struct berth_client){
			.since = now, .flows = 3, .tag = i + 1, .reason = BERTH_REASON_SELECTED};
		berth_addr_set4(&image->clients[i].addr, berth_to_be32(0xc6330000 + i));
	}
}

static void sessions_are_shown_page_after_page_as_one_table(void **state)
{
	struct fixture *f = *state;
	put_sessions(f);
	struct outcome outcome = ask(f, "show sessions");
	ends_with(&outcome, 0, "CLIENT ");
	const char *second = strchr(outcome.out, '\n') + 1;
	assert_ptr_equal(strstr(second, "198.51.0.0  "), second);
	size_t lines = 0;
	for (const char *at = outcome.out; (at = strchr(at, '\n')); at++)
		lines++;
	assert_int_equal(lines, 1 + SESSIONS);
	assert_null(strstr(second, "CLIENT"));
	outcome = ask(f, "show sessions --backend web/b2");
	ends_with(&outcome, 0, "CLIENT  SERVICE  BACKEND  AGE  IDLE  FLOWS  WHY\n");
}

static void sessions_are_one_json_document_and_one_a_line(void **state)
{
	struct fixture *f = *state;
	static const char *const words[] = {"-j show sessions", "show sessions --backend web/b2 -j"};
	put_sessions(f);
	for (size_t i = 0; i < 2; i++) {
		struct outcome outcome = ask(f, words[i]);
		ends_with(&outcome, 0, "], \"next\": null}\n");
		json_t *result = json_loads(outcome.out, JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(result);
		size_t n = json_array_size(json_object_get(result, "sessions")), lines = 0;
		for (const char *at = outcome.out; (at = strstr(at, "\n{\"client\"")); at++)
			lines++;
		assert_int_equal(n, i ? 0 : SESSIONS);
		assert_int_equal(lines, n);
		json_decref(result);
	}
}

static void as_many_sessions_as_asked_for_and_where_to_go_on(void **state)
{
	struct fixture *f = *state;
	put_sessions(f);
	struct outcome outcome = ask(f, "show sessions --limit 1200 -j");
	json_t *result = json_loads(outcome.out, JSON_REJECT_DUPLICATES, NULL);
	assert_int_equal(json_array_size(json_object_get(result, "sessions")), 1200);
	assert_string_equal(json_string_value(json_object_get(result, "next")), "1200");
	json_decref(result);
	outcome = ask(f, "show sessions --limit 2 --after 1200");
	ends_with(&outcome, 0, "198.51.4.176");
	ends_with(&outcome, 0, "198.51.4.177");
	ends_with(&outcome, 0, "there may be more: --after 1202\n");
	outcome = ask(f, "show sessions --limit 0");
	ends_with(&outcome, 2, "--limit");
	outcome = ask(f, "show sessions --service nobody -j");
	ends_with(&outcome, 1, "nobody");
}

static void sessions_are_pinned_moved_and_cleared(void **state)
{
	struct fixture *f = *state;
	put_sessions(f);
	struct outcome outcome = ask(f, "session clear --backend web/b1");
	ends_with(&outcome, 0, "1500 sessions cleared;");
	outcome = ask(f, "session pin 198.51.100.7 web/b2");
	ends_with(&outcome, 0, "198.51.100.7 is on b2 of web: pinned;");
	outcome = ask(f, "session move 198.51.100.7 web/b1");
	ends_with(&outcome, 0, "198.51.100.7 is on b1 of web: moved from b2;");
	outcome = ask(f, "session unpin 198.51.100.7 web");
	ends_with(&outcome, 1, "198.51.100.7 is not pinned in web");
	outcome = ask(f, "-j session clear --client 198.51.100.0/24");
	ends_with(&outcome, 0, "{\n  \"cleared\": 1\n}\n");
	outcome = ask(f, "session clear");
	ends_with(&outcome, 1, "say which sessions");
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
	if (!f->base || !f->berthd.daemon.stop)
		return;
	berth_daemon_close(&f->berthd.daemon);
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
	if (argc != 2) {
		fprintf(stderr, "usage: %s BERTHCTL\n", argv[0]);
		return 2;
	}
	program = argv[1];
#define ALONE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define SERVED(name) cmocka_unit_test_setup_teardown(name, set_up_daemon, tear_down)
	const struct CMUnitTest tests[] = {
		SERVED(services_are_shown_as_a_table),
		SERVED(results_are_json_where_asked),
		SERVED(socket_is_found_by_instance_and_run_dir),
		SERVED(a_wait_ends_when_the_backend_is_empty_or_its_time_is_up),
		SERVED(a_plan_is_shown_as_a_table),
		SERVED(a_backend_is_drained_by_name),
		SERVED(a_refusal_is_exit_1_and_one_line),
		SERVED(a_wrong_configuration_is_exit_3_and_its_place),
		SERVED(a_right_configuration_is_applied),
		SERVED(sessions_are_shown_page_after_page_as_one_table),
		SERVED(sessions_are_one_json_document_and_one_a_line),
		SERVED(as_many_sessions_as_asked_for_and_where_to_go_on),
		SERVED(sessions_are_pinned_moved_and_cleared),
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
