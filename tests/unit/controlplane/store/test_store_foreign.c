// SPDX-License-Identifier: BSD-3-Clause
/* Records of two nodes, whatever others write into the store. */
#include <inttypes.h>

#include "tests/unit/controlplane/store/store_nodes.h"

static void foreign_entries_are_refused_and_counted_and_stop_nothing(void **state)
{
	struct lab *lab = *state;
	static char longest[30 << 20];
	static char batch[LONGEST + 1];
	char *fields[4000 + 3];
	start(lab);
	const char *key = "berth:shop:x:000000000000005e";
	memset(longest, 'x', sizeof(longest));
	memset(batch, 'x', sizeof(batch));
	redis_do(&lab->redis, "XADD %s * a b", key);
	redis_do(&lab->redis, "XADD %s * n lb9 e 00 c x", key);
	redis_do(&lab->redis, "XADD %s * n lb9 e 00 b %b", key, "", (size_t)0);
	redis_do(&lab->redis, "XADD %s * n lb9 e 00 b %b", key, batch, sizeof(batch));
	redis_do(&lab->redis, "XADD %s * n lb9 e 00 b x d y", key);
	redis_do(&lab->redis, "XADD %s * n lb9 e 00 b %b", key, longest, sizeof(longest));
	redis_do(&lab->redis, "XADD %s * %b x", key, longest, sizeof(longest));
	for (size_t i = 0; i < 4003; i++)
		fields[i] = (char *)"f";
	fields[0] = (char *)"XADD";
	fields[1] = (char *)key;
	fields[2] = (char *)"*";
	redisContext *context = redisConnect("127.0.0.1", lab->redis.port);
	freeReplyObject(redisCommandArgv(context, 4003, (const char **)fields, NULL));
	redisFree(context);
	redis_do(&lab->redis, "XADD %s * n lb9 e 00 b %s", key, "from a third node");
	assert_true(tell(&lab->one, SERVICE, "from lb1"));
	expect_batch(lab, &lab->two, "from lb1");
	assert_int_equal(lab->two.batches, 2);
	expect(lab, records_of(&lab->two)->refused_entries == 8 && records_of(&lab->one)->refused_entries == 8);
	assert_int_equal(lab->two.lost, 0);
	assert_int_equal(records_of(&lab->two)->failures, 0);
}

/* It is deleted when a node has something to write there. So is what is no epoch. */
static void a_key_that_is_no_stream_stops_no_other_service_and_gives_way(void **state)
{
	struct lab *lab = *state;
	redis_start(&lab->redis, no_options);
	redis_do(&lab->redis, "RPUSH berth:shop:x:000000000000005e a");
	redis_do(&lab->redis, "RPUSH berth:shop:epoch a");
	start_node(lab, &lab->one, "lb1");
	start_node(lab, &lab->two, "lb2");
	expect(lab, records_of(&lab->one)->is_synchronised && records_of(&lab->two)->is_synchronised);
	assert_true(tell(&lab->one, OTHER_SERVICE, "told"));
	expect_batch(lab, &lab->two, "told");
	expect(lab, records_of(&lab->one)->refused_entries > 0 && records_of(&lab->two)->refused_entries > 0);
	/* While nobody writes to it, it is read no more often than others: ten rounds a second. */
	const uint64_t rounds = records_of(&lab->one)->rounds;
	loop_for(lab->base, 1000);
	assert_in_range(records_of(&lab->one)->rounds - rounds, 0, 30);
	assert_true(tell(&lab->one, SERVICE, "refused"));
	expect(lab, records_of(&lab->one)->refused_batches == 1);
	expect(lab, lab->one.lost > 0 && lab->two.lost > 0);
	assert_true(tell(&lab->one, SERVICE, "told again"));
	expect_batch(lab, &lab->two, "told again");
	assert_int_equal(records_of(&lab->one)->refused_batches, 1);
	assert_int_equal(records_of(&lab->one)->failures, 0);
}

/* Ids ahead of the time: a stream that begins anew has lower ones than those that were read. */
static void a_stream_that_begins_anew_is_read_from_the_start(void **state)
{
	struct lab *lab = *state;
	start(lab);
	redis_do(&lab->redis, "XADD berth:shop:x:000000000000005e %" PRIu64 "-0 n lb9 e 00 b ahead",
		 time_ms(lab) + 1800000);
	expect_batch(lab, &lab->one, "ahead");
	assert_true(tell(&lab->one, SERVICE, "still told"));
	expect_batch(lab, &lab->two, "still told");
	redis_do(&lab->redis, "DEL berth:shop:x:000000000000005e");
	assert_true(tell(&lab->one, SERVICE, "told anew"));
	expect(lab, lab->one.lost == 1);
}

/* A stream keeps all that is written behind them for ever, and after the last id it takes no more. */
static void a_stream_with_ids_of_the_future_is_deleted_and_all_is_told_again(void **state)
{
	struct lab *lab = *state;
	start(lab);
	redis_do(&lab->redis, "XADD berth:shop:x:000000000000005e %" PRIu64 "-0 n lb9 e 00 b ahead",
		 time_ms(lab) + 2 * 3600000);
	expect_batch(lab, &lab->one, "ahead");
	assert_true(tell(&lab->one, SERVICE, "goes with it"));
	expect(lab, lab->one.lost == 1 && lab->two.lost == 1);
	assert_true(tell(&lab->one, SERVICE, "told again"));
	expect_batch(lab, &lab->two, "told again");
	assert_int_equal(redis_do(&lab->redis, "XLEN berth:shop:x:000000000000005e"), 1);
	redis_do(&lab->redis,
		 "XADD berth:shop:x:000000000000005e 18446744073709551615-18446744073709551615 n lb9 e 00 b last");
	assert_true(tell(&lab->one, SERVICE, "refused"));
	expect(lab, lab->one.lost == 2 && lab->two.lost == 2);
	assert_true(tell(&lab->one, SERVICE, "told once more"));
	expect_batch(lab, &lab->two, "told once more");
	loop_for(lab->base, 500);
	assert_int_equal(lab->one.lost, 2);
	assert_int_equal(records_of(&lab->one)->failures, 0);
}

static void a_stream_without_an_end_starves_no_other(void **state)
{
	struct lab *lab = *state;
	start(lab);
	for (int i = 0; i < 3000; i++) {
		assert_true(tell(&lab->one, SERVICE, "one of many"));
		if (i == 10)
			assert_true(tell(&lab->one, OTHER_SERVICE, "rare"));
	}
	expect(lab, lab->two.batches == 3001);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(foreign_entries_are_refused_and_counted_and_stop_nothing),
		TEST(a_key_that_is_no_stream_stops_no_other_service_and_gives_way),
		TEST(a_stream_that_begins_anew_is_read_from_the_start),
		TEST(a_stream_with_ids_of_the_future_is_deleted_and_all_is_told_again),
		TEST(a_stream_without_an_end_starves_no_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
