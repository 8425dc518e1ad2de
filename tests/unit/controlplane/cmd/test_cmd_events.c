// SPDX-License-Identifier: BSD-3-Clause
/* `events`: what is kept, filtered, lost and followed. The events of this process are those of all its tests. */
#include "tests/unit/controlplane/cmd/cmd.h"

#include <event2/event.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "controlplane/util/log.h"
#include "controlplane/util/log_ring.h"

/* The cursor after all events so far. */
static uint64_t now(void)
{
	return berth_log_ring_end();
}

static json_t *events_after(struct berthd *f, uint64_t after, const char *more)
{
	char arguments[128];
	snprintf(arguments, sizeof(arguments), "{\"after\": \"%llu\"%s}", (unsigned long long)after, more);
	return run(f, "events", arguments, BERTH_CODE_OK);
}

static const char *field(const json_t *result, size_t i, const char *key)
{
	return berth_cmd_text(json_array_get(json_object_get(result, "events"), i), key);
}

static size_t count(const json_t *result)
{
	return json_array_size(json_object_get(result, "events"));
}

static void lines_of_the_log_are_events_with_priorities(void **state)
{
	static const struct {
		const char *line;
		const char *priority;
	} cases[] = {
		{"ALARM: x", "error"}, {"alarm over: x", "notice"}, {"warning: x", "warning"},
		{"web is up", "info"}, {"an ALARM: x", "info"},
	};
	struct berthd *f = *state;
	const uint64_t begin = now();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		berth_log("%s", cases[i].line);
	json_t *result = events_after(f, begin, "");
	assert_int_equal(count(result), sizeof(cases) / sizeof(cases[0]));
	for (size_t i = 0; i < count(result); i++) {
		assert_string_equal(field(result, i, "text"), cases[i].line);
		assert_string_equal(field(result, i, "priority"), cases[i].priority);
		assert_null(field(result, i, "service"));
		assert_int_equal(strlen(field(result, i, "time")), strlen("2026-11-22T11:31:02.123Z"));
	}
	assert_true(json_is_null(json_object_get(result, "next")));
	json_decref(result);
}

static void commands_of_operators_are_events_of_their_backend(void **state)
{
	struct berthd *f = *state;
	const uint64_t begin = now();
	json_decref(run(f, "backend drain", "{\"backend\": \"web/b1\"}", BERTH_CODE_OK));
	refuse(f, "backend drain", "{\"backend\": \"dns/b9\"}", BERTH_CODE_NOT_FOUND, "b9");
	berth_log("of no service");
	json_t *result = events_after(f, begin, ", \"service\": \"w*\"");
	assert_int_equal(count(result), 1);
	assert_string_equal(field(result, 0, "service"), "web");
	assert_string_equal(field(result, 0, "backend"), "b1");
	assert_non_null(strstr(field(result, 0, "text"), "backend drain \"web/b1\": ok"));
	json_decref(result);
	result = events_after(f, begin, ", \"service\": \"dns\"");
	assert_int_equal(count(result), 1);
	assert_string_equal(field(result, 0, "priority"), "warning");
	json_decref(result);
	result = events_after(f, begin, ", \"service\": \"*\", \"since\": \"10s\"");
	assert_int_equal(count(result), 2);
	json_decref(result);
	refuse(f, "events", "{\"since\": \"soon\"}", BERTH_CODE_INVALID, "invalid since");
	refuse(f, "events", "{\"after\": \"x\"}", BERTH_CODE_INVALID, "whole number");
}

static void the_last_thousand_are_kept_and_others_counted(void **state)
{
	struct berthd *f = *state;
	char after[32] = "{}", text[16];
	const uint64_t begin = now();
	for (int i = 0; i < BERTH_LOG_EVENTS + 30; i++)
		berth_log("%d", i);
	json_t *result = events_after(f, begin, "");
	assert_int_equal(json_integer_value(json_object_get(result, "lost_events")), 30);
	assert_string_equal(field(result, 0, "text"), "30");
	json_decref(result);
	size_t n = 0;
	for (bool has_more = true; has_more;) {
		result = run(f, "events", after, BERTH_CODE_OK);
		assert_int_equal(json_integer_value(json_object_get(result, "lost_events")), 0);
		for (size_t i = 0; i < count(result); i++) {
			snprintf(text, sizeof(text), "%zu", 30 + n++);
			assert_string_equal(field(result, i, "text"), text);
		}
		const char *next = berth_cmd_text(result, "next");
		has_more = next != NULL;
		snprintf(after, sizeof(after), "{\"after\": \"%s\"}", next ? next : "");
		json_decref(result);
	}
	assert_int_equal(n, BERTH_LOG_EVENTS);
}

static void a_cursor_of_an_earlier_berthd_begins_anew(void **state)
{
	berth_log("x");
	json_t *result = events_after(*state, now() + 5, "");
	assert_true(count(result) > 0);
	assert_int_equal(json_integer_value(json_object_get(result, "lost_events")), 0);
	json_decref(result);
}

static int connect_to(const struct berthd *f)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->socket);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void ask(int fd, uint64_t after)
{
	char request[160];
	const int n = snprintf(
		request, sizeof(request),
		"{\"command\": \"events\", \"arguments\": {\"follow\": true, \"service\": \"test*\", "
		"\"after\": \"%llu\"}}\n",
		(unsigned long long)after);
	assert_int_equal(send(fd, request, (size_t)n, MSG_NOSIGNAL), n);
}

/* Lets the loop turn; the answer, if there is one within that time. */
static json_t *answer_within(const struct berthd *f, int fd, unsigned int ms)
{
	char line[65536];
	const uint64_t end_ms = berth_clock_ms() + ms;
	ssize_t n = -1;
	while (n < 0 && berth_clock_ms() < end_ms) {
		event_base_loop(f->daemon->base, EVLOOP_NONBLOCK);
		usleep(1000);
		n = recv(fd, line, sizeof(line), MSG_DONTWAIT);
	}
	return n > 0 ? json_loadb(line, (size_t)n, 0, NULL) : NULL;
}

static void a_follower_gets_an_event_when_it_happens(void **state)
{
	struct berthd *f = *state;
	const int fd = connect_to(f);
	ask(fd, now());
	assert_null(answer_within(f, fd, 200));
	berth_log("of no service");
	assert_null(answer_within(f, fd, 100));
	berth_log_about(BERTH_ABOUT("test-service", "b1"), "it happens");
	json_t *answer = answer_within(f, fd, 100), *result = json_object_get(answer, "result");
	assert_int_equal(count(result), 1);
	assert_string_equal(field(result, 0, "text"), "it happens");
	assert_string_equal(field(result, 0, "backend"), "b1");
	const uint64_t next = strtoull(berth_cmd_text(result, "next"), NULL, 10);
	assert_int_equal(next, now());
	json_decref(answer);
	/* Without an event an empty answer keeps the connection. */
	ask(fd, next);
	answer = answer_within(f, fd, 3000);
	result = json_object_get(answer, "result");
	assert_int_equal(count(result), 0);
	assert_true(json_is_string(json_object_get(result, "next")));
	json_decref(answer);
	close(fd);
}

static void a_follower_that_goes_away_is_forgotten(void **state)
{
	struct berthd *f = *state;
	const int fd = connect_to(f);
	ask(fd, now());
	assert_null(answer_within(f, fd, 50));
	close(fd);
	const uint64_t end_ms = berth_clock_ms() + 100;
	while (berth_clock_ms() < end_ms)
		event_base_loop(f->daemon->base, EVLOOP_NONBLOCK);
	berth_log_about(BERTH_ABOUT("test-service", NULL), "after it");
	event_base_loop(f->daemon->base, EVLOOP_NONBLOCK);
	/* And one that waits when berthd ends. */
	const int last = connect_to(f);
	ask(last, now());
	assert_null(answer_within(f, last, 50));
	close(last);
}

static void a_follower_that_does_not_read_is_told_what_it_lost(void **state)
{
	struct berthd *f = *state;
	const int fd = connect_to(f);
	const uint64_t begin = now();
	for (int i = 0; i < 3 * BERTH_LOG_EVENTS; i++)
		berth_log_about(BERTH_ABOUT("test-service", NULL), "event %d", i);
	ask(fd, begin);
	json_t *answer = answer_within(f, fd, 3000);
	const json_t *result = json_object_get(answer, "result");
	assert_int_equal(json_integer_value(json_object_get(result, "lost_events")), 2 * BERTH_LOG_EVENTS);
	assert_int_equal(count(result), BERTH_WIRE_ROWS);
	assert_string_equal(field(result, 0, "text"), "event 2000");
	json_decref(answer);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lines_of_the_log_are_events_with_priorities),
		TEST(commands_of_operators_are_events_of_their_backend),
		TEST(the_last_thousand_are_kept_and_others_counted),
		TEST(a_cursor_of_an_earlier_berthd_begins_anew),
		TEST(a_follower_gets_an_event_when_it_happens),
		TEST(a_follower_that_goes_away_is_forgotten),
		TEST(a_follower_that_does_not_read_is_told_what_it_lost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
