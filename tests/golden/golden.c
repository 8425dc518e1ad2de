// SPDX-License-Identifier: BSD-3-Clause
/*
 * Sends every golden packet through every engine, each time on a fresh image. Checks the verdict, the verdict
 * class, the bytes that leave, counters, tallies and table words. Engines that take chained buffers get each packet
 * again with every split in its first 160 bytes.
 *
 * golden OBJECT [NAME...]    only the cases whose names begin with NAME, with their output
 */
#include "tests/golden/golden.h"

#include "tests/diff/engine.h"
#include "tests/diff/print.h"

enum {
	SPLITS = 160,
	BUCKETS = WORLD_FLOW_BUCKETS + WORLD_SESSION_BUCKETS,
	TALLIES = WORLD_SERVICES + WORLD_BACKENDS,
};

static uint32_t failures;
static uint32_t runs;
static uint32_t splits;

/* One case on one engine. */
struct trial {
	const struct golden_case *c;
	struct engine *engine;
	uint32_t now;
	uint64_t flows_added; /* before the packet */
	struct berth_bucket tables[BUCKETS];
	struct berth_tally tallies[TALLIES];
};

static bool check(const struct trial *trial, bool right, const char *what)
{
	if (right)
		return true;
	printf("FAILED %s: %s: %s\n", trial->c->name, trial->engine->name, what);
	failures++;
	return false;
}

static struct berth_tally *tallies_of(const struct trial *trial)
{
	return &trial->engine->image.tallies[engine_worker * TALLIES];
}

static void read_tables(const struct trial *trial, struct berth_bucket tables[BUCKETS])
{
	memcpy(tables, trial->engine->image.flows, sizeof(*tables) * world_geometry.flow_buckets);
	memcpy(tables + world_geometry.flow_buckets, trial->engine->image.sessions,
	       sizeof(*tables) * world_geometry.session_buckets);
}

/* Fills every word with a live flow of the service. Tags equal to the packet's are improbable. */
static void fill_table(struct berth_image *image, const struct golden_case *c)
{
	for (uint32_t i = 0; i < world_geometry.flow_buckets * BERTH_BUCKET_WORDS; i++)
		image->flows[i / BERTH_BUCKET_WORDS].word[i % BERTH_BUCKET_WORDS] = berth_word_make(
			0x1230000 + i, world_backend(c->service, 0), FIXTURE_NOW, BERTH_STATE_CONFIRMED);
}

/* The service has only this backend. */
static void delete_backend(struct berth_image *image, const struct golden_case *c)
{
	uint32_t number = world_backend(c->service, 0);
	fixture_set_eligibility(image, number, 0);
	memset(fixture_backend_at(image, number), 0, sizeof(struct berth_backend));
	fixture_service_at(image, c->service)->rows = 0;
}

/* All rows had a second backend, which the service still has; or have it now. */
static void change_rows(struct berth_image *image, const struct golden_case *c)
{
	const struct world_shape *shape = &world_shapes[c->service];
	const uint16_t first = (uint16_t)world_backend(c->service, 0);
	const uint16_t second = (uint16_t)world_backend(c->service, 1);
	char address[INET6_ADDRSTRLEN];
	world_backend_address(address, second, shape->outer);
	fixture_backend(image, second, c->service, shape->mode, address);
	if (c->has_stayed)
		fixture_rows(image, c->service, &second, 1);
	fixture_former_rows(image, c->service, world_former_line(c->service), c->has_stayed ? &first : &second, 1);
}

static void spend_budgets(struct berth_budgets *budgets, uint32_t now)
{
	for (uint32_t i = 0; i < BERTH_ANSWER_COUNT * BERTH_ANSWER_SLOTS; i++)
		budgets->slot[i / BERTH_ANSWER_SLOTS][i % BERTH_ANSWER_SLOTS] = now << 8 | BERTH_MAX_ANSWERS;
}

/* One flow per second; the next one comes a nanosecond too early. */
static void spend_limit(struct berth_image *image, const struct golden_case *c, uint32_t now)
{
	struct berth_service *service = fixture_service_at(image, c->service);
	const uint64_t until = now * UINT64_C(1000000000) + 1;
	const struct berth_limit limit = {.interval_ns = 1000000000, .prefix4 = 32, .prefix6 = 64};
	if (!c->spent)
		return;
	service->flags |= BERTH_SERVICE_LIMITS;
	if (c->spent == GOLDEN_SERVICE_LIMIT) {
		service->limit = limit;
		image->service_limits[c->service] = until;
		return;
	}
	service->source_limit = limit;
	for (uint32_t i = 0; i < BERTH_LIMIT_ROWS * BERTH_LIMIT_COLUMNS; i++)
		image->source_limits[i] = until;
}

static void prepare(struct trial *trial)
{
	struct berth_image *image = &trial->engine->image;
	const struct golden_case *c = trial->c;
	struct fixture_frame frame;
	struct engine_outcome outcome;
	trial->now = FIXTURE_NOW;
	world_write_image(image, world_shapes);
	if (c->table_full)
		fill_table(image, c);
	if (c->from_backend && !c->no_flow) {
		static struct fixture_frame answer;
		golden_build(&answer, c);
		golden_build_opening(&frame, c, &answer);
		engine_run(trial->engine, &(struct sent){frame.frame.data, frame.bytes, 0, trial->now}, &outcome);
		if (golden_build_first(&frame, c, &answer))
			engine_run(trial->engine, &(struct sent){frame.frame.data, frame.bytes, 0, trial->now},
				   &outcome);
	}
	for (uint32_t i = 0; golden_build_before(&frame, c, i); i++)
		engine_run(trial->engine, &(struct sent){frame.frame.data, frame.bytes, 0, trial->now}, &outcome);
	trial->now += c->delay_s;
	if (c->rows_changed)
		change_rows(image, c);
	if (c->ineligible)
		fixture_set_eligibility(image, world_backend(c->service, 0), 0);
	if (c->deleted)
		delete_backend(image, c);
	if (c->answer_limit)
		spend_budgets(&image->budgets[engine_worker], trial->now);
	spend_limit(image, c, trial->now);
	trial->flows_added = image->workers[engine_worker].event[BERTH_EVENT_FLOW_ADDED];
	read_tables(trial, trial->tables);
	memcpy(trial->tallies, tallies_of(trial), sizeof(trial->tallies));
}

/* Counts words of flows, or of fragments' datagrams. */
static uint32_t used_words(const struct berth_bucket *buckets, bool of_fragments)
{
	uint32_t used = 0;
	for (uint32_t i = 0; i < WORLD_FLOW_BUCKETS * BERTH_BUCKET_WORDS; i++) {
		uint64_t word = buckets[i / BERTH_BUCKET_WORDS].word[i % BERTH_BUCKET_WORDS];
		used += word != 0 && (berth_word_state(word) == BERTH_STATE_FRAGMENT) == of_fragments;
	}
	return used;
}

/* A steered packet may write a word. A packet that only follows an entry, or is dropped before steering, changes no
 * table. */
static bool is_steered(enum berth_verdict verdict)
{
	return (verdict <= BERTH_VERDICT_TABLE_FULL && verdict != BERTH_VERDICT_UNTRACKED &&
		verdict != BERTH_VERDICT_SECOND_HOP) ||
	       verdict == BERTH_VERDICT_ANSWERED_TOO_BIG || verdict == BERTH_VERDICT_NO_NEXT_HOP ||
	       verdict == BERTH_VERDICT_TOO_BIG;
}

static bool check_tables(const struct trial *trial, const struct fixture_frame *frame)
{
	struct berth_bucket after[BUCKETS];
	const struct golden_case *c = trial->c;
	read_tables(trial, after);
	uint64_t added = trial->engine->image.workers[engine_worker].event[BERTH_EVENT_FLOW_ADDED] -
			 trial->flows_added;
	const bool returns = c->verdict == BERTH_VERDICT_RETURNED || c->verdict == BERTH_VERDICT_RETURNED_PASS ||
			     c->verdict == BERTH_VERDICT_ANSWERED_TOO_BIG || c->verdict == BERTH_VERDICT_TOO_BIG;
	const bool touches = c->from_backend ? returns
					     : is_steered(c->verdict) || c->verdict == BERTH_VERDICT_UNTRACKED;
	const struct golden_parts parts = touches ? golden_parts_of(frame->frame.data + frame->network,
								    frame->bytes - frame->network)
						  : (struct golden_parts){0};
	/* An answer to a known flow changes its state. */
	const bool answers = c->from_backend && c->before[0].kind;
	uint32_t fragments = parts.is_first_fragment && !c->table_full &&
			     c->before[0].kind != GOLDEN_FIRST_FRAGMENT;
	return check(trial,
		     (touches && (c->from_backend || is_steered(c->verdict) || parts.is_first_fragment)) ||
			     answers || !memcmp(trial->tables, after, sizeof(after)),
		     "tables changed") &&
	       check(trial, used_words(after, false) == used_words(trial->tables, false) + added,
		     "flow_added and the table's words differ") &&
	       check(trial, used_words(after, true) == used_words(trial->tables, true) + fragments,
		     "a first fragment writes one word, other packets none");
}

/* Whether a packet that is dropped or answered with this verdict had a service. */
static bool has_service(const struct golden_case *c)
{
	switch (c->verdict) {
	case BERTH_VERDICT_NO_BACKEND:
	case BERTH_VERDICT_OVER_LIMIT:
	case BERTH_VERDICT_BAD_SOURCE:
	case BERTH_VERDICT_TTL_EXPIRED:
	case BERTH_VERDICT_NO_NEXT_HOP:
	case BERTH_VERDICT_TOO_BIG:
	case BERTH_VERDICT_NO_HEADROOM:
	case BERTH_VERDICT_ANSWERED_TOO_BIG:
	case BERTH_VERDICT_ANSWERED_TTL_EXPIRED:
		return !c->from_backend && !c->no_tally;
	default:
		return false;
	}
}

/* A packet to a service is in exactly one tally: its backend's, or the service's own. A packet from a backend is in
 * none. */
static bool check_tallies(const struct trial *trial, const struct fixture_frame *frame)
{
	const struct golden_case *c = trial->c;
	struct berth_tally expected[TALLIES];
	memcpy(expected, trial->tallies, sizeof(expected));
	bool forwarded = BERTH_VERDICT_CLASS(c->verdict) == BERTH_CLASS_FORWARD && !c->from_backend;
	if (forwarded || has_service(c)) {
		uint32_t slot = forwarded ? WORLD_SERVICES + world_backend(c->service, 0) : c->service;
		const struct golden_parts parts = golden_parts_of(frame->frame.data + frame->network,
								  frame->bytes - frame->network);
		expected[slot].packets++;
		expected[slot].bytes += frame->bytes;
		expected[slot].flows += !parts.is_later_fragment && (c->verdict == BERTH_VERDICT_SESSION ||
								     c->verdict == BERTH_VERDICT_SELECTED ||
								     c->verdict == BERTH_VERDICT_RESELECTED);
	}
	expected[c->service].flows += c->verdict == BERTH_VERDICT_OVER_LIMIT ||
				      (c->spent && c->verdict == BERTH_VERDICT_UNTRACKED &&
				       !(c->packet.tcp_flags & BERTH_TCP_RST));
	return check(trial, !memcmp(expected, tallies_of(trial), sizeof(expected)), "tallies");
}

/* The port that a packet leaves by; an answer leaves by its ingress port. */
static uint32_t port_of(const struct golden_case *c, const struct fixture_frame *frame)
{
	if (BERTH_VERDICT_CLASS(c->verdict) != BERTH_CLASS_FORWARD)
		return 0;
	if (c->verdict != BERTH_VERDICT_RETURNED)
		return c->service & 1;
	const uint8_t *ip = frame->frame.data + frame->network;
	union berth_addr client = {.byte = {[10] = 0xff, [11] = 0xff}};
	if (ip[0] >> 4 == 4)
		memcpy(client.byte + 12, ip + 16, 4);
	else
		memcpy(client.byte, ip + 24, 16);
	return golden_route_to(&client)->port;
}

/* `first`: bytes of the frame's first buffer. */
static bool check_outcome(const struct trial *trial, const struct fixture_frame *frame, uint32_t first,
			  const struct engine_outcome *outcome)
{
	uint8_t expected[FIXTURE_ROOM];
	uint32_t bytes = golden_expect(expected, trial->c, frame, first);
	enum berth_class class = BERTH_VERDICT_CLASS(trial->c->verdict);
	if (outcome->verdict != trial->c->verdict) {
		printf("  %s, not %s\n", fixture_verdict_name(outcome->verdict),
		       fixture_verdict_name(trial->c->verdict));
		return check(trial, false, "verdict");
	}
	if (!check(trial, outcome->class == class, "the action is not the verdict's class") ||
	    !check(trial, outcome->port == port_of(trial->c, frame), "port"))
		return false;
	if (outcome->bytes == 0 && class == BERTH_CLASS_DROP)
		return true;
	if (outcome->bytes == bytes && !memcmp(outcome->frame, expected, bytes))
		return true;
	print_hex("  expected", expected, bytes);
	print_hex("  left", outcome->frame, outcome->bytes);
	return check(trial, false, "bytes");
}

/* Where the parsed headers end: all of them, and those without which no packet leaves. */
struct headers {
	uint32_t all;
	uint32_t needed;
};

static struct headers headers_of(const struct golden_case *c, const struct fixture_frame *frame)
{
	const uint8_t *ip = frame->frame.data + frame->network;
	struct golden_parts parts = golden_parts_of(ip, frame->bytes - frame->network);
	uint32_t at = frame->network + parts.transport;
	if (parts.is_later_fragment && !parts.is6)
		at = frame->network + 20; /* options are not parsed */
	if (parts.is_later_fragment)
		return (struct headers){at, at};
	if (!c->error.type) {
		at = frame->transport + (parts.protocol == BERTH_PROTO_UDP ? 8 : 20);
		return (struct headers){at, at};
	}
	at += BERTH_ICMP_BYTES;
	parts = golden_parts_of(frame->frame.data + at, frame->bytes - at);
	at += parts.transport;
	return (struct headers){at + (parts.protocol == BERTH_PROTO_TCP ? 18 : 8), at + 8};
}

/* A frame in two buffers: with all parsed headers in the first, the outcome is the same; else no packet leaves.
 * (The checksum of a TCP header inside an ICMP error is optional.) */
static void run_split(struct trial *trial, const struct fixture_frame *frame, uint32_t first)
{
	static struct engine_outcome outcome;
	const struct headers headers = headers_of(trial->c, frame);
	prepare(trial);
	engine_run(trial->engine, &(struct sent){frame->frame.data, frame->bytes, first, trial->now}, &outcome);
	splits++;
	if (first >= headers.all)
		check_outcome(trial, frame, first, &outcome);
	else if (first < headers.needed)
		check(trial, outcome.verdict != BERTH_NO_VERDICT && outcome.class > BERTH_CLASS_ANSWER,
		      "the packet left although the first buffer did not hold all headers");
}

static void run_case(struct engine *engine, const struct golden_case *c, bool shown)
{
	static struct engine_outcome outcome;
	struct trial trial = {.c = c, .engine = engine};
	struct fixture_frame frame;
	golden_build(&frame, c);
	prepare(&trial);
	const struct sent sent = {frame.frame.data, frame.bytes, 0, trial.now};
	if (!engine_accepts(engine, &sent))
		return;
	engine_run(engine, &sent, &outcome);
	runs++;
	if (shown) {
		printf("%s: %s: %s\n", c->name, engine->name, fixture_verdict_name(outcome.verdict));
		print_hex("  in", sent.frame, sent.bytes);
		print_hex("  out", outcome.frame, outcome.bytes);
	}
	if (!check_outcome(&trial, &frame, frame.bytes, &outcome) || !check_tables(&trial, &frame) ||
	    !check_tallies(&trial, &frame) || !engine->takes_chains)
		return;
	for (uint32_t first = 1; first < frame.bytes && first < SPLITS; first++)
		run_split(&trial, &frame, first);
}

static bool is_wanted(const char *name, char **names, int n)
{
	bool wanted = n == 0;
	for (int i = 0; i < n && !wanted; i++)
		wanted = strncmp(name, names[i], strlen(names[i])) == 0;
	return wanted;
}

static bool names_are_unique(void)
{
	for (uint32_t i = 0; i < golden_count(); i++) {
		for (uint32_t k = 0; k < i; k++) {
			if (strcmp(golden_at(i, NULL)->name, golden_at(k, NULL)->name) == 0) {
				printf("FAILED two cases have the name: %s\n", golden_at(i, NULL)->name);
				return false;
			}
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	struct engine engines[ENGINES_MAX];
	if (argc < 2) {
		fprintf(stderr, "usage: golden OBJECT [NAME...]\n");
		return 2;
	}
	if (!names_are_unique())
		return 1;
	uint32_t n = engines_open(engines, argv[1]);
	for (uint32_t i = 0; i < golden_count(); i++) {
		const struct golden_case *c = golden_at(i, NULL);
		if (!is_wanted(c->name, argv + 2, argc - 2))
			continue;
		for (uint32_t e = 0; e < n; e++)
			run_case(&engines[e], c, argc > 2);
	}
	engines_close(engines, n);
	printf("%u golden packets, %u engines: %u runs, %u more with split headers, %u failures\n", golden_count(),
	       n, runs, splits, failures);
	return failures != 0;
}
