// SPDX-License-Identifier: BSD-3-Clause
/*
 * Many threads on one small flow table, under ThreadSanitizer, each phase bounded in time.
 *
 * Every insert has a backend number of its own, so that a word identifies its insert. A number under another key's
 * tag is a torn word; a number that a lookup finds after its free is a use after free; two live numbers of one key
 * are a duplicate.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/core/atomic.h"

static void lose_time(void);

/* Before a compare-and-swap a thread sometimes yields, so that other threads run between its load and its swap. */
#define berth_swap(word, seen, next) (lose_time(), (berth_swap)(word, seen, next))

#include "tests/support/image.h"

enum {
	WRITERS = 4,
	KEYS = 24,
	BUCKETS = 2,
	NUMBERS = 65536,
	PHASE_MS = 800,
};

struct phase {
	const char *name;
	uint32_t keys;
	uint32_t turns;		/* iterations of a writer in a round; few where the race is only at the start */
	enum berth_state state; /* state of new entries */
	bool frees;		/* a scanner frees settled words */
	bool evicts;		/* entries are half-open, so that inserts may evict them */
};

static const struct phase phases[] = {
	{"room for all, nothing freed", 8, 16, BERTH_STATE_CONFIRMED, false, false},
	{"too many keys, a scanner frees words", KEYS, 4000, BERTH_STATE_CONFIRMED, true, false},
	{"too many keys, half-open entries are evicted", KEYS, 4000, BERTH_STATE_UNCONFIRMED, true, true},
};

static struct berth_image image;
static const struct phase *phase;
static atomic_bool stop;
static atomic_uint next_number;	    /* 1 and up */
static atomic_uint key_of[NUMBERS]; /* 1 + the key that a number was inserted for */
static atomic_bool freed[NUMBERS];  /* the scanner freed the number's word */
static atomic_uint current[KEYS];   /* the last number seen for a key */
static atomic_ulong finds, inserts, races, frees;
static pthread_barrier_t start;

static void lose_time(void)
{
	static _Thread_local uint32_t random = 1;
	random = random * 1664525 + 1013904223;
	if (random >> 30 == 0)
		sched_yield();
}

static _Noreturn void fail(const char *what, uint32_t key, uint32_t a, uint32_t b)
{
	printf("stress_flowtab: %s: %s (key %u, numbers %u and %u)\n", phase->name, what, key, a, b);
	fflush(stdout);
	_exit(1);
}

static struct berth_key make_key(const struct berth_view *view, uint32_t key)
{
	/* The high bits are the tag, the low bits the home bucket. */
	return berth_key_make(view, BERTH_TABLE_FLOWS, 1, (uint64_t)(key + 1) << BERTH_TAG_SHIFT | key);
}

/* Whether a number is freed, or about to be: `freed` is set after the word is cleared. */
static bool dies(uint32_t number)
{
	for (int i = 0; i < 20000 && !freed[number]; i++)
		usleep(500);
	return freed[number];
}

static void check_seen(uint32_t key, uint32_t number, bool was_freed)
{
	if (number == 0 || key_of[number] != key + 1)
		fail("an entry with a backend that was never inserted for it", key, number, key_of[number]);
	if (phase->evicts)
		return;
	if (was_freed)
		fail("an entry came back after it was freed", key, number, number);
	uint32_t before = atomic_exchange(&current[key], number);
	if (before != 0 && before != number && !dies(before) && !dies(number))
		fail("one key has two backends", key, before, number);
}

static uint32_t new_number(uint32_t key)
{
	uint32_t number = atomic_fetch_add(&next_number, 1) + 1;
	if (number >= NUMBERS) {
		stop = true;
		return 0;
	}
	key_of[number] = key + 1;
	return number;
}

static void look_up(const struct berth_view *view, uint32_t key)
{
	struct berth_key own = make_key(view, key);
	struct berth_entry entry;
	/* A lookup must not find a number that was freed before the lookup began. */
	uint32_t before = current[key];
	bool was_freed = before && freed[before];
	berth_flowtab_lookup(view, &own, &entry);
	finds++;
	if (entry.at != BERTH_NOT_FOUND && berth_word_state(entry.value) == BERTH_STATE_CLAIMED)
		berth_flowtab_settle(view, &own, phase->state, &entry);
	if (entry.at == BERTH_NOT_FOUND) {
		uint32_t number = new_number(key);
		if (!number)
			return;
		berth_flowtab_insert(view, &own, number, phase->state, &entry);
		inserts++;
		races += entry.at == BERTH_NOT_FOUND || berth_word_backend(entry.value) != number;
	}
	if (entry.at == BERTH_NOT_FOUND)
		return;
	uint32_t number = berth_word_backend(entry.value);
	check_seen(key, number, was_freed && number == before);
}

static void *write_words(void *arg)
{
	uint32_t worker = *(uint32_t *)arg;
	const struct berth_view view = berth_image_view(&image, worker, FIXTURE_NOW);
	pthread_barrier_wait(&start);
	for (uint32_t i = 0; i < phase->turns && !stop; i++) {
		/* First the key of the other threads, then another one. */
		look_up(&view, i / 2 % phase->keys);
		look_up(&view, (i * 7 + worker) % phase->keys);
	}
	return NULL;
}

static void *free_words(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; !stop; i++) {
		uint64_t *word = &image.flows[i % BUCKETS].word[i * 5 % BERTH_BUCKET_WORDS];
		uint64_t value = BERTH_LOAD(word);
		bool settled = value && berth_word_state(value) != BERTH_STATE_CLAIMED;
		if (settled && berth_swap(word, value, 0)) {
			freed[berth_word_backend(value)] = true;
			frees++;
		}
		usleep(20);
	}
	return NULL;
}

/* After all threads have ended: no claims are left, and no key has two entries. */
static void check_table(void)
{
	bool there[KEYS] = {false};
	for (uint32_t i = 0; i < BUCKETS * BERTH_BUCKET_WORDS; i++) {
		uint64_t word = image.flows[i / BERTH_BUCKET_WORDS].word[i % BERTH_BUCKET_WORDS];
		if (word == 0)
			continue;
		uint32_t key = berth_word_tag(word) - 1;
		if (key >= phase->keys || there[key])
			fail("a word that no thread wrote, or a key with two words", key, berth_word_backend(word),
			     0);
		if (berth_word_state(word) != phase->state)
			fail("a claim was left", key, berth_word_backend(word), 0);
		there[key] = true;
	}
	for (uint32_t key = 0; !phase->frees && key < phase->keys; key++) {
		if (!there[key])
			fail("an entry was lost", key, 0, 0);
	}
}

static void clear(void)
{
	memset(image.flows, 0, sizeof(struct berth_bucket) * BUCKETS);
	memset(key_of, 0, sizeof(key_of));
	memset(freed, 0, sizeof(freed));
	memset(current, 0, sizeof(current));
	next_number = 0;
	stop = false;
}

static void run_round(void)
{
	pthread_t writer[WRITERS], scanner;
	uint32_t number[WRITERS];
	for (uint32_t i = 0; i < WRITERS; i++) {
		number[i] = i;
		if (pthread_create(&writer[i], NULL, write_words, &number[i]))
			abort();
	}
	if (phase->frees && pthread_create(&scanner, NULL, free_words, NULL))
		abort();
	for (uint32_t i = 0; i < WRITERS; i++)
		pthread_join(writer[i], NULL);
	stop = true;
	if (phase->frees)
		pthread_join(scanner, NULL);
	check_table();
}

static uint64_t milliseconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int main(void)
{
	struct berth_geometry geometry = fixture_geometry;
	geometry.flow_buckets = BUCKETS;
	geometry.backends = NUMBERS;
	geometry.workers = WRITERS;
	fixture_new(&image, &geometry);
	fixture_service(&image, 1, "203.0.113.10", BERTH_PROTO_TCP, 80, BERTH_AFFINITY_FLOW);
	for (uint32_t i = 1; i < NUMBERS; i++)
		fixture_backend(&image, i, 1, BERTH_MODE_L2, "192.0.2.1");

	pthread_barrier_init(&start, NULL, WRITERS);

	for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
		phase = &phases[i];
		finds = inserts = races = frees = 0;
		uint32_t rounds = 0;
		for (uint64_t end = milliseconds() + PHASE_MS; milliseconds() < end; rounds++) {
			clear();
			run_round();
		}
		printf("%-46s %5u rounds: %lu lookups, %lu inserts, %lu of them not its own, %lu freed\n",
		       phase->name, rounds, finds, inserts, races, frees);
	}
	pthread_barrier_destroy(&start);
	fixture_free(&image);
	return 0;
}
