// SPDX-License-Identifier: BSD-3-Clause
/* Answers that come later. */
#include "tests/unit/controlplane/server/server.h"

static void answer_now(struct fixture *f, json_int_t n)
{
	char error[BERTH_ERROR_BYTES] = "";
	struct berth_server_later *later = f->later;
	assert_non_null(later);
	f->later = NULL;
	berth_server_answer(later, BERTH_CODE_OK, json_pack("{s:I}", "n", n), error);
}

static void an_answer_may_come_later_and_others_are_served_meanwhile(void **state)
{
	struct fixture *f = *state;
	struct peer peer = join(f);
	say(&peer, "{\"command\":\"later\"}\n");
	turn(f);
	others_are_served(f);
	listen_once(&peer);
	assert_int_equal(peer.length, 0);
	answer_now(f, 3);
	hear_number(&peer, 3);
	assert_int_equal(f->gone, 0);
	leave(&peer);
	assert_int_equal(f->gone, 0);
}

static void requests_behind_a_late_answer_wait_for_it(void **state)
{
	struct fixture *f = *state;
	struct peer peer = join(f);
	say(&peer, "{\"command\":\"later\"}\n{\"command\":\"echo\",\"arguments\":{\"n\":2}}\n");
	turn_for(f, 20);
	say(&peer, "{\"command\":\"echo\",\"arguments\":{\"n\":3}}\n");
	turn_for(f, 20);
	assert_int_equal(f->answered, 1);
	answer_now(f, 1);
	hear_number(&peer, 1);
	hear_number(&peer, 2);
	hear_number(&peer, 3);
	leave(&peer);
}

static void a_late_answer_reaches_one_who_sends_no_more(void **state)
{
	struct fixture *f = *state;
	struct peer peer = join(f);
	say(&peer, "{\"command\":\"later\"}\n");
	shutdown(peer.fd, SHUT_WR);
	turn_for(f, 20);
	answer_now(f, 4);
	hear_number(&peer, 4);
	hear_end(&peer);
	leave(&peer);
}

static void one_who_hangs_up_before_a_late_answer_harms_nobody(void **state)
{
	struct fixture *f = *state;
	struct peer peer = join(f);
	say(&peer, "{\"command\":\"later\"}\n");
	turn(f);
	leave(&peer);
	turn_for(f, 20);
	if (f->later)
		answer_now(f, 5);
	turn_for(f, 20);
	others_are_served(f);
}

static void who_would_answer_later_is_told_that_the_server_goes(void **state)
{
	struct fixture *f = *state;
	char error[BERTH_ERROR_BYTES];
	struct peer peer = join(f);
	say(&peer, "{\"command\":\"later\"}\n");
	turn(f);
	berth_server_free(f->server);
	assert_int_equal(f->gone, 1);
	f->server = berth_server_new(f->base, f->path, &berth_server_limits, answer, f, error);
	close(peer.fd);
	free(peer.text);
}

static void nothing_is_answered_later_that_was_not_asked(void **state)
{
	struct fixture *f = *state;
	assert_null(berth_server_later(f->server, on_gone, f));
	others_are_served(f);
	assert_null(berth_server_later(f->server, on_gone, f));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(an_answer_may_come_later_and_others_are_served_meanwhile),
		TEST(requests_behind_a_late_answer_wait_for_it),
		TEST(a_late_answer_reaches_one_who_sends_no_more),
		TEST(one_who_hangs_up_before_a_late_answer_harms_nobody),
		TEST(who_would_answer_later_is_told_that_the_server_goes),
		TEST(nothing_is_answered_later_that_was_not_asked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
