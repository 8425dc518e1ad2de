// SPDX-License-Identifier: BSD-3-Clause
/*
 * Attacks by crafted addresses and ports: a million new flows of crafted tuples against a million of random ones,
 * beside half a million established flows, in a table that is then 73% full. The first and the second packet of
 * each flow are measured, from the hash to the backend.
 *
 * Three families of tuples, each known to harm other designs:
 * - tuples with one Toeplitz hash under the symmetric RSS key 0x6d5a...: NICs put them into one queue, and tables
 * that use the NIC's hash into one bucket;
 * - the pairs of xxHash issue 1127 (a word and its complement, and both complemented), which collide in seeded XXH3
 * with a probability of 2^-27 instead of 2^-64 from 17 bytes on; here in those words of berth's keys that a client
 * chooses: address and port for IPv4, all 16 bytes of an address for IPv6;
 * - sequential addresses and ports, which weak hashes map to neighbouring buckets.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/bench/support/bench.h"
#include "tests/bench/support/rig.h"
#include "tests/bench/support/stages.h"

enum {
	TABLE = 1572864, /* three quarters of 2^21 words */
	ESTABLISHED = 1 << 19,
	TUPLES = 1 << 20,
	QUICK_TUPLES = 1 << 18,
	FLOOD = 1 << 21, /* tuples, one per word of the table */
	BURST = 32,
	ROUNDS = 3,
	SHARED_AT_MOST = 5, /* of a million; 0.06 are expected (flowtab.h) */
	CHECKED = 1 << 12,  /* tuples whose RSS hash is checked */
};

/* Sets the source address and port of tuple `i`. */
typedef void make_fn(struct berth_packet *packet, uint32_t i);

struct setup {
	struct rig *rig;
	struct berth_bucket *snapshot; /* the flow table with the established flows only */
	uint16_t *home;		       /* the backend of each established flow */
	uint32_t tuples;
	int rounds; /* per measurement */
};

struct set {
	struct setup *setup;
	make_fn *make;
	struct berth_packet *packets;
	/* Results of the last run. */
	uint64_t verdicts[BERTH_VERDICT_COUNT]; /* of first and second packets */
	uint64_t evicted;			/* unconfirmed flows evicted, or not inserted */
	uint64_t shared;			/* flows that matched the entry of another flow */
};

/* --- tuples --- */

static uint64_t mix(uint64_t x)
{
	x *= UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return x ^ x >> 32;
}

/* An address that a host can have, and its complement too: the first byte is neither 0 nor 255. */
static uint64_t host6(uint64_t half)
{
	return (half & ~UINT64_C(0x60)) | 0x20;
}

/* Established clients are in 10.0.0.0/8 and in one /32 of IPv6. These are in 160.0.0.0/3: hosts can have all of
 * these addresses and their complements. */
static void make_random(struct berth_packet *packet, uint32_t i)
{
	if (packet->is6) {
		packet->src.half[0] = host6(mix(2 * (uint64_t)i));
		packet->src.half[1] = mix(2 * (uint64_t)i + 1);
	} else {
		berth_addr_set4(&packet->src, berth_to_be32((uint32_t)mix(i) >> 3 | UINT32_C(5) << 29));
	}
	packet->sport = berth_to_be16((uint16_t)(mix(~(uint64_t)i) | 1));
}

/* With a key of period 16 bits, Toeplitz depends only on the exclusive or of the tuple's 16-bit words. */
static void make_rss(struct berth_packet *packet, uint32_t i)
{
	uint32_t address = UINT32_C(1) << 31 | i;
	berth_addr_set4(&packet->src, berth_to_be32(address));
	packet->sport = berth_to_be16((uint16_t)(0x5a5a ^ address >> 16 ^ address));
}

static void make_pair4(struct berth_packet *packet, uint32_t i)
{
	uint32_t flip = i & 1 ? ~UINT32_C(0) : 0;
	make_random(packet, i / 2);
	packet->src.word[3].raw ^= flip;
	packet->sport.raw ^= (uint16_t)flip;
}

static void make_pair6(struct berth_packet *packet, uint32_t i)
{
	uint64_t word = host6(mix(i / 2));
	packet->src.half[0] = i & 1 ? ~word : word;
	packet->src.half[1] = ~packet->src.half[0];
	packet->sport = berth_to_be16(40000);
}

static void make_sequential(struct berth_packet *packet, uint32_t i)
{
	berth_addr_set4(&packet->src, berth_to_be32((UINT32_C(1) << 31) + i / 4096));
	packet->sport = berth_to_be16((uint16_t)(1024 + i % 4096));
}

/* The Toeplitz hash of NICs over addresses and ports, with the symmetric key. */
static uint32_t rss_hash(const struct berth_packet *packet)
{
	const uint32_t key = 0x6d5a6d5a; /* 32 bits of it from any even byte on */
	uint8_t tuple[12];
	uint32_t hash = 0;
	memcpy(tuple, &packet->src.word[3], 4);
	memcpy(tuple + 4, &packet->dst.word[3], 4);
	memcpy(tuple + 8, &packet->sport, 2);
	memcpy(tuple + 10, &packet->dport, 2);
	for (uint32_t bit = 0; bit < 8 * sizeof(tuple); bit++)
		if (tuple[bit / 8] >> (7 - bit % 8) & 1)
			hash ^= key << bit % 16 | (uint32_t)((uint64_t)key >> (32 - bit % 16));
	return hash;
}

static void check_rss(const struct set *set)
{
	for (uint32_t i = 1; i < CHECKED; i++) {
		if (rss_hash(&set->packets[i]) == rss_hash(&set->packets[0]))
			continue;
		fprintf(stderr, "crafted: tuple %u has another RSS hash than the first: nothing was crafted\n", i);
		exit(1);
	}
}

/* --- the table --- */

static struct berth_view view_of(const struct setup *setup)
{
	return berth_image_view(&setup->rig->image, 0, RIG_NOW);
}

static uint64_t table_bytes(const struct setup *setup)
{
	return setup->rig->image.geometry.flow_buckets * sizeof(struct berth_bucket);
}

/* The backend in the entry of an established flow; 0: no entry, or no longer established. */
static uint16_t home_of(const struct setup *setup, const struct berth_view *view, uint32_t flow)
{
	struct berth_packet packet;
	struct berth_entry entry;
	rig_packet(setup->rig, flow, &packet);
	berth_hash_packet(view, &packet);
	struct berth_key key = berth_key_make(view, BERTH_TABLE_FLOWS, packet.service, packet.hash);
	berth_flowtab_lookup(view, &key, &entry);
	if (entry.at == BERTH_NOT_FOUND || berth_word_state(entry.value) != BERTH_STATE_CONFIRMED)
		return 0;
	return (uint16_t)berth_word_backend(entry.value);
}

/* Fills the table with the established flows; the second packet establishes each. */
static void setup_make(struct setup *setup, bool is6, uint32_t tuples)
{
	const struct rig_options options = {.mode = "l2", .is6 = is6, .is_outer6 = is6, .flows = TABLE};
	*setup = (struct setup){.rig = rig_new(&options), .tuples = tuples};
	struct berth_view view = view_of(setup);
	memset(setup->rig->image.flows, 0, table_bytes(setup));
	for (uint32_t i = 0; i < 2 * ESTABLISHED; i++) {
		struct berth_packet packet;
		rig_packet(setup->rig, i % ESTABLISHED, &packet);
		berth_hash_packet(&view, &packet);
		bench_steer(&view, &packet);
	}
	setup->snapshot = bench_memory(table_bytes(setup));
	memcpy(setup->snapshot, setup->rig->image.flows, table_bytes(setup));
	setup->home = bench_memory(ESTABLISHED * sizeof(*setup->home));
	for (uint32_t i = 0; i < ESTABLISHED; i++)
		setup->home[i] = home_of(setup, &view, i);
}

static void setup_drop(struct setup *setup)
{
	bench_release(setup->snapshot, table_bytes(setup));
	bench_release(setup->home, ESTABLISHED * sizeof(*setup->home));
	rig_free(setup->rig);
}

static void make_packet(const struct set *set, uint32_t i, struct berth_packet *packet)
{
	rig_packet(set->setup->rig, 0, packet);
	packet->tcp_flags = BERTH_TCP_SYN;
	set->make(packet, i);
}

static void set_make(struct set *set, struct setup *setup, make_fn *make)
{
	*set = (struct set){.setup = setup, .make = make};
	set->packets = bench_memory(setup->tuples * sizeof(*set->packets));
	for (uint32_t i = 0; i < setup->tuples; i++)
		make_packet(set, i, &set->packets[i]);
}

static void set_drop(struct set *set)
{
	bench_release(set->packets, set->setup->tuples * sizeof(*set->packets));
}

/* --- measuring --- */

/* CPU time of this thread: independent of other load on the core. */
static double cpu_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Runs all packets in bursts, like the pipeline; returns nanoseconds. */
static double steer_all(struct set *set, const struct berth_view *view)
{
	double start = cpu_ns();
	for (uint32_t i = 0; i < set->setup->tuples; i += BURST) {
		struct berth_packet *packet = &set->packets[i];
		for (uint32_t j = 0; j < BURST; j++) {
			berth_hash_packet(view, &packet[j]);
			__builtin_prefetch(&view->image->flows[packet[j].hash & view->flow_mask]);
		}
		for (uint32_t j = 0; j < BURST; j++)
			set->verdicts[bench_steer(view, &packet[j])]++;
	}
	return cpu_ns() - start;
}

/* Makes the packets, without their hashes. */
static void set_flags(struct set *set, uint8_t flags)
{
	for (uint32_t i = 0; i < set->setup->tuples; i++) {
		set->packets[i].tcp_flags = flags;
		set->packets[i].hash = 0;
		set->packets[i].flow_key = set->setup->rig->flow_key;
	}
}

static double run(void *arg)
{
	struct set *set = arg;
	const struct berth_image *image = &set->setup->rig->image;
	const uint64_t *evicted = &image->workers[0].event[BERTH_EVENT_FLOW_EVICTED];
	struct berth_view view = view_of(set->setup);
	uint64_t before = *evicted;
	memcpy(image->flows, set->setup->snapshot, table_bytes(set->setup));
	memset(set->verdicts, 0, sizeof(set->verdicts));
	set_flags(set, BERTH_TCP_SYN);
	double ns = steer_all(set, &view);
	set->evicted = *evicted - before + set->verdicts[BERTH_VERDICT_TABLE_FULL];
	set->shared = set->verdicts[BERTH_VERDICT_FLOW];
	set_flags(set, BERTH_TCP_ACK);
	ns += steer_all(set, &view);
	return ns / (2.0 * set->setup->tuples);
}

/* Counts established flows that lost their entry in a flood of unconfirmed flows through a full table. */
static uint64_t flood(struct set *set)
{
	const struct setup *setup = set->setup;
	struct berth_view view = view_of(setup);
	uint64_t lost = 0;
	memcpy(setup->rig->image.flows, setup->snapshot, table_bytes(setup));
	for (uint32_t i = 0; i < FLOOD; i++) {
		struct berth_packet packet;
		make_packet(set, i, &packet);
		berth_hash_packet(&view, &packet);
		bench_steer(&view, &packet);
	}
	for (uint32_t i = 0; i < ESTABLISHED; i++)
		lost += setup->home[i] && home_of(setup, &view, i) != setup->home[i];
	return lost;
}

/* Prints row ID.WHAT, a number of flows, beside that of the random tuples or the maximum. */
static void print_flows(const char *id, const char *what, uint64_t flows, const uint64_t *random, double most)
{
	char full[64];
	snprintf(full, sizeof(full), "%s.%s", id, what);
	struct bench_row row = {.id = full, .unit = "flows", .value = (double)flows};
	if (random) {
		row.baseline = "random tuples";
		row.baseline_value = (double)*random;
		/* Either can be 0. */
		row.ratio = (row.value + 1) / (row.baseline_value + 1);
	} else {
		row.goal_kind = BENCH_AT_MOST;
		row.goal = most;
	}
	bench_print(&row);
}

/* Checks that no flow was refused: refused flows cost less and leave room for the others. */
static void check_admitted(const char *id, const struct set *set)
{
	if (!set->verdicts[BERTH_VERDICT_BAD_SOURCE])
		return;
	fprintf(stderr, "%s: %llu tuples are no hosts'\n", id,
		(unsigned long long)set->verdicts[BERTH_VERDICT_BAD_SOURCE]);
	exit(1);
}

static void measure(const char *id, struct setup *setup, make_fn *make, struct set *random)
{
	struct set crafted;
	struct bench_row row = {
		.id = id,
		.unit = "ns/packet",
		.baseline = "random tuples",
		.goal_kind = BENCH_AT_MOST,
		.goal = 1.1,
	};
	set_make(&crafted, setup, make);
	if (make == make_rss)
		check_rss(&crafted);
	struct bench_repeat ours = {run, &crafted, setup->rounds};
	struct bench_repeat theirs = {run, random, setup->rounds};
	bench_pairs(&row, bench_repeat, &ours, bench_repeat, &theirs);
	row.ratio = 1 / row.ratio;
	bench_print(&row);
	check_admitted(id, &crafted);
	check_admitted(id, random);
	print_flows(id, "evicted", crafted.evicted, &random->evicted, 0);
	print_flows(id, "shared", crafted.shared, NULL, SHARED_AT_MOST);
	print_flows(id, "established_lost", flood(&crafted), NULL, 0);
	set_drop(&crafted);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *id;
		bool is6;
		make_fn *make;
	} all[] = {
		{"hash.crafted.rss", false, make_rss},
		{"hash.crafted.pairs", false, make_pair4},
		{"hash.crafted.sequential", false, make_sequential},
		{"hash.crafted.pairs6", true, make_pair6},
	};
	bool quick = bench_quick(&argc, &argv);
	uint32_t tuples = quick ? QUICK_TUPLES : TUPLES;
	for (int is6 = 0; is6 < 2; is6++) {
		struct setup setup = {0};
		struct set random;
		for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
			if (all[i].is6 != is6 || !bench_wanted(argc, argv, all[i].id))
				continue;
			if (!setup.rig) {
				setup_make(&setup, is6, tuples);
				setup.rounds = quick ? 1 : ROUNDS;
				set_make(&random, &setup, make_random);
			}
			measure(all[i].id, &setup, all[i].make, &random);
		}
		if (!setup.rig)
			continue;
		set_drop(&random);
		setup_drop(&setup);
	}
	return 0;
}
