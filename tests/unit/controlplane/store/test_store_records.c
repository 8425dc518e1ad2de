// SPDX-License-Identifier: BSD-3-Clause
/* Records of two nodes through a store: what one tells, the other reads. */
#include <inttypes.h>

#include "tests/unit/controlplane/store/store_nodes.h"

static void a_node_reads_what_another_one_tells_and_not_what_it_told_itself(void **state)
{
	struct lab *lab = *state;
	start(lab);
	assert_int_equal(lab->one.synchronised, 1);
	assert_true(tell(&lab->one, SERVICE, "from lb1"));
	expect_batch(lab, &lab->two, "from lb1");
	assert_int_equal(lab->two.service, SERVICE);
	assert_true(tell(&lab->two, OTHER_SERVICE, "from lb2"));
	expect_batch(lab, &lab->one, "from lb2");
	assert_int_equal(lab->one.service, OTHER_SERVICE);
	assert_int_equal(lab->one.batches, 1);
	assert_int_equal(lab->two.batches, 1);
	assert_int_equal(records_of(&lab->one)->told_batches, 1);
	assert_int_equal(records_of(&lab->one)->told_bytes, 9);
	assert_int_equal(records_of(&lab->one)->read_bytes, 9);
	assert_int_equal(records_of(&lab->one)->queue_batches, 0);
	assert_int_equal(lab->one.lost, 0);
	assert_int_equal(redis_do(&lab->redis, "XLEN berth:shop:x:000000000000005e"), 1);
}

static void a_node_that_comes_later_or_again_reads_all_from_the_start(void **state)
{
	struct lab *lab = *state;
	redis_start(&lab->redis, no_options);
	start_node(lab, &lab->one, "lb1");
	for (int i = 0; i < 200; i++)
		assert_true(tell(&lab->one, i % 2 ? SERVICE : OTHER_SERVICE, "a batch"));
	expect(lab, records_of(&lab->one)->told_batches == 200);
	start_node(lab, &lab->two, "lb2");
	expect(lab, lab->two.synchronised == 1);
	assert_int_equal(lab->two.batches, 200);
	assert_int_equal(lab->two.own, 0);
	expect(lab, lab->one.own == 200);
	assert_int_equal(lab->one.batches, 0);
	stop_node(&lab->one);
	start_node(lab, &lab->one, "lb1");
	expect(lab, lab->one.synchronised == 1);
	assert_int_equal(lab->one.batches, 200);
}

static void what_could_not_be_taken_and_what_follows_is_read_again(void **state)
{
	struct lab *lab = *state;
	start(lab);
	strcpy(lab->two.refused, "second");
	const char *const all[] = {"first", "second", "third", "second", "last"};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		assert_true(tell(&lab->one, SERVICE, all[i]));
		expect(lab, lab->two.batches == i + 1);
	}
	assert_true(tell(&lab->one, OTHER_SERVICE, "other"));
	expect_batch(lab, &lab->two, "other");
	assert_int_equal(lab->two.again, 0);
	/* Still not: it is kept for the next time. */
	for (uint64_t times = 1; times <= 2; times++) {
		berth_store_read_missed(lab->two.store);
		expect(lab, lab->two.batches == 6 + 4 * times && lab->two.synchronised == 1 + times);
		assert_string_equal(lab->two.last, "last");
		assert_int_equal(lab->two.again, 4 * times);
	}
	lab->two.refused[0] = 0;
	berth_store_read_missed(lab->two.store);
	expect(lab, lab->two.synchronised == 4);
	berth_store_read_missed(lab->two.store);
	loop_for(lab->base, 500);
	assert_int_equal(lab->two.batches, 6 + 4 * 3);
	assert_int_equal(lab->two.others, 1);
}

static void the_longest_batch_and_no_longer_one_is_told(void **state)
{
	static uint8_t batch[LONGEST + 1];
	struct lab *lab = *state;
	start(lab);
	for (size_t i = 0; i < sizeof(batch); i++)
		batch[i] = (uint8_t)(i * 31);
	assert_false(berth_store_tell(lab->one.store, SERVICE, batch, sizeof(batch)));
	assert_false(berth_store_tell(lab->one.store, SERVICE, batch, 0));
	assert_false(berth_store_tell(lab->one.store, 0x60, batch, 64));
	assert_int_equal(records_of(&lab->one)->refused_batches, 3);
	assert_true(berth_store_tell(lab->one.store, SERVICE, batch, LONGEST));
	expect(lab, lab->two.batches == 1);
	assert_memory_equal(lab->two.last, batch, LONGEST);
}

static void a_stream_keeps_its_horizon(void **state)
{
	struct lab *lab = *state;
	start(lab);
	const uint64_t now_ms = time_ms(lab);
	/* Two nodes of a stream, which are removed as a whole: 100 entries each. */
	for (int i = 0; i < 100; i++)
		redis_do(&lab->redis, "XADD berth:shop:x:000000000000005e %" PRIu64 "-%d n x e x b x",
			 now_ms - 70000, i + 1);
	assert_true(tell(&lab->one, SERVICE, "new"));
	expect_batch(lab, &lab->two, "new");
	assert_int_equal(redis_do(&lab->redis, "XLEN berth:shop:x:000000000000005e"), 1);
	const long long life_ms = redis_do(&lab->redis, "PTTL berth:shop:x:000000000000005e");
	assert_true(life_ms > 50000 && life_ms <= 60000);
}

static void a_batch_that_is_read_late_has_its_age(void **state)
{
	struct lab *lab = *state;
	start(lab);
	redis_do(&lab->redis, "XADD berth:shop:x:000000000000005e %" PRIu64 "-0 n lb9 e 00 b late",
		 time_ms(lab) - 30000);
	expect_batch(lab, &lab->two, "late");
	assert_in_range(lab->two.age_s, 29, 60);
}

static void a_hundred_thousand_records_arrive_soon(void **state)
{
	static uint8_t batch[256 * 64];
	struct lab *lab = *state;
	const char *wanted = getenv("BERTH_RECORDS");
	const uint64_t batches = (wanted ? strtoull(wanted, NULL, 10) : 100000) / 256;
	start(lab);
	const uint64_t begin_ms = berth_clock_ms();
	for (uint64_t n = 0; n < batches;) {
		n += berth_store_tell(lab->one.store, SERVICE, batch, sizeof(batch));
		if (records_of(&lab->one)->queue_bytes > 24 << 20)
			loop_for(lab->base, 1);
	}
	assert_true(wait_until(lab->two.batches == batches, 60000, loop_for(lab->base, 1)));
	print_message("%" PRIu64 " records in %" PRIu64 " ms\n", 256 * batches, berth_clock_ms() - begin_ms);
	assert_true(berth_clock_ms() - begin_ms < 5000 * (1 + batches / 400));
	const uint64_t again_ms = berth_clock_ms();
	stop_node(&lab->two);
	start_node(lab, &lab->two, "lb2");
	assert_true(wait_until(lab->two.synchronised, 60000, loop_for(lab->base, 1)));
	assert_int_equal(lab->two.batches, batches);
	print_message("a node that comes later is synchronised after %" PRIu64 " ms\n",
		      berth_clock_ms() - again_ms);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_node_reads_what_another_one_tells_and_not_what_it_told_itself),
		TEST(a_node_that_comes_later_or_again_reads_all_from_the_start),
		TEST(what_could_not_be_taken_and_what_follows_is_read_again),
		TEST(the_longest_batch_and_no_longer_one_is_told),
		TEST(a_stream_keeps_its_horizon),
		TEST(a_batch_that_is_read_late_has_its_age),
		TEST(a_hundred_thousand_records_arrive_soon),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
