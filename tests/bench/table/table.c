// SPDX-License-Identifier: BSD-3-Clause
/*
 * The flow table against DPDK's rte_hash with the same flows: lookups in bursts of 32 with prefetch, including the
 * hash; inserts; memory.
 */
#include <rte_eal.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>
#include <rte_malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/support/bench.h"
#include "tests/bench/support/rig.h"
#include "tests/bench/support/stages.h"

enum {
	BURST = 32,
	DRAWN = 1 << 12, /* lookups per round: their keys stay in the L2 cache, like packets that were just
			    received */
	ROUNDS = 32,	 /* per measurement */
	QUICK_ROUNDS = 4,
	QUICK_FLOWS = 1 << 20, /* larger tables take too long to fill in a quick run */
	KEY4_BYTES = 16,
	KEY6_BYTES = 37,
};

static int rounds = ROUNDS;

struct key {
	uint8_t byte[40];
};

struct setup {
	struct rig *rig;
	struct rte_hash *hash;
	uint32_t key_bytes;
	struct berth_packet *packets; /* drawn at random, DRAWN of them */
	struct key *keys;	      /* of the same flows */
	uint64_t seed;
	uint64_t misses;
};

/* The 5-tuple as the key of rte_hash: addresses, ports, protocol, zero padding. */
static void key_of(const struct berth_packet *packet, struct key *key)
{
	uint8_t *at = key->byte;
	memset(key, 0, sizeof(*key));
	uint32_t bytes = packet->is6 ? 16 : 4;
	memcpy(at, &packet->src.byte[16 - bytes], bytes);
	memcpy(at + bytes, &packet->dst.byte[16 - bytes], bytes);
	memcpy(at + 2 * bytes, &packet->sport, 2);
	memcpy(at + 2 * bytes + 2, &packet->dport, 2);
	at[2 * bytes + 4] = packet->protocol;
}

static struct rte_hash *hash_new(const struct setup *setup, uint32_t flows, const char *name)
{
	const struct rte_hash_parameters parameters = {
		.name = name,
		/* The same load as berth's table. */
		.entries = flows + flows / 3,
		.key_len = setup->key_bytes,
		.hash_func = rte_hash_crc,
		.socket_id = 0,
	};
	struct rte_hash *hash = rte_hash_create(&parameters);
	if (!hash) {
		fprintf(stderr, "rte_hash_create failed for %u flows\n", flows);
		exit(1);
	}
	return hash;
}

static void draw(struct setup *setup)
{
	for (uint32_t i = 0; i < DRAWN; i++) {
		rig_packet(setup->rig, rig_random_below(&setup->seed, setup->rig->options.flows),
			   &setup->packets[i]);
		key_of(&setup->packets[i], &setup->keys[i]);
	}
}

static double look_up_ours(void *arg)
{
	struct setup *setup = arg;
	draw(setup);
	double start = bench_cpu_ns();
	setup->misses += rig_look_up(setup->rig, setup->packets, DRAWN);
	return (bench_cpu_ns() - start) / DRAWN;
}

/* Only the hash. */
static double hash_ours(void *arg)
{
	struct setup *setup = arg;
	struct berth_view view = berth_image_view(&setup->rig->image, 0, RIG_NOW);
	draw(setup);
	double start = bench_cpu_ns();
	for (uint32_t i = 0; i < DRAWN; i++)
		berth_hash_packet(&view, &setup->packets[i]);
	return (bench_cpu_ns() - start) / DRAWN;
}

/* Only one random line of the table per lookup: the limit that memory sets. */
static double read_lines(void *arg)
{
	struct setup *setup = arg;
	struct berth_view view = berth_image_view(&setup->rig->image, 0, RIG_NOW);
	draw(setup);
	for (uint32_t i = 0; i < DRAWN; i++)
		berth_hash_packet(&view, &setup->packets[i]);
	uint64_t sum = 0;
	double start = bench_cpu_ns();
	for (uint32_t i = 0; i < DRAWN; i += BURST) {
		struct berth_packet *burst = &setup->packets[i];
		for (uint32_t j = 0; j < BURST; j++)
			__builtin_prefetch(berth_at_flows(&view, (uint32_t)burst[j].hash & view.flow_mask));
		for (uint32_t j = 0; j < BURST; j++)
			sum += BERTH_LOAD(
				&berth_at_flows(&view, (uint32_t)burst[j].hash & view.flow_mask)->word[0]);
	}
	double ns = (bench_cpu_ns() - start) / DRAWN;
	setup->misses += sum == 1;
	return ns;
}

static double look_up_theirs(void *arg)
{
	struct setup *setup = arg;
	draw(setup);
	double start = bench_cpu_ns();
	for (uint32_t i = 0; i < DRAWN; i += BURST) {
		const void *keys[BURST];
		int32_t positions[BURST];
		for (uint32_t j = 0; j < BURST; j++)
			keys[j] = setup->keys[i + j].byte;
		rte_hash_lookup_bulk(setup->hash, keys, BURST, positions);
		for (uint32_t j = 0; j < BURST; j++)
			setup->misses += positions[j] < 0;
	}
	return (bench_cpu_ns() - start) / DRAWN;
}

/* Both run several times per pair. */
static void measure_pairs(struct bench_row *row, struct setup *setup, bench_fn *ours, bench_fn *theirs)
{
	struct bench_repeat left = {ours, setup, rounds};
	struct bench_repeat right = {theirs, setup, rounds};
	bench_pairs(row, bench_repeat, &left, bench_repeat, &right);
	bench_as_rate(row);
	bench_print(row);
}

static void setup_make(struct setup *setup, uint32_t flows, bool is6, bool with_theirs)
{
	const struct rig_options options = {.mode = "l2", .is6 = is6, .is_outer6 = is6, .flows = flows};
	*setup = (struct setup){
		.rig = rig_new(&options),
		.key_bytes = is6 ? KEY6_BYTES : KEY4_BYTES,
		.packets = bench_memory(DRAWN * sizeof(struct berth_packet)),
		.keys = bench_memory(DRAWN * sizeof(struct key)),
		.seed = 88172645463325252,
	};
	if (!with_theirs)
		return;
	setup->hash = hash_new(setup, flows, is6 ? "six" : "four");
	for (uint32_t i = 0; i < flows; i++) {
		struct berth_packet packet;
		struct key key;
		rig_packet(setup->rig, i, &packet);
		key_of(&packet, &key);
		if (rte_hash_add_key(setup->hash, key.byte) < 0) {
			fprintf(stderr, "rte_hash is full at %u\n", i);
			exit(1);
		}
	}
}

static void setup_drop(struct setup *setup)
{
	rte_hash_free(setup->hash);
	bench_release(setup->packets, DRAWN * sizeof(struct berth_packet));
	bench_release(setup->keys, DRAWN * sizeof(struct key));
	rig_free(setup->rig);
}

static double nothing(void *arg)
{
	(void)arg;
	return 1;
}

static void measure_lookups(const char *id, uint32_t flows, bool is6, bool with_theirs)
{
	struct setup setup;
	struct bench_row row = {.id = id, .unit = "M/s"};
	setup_make(&setup, flows, is6, with_theirs);
	if (with_theirs) {
		row.baseline = "rte_hash bulk lookup";
		row.goal_kind = BENCH_AT_LEAST;
		row.goal = 4;
	}
	measure_pairs(&row, &setup, look_up_ours, with_theirs ? look_up_theirs : nothing);
	/* The parts of a lookup: hash and line; and what memory alone would allow. */
	char part[3][64];
	struct bench_row hash_row = {.id = part[0], .unit = "M/s"};
	struct bench_row line_row = row;
	struct bench_row share_row = {
		.id = part[2],
		.unit = "M/s",
		.baseline = "one random line of the table and nothing else",
		.goal_kind = BENCH_AT_LEAST,
		.goal = 0.85,
	};
	snprintf(part[0], sizeof(part[0]), "%s.hash", id);
	snprintf(part[1], sizeof(part[1]), "%s.line", id);
	snprintf(part[2], sizeof(part[2]), "%s.of_line", id);
	line_row.id = part[1];
	line_row.goal_kind = BENCH_NO_GOAL;
	measure_pairs(&hash_row, &setup, hash_ours, nothing);
	measure_pairs(&line_row, &setup, read_lines, with_theirs ? look_up_theirs : nothing);
	measure_pairs(&share_row, &setup, look_up_ours, read_lines);
	if (setup.misses * 100 > (uint64_t)3 * BENCH_PAIRS * (uint64_t)rounds * DRAWN) {
		fprintf(stderr, "%s: %llu lookups missed\n", id, (unsigned long long)setup.misses);
		exit(1);
	}
	setup_drop(&setup);
}

/* --- inserts --- */

/* Inserts the intended number of flows in bursts like the engine; nanoseconds per flow, with the hash.
 */
static double insert_ours(struct setup *setup)
{
	struct berth_view view = berth_image_view(&setup->rig->image, 0, RIG_NOW);
	struct berth_key key[BURST];
	struct berth_entry entry[BURST];
	uint32_t flows = setup->rig->options.flows;
	double sum = 0;
	for (uint32_t first = 0; first + DRAWN <= flows; first += DRAWN) {
		for (uint32_t i = 0; i < DRAWN; i++)
			rig_packet(setup->rig, first + i, &setup->packets[i]);
		double start = bench_cpu_ns();
		for (uint32_t i = 0; i < DRAWN; i += BURST) {
			struct berth_packet *burst = &setup->packets[i];
			for (uint32_t j = 0; j < BURST; j++) {
				berth_hash_packet(&view, &burst[j]);
				__builtin_prefetch(berth_at_flows(&view, (uint32_t)burst[j].hash & view.flow_mask));
				__builtin_prefetch(
					berth_at_flows(&view, berth_second_bucket(burst[j].hash, view.flow_mask)));
			}
			for (uint32_t j = 0; j < BURST; j++) {
				key[j] = berth_key_make(&view, BERTH_TABLE_FLOWS, burst[j].service, burst[j].hash);
				berth_flowtab_claim(&view, &key[j], 1, &entry[j]);
			}
			for (uint32_t j = 0; j < BURST; j++)
				if (entry[j].at != BERTH_NOT_FOUND)
					berth_flowtab_settle_own(&view, &key[j], BERTH_STATE_UNCONFIRMED,
								 &entry[j]);
		}
		sum += bench_cpu_ns() - start;
	}
	return sum / (flows - flows % DRAWN);
}

static double insert_into_empty(void *arg)
{
	struct setup *setup = arg;
	rig_reset_flows(setup->rig, false);
	return insert_ours(setup);
}

static double insert_into_full(void *arg)
{
	struct setup *setup = arg;
	rig_reset_flows(setup->rig, true);
	return insert_ours(setup);
}

static double insert_theirs(void *arg)
{
	struct setup *setup = arg;
	uint32_t flows = setup->rig->options.flows;
	double sum = 0;
	rte_hash_reset(setup->hash);
	for (uint32_t first = 0; first + DRAWN <= flows; first += DRAWN) {
		for (uint32_t i = 0; i < DRAWN; i++) {
			rig_packet(setup->rig, first + i, &setup->packets[i]);
			key_of(&setup->packets[i], &setup->keys[i]);
		}
		double start = bench_cpu_ns();
		for (uint32_t i = 0; i < DRAWN; i++)
			rte_hash_add_key(setup->hash, setup->keys[i].byte);
		sum += bench_cpu_ns() - start;
	}
	return sum / (flows - flows % DRAWN);
}

/* A part of an insert: two random lines of the table, of which one is written. */
static double touch_lines(void *arg)
{
	struct setup *setup = arg;
	struct berth_view view = berth_image_view(&setup->rig->image, 0, RIG_NOW);
	uint64_t sum = 0;
	double ns = 0;
	rig_reset_flows(setup->rig, false);
	for (uint32_t first = 0; first + DRAWN <= setup->rig->options.flows; first += DRAWN) {
		for (uint32_t i = 0; i < DRAWN; i++) {
			rig_packet(setup->rig, first + i, &setup->packets[i]);
			berth_hash_packet(&view, &setup->packets[i]);
		}
		double start = bench_cpu_ns();
		for (uint32_t i = 0; i < DRAWN; i += BURST) {
			struct berth_bucket *lines[BURST][2];
			for (uint32_t j = 0; j < BURST; j++) {
				uint64_t hash = setup->packets[i + j].hash;
				lines[j][0] = berth_at_flows(&view, (uint32_t)hash & view.flow_mask);
				lines[j][1] = berth_at_flows(&view, berth_second_bucket(hash, view.flow_mask));
				__builtin_prefetch(lines[j][0]);
				__builtin_prefetch(lines[j][1]);
			}
			for (uint32_t j = 0; j < BURST; j++) {
				sum += BERTH_LOAD(&lines[j][1]->word[0]);
				BERTH_STORE(&lines[j][0]->word[0], sum);
			}
		}
		ns += bench_cpu_ns() - start;
	}
	setup->misses += sum == 1;
	return ns / (setup->rig->options.flows - setup->rig->options.flows % DRAWN);
}

/* A part of an insert: its two compare-and-swaps, on cached lines. */
static double swap_twice(void *arg)
{
	struct setup *setup = arg;
	struct berth_bucket *flows = setup->rig->image.flows;
	const uint32_t swaps = 1 << 20;
	double start = bench_cpu_ns();
	for (uint32_t i = 0; i < swaps; i++) {
		uint64_t *word = &flows[i % 64].word[0];
		berth_swap(word, BERTH_LOAD(word), i);
		berth_swap(word, i, i + 1);
	}
	return (bench_cpu_ns() - start) / swaps;
}

static double touch_and_swap(void *arg)
{
	return touch_lines(arg) + swap_twice(arg);
}

static void measure_insert_part(const char *id, struct setup *setup, bench_fn *part)
{
	struct bench_row row = {.id = id, .unit = "M/s", .baseline = "rte_hash add"};
	bench_pairs(&row, part, setup, insert_theirs, setup);
	bench_as_rate(&row);
	bench_print(&row);
}

static void measure_inserts(uint32_t flows)
{
	struct setup setup;
	struct bench_row empty = {
		.id = "table.insert.1m",
		.unit = "M/s",
		.baseline = "rte_hash add",
		.goal_kind = BENCH_AT_LEAST,
		.goal = 2,
	};
	struct bench_row full = empty;
	struct bench_row share = empty;
	share.id = "table.insert.1m.of_parts";
	share.baseline = "its lines and its swaps, each alone";
	share.goal = 0.85;
	full.id = "table.insert.full.1m";
	full.baseline = "rte_hash add, into an empty table";
	setup_make(&setup, flows, false, true);
	bench_pairs(&empty, insert_into_empty, &setup, insert_theirs, &setup);
	bench_as_rate(&empty);
	bench_print(&empty);
	measure_insert_part("table.insert.1m.lines", &setup, touch_lines);
	measure_insert_part("table.insert.1m.swaps", &setup, swap_twice);
	bench_pairs(&share, insert_into_empty, &setup, touch_and_swap, &setup);
	bench_as_rate(&share);
	bench_print(&share);
	bench_pairs(&full, insert_into_full, &setup, insert_theirs, &setup);
	bench_as_rate(&full);
	bench_print(&full);
	setup_drop(&setup);
}

/* --- memory --- */

static uint64_t allocated(void)
{
	struct rte_malloc_socket_stats stats;
	return rte_malloc_get_socket_stats(0, &stats) ? 0 : stats.heap_allocsz_bytes;
}

static void measure_memory(uint32_t flows)
{
	struct setup setup;
	struct bench_row bytes = {
		.id = "table.bytes_per_flow",
		.unit = "bytes",
		.baseline = "rte_hash",
		.goal_kind = BENCH_AT_MOST,
		.goal = 11,
		.goal_of_value = true,
	};
	struct bench_row lines = {
		.id = "table.lines_per_hit",
		.unit = "lines",
		.goal_kind = BENCH_AT_MOST,
		.goal = 1.1,
	};
	uint64_t before = allocated();
	setup_make(&setup, flows, false, true);
	const struct berth_image *image = &setup.rig->image;
	bytes.value = (double)(image->geometry.flow_buckets * sizeof(struct berth_bucket)) / flows;
	bytes.baseline_value = (double)(allocated() - before) / flows;
	bytes.ratio = bytes.baseline_value / bytes.value;
	bench_print(&bytes);

	struct berth_view view = berth_image_view(image, 0, RIG_NOW);
	uint64_t hits = 0, read = 0;
	for (uint32_t i = 0; i < flows; i++) {
		struct berth_packet packet;
		struct berth_entry entry;
		rig_packet(setup.rig, i, &packet);
		berth_hash_packet(&view, &packet);
		struct berth_key key = berth_key_make(&view, BERTH_TABLE_FLOWS, packet.service, packet.hash);
		berth_flowtab_lookup(&view, &key, &entry);
		if (entry.at == BERTH_NOT_FOUND)
			continue;
		hits++;
		read += entry.at / BERTH_BUCKET_WORDS == key.bucket[0] ? 1 : 2;
	}
	lines.value = (double)read / (double)hits;
	bench_print(&lines);
	setup_drop(&setup);
}

int main(int argc, char **argv)
{
	char *eal[] = {argv[0], "--no-pci", "--no-telemetry", "--no-shconf", "--log-level=error",
		       "-l",	"0",	    "--no-huge",      "-m",	     "4096"};
	static const struct {
		const char *id;
		uint32_t flows;
		bool is6;
		bool with_theirs;
	} lookups[] = {
		/* Three quarters of a power of two: the intended load of the table. */
		{"table.lookup.100k", 98304, false, true},   {"table.lookup.1m", 786432, false, true},
		{"table.lookup.10m", 12582912, false, true}, {"table.lookup.50m", 50331648, false, false},
		{"table.lookup6.1m", 786432, true, true},
	};
	bool quick = bench_quick(&argc, &argv);
	rounds = quick ? QUICK_ROUNDS : ROUNDS;
	if (rte_eal_init(sizeof(eal) / sizeof(eal[0]), eal) < 0)
		return 1;
	for (size_t i = 0; i < sizeof(lookups) / sizeof(lookups[0]); i++)
		if (bench_wanted(argc, argv, lookups[i].id) && !(quick && lookups[i].flows > QUICK_FLOWS))
			measure_lookups(lookups[i].id, lookups[i].flows, lookups[i].is6, lookups[i].with_theirs);
	if (bench_wanted(argc, argv, "table.insert.1m") || bench_wanted(argc, argv, "table.insert.full.1m"))
		measure_inserts(786432);
	if (bench_wanted(argc, argv, "table.bytes_per_flow") || bench_wanted(argc, argv, "table.lines_per_hit"))
		measure_memory(786432);
	return 0;
}
