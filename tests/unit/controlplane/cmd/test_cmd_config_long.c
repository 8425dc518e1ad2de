// SPDX-License-Identifier: BSD-3-Clause
/* A long text is parsed by a thread while berthd's loop goes on, whatever asks for it. What changes meanwhile
 * counts. */
#include "tests/unit/controlplane/cmd/cmd.h"

#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "controlplane/cmd/config/parser.h"
#include "tests/support/loop.h"

enum {
	COMMENT = 80 << 10, /* bytes: the text is a long one */
	WITHIN_MS = 60000,
};

/* berthd starts no other threads in these tests. */
static unsigned int threads;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*fn)(void *), void *arg);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*fn)(void *), void *arg)
{
	threads++;
	return __real_pthread_create(thread, attributes, fn, arg);
}

/* The caller frees it. */
static char *text_with(unsigned int weight, const char *more)
{
	char *text = malloc(COMMENT + 1000);
	assert_non_null(text);
	size_t n = (size_t)sprintf(text, HEAD);
	for (size_t end = n + COMMENT; n < end;)
		n += (size_t)sprintf(text + n, "# what one knows of the servers\n");
	sprintf(text + n, "services:\n  - " WEB "backends: [{name: b1, address: 192.0.2.11, weight: %u%s}]}\n",
		weight, more);
	return text;
}

/* Without a client that can wait the loop parses it. */
static void apply(struct berthd *f, unsigned int weight, const char *confirm)
{
	char *text = text_with(weight, "");
	json_t *arguments = json_pack("{s:s, s:s}", "file", "new.yaml", "text", text);
	if (confirm)
		json_object_set_new(arguments, "confirm", json_string(confirm));
	char *given = json_dumps(arguments, 0);
	json_decref(run(f, "config apply", given, BERTH_CODE_OK));
	free(given);
	json_decref(arguments);
	free(text);
}

static uint32_t weight(struct berthd *f)
{
	return backend(f, "web", "b1")->config.weight;
}

static void one_round(struct berthd *f)
{
	event_base_loop(f->daemon->base, EVLOOP_ONCE);
}

static int ask(struct berthd *f, const char *command, json_t *arguments)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	memcpy(address.sun_path, f->socket, sizeof(f->socket));
	const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	json_t *request = json_pack("{s:s, s:o}", "command", command, "arguments", arguments);
	char *line = json_dumps(request, 0);
	json_decref(request);
	for (size_t sent = 0, length = strlen(line); sent <= length;) {
		line[length] = '\n';
		const ssize_t n = send(fd, line + sent, length + 1 - sent, MSG_DONTWAIT);
		sent += n > 0 ? (size_t)n : 0;
		event_base_loop(f->daemon->base, EVLOOP_NONBLOCK);
	}
	free(line);
	return fd;
}

/* The answer; closes the connection. */
static json_t *read_answer(struct berthd *f, int fd)
{
	static char answer[1 << 20];
	size_t n = 0;
	while (!memchr(answer, '\n', n)) {
		event_base_loop(f->daemon->base, EVLOOP_NONBLOCK);
		const ssize_t got = recv(fd, answer + n, sizeof(answer) - n, MSG_DONTWAIT);
		assert_int_not_equal(got, 0);
		n += got > 0 ? (size_t)got : 0;
		usleep(got > 0 ? 0 : 1000);
	}
	close(fd);
	json_t *parsed = json_loadb(answer, n, 0, NULL);
	assert_non_null(parsed);
	return parsed;
}

static json_t *result_of(json_t *answer)
{
	if (!json_is_true(json_object_get(answer, "ok")))
		fail_msg("%s", json_dumps(answer, 0));
	return json_object_get(answer, "result");
}

/* berthd has begun to parse for what was asked; its end is a later turn of the loop. */
static void await_thread(struct berthd *f, unsigned int before)
{
	assert_true(wait_until(threads > before, WITHIN_MS, one_round(f)));
}

static void a_long_file_is_parsed_beside_the_loop_for_a_signal(void **state)
{
	struct berthd *f = *state;
	char *text = text_with(9, "");
	assert_int_equal(berth_file_replace(f->path, text, strlen(text)), 0);
	free(text);
	const unsigned int before = threads;
	raise(SIGHUP);
	await_thread(f, before);
	assert_int_equal(weight(f), 7);
	assert_true(wait_until(weight(f) == 9, WITHIN_MS, one_round(f)));
	assert_int_equal(threads, before + 1);
}

static void an_invalid_long_file_is_refused_for_a_signal(void **state)
{
	struct berthd *f = *state;
	char *text = text_with(9, ", colour: red");
	assert_int_equal(berth_file_replace(f->path, text, strlen(text)), 0);
	free(text);
	raise(SIGHUP);
	assert_true(wait_until(f->daemon->state.refused_applies == 1, WITHIN_MS, one_round(f)));
	assert_true(f->daemon->state.is_apply_refused);
	assert_int_equal(weight(f), 7);
}

static void a_signal_that_another_configuration_overtakes_reads_the_file_again(void **state)
{
	struct berthd *f = *state;
	char *former = text_with(9, ""), *forced = text_with(10, "");
	assert_int_equal(berth_file_replace(f->path, former, strlen(former)), 0);
	const unsigned int before = threads;
	raise(SIGHUP);
	await_thread(f, before);
	json_t *arguments = json_pack("{s:s, s:s, s:b}", "file", "new.yaml", "text", forced, "force", 1);
	char *given = json_dumps(arguments, 0);
	json_decref(run(f, "config apply", given, BERTH_CODE_OK));
	assert_int_equal(weight(f), 10);
	assert_true(wait_until(threads == before + 2, WITHIN_MS, one_round(f)));
	assert_int_equal(weight(f), 10);
	free(given);
	json_decref(arguments);
	free(former);
	free(forced);
}

static void a_long_configuration_is_undone_to_beside_the_loop(void **state)
{
	struct berthd *f = *state;
	apply(f, 8, NULL);
	apply(f, 9, NULL);
	const unsigned int before = threads;
	json_t *answer = read_answer(f, ask(f, "config undo", json_object()));
	result_of(answer);
	json_decref(answer);
	assert_int_equal(threads, before + 1);
	assert_int_equal(weight(f), 8);
}

static void an_undo_that_another_configuration_overtakes_is_refused(void **state)
{
	struct berthd *f = *state;
	apply(f, 8, NULL);
	apply(f, 9, NULL);
	const unsigned int before = threads;
	const int fd = ask(f, "config undo", json_object());
	await_thread(f, before);
	apply(f, 10, NULL);
	json_t *answer = read_answer(f, fd);
	assert_false(json_is_true(json_object_get(answer, "ok")));
	char *text = json_dumps(answer, 0);
	assert_non_null(strstr(text, "another configuration has come into force meanwhile"));
	free(text);
	json_decref(answer);
	assert_int_equal(weight(f), 10);
}

static void both_files_of_a_diff_are_parsed_beside_the_loop(void **state)
{
	struct berthd *f = *state;
	char *text = text_with(8, ""), *text2 = text_with(9, "");
	json_t *arguments = json_pack("{s:s, s:s, s:s, s:s}", "file", "a.yaml", "text", text, "file2", "b.yaml",
				      "text2", text2);
	const unsigned int before = threads;
	/* The requests are long, too: each is read by a thread. */
	json_t *answer = read_answer(f, ask(f, "config diff", arguments));
	const json_t *change = json_array_get(json_object_get(result_of(answer), "changes"), 0);
	assert_string_equal(json_string_value(json_object_get(change, "before")), "8");
	assert_string_equal(json_string_value(json_object_get(change, "after")), "9");
	json_decref(answer);
	assert_int_equal(threads, before + 2);
	free(text);
	free(text2);
}

static void the_file_of_a_diff_is_parsed_beside_the_loop(void **state)
{
	struct berthd *f = *state;
	char *text = text_with(12, "");
	assert_int_equal(berth_file_replace(f->path, text, strlen(text)), 0);
	free(text);
	const unsigned int before = threads;
	json_t *answer = read_answer(f, ask(f, "config diff", json_object()));
	assert_string_equal(json_string_value(json_object_get(result_of(answer), "before")), "in force");
	json_decref(answer);
	assert_int_equal(threads, before + 1);
}

static void a_change_that_is_not_confirmed_is_undone_beside_the_loop(void **state)
{
	struct berthd *f = *state;
	apply(f, 8, NULL);
	apply(f, 9, "1s");
	const unsigned int before = threads;
	await_thread(f, before);
	assert_int_equal(weight(f), 9);
	assert_true(wait_until(weight(f) == 8, WITHIN_MS, one_round(f)));
	assert_int_equal(threads, before + 1);
	assert_int_equal(f->daemon->state.history->confirmation.former, 0);
}

static void set_flag(void *arg, const struct berth_cmd_source *source, struct berth_cmd_parsed *parsed)
{
	(void)source;
	assert_non_null(parsed->config);
	*(bool *)arg = true;
}

static void a_confirmation_while_the_former_one_is_parsed_counts(void **state)
{
	struct berthd *f = *state;
	apply(f, 8, NULL);
	apply(f, 9, "1s");
	await_thread(f, threads);
	json_decref(run(f, "config confirm", "{}", BERTH_CODE_OK));
	/* The jobs of the parser are done one after the other. */
	char *text = text_with(8, "");
	const struct berth_cmd_source last = {.name = "last.yaml", .text = text, .length = strlen(text)};
	bool is_last = false;
	berth_cmd_parse_then(f->daemon->parser, &last, set_flag, &is_last);
	assert_false(is_last);
	assert_true(wait_until(is_last, WITHIN_MS, one_round(f)));
	free(text);
	assert_int_equal(weight(f), 9);
}

static void the_end_of_berthd_drops_what_is_parsed(void **state)
{
	struct berthd *f = *state;
	const unsigned int before = threads;
	char *text = text_with(8, "");
	assert_int_equal(berth_file_replace(f->path, text, strlen(text)), 0);
	raise(SIGHUP);
	await_thread(f, before);
	const struct berth_cmd_source next = {.name = "next.yaml", .text = text, .length = strlen(text)};
	bool is_next = false;
	berth_cmd_parse_then(f->daemon->parser, &next, set_flag, &is_next);
	free(text);
	berth_daemon_close(f->daemon);
	assert_false(is_next);
	berthd_open(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_long_file_is_parsed_beside_the_loop_for_a_signal),
		TEST(an_invalid_long_file_is_refused_for_a_signal),
		TEST(a_signal_that_another_configuration_overtakes_reads_the_file_again),
		TEST(a_long_configuration_is_undone_to_beside_the_loop),
		TEST(an_undo_that_another_configuration_overtakes_is_refused),
		TEST(both_files_of_a_diff_are_parsed_beside_the_loop),
		TEST(the_file_of_a_diff_is_parsed_beside_the_loop),
		TEST(a_change_that_is_not_confirmed_is_undone_beside_the_loop),
		TEST(a_confirmation_while_the_former_one_is_parsed_counts),
		TEST(the_end_of_berthd_drops_what_is_parsed),
	};
	return cmocka_run_group_tests_name("cmd_config_long", tests, NULL, NULL);
}
