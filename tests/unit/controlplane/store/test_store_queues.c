// SPDX-License-Identifier: BSD-3-Clause
/* What waits to be told, and which services are read next: both bounded, in turn, and nothing is starved. */
#include <stdlib.h>
#include <string.h>

#include "controlplane/store/failure.h"
#include "controlplane/store/followed.h"
#include "controlplane/store/outbox.h"
#include "tests/support/unit.h"

static bool push(struct berth_outbox *outbox, uint64_t service, const uint8_t *records, size_t bytes)
{
	const struct berth_outbox_batch batch = {
		.service = service, .horizon_s = 300, .queued_ms = 100 + service, .bytes = bytes};
	return berth_outbox_push(outbox, &batch, records);
}

static void batches_leave_in_the_order_in_which_they_came(void **state)
{
	(void)state;
	struct berth_outbox outbox;
	berth_outbox_init(&outbox);
	for (uint64_t i = 1; i <= 3; i++)
		assert_true(push(&outbox, i, (const uint8_t *)"abc", (size_t)i));
	assert_int_equal(outbox.bytes, 6);
	for (uint64_t i = 1; i <= 3; i++) {
		const struct berth_outbox_batch *first = STAILQ_FIRST(&outbox.queue);
		assert_int_equal(first->service, i);
		assert_int_equal(first->queued_ms, 100 + i);
		assert_memory_equal(first->records, "abc", i);
		berth_outbox_pop(&outbox);
	}
	assert_true(outbox.n == 0 && outbox.bytes == 0 && outbox.held == 0);
}

static void what_does_not_fit_is_refused_until_there_is_room(void **state)
{
	(void)state;
	static const uint8_t records[20480];
	struct berth_outbox outbox;
	size_t n = 0;
	berth_outbox_init(&outbox);
	while (push(&outbox, 1, records, sizeof(records)))
		n++;
	assert_true(n > 1500 && outbox.held <= BERTH_OUTBOX_BYTES);
	assert_int_equal(outbox.n, n);
	assert_false(push(&outbox, 1, records, SIZE_MAX));
	berth_outbox_pop(&outbox);
	assert_true(push(&outbox, 2, records, sizeof(records)));
	/* Small ones are counted with the memory that they hold. */
	berth_outbox_clear(&outbox);
	for (n = 0; push(&outbox, 1, records, 1); n++)
		;
	assert_true(n < BERTH_OUTBOX_BYTES / sizeof(struct berth_outbox_batch));
	berth_outbox_clear(&outbox);
	assert_true(outbox.n == 0 && outbox.held == 0);
}

static bool push_open(struct berth_outbox *outbox, uint64_t service, const char *records, size_t bytes)
{
	const struct berth_outbox_batch batch = {
		.service = service, .horizon_s = 300, .queued_ms = 100, .bytes = bytes, .may_join = true};
	return berth_outbox_push(outbox, &batch, (const uint8_t *)records);
}

static struct berth_outbox_batch *first_of(const struct berth_outbox *outbox)
{
	return STAILQ_FIRST(&outbox->queue);
}

static void what_waits_for_one_service_becomes_one_batch(void **state)
{
	(void)state;
	struct berth_outbox outbox;
	berth_outbox_init(&outbox);
	assert_true(push_open(&outbox, 1, "abc", 3));
	assert_true(push_open(&outbox, 2, "xy", 2));
	assert_true(push_open(&outbox, 1, "de", 2));
	assert_int_equal(outbox.n, 2);
	assert_int_equal(outbox.bytes, 7);
	assert_memory_equal(first_of(&outbox)->records, "abcde", 5);
	/* What is on its way stays as it is; so does what may not be joined. */
	assert_true(berth_outbox_send(&outbox, first_of(&outbox), 1));
	assert_true(push_open(&outbox, 1, "f", 1));
	assert_true(push(&outbox, 1, (const uint8_t *)"g", 1));
	assert_true(push_open(&outbox, 1, "h", 1));
	assert_int_equal(outbox.n, 4);
	assert_int_equal(first_of(&outbox)->bytes, 5);
	berth_outbox_pop(&outbox);
	berth_outbox_pop(&outbox);
	assert_memory_equal(first_of(&outbox)->records, "fh", 2);
	berth_outbox_clear(&outbox);
	assert_true(outbox.n == 0 && outbox.bytes == 0 && outbox.held == 0 && !outbox.open);
}

static void a_joined_batch_is_no_longer_than_one_may_be(void **state)
{
	(void)state;
	static char records[BERTH_HELPER_STORE_BATCH_BYTES];
	struct berth_outbox outbox;
	berth_outbox_init(&outbox);
	assert_true(push_open(&outbox, 1, records, sizeof(records) - 10));
	assert_true(push_open(&outbox, 1, records, 10));
	assert_int_equal(outbox.n, 1);
	assert_true(push_open(&outbox, 1, records, 10));
	assert_true(push_open(&outbox, 1, records, 10));
	assert_int_equal(outbox.n, 2);
	/* Nor is the queue. */
	while (push_open(&outbox, 1, records, 1000))
		;
	assert_true(outbox.held <= BERTH_OUTBOX_BYTES && outbox.bytes > BERTH_OUTBOX_BYTES / 10 * 9);
	berth_outbox_clear(&outbox);
}

static void a_second_of_the_rate_goes_at_once_and_more_waits(void **state)
{
	(void)state;
	static const uint8_t records[BERTH_HELPER_STORE_BATCH_BYTES];
	struct berth_outbox outbox;
	size_t sent = 0;
	berth_outbox_init(&outbox);
	assert_true(push(&outbox, 1, records, sizeof(records)));
	while (berth_outbox_send(&outbox, first_of(&outbox), 5000))
		sent += sizeof(records);
	assert_in_range(sent, BERTH_OUTBOX_RATE, BERTH_OUTBOX_RATE + 2 * sizeof(records));
	/* 100,000 records of sessions are less. */
	assert_true(sent > (size_t)100000 * 80);
	for (uint64_t ms = 5001; ms <= 7000; ms++)
		while (berth_outbox_send(&outbox, first_of(&outbox), ms))
			sent += sizeof(records);
	assert_in_range(sent, 3 * (size_t)BERTH_OUTBOX_RATE, 3 * (size_t)BERTH_OUTBOX_RATE / 100 * 101);
	berth_outbox_clear(&outbox);
}

enum {
	SERVICES = 1000,
};

static void follow(struct berth_followed *followed, size_t n)
{
	struct berth_followed_wish wishes[SERVICES] = {0};
	for (size_t i = 0; i < n; i++)
		wishes[i] = (struct berth_followed_wish){
			.id = (i * 7919 + 1) % 1009, .horizon_s = 300, .is_read = true};
	assert_int_equal(berth_followed_set(followed, wishes, n), 0);
}

static void services_that_stay_keep_their_positions(void **state)
{
	(void)state;
	const struct berth_followed_wish wishes[] = {
		{5, 1, true, false}, {3, 300, true, false}, {9, 100000, true, false}};
	const struct berth_followed_wish later[] = {
		{9, 1, true, false}, {4, 300, true, false}, {5, 100000, true, false}};
	struct berth_followed followed = {0};
	assert_int_equal(berth_followed_set(&followed, wishes, 3), 0);
	assert_int_equal(followed.n_behind, 3);
	assert_int_equal(berth_followed_find(&followed, 5)->horizon_s, BERTH_MIN_HORIZON_S);
	assert_int_equal(berth_followed_find(&followed, 3)->horizon_s, 300);
	assert_int_equal(berth_followed_find(&followed, 9)->horizon_s, BERTH_MAX_HORIZON_S);
	berth_followed_take(&followed, berth_followed_find(&followed, 5), (struct berth_store_position){7, 1},
			    false);
	assert_int_equal(followed.n_behind, 2);
	assert_int_equal(berth_followed_set(&followed, later, 3), 0);
	assert_null(berth_followed_find(&followed, 3));
	assert_int_equal(berth_followed_find(&followed, 5)->read.ms, 7);
	assert_int_equal(berth_followed_find(&followed, 4)->read.ms, 0);
	assert_int_equal(followed.n_behind, 2);
	berth_followed_reset(&followed);
	assert_int_equal(berth_followed_find(&followed, 5)->read.ms, 0);
	assert_int_equal(followed.n_behind, 3);
	berth_followed_free(&followed);
}

/* A service that this node does not announce. */
static void what_is_only_written_is_not_read_and_not_waited_for(void **state)
{
	(void)state;
	const struct berth_followed_service *page[BERTH_HELPER_STORE_PAGE];
	struct berth_followed_wish wishes[] = {
		{5, 300, true, false}, {3, 300, false, false}, {9, 300, true, false}};
	struct berth_followed followed = {0};
	assert_int_equal(berth_followed_set(&followed, wishes, 3), 0);
	assert_int_equal(followed.n_read, 2);
	assert_int_equal(followed.n_behind, 2);
	for (int turn = 0; turn < 4; turn++) {
		assert_int_equal(berth_followed_next_page(&followed, page), 2);
		assert_true(page[0]->id != 3 && page[1]->id != 3 && page[0]->id != page[1]->id);
	}
	berth_followed_reset(&followed);
	assert_int_equal(followed.n_behind, 2);
	/* It is announced from now on, and the other one no longer: the first is read from the start. */
	berth_followed_take(&followed, berth_followed_find(&followed, 5), (struct berth_store_position){7, 1},
			    false);
	wishes[1].is_read = true;
	wishes[0].is_read = false;
	assert_int_equal(berth_followed_set(&followed, wishes, 3), 0);
	assert_true(berth_followed_find(&followed, 3)->is_behind);
	assert_false(berth_followed_find(&followed, 5)->is_behind);
	assert_int_equal(berth_followed_find(&followed, 5)->read.ms, 0);
	assert_int_equal(followed.n_behind, 2);
	berth_followed_free(&followed);
}

/* One that never ends keeps no other one from being read. */
static void all_services_are_read_in_turn_and_those_behind_more_often(void **state)
{
	(void)state;
	const struct berth_followed_service *page[BERTH_HELPER_STORE_PAGE];
	static unsigned int reads[1009];
	struct berth_followed followed = {0};
	follow(&followed, SERVICES);
	for (size_t i = 0; i < followed.n; i++)
		if (i != 500)
			berth_followed_take(&followed, &followed.all[i], (struct berth_store_position){1, 0},
					    false);
	const struct berth_followed_service *behind = &followed.all[500];
	for (int i = 0; i < 8; i++) {
		const size_t n = berth_followed_next_page(&followed, page);
		assert_true(n > 0 && n <= BERTH_HELPER_STORE_PAGE);
		assert_int_equal(berth_followed_is_around(&followed), i == 0 || i == 7);
		for (size_t k = 0; k < n; k++)
			reads[page[k]->id]++;
	}
	for (size_t i = 0; i < followed.n; i++)
		assert_int_equal(reads[followed.all[i].id], &followed.all[i] == behind ? 5 : 1);
	berth_followed_free(&followed);
}

static void no_service_is_an_empty_page(void **state)
{
	(void)state;
	const struct berth_followed_service *page[BERTH_HELPER_STORE_PAGE];
	struct berth_followed followed = {0};
	follow(&followed, 0);
	assert_int_equal(berth_followed_next_page(&followed, page), 0);
	assert_true(berth_followed_is_around(&followed));
	assert_null(berth_followed_find(&followed, 1));
	berth_followed_free(&followed);
}

/* Three to five quarters of 250 ms, 500 ms, ..., 5 s. */
static void an_attempt_waits_twice_as_long_as_the_last_one_up_to_a_bound_and_not_as_long_as_others(void **state)
{
	(void)state;
	uint64_t least = UINT64_MAX, most = 0;
	for (int node = 0; node < 200; node++) {
		struct berth_backoff backoff = {0};
		uint64_t ms = 250;
		for (int failures = 0; failures < 20; failures++) {
			const uint64_t wait = berth_backoff_next(&backoff);
			assert_in_range(wait, ms - ms / 4, ms + ms / 4);
			ms = 2 * ms < 5000 ? 2 * ms : 5000;
			least = failures > 10 && wait < least ? wait : least;
			most = failures > 10 && wait > most ? wait : most;
		}
	}
	assert_in_range(least, 3750, 4000);
	assert_in_range(most, 6000, 6250);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(batches_leave_in_the_order_in_which_they_came),
		cmocka_unit_test(what_does_not_fit_is_refused_until_there_is_room),
		cmocka_unit_test(what_waits_for_one_service_becomes_one_batch),
		cmocka_unit_test(a_joined_batch_is_no_longer_than_one_may_be),
		cmocka_unit_test(a_second_of_the_rate_goes_at_once_and_more_waits),
		cmocka_unit_test(services_that_stay_keep_their_positions),
		cmocka_unit_test(what_is_only_written_is_not_read_and_not_waited_for),
		cmocka_unit_test(all_services_are_read_in_turn_and_those_behind_more_often),
		cmocka_unit_test(no_service_is_an_empty_page),
		cmocka_unit_test(
			an_attempt_waits_twice_as_long_as_the_last_one_up_to_a_bound_and_not_as_long_as_others),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
