// SPDX-License-Identifier: BSD-3-Clause
/*
 * Differential fuzzing: sends the same packets through the host core, the DPDK pipeline and the XDP program. After
 * every packet, verdict, bytes, counters, tallies and table words must be equal.
 *
 * fuzz OBJECT [--packets N] [--seed S] [--seconds T] [--epoch E]
 *
 * The run starts with every truncation and every flipped bit of a packet to each service. Random packets follow, in
 * epochs of EPOCH. An epoch draws its configuration, table sizes and packets from the seed and its own number, so
 * that any epoch can be repeated alone (--epoch E). In one epoch of eight the DPDK pipeline gets bursts; in another
 * one headers are split over two buffers, without the XDP program, which takes no such frames. A long run fails if
 * some verdict never occurred.
 */
#include <getopt.h>

#include "tests/diff/compare.h"
#include "tests/diff/packets.h"
#include "tests/diff/print.h"
#include "tests/support/progress.h"

enum {
	EPOCH = 2000,
	EVERY = 8,	/* one epoch of EVERY has bursts, one has split headers */
	LONG = 1000000, /* packets within which every verdict occurs */
};

struct fuzz_options {
	uint64_t packets;
	uint64_t seed;
	double seconds; /* 0: no limit */
	int64_t epoch;	/* the only epoch to run; -1: all */
};

struct fuzz {
	const struct fuzz_options *options;
	struct engine engines[ENGINES_MAX];
	uint32_t n;
	uint64_t sent;
	struct random random;
	struct world_shape shapes[WORLD_SERVICES];
	uint32_t now;
	bool evicted; /* a burst evicted a live flow: the epoch ends */
	uint64_t verdicts[BERTH_VERDICT_COUNT];
	struct progress progress;
};

static int report(const struct fuzz *fuzz, const struct sent *sent, uint32_t frames, uint64_t epoch,
		  const char *what)
{
	progress_clear(&fuzz->progress);
	printf("DIFFERENCE: %s; second %u\n", what, sent->now - FIXTURE_NOW);
	for (uint32_t i = 0; i < frames; i++) {
		if (sent[i].first)
			printf("first buffer of %u bytes, ", sent[i].first);
		print_hex("packet", sent[i].frame, sent[i].bytes);
	}
	printf("to repeat: scripts/fuzz --seed %llu --epoch %llu\n", (unsigned long long)fuzz->options->seed,
	       (unsigned long long)epoch);
	return 1;
}

/* Sends `frames` frames; more than one as a burst. */
static int send_all(struct fuzz *fuzz, uint32_t engines, const struct sent *sent, uint32_t frames, uint64_t epoch)
{
	enum berth_verdict verdicts[ENGINE_BURST];
	const char *what = frames == 1
				   ? compare_engines(fuzz->engines, engines, sent, verdicts)
				   : compare_bursts(fuzz->engines, engines, sent, frames, verdicts, &fuzz->evicted);
	fuzz->sent += frames;
	for (uint32_t i = 0; i < frames; i++) {
		fuzz->verdicts[verdicts[i]]++;
		if (!what && (verdicts[i] == BERTH_VERDICT_INTERNAL || verdicts[i] == BERTH_NO_VERDICT))
			what = "an inconsistent table (internal), or no verdict";
	}
	return what ? report(fuzz, sent, frames, epoch, what) : 0;
}

/* Bursts use the largest tables, where evictions are rare: see compare_bursts. */
static void begin_epoch(struct fuzz *fuzz, uint64_t epoch, bool bursts)
{
	fuzz->random = random_new(fuzz->options->seed, epoch);
	fuzz->now = FIXTURE_NOW;
	fuzz->evicted = false;
	world_draw(&fuzz->random, fuzz->shapes);
	uint32_t flow_buckets = bursts ? world_geometry.flow_buckets : 2u << random_below(&fuzz->random, 6);
	uint32_t session_buckets = 2u << random_below(&fuzz->random, 4);
	for (uint32_t i = 0; i < fuzz->n; i++) {
		fuzz->engines[i].image.geometry.flow_buckets = flow_buckets;
		fuzz->engines[i].image.geometry.session_buckets = session_buckets;
		world_write_image(&fuzz->engines[i].image, fuzz->shapes);
	}
}

/* Sometimes changes the image or the time. Time may go back by a second: a worker's clock may be behind the clock
 * of the worker that wrote a word. */
static void pass_time(struct fuzz *fuzz)
{
	struct random *random = &fuzz->random;
	if (random_one_in(random, 40)) {
		const struct world_event event = world_draw_event(random);
		for (uint32_t i = 0; i < fuzz->n; i++)
			world_apply_event(&fuzz->engines[i].image, &event);
	}
	if (random_one_in(random, 20))
		fuzz->now += random_one_in(random, 60)	? random_below(random, 5000)
			     : random_one_in(random, 4) ? UINT32_MAX
							: random_below(random, 3);
}

/* Draws the frames of a burst, each into its own buffer. */
static void draw_frames(struct fuzz *fuzz, struct sent *sent, uint32_t frames, bool chained)
{
	static struct fixture_frame rooms[ENGINE_BURST];
	for (uint32_t i = 0; i < frames; i++) {
		packets_draw(&fuzz->random, fuzz->shapes, &rooms[i]);
		sent[i] = (struct sent){.frame = rooms[i].frame.data, .bytes = rooms[i].bytes, .now = fuzz->now};
		if (chained && random_one_in(&fuzz->random, 2))
			sent[i].first = 1 + random_below(&fuzz->random, sent[i].bytes < 128 ? sent[i].bytes : 128);
	}
}

static int run_epoch(struct fuzz *fuzz, uint64_t epoch, uint64_t packets)
{
	bool bursts = epoch % EVERY == 1, chained = epoch % EVERY == EVERY - 1;
	uint32_t engines = fuzz->n - chained;
	int err = 0;
	begin_epoch(fuzz, epoch, bursts);
	while (packets > 0 && !err && !fuzz->evicted) {
		struct sent sent[ENGINE_BURST];
		uint32_t frames = bursts ? 1 + random_below(&fuzz->random, ENGINE_BURST) : 1;
		if (frames > packets)
			frames = (uint32_t)packets;
		pass_time(fuzz);
		draw_frames(fuzz, sent, frames, chained);
		err = send_all(fuzz, engines, sent, frames, epoch);
		packets -= frames;
	}
	return err;
}

/* Sends every truncation of a packet, and every flipped bit from the ethertype on. */
static int send_truncated_and_flipped(struct fuzz *fuzz, const struct fixture_packet *packet)
{
	struct fixture_frame frame;
	fixture_build(&frame, packet);
	struct sent sent = {.frame = frame.frame.data, .now = fuzz->now};
	int err = 0;
	for (sent.bytes = BERTH_ETH_BYTES; sent.bytes < frame.bytes && !err; sent.bytes++)
		err = send_all(fuzz, fuzz->n, &sent, 1, 0);
	for (uint32_t bit = 12 * 8; bit < frame.bytes * 8 && !err; bit++) {
		frame.frame.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		err = send_all(fuzz, fuzz->n, &sent, 1, 0);
		frame.frame.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	return err;
}

static int run_systematic(struct fuzz *fuzz)
{
	int err = 0;
	begin_epoch(fuzz, 0, false);
	for (uint32_t service = 1; service < WORLD_SERVICES && !err; service++) {
		struct fixture_packet packet = packets_to(&fuzz->shapes[service], 2);
		packet.tags = (uint8_t)(service % 3);
		packet.payload = 3;
		err = send_truncated_and_flipped(fuzz, &packet);
	}
	return err;
}

static int run_all(struct fuzz *fuzz)
{
	const struct fuzz_options *options = fuzz->options;
	double end = progress_now_s() + options->seconds;
	int err = run_systematic(fuzz);
	if (options->epoch >= 0)
		return err ? err : run_epoch(fuzz, (uint64_t)options->epoch, EPOCH);
	for (uint64_t epoch = 0; !err && fuzz->sent < options->packets; epoch++) {
		uint64_t left = options->packets - fuzz->sent;
		if (options->seconds > 0 && progress_now_s() >= end)
			break;
		progress_show(&fuzz->progress, "packets", (double)fuzz->sent, (double)options->packets,
			      options->seconds);
		err = run_epoch(fuzz, epoch, left < EPOCH ? left : EPOCH);
	}
	return err;
}

static void print_verdicts(const struct fuzz *fuzz)
{
	printf("verdicts:");
	for (uint32_t v = 1; v < BERTH_VERDICT_COUNT; v++) {
		if (fuzz->verdicts[v])
			printf(" %s %llu", fixture_verdict_name(v), (unsigned long long)fuzz->verdicts[v]);
	}
	printf("\n");
}

/* Verdicts that cannot occur here: inconsistent tables, full rings, a frame shorter than test-run's minimum, no
 * headroom. */
static bool can_occur(uint32_t verdict)
{
	return verdict != BERTH_VERDICT_INTERNAL && verdict != BERTH_VERDICT_TX_FULL &&
	       verdict != BERTH_VERDICT_PASS_FULL && verdict != BERTH_VERDICT_NO_HEADROOM;
}

/* A long run without some verdict has not compared what it claims to compare. */
static int check_verdicts(const struct fuzz *fuzz)
{
	int err = 0;
	for (uint32_t v = 1; v < BERTH_VERDICT_COUNT && fuzz->sent >= LONG; v++) {
		if (fuzz->verdicts[v] || !can_occur(v))
			continue;
		printf("NEVER: no packet was %s\n", fixture_verdict_name(v));
		err = 1;
	}
	return err;
}

static bool read_options(struct fuzz_options *options, int argc, char **argv)
{
	static const struct option names[] = {
		{"packets", required_argument, NULL, 'p'},
		{"seed", required_argument, NULL, 's'},
		{"seconds", required_argument, NULL, 't'},
		{"epoch", required_argument, NULL, 'e'},
		{0},
	};
	char *end = NULL;
	for (int c = getopt_long(argc, argv, "", names, NULL); c != -1;
	     c = getopt_long(argc, argv, "", names, NULL)) {
		if (c == 'p')
			options->packets = strtoull(optarg, &end, 0);
		else if (c == 's')
			options->seed = strtoull(optarg, &end, 0);
		else if (c == 't')
			options->seconds = strtod(optarg, &end);
		else if (c == 'e')
			options->epoch = strtoll(optarg, &end, 0);
		else
			return false;
		if (*end || end == optarg)
			return false;
	}
	return optind == argc - 1;
}

int main(int argc, char **argv)
{
	static struct fuzz fuzz;
	struct fuzz_options options = {.packets = 1000000, .seed = 1, .epoch = -1};
	if (!read_options(&options, argc, argv)) {
		fprintf(stderr, "usage: fuzz OBJECT [--packets N] [--seed S] [--seconds T] [--epoch E]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("seed %llu\n", (unsigned long long)options.seed);
	fuzz.options = &options;
	fuzz.n = engines_open(fuzz.engines, argv[optind]);
	double start = progress_now_s();
	int err = run_all(&fuzz);
	engines_close(fuzz.engines, fuzz.n);
	progress_clear(&fuzz.progress);
	print_verdicts(&fuzz);
	int never = err ? 0 : check_verdicts(&fuzz);
	printf("%llu packets, %u engines, %d differences, seed %llu, %.1f s\n", (unsigned long long)fuzz.sent,
	       fuzz.n, err, (unsigned long long)options.seed, progress_now_s() - start);
	return err || never;
}
