// SPDX-License-Identifier: BSD-3-Clause
/* Deferred answers. */
#include "tests/unit/controlplane/server/server.h"

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
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
