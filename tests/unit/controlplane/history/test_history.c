// SPDX-License-Identifier: BSD-3-Clause
/* The index of the configurations that were in force: what is written is read, and what cannot be one is set aside.
 */
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/history/digest.h"
#include "controlplane/history/history.h"
#include "controlplane/util/file.h"

#define INDEX "config-history.json"
#define ENTRY(number)                                                                                              \
	"{\"number\": " number                                                                                     \
	", \"unix_s\": 1, \"uid\": 0, \"text_digest\": \"0123456789abcdef\", \"what\": \"w\", "                    \
	"\"change\": \"c\"}"
#define HISTORY(entries, more) "{\"format\": 1, \"entries\": [" entries "]" more "}"
#define WAITS(former, seconds)                                                                                     \
	", \"confirmation\": {\"former\": " former ", \"until_s\": 9, \"seconds\": " seconds ", \"is_saved\": "    \
	"true}"

struct rig {
	char dir[64];
	struct berth_saved_directory directory;
	struct berth_history history;
};

static int set_up(void **state)
{
	char error[BERTH_ERROR_BYTES];
	struct rig *rig = calloc(1, sizeof(*rig));
	assert_non_null(rig);
	strcpy(rig->dir, "/tmp/berth-test-history-XXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	assert_int_equal(berth_saved_directory_open(&rig->directory, rig->dir, "test", error), 0);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;
	char command[128];
	snprintf(command, sizeof(command), "rm -r %s", rig->dir);
	assert_int_equal(system(command), 0);
	free(rig);
	return 0;
}

static void read_index(struct rig *rig, const char *text, size_t entries)
{
	char error[BERTH_ERROR_BYTES] = "";
	assert_int_equal(berth_saved_write(&rig->directory, INDEX, text, error), 0);
	berth_history_read(&rig->history, &rig->directory, error);
	if (rig->history.n != entries || !error[0] != (entries > 0))
		fail_msg("%s: %zu entries, \"%s\"", text, rig->history.n, error);
}

static void entries_are_read_as_they_were_written(void **state)
{
	struct rig *rig = *state;
	char error[BERTH_ERROR_BYTES] = "", text[32];
	size_t length;
	for (uint32_t i = 1; i <= BERTH_HISTORY_ENTRIES + 3; i++) {
		snprintf(text, sizeof(text), "# %u\n", i);
		const struct berth_history_entry entry = {.unix_s = 100 + i,
							  .uid = -1,
							  .digest = berth_digest_of(text, strlen(text)),
							  .what = "test"};
		assert_int_equal(berth_history_add(&rig->history, &rig->directory, &entry, text, error), 0);
	}
	struct berth_history read;
	berth_history_read(&read, &rig->directory, error);
	assert_string_equal(error, "");
	assert_int_equal(read.n, BERTH_HISTORY_ENTRIES);
	for (size_t i = 0; i < read.n; i++) {
		const struct berth_history_entry *one = &read.entries[i], *other = &rig->history.entries[i];
		assert_int_equal(one->number, other->number);
		assert_int_equal(one->unix_s, other->unix_s);
		assert_int_equal(one->uid, other->uid);
		assert_true(one->digest == other->digest);
		assert_string_equal(one->what, other->what);
	}
	assert_int_equal(read.entries[0].number, 4);
	char *first = berth_history_text(&rig->directory, &read.entries[0], &length, error);
	assert_string_equal(first, "# 4\n");
	free(first);
	assert_int_equal(berth_history_back(&read, 0)->number, BERTH_HISTORY_ENTRIES + 3);
	assert_null(berth_history_back(&read, BERTH_HISTORY_ENTRIES));
}

static void an_index_that_cannot_be_one_is_set_aside(void **state)
{
	char many[8192] = "{\"format\": 1, \"entries\": [";
	for (unsigned int i = 1; i <= BERTH_HISTORY_ENTRIES + 1; i++) {
		const size_t used = strlen(many);
		snprintf(many + used, sizeof(many) - used,
			 "%s{\"number\": %u, \"unix_s\": 1, \"uid\": 0, \"text_digest\": \"0123456789abcdef\", "
			 "\"what\": "
			 "\"w\", \"change\": \"c\"}",
			 i > 1 ? ", " : "", i);
	}
	strcat(many, "]}");
	read_index(*state, HISTORY(ENTRY("3") ", " ENTRY("4"), ""), 2);
	read_index(*state, HISTORY(ENTRY("3") ", " ENTRY("5"), ""), 0);
	read_index(*state, HISTORY(ENTRY("3") ", " ENTRY("3"), ""), 0);
	read_index(*state, HISTORY(ENTRY("0"), ""), 0);
	read_index(*state, HISTORY(ENTRY("4294967296"), ""), 0);
	read_index(*state, "{\"format\": 2, \"entries\": [" ENTRY("1") "]}", 0);
	read_index(*state, many, 0);
}

static void a_confirmation_that_cannot_be_one_is_set_aside(void **state)
{
	struct rig *rig = *state;
	read_index(rig, HISTORY(ENTRY("3") ", " ENTRY("4"), WAITS("3", "60")), 2);
	assert_int_equal(rig->history.confirmation.former, 3);
	assert_true(rig->history.confirmation.is_saved);
	read_index(rig, HISTORY(ENTRY("3") ", " ENTRY("4"), WAITS("2", "60")), 0);
	assert_int_equal(rig->history.confirmation.former, 0);
	read_index(rig, HISTORY(ENTRY("3") ", " ENTRY("4"), WAITS("3", "0")), 0);
}

/* A clock that is set back does not make the time longer. */
static void a_clock_makes_no_more_time_for_a_confirmation(void **state)
{
	const struct berth_history_confirmation waits = {.former = 1, .until_s = 1000, .seconds = 60}, none = {0};
	(void)state;
	assert_int_equal(berth_history_left(&waits, 990), 10);
	assert_int_equal(berth_history_left(&waits, 940), 60);
	assert_int_equal(berth_history_left(&waits, 0), 60);
	assert_int_equal(berth_history_left(&waits, 1000), 0);
	assert_int_equal(berth_history_left(&none, -1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(entries_are_read_as_they_were_written),
		TEST(an_index_that_cannot_be_one_is_set_aside),
		TEST(a_confirmation_that_cannot_be_one_is_set_aside),
		TEST(a_clock_makes_no_more_time_for_a_confirmation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
