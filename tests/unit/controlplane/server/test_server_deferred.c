// SPDX-License-Identifier: BSD-3-Clause
/* Deferred answers. */
#include "tests/unit/controlplane/server/server.h"

#include <event2/buffer.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <sys/ioctl.h>

enum {
	PARTS = 100,
	PART_BYTES = 100000,
	LONG_BYTES = 300000,
	STILL_TURNS = 100,
	MANY_MS = 60000,
};

/* Time for answers in parts is short, all other time is long. */
static const struct berth_server_limits short_parts = {
	.request_bytes = 1 << 10,
	.unread_bytes = 1 << 20,
	.all_unread_bytes = 64 << 20,
	.clients = 64,
	.idle_ms = 2 * MANY_MS,
	.parts_ms = 100,
	.request_ms = 2 * MANY_MS,
	.unread_ms = 2 * MANY_MS,
};

static int set_up_short_parts(void **state)
{
	return set_up_with(state, &short_parts);
}

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

/* Until no part is written any more, since the client reads nothing. */
static unsigned int write_parts(const struct fixture *f)
{
	unsigned int before = 0, still = 0;
	while (!parts.written || still < STILL_TURNS) {
		event_base_loop(f->base, EVLOOP_NONBLOCK);
		still = parts.written == before ? still + 1 : 0;
		before = parts.written;
	}
	return parts.written;
}

static struct peer ask(struct fixture *f, berth_server_fn *fn, int failure)
{
	parts = (struct parts){.f = f, .failure = failure};
	f->fn = fn;
	struct peer peer = join(f);
	send_text(&peer, "{\"command\":\"parts\"}\n{\"command\":\"echo\",\"arguments\":{\"n\":7}}\n");
	return peer;
}

static struct peer ask_for_parts(struct fixture *f, int failure)
{
	return ask(f, in_parts, failure);
}

static void a_part_is_written_when_the_one_before_was_read(void **state)
{
	struct fixture *f = *state;
	struct peer peer = ask_for_parts(f, 0);
	/* The socket's buffer has some. */
	assert_in_range(write_parts(f), 1, PARTS);
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
	write_parts(f);
	disconnect(&peer);
	assert_true(wait_until(parts.ended, MANY_MS, turn(f)));
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
	write_parts(f);
	berth_server_free(f->server);
	assert_int_equal(parts.ended, 1);
	f->server = berth_server_new(f->base, f->path, &berth_server_limits, answer, f, error);
	close(peer.fd);
	free(peer.text);
}

/* It reads a little now and then, as no time without progress would notice. */
static void a_client_that_reads_its_parts_too_slowly_is_disconnected(void **state)
{
	struct fixture *f = *state;
	struct peer peer = ask_for_parts(f, 0);
	char byte;
	write_parts(f);
	assert_true(wait_until(parts.ended, MANY_MS, (void)!recv(peer.fd, &byte, 1, 0); turn(f)));
	assert_in_range(parts.written, 1, PARTS);
	disconnect(&peer);
	f->fn = NULL;
	others_are_served(f);
}

static bool has_no_memory;

static void *allocate(size_t size)
{
	return has_no_memory ? NULL : malloc(size);
}

static void *allocate_again(void *memory, size_t size)
{
	return has_no_memory ? NULL : realloc(memory, size);
}

static enum berth_code in_parts_without_memory(void *arg, const char *command, const json_t *arguments,
					       json_t **result, char error[BERTH_ERROR_BYTES])
{
	has_no_memory = strcmp(command, "parts") == 0;
	const enum berth_code code = in_parts(arg, command, arguments, result, error);
	has_no_memory = false;
	return code;
}

/* The server's function, and what called it, still use the request. */
static void an_answer_in_parts_begins_without_memory(void **state)
{
	struct fixture *f = *state;
	struct peer peer = ask(f, in_parts_without_memory, 0);
	json_t *reply = receive(&peer);
	assert_int_equal(json_string_length(json_object_get(reply, "result")), PARTS * PART_BYTES - 2);
	json_decref(reply);
	expect_number(&peer, 7);
	assert_int_equal(parts.ended, 1);
	disconnect(&peer);
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

static bool has_no_threads;
static unsigned int threads;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*fn)(void *), void *arg);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*fn)(void *), void *arg)
{
	threads++;
	return has_no_threads ? EAGAIN : __real_pthread_create(thread, attributes, fn, arg);
}

/* Sends a long request without its newline, and waits until the server has it. */
static void send_most(struct peer *peer, json_int_t n)
{
	char *text = long_request(n);
	int unread = 1;
	*strchr(text, '\n') = '\0';
	send_text(peer, text);
	free(text);
	assert_true(wait_until(!unread, MANY_MS, turn(peer->f); ioctl(peer->fd, SIOCOUTQ, &unread)));
}

static void each_long_request_is_parsed_once_without_threads(void **state)
{
	struct fixture *f = *state;
	struct peer peers[3];
	f->fn = count;
	has_no_threads = true;
	threads = 0;
	for (int i = 0; i < 3; i++) {
		peers[i] = join(f);
		send_most(&peers[i], i);
	}
	/* The server reads them in one turn. */
	for (int i = 0; i < 3; i++)
		assert_int_equal(send(peers[i].fd, "\n", 1, MSG_NOSIGNAL), 1);
	for (int i = 0; i < 3; i++) {
		expect_number(&peers[i], i);
		disconnect(&peers[i]);
	}
	has_no_threads = false;
	assert_int_equal(threads, 3);
}

int main(void)
{
	/* Before libevent has any memory. */
	event_set_mem_functions(allocate, allocate_again, free);
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
		cmocka_unit_test_setup_teardown(a_client_that_reads_its_parts_too_slowly_is_disconnected,
						set_up_short_parts, tear_down),
		TEST(an_answer_in_parts_begins_without_memory),
		TEST(a_long_request_is_parsed_beside_the_loop),
		TEST(a_client_may_disconnect_while_its_long_request_is_parsed),
		TEST(a_long_request_may_be_no_json),
		TEST(each_long_request_is_parsed_once_without_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
