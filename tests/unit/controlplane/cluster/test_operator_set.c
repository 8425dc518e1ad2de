// SPDX-License-Identifier: BSD-3-Clause
/* What operators set on several nodes: each node ends with the same, whatever the order in which it hears of it. */
#include "tests/support/unit.h"

#include <stdlib.h>
#include <string.h>

#include "controlplane/cluster/operator_set.h"
#include "controlplane/util/address.h"

#define UNIX_MS UINT64_C(1800000000000)
#define DAY_MS (UINT64_C(24) * 3600 * 1000)

static const struct berth_operator_time now = {.monotonic_ms = 1000000, .unix_ms = UNIX_MS};

static struct berth_operator_record backend_record(enum berth_operator_kind kind, int value, uint64_t time_ms,
						   const char *node)
{
	struct berth_operator_record record = {.kind = kind, .value = (uint8_t)value, .time_ms = time_ms};
	strcpy(record.service, "web");
	strcpy(record.backend, "b1");
	strcpy(record.node, node);
	strcpy(record.by, "uid 0");
	return record;
}

static struct berth_operator_record pin_record(const char *client, const char *backend, uint64_t time_ms)
{
	struct berth_operator_record record = backend_record(BERTH_OPERATOR_PIN, 0, time_ms, "lb1");
	assert_int_equal(berth_prefix_parse(client, &record.client, &record.bits), 0);
	strcpy(record.backend, backend);
	return record;
}

static enum berth_operator_outcome merge(struct berth_operator_set *set, struct berth_operator_record record)
{
	return berth_operator_set_merge(set, &record, &now, 0);
}

static int value_of(const struct berth_operator_set *set, enum berth_operator_kind kind)
{
	const struct berth_operator_record key = backend_record(kind, 0, 0, "");
	const struct berth_operator_record *found = berth_operator_set_find(set, &key);
	return found ? found->value : -1;
}

static void the_later_of_two_commands_holds(void **state)
{
	(void)state;
	struct berth_operator_set *set = berth_operator_set_new();
	const enum berth_operator_kind admin = BERTH_OPERATOR_ADMIN;
	assert_int_equal(merge(set, backend_record(admin, BERTH_ADMIN_DRAINING, UNIX_MS, "lb1")),
			 BERTH_OPERATOR_APPLIED);
	assert_int_equal(merge(set, backend_record(admin, BERTH_ADMIN_DRAINING, UNIX_MS, "lb1")),
			 BERTH_OPERATOR_KNOWN);
	assert_int_equal(merge(set, backend_record(admin, BERTH_ADMIN_DISABLED, UNIX_MS - 1, "lb2")),
			 BERTH_OPERATOR_OLDER);
	assert_int_equal(value_of(set, admin), BERTH_ADMIN_DRAINING);
	/* Of two in one millisecond that of the node with the later name. */
	assert_int_equal(merge(set, backend_record(admin, BERTH_ADMIN_ENABLED, UNIX_MS, "lb2")),
			 BERTH_OPERATOR_APPLIED);
	assert_int_equal(value_of(set, admin), BERTH_ADMIN_ENABLED);
	/* Whichever comes first. */
	assert_int_equal(merge(set, backend_record(admin, BERTH_ADMIN_DRAINING, UNIX_MS, "lb1")),
			 BERTH_OPERATOR_OLDER);
	assert_int_equal(value_of(set, admin), BERTH_ADMIN_ENABLED);
	/* Another thing of the same backend. */
	assert_int_equal(merge(set, backend_record(BERTH_OPERATOR_HEALTH, BERTH_FORCED_UP, 1, "lb3")),
			 BERTH_OPERATOR_APPLIED);
	assert_int_equal(value_of(set, admin), BERTH_ADMIN_ENABLED);
	assert_int_equal(berth_operator_set_count(set), 2);
	berth_operator_set_free(set);
}

/* A command that follows another one holds, although the clock of its node is behind. */
static void a_slow_clock_does_not_lose_a_command(void **state)
{
	(void)state;
	struct berth_operator_set *set = berth_operator_set_new();
	struct berth_operator_record record = backend_record(BERTH_OPERATOR_ADMIN, BERTH_ADMIN_DRAINING,
							     UNIX_MS + 60000, "lb1");
	merge(set, record);
	record = backend_record(BERTH_OPERATOR_ADMIN, BERTH_ADMIN_ENABLED, 0, "lb0");
	record.time_ms = berth_operator_set_time(set, &record, UNIX_MS);
	assert_int_equal(merge(set, record), BERTH_OPERATOR_APPLIED);
	assert_int_equal(value_of(set, BERTH_OPERATOR_ADMIN), BERTH_ADMIN_ENABLED);
	berth_operator_set_free(set);
}

/* It would hold against all later ones. */
static void a_record_of_the_future_is_refused(void **state)
{
	(void)state;
	struct berth_operator_set *set = berth_operator_set_new();
	assert_int_equal(merge(set, backend_record(BERTH_OPERATOR_ADMIN, BERTH_ADMIN_DISABLED,
						   UNIX_MS + BERTH_OPERATOR_AHEAD_MS + 1, "lb1")),
			 BERTH_OPERATOR_REFUSED);
	assert_int_equal(merge(set, backend_record(BERTH_OPERATOR_ADMIN, BERTH_ADMIN_DISABLED, INT64_MAX, "lb1")),
			 BERTH_OPERATOR_REFUSED);
	assert_int_equal(berth_operator_set_count(set), 0);
	berth_operator_set_free(set);
}

static bool keep(void *arg, const struct berth_operator_record *record)
{
	return strcmp(record->service, arg) == 0;
}

static void the_end_of_a_pin_is_remembered_for_a_time(void **state)
{
	(void)state;
	struct berth_operator_set *set = berth_operator_set_new();
	merge(set, pin_record("198.51.100.7", "b1", UNIX_MS - 2 * DAY_MS));
	assert_int_equal(merge(set, pin_record("198.51.100.7", "", UNIX_MS - DAY_MS)), BERTH_OPERATOR_APPLIED);
	assert_int_equal(merge(set, pin_record("198.51.100.7", "b1", UNIX_MS - 2 * DAY_MS)), BERTH_OPERATOR_OLDER);
	merge(set, pin_record("2001:db8::7", "b1", UNIX_MS - 40 * DAY_MS));
	assert_int_equal(merge(set, pin_record("2001:db8::8", "", UNIX_MS - 40 * DAY_MS)), BERTH_OPERATOR_OLDER);
	berth_operator_set_sweep(set, UNIX_MS, keep, "web");
	assert_int_equal(berth_operator_set_count(set), 2);
	berth_operator_set_sweep(set, UNIX_MS + 30 * DAY_MS, keep, "web");
	assert_int_equal(berth_operator_set_count(set), 1);
	berth_operator_set_sweep(set, UNIX_MS, keep, "other");
	assert_int_equal(berth_operator_set_count(set), 0);
	berth_operator_set_free(set);
}

/* --- any order --- */

enum {
	RECORDS = 120,
	ORDERS = 1000,
};

static struct berth_operator_record any_record(void)
{
	static const char *const nodes[] = {"lb1", "lb2", "lb3"}, *const backends[] = {"b1", "b2", ""};
	const uint64_t time_ms = UNIX_MS - (uint64_t)(rand() % 8);
	struct berth_operator_record record;
	char client[32];
	if (rand() % 2) {
		snprintf(client, sizeof(client), "198.51.100.%d", rand() % 4);
		record = pin_record(client, backends[rand() % 3], time_ms);
	} else {
		record = backend_record(rand() % 2 ? BERTH_OPERATOR_ADMIN : BERTH_OPERATOR_HEALTH, rand() % 3,
					time_ms, "lb1");
		record.until_s = record.kind == BERTH_OPERATOR_ADMIN ? rand() % 3 : 0;
	}
	strcpy(record.node, nodes[rand() % 3]);
	return record;
}

struct same {
	const struct berth_operator_set *other;
	size_t n;
};

static void expect_in_other(void *arg, const struct berth_operator_record *record)
{
	struct same *same = arg;
	const struct berth_operator_record *found = berth_operator_set_find(same->other, record);
	assert_non_null(found);
	assert_int_equal(berth_operator_record_compare_age(record, found), 0);
	same->n++;
}

static void all_orders_lead_to_the_same_set(void **state)
{
	(void)state;
	struct berth_operator_record records[RECORDS];
	struct berth_operator_set *first = NULL;
	srand(1);
	for (int i = 0; i < RECORDS; i++)
		records[i] = any_record();
	for (int order = 0; order < ORDERS; order++) {
		struct berth_operator_set *set = berth_operator_set_new();
		struct same same = {.other = set};
		for (int i = 0; i < RECORDS; i++) { /* each at least once: what is behind `i` comes in its turn */
			const int other = i + rand() % (RECORDS - i);
			const struct berth_operator_record record = records[other];
			records[other] = records[i];
			records[i] = record;
			merge(set, record);
			merge(set, records[rand() % RECORDS]);
		}
		if (!first) {
			first = set;
			continue;
		}
		berth_operator_set_for_each(first, expect_in_other, &same);
		assert_int_equal(same.n, berth_operator_set_count(set));
		berth_operator_set_free(set);
	}
	assert_true(berth_operator_set_count(first) >= 6);
	berth_operator_set_free(first);
}

/* --- batches --- */

struct told {
	struct berth_operator_set *to;
	size_t batches;
	bool is_full;
};

static bool tell(void *arg, const uint8_t *batch, size_t bytes)
{
	struct told *told = arg;
	struct berth_operator_record records[BERTH_OPERATOR_BATCH];
	uint64_t refused;
	if (told->is_full)
		return false;
	const size_t n = berth_operator_batch_read(batch, bytes, records, &refused);
	assert_int_equal(refused, 0);
	assert_true(n > 0);
	for (size_t i = 0; i < n; i++)
		merge(told->to, records[i]);
	told->batches++;
	return true;
}

static void what_is_told_is_the_same_on_the_other_node(void **state)
{
	(void)state;
	struct berth_operator_set *set = berth_operator_set_new();
	struct told told = {.to = berth_operator_set_new(), .is_full = true};
	struct same same = {.other = told.to};
	char client[32];
	struct berth_operator_record local = pin_record("198.51.100.200", "b1", UNIX_MS);
	for (int i = 0; i < 100; i++) {
		snprintf(client, sizeof(client), i % 2 ? "198.51.100.%d" : "2001:db8:0:%x::/64", i);
		merge(set, pin_record(client, i % 3 ? "b1" : "", UNIX_MS));
	}
	merge(set, backend_record(BERTH_OPERATOR_HEALTH, BERTH_FORCED_DOWN, UNIX_MS, "lb1"));
	assert_int_equal(berth_operator_set_tell(set, now.monotonic_ms, tell, &told), 0);
	told.is_full = false;
	assert_int_equal(berth_operator_set_tell(set, now.monotonic_ms, tell, &told), 101);
	assert_int_equal(told.batches, 7);
	berth_operator_set_for_each(set, expect_in_other, &same);
	assert_int_equal(same.n, 101);
	/* Once, and again after a long time or a loss; and never what is of one node alone. */
	assert_int_equal(berth_operator_set_tell(set, now.monotonic_ms + 1000, tell, &told), 0);
	assert_int_equal(berth_operator_set_tell(set, now.monotonic_ms + BERTH_OPERATOR_AGAIN_MS, tell, &told),
			 101);
	local.is_local = true;
	merge(set, local);
	berth_operator_set_tell_again(set, now.monotonic_ms, 500);
	assert_int_equal(berth_operator_set_tell(set, now.monotonic_ms + 499, tell, &told), 0);
	assert_int_equal(berth_operator_set_tell(set, now.monotonic_ms + 500, tell, &told), 101);
	berth_operator_set_free(told.to);
	berth_operator_set_free(set);
}

static size_t read_text(const char *text, uint64_t *refused)
{
	struct berth_operator_record records[BERTH_OPERATOR_BATCH];
	return berth_operator_batch_read((const uint8_t *)text, strlen(text), records, refused);
}

#define VALID                                                                                                      \
	"{\"set\":\"admin\",\"time_ms\":1,\"node\":\"lb1\",\"by\":\"uid "                                          \
	"0\",\"service\":\"web\",\"backend\":\"b1\","                                                              \
	"\"value\":\"draining\"}"

static void hostile_batches_are_refused(void **state)
{
	(void)state;
	static const char *const wrong[][2] = {
		{"\"admin\"", "\"root\""},
		{"\"time_ms\":1", "\"time_ms\":-1"},
		{"\"time_ms\":1", "\"time_ms\":\"1\""},
		{"\"lb1\"", "\"lb 1\\n\""},
		{"\"lb1\"", "\"\""},
		{"uid 0", "root\\nALARM"},
		{"uid 0", "a user with a name that is far too long"},
		{"\"web\"", "7"},
		{"\"b1\"", "\"\""},
		{"draining", "gone"},
		{"\"draining\"", "1"},
		{"\"draining\"", "\"draining\",\"until_s\":-4"},
		{"\"draining\"", "\"draining\",\"local\":true"},
		{"\"admin\"", "\"pin\""},
		{"\"admin\"", "\"pin\",\"client\":\"nobody\""},
	};
	char text[1000];
	uint64_t refused;
	assert_int_equal(read_text("[" VALID "," VALID "]", &refused), 2);
	assert_int_equal(refused, 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *at = strstr(VALID, wrong[i][0]);
		snprintf(text, sizeof(text), "[%.*s%s%s]", (int)(at - VALID), VALID, wrong[i][1],
			 at + strlen(wrong[i][0]));
		if (read_text(text, &refused) != 0 || refused != 1)
			fail_msg("not refused: %s", text);
	}
	assert_int_equal(read_text("", &refused), 0);
	assert_int_equal(refused, 1);
	assert_int_equal(read_text("{}", &refused), 0);
	assert_int_equal(refused, 1);
	assert_int_equal(read_text("[1,2,[]]", &refused), 0);
	assert_int_equal(refused, 3);
	assert_int_equal(read_text("[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", &refused), 0);
	assert_int_equal(refused, 1);
}

static void the_set_is_bounded(void **state)
{
	(void)state;
	struct berth_operator_set *set = berth_operator_set_new();
	struct berth_operator_record record = pin_record("2001:db8::", "b1", UNIX_MS);
	for (uint32_t i = 0; i < BERTH_OPERATOR_MOST; i++) {
		memcpy(&record.client.byte[12], &i, sizeof(i));
		assert_int_equal(merge(set, record), BERTH_OPERATOR_APPLIED);
	}
	assert_int_equal(merge(set, pin_record("198.51.100.1", "b1", UNIX_MS)), BERTH_OPERATOR_NO_ROOM);
	record.time_ms++;
	assert_int_equal(merge(set, record), BERTH_OPERATOR_APPLIED);
	berth_operator_set_free(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_later_of_two_commands_holds),
		cmocka_unit_test(a_slow_clock_does_not_lose_a_command),
		cmocka_unit_test(a_record_of_the_future_is_refused),
		cmocka_unit_test(the_end_of_a_pin_is_remembered_for_a_time),
		cmocka_unit_test(all_orders_lead_to_the_same_set),
		cmocka_unit_test(what_is_told_is_the_same_on_the_other_node),
		cmocka_unit_test(hostile_batches_are_refused),
		cmocka_unit_test(the_set_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
