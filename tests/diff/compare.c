// SPDX-License-Identifier: BSD-3-Clause
#include "tests/diff/compare.h"

#include "tests/diff/print.h"
#include "tests/diff/world.h"
#include "tests/support/send.h"

static bool section_is_equal(const struct engine *a, const struct engine *b, const char *name, const void *of_a,
			     const void *of_b, size_t bytes)
{
	const uint8_t *x = of_a, *y = of_b;
	if (memcmp(x, y, bytes) == 0)
		return true;
	size_t at = 0;
	uint64_t word_a, word_b;
	while (x[at] == y[at])
		at++;
	at -= at % sizeof(word_a);
	memcpy(&word_a, x + at, sizeof(word_a));
	memcpy(&word_b, y + at, sizeof(word_b));
	printf("%s, byte %zu: %s %016llx, %s %016llx\n", name, at, a->name, (unsigned long long)word_a, b->name,
	       (unsigned long long)word_b);
	return false;
}

/* All that a worker writes: counters, tallies, tables. */
static const char *compare_images(const struct engine *a, const struct engine *b)
{
	const struct berth_geometry *g = &world_geometry;
	const struct berth_image *x = &a->image, *y = &b->image;
	uint32_t tallies = g->services + g->backends;
	uint32_t first = engine_worker * tallies;
#define SAME(section, at, n)                                                                                       \
	section_is_equal(a, b, #section, &x->section[at], &y->section[at], sizeof(*x->section) * (n))
	if (!SAME(workers, engine_worker, 1))
		return "counters";
	if (!SAME(tallies, first, tallies))
		return "tallies";
	if (!SAME(service_limits, 0, g->services))
		return "limits of services";
	if (!SAME(flows, 0, g->flow_buckets))
		return "flow table";
	if (!SAME(loads, 0, g->backends / BERTH_LOADS_PER_LINE))
		return "loads";
	if (!SAME(sessions, 0, g->session_buckets))
		return "session table";
	return SAME(clients, 0, g->session_buckets * BERTH_BUCKET_WORDS) ? NULL : "clients of sessions";
#undef SAME
}

static const char *compare_outcomes(const struct engine_outcome *a, const struct engine_outcome *b)
{
	if (a->verdict != b->verdict)
		return "verdict";
	if (a->class != b->class)
		return "action";
	if (a->port != b->port)
		return "port";
	/* An engine may have freed a dropped frame. */
	if (a->class == BERTH_CLASS_DROP && (a->bytes == 0 || b->bytes == 0))
		return NULL;
	return a->bytes == b->bytes && memcmp(a->frame, b->frame, a->bytes) == 0 ? NULL : "frame";
}

static void print_outcome(const struct engine *engine, const struct engine_outcome *outcome)
{
	printf("%s: %s, to port %u\n", engine->name, fixture_verdict_name(outcome->verdict), outcome->port);
	print_hex("  left", outcome->frame, outcome->bytes);
}

const char *compare_engines(struct engine *engines, uint32_t n, const struct sent *sent,
			    enum berth_verdict *verdict)
{
	static struct engine_outcome outcomes[ENGINES_MAX];
	engine_run(&engines[0], sent, &outcomes[0]);
	*verdict = outcomes[0].verdict;
	if (outcomes[0].verdict == BERTH_NO_VERDICT)
		return "number of verdicts";
	if (BERTH_VERDICT_CLASS(outcomes[0].verdict) != outcomes[0].class)
		return "counters and outcomes";
	for (uint32_t i = 1; i < n; i++) {
		engine_run(&engines[i], sent, &outcomes[i]);
		const char *what = compare_outcomes(&outcomes[0], &outcomes[i]);
		if (!what)
			what = compare_images(&engines[0], &engines[i]);
		if (!what)
			continue;
		print_outcome(&engines[0], &outcomes[0]);
		print_outcome(&engines[i], &outcomes[i]);
		return what;
	}
	return NULL;
}

static struct engine_outcome expected[ENGINE_BURST], left[ENGINE_BURST];

static const char *run_one_by_one(struct engine *engine, const struct sent *sent, uint32_t frames)
{
	const char *what = NULL;
	for (uint32_t i = 0; i < frames && !what; i++) {
		engine_run(engine, &sent[i], &left[0]);
		what = compare_outcomes(&expected[i], &left[0]);
	}
	return what;
}

/* Whether a packet leaves with this class: by a port (forwarded or answered), or to the kernel. */
static bool leaves_by(const struct engine_outcome *outcome, enum berth_class class, uint32_t port)
{
	enum berth_class way = outcome->class == BERTH_CLASS_ANSWER ? BERTH_CLASS_FORWARD : outcome->class;
	return way == class && outcome->port == port;
}

/* Frames leave a port in the order of their arrival. */
static const char *run_at_once(struct engine *engine, const struct sent *sent, uint32_t frames)
{
	static const struct {
		enum berth_class class;
		uint32_t port;
	} ways[] = {{BERTH_CLASS_FORWARD, 0}, {BERTH_CLASS_FORWARD, 1}, {BERTH_CLASS_PASS, 0}};
	uint32_t n = engine->run_burst(engine, sent, frames, left), seen = 0;
	for (uint32_t way = 0; way < sizeof(ways) / sizeof(ways[0]); way++) {
		for (uint32_t i = 0; i < frames; i++) {
			if (!leaves_by(&expected[i], ways[way].class, ways[way].port))
				continue;
			if (seen == n)
				return "number of frames that left";
			/* The sums of verdicts are compared as counters. */
			left[seen].verdict = expected[i].verdict;
			if (left[seen].class == ways[way].class)
				left[seen].class = expected[i].class;
			const char *what = compare_outcomes(&expected[i], &left[seen++]);
			if (what)
				return what;
		}
	}
	return seen == n ? NULL : "number of frames that left";
}

const char *compare_bursts(struct engine *engines, uint32_t n, const struct sent *sent, uint32_t frames,
			   enum berth_verdict *verdicts, bool *evicted)
{
	const uint64_t *evictions = &engines[0].image.workers[engine_worker].event[BERTH_EVENT_FLOW_EVICTED];
	const uint64_t before = *evictions;
	for (uint32_t i = 0; i < frames; i++) {
		engine_run(&engines[0], &sent[i], &expected[i]);
		verdicts[i] = expected[i].verdict;
	}
	*evicted = *evictions != before;
	for (uint32_t e = 1; e < n && !*evicted; e++) {
		const char *what = engines[e].run_burst ? run_at_once(&engines[e], sent, frames)
							: run_one_by_one(&engines[e], sent, frames);
		if (!what)
			what = compare_images(&engines[0], &engines[e]);
		if (!what)
			continue;
		printf("%s and %s, in a burst of %u\n", engines[0].name, engines[e].name, frames);
		return what;
	}
	return NULL;
}
