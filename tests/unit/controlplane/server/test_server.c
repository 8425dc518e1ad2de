// SPDX-License-Identifier: BSD-3-Clause
/* Requests, answers and the socket. */
#include "tests/unit/controlplane/server/server.h"

#include <sys/stat.h>

static void a_request_is_answered(void **state)
{
	struct peer peer = join(*state);
	send_text(&peer, "{\"command\": \"echo\", \"arguments\": {\"n\": 1}}\r\n");
	expect_number(&peer, 1);
	send_text(&peer, "{\"command\": \"echo\"}\n");
	expect_number(&peer, 0);
	disconnect(&peer);
}

static void several_requests_in_one_write_are_answered_in_order(void **state)
{
	struct peer peer = join(*state);
	char text[8000] = "";
	for (int i = 0; i < 100; i++)
		snprintf(text + strlen(text), 60, "{\"command\":\"echo\",\"arguments\":{\"n\":%d}}\n", i);
	send_text(&peer, text);
	for (int i = 0; i < 100; i++)
		expect_number(&peer, i);
	disconnect(&peer);
}

static void many_requests_of_one_client_do_not_block_the_loop(void **state)
{
	struct fixture *f = *state;
	struct peer many = join(f);
	struct peer one = join(f);
	char text[60000];
	size_t length = 0;
	while (length + 30 < sizeof(text))
		length += (size_t)snprintf(text + length, 30, "{\"command\":\"echo\"}\n");
	assert_int_equal(send(many.fd, text, length, 0), length);
	assert_true(send(one.fd, "{\"command\":\"echo\",\"arguments\":{\"n\":5}}\n", 39, 0) > 0);
	expect_number(&one, 5);
	assert_true(f->answered > 3000);
	assert_in_range(f->before_five, 0, 100);
	disconnect(&many);
	disconnect(&one);
}

static void a_request_may_arrive_byte_by_byte(void **state)
{
	struct peer peer = join(*state);
	const char *text = "{\"command\":\"echo\",\"arguments\":{\"n\":3}}\n{\"command\":\"echo\"}\n";
	for (const char *at = text; *at; at++)
		assert_int_equal(send_bytes(&peer, at, 1), 1);
	expect_number(&peer, 3);
	expect_number(&peer, 0);
	disconnect(&peer);
}

static void an_invalid_request_is_an_error_and_the_connection_stays_open(void **state)
{
	static const char *const wrong[] = {
		"{}",
		"{\"command\":1}",
		"{\"command\":\"echo\",\"arguments\":[]}",
		"{\"command\":\"echo\",\"arguments\":null}",
		"{\"command\":\"echo\",\"extra\":1}",
	};
	struct fixture *f = *state;
	struct peer peer = join(f);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		send_text(&peer, wrong[i]);
		send_text(&peer, "\n");
		expect_error(&peer, "invalid");
	}
	assert_int_equal(f->answered, 0);
	send_text(&peer, "{\"command\":\"no such\"}\n");
	expect_error(&peer, "not_found");
	send_text(&peer, "{\"command\":\"echo\",\"arguments\":{\"n\":4}}\n");
	expect_number(&peer, 4);
	disconnect(&peer);
}

static void a_client_that_has_shut_down_its_side_gets_its_answers(void **state)
{
	struct peer peer = join(*state);
	send_text(
		&peer,
		"{\"command\":\"echo\",\"arguments\":{\"n\":1}}\n{\"command\":\"echo\",\"arguments\":{\"n\":2}}\n");
	shutdown(peer.fd, SHUT_WR);
	expect_number(&peer, 1);
	expect_number(&peer, 2);
	expect_end(&peer);
	disconnect(&peer);

	struct peer cut = join(*state);
	assert_true(send(cut.fd, "{\"command\":\"echo\"}", 18, 0) == 18);
	shutdown(cut.fd, SHUT_WR);
	expect_error(&cut, "invalid");
	expect_end(&cut);
	disconnect(&cut);
}

static void a_client_may_disconnect_before_its_answer(void **state)
{
	static const char big[] = "{\"command\":\"big\",\"arguments\":{\"bytes\":5000000}}\n";
	struct fixture *f = *state;
	struct peer peer = join(f);
	f->close_in_answer = peer.fd;
	assert_true(send(peer.fd, big, strlen(big), 0) > 0);
	loop_for(f->base, 20);
	assert_int_equal(f->answered, 1);

	struct peer middle = join(f);
	send_text(&middle, big);
	receive_once(&middle);
	assert_true(middle.length > 0);
	disconnect(&middle);
	loop_for(f->base, 20);
	others_are_served(f);
}

static void an_error_is_always_one_line_of_valid_utf8(void **state)
{
	struct peer peer = join(*state);
	char line[2000] = "{\"command\":\"";
	/* The test function quotes the command, cut after 511 bytes, inside a character. */
	for (int i = 0; i < 400; i++)
		strcat(line, "\xc3\xa4");
	strcat(line, "\"}\n{\"command\":\"two\\nlines\"}\n");
	send_text(&peer, line);
	expect_error(&peer, "not_found");
	json_t *reply = receive(&peer);
	assert_string_equal(json_string_value(json_object_get(reply, "error")), "two?lines");
	json_decref(reply);
	send_text(&peer, "{\"command\":\"nothing\"}\n");
	expect_error(&peer, "internal");
	disconnect(&peer);
}

static void an_answer_is_sent_even_after_the_loop_has_ended(void **state)
{
	struct fixture *f = *state;
	char error[BERTH_ERROR_BYTES];
	struct peer peer = join(f);
	loop_for(f->base, 5);
	assert_true(send(peer.fd, "{\"command\":\"echo\",\"arguments\":{\"n\":3}}\n", 39, 0) == 39);
	while (!f->answered)
		event_base_loop(f->base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
	berth_server_free(f->server);
	f->server = NULL;
	expect_number(&peer, 3);
	expect_end(&peer);
	disconnect(&peer);
	assert_int_equal(access(f->path, F_OK), -1);
	f->server = berth_server_new(f->base, f->path, &berth_server_limits, answer, f, error);
	assert_non_null(f->server);
}

static void the_mode_of_the_socket_is_0660(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	char error[BERTH_ERROR_BYTES];
	static const mode_t masks[] = {0, 022, 077, 0777};
	for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
		berth_server_free(f->server);
		mode_t before = umask(masks[i]);
		f->server = berth_server_new(f->base, f->path, &berth_server_limits, answer, f, error);
		umask(before);
		assert_non_null(f->server);
		assert_int_equal(stat(f->path, &st), 0);
		assert_int_equal(st.st_mode, S_IFSOCK | 0660);
	}
	others_are_served(f);
}

static void the_socket_of_a_dead_berthd_is_replaced(void **state)
{
	struct fixture *f = *state;
	char error[BERTH_ERROR_BYTES];
	berth_server_free(f->server);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strcpy(address.sun_path, f->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	close(fd);
	assert_int_equal(access(f->path, F_OK), 0);
	f->server = berth_server_new(f->base, f->path, &berth_server_limits, answer, f, error);
	assert_non_null(f->server);
	others_are_served(f);
}

static void the_socket_of_a_running_berthd_is_refused(void **state)
{
	struct fixture *f = *state;
	char error[BERTH_ERROR_BYTES];
	assert_null(berth_server_new(f->base, f->path, &berth_server_limits, answer, f, error));
	assert_int_equal(errno, EADDRINUSE);
	assert_non_null(strstr(error, f->path));
	others_are_served(f);
}

static void another_file_at_the_path_is_kept(void **state)
{
	struct fixture *f = *state;
	char error[BERTH_ERROR_BYTES];
	berth_server_free(f->server);
	FILE *file = fopen(f->path, "w");
	assert_non_null(file);
	fclose(file);
	f->server = berth_server_new(f->base, f->path, &berth_server_limits, answer, f, error);
	assert_null(f->server);
	assert_int_equal(errno, EEXIST);
	assert_int_equal(unlink(f->path), 0);
}

static void an_invalid_path_is_refused(void **state)
{
	struct fixture *f = *state;
	char error[BERTH_ERROR_BYTES];
	char path[200];
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_null(berth_server_new(f->base, path, &berth_server_limits, answer, f, error));
	assert_int_equal(errno, ENAMETOOLONG);
	assert_null(berth_server_new(f->base, "/nonexistent/berth.sock", &berth_server_limits, answer, f, error));
	assert_int_equal(errno, ENOENT);
	assert_non_null(strstr(error, "/nonexistent/berth.sock"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_request_is_answered),
		TEST(several_requests_in_one_write_are_answered_in_order),
		TEST(many_requests_of_one_client_do_not_block_the_loop),
		TEST(a_request_may_arrive_byte_by_byte),
		TEST(an_invalid_request_is_an_error_and_the_connection_stays_open),
		TEST(a_client_that_has_shut_down_its_side_gets_its_answers),
		TEST(a_client_may_disconnect_before_its_answer),
		TEST(an_error_is_always_one_line_of_valid_utf8),
		TEST(an_answer_is_sent_even_after_the_loop_has_ended),
		TEST(the_mode_of_the_socket_is_0660),
		TEST(the_socket_of_a_dead_berthd_is_replaced),
		TEST(the_socket_of_a_running_berthd_is_refused),
		TEST(another_file_at_the_path_is_kept),
		TEST(an_invalid_path_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
