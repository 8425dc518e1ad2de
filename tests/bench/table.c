// SPDX-License-Identifier: BSD-3-Clause
/*
 * The flow table against DPDK's rte_hash, the same flows in both: lookups in bursts of 32 with prefetch, hash
 * included; inserts; memory.
 */
#include <rte_eal.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench.h"
#include "tests/bench/rig.h"

static inline bool berth_frame_push(struct berth_frame *frame, uint32_t bytes)
{
	(void)frame;
	(void)bytes;
	return false;
}

#include "dataplane/core/stages.h"

enum {
	BURST = 32,
	DRAWN = 1 << 12, /* lookups at a time: their keys stay in the L2 cache, as packets would that were just
			    received */
	ROUNDS = 32,	 /* of them a measurement */
	KEY4_BYTES = 16,
	KEY6_BYTES = 37,
};

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

/* The 5-tuple as a rte_hash user would have it: addresses, ports, protocol, zero padding. */
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
		/* As full as the table it is compared with. */
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

static double look_up_ours(struct setup *setup)
{
	struct berth_view view = berth_image_view(&setup->rig->image, 0, RIG_NOW);
	draw(setup);
	double start = bench_cpu_ns();
	for (uint32_t i = 0; i < DRAWN; i += BURST) {
		struct berth_key keys[BURST];
		for (uint32_t j = 0; j < BURST; j++) {
			struct berth_packet *packet = &setup->packets[i + j];
			berth_hash_packet(&view, packet);
			keys[j] = berth_key_make(&view, BERTH_TABLE_FLOWS, packet->service, packet->hash);
			__builtin_prefetch(berth_at_flows(&view, keys[j].bucket[0]));
		}
		for (uint32_t j = 0; j < BURST; j++) {
			struct berth_entry entry;
			berth_flowtab_find(&view, &keys[j], &entry);
			setup->misses += entry.at == BERTH_NOWHERE;
		}
	}
	return (bench_cpu_ns() - start) / DRAWN;
}

static double look_up_theirs(struct setup *setup)
{
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

static double ours(void *arg)
{
	double sum = 0;
	for (int i = 0; i < ROUNDS; i++)
		sum += look_up_ours(arg);
	return sum / ROUNDS;
}

static double theirs(void *arg)
{
	double sum = 0;
	for (int i = 0; i < ROUNDS; i++)
		sum += look_up_theirs(arg);
	return sum / ROUNDS;
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
	bench_pairs(&row, ours, &setup, with_theirs ? theirs : nothing, &setup);
	bench_as_rate(&row);
	bench_print(&row);
	if (setup.misses * 100 > (uint64_t)2 * BENCH_PAIRS * ROUNDS * DRAWN) {
		fprintf(stderr, "%s: %llu lookups missed\n", id, (unsigned long long)setup.misses);
		exit(1);
	}
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
		/* Three quarters of a power of two: the table is as full as it is meant to be. */
		{"table.lookup.100k", 98304, false, true},   {"table.lookup.1m", 786432, false, true},
		{"table.lookup.10m", 12582912, false, true}, {"table.lookup.50m", 50331648, false, false},
		{"table.lookup6.1m", 786432, true, true},
	};
	if (rte_eal_init(sizeof(eal) / sizeof(eal[0]), eal) < 0)
		return 1;
	for (size_t i = 0; i < sizeof(lookups) / sizeof(lookups[0]); i++)
		if (bench_wanted(argc, argv, lookups[i].id))
			measure_lookups(lookups[i].id, lookups[i].flows, lookups[i].is6, lookups[i].with_theirs);
	return 0;
}
