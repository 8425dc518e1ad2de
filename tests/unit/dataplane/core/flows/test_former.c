/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables of a former size: an entry is found there on a miss, moves once, and stays on its backend whatever another
 * worker does between any two accesses. */
#include <stdint.h>

#include "dataplane/core/atomic.h"

static bool hooked_swap(uint64_t *at, uint64_t seen, uint64_t next);
static bool real_swap(uint64_t *at, uint64_t seen, uint64_t next)
{
	return berth_swap(at, seen, next);
}
#define berth_swap hooked_swap

#include "dataplane/core/image.h"

#include "dataplane/core/session.h"
#include "tests/support/image.h"
#include "tests/support/unit.h"

enum {
	NOW = 1000000,
	AGE = 7,
	BACKEND = 1,
	SERVICE = 1,
	MAX_FORMER = 1024,
};

struct fixture {
	struct berth_image image;
	struct berth_bucket *former; /* of either table */
	struct berth_client *clients;
};

/* The other worker looks the key up before swap number `turn` of this one; -1: never. */
static struct {
	int turn;
	int swaps;
	const struct berth_view *view;
	const struct berth_key *key;
} other = {.turn = -1};

static bool hooked_swap(uint64_t *at, uint64_t seen, uint64_t next)
{
	if (other.swaps++ == other.turn) {
		struct berth_entry entry;
		other.turn = -1;
		berth_flowtab_lookup(other.view, other.key, &entry);
	}
	return real_swap(at, seen, next);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	fixture_new(&f->image, &fixture_geometry);
	fixture_service(&f->image, SERVICE, "203.0.113.10", BERTH_PROTO_TCP, 80, BERTH_AFFINITY_CLIENT);
	fixture_backend(&f->image, BACKEND, SERVICE, BERTH_MODE_L2, "192.0.2.11");
	f->former = aligned_alloc(64, MAX_FORMER * sizeof(*f->former));
	f->clients = calloc(MAX_FORMER * BERTH_BUCKET_WORDS, sizeof(*f->clients));
	memset(f->former, 0, MAX_FORMER * sizeof(*f->former));
	f->image.former_flows = f->image.former_sessions = f->former;
	f->image.former_clients = f->clients;
	other.turn = -1;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	fixture_free(&f->image);
	free(f->former);
	free(f->clients);
	free(f);
	return 0;
}

/* A view with a former table of 2^log2 buckets. */
static struct berth_view view_of(struct fixture *f, uint8_t log2, uint32_t worker)
{
	f->image.former_flow_bits = f->image.former_session_bits = log2 + 1;
	f->image.ctl->former_flow_bits = f->image.ctl->former_session_bits = log2 + 1;
	struct berth_view view = berth_image_view(&f->image, worker, NOW);
	return view;
}

/* Writes an entry as the former table had it: at home, or in its second bucket. */
static uint64_t *write_former(struct fixture *f, uint8_t log2, uint64_t hash, bool at_home, uint32_t age,
			      uint32_t state)
{
	const uint32_t mask = (1u << log2) - 1;
	const uint32_t bucket = at_home ? (uint32_t)hash & mask : berth_second_bucket(hash, mask);
	uint64_t *word = &f->former[bucket].word[3];
	*word = berth_word_make(berth_hash_tag(hash), BACKEND, NOW - age, state);
	return word;
}

static uint32_t count_words(const struct berth_bucket *table, uint32_t buckets)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < buckets * BERTH_BUCKET_WORDS; i++)
		n += table[i / BERTH_BUCKET_WORDS].word[i % BERTH_BUCKET_WORDS] != 0;
	return n;
}

static void an_entry_moves_from_a_smaller_and_from_a_larger_table_with_its_time_and_state(void **state)
{
	struct fixture *f = *state;
	const uint64_t hash = UINT64_C(0xfedcba9876543210);
	for (int i = 0; i < 40; i++) {
		const uint8_t log2 = (uint8_t)(i / 4);
		const enum berth_table table = i & 1 ? BERTH_TABLE_FLOWS : BERTH_TABLE_SESSIONS;
		const struct berth_view view = view_of(f, log2, 0);
		const struct berth_key key = berth_key_make(&view, table, SERVICE,
							    hash + (uint64_t)i * 0x9e3779b97f4a7c15);
		uint64_t *word = write_former(f, log2, hash + (uint64_t)i * 0x9e3779b97f4a7c15, i & 2, AGE,
					      BERTH_STATE_PROVEN);
		const uint64_t before = *word;
		struct berth_entry entry, again;
		berth_flowtab_lookup(&view, &key, &entry);
		assert_int_not_equal(entry.at, BERTH_NOT_FOUND);
		assert_int_equal(entry.value, before);
		assert_int_equal(*word, 0);
		berth_flowtab_find(&view, &key, &again);
		assert_int_equal(again.value, before);
	}
}

static void an_expired_entry_a_claim_and_one_of_another_service_do_not_move(void **state)
{
	struct fixture *f = *state;
	const struct berth_view view = view_of(f, 3, 0);
	struct berth_key key = berth_key_make(&view, BERTH_TABLE_FLOWS, SERVICE, 0x1234567890);
	struct berth_entry entry;
	const uint32_t timeout = fixture_service_at(&f->image, SERVICE)->timeout[BERTH_STATE_CONFIRMED];
	write_former(f, 3, 0x1234567890, true, timeout + 1, BERTH_STATE_CONFIRMED);
	berth_flowtab_lookup(&view, &key, &entry);
	assert_int_equal(entry.at, BERTH_NOT_FOUND);
	write_former(f, 3, 0x1234567890, true, 0, BERTH_STATE_CLAIMED);
	berth_flowtab_lookup(&view, &key, &entry);
	assert_int_equal(entry.at, BERTH_NOT_FOUND);
	write_former(f, 3, 0x1234567890, true, 0, BERTH_STATE_CONFIRMED);
	key.service = SERVICE + 1;
	berth_flowtab_lookup(&view, &key, &entry);
	assert_int_equal(entry.at, BERTH_NOT_FOUND);
	assert_int_equal(count_words(f->former, 8), 1);
}

static void a_former_table_that_ended_is_not_read(void **state)
{
	struct fixture *f = *state;
	struct berth_view view = view_of(f, 3, 0);
	const struct berth_key key = berth_key_make(&view, BERTH_TABLE_FLOWS, SERVICE, 0x1234567890);
	struct berth_entry entry;
	write_former(f, 3, 0x1234567890, true, 0, BERTH_STATE_PROVEN);
	f->image.ctl->former_flow_bits = 0;
	view = berth_image_view(&f->image, 0, NOW);
	berth_flowtab_lookup(&view, &key, &entry);
	assert_int_equal(entry.at, BERTH_NOT_FOUND);
}

static void a_session_moves_with_its_client_and_a_pin_keeps_an_expired_one(void **state)
{
	struct fixture *f = *state;
	const struct berth_view view = view_of(f, 3, 0);
	const struct berth_key key = berth_key_make(&view, BERTH_TABLE_SESSIONS, SERVICE, 0x1234567890);
	const uint32_t timeout = fixture_service_at(&f->image, SERVICE)->timeout[BERTH_STATE_SESSION];
	const uint64_t *word = write_former(f, 3, 0x1234567890, true, timeout + 1, BERTH_STATE_SESSION);
	const size_t at = (size_t)(word - &f->former[0].word[0]);
	struct berth_entry entry;
	f->clients[at] = (struct berth_client){.addr.half = {1, 2},
					       .since = 5,
					       .flows = 6,
					       .tag = key.tag,
					       .from = BACKEND,
					       .reason = BERTH_REASON_PINNED};
	berth_flowtab_lookup(&view, &key, &entry);
	assert_int_not_equal(entry.at, BERTH_NOT_FOUND);
	assert_memory_equal(&f->image.clients[entry.at], &f->clients[at], sizeof(f->clients[at]));
}

static void two_workers_that_move_one_entry_leave_one_on_its_backend(void **state)
{
	struct fixture *f = *state;
	for (int turn = 0; turn < 6; turn++) {
		const struct berth_view mine = view_of(f, 4, 0), theirs = view_of(f, 4, 1);
		const uint64_t hash = 0x1234567890 + (uint64_t)turn * 64;
		const struct berth_key key = berth_key_make(&mine, BERTH_TABLE_FLOWS, SERVICE, hash);
		struct berth_entry entry;
		write_former(f, 4, hash, turn & 1, AGE, BERTH_STATE_CONFIRMED);
		memset(f->image.flows, 0, f->image.geometry.flow_buckets * sizeof(*f->image.flows));
		other.turn = turn;
		other.swaps = 0;
		other.view = &theirs;
		other.key = &key;
		berth_flowtab_lookup(&mine, &key, &entry);
		assert_int_not_equal(entry.at, BERTH_NOT_FOUND);
		assert_int_equal(berth_word_backend(entry.value), BACKEND);
		assert_int_equal(count_words(f->image.flows, f->image.geometry.flow_buckets), 1);
		assert_int_equal(count_words(f->former, 16), 0);
		berth_flowtab_find(&mine, &key, &entry);
		assert_int_equal(berth_word_state(entry.value), BERTH_STATE_CONFIRMED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_entry_moves_from_a_smaller_and_from_a_larger_table_with_its_time_and_state),
		TEST(an_expired_entry_a_claim_and_one_of_another_service_do_not_move),
		TEST(a_former_table_that_ended_is_not_read),
		TEST(a_session_moves_with_its_client_and_a_pin_keeps_an_expired_one),
		TEST(two_workers_that_move_one_entry_leave_one_on_its_backend),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
