// SPDX-License-Identifier: BSD-3-Clause
/* Deferred answers. */
#include "tests/unit/controlplane/server/server.h"

#include <event2/buffer.h>
#include <pthread.h>

enum {
	PARTS = 100,
	PART_BYTES = 100000,
	LONG_BYTES = 300000,
};

static void answer_now(struct fixture *f, json_int_t n)
{
	char error[BERTH_ERROR_BYTES] = "";
	struct berth_server_pending *pending = f->pending;
	assert_non_null(pending);
	f->pending = NULL;
	berth_server_answer(pending, BERTH_CODE_OK, json_pack("{s:I}", "n", n), error);
}

static void other_clients_are_served_while_an_answer_is_deferred(void **state)
{
	struct fixture *f = *state;
	struct peer peer = join(f);
	send_text(&peer, "{\"command\":\"defer\"}\n");
	turn(f);
	others_are_served(f);
	receive_once(&peer);
	assert_int_equal(peer.length, 0);
	answer_now(f, 3);
	expect_number(&peer, 3);
	assert_int_equal(f->cancelled, 0);
	disconnect(&peer);
	assert_int_equal(f->cancelled, 0);
}

static void later_requests_wait_for_a_deferred_answer(void **state)
{
	struct fixture *f = *state;
	struct peer peer = join(f);
	send_text(&peer, "{\"command\":\"defer\"}\n{\"command\":\"echo\",\"arguments\":{\"n\":2}}\n");
	loop_for(f->base, 20);
	send_text(&peer, "{\"command\":\"echo\",\"arguments\":{\"n\":3}}\n");
	loop_for(f->base, 20);
	assert_int_equal(f->answered, 1);
	answer_now(f, 1);
	expect_number(&peer, 1);
	expect_number(&peer, 2);
	expect_number(&peer, 3);
	disconnect(&peer);
}

static void a_deferred_answer_reaches_a_client_that_has_shut_down_its_side(void **state)
{
	struct fixture *f = *state;
	struct peer peer = join(f);
	send_text(&peer, "{\"command\":\"defer\"}\n");
	shutdown(peer.fd, SHUT_WR);
	loop_for(f->base, 20);
	answer_now(f, 4);
	expect_number(&peer, 4);
	expect_end(&peer);
	disconnect(&peer);
}

static void a_client_may_disconnect_before_a_deferred_answer(void **state)
{
	struct fixture *f = *state;
	struct peer peer = join(f);
	send_text(&peer, "{\"command\":\"defer\"}\n");
	turn(f);
	disconnect(&peer);
	loop_for(f->base, 20);
	if (f->pending)
		answer_now(f, 5);
	loop_for(f->base, 20);
	others_are_served(f);
}

static void freeing_the_server_cancels_deferred_requests(void **state)
{
	struct fixture *f = *state;
	char error[BERTH_ERROR_BYTES];
	struct peer peer = join(f);
	send_text(&peer, "{\"command\":\"defer\"}\n");
	turn(f);
	berth_server_free(f->server);
	assert_int_equal(f->cancelled, 1);
	f->server = berth_server_new(f->base, f->path, &berth_server_limits, answer, f, error);
	close(peer.fd);
	free(peer.text);
}

static void a_deferred_request_can_be_run_again(void **state)
{
	struct fixture *f = *state;
	struct peer peer = join(f);
	send_text(&peer, "{\"command\":\"defer\"}\n");
	turn(f);
	for (unsigned int times = 1; times < 4; times++) {
		assert_int_equal(f->answered, times);
		berth_server_run_again(f->pending);
		assert_non_null(f->pending);
	}
	answer_now(f, 6);
	expect_number(&peer, 6);
	assert_int_equal(f->answered, 4);
	disconnect(&peer);
}

static void only_a_current_request_can_be_deferred(void **state)
{
	struct fixture *f = *state;
	assert_null(berth_server_defer(f->server, on_cancel, f));
	others_are_served(f);
	assert_null(berth_server_defer(f->server, on_cancel, f));
}

/* --- answers in parts --- */

/* A string of PARTS parts. Every second part is empty. */
struct parts {
	struct fixture *f;
	unsigned int written, ended;
	int failure;
};

static struct parts parts;

static void on_end(void *arg)
{
	((struct parts *)arg)->ended++;
}

static int write_part(void *arg, struct evbuffer *out)
{
	static char bytes[PART_BYTES];
	struct parts *all = arg;
	all->written++;
	if (all->failure)
		return all->failure;
	if (all->written % 2)
		return -EAGAIN;
	memset(bytes, 'x', sizeof(bytes));
	bytes[0] = all->written == 2 ? '"' : 'x';
	bytes[PART_BYTES - 1] = all->written == 2 * PARTS ? '"' : 'x';
	evbuffer_add(out, bytes, sizeof(bytes));
	return all->written == 2 * PARTS ? 0 : -EAGAIN;
}

static enum berth_code in_parts(void *arg, const char *command, const json_t *arguments, json_t **result,
				char error[BERTH_ERROR_BYTES])
{
	struct fixture *f = arg;
	if (strcmp(command, "parts") != 0) {
		f->fn = NULL;
		const enum berth_code code = answer(f, command, arguments, result, error);
		f->fn = in_parts;
		return code;
	}
	struct berth_server_pending *pending = berth_server_defer(f->server, on_end, &parts);
	assert_non_null(pending);
	berth_server_answer_in_parts(pending, write_part);
	return BERTH_CODE_OK;
}

static struct peer ask_for_parts(struct fixture *f, int failure)
{
	parts = (struct parts){.f = f, .failure = failure};
	f->fn = in_parts;
	struct peer peer = join(f);
	send_text(&peer, "{\"command\":\"parts\"}\n{\"command\":\"echo\",\"arguments\":{\"n\":7}}\n");
	return peer;
}

static void a_part_is_written_when_the_one_before_was_read(void **state)
{
	struct fixture *f = *state;
	struct peer peer = ask_for_parts(f, 0);
	loop_for(f->base, 100);
	/* The socket's buffer has some. */
	const unsigned int written = parts.written;
	assert_in_range(written, 1, PARTS);
	loop_for(f->base, 50);
	assert_int_equal(parts.written, written);
	json_t *reply = receive(&peer);
	assert_non_null(reply);
	assert_true(json_is_true(json_object_get(reply, "ok")));
	assert_int_equal(json_string_length(json_object_get(reply, "result")), PARTS * PART_BYTES - 2);
	json_decref(reply);
	expect_number(&peer, 7);
	assert_int_equal(parts.ended, 1);
	disconnect(&peer);
	assert_int_equal(parts.ended, 1);
}

static void a_client_may_disconnect_before_the_last_part(void **state)
{
	struct fixture *f = *state;
	struct peer peer = ask_for_parts(f, 0);
	loop_for(f->base, 20);
	disconnect(&peer);
	loop_for(f->base, 20);
	assert_int_equal(parts.ended, 1);
	assert_in_range(parts.written, 1, PARTS);
	f->fn = NULL;
	others_are_served(f);
}

static void a_client_is_disconnected_if_there_is_no_memory_for_a_part(void **state)
{
	struct fixture *f = *state;
	struct peer peer = ask_for_parts(f, -ENOMEM);
	assert_null(receive(&peer));
	assert_true(peer.ended);
	assert_int_equal(parts.ended, 1);
	close(peer.fd);
	free(peer.text);
	f->fn = NULL;
	others_are_served(f);
}

static void freeing_the_server_ends_answers_in_parts(void **state)
{
	struct fixture *f = *state;
	char error[BERTH_ERROR_BYTES];
	struct peer peer = ask_for_parts(f, 0);
	loop_for(f->base, 20);
	berth_server_free(f->server);
	assert_int_equal(parts.ended, 1);
	f->server = berth_server_new(f->base, f->path, &berth_server_limits, answer, f, error);
	close(peer.fd);
	free(peer.text);
}

/* --- long requests --- */

static pthread_t loop_thread;
static unsigned int long_in_loop, long_in_thread;

/* The text of a long request is a string of its own. */
static void *note_long(size_t size)
{
	if (size >= LONG_BYTES) {
		const bool is_loop = pthread_equal(pthread_self(), loop_thread);
		__atomic_fetch_add(is_loop ? &long_in_loop : &long_in_thread, 1, __ATOMIC_RELAXED);
	}
	return malloc(size);
}

static char *long_request(json_int_t n)
{
	char *text = malloc(LONG_BYTES + 100);
	assert_non_null(text);
	const int head = sprintf(text, "{\"command\":\"count\",\"arguments\":{\"n\":%lld,\"x\":\"", (long long)n);
	memset(text + head, 'x', LONG_BYTES);
	strcpy(text + head + LONG_BYTES, "\"}}\n");
	return text;
}

static enum berth_code count(void *arg, const char *command, const json_t *arguments, json_t **result,
			     char error[BERTH_ERROR_BYTES])
{
	(void)arg;
	(void)command;
	(void)error;
	assert_int_equal(json_string_length(json_object_get(arguments, "x")), LONG_BYTES);
	*result = json_pack("{s:O}", "n", json_object_get(arguments, "n"));
	return BERTH_CODE_OK;
}

static void a_long_request_is_parsed_beside_the_loop(void **state)
{
	struct fixture *f = *state;
	loop_thread = pthread_self();
	f->fn = count;
	json_set_alloc_funcs(note_long, free);
	struct peer peers[12];
	for (int i = 0; i < 12; i++)
		peers[i] = join(f);
	for (int i = 0; i < 12; i++) {
		char *text = long_request(i);
		send_text(&peers[i], text);
		free(text);
	}
	for (int i = 0; i < 12; i++) {
		expect_number(&peers[i], i);
		disconnect(&peers[i]);
	}
	json_set_alloc_funcs(malloc, free);
	assert_in_range(long_in_thread, 1, 1000);
}

static void a_client_may_disconnect_while_its_long_request_is_parsed(void **state)
{
	struct fixture *f = *state;
	char *text = long_request(1);
	for (int i = 0; i < 20; i++) {
		struct peer peer = join(f);
		send_text(&peer, text);
		disconnect(&peer);
	}
	free(text);
	loop_for(f->base, 50);
	others_are_served(f);
}

static void a_long_request_may_be_no_json(void **state)
{
	struct fixture *f = *state;
	struct peer peer = join(f);
	char *text = long_request(1);
	text[10] = '{';
	send_text(&peer, text);
	free(text);
	expect_error(&peer, "invalid");
	expect_end(&peer);
	disconnect(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(other_clients_are_served_while_an_answer_is_deferred),
		TEST(later_requests_wait_for_a_deferred_answer),
		TEST(a_deferred_answer_reaches_a_client_that_has_shut_down_its_side),
		TEST(a_client_may_disconnect_before_a_deferred_answer),
		TEST(freeing_the_server_cancels_deferred_requests),
		TEST(a_deferred_request_can_be_run_again),
		TEST(only_a_current_request_can_be_deferred),
		TEST(a_part_is_written_when_the_one_before_was_read),
		TEST(a_client_may_disconnect_before_the_last_part),
		TEST(a_client_is_disconnected_if_there_is_no_memory_for_a_part),
		TEST(freeing_the_server_ends_answers_in_parts),
		TEST(a_long_request_is_parsed_beside_the_loop),
		TEST(a_client_may_disconnect_while_its_long_request_is_parsed),
		TEST(a_long_request_may_be_no_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
