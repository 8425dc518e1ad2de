// SPDX-License-Identifier: BSD-3-Clause
/*
 * Every interleaving of a few workers on the real flowtab.h: an exhaustive check of insert, settle, touch, evict
 * and free.
 *
 * Hooks replace BERTH_LOAD and berth_swap, so that a worker stops before each access to a table word that any
 * worker may write. A worker is represented by its list of observations: for the next step it runs from its start,
 * replays the earlier observations, and makes one real access. A state is the table and those lists. Each state is
 * visited once and stores the number of schedules from it to an end. Memory is sequentially consistent, as
 * berth_swap and BERTH_LOAD are.
 */
/* The hooks do not see vector loads. */
#undef __AVX2__

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/core/atomic.h"

static bool is_word(const volatile void *at);
static uint64_t hooked_load(const volatile void *at);
static bool hooked_swap(uint64_t *at, uint64_t seen, uint64_t next);

#undef BERTH_LOAD
#define BERTH_LOAD(ptr) (is_word(ptr) ? (__typeof__(*(ptr)))hooked_load(ptr) : *(ptr))
#define berth_swap hooked_swap

#include "tests/support/image.h"

enum {
	WORDS = 2 * BERTH_BUCKET_WORDS,
	MAX_ACTORS = 4,
	MAX_OBSERVED = 120,
	MAX_STEPS = MAX_ACTORS * MAX_OBSERVED,
	KEY_TAG = 0x123,
	OTHER_TAG = 0x456,
};

enum role_kind {
	ABSENT,
	INSERT, /* finds no entry of its key and inserts one */
	LOOKUP, /* looks up, and helps to settle a claim as steering does */
	FREE,	/* the scan: frees the entry in a word */
	TOUCH,	/* a packet of the flow in a word: gives it another state and the current second */
};

struct role {
	enum role_kind kind;
	uint32_t tag;
	uint32_t backend; /* TOUCH: the state */
	uint32_t word;	  /* the word to free or to touch */
};

struct scenario {
	const char *name;
	struct role role[MAX_ACTORS];
	uint8_t free[4];	/* words that are free at the start; ends with 0xff */
	uint8_t half_open[4];	/* words with unconfirmed entries of other flows; ends with 0xff */
	uint8_t idle[4];	/* words with confirmed entries of other flows, without recent traffic */
	bool may_be_evicted;	/* an insert of another key may evict the key's entry */
	unsigned int preempted; /* most preemptions of a running worker; 0: no limit */
};

struct actor {
	uint32_t n;
	uint32_t done;
	uint32_t at; /* the outcome, valid if `done` */
	uint32_t backend;
	uint64_t observed[MAX_OBSERVED];
};

struct state {
	uint64_t word[WORDS];
	uint32_t freed; /* a settled entry of the key was freed */
	uint32_t last;	/* the last worker that ran; `budget`: preemptions left (bounded scenarios) */
	uint32_t budget;
	uint32_t pad;
	struct actor actor[MAX_ACTORS];
};

struct step {
	uint32_t actor;
	uint32_t word;
	uint64_t before;
	uint64_t after;
};

static struct berth_image image;
static struct berth_key key;
static const struct scenario *scenario;
static uint32_t writable; /* bit mask of the words that any worker may write */

/* The running worker. */
static struct {
	struct state *state;
	struct actor *actor;
	uint32_t replayed;
	bool stepped;
	jmp_buf stop;
} run;

static struct step path[MAX_STEPS];
static uint32_t path_length;

static void print_word(uint64_t word)
{
	static const char *const names[] = {"claimed", "unconfirmed", "confirmed", "proven",
					    "closing", "closed",      "session",   "fragment"};
	if (word)
		printf("tag %x backend %u %s", berth_word_tag(word), berth_word_backend(word),
		       names[berth_word_state(word)]);
	else
		printf("free");
}

static void fail(const char *why)
{
	printf("%s: %s; the schedule:\n", scenario->name, why);
	for (uint32_t i = 0; i < path_length; i++) {
		printf("  worker %u: word %2u: ", path[i].actor, path[i].word);
		print_word(path[i].before);
		if (path[i].after != path[i].before) {
			printf(" -> ");
			print_word(path[i].after);
		}
		printf("\n");
	}
	exit(1);
}

static bool is_word(const volatile void *at)
{
	const volatile uint8_t *begin = (const volatile uint8_t *)image.flows;
	return (const volatile uint8_t *)at >= begin &&
	       (const volatile uint8_t *)at < begin + WORDS * sizeof(uint64_t);
}

static uint32_t index_of(const volatile void *at)
{
	return (uint32_t)((const volatile uint64_t *)at - run.state->word);
}

/* One access: replayed, or made and recorded, or the end of this step. Writes `next` if it reads `value`. */
static uint64_t access_word(uint32_t at, bool swaps, uint64_t value, uint64_t next)
{
	uint64_t *word = &run.state->word[at];
	if (!(writable & 1u << at)) {
		if (swaps && *word == value)
			fail("a word was written that the scenario declares constant");
		return *word;
	}
	struct actor *actor = run.actor;
	if (run.replayed < actor->n)
		return actor->observed[run.replayed++];
	if (run.stepped)
		longjmp(run.stop, 1);
	if (actor->n == MAX_OBSERVED || path_length == MAX_STEPS)
		fail("a worker does not end");
	uint64_t before = *word;
	if (swaps && before == value)
		*word = next;
	path[path_length++] = (struct step){(uint32_t)(actor - run.state->actor), at, before, *word};
	actor->observed[actor->n++] = before;
	run.replayed++;
	run.stepped = true;
	return before;
}

static uint64_t hooked_load(const volatile void *at)
{
	return access_word(index_of(at), false, 0, 0);
}

static bool hooked_swap(uint64_t *at, uint64_t seen, uint64_t next)
{
	return access_word(index_of(at), true, seen, next) == seen;
}

static struct berth_key key_of(uint32_t tag)
{
	struct berth_key made = key;
	made.tag = tag;
	return made;
}

/* A worker's whole program. */
static void act(const struct role *role, struct actor *actor, const struct berth_view *view)
{
	struct berth_key own = key_of(role->tag);
	struct berth_entry entry = {.at = BERTH_NOT_FOUND};
	uint64_t word;
	switch (role->kind) {
	case INSERT:
		berth_flowtab_insert(view, &own, role->backend, BERTH_STATE_UNCONFIRMED, &entry);
		break;
	case LOOKUP:
		berth_flowtab_lookup(view, &own, &entry);
		if (entry.at != BERTH_NOT_FOUND && berth_word_state(entry.value) == BERTH_STATE_CLAIMED)
			berth_flowtab_settle(view, &own, BERTH_STATE_UNCONFIRMED, &entry);
		break;
	case TOUCH:
		word = BERTH_LOAD(
			&image.flows[role->word / BERTH_BUCKET_WORDS].word[role->word % BERTH_BUCKET_WORDS]);
		if (berth_word_matches(view, &own, word) && berth_word_state(word) != BERTH_STATE_CLAIMED)
			berth_swap(&run.state->word[role->word], word,
				   berth_word_touch(word, FIXTURE_NOW, role->backend));
		break;
	default:
		word = BERTH_LOAD(
			&image.flows[role->word / BERTH_BUCKET_WORDS].word[role->word % BERTH_BUCKET_WORDS]);
		if (word)
			berth_swap(&run.state->word[role->word], word, 0);
		break;
	}
	actor->at = entry.at;
	actor->backend = entry.at == BERTH_NOT_FOUND ? 0 : berth_word_backend(entry.value);
	if (entry.at != BERTH_NOT_FOUND && berth_word_state(entry.value) == BERTH_STATE_CLAIMED)
		fail("a worker ended with a claim for its entry");
}

/* Runs a worker for one access, or to its end. */
static void advance(struct state *state, uint32_t worker)
{
	image.flows = (struct berth_bucket *)(void *)state->word;
	const struct berth_view view = berth_image_view(&image, worker, FIXTURE_NOW);
	run.state = state;
	run.actor = &state->actor[worker];
	run.replayed = 0;
	run.stepped = false;
	if (setjmp(run.stop))
		return;
	act(&scenario->role[worker], run.actor, &view);
	run.actor->done = 1;
}

static bool is_settled(uint64_t word, uint32_t tag)
{
	return word && berth_word_tag(word) == tag && berth_word_state(word) != BERTH_STATE_CLAIMED;
}

/* The backend that the key is settled on; 0: none. */
static uint32_t settled_backend(const struct state *state, uint32_t tag)
{
	uint32_t backend = 0;
	for (uint32_t i = 0; i < WORDS; i++) {
		if (!is_settled(state->word[i], tag))
			continue;
		if (backend)
			fail("one key has two settled words");
		backend = berth_word_backend(state->word[i]);
	}
	return backend;
}

static bool is_freed_by_scan(uint32_t word)
{
	for (uint32_t i = 0; i < MAX_ACTORS; i++)
		if (scenario->role[i].kind == FREE && scenario->role[i].word == word)
			return true;
	return false;
}

/* Of the other flows, which are in their words from the start. */
static void check_recent(const struct state *before, const struct state *after)
{
	for (uint32_t i = 0; i < WORDS; i++) {
		const uint64_t word = before->word[i];
		const bool is_confirmed = 1u << berth_word_state(word) &
					  (BERTH_IDLE_STATES | 1u << BERTH_STATE_PROVEN);
		if (word && berth_word_tag(word) == 0x900 + i && is_confirmed &&
		    berth_word_age(word, FIXTURE_NOW) <= BERTH_RECENT_S &&
		    berth_word_tag(after->word[i]) != 0x900 + i && !is_freed_by_scan(i))
			fail("a flow with recent traffic was evicted");
	}
}

static void check_step(const struct state *before, struct state *after)
{
	check_recent(before, after);
	uint32_t was = settled_backend(before, KEY_TAG);
	uint32_t is = settled_backend(after, KEY_TAG);
	settled_backend(after, OTHER_TAG);
	if (was && is && was != is)
		fail("a settled key changed its backend");
	if (was && !is)
		after->freed = 1;
}

static void check_end(const struct state *state)
{
	uint32_t agreed = settled_backend(state, KEY_TAG);
	for (uint32_t i = 0; i < WORDS; i++) {
		uint64_t word = state->word[i];
		if (word && berth_word_state(word) == BERTH_STATE_CLAIMED)
			fail("a claim was left");
	}
	for (uint32_t i = 0; i < MAX_ACTORS; i++) {
		const struct actor *actor = &state->actor[i];
		if (scenario->role[i].tag != KEY_TAG || !actor->backend || state->freed)
			continue;
		if (actor->backend != agreed)
			fail("a worker ended with another backend than the table's");
	}
	if (state->freed && !scenario->may_be_evicted)
		fail("a key's entry was evicted");
}

/* The visited states, and the number of schedules from each to an end. */
struct visited {
	XXH128_hash_t hash;
	double schedules;
};

static struct visited *visited;
static uint64_t visited_size, visited_used;

static struct visited *visit(XXH128_hash_t hash)
{
	uint64_t at = hash.low64 & (visited_size - 1);
	while (visited[at].schedules > 0 && !XXH128_isEqual(visited[at].hash, hash))
		at = (at + 1) & (visited_size - 1);
	return &visited[at];
}

static void grow_visited(void)
{
	struct visited *old = visited;
	uint64_t old_size = visited_size;
	visited_size = old_size ? old_size * 2 : 1024;
	visited = calloc(visited_size, sizeof(*visited));
	if (!visited)
		abort();
	for (uint64_t i = 0; i < old_size; i++) {
		if (old[i].schedules > 0)
			*visit(old[i].hash) = old[i];
	}
	free(old);
}

static XXH128_hash_t hash_state(const struct state *state)
{
	XXH128_hash_t hash = XXH3_128bits(state, offsetof(struct state, actor));
	for (uint32_t i = 0; i < MAX_ACTORS; i++) {
		const struct actor *actor = &state->actor[i];
		size_t bytes = offsetof(struct actor, observed) + actor->n * sizeof(uint64_t);
		hash = XXH3_128bits_withSeed(actor, bytes, hash.low64 ^ hash.high64 * 31);
	}
	return hash;
}

/* Checks all schedules from here to the end and returns their number. */
static double explore(const struct state *state)
{
	XXH128_hash_t hash = hash_state(state);
	if (visit(hash)->schedules > 0)
		return visit(hash)->schedules;
	double schedules = 0;
	bool ended = true;
	for (uint32_t i = 0; i < MAX_ACTORS; i++) {
		if (scenario->role[i].kind == ABSENT || state->actor[i].done)
			continue;
		ended = false;
		bool interrupts = scenario->preempted && i != state->last && !state->actor[state->last].done &&
				  state->actor[state->last].n;
		if (interrupts && !state->budget)
			continue;
		struct state next = *state;
		uint32_t length = path_length;
		advance(&next, i);
		check_step(state, &next);
		next.last = scenario->preempted ? i : 0;
		next.budget -= interrupts;
		schedules += explore(&next);
		path_length = length;
	}
	if (ended) {
		check_end(state);
		schedules = 1;
	}
	if (++visited_used * 2 > visited_size)
		grow_visited();
	*visit(hash) = (struct visited){hash, schedules};
	return schedules;
}

/* Fills the buckets with flows that have recent traffic, except the scenario's words. */
static void set_up(struct state *state)
{
	memset(state, 0, sizeof(*state));
	writable = 0;
	for (uint32_t i = 0; i < WORDS; i++)
		state->word[i] = berth_word_make(0x900 + i, 9, FIXTURE_NOW - BERTH_RECENT_S, BERTH_STATE_CONFIRMED);
	for (uint32_t i = 0; i < 4 && scenario->free[i] != 0xff; i++) {
		state->word[scenario->free[i]] = 0;
		writable |= 1u << scenario->free[i];
	}
	for (uint32_t i = 0; i < 4 && scenario->half_open[i] != 0xff; i++) {
		uint32_t at = scenario->half_open[i];
		state->word[at] = berth_word_make(0x900 + at, 9, FIXTURE_NOW - 1 - i, BERTH_STATE_UNCONFIRMED);
		writable |= 1u << at;
	}
	for (uint32_t i = 0; i < 4 && scenario->idle[i] != 0xff; i++) {
		uint32_t at = scenario->idle[i];
		state->word[at] = berth_word_make(0x900 + at, 9, FIXTURE_NOW - BERTH_RECENT_S - 1 - i,
						  BERTH_STATE_CONFIRMED);
		writable |= 1u << at;
	}
	for (uint32_t i = 0; i < MAX_ACTORS; i++) {
		if (scenario->role[i].kind == FREE || scenario->role[i].kind == TOUCH)
			writable |= 1u << scenario->role[i].word;
	}
	state->budget = scenario->preempted;
}

#define NONE                                                                                                       \
	{                                                                                                          \
		0xff                                                                                               \
	}

static const struct scenario scenarios[] = {
	{
		.name = "two insert, room in the home bucket",
		.role = {{INSERT, KEY_TAG, 1, 0}, {INSERT, KEY_TAG, 2, 0}},
		.free = {3, 5, 0xff},
		.half_open = NONE,
		.idle = NONE,
	},
	{
		.name = "two insert, room in both buckets",
		.role = {{INSERT, KEY_TAG, 1, 0}, {INSERT, KEY_TAG, 2, 0}},
		.free = {7, 8, 12, 0xff},
		.half_open = NONE,
		.idle = NONE,
	},
	{
		.name = "two insert while an earlier word is freed",
		.role = {{INSERT, KEY_TAG, 1, 0}, {INSERT, KEY_TAG, 2, 0}, {FREE, 0, 0, 2}},
		.free = {4, 9, 0xff},
		.half_open = NONE,
		.idle = NONE,
	},
	{
		.name = "two insert, one looks up",
		.role = {{INSERT, KEY_TAG, 1, 0}, {INSERT, KEY_TAG, 2, 0}, {LOOKUP, KEY_TAG, 0, 0}},
		.free = {4, 9, 0xff},
		.half_open = NONE,
		.idle = NONE,
	},
	{
		.name = "two insert, another key inserts into the same words",
		.role = {{INSERT, KEY_TAG, 1, 0}, {INSERT, KEY_TAG, 2, 0}, {INSERT, OTHER_TAG, 3, 0}},
		.free = {4, 9, 0xff},
		.half_open = NONE,
		.idle = NONE,
		.may_be_evicted = true,
	},
	{
		.name = "two insert and must evict other flows",
		.role = {{INSERT, KEY_TAG, 1, 0}, {INSERT, KEY_TAG, 2, 0}},
		.free = NONE,
		.half_open = {6, 11, 0xff},
		.idle = NONE,
	},
	{
		.name = "two insert and one other flow may be evicted",
		.role = {{INSERT, KEY_TAG, 1, 0}, {INSERT, KEY_TAG, 2, 0}},
		.free = NONE,
		.half_open = {11, 0xff},
		.idle = NONE,
	},
	{
		.name = "two insert and must evict idle flows",
		.role = {{INSERT, KEY_TAG, 1, 0}, {INSERT, KEY_TAG, 2, 0}},
		.free = NONE,
		.half_open = NONE,
		.idle = {6, 11, 0xff},
	},
	{
		.name = "two insert, the idle flow gets a packet",
		.role = {{INSERT, KEY_TAG, 1, 0},
			 {INSERT, KEY_TAG, 2, 0},
			 {TOUCH, 0x906, BERTH_STATE_CONFIRMED, 6}},
		.free = NONE,
		.half_open = NONE,
		.idle = {6, 0xff},
	},
	{
		.name = "one inserts, the idle flow gets a FIN and is proven",
		.role = {{INSERT, KEY_TAG, 1, 0},
			 {TOUCH, 0x90b, BERTH_STATE_CLOSING, 11},
			 {TOUCH, 0x90b, BERTH_STATE_PROVEN, 11}},
		.free = NONE,
		.half_open = NONE,
		.idle = {6, 11, 0xff},
	},
	{
		.name = "two keys insert, the unconfirmed flow is confirmed",
		.role = {{INSERT, KEY_TAG, 1, 0},
			 {INSERT, OTHER_TAG, 2, 0},
			 {TOUCH, 0x906, BERTH_STATE_CONFIRMED, 6}},
		.free = NONE,
		.half_open = {6, 0xff},
		.idle = {11, 0xff},
		.may_be_evicted = true,
	},
	{
		.name = "two insert, one looks up, an earlier word is freed",
		.role = {{INSERT, KEY_TAG, 1, 0},
			 {INSERT, KEY_TAG, 2, 0},
			 {LOOKUP, KEY_TAG, 0, 0},
			 {FREE, 0, 0, 2}},
		.free = {4, 0xff},
		.half_open = NONE,
		.idle = NONE,
		.preempted = 4,
	},
	{
		.name = "three insert, two of them the same backend, an earlier word is freed",
		.role = {{INSERT, KEY_TAG, 1, 0},
			 {INSERT, KEY_TAG, 2, 0},
			 {INSERT, KEY_TAG, 1, 0},
			 {FREE, 0, 0, 2}},
		.free = {4, 0xff},
		.half_open = NONE,
		.idle = NONE,
		.preempted = 4,
	},
};

int main(void)
{
	struct berth_geometry geometry = fixture_geometry;
	geometry.flow_buckets = 2;
	geometry.workers = MAX_ACTORS;
	fixture_new(&image, &geometry);
	fixture_service(&image, 1, "203.0.113.10", BERTH_PROTO_TCP, 80, BERTH_AFFINITY_FLOW);
	for (uint32_t i = 1; i < 10; i++)
		fixture_backend(&image, i, 1, BERTH_MODE_L2, "192.0.2.1");
	key = (struct berth_key){.table = BERTH_TABLE_FLOWS, .service = 1, .tag = KEY_TAG, .bucket = {0, 1}};

	struct berth_bucket *flows = image.flows;
	double all = 0;
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
		struct state start;
		scenario = &scenarios[i];
		set_up(&start);
		visited_used = visited_size = 0;
		grow_visited();
		double schedules = explore(&start);
		printf("%-72s %10.4g schedules through %llu states\n", scenario->name, schedules,
		       (unsigned long long)visited_used);
		fflush(stdout);
		all += schedules;
		free(visited);
		visited = NULL;
	}
	printf("%.4g schedules explored, no fault\n", all);
	image.flows = flows;
	fixture_free(&image);
	return 0;
}
