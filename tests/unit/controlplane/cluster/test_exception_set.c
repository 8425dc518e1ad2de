// SPDX-License-Identifier: BSD-3-Clause
/* The set of exceptions says of each what others have to be told, once. Those to answer with wait in their order.
 */
#include "tests/support/unit.h"

#include <stdlib.h>

#include "controlplane/cluster/answers.h"

enum {
	TIMEOUT = 300,
	MANY = 50000,
};

static struct berth_exception_key key(uint32_t i)
{
	return (struct berth_exception_key){.tag = i * 2654435761u >> 4,
					    .low = i / 2,
					    .table = i & 1 ? BERTH_TABLE_SESSIONS : BERTH_TABLE_FLOWS};
}

static enum berth_exception_news show(struct berth_exceptions *set, uint32_t i, uint16_t backend, uint32_t seen)
{
	const struct berth_exception_key of = key(i);
	return berth_exceptions_show(set, &of, backend, seen, TIMEOUT);
}

struct gone {
	uint32_t n;
	struct berth_exception_key last;
	uint16_t backend;
	uint8_t *by_low; /* NULL, or how often each pair of keys was gone */
};

static void count_gone(void *arg, const struct berth_exception_key *of, uint16_t backend)
{
	struct gone *gone = arg;
	gone->n++;
	gone->last = *of;
	gone->backend = backend;
	if (gone->by_low)
		gone->by_low[2 * of->low + (of->table == BERTH_TABLE_SESSIONS)]++;
}

static struct gone sweep(struct berth_exceptions *set)
{
	struct gone gone = {0};
	berth_exceptions_sweep(set, berth_exceptions_slots(set), count_gone, &gone);
	return gone;
}

static void an_exception_is_news_once(void **state)
{
	(void)state;
	struct berth_exceptions *set = berth_exceptions_new(10);
	assert_int_equal(show(set, 1, 7, 1000), BERTH_EXCEPTION_NEW);
	assert_int_equal(show(set, 1, 7, 1000), BERTH_EXCEPTION_KNOWN);
	assert_int_equal(show(set, 2, 7, 1000), BERTH_EXCEPTION_NEW);
	assert_int_equal(berth_exceptions_count(set), 2);
	assert_int_equal(show(set, 1, 8, 1000), BERTH_EXCEPTION_CHANGED);
	assert_int_equal(show(set, 1, 8, 1000), BERTH_EXCEPTION_KNOWN);
	berth_exceptions_free(set);
}

/* Others know the time of its last traffic: a third of the timeout later they have to be told again. */
static void later_traffic_is_news_after_a_third_of_the_timeout(void **state)
{
	(void)state;
	struct berth_exceptions *set = berth_exceptions_new(10);
	assert_int_equal(show(set, 1, 7, 0xffffffd0), BERTH_EXCEPTION_NEW);
	assert_int_equal(show(set, 1, 7, 0xffffffd0 + 99), BERTH_EXCEPTION_KNOWN);
	assert_int_equal(show(set, 1, 7, 0xffffffd0 + 100), BERTH_EXCEPTION_REFRESHED);
	assert_int_equal(show(set, 1, 7, 0xffffffd0 + 199), BERTH_EXCEPTION_KNOWN);
	assert_int_equal(show(set, 1, 7, 0xffffffd0), BERTH_EXCEPTION_KNOWN);
	assert_int_equal(show(set, 1, 7, 0xffffffd0 + 200), BERTH_EXCEPTION_REFRESHED);
	berth_exceptions_free(set);
}

static void what_a_whole_scan_has_not_shown_is_gone(void **state)
{
	(void)state;
	struct berth_exceptions *set = berth_exceptions_new(10);
	show(set, 1, 7, 1000);
	show(set, 2, 8, 1000);
	berth_exceptions_scan_ended(set);
	assert_int_equal(sweep(set).n, 0);
	/* The second one is not shown again. Within the scan it is not known yet. */
	show(set, 1, 7, 1000);
	assert_int_equal(sweep(set).n, 0);
	berth_exceptions_scan_ended(set);
	const struct gone gone = sweep(set);
	assert_int_equal(gone.n, 1);
	assert_int_equal(gone.backend, 8);
	assert_int_equal(gone.last.tag, key(2).tag);
	assert_int_equal(gone.last.low, key(2).low);
	assert_int_equal(gone.last.table, key(2).table);
	assert_int_equal(berth_exceptions_count(set), 1);
	assert_int_equal(show(set, 2, 8, 1000), BERTH_EXCEPTION_NEW);
	berth_exceptions_free(set);
}

static void all_are_news_after_others_have_lost_them(void **state)
{
	(void)state;
	struct berth_exceptions *set = berth_exceptions_new(10);
	show(set, 1, 7, 1000);
	show(set, 2, 8, 1000);
	berth_exceptions_tell_again(set);
	assert_int_equal(show(set, 1, 7, 1000), BERTH_EXCEPTION_NEW);
	assert_int_equal(show(set, 1, 7, 1000), BERTH_EXCEPTION_KNOWN);
	assert_int_equal(show(set, 2, 8, 1000), BERTH_EXCEPTION_NEW);
	assert_int_equal(berth_exceptions_count(set), 2);
	berth_exceptions_free(set);
}

static void what_could_not_be_told_is_news_again(void **state)
{
	(void)state;
	struct berth_exceptions *set = berth_exceptions_new(10);
	const struct berth_exception_key first = key(1), unknown = key(9);
	show(set, 1, 7, 1000);
	show(set, 2, 7, 1000);
	berth_exceptions_defer(set, &first);
	berth_exceptions_defer(set, &unknown);
	assert_int_equal(show(set, 1, 7, 1000), BERTH_EXCEPTION_NEW);
	assert_int_equal(show(set, 1, 7, 1000), BERTH_EXCEPTION_KNOWN);
	assert_int_equal(show(set, 2, 7, 1000), BERTH_EXCEPTION_KNOWN);
	assert_int_equal(berth_exceptions_count(set), 2);
	berth_exceptions_free(set);
}

/* Another node tells it, and tells it again: this one only what it alone knows. */
static void what_another_node_has_told_is_no_news_before_later_traffic(void **state)
{
	(void)state;
	struct berth_exceptions *set = berth_exceptions_new(10);
	const struct berth_exception_key first = key(1);
	berth_exceptions_receive(set, &first, 7, 1000);
	assert_int_equal(show(set, 1, 7, 1000), BERTH_EXCEPTION_KNOWN);
	berth_exceptions_tell_again(set);
	assert_int_equal(show(set, 1, 7, 1000), BERTH_EXCEPTION_KNOWN);
	assert_int_equal(show(set, 1, 7, 1001), BERTH_EXCEPTION_NEW);
	/* From now on it is this node's. */
	berth_exceptions_tell_again(set);
	assert_int_equal(show(set, 1, 7, 1001), BERTH_EXCEPTION_NEW);
	/* Until another node has later traffic. */
	berth_exceptions_receive(set, &first, 7, 1001);
	assert_int_equal(show(set, 1, 7, 1001 + TIMEOUT / 3), BERTH_EXCEPTION_REFRESHED);
	berth_exceptions_receive(set, &first, 7, 1010 + TIMEOUT / 3);
	assert_int_equal(show(set, 1, 7, 1010 + TIMEOUT / 3), BERTH_EXCEPTION_KNOWN);
	assert_int_equal(show(set, 1, 8, 1010 + TIMEOUT / 3), BERTH_EXCEPTION_CHANGED);
	berth_exceptions_free(set);
}

static void what_is_wanted_once_more_is_wanted_until_it_is_told_or_heard(void **state)
{
	(void)state;
	struct berth_exceptions *set = berth_exceptions_new(10);
	const struct berth_exception_key of = key(1);
	/* What is not in the set was never told. */
	assert_true(berth_exceptions_want(set, &of));
	assert_true(berth_exceptions_take_want(set, &of));
	show(set, 1, 7, 1000);
	assert_false(berth_exceptions_take_want(set, &of));
	assert_true(berth_exceptions_want(set, &of));
	assert_false(berth_exceptions_want(set, &of));
	assert_true(berth_exceptions_take_want(set, &of));
	assert_false(berth_exceptions_take_want(set, &of));
	berth_exceptions_want(set, &of);
	berth_exceptions_heard(set, &of, 8);
	assert_true(berth_exceptions_take_want(set, &of));
	berth_exceptions_want(set, &of);
	berth_exceptions_heard(set, &of, 7);
	assert_false(berth_exceptions_take_want(set, &of));
	berth_exceptions_want(set, &of);
	berth_exceptions_receive(set, &of, 7, 1000);
	assert_false(berth_exceptions_take_want(set, &of));
	berth_exceptions_want(set, &of);
	assert_int_equal(show(set, 1, 8, 1000), BERTH_EXCEPTION_CHANGED);
	assert_false(berth_exceptions_take_want(set, &of));
	berth_exceptions_free(set);
}

static void an_exception_is_renewed_once_without_later_traffic(void **state)
{
	(void)state;
	struct berth_exceptions *set = berth_exceptions_new(10);
	const struct berth_exception_key of = key(1);
	berth_exceptions_receive(set, &of, 7, 1000);
	assert_int_equal(show(set, 1, 7, 1000), BERTH_EXCEPTION_KNOWN);
	assert_true(berth_exceptions_renew(set, &of, 1000));
	assert_int_equal(show(set, 1, 7, 1000), BERTH_EXCEPTION_NEW);
	assert_int_equal(show(set, 1, 7, 1000), BERTH_EXCEPTION_KNOWN);
	assert_false(berth_exceptions_renew(set, &of, 1000));
	assert_int_equal(show(set, 1, 7, 1000), BERTH_EXCEPTION_KNOWN);
	assert_true(berth_exceptions_renew(set, &of, 1001));
	assert_int_equal(show(set, 1, 7, 1001), BERTH_EXCEPTION_NEW);
	berth_exceptions_free(set);
}

/* An apply goes from node to node: what another one has told is an exception here only after it. */
static void what_another_node_has_told_is_remembered_for_100_scans(void **state)
{
	(void)state;
	struct berth_exceptions *set = berth_exceptions_new(10);
	const struct berth_exception_key first = key(1);
	berth_exceptions_receive(set, &first, 7, 1000);
	for (int i = 0; i < 100; i++) {
		berth_exceptions_scan_ended(set);
		assert_int_equal(sweep(set).n, 0);
	}
	assert_int_equal(show(set, 1, 7, 1000), BERTH_EXCEPTION_KNOWN);
	for (int i = 0; i < 101; i++)
		berth_exceptions_scan_ended(set);
	assert_int_equal(sweep(set).n, 1);
	berth_exceptions_free(set);
}

static void a_full_set_counts_what_it_loses(void **state)
{
	(void)state;
	struct berth_exceptions *set = berth_exceptions_new(100);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(show(set, i, 7, 1000), BERTH_EXCEPTION_NEW);
	assert_int_equal(show(set, 100, 7, 1000), BERTH_EXCEPTION_LOST);
	assert_int_equal(show(set, 99, 7, 1000), BERTH_EXCEPTION_KNOWN);
	assert_int_equal(berth_exceptions_lost(set), 1);
	assert_int_equal(berth_exceptions_count(set), 100);
	berth_exceptions_scan_ended(set);
	berth_exceptions_scan_ended(set);
	assert_int_equal(sweep(set).n, 100);
	assert_int_equal(show(set, 100, 7, 1000), BERTH_EXCEPTION_NEW);
	berth_exceptions_free(set);
	assert_null(berth_exceptions_new(UINT32_MAX));
}

/* A word can be moved between its two buckets by nobody, but its place alone does not tell which of them is its
 * home. */
static void both_buckets_of_a_word_give_one_key(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		const uint32_t tag = key(i).tag, buckets = 1u << (i % 20 + 1);
		const uint64_t word = berth_word_make(tag, 7, 1000, BERTH_STATE_CONFIRMED);
		const uint32_t home = i * 7919 & (buckets - 1);
		const uint32_t other = (home ^ berth_bucket_distance(tag)) & (buckets - 1);
		const struct berth_exception_key a = berth_exceptions_key(BERTH_TABLE_FLOWS, word, home, buckets);
		const struct berth_exception_key b = berth_exceptions_key(BERTH_TABLE_FLOWS, word, other, buckets);
		assert_memory_equal(&a, &b, sizeof(a));
		assert_int_equal(a.tag, tag);
		assert_true(a.low == home || a.low == other);
	}
}

/* Random ones come and go for many scans, with sweeps in small steps. Each is new once, and gone once, each time.
 */
static void none_is_lost_or_told_twice_in_random_order(void **state)
{
	(void)state;
	struct berth_exceptions *set = berth_exceptions_new(MANY);
	uint8_t *is_told = calloc(MANY, 1), *gone_now = calloc(MANY, 1);
	uint32_t random = 1, told = 0;
	for (uint32_t scan = 0; scan < 60; scan++) {
		for (uint32_t i = 0; i < MANY; i++) {
			random = random * 1664525u + 1013904223u;
			if ((random >> 16) % 100 >= (scan * 37 + i / 500) % 100)
				continue;
			assert_int_equal(show(set, i, 7, 1000),
					 is_told[i] ? BERTH_EXCEPTION_KNOWN : BERTH_EXCEPTION_NEW);
			told += !is_told[i];
			is_told[i] = 1;
		}
		berth_exceptions_scan_ended(set);
		struct gone gone = {.by_low = gone_now};
		for (uint32_t i = 0; i < 2 * berth_exceptions_slots(set) / 100; i++)
			berth_exceptions_sweep(set, 101, count_gone, &gone);
		for (uint32_t i = 0; i < MANY; i++) {
			assert_true(gone_now[i] <= is_told[i]);
			is_told[i] -= gone_now[i];
			told -= gone_now[i];
			gone_now[i] = 0;
		}
		assert_int_equal(berth_exceptions_count(set), told);
	}
	for (int i = 0; i < 2; i++)
		berth_exceptions_scan_ended(set);
	assert_int_equal(sweep(set).n, told);
	assert_int_equal(berth_exceptions_count(set), 0);
	free(is_told);
	free(gone_now);
	berth_exceptions_free(set);
}

static void push(struct berth_cluster_answers *answers, uint32_t at)
{
	assert_true(berth_cluster_answers_push(answers, &(struct berth_cluster_answer){.key = key(at), .at = at}));
}

static void answers_wait_oldest_first_within_their_room(void **state)
{
	struct berth_cluster_answers answers;
	uint32_t next = 0, oldest = 0;
	(void)state;
	berth_cluster_answers_init(&answers, MANY);
	for (uint32_t turn = 1; turn < 300; turn++) {
		for (uint32_t i = 0; i < turn; i++)
			push(&answers, next++);
		for (uint32_t i = 0; i < turn / 2 + turn % 2 * 7 && answers.n; i++, oldest++) {
			assert_int_equal(berth_cluster_answers_first(&answers)->at, oldest);
			const struct berth_cluster_answer answer = berth_cluster_answers_pop(&answers);
			assert_int_equal(answer.at, oldest);
			assert_int_equal(answer.key.low, key(oldest).low);
		}
		assert_int_equal(answers.n, next - oldest);
	}
	while (answers.n)
		assert_int_equal(berth_cluster_answers_pop(&answers).at, oldest++);
	assert_int_equal(oldest, next);
	for (uint32_t i = 0; i < MANY; i++)
		push(&answers, i);
	assert_false(berth_cluster_answers_push(&answers, &(struct berth_cluster_answer){.at = MANY}));
	berth_cluster_answers_clear(&answers);
	assert_int_equal(answers.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_exception_is_news_once),
		cmocka_unit_test(later_traffic_is_news_after_a_third_of_the_timeout),
		cmocka_unit_test(what_a_whole_scan_has_not_shown_is_gone),
		cmocka_unit_test(all_are_news_after_others_have_lost_them),
		cmocka_unit_test(what_could_not_be_told_is_news_again),
		cmocka_unit_test(what_another_node_has_told_is_no_news_before_later_traffic),
		cmocka_unit_test(what_is_wanted_once_more_is_wanted_until_it_is_told_or_heard),
		cmocka_unit_test(an_exception_is_renewed_once_without_later_traffic),
		cmocka_unit_test(what_another_node_has_told_is_remembered_for_100_scans),
		cmocka_unit_test(a_full_set_counts_what_it_loses),
		cmocka_unit_test(both_buckets_of_a_word_give_one_key),
		cmocka_unit_test(none_is_lost_or_told_twice_in_random_order),
		cmocka_unit_test(answers_wait_oldest_first_within_their_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
