// SPDX-License-Identifier: BSD-3-Clause
/* Limits on size, number and time of requests. */
#include <sys/stat.h>

#include "tests/unit/controlplane/server/server.h"

/* berthd's limits with short timeouts. */
static const struct berth_server_limits quick = {
	.request_bytes = 1 << 10,
	.unread_bytes = 1 << 20,
	.all_unread_bytes = 64 << 20,
	.clients = 64,
	.idle_ms = 5000,
	.request_ms = 200,
	.unread_ms = 600,
};

/* Limits that a few small answers and a short pause reach. */
static const struct berth_server_limits small = {
	.request_bytes = 1 << 10,
	.unread_bytes = 1 << 20,
	.all_unread_bytes = 4 << 20,
	.clients = 4,
	.idle_ms = 1000,
	.request_ms = 5000,
	.unread_ms = 5000,
};

enum {
	OTHER_USER = 65534,
};

static int set_up_small(void **state)
{
	return set_up_with(state, &small);
}

static int set_up_quick(void **state)
{
	return set_up_with(state, &quick);
}

static void a_line_that_is_no_json_object_closes_the_connection(void **state)
{
	static const struct {
		const char *text;
		size_t length;
	} garbage[] = {
#define BYTES(text) {text, sizeof(text) - 1}
		BYTES("GET / HTTP/1.1\r\n\r\n"),
		BYTES("g"),
		BYTES("\n"),
		BYTES("\0\0\0\0"),
		BYTES("[1]\n"),
		BYTES("\"text\"\n"),
		BYTES("\xff\xfe\n"),
		BYTES("{\n}\n"),
		BYTES("{\"command\":\"echo\"} {}\n"),
		BYTES("{\"command\":\"echo\",\"command\":\"echo\"}\n"),
		BYTES("{\"command\":\"\xc3\x28\"}\n"),
		BYTES("{\"command\":\"a\0b\"}\n"),
		BYTES("{\"command\":\"a\\u0000b\"}\n"),
		BYTES("{\"command\":\"\\ud800\"}\n"),
		BYTES("{\"command\":\"echo\",\"arguments\":{\"n\":1e999}}\n"),
		BYTES("{\"command\":\"echo\"\\}\n"),
#undef BYTES
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		struct peer peer = join(f);
		send_bytes(&peer, garbage[i].text, garbage[i].length);
		expect_error(&peer, "invalid");
		expect_end(&peer);
		disconnect(&peer);
	}
	assert_int_equal(f->answered, 0);
	others_are_served(f);
}

static void a_megabyte_of_garbage_closes_only_that_connection(void **state)
{
	struct fixture *f = *state;
	size_t length = 1 << 20;
	char *garbage = malloc(length);
	assert_non_null(garbage);
	uint32_t x = 1;
	for (size_t i = 0; i < length; i++)
		garbage[i] = (char)((x = x * 1664525 + 1013904223) >> 24);
	garbage[0] = 'g';
	struct peer before = join(f);
	struct peer peer = join(f);
	assert_true(send_bytes(&peer, garbage, length) < length);
	expect_error(&peer, "invalid");
	expect_end(&peer);
	send_text(&before, "{\"command\":\"echo\",\"arguments\":{\"n\":2}}\n");
	expect_number(&before, 2);
	disconnect(&peer);
	disconnect(&before);
	free(garbage);
}

/* `head`, repeated `text`, `tail` and a newline. In: `length` at most; out: the real length. */
static char *repeat(const char *head, const char *text, const char *tail, size_t *length)
{
	size_t unit = strlen(text);
	size_t times = (*length - strlen(head) - strlen(tail)) / unit;
	char *line = malloc(*length + 2);
	assert_non_null(line);
	char *at = stpcpy(line, head);
	while (times-- > 0)
		at = (char *)memcpy(at, text, unit) + unit;
	at = stpcpy(stpcpy(at, tail), "\n");
	*length = (size_t)(at - line) - 1;
	return line;
}

static void json_bombs_are_refused_before_parsing(void **state)
{
	static const struct {
		const char *part;
		const char *tail;
	} bombs[] = {
		{"{},", "{}]}}"}, /* valid; needs a hundred times its size in memory */
		{"[],", "[]]}}"}, {"1,", "1]}}"}, {"[", ""}, {"{\"a\":", ""},
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
		size_t length = 1 << 20;
		char *line = repeat("{\"command\":\"echo\",\"arguments\":{\"n\":[", bombs[i].part, bombs[i].tail,
				    &length);
		struct peer peer = join(f);
		send_bytes(&peer, line, length + 1);
		expect_error(&peer, "invalid");
		expect_end(&peer);
		disconnect(&peer);
		free(line);
	}
	others_are_served(f);
}

static void brackets_inside_strings_do_not_count(void **state)
{
	struct peer peer = join(*state);
	char line[2000] = "{\"command\":\"echo\",\"arguments\":{\"n\":6,\"text\":\"\\\"";
	for (int i = 0; i < 100; i++)
		strcat(line, "{[,:\\\\]}\\\"");
	strcat(line, "\"}}\n");
	send_text(&peer, line);
	expect_number(&peer, 6);
	disconnect(&peer);
}

/* A request of `length` bytes, without its newline. */
static char *long_request(size_t length)
{
	char *line = repeat("{\"command\":\"echo\",\"arguments\":{\"n\":8,\"text\":\"", "x", "\"}}", &length);
	return line;
}

static void a_request_of_8_mib_is_answered(void **state)
{
	struct peer peer = join(*state);
	char *line = long_request(BERTH_WIRE_REQUEST_BYTES);
	assert_int_equal(send_bytes(&peer, line, BERTH_WIRE_REQUEST_BYTES + 1), BERTH_WIRE_REQUEST_BYTES + 1);
	expect_number(&peer, 8);
	disconnect(&peer);
	free(line);
}

static void a_request_above_8_mib_closes_the_connection(void **state)
{
	struct fixture *f = *state;
	struct peer peer = join(f);
	char *line = long_request(BERTH_WIRE_REQUEST_BYTES + 1);
	send_bytes(&peer, line, BERTH_WIRE_REQUEST_BYTES + 2);
	expect_error(&peer, "too_large");
	expect_end(&peer);
	assert_int_equal(f->answered, 0);
	disconnect(&peer);
	free(line);
	others_are_served(f);
}

static void an_incomplete_request_closes_the_connection_after_the_time_limit(void **state)
{
	struct fixture *f = *state;
	struct peer peer = join(f);
	uint64_t start_ms = berth_clock_ms();
	send_text(&peer, "{\"command\":\"echo\"}\n{\"comm");
	expect_number(&peer, 0);
	/* More bytes do not extend the time limit. */
	while (!peer.ended && berth_clock_ms() - start_ms < PATIENCE_MS) {
		loop_for(f->base, quick.request_ms / 10);
		(void)!send(peer.fd, "a", 1, MSG_NOSIGNAL);
		receive_once(&peer);
	}
	assert_in_range(berth_clock_ms() - start_ms, quick.request_ms - 20, PATIENCE_MS - 1);
	expect_error(&peer, "timeout");
	expect_end(&peer);
	disconnect(&peer);
}

static void an_idle_connection_is_closed_after_the_time_limit(void **state)
{
	struct fixture *f = *state;
	struct peer silent = join(f), asked = join(f);
	send_text(&asked, "{\"command\":\"echo\",\"arguments\":{\"n\":9}}\n");
	expect_number(&asked, 9);
	loop_for(f->base, small.idle_ms + 100);
	receive_once(&silent);
	expect_error(&silent, "timeout");
	expect_end(&silent);
	expect_error(&asked, "timeout");
	expect_end(&asked);
	disconnect(&silent);
	disconnect(&asked);
	others_are_served(f);
}

static void a_client_that_waits_for_a_deferred_answer_is_not_idle(void **state)
{
	struct fixture *f = *state;
	struct peer peer = join(f);
	char error[BERTH_ERROR_BYTES] = "";
	send_text(&peer, "{\"command\":\"defer\"}\n");
	loop_for(f->base, small.idle_ms * 2);
	assert_non_null(f->pending);
	berth_server_answer(f->pending, BERTH_CODE_OK, json_pack("{s:i}", "n", 3), error);
	expect_number(&peer, 3);
	disconnect(&peer);
}

static void an_idle_connection_stays_open_until_its_time_limit(void **state)
{
	struct fixture *f = *state;
	struct peer peer = join(f);
	loop_for(f->base, quick.request_ms * 2);
	send_text(&peer, "{\"command\":\"echo\",\"arguments\":{\"n\":9}}\n");
	expect_number(&peer, 9);
	loop_for(f->base, quick.unread_ms * 2);
	send_text(&peer, "{\"command\":\"echo\",\"arguments\":{\"n\":10}}\n");
	expect_number(&peer, 10);
	disconnect(&peer);
}

static void a_client_above_the_limit_gets_an_error(void **state)
{
	struct fixture *f = *state;
	struct peer peers[64];
	for (size_t i = 0; i < 64; i++)
		peers[i] = join(f);
	loop_for(f->base, 5);
	struct peer more = join(f);
	expect_error(&more, "busy");
	expect_end(&more);
	disconnect(&more);
	for (size_t i = 0; i < 64; i++) {
		send_text(&peers[i], "{\"command\":\"echo\",\"arguments\":{\"n\":1}}\n");
		expect_number(&peers[i], 1);
	}
	disconnect(&peers[63]);
	others_are_served(f);
	for (size_t i = 0; i < 63; i++)
		disconnect(&peers[i]);
}

/* A connection of another user, with that user's rights. Needs root. */
static struct peer join_as_other_user(struct fixture *f)
{
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(f->dir, 0755) + chmod(f->path, 0666), 0);
	assert_int_equal(seteuid(OTHER_USER), 0);
	int fd = connect_to(f->path);
	assert_int_equal(seteuid(0), 0);
	assert_true(fd >= 0);
	turn(f);
	return (struct peer){.f = f, .fd = fd};
}

static void idle_connections_of_other_users_leave_one_for_root(void **state)
{
	struct fixture *f = *state;
	struct peer peers[4];
	for (size_t i = 0; i < small.clients; i++)
		peers[i] = join_as_other_user(f);
	expect_error(&peers[3], "busy");
	others_are_served(f);
	for (size_t i = 0; i < small.clients; i++)
		disconnect(&peers[i]);
}

/* Requests an answer of this size and does not read it. */
static void leave_unread(struct peer *peer, unsigned int bytes)
{
	char line[80];
	snprintf(line, sizeof(line), "{\"command\":\"big\",\"arguments\":{\"bytes\":%u}}\n", bytes);
	send_text(peer, line);
	loop_for(peer->f->base, 10);
}

static void expect_big(struct peer *peer, size_t bytes)
{
	json_t *reply = receive(peer);
	assert_non_null(reply);
	assert_int_equal(json_string_length(json_object_get(json_object_get(reply, "result"), "text")), bytes);
	json_decref(reply);
}

static void above_the_limit_of_all_the_client_with_most_unread_bytes_is_disconnected(void **state)
{
	struct fixture *f = *state;
	struct peer little = join(f), much = join(f);
	leave_unread(&little, 2000000);
	leave_unread(&much, 4000000);
	others_are_served(f);
	assert_null(receive(&much));
	assert_true(much.ended);
	expect_big(&little, 2000000);
	disconnect(&little);
	disconnect(&much);
}

static void other_users_are_disconnected_before_root_and_wait_for_root(void **state)
{
	struct fixture *f = *state;
	struct peer other = join_as_other_user(f), root = join(f);
	leave_unread(&other, 1500000);
	leave_unread(&root, 6000000);
	struct peer next = join_as_other_user(f);
	send_text(&next, "{\"command\":\"echo\",\"arguments\":{\"n\":1}}\n");
	expect_error(&next, "busy");
	assert_null(receive(&other));
	assert_true(other.ended);
	expect_big(&root, 6000000);
	disconnect(&other);
	disconnect(&root);
	disconnect(&next);
}

static void requests_wait_while_answers_are_unread(void **state)
{
	struct fixture *f = *state;
	struct peer peer = join(f);
	for (int i = 0; i < 20; i++)
		send_text(&peer, "{\"command\":\"big\",\"arguments\":{\"bytes\":700000}}\n");
	loop_for(f->base, 50);
	/* Two answers fill 1 MiB; the kernel buffers some more. */
	assert_in_range(f->answered, 2, 4);
	for (int i = 0; i < 20; i++) {
		json_t *reply = receive(&peer);
		json_t *text = json_object_get(json_object_get(reply, "result"), "text");
		assert_int_equal(json_string_length(text), 700000);
		json_decref(reply);
	}
	assert_int_equal(f->answered, 20);
	disconnect(&peer);
}

static void a_client_that_does_not_read_is_disconnected_after_the_time_limit(void **state)
{
	struct fixture *f = *state;
	struct peer peer = join(f);
	send_text(&peer, "{\"command\":\"big\",\"arguments\":{\"bytes\":5000000}}\n");
	loop_for(f->base, quick.unread_ms / 2);
	assert_int_equal(send(peer.fd, "{", 1, MSG_NOSIGNAL), 1);
	loop_for(f->base, quick.unread_ms);
	assert_int_equal(send(peer.fd, "{", 1, MSG_NOSIGNAL), -1);
	disconnect(&peer);
	others_are_served(f);
}

int main(void)
{
#define QUICK(name) cmocka_unit_test_setup_teardown(name, set_up_quick, tear_down)
#define SMALL(name) cmocka_unit_test_setup_teardown(name, set_up_small, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_line_that_is_no_json_object_closes_the_connection),
		TEST(a_megabyte_of_garbage_closes_only_that_connection),
		TEST(json_bombs_are_refused_before_parsing),
		TEST(brackets_inside_strings_do_not_count),
		TEST(a_request_of_8_mib_is_answered),
		TEST(a_request_above_8_mib_closes_the_connection),
		QUICK(an_incomplete_request_closes_the_connection_after_the_time_limit),
		QUICK(an_idle_connection_stays_open_until_its_time_limit),
		SMALL(an_idle_connection_is_closed_after_the_time_limit),
		SMALL(a_client_that_waits_for_a_deferred_answer_is_not_idle),
		SMALL(idle_connections_of_other_users_leave_one_for_root),
		SMALL(above_the_limit_of_all_the_client_with_most_unread_bytes_is_disconnected),
		SMALL(other_users_are_disconnected_before_root_and_wait_for_root),
		TEST(a_client_above_the_limit_gets_an_error),
		TEST(requests_wait_while_answers_are_unread),
		QUICK(a_client_that_does_not_read_is_disconnected_after_the_time_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
