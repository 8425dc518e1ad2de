// SPDX-License-Identifier: BSD-3-Clause
/*
 * berth's XDP program against load balancers with LRU hash maps (xdp_baseline.bpf.c), in test runs of the kernel:
 * nanoseconds per packet, without the cost of making the packet.
 *
 * xdp [--quick] [--objects FOLDER] [ID-PREFIX]...
 *
 * --quick leaves out the largest tables. FOLDER has the BPF objects of the benchmark and of berth; by default they
 * are where the build puts them: beside this program and in ../../bpf.
 */
#include <arpa/inet.h>
#include <libgen.h>
#include <limits.h>
#include <sched.h>
#include <unistd.h>

#include "tests/bench/support/bench.h"
#include "tests/bench/support/rig.h"
#include "tests/bench/xdp/xdp.h"
#include "tests/diff/loaded.h"

enum {
	BACKENDS = 8, /* of the rig */
	/* Packets per test run, and test runs per measurement; the median counts. Few and long: the kernel
	 * takes some 20 ms to begin and end one. */
	PACKETS = 80000,
	PACKETS_NEW = 25000,
	PACKETS_QUICK = 20000,
	RUNS = 3,
	RUNS_QUICK = 1,
	FILLED = 786432, /* flows per test run */
	SERVICES = 10000,
	SERVICES_FLOWS = 98304,
};

enum kind {
	HITS, /* packets of established flows, drawn at random */
	NEW,  /* each packet starts a new flow, with room for all */
	FULL, /* each packet starts a new flow, which evicts another one */
};

struct pair {
	const char *id;
	const char *mode; /* ipip: against the peer, with tables of twice the flows on both sides */
	uint32_t flows;	  /* three quarters of a power of two: the intended load of the table */
	enum kind kind;
	double goal;
};

static const struct pair pairs[] = {
	{"xdp.l2.64k", "l2", 49152, HITS, 0.60},    {"xdp.ipip.64k", "ipip", 49152, HITS, 0.45},
	{"xdp.l2.1m", "l2", 786432, HITS, 0.60},    {"xdp.ipip.1m", "ipip", 786432, HITS, 0.55},
	{"xdp.l2.8m", "l2", 6291456, HITS, 0.60},   {"xdp.ipip.8m", "ipip", 6291456, HITS, 0.55},
	{"xdp.new_flows", "l2", 786432, NEW, 0.45}, {"xdp.new_flows.full", "l2", 786432, FULL, 0.60},
};
_Static_assert((1 + BENCH_PAIRS) * RUNS * PACKETS_NEW <= 786432, "xdp.new_flows has room for all its flows");

static const char *objects; /* folder; NULL: that of the build */
static bool is_quick;

/* The generator, with the program that it tail-calls. */
struct subject {
	struct bpf_object *object;
	int generator;
	struct bench_draw *draw;
};

/* Filled tables of both. */
struct setup {
	struct rig_options rig;
	enum kind kind;
	uint32_t packets; /* per run */
	struct loaded berth;
	struct bpf_object *baseline; /* NULL: none */
	struct subject ours;
	struct subject theirs;
	struct subject nothing;
	struct subject floor;
};

static void find_object(const char *name, const char *folder, char path[PATH_MAX])
{
	char self[PATH_MAX] = "";
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		die("/proc/self/exe", errno);
	int length = objects ? snprintf(path, PATH_MAX, "%s/%s", objects, name)
			     : snprintf(path, PATH_MAX, "%s/%s/%s", dirname(self), folder, name);
	if (length >= PATH_MAX)
		die(name, ENAMETOOLONG);
}

static struct bpf_object *open_object(const char *name)
{
	char path[PATH_MAX];
	find_object(name, ".", path);
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	if (!object)
		die(path, errno);
	return object;
}

static void load_object(struct bpf_object *object)
{
	int err = bpf_object__load(object);
	if (err)
		die(bpf_object__name(object), err);
}

static int program_of(const struct bpf_object *object, const char *name)
{
	const struct bpf_program *program = bpf_object__find_program_by_name(object, name);
	if (!program)
		die(name, ENOENT);
	return bpf_program__fd(program);
}

static void set(struct bpf_object *object, const char *map, const void *key, const void *value)
{
	if (bpf_map_update_elem(bpf_object__find_map_fd_by_name(object, map), key, value, BPF_ANY))
		die(map, errno);
}

/* `program` is a file descriptor; -1: the empty program. */
static struct subject subject_new(int program)
{
	const uint32_t first = 0;
	struct subject subject = {.object = open_object("xdp_generator.bpf.o")};
	load_object(subject.object);
	if (program < 0)
		program = program_of(subject.object, "bench_empty");
	set(subject.object, "measured", &first, &program);
	subject.generator = program_of(subject.object, "bench_generate");
	subject.draw = map_section(subject.object, "draw", sizeof(*subject.draw));
	return subject;
}

static void subject_drop(struct subject *subject)
{
	munmap(subject->draw, sizeof(*subject->draw));
	bpf_object__close(subject->object);
}

/* Runs `packets` through the program; the last one must be sent. Returns nanoseconds per packet as the kernel
 * reports them: an integer, without the time in which other tasks had the CPU. */
static double subject_run(const struct subject *subject, uint32_t packets)
{
	uint8_t frame[BENCH_FRAME_BYTES] = {0};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame),
		    .repeat = (int)packets);
	int err = bpf_prog_test_run_opts(subject->generator, &run);
	if (err)
		die("a test-run", err);
	if (run.retval != XDP_TX) {
		fprintf(stderr, "xdp: the program did not send its packet, it returned %u\n", run.retval);
		exit(1);
	}
	return run.duration;
}

static double subject_measure(const struct subject *subject, uint32_t packets)
{
	double ns[RUNS];
	int runs = is_quick ? RUNS_QUICK : RUNS;
	for (int i = 0; i < runs; i++)
		ns[i] = subject_run(subject, packets);
	return bench_median(ns, runs);
}

static bool has_peer(const struct setup *setup)
{
	return strcmp(setup->rig.mode, "ipip") == 0;
}

static void load_berth(struct setup *setup)
{
	char path[PATH_MAX];
	struct berth_geometry geometry = rig_geometry(&setup->rig, (uint32_t)libbpf_num_possible_cpus());
	find_object("berth_xdp.bpf.o", "../../bpf", path);
	load_program(&setup->berth, path, &geometry);
	rig_publish(&setup->rig, &setup->berth.image);
}

/* Fills the baseline's maps with the service and the backends of the rig. */
static void configure_baseline(struct bpf_object *object)
{
	const struct bench_service_key key = {htonl(0xcb00710a), htons(80), IPPROTO_TCP, 0};
	const struct bench_service service = {.first_row = 0};
	const struct bench_backend gateway = {
		.macs = {htons(0x0200), 0, htons(0x0200), htons(0x0200), 0, htons(0x0101)}};
	const uint32_t first = 0;
	set(object, "base_services", &key, &service);
	set(object, "peer_gateway", &first, &gateway);
	for (uint32_t row = 0; row < BENCH_ROWS; row++) {
		uint32_t backend = 1 + row % BACKENDS;
		set(object, "base_rows", &row, &backend);
	}
	for (uint32_t i = 1; i <= BACKENDS; i++) {
		const uint16_t number = htons((uint16_t)(0x0200 + i)), from = htons(0x0101);
		const struct bench_backend backend = {
			.macs = {htons(0x0200), 0, number, htons(0x0200), 0, from},
			.outer_dst = htonl(0xc0000200 + i),
		};
		set(object, "base_backends", &i, &backend);
	}
}

/* Gives the peer the flows of this CPU, on which its program runs. */
static void add_peer_flows(struct bpf_object *object, uint32_t entries)
{
	const uint32_t cpu = (uint32_t)sched_getcpu();
	int flows = bpf_map_create(BPF_MAP_TYPE_LRU_HASH, "peer_flows", sizeof(struct bench_flow_key),
				   sizeof(struct bench_peer_flow), entries, NULL);
	if (flows < 0)
		die("peer_flows", flows);
	set(object, "peer_flows", &cpu, &flows);
	close(flows);
}

static void load_baseline(struct setup *setup)
{
	/* The kernel gives free entries to CPUs in batches of 128; with this many more none is evicted. */
	const uint32_t spare = 128 * (uint32_t)libbpf_num_possible_cpus();
	const uint32_t entries = setup->rig.flows + setup->rig.room + spare;
	setup->baseline = open_object("xdp_baseline.bpf.o");
	set_entries(setup->baseline, "base_flows", has_peer(setup) ? spare : entries);
	load_object(setup->baseline);
	if (has_peer(setup))
		add_peer_flows(setup->baseline, entries);
	configure_baseline(setup->baseline);
}

/* What is drawn first, of `flows` flows. */
static void draw(const struct setup *setup, const struct subject *subject, uint32_t flows, uint8_t tcp_flags)
{
	*subject->draw = (struct bench_draw){
		.flows = flows,
		.tcp_flags = tcp_flags,
		.services = setup->rig.services,
	};
}

/* Sends two packets of each flow, the second before the entry expires: all flows are established. */
static void fill_hits(const struct setup *setup)
{
	const uint32_t flows = setup->rig.flows, step = flows < FILLED ? flows : FILLED;
	for (uint32_t at = 0; at < flows; at += step) {
		for (int i = 0; i < 2; i++) {
			draw(setup, &setup->ours, flows, BERTH_TCP_ACK);
			setup->ours.draw->next = at;
			subject_run(&setup->ours, step);
		}
	}
	if (!setup->baseline)
		return;
	draw(setup, &setup->theirs, flows, BERTH_TCP_ACK);
	subject_run(&setup->theirs, flows);
}

/* Inserts one and a half times the intended number of flows, all unconfirmed. */
static void fill_up(const struct setup *setup)
{
	const struct subject *const subjects[] = {&setup->ours, &setup->theirs};
	for (int i = 0; i < 2; i++) {
		draw(setup, subjects[i], UINT32_MAX, BERTH_TCP_SYN);
		subject_run(subjects[i], setup->rig.flows / 2 * 3);
	}
}

static void start_draw(const struct setup *setup, const struct subject *subject)
{
	if (setup->kind == HITS) {
		draw(setup, subject, setup->rig.flows, BERTH_TCP_ACK);
		subject->draw->random = 88172645463325252;
	} else if (setup->kind == NEW) {
		draw(setup, subject, UINT32_MAX, BERTH_TCP_SYN);
	}
}

static void setup_make(struct setup *setup, const struct rig_options *rig, enum kind kind, bool with_baseline)
{
	*setup = (struct setup){
		.rig = *rig,
		.kind = kind,
		.packets = is_quick	 ? PACKETS_QUICK
			   : kind == NEW ? PACKETS_NEW
					 : PACKETS,
	};
	load_berth(setup);
	setup->ours = subject_new(setup->berth.program);
	setup->nothing = subject_new(-1);
	if (with_baseline) {
		load_baseline(setup);
		setup->theirs = subject_new(
			program_of(setup->baseline, has_peer(setup) ? "bench_peer" : "bench_baseline"));
	}
	if (kind == HITS)
		fill_hits(setup);
	else if (kind == FULL)
		fill_up(setup);
	*setup->nothing.draw = *setup->ours.draw;
	start_draw(setup, &setup->ours);
	start_draw(setup, &setup->nothing);
	if (with_baseline)
		start_draw(setup, &setup->theirs);
}

static void setup_drop(struct setup *setup)
{
	subject_drop(&setup->ours);
	subject_drop(&setup->nothing);
	if (setup->baseline) {
		subject_drop(&setup->theirs);
		bpf_object__close(setup->baseline);
	}
	const struct berth_geometry *g = &setup->berth.image.geometry;
#define X(section, type, count) munmap(setup->berth.image.section, sizeof(type) * (size_t)(count));
	BERTH_SECTIONS(X)
#undef X
	bpf_object__close(setup->berth.object);
}

static double ours(void *arg)
{
	const struct setup *setup = arg;
	return subject_measure(&setup->ours, setup->packets) - subject_measure(&setup->nothing, setup->packets);
}

static double theirs(void *arg)
{
	const struct setup *setup = arg;
	return subject_measure(&setup->theirs, setup->packets) - subject_measure(&setup->nothing, setup->packets);
}

/* berth's packets so far: all, and those of existing flows. */
static void count_ours(const struct setup *setup, uint64_t *all, uint64_t *known)
{
	*all = *known = 0;
	for (uint32_t i = 0; i < setup->berth.image.geometry.workers; i++) {
		*all += setup->berth.image.workers[i].received;
		*known += setup->berth.image.workers[i].verdict[BERTH_VERDICT_FLOW];
	}
}

static uint64_t count_their_misses(const struct setup *setup)
{
	const uint32_t key = BENCH_MISSES;
	struct bench_counter per_cpu[BERTH_MAX_WORKERS];
	uint64_t sum = 0;
	if (bpf_map_lookup_elem(bpf_object__find_map_fd_by_name(setup->baseline, "base_counters"), &key, per_cpu))
		die("base_counters", errno);
	for (int i = 0; i < libbpf_num_possible_cpus(); i++)
		sum += per_cpu[i].packets;
	return sum;
}

/* Checks that between two counts both programs did what the pair measures. */
static void check(const struct setup *setup, const struct pair *pair, uint64_t all, uint64_t known, uint64_t misses)
{
	uint64_t all_now, known_now;
	count_ours(setup, &all_now, &known_now);
	double sent = (double)(all_now - all);
	double our_hits = (double)(known_now - known) / sent;
	double their_hits = 1 - (double)(count_their_misses(setup) - misses) / sent;
	bool ok = pair->kind == HITS ? our_hits > 0.99 && their_hits > 0.99 : our_hits < 0.01 && their_hits < 0.01;
	if (ok)
		return;
	fprintf(stderr, "%s: not what was to be measured: %.1f%% of packets hit our table, %.1f%% theirs\n",
		pair->id, our_hits * 100, their_hits * 100);
	exit(1);
}

/* Loads xdp_stages.bpf.o with the maps of the loaded program. */
static struct bpf_object *load_stages(const struct setup *setup)
{
	struct bpf_object *stages = open_object("xdp_stages.bpf.o");
#define X(section, type, count)                                                                                    \
	bpf_map__reuse_fd(bpf_object__find_map_by_name(stages, #section),                                          \
			  bpf_object__find_map_fd_by_name(setup->berth.object, #section));
	BERTH_SECTIONS(X)
#undef X
	load_object(stages);
	return stages;
}

/* The median of the differences: differences of medians would be noise. */
static double least_of(const struct subject *subject, uint32_t packets)
{
	double least = subject_measure(subject, packets);
	for (int i = 1; i < BENCH_PAIRS; i++) {
		double ns = subject_measure(subject, packets);
		least = ns < least ? ns : least;
	}
	return least;
}

/* Prints a row per stage with its time. */
static void measure_stages(struct setup *setup, const struct pair *pair)
{
	static const struct {
		const char *name, *program; /* NULL: the whole of it */
	} parts[] = {
		{"parse", "stage_parse"},
		{"classify_and_hash", "stage_hash"},
		{"steer", "stage_steer"},
		{"emit_and_count", NULL},
	};
	struct bpf_object *stages = load_stages(setup);
	double before = least_of(&setup->nothing, setup->packets);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		const char *program = parts[i].program;
		struct subject subject = subject_new(program ? program_of(stages, program) : setup->berth.program);
		*subject.draw = *setup->ours.draw;
		double ns = least_of(&subject, setup->packets);
		char id[64];
		snprintf(id, sizeof(id), "%s.%s", pair->id, parts[i].name);
		bench_print(&(struct bench_row){.id = id, .value = ns - before, .unit = "ns/packet"});
		before = ns;
		subject_drop(&subject);
	}
	bpf_object__close(stages);
}

/* Prints what parsing, hashing and one random line of the flow table cost: a floor. */
static void measure_floor(struct setup *setup, const struct pair *pair)
{
	char id[64];
	snprintf(id, sizeof(id), "xdp.line.%s", strrchr(pair->id, '.') + 1);
	struct bpf_object *stages = load_stages(setup);
	struct subject subject = subject_new(program_of(stages, "floor_line"));
	start_draw(setup, &subject);
	double ns = least_of(&subject, setup->packets) - least_of(&setup->nothing, setup->packets);
	bench_print(&(struct bench_row){.id = id, .value = ns, .unit = "ns/packet"});
	subject_drop(&subject);
	bpf_object__close(stages);
}

static void measure(const struct pair *pair)
{
	static struct setup setup;
	const bool is_peer = strcmp(pair->mode, "ipip") == 0;
	const struct rig_options rig = {
		.mode = pair->mode, .flows = pair->flows, .room = is_peer ? pair->flows : 0};
	struct bench_row row = {
		.id = pair->id,
		.unit = "ns/packet",
		.baseline = is_peer ? "XDP balancer with an LRU hash map per CPU"
				    : "XDP balancer with an LRU hash map",
		.goal_kind = BENCH_AT_MOST,
		.goal = pair->goal,
	};
	setup_make(&setup, &rig, pair->kind, true);
	uint64_t all, known, misses = count_their_misses(&setup);
	count_ours(&setup, &all, &known);
	bench_pairs(&row, ours, &setup, theirs, &setup);
	check(&setup, pair, all, known, misses);
	row.ratio = 1 / row.ratio;
	bench_print(&row);
	if (pair == &pairs[0] && !is_quick)
		measure_stages(&setup, pair);
	if (pair->kind == HITS && !is_peer)
		measure_floor(&setup, pair);
	setup_drop(&setup);
}

static double at_least(void *arg)
{
	const struct setup *setup = arg;
	return subject_measure(&setup->floor, setup->packets) - subject_measure(&setup->nothing, setup->packets);
}

/* The least that a packet of one of many services can cost, against a whole one of one service. */
static void measure_services_floor(const char *id, struct setup *many, struct setup *one)
{
	char of_floor[64];
	snprintf(of_floor, sizeof(of_floor), "%s.line", id);
	struct bench_row row = {.id = of_floor, .unit = "ns/packet", .baseline = "one service"};
	struct bpf_object *stages = load_stages(many);
	many->floor = subject_new(program_of(stages, "floor_lines"));
	start_draw(many, &many->floor);
	bench_pairs(&row, at_least, many, ours, one);
	row.ratio = 1 / row.ratio;
	bench_print(&row);
	subject_drop(&many->floor);
	bpf_object__close(stages);
}

/* Many services against one, with the same number of flows. */
static void measure_services(const char *id)
{
	static struct setup many, one;
	const struct rig_options of_many = {.mode = "l2", .flows = SERVICES_FLOWS, .services = SERVICES};
	const struct rig_options of_one = {.mode = "l2", .flows = SERVICES_FLOWS, .services = 1};
	struct bench_row row = {
		.id = id,
		.unit = "ns/packet",
		.baseline = "one service",
		.goal_kind = BENCH_AT_MOST,
		.goal = 1.5,
	};
	setup_make(&many, &of_many, HITS, false);
	setup_make(&one, &of_one, HITS, false);
	uint64_t all, known, all_now, known_now;
	count_ours(&many, &all, &known);
	bench_pairs(&row, ours, &many, ours, &one);
	count_ours(&many, &all_now, &known_now);
	if ((double)(known_now - known) < 0.99 * (double)(all_now - all)) {
		fprintf(stderr, "%s: not what was to be measured: packets missed the table\n", id);
		exit(1);
	}
	row.ratio = 1 / row.ratio;
	bench_print(&row);
	measure_services_floor(id, &many, &one);
	setup_drop(&many);
	setup_drop(&one);
}

/* A test run is on the core of its process. */
static void pin(void)
{
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		die("sched_setaffinity", errno);
}

/* Removes the options from argv. Returns the number of arguments left, or -1. */
static int read_options(int argc, char **argv)
{
	int left = 1;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--quick") == 0)
			is_quick = true;
		else if (strcmp(argv[i], "--objects") == 0 && i + 1 < argc)
			objects = argv[++i];
		else if (argv[i][0] == '-')
			return -1;
		else
			argv[left++] = argv[i];
	}
	return left;
}

int main(int argc, char **argv)
{
	static const char *const services = "xdp.services.10000";
	argc = read_options(argc, argv);
	if (argc < 0) {
		fprintf(stderr, "usage: xdp [--quick] [--objects FOLDER] [ID-PREFIX]...\n");
		return 2;
	}
	pin();
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		/* Filling the largest tables takes longer than everything else. */
		bool is_long = is_quick && pairs[i].flows > FILLED;
		if (!is_long && bench_wanted(argc, argv, pairs[i].id))
			measure(&pairs[i]);
	}
	if (!is_quick && bench_wanted(argc, argv, services))
		measure_services(services);
	return 0;
}
