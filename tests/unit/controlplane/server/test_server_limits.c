// SPDX-License-Identifier: BSD-3-Clause
/* What clients may ask of berthd, and how long it waits for them. */
#include "tests/unit/controlplane/server/server.h"

/* As berthd's, but quick to lose patience. */
static const struct berth_server_limits quick = {
	.request_bytes = 1 << 10,
	.unread_bytes = 1 << 20,
	.clients = 64,
	.half_ms = 200,
	.unread_ms = 300,
};

static int set_up_quick(void **state)
{
	return set_up_with(state, &quick);
}

static void what_is_no_json_object_ends_the_connection(void **state)
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
		say_bytes(&peer, garbage[i].text, garbage[i].length);
		hear_error(&peer, "invalid");
		hear_end(&peer);
		leave(&peer);
	}
	assert_int_equal(f->answered, 0);
	others_are_served(f);
}

static void a_megabyte_of_garbage_ends_that_connection_only(void **state)
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
	assert_true(say_bytes(&peer, garbage, length) < length);
	hear_error(&peer, "invalid");
	hear_end(&peer);
	say(&before, "{\"command\":\"echo\",\"arguments\":{\"n\":2}}\n");
	hear_number(&before, 2);
	leave(&peer);
	leave(&before);
	free(garbage);
}

/* `head`, `text` over and over, `tail`: `length` bytes, or up to one `text` less, and a newline. */
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

static void json_bombs_are_not_even_parsed(void **state)
{
	static const struct {
		const char *part;
		const char *tail;
	} bombs[] = {
		{"{},", "{}]}}"}, /* valid, and a hundred times its size in memory */
		{"[],", "[]]}}"}, {"1,", "1]}}"}, {"[", ""}, {"{\"a\":", ""},
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
		size_t length = 1 << 20;
		char *line = repeat("{\"command\":\"echo\",\"arguments\":{\"n\":[", bombs[i].part, bombs[i].tail,
				    &length);
		struct peer peer = join(f);
		say_bytes(&peer, line, length + 1);
		hear_error(&peer, "invalid");
		hear_end(&peer);
		leave(&peer);
		free(line);
	}
	others_are_served(f);
}

static void brackets_within_text_are_no_parts(void **state)
{
	struct peer peer = join(*state);
	char line[2000] = "{\"command\":\"echo\",\"arguments\":{\"n\":6,\"text\":\"\\\"";
	for (int i = 0; i < 100; i++)
		strcat(line, "{[,:\\\\]}\\\"");
	strcat(line, "\"}}\n");
	say(&peer, line);
	hear_number(&peer, 6);
	leave(&peer);
}

/* A request of `length` bytes without its newline. */
static char *long_request(size_t length)
{
	char *line = repeat("{\"command\":\"echo\",\"arguments\":{\"n\":8,\"text\":\"", "x", "\"}}", &length);
	return line;
}

static void a_request_of_8_mib_is_answered(void **state)
{
	struct peer peer = join(*state);
	char *line = long_request(BERTH_WIRE_REQUEST_BYTES);
	assert_int_equal(say_bytes(&peer, line, BERTH_WIRE_REQUEST_BYTES + 1), BERTH_WIRE_REQUEST_BYTES + 1);
	hear_number(&peer, 8);
	leave(&peer);
	free(line);
}

static void a_request_of_8_mib_and_a_byte_ends_the_connection(void **state)
{
	struct fixture *f = *state;
	struct peer peer = join(f);
	char *line = long_request(BERTH_WIRE_REQUEST_BYTES + 1);
	say_bytes(&peer, line, BERTH_WIRE_REQUEST_BYTES + 2);
	hear_error(&peer, "too_large");
	hear_end(&peer);
	assert_int_equal(f->answered, 0);
	leave(&peer);
	free(line);
	others_are_served(f);
}

static void half_a_request_ends_the_connection_in_time(void **state)
{
	struct fixture *f = *state;
	struct peer peer = join(f);
	uint64_t began = now_ms();
	say(&peer, "{\"command\":\"echo\"}\n{\"comm");
	hear_number(&peer, 0);
	/* A byte now and then does not buy more time. */
	while (!peer.ended && now_ms() - began < PATIENCE_MS) {
		turn_for(f, quick.half_ms / 10);
		(void)!send(peer.fd, "a", 1, MSG_NOSIGNAL);
		listen_once(&peer);
	}
	assert_in_range(now_ms() - began, quick.half_ms - 20, PATIENCE_MS - 1);
	hear_error(&peer, "timeout");
	hear_end(&peer);
	leave(&peer);
}

static void an_idle_connection_stays(void **state)
{
	struct fixture *f = *state;
	struct peer peer = join(f);
	turn_for(f, quick.half_ms * 2);
	say(&peer, "{\"command\":\"echo\",\"arguments\":{\"n\":9}}\n");
	hear_number(&peer, 9);
	turn_for(f, quick.unread_ms * 2);
	say(&peer, "{\"command\":\"echo\",\"arguments\":{\"n\":10}}\n");
	hear_number(&peer, 10);
	leave(&peer);
}

static void a_client_too_many_is_told_so(void **state)
{
	struct fixture *f = *state;
	struct peer peers[64];
	for (size_t i = 0; i < 64; i++)
		peers[i] = join(f);
	turn_for(f, 5);
	struct peer more = join(f);
	hear_error(&more, "busy");
	hear_end(&more);
	leave(&more);
	for (size_t i = 0; i < 64; i++) {
		say(&peers[i], "{\"command\":\"echo\",\"arguments\":{\"n\":1}}\n");
		hear_number(&peers[i], 1);
	}
	leave(&peers[63]);
	others_are_served(f);
	for (size_t i = 0; i < 63; i++)
		leave(&peers[i]);
}

static void requests_wait_while_answers_are_unread(void **state)
{
	struct fixture *f = *state;
	struct peer peer = join(f);
	for (int i = 0; i < 20; i++)
		say(&peer, "{\"command\":\"big\",\"arguments\":{\"bytes\":700000}}\n");
	turn_for(f, 50);
	/* Two fill 1 MiB, and some more is in the kernel. */
	assert_in_range(f->answered, 2, 4);
	for (int i = 0; i < 20; i++) {
		json_t *heard = hear(&peer);
		json_t *text = json_object_get(json_object_get(heard, "result"), "text");
		assert_int_equal(json_string_length(text), 700000);
		json_decref(heard);
	}
	assert_int_equal(f->answered, 20);
	leave(&peer);
}

static void a_client_that_reads_nothing_is_let_go_in_time(void **state)
{
	struct fixture *f = *state;
	struct peer peer = join(f);
	say(&peer, "{\"command\":\"big\",\"arguments\":{\"bytes\":5000000}}\n");
	turn_for(f, quick.unread_ms / 2);
	assert_int_equal(send(peer.fd, "{", 1, MSG_NOSIGNAL), 1);
	turn_for(f, quick.unread_ms);
	assert_int_equal(send(peer.fd, "{", 1, MSG_NOSIGNAL), -1);
	leave(&peer);
	others_are_served(f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define QUICK(name) cmocka_unit_test_setup_teardown(name, set_up_quick, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(what_is_no_json_object_ends_the_connection),
		TEST(a_megabyte_of_garbage_ends_that_connection_only),
		TEST(json_bombs_are_not_even_parsed),
		TEST(brackets_within_text_are_no_parts),
		TEST(a_request_of_8_mib_is_answered),
		TEST(a_request_of_8_mib_and_a_byte_ends_the_connection),
		QUICK(half_a_request_ends_the_connection_in_time),
		QUICK(an_idle_connection_stays),
		TEST(a_client_too_many_is_told_so),
		TEST(requests_wait_while_answers_are_unread),
		QUICK(a_client_that_reads_nothing_is_let_go_in_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
