// SPDX-License-Identifier: BSD-3-Clause
/* Days without berthd, in simulated time: no expired entry comes alive again, what has traffic stays, and an
 * engine's own sweep keeps the clock of the tables going. */
#include "tests/unit/dataplane/core/steering.h"

#include "dataplane/core/sweep.h"

enum {
	MINUTE = 60,
	HOUR = 3600,
	DAY = 24 * HOUR,
	ELSEWHERE = 2, /* where selection sends flows later; first it is backend 1 */
};

/* Around the 36 hours after which the time of a word begins anew, and twice that. */
static const uint32_t away_s[] = {
	12 * HOUR, 35 * HOUR + HOUR / 2, 36 * HOUR,	      37 * HOUR + HOUR / 2, 73 * HOUR,
	10 * DAY,  BERTH_SEEN_MASK,	 BERTH_SEEN_MASK + 1, BERTH_SEEN_MASK + 60};

/* An established flow on backend 1, and a session on backend 7, after a sweep; what is new goes elsewhere. */
static void open_both(void)
{
	image.ctl->swept = FIXTURE_NOW;
	steer(FLOW_TCP, 1025, SYN, FIXTURE_NOW);
	steer(FLOW_TCP, 1025, ACK, FIXTURE_NOW);
	steer(CLIENT_TCP, 1025, SYN, FIXTURE_NOW);
	steer(CLIENT_TCP, 1025, ACK, FIXTURE_NOW);
	prefer(FLOW_TCP, ELSEWHERE, 3);
	prefer(CLIENT_TCP, 8, 9);
}

/* A complete sweep if one is due, as an engine makes it. Returns how many steps it took. */
static uint32_t sweep_if_due(uint32_t monotonic)
{
	struct berth_sweep sweep = {0};
	uint32_t steps = 0;
	do {
		const struct berth_view view = fixture_view(&image, monotonic);
		if (++steps > 1000)
			abort();
		if (!berth_sweep_step(image.ctl, &view, &sweep))
			return steps;
	} while (true);
}

static uint32_t count_words(const struct berth_bucket *table, uint32_t buckets)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < buckets * BERTH_BUCKET_WORDS; i++)
		n += table[i / BERTH_BUCKET_WORDS].word[i % BERTH_BUCKET_WORDS] != 0;
	return n;
}

/* Nobody sweeps */

static void a_packet_after_days_finds_no_expired_flow_or_session(void **state)
{
	for (size_t i = 0; i < sizeof(away_s) / sizeof(away_s[0]); i++) {
		const uint32_t now = FIXTURE_NOW + away_s[i];
		open_both();
		assert_steered(steer(FLOW_TCP, 1025, ACK, now), RESELECTED, ELSEWHERE);
		assert_steered(steer(CLIENT_TCP, 1026, SYN, now), SELECTED, 8);
		tear_down(state);
		set_up(state);
	}
}

static void an_expired_word_stays_expired_for_ten_days_whatever_its_timeout_is(void **state)
{
	(void)state;
	static const uint32_t timeouts[] = {10, 3 * HOUR, 12 * HOUR, BERTH_MAX_TIMEOUT};
	struct berth_service *service = fixture_service_at(&image, FLOW_TCP);
	const uint64_t word = berth_word_make(7, 1, FIXTURE_NOW, PROVEN);
	image.ctl->swept = FIXTURE_NOW;
	for (size_t i = 0; i < sizeof(timeouts) / sizeof(timeouts[0]); i++) {
		bool was_expired = false;
		service->timeout[PROVEN] = timeouts[i];
		for (uint32_t t = 0; t < 10 * DAY; t += MINUTE) {
			const struct berth_view view = fixture_view(&image, FIXTURE_NOW + t);
			const bool is_expired = berth_word_is_expired(word, view.now, service);
			if (was_expired && !is_expired)
				fail_msg("timeout %u s: alive again after %u s", timeouts[i], t);
			was_expired = is_expired;
		}
		/* The clock stops when it has counted 11 hours without a sweep. */
		assert_int_equal(was_expired, timeouts[i] < BERTH_MAX_UNSWEPT_S);
	}
}

static void a_flow_with_traffic_stays_while_the_clock_stands(void **state)
{
	(void)state;
	open_both();
	for (uint32_t t = 0; t < 3 * DAY; t += 10 * MINUTE)
		assert_steered(steer(FLOW_TCP, 1025, ACK, FIXTURE_NOW + t), FLOW, 1);
	assert_int_equal(fixture_view(&image, FIXTURE_NOW + 3 * DAY).now, FIXTURE_NOW + BERTH_MAX_UNSWEPT_S);
}

static void sweeps_set_a_stopped_clock_right(void **state)
{
	(void)state;
	const uint32_t now = FIXTURE_NOW + 3 * DAY;
	uint32_t passes = 0;
	open_both();
	uint32_t before = fixture_view(&image, now).now;
	while (before != now) {
		sweep_if_due(now);
		const uint32_t after = fixture_view(&image, now).now;
		assert_true(after > before);
		before = after;
		passes++;
	}
	assert_in_range(passes, 1, 3 * DAY / BERTH_MAX_UNSWEPT_S + 1);
	sweep_if_due(now);
	assert_null(flow_word());
	assert_null(session_word());
}

/* The engine sweeps */

static void an_engine_without_packets_clears_what_has_expired(void **state)
{
	(void)state;
	const uint32_t longest = 3 * HOUR + BERTH_SWEEP_AFTER_S + 2 * MINUTE;
	open_both();
	for (uint32_t t = 0; t < 10 * DAY; t += MINUTE) {
		sweep_if_due(FIXTURE_NOW + t);
		assert_int_equal(fixture_view(&image, FIXTURE_NOW + t).now, FIXTURE_NOW + t);
		const uint32_t words = count_words(image.flows, image.geometry.flow_buckets) +
				       count_words(image.sessions, image.geometry.session_buckets);
		if (t > longest && words)
			fail_msg("%u words are left after %u s", words, t);
	}
}

static void a_session_of_the_longest_timeout_lives_as_long_and_not_longer(void **state)
{
	(void)state;
	uint32_t last = 0;
	fixture_service_at(&image, CLIENT_TCP)->timeout[BERTH_STATE_SESSION] = BERTH_MAX_TIMEOUT;
	open_both();
	for (uint32_t t = 0; t < 10 * DAY; t += MINUTE) {
		const struct berth_view view = fixture_view(&image, FIXTURE_NOW + t);
		const uint64_t *word = session_word();
		sweep_if_due(FIXTURE_NOW + t);
		if (word && *word &&
		    !berth_word_is_expired(*word, view.now, fixture_service_at(&image, CLIENT_TCP)))
			last = t;
	}
	assert_in_range(last, BERTH_MAX_TIMEOUT - MINUTE, BERTH_MAX_TIMEOUT);
}

static void flows_with_traffic_and_pinned_sessions_stay_for_ten_days(void **state)
{
	(void)state;
	open_both();
	const uint64_t *word = session_word();
	struct berth_client *client = &image.clients[word - &image.sessions[0].word[0]];
	client->reason = BERTH_REASON_PINNED;
	client->from = (uint16_t)berth_word_backend(*word);
	for (uint32_t t = 0; t < 10 * DAY; t += 50 * MINUTE) {
		assert_steered(steer(FLOW_TCP, 1025, ACK, FIXTURE_NOW + t), FLOW, 1);
		sweep_if_due(FIXTURE_NOW + t);
	}
	assert_steered(steer(CLIENT_TCP, 1026, SYN, FIXTURE_NOW + 10 * DAY), SESSION, 7);
}

static void former_tables_are_swept_too(void **state)
{
	(void)state;
	static struct berth_bucket flows[4] __attribute__((aligned(64))), sessions[2] __attribute__((aligned(64)));
	static struct berth_client clients[2 * BERTH_BUCKET_WORDS];
	image.ctl->swept = FIXTURE_NOW;
	image.former_flows = flows;
	image.former_sessions = sessions;
	image.former_clients = clients;
	image.former_flow_bits = image.ctl->former_flow_bits = 3;
	image.former_session_bits = image.ctl->former_session_bits = 2;
	flows[3].word[7] = berth_word_make(5, 1, FIXTURE_NOW, CONFIRMED);
	sessions[1].word[7] = berth_word_make(5, 7, FIXTURE_NOW, BERTH_STATE_SESSION);
	sweep_if_due(FIXTURE_NOW + HOUR);
	assert_int_not_equal(flows[3].word[7], 0);
	sweep_if_due(FIXTURE_NOW + 2 * HOUR + 1);
	assert_int_equal(flows[3].word[7], 0);
	assert_int_not_equal(sessions[1].word[7], 0);
	sweep_if_due(FIXTURE_NOW + 4 * HOUR);
	assert_int_equal(sessions[1].word[7], 0);
}

static void words_of_removed_backends_are_cleared(void **state)
{
	(void)state;
	open_both();
	fixture_backend_at(&image, 1)->id = 0;
	sweep_if_due(FIXTURE_NOW + HOUR);
	assert_int_equal(berth_word_backend(*flow_word()), 7);
}

/* Who sweeps when */

static void nothing_is_swept_while_berthd_does(void **state)
{
	(void)state;
	open_both();
	for (uint32_t t = 0; t < DAY; t += MINUTE) {
		berth_clock_swept(image.ctl, FIXTURE_NOW + t);
		assert_int_equal(sweep_if_due(FIXTURE_NOW + t), 1);
	}
	assert_int_equal(count_words(image.flows, image.geometry.flow_buckets), 2);
}

static void a_late_sweep_does_not_set_the_time_of_the_last_one_back(void **state)
{
	(void)state;
	berth_clock_swept(image.ctl, FIXTURE_NOW + 50);
	berth_clock_swept(image.ctl, FIXTURE_NOW + 20);
	assert_int_equal(image.ctl->swept, FIXTURE_NOW + 50);
	/* 0 means that the time is not known. */
	image.ctl->swept = 0;
	berth_clock_swept(image.ctl, 0);
	assert_int_equal(image.ctl->swept, 1);
}

static void the_clock_of_the_tables_passes_2_to_the_32_seconds(void **state)
{
	(void)state;
	image.ctl->swept = UINT32_MAX - 100;
	assert_int_equal(fixture_view(&image, UINT32_MAX - 200).now, UINT32_MAX - 200);
	assert_int_equal(fixture_view(&image, 100).now, 100);
	assert_int_equal(fixture_view(&image, DAY).now, BERTH_MAX_UNSWEPT_S - 101);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_packet_after_days_finds_no_expired_flow_or_session),
		TEST(an_expired_word_stays_expired_for_ten_days_whatever_its_timeout_is),
		TEST(a_flow_with_traffic_stays_while_the_clock_stands),
		TEST(sweeps_set_a_stopped_clock_right),
		TEST(an_engine_without_packets_clears_what_has_expired),
		TEST(a_session_of_the_longest_timeout_lives_as_long_and_not_longer),
		TEST(flows_with_traffic_and_pinned_sessions_stay_for_ten_days),
		TEST(former_tables_are_swept_too),
		TEST(words_of_removed_backends_are_cleared),
		TEST(nothing_is_swept_while_berthd_does),
		TEST(a_late_sweep_does_not_set_the_time_of_the_last_one_back),
		TEST(the_clock_of_the_tables_passes_2_to_the_32_seconds),
	};
	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
