// SPDX-License-Identifier: BSD-3-Clause
/* Which sizes the tables in use can get: what cannot be done is refused with its reason before anything changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "controlplane/engine/kept.h"

/* Flows in tables of `has` and `former` buckets; the sessions stay as they are. */
static int check(uint32_t has, uint32_t former, uint64_t words, uint32_t wanted, enum berth_record_engine kind,
		 const char *reason)
{
	char error[BERTH_ERROR_BYTES] = "";
	const struct berth_record record = {
		.engine = BERTH_RECORD_XDP,
		.flow_buckets = has,
		.former_flow_buckets = former,
		.session_buckets = 64,
		.flow_words = words,
	};
	const struct berth_geometry geometry = {.flow_buckets = wanted, .session_buckets = 64};
	int err = berth_kept_check(&record, kind, &geometry, error);
	if (!strstr(error, reason))
		fail_msg("\"%s\" does not say \"%s\"", error, reason);
	return err;
}

static void tables_get_any_size_that_has_room_for_their_words(void **state)
{
	(void)state;
	assert_int_equal(check(64, 0, 384, 64, BERTH_RECORD_XDP, ""), 0);
	assert_int_equal(check(64, 0, 384, 4096, BERTH_RECORD_XDP, ""), 0);
	assert_int_equal(check(64, 0, 96, 16, BERTH_RECORD_XDP, ""), 0);
	assert_int_equal(check(64, 0, 97, 16, BERTH_RECORD_XDP,
			       "97 entries cannot change its size: its entries "
			       "would not find room"),
			 -ENOSPC);
}

static void a_third_size_needs_room_in_a_smaller_former_table(void **state)
{
	(void)state;
	/* Back to the former size; to another one from a larger former table, and from a smaller one. */
	assert_int_equal(check(64, 16, 96, 16, BERTH_RECORD_XDP, ""), 0);
	assert_int_equal(check(64, 256, 300, 128, BERTH_RECORD_XDP, ""), 0);
	assert_int_equal(check(64, 16, 96, 256, BERTH_RECORD_XDP, ""), 0);
	assert_int_equal(check(64, 16, 97, 256, BERTH_RECORD_XDP, "try again when the log says"), -ENOSPC);
	assert_int_equal(check(64, 16, 97, 64, BERTH_RECORD_XDP, ""), 0);
}

static void the_engine_and_the_sizes_change_one_after_the_other(void **state)
{
	(void)state;
	assert_int_equal(check(64, 0, 10, 64, BERTH_RECORD_DPDK, ""), 0);
	assert_int_equal(check(64, 0, 10, 128, BERTH_RECORD_DPDK, "together with `engine`"), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_get_any_size_that_has_room_for_their_words),
		cmocka_unit_test(a_third_size_needs_room_in_a_smaller_former_table),
		cmocka_unit_test(the_engine_and_the_sizes_change_one_after_the_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
