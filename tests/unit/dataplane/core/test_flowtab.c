// SPDX-License-Identifier: BSD-3-Clause
/* flowtab.h: words, buckets, victims. One thread; tests/reference and tests/stress have the races. */
#include "tests/diff/random.h"
#include "tests/unit/dataplane/core/image.h"

enum {
	SERVICE = 1,
	OTHER_SERVICE = 2,
	BACKEND = 1, /* 1 to 9 are of the service */
	OTHER_BACKEND = 10,
	TAG = 0x0abcdef,
	WORDS = BERTH_BUCKET_WORDS,
};

static struct berth_view view;
static struct berth_key key;

static int set_up(void **state)
{
	set_up_image(state);
	fixture_service(&image, SERVICE, "203.0.113.10", BERTH_PROTO_TCP, 80, BERTH_AFFINITY_FLOW);
	fixture_service(&image, OTHER_SERVICE, "203.0.113.11", BERTH_PROTO_TCP, 80, BERTH_AFFINITY_FLOW);
	for (uint32_t i = 1; i < OTHER_BACKEND; i++)
		fixture_backend(&image, i, SERVICE, BERTH_MODE_L2, "192.0.2.1");
	fixture_backend(&image, OTHER_BACKEND, OTHER_SERVICE, BERTH_MODE_L2, "192.0.2.10");
	view = fixture_view(&image, FIXTURE_NOW);
	key = berth_key_make(&view, BERTH_TABLE_FLOWS, SERVICE, (uint64_t)TAG << BERTH_TAG_SHIFT | 5);
	return 0;
}

/* The j-th word of the key's i-th bucket, and of both counted through. */
static uint64_t *word_at(uint32_t n)
{
	return &image.flows[key.bucket[n / WORDS]].word[n % WORDS];
}

static struct berth_entry find(void)
{
	struct berth_entry entry;
	berth_flowtab_lookup(&view, &key, &entry);
	return entry;
}

static struct berth_entry insert(uint32_t backend, int *evicted)
{
	struct berth_entry entry;
	*evicted = berth_flowtab_insert(&view, &key, backend, BERTH_STATE_UNCONFIRMED, &entry);
	return entry;
}

/* Fills both buckets with words of other flows in that state, last seen `age` seconds ago. */
static void fill(enum berth_state state, uint32_t age)
{
	for (uint32_t n = 0; n < 2 * WORDS; n++)
		*word_at(n) = berth_word_make(0x100 + n, BACKEND, FIXTURE_NOW - age, state);
}

static void check_place(const struct berth_entry *entry, uint32_t n)
{
	assert_int_equal(entry->at, key.bucket[n / WORDS] * WORDS + n % WORDS);
	assert_int_equal(entry->value, *word_at(n));
}

static void a_word_has_the_fields_that_it_was_made_of(void **state)
{
	(void)state;
	assert_int_equal(berth_word_make(0xfffffff, 0xffff, 0x1ffff, 7), UINT64_MAX);
	assert_int_equal(berth_word_make(1, 0, 0, 0), UINT64_C(1) << 36);
	assert_int_equal(berth_word_make(0, 1, 0, 0), UINT64_C(1) << 20);
	assert_int_equal(berth_word_make(0, 0, 1, 0), UINT64_C(1) << 3);
	assert_int_equal(berth_word_make(0, 0, 0x20000, 0), 0); /* a time above 17 bits changes no other field */
	uint64_t word = berth_word_make(0x5a5a5a5, 0xbeef, 0x1abcd, BERTH_STATE_CLOSING);
	assert_int_equal(berth_word_tag(word), 0x5a5a5a5);
	assert_int_equal(berth_word_backend(word), 0xbeef);
	assert_int_equal(berth_word_state(word), BERTH_STATE_CLOSING);
	assert_int_equal(berth_word_age(word, 0x1abcd + 9), 9);
}

static void a_touch_changes_only_state_and_second(void **state)
{
	(void)state;
	uint64_t word = berth_word_make(0xfffffff, 0xffff, 100, BERTH_STATE_UNCONFIRMED);
	assert_int_equal(berth_word_touch(word, 105, BERTH_STATE_CLOSING),
			 berth_word_make(0xfffffff, 0xffff, 105, BERTH_STATE_CLOSING));
	assert_int_equal(berth_word_touch(word, 100, BERTH_STATE_CLOSING),
			 berth_word_make(0xfffffff, 0xffff, 100, BERTH_STATE_CLOSING));
	/* A worker with a slow clock does not decrease the word's time. */
	assert_int_equal(berth_word_touch(word, 99, BERTH_STATE_CLOSING),
			 berth_word_make(0xfffffff, 0xffff, 100, BERTH_STATE_CLOSING));
}

/* dpvs f9e7422e: timers were wrong after 524 s; haproxy 8f28dbee: a clock of 0 hung. Here the clock wraps every 36
 * hours. */
static void ages_are_right_over_many_wraps_of_the_clock(void **state)
{
	(void)state;
	static const uint32_t starts[] = {0,	   1,	       0x1fffe,	   0x1ffff,   0x20000,
					  0x3ffff, 0x7fffffff, 0xfffe0000, 0xffffffff};
	static const uint32_t ages[] = {
		0, 1, 59, 3600, 36000, 65535, 65536, BERTH_MAX_TIMEOUT, BERTH_MAX_TIMEOUT + 36000};
	for (size_t i = 0; i < COUNT(starts); i++) {
		uint64_t word = berth_word_make(TAG, BACKEND, starts[i], BERTH_STATE_CONFIRMED);
		for (size_t j = 0; j < COUNT(ages); j++)
			assert_int_equal(berth_word_age(word, starts[i] + ages[j]), ages[j]);
	}
}

/* haproxy b02b8453, 09bf1162: the clock of another thread was used. Readers take the time once per burst or slice
 * of a scan, so a word that another worker touched since is ahead. */
static void a_word_ahead_of_the_readers_clock_has_age_0(void **state)
{
	(void)state;
	const struct berth_service *service = fixture_service_at(&image, SERVICE);
	static const uint32_t starts[] = {0, 1, 0x20000, FIXTURE_NOW};
	for (size_t i = 0; i < COUNT(starts); i++) {
		for (uint32_t ahead = 1; ahead < BERTH_SEEN_AHEAD; ahead *= 2) {
			uint64_t word = berth_word_make(TAG, BACKEND, starts[i] + ahead, BERTH_STATE_CONFIRMED);
			assert_int_equal(berth_word_age(word, starts[i]), 0);
			assert_false(berth_word_is_expired(word, starts[i], service));
		}
	}
}

static void every_state_expires_after_its_own_timeout_and_not_before(void **state)
{
	(void)state;
	struct berth_service *service = fixture_service_at(&image, SERVICE);
	for (uint32_t s = BERTH_STATE_CLAIMED; s < BERTH_STATE_COUNT; s++)
		service->timeout[s] = 10 * (s + 1);
	service->timeout[BERTH_STATE_SESSION] = BERTH_MAX_TIMEOUT;
	for (uint32_t s = BERTH_STATE_CLAIMED; s < BERTH_STATE_COUNT; s++) {
		uint64_t word = s == BERTH_STATE_CLAIMED ? berth_word_claim(TAG, BACKEND, FIXTURE_NOW, 255)
							 : berth_word_make(TAG, BACKEND, FIXTURE_NOW, s);
		uint32_t timeout = service->timeout[s];
		/* Seen late in its second and read early in another, it is a second younger than it seems: it is
		 * kept through the second in which its time is up. */
		assert_false(berth_word_is_expired(word, FIXTURE_NOW, service));
		assert_false(berth_word_is_expired(word, FIXTURE_NOW + timeout, service));
		assert_true(berth_word_is_expired(word, FIXTURE_NOW + timeout + 1, service));
	}
}

static void the_two_buckets_of_a_key_differ_and_are_in_the_table(void **state)
{
	(void)state;
	uint64_t hash = 0;
	for (uint32_t i = 0; i < 100000; i++) {
		struct berth_view wide = view;
		wide.flow_mask = (2u << i % 28) - 1;
		wide.session_mask = 1;
		hash = hash * UINT64_C(6364136223846793005) + 1442695040888963407;
		struct berth_key flow = berth_key_make(&wide, BERTH_TABLE_FLOWS, SERVICE, hash);
		assert_int_not_equal(flow.bucket[0], flow.bucket[1]);
		assert_in_range(flow.bucket[0], 0, wide.flow_mask);
		assert_in_range(flow.bucket[1], 0, wide.flow_mask);
		assert_int_equal(flow.tag, hash >> 36);
		struct berth_key session = berth_key_make(&wide, BERTH_TABLE_SESSIONS, SERVICE, hash);
		assert_int_equal(session.bucket[0] + session.bucket[1], 1);
	}
}

/* A scan, without addresses, computes the key's other bucket from a word and its place. */
static void the_second_bucket_is_computed_from_the_home_bucket_and_the_tag(void **state)
{
	(void)state;
	uint64_t tag = UINT64_C(0x0f00ba5) << BERTH_TAG_SHIFT;
	for (uint64_t home = 0; home <= view.flow_mask; home++) {
		struct berth_key there = berth_key_make(&view, BERTH_TABLE_FLOWS, SERVICE, tag | home);
		struct berth_key back = berth_key_make(&view, BERTH_TABLE_FLOWS, SERVICE, tag | there.bucket[1]);
		assert_int_equal(back.bucket[1], home);
	}
}

static void an_empty_table_has_no_entry(void **state)
{
	(void)state;
	assert_int_equal(find().at, BERTH_NOT_FOUND);
	key.tag = 0; /* which a free word has, too */
	assert_int_equal(find().at, BERTH_NOT_FOUND);
}

static void an_entry_is_found_in_every_word_of_both_buckets(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < 2 * WORDS; n++) {
		fill(BERTH_STATE_CONFIRMED, 0);
		*word_at(n) = berth_word_make(TAG, 7, FIXTURE_NOW, BERTH_STATE_CLOSING);
		struct berth_entry entry = find();
		check_place(&entry, n);
		assert_int_equal(berth_word_backend(entry.value), 7);
	}
}

static void a_word_matches_by_its_tag_and_a_backend_of_the_same_service(void **state)
{
	(void)state;
	fixture_backend_at(&image, 8)->id = 0; /* removed */
	static const struct {
		const char *name;
		uint32_t tag, backend;
		bool matches;
	} cases[] = {
		{"same", TAG, BACKEND, true},
		{"another backend of the service", TAG, 2, true},
		{"tag differs in its lowest bit", TAG ^ 1, BACKEND, false},
		{"tag differs in its highest bit", TAG ^ 1 << 27, BACKEND, false},
		{"backend of another service", TAG, OTHER_BACKEND, false},
		{"backend that was removed", TAG, 8, false},
		{"backend number never given", TAG, 60, false},
		{"backend number past the table", TAG, 64, false},
		{"largest backend number", TAG, 65535, false},
		{"backend 0", TAG, 0, false},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		*word_at(3) = berth_word_make(cases[i].tag, cases[i].backend, FIXTURE_NOW, BERTH_STATE_CONFIRMED);
		if ((find().at != BERTH_NOT_FOUND) != cases[i].matches)
			fail_msg("%s", cases[i].name);
	}
}

/* Every set of words with the key's tag, all but the last of other services. */
static void words_of_other_services_with_the_same_tag_are_skipped(void **state)
{
	(void)state;
	for (uint32_t set = 1; set < 1 << WORDS; set++) {
		uint32_t last = 0;
		memset(image.flows, 0, sizeof(*image.flows) * image.geometry.flow_buckets);
		for (uint32_t n = 0; n < WORDS; n++) {
			if (set & 1 << n) {
				*word_at(n) = berth_word_make(TAG, OTHER_BACKEND, FIXTURE_NOW,
							      BERTH_STATE_CONFIRMED);
				last = n;
			}
		}
		assert_int_equal(find().at, BERTH_NOT_FOUND);
		*word_at(last) = berth_word_make(TAG, 2, FIXTURE_NOW, BERTH_STATE_CONFIRMED);
		struct berth_entry entry = find();
		check_place(&entry, last);
	}
}

static void a_settled_word_is_found_before_a_claim(void **state)
{
	(void)state;
	*word_at(2) = berth_word_claim(TAG, 2, FIXTURE_NOW, 0);
	*word_at(4) = berth_word_claim(TAG, 3, FIXTURE_NOW, 1);
	struct berth_entry entry = find();
	check_place(&entry, 2);
	*word_at(12) = berth_word_make(TAG, 4, FIXTURE_NOW, BERTH_STATE_UNCONFIRMED);
	entry = find();
	check_place(&entry, 12);
}

/* Fills one of the key's buckets with half-open words, except `free` words from `first` on. */
static void fill_bucket(uint32_t which, uint32_t first, uint32_t free)
{
	for (uint32_t i = 0; i < WORDS; i++) {
		uint32_t n = which * WORDS + (first + i) % WORDS;
		*word_at(n) = i < free ? 0
				       : berth_word_make(0x100 + n, BACKEND, FIXTURE_NOW - 9,
							 BERTH_STATE_UNCONFIRMED);
	}
}

static void an_entry_goes_to_its_home_bucket_until_one_word_is_free_then_to_the_emptier(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 9 * 9 * WORDS; i++) {
		uint32_t first = i % WORDS, used[2] = {i / WORDS % 9, i / WORDS / 9};
		int evicted;
		if (used[0] == WORDS && used[1] == WORDS)
			continue;
		fill_bucket(0, first, WORDS - used[0]);
		fill_bucket(1, first, WORDS - used[1]);
		uint32_t bucket = used[0] >= BERTH_HOME_WORDS && used[1] < used[0];
		uint32_t n = bucket * WORDS;
		while (*word_at(n) != 0)
			n++;
		struct berth_entry entry = insert(3, &evicted);
		check_place(&entry, n);
		assert_int_equal(evicted, 0);
		assert_int_equal(entry.value, berth_word_make(TAG, 3, FIXTURE_NOW, BERTH_STATE_UNCONFIRMED));
	}
}

struct victim {
	const char *name;
	enum berth_state state;
	uint32_t age;
	bool goes;
	bool evicted; /* an entry was evicted */
};

static const struct victim victims[] = {
	{"unconfirmed, just seen", BERTH_STATE_UNCONFIRMED, 0, true, true},
	{"unconfirmed", BERTH_STATE_UNCONFIRMED, 10, true, true},
	{"unconfirmed, expired", BERTH_STATE_UNCONFIRMED, 11, true, false},
	{"confirmed, recent", BERTH_STATE_CONFIRMED, BERTH_RECENT_S, false, false},
	{"confirmed, not recent", BERTH_STATE_CONFIRMED, BERTH_RECENT_S + 1, true, true},
	{"confirmed, expired", BERTH_STATE_CONFIRMED, 3601, true, false},
	{"proven", BERTH_STATE_PROVEN, 3600, false, false},
	{"proven, expired", BERTH_STATE_PROVEN, 3601, true, false},
	{"closing, recent", BERTH_STATE_CLOSING, BERTH_RECENT_S, false, false},
	{"closing, not recent", BERTH_STATE_CLOSING, BERTH_RECENT_S + 1, true, true},
	{"closing, expired", BERTH_STATE_CLOSING, 241, true, false},
	{"closed, recent", BERTH_STATE_CLOSED, BERTH_RECENT_S, false, false},
	{"closed, not recent", BERTH_STATE_CLOSED, BERTH_RECENT_S + 1, true, true},
	{"closed, expired", BERTH_STATE_CLOSED, 31, true, false},
	{"session", BERTH_STATE_SESSION, 10800, false, false},
	{"session, expired", BERTH_STATE_SESSION, 10801, true, false},
	{"fragment, just seen", BERTH_STATE_FRAGMENT, 0, true, true},
	{"fragment", BERTH_STATE_FRAGMENT, 30, true, true},
	{"fragment, expired", BERTH_STATE_FRAGMENT, 31, true, false},
};

static void a_flow_with_recent_traffic_and_a_proven_flow_are_never_the_victim(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(victims); i++) {
		for (uint32_t n = 0; n < 2 * WORDS; n += 5) {
			int evicted;
			fill(BERTH_STATE_CONFIRMED, 0);
			uint64_t word = berth_word_make(0x777, 2, FIXTURE_NOW - victims[i].age, victims[i].state);
			*word_at(n) = word;
			struct berth_entry entry = insert(3, &evicted);
			if ((entry.at != BERTH_NOT_FOUND) != victims[i].goes || evicted != victims[i].evicted)
				fail_msg("%s", victims[i].name);
			assert_int_equal(*word_at(n) != word, victims[i].goes);
			for (uint32_t m = 0; m < 2 * WORDS; m++)
				assert_true(m == n || berth_word_tag(*word_at(m)) == 0x100 + m);
		}
	}
}

static void a_claim_of_another_flow_is_not_evicted_before_it_expires(void **state)
{
	(void)state;
	int evicted;
	fill(BERTH_STATE_CONFIRMED, 0);
	*word_at(4) = berth_word_claim(0x777, 2, FIXTURE_NOW - 2, 3);
	assert_int_equal(insert(3, &evicted).at, BERTH_NOT_FOUND);
	*word_at(4) = berth_word_claim(0x777, 2, FIXTURE_NOW - 3, 3);
	struct berth_entry entry = insert(3, &evicted);
	check_place(&entry, 4);
	assert_int_equal(evicted, 0);
}

static void a_word_of_a_removed_backend_is_not_evicted(void **state)
{
	(void)state;
	int evicted;
	fill(BERTH_STATE_UNCONFIRMED, 20);
	fixture_backend_at(&image, BACKEND)->id = 0;
	assert_int_equal(insert(3, &evicted).at, BERTH_NOT_FOUND);
}

static void the_oldest_unconfirmed_word_is_evicted_first(void **state)
{
	(void)state;
	int evicted;
	for (uint32_t n = 0; n < 2 * WORDS; n++)
		*word_at(n) = berth_word_make(0x100 + n, BACKEND, FIXTURE_NOW - (n * 7 + 3) % 11,
					      BERTH_STATE_UNCONFIRMED);
	*word_at(13) = berth_word_make(0x200, BACKEND, FIXTURE_NOW - 3000, BERTH_STATE_CONFIRMED);
	struct berth_entry entry = insert(3, &evicted);
	check_place(&entry, 1); /* (7 + 3) % 11 = 10 seconds */
	assert_int_equal(evicted, 1);
}

/* Of all states in which a flow is evicted when it is idle. */
static void without_unconfirmed_words_the_one_that_is_idle_longest_is_evicted(void **state)
{
	(void)state;
	static const enum berth_state idle[] = {BERTH_STATE_CONFIRMED, BERTH_STATE_CLOSING, BERTH_STATE_CLOSED};
	int evicted;
	for (uint32_t n = 0; n < 2 * WORDS; n++)
		*word_at(n) = berth_word_make(0x100 + n, BACKEND, FIXTURE_NOW - 6 - (n * 7 + 3) % 17, idle[n % 3]);
	*word_at(13) = berth_word_make(0x200, BACKEND, FIXTURE_NOW - 3000, BERTH_STATE_PROVEN);
	struct berth_entry entry = insert(3, &evicted);
	check_place(&entry, 14); /* 6 + (98 + 3) % 17 = 22 seconds */
	assert_int_equal(evicted, 1);
}

static void an_expired_word_is_evicted_before_any_unconfirmed_one(void **state)
{
	(void)state;
	int evicted;
	fill(BERTH_STATE_UNCONFIRMED, 10);
	*word_at(14) = berth_word_make(0x200, BACKEND, FIXTURE_NOW - 3601, BERTH_STATE_CONFIRMED);
	struct berth_entry entry = insert(3, &evicted);
	check_place(&entry, 14);
	assert_int_equal(evicted, 0);
}

/* Words of one to four states in both buckets, all young, or of any age; other workers' clocks are up to two
 * seconds ahead. */
static void fill_at_random(struct random *random)
{
	uint32_t oldest = random_one_in(random, 2) ? 4 : 45;
	uint32_t states[4];
	for (uint32_t i = 0; i < 4; i++)
		states[i] = 1 + random_below(random, BERTH_STATE_COUNT - 1);
	uint32_t kinds = 1 + random_below(random, 4);
	for (uint32_t n = 0; n < 2 * WORDS; n++) {
		uint32_t seen = FIXTURE_NOW + 2 - random_below(random, oldest);
		uint32_t state = states[random_below(random, kinds)];
		uint32_t tag = random_one_in(random, 16) ? TAG : 0x100 + n;
		uint32_t backend = random_one_in(random, 8) ? 8 + random_below(random, 4) : BACKEND;
		uint32_t worker = random_below(random, BERTH_MAX_WORKERS);
		*word_at(n) = random_one_in(random, 64) ? berth_word_claim(tag, backend, seen, worker)
							: berth_word_make(tag, backend, seen, state);
	}
}

/* They only save the lookup of each word's service. */
static void the_victim_does_not_depend_on_the_least_timeouts(void **state)
{
	(void)state;
	enum {
		ROUNDS = 300000
	};
	uint32_t *least = image.globals[FIXTURE_GENERATION].least_timeout;
	uint32_t found = 0, spared = 0;
	struct random random = random_new(20, 0);
	fixture_backend_at(&image, 8)->id = 0; /* removed */
	for (uint32_t s = 0; s < BERTH_STATE_COUNT; s++)
		fixture_service_at(&image, OTHER_SERVICE)->timeout[s] -= random_below(&random, 2);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		struct berth_entry judged, victim;
		fill_at_random(&random);
		memset(least, 0, sizeof(*least) * BERTH_STATE_COUNT);
		berth_flowtab_find_victim(&view, &key, &judged);
		fixture_least_timeouts(&image, FIXTURE_GENERATION);
		berth_flowtab_find_victim(&view, &key, &victim);
		assert_int_equal(victim.at, judged.at);
		assert_int_equal(victim.value, judged.value);
		found += victim.at != BERTH_NOT_FOUND;
		spared += berth_flowtab_find_oldest(&view, &key, &victim);
	}
	assert_in_range(found, ROUNDS / 4, ROUNDS - ROUNDS / 20);
	assert_in_range(spared, ROUNDS / 10, ROUNDS);
}

/* In a flood that fills the table within a second, all words have one age. */
static void a_new_entry_is_not_the_next_victim_of_its_second(void **state)
{
	(void)state;
	enum {
		ROUNDS = 1000
	};
	uint32_t stayed = 0;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		struct berth_key mine = key, next = key;
		struct berth_entry entry, other;
		for (uint32_t n = 0; n < 2 * BERTH_BUCKET_WORDS; n++)
			*word_at(n) = berth_word_make(0x100 + n, BACKEND, FIXTURE_NOW, BERTH_STATE_UNCONFIRMED);
		mine.tag = 0x1000 + i;
		next.tag = 0x100000 + i / 8;
		berth_flowtab_insert(&view, &mine, BACKEND, BERTH_STATE_UNCONFIRMED, &entry);
		berth_flowtab_insert(&view, &next, BACKEND, BERTH_STATE_UNCONFIRMED, &other);
		berth_flowtab_lookup(&view, &mine, &entry);
		stayed += entry.at != BERTH_NOT_FOUND;
	}
	assert_in_range(stayed, ROUNDS * 3 / 4, ROUNDS);
}

/* Inserted by another worker after this one's lookup. */
static void a_key_does_not_evict_itself(void **state)
{
	(void)state;
	int evicted;
	fill(BERTH_STATE_CONFIRMED, 0);
	*word_at(6) = berth_word_make(TAG, 2, FIXTURE_NOW, BERTH_STATE_UNCONFIRMED);
	assert_int_equal(insert(3, &evicted).at, BERTH_NOT_FOUND);
	assert_int_equal(evicted, 0);
	assert_int_equal(berth_word_backend(find().value), 2);
}

static void the_second_of_two_inserts_takes_the_backend_of_the_first(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < 2 * WORDS; n++) {
		int evicted;
		memset(image.flows, 0, sizeof(struct berth_bucket) * image.geometry.flow_buckets);
		*word_at(n) = berth_word_make(TAG, 2, FIXTURE_NOW, BERTH_STATE_UNCONFIRMED);
		struct berth_entry entry = insert(3, &evicted);
		check_place(&entry, n);
		assert_int_equal(berth_word_backend(entry.value), 2);
		uint32_t used = 0;
		for (uint32_t m = 0; m < 2 * WORDS; m++)
			used += *word_at(m) != 0;
		assert_int_equal(used, 1);
	}
}

static void a_claim_of_a_dead_worker_is_settled_by_the_worker_that_finds_it(void **state)
{
	(void)state;
	*word_at(9) = berth_word_claim(TAG, 2, FIXTURE_NOW - 1000, 77);
	struct berth_entry entry = find();
	check_place(&entry, 9);
	berth_flowtab_settle(&view, &key, BERTH_STATE_UNCONFIRMED, &entry);
	check_place(&entry, 9);
	assert_int_equal(entry.value, berth_word_make(TAG, 2, FIXTURE_NOW, BERTH_STATE_UNCONFIRMED));
}

static void of_two_claims_the_first_in_the_buckets_stays(void **state)
{
	(void)state;
	*word_at(3) = berth_word_claim(TAG, 2, FIXTURE_NOW, 0);
	*word_at(11) = berth_word_claim(TAG, 4, FIXTURE_NOW, 1);
	struct berth_entry entry = {.value = *word_at(11), .at = key.bucket[1] * WORDS + 3};
	berth_flowtab_settle(&view, &key, BERTH_STATE_UNCONFIRMED, &entry);
	check_place(&entry, 3);
	assert_int_equal(berth_word_backend(entry.value), 2);
	assert_int_equal(*word_at(11), 0);
}

/* So that a compare-and-swap never mistakes one for another. */
static void claims_of_different_workers_are_different_words(void **state)
{
	(void)state;
	for (uint32_t worker = 1; worker <= BERTH_CONTROL_WORKER; worker++) {
		uint64_t word = berth_word_claim(TAG, BACKEND, FIXTURE_NOW, worker);
		assert_int_not_equal(word, berth_word_claim(TAG, BACKEND, FIXTURE_NOW, worker - 1));
		assert_int_equal(berth_word_tag(word), TAG);
		assert_int_equal(berth_word_backend(word), BACKEND);
		assert_int_equal(berth_word_state(word), BERTH_STATE_CLAIMED);
		assert_int_equal(berth_claim_age(word, FIXTURE_NOW + 60), 60);
		assert_int_equal(berth_claim_age(word, FIXTURE_NOW - 1), 0);
	}
}

static void flows_and_sessions_are_separate_tables(void **state)
{
	(void)state;
	int evicted;
	insert(3, &evicted);
	struct berth_key session = berth_key_make(&view, BERTH_TABLE_SESSIONS, SERVICE, (uint64_t)TAG << 36 | 5);
	struct berth_entry entry;
	berth_flowtab_lookup(&view, &session, &entry);
	assert_int_equal(entry.at, BERTH_NOT_FOUND);
	berth_flowtab_insert(&view, &session, 4, BERTH_STATE_SESSION, &entry);
	assert_int_equal(berth_word_backend(image.sessions[session.bucket[0]].word[0]), 4);
	assert_int_equal(berth_word_backend(find().value), 3);
}

static void a_table_of_one_bucket_works(void **state)
{
	(void)state;
	view.flow_mask = 0;
	for (uint32_t i = 0; i < WORDS + 1; i++) {
		struct berth_entry entry;
		key = berth_key_make(&view, BERTH_TABLE_FLOWS, SERVICE, (uint64_t)(TAG + i) << BERTH_TAG_SHIFT);
		berth_flowtab_insert(&view, &key, 1 + i, BERTH_STATE_CONFIRMED, &entry);
		assert_int_equal(entry.at, i < WORDS ? i : BERTH_NOT_FOUND);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_word_has_the_fields_that_it_was_made_of),
		TEST(a_touch_changes_only_state_and_second),
		TEST(ages_are_right_over_many_wraps_of_the_clock),
		TEST(a_word_ahead_of_the_readers_clock_has_age_0),
		TEST(every_state_expires_after_its_own_timeout_and_not_before),
		TEST(the_two_buckets_of_a_key_differ_and_are_in_the_table),
		TEST(the_second_bucket_is_computed_from_the_home_bucket_and_the_tag),
		TEST(an_empty_table_has_no_entry),
		TEST(an_entry_is_found_in_every_word_of_both_buckets),
		TEST(a_word_matches_by_its_tag_and_a_backend_of_the_same_service),
		TEST(words_of_other_services_with_the_same_tag_are_skipped),
		TEST(a_settled_word_is_found_before_a_claim),
		TEST(an_entry_goes_to_its_home_bucket_until_one_word_is_free_then_to_the_emptier),
		TEST(a_flow_with_recent_traffic_and_a_proven_flow_are_never_the_victim),
		TEST(a_claim_of_another_flow_is_not_evicted_before_it_expires),
		TEST(a_word_of_a_removed_backend_is_not_evicted),
		TEST(the_oldest_unconfirmed_word_is_evicted_first),
		TEST(without_unconfirmed_words_the_one_that_is_idle_longest_is_evicted),
		TEST(an_expired_word_is_evicted_before_any_unconfirmed_one),
		TEST(the_victim_does_not_depend_on_the_least_timeouts),
		TEST(a_new_entry_is_not_the_next_victim_of_its_second),
		TEST(a_key_does_not_evict_itself),
		TEST(the_second_of_two_inserts_takes_the_backend_of_the_first),
		TEST(a_claim_of_a_dead_worker_is_settled_by_the_worker_that_finds_it),
		TEST(of_two_claims_the_first_in_the_buckets_stays),
		TEST(claims_of_different_workers_are_different_words),
		TEST(flows_and_sessions_are_separate_tables),
		TEST(a_table_of_one_bucket_works),
	};
	return cmocka_run_group_tests_name("flowtab", tests, NULL, NULL);
}
