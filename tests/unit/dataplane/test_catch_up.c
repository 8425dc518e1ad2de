// SPDX-License-Identifier: BSD-3-Clause
/* A berth-dpdk that starts after days in which none ran: in simulated time. */
#include "tests/unit/dataplane/core/steering.h"

#include "dataplane/catch_up.h"

enum {
	HOUR = 3600,
	DAY = 24 * HOUR,
};

/* A flow and a session that were used a quarter of an hour before the end, and a pinned session. */
static struct berth_client *open_all(void)
{
	image.ctl->swept = FIXTURE_NOW - 900;
	steer(FLOW_TCP, 1025, SYN, FIXTURE_NOW - 900);
	steer(FLOW_TCP, 1025, ACK, FIXTURE_NOW - 900);
	steer(CLIENT_TCP, 1025, SYN, FIXTURE_NOW - 900);
	steer(CLIENT_TCP, 1025, ACK, FIXTURE_NOW - 900);
	return &image.clients[session_word() - &image.sessions[0].word[0]];
}

static void nothing_comes_alive_however_long_it_was_away(void **state)
{
	for (uint32_t hours = 6; hours < 40 * 24; hours += hours < 100 ? 1 : 13) {
		const uint32_t now = FIXTURE_NOW + hours * HOUR;
		open_all();
		berth_catch_up(&image, now);
		prefer(FLOW_TCP, 2, 3);
		prefer(CLIENT_TCP, 8, 9);
		assert_int_equal(fixture_view(&image, now).now, now);
		steer(FLOW_TCP, 1025, ACK, now);
		assert_int_equal(steered.backend, 2);
		steer(CLIENT_TCP, 1026, SYN, now);
		assert_int_equal(steered.backend, 8);
		tear_down(state);
		set_up(state);
	}
}

static void a_session_of_a_day_survives_half_a_day(void **state)
{
	(void)state;
	const uint32_t now = FIXTURE_NOW + DAY / 2;
	fixture_service_at(&image, CLIENT_TCP)->timeout[BERTH_STATE_SESSION] = DAY;
	open_all();
	berth_catch_up(&image, now);
	prefer(CLIENT_TCP, 8, 9);
	assert_steered(steer(CLIENT_TCP, 1026, SYN, now), SESSION, 7);
}

static void a_pinned_session_survives_a_month(void **state)
{
	(void)state;
	const uint32_t now = FIXTURE_NOW + 30 * DAY;
	struct berth_client *client = open_all();
	client->reason = BERTH_REASON_PINNED;
	client->from = 7;
	berth_catch_up(&image, now);
	prefer(CLIENT_TCP, 8, 9);
	assert_steered(steer(CLIENT_TCP, 1026, SYN, now), SESSION, 7);
}

static void a_short_pause_is_no_reason_to_sweep(void **state)
{
	(void)state;
	open_all();
	berth_catch_up(&image, FIXTURE_NOW + 10 * HOUR);
	assert_int_equal(image.ctl->swept, FIXTURE_NOW - 900);
	assert_non_null(session_word());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_comes_alive_however_long_it_was_away),
		TEST(a_session_of_a_day_survives_half_a_day),
		TEST(a_pinned_session_survives_a_month),
		TEST(a_short_pause_is_no_reason_to_sweep),
	};
	return cmocka_run_group_tests_name("catch-up", tests, NULL, NULL);
}
