// SPDX-License-Identifier: BSD-3-Clause
/*
 * The XDP program against a small balancer with an LRU hash map, in the kernel's test-run: nanoseconds a packet,
 * less what making the packet costs.
 *
 * xdp [--quick] [--objects FOLDER] [ID-PREFIX]...
 *
 * FOLDER holds the BPF objects of the benchmark and of berth; without it they stand where the build puts them,
 * beside this program and in ../../bpf. With BENCH_VERBOSE set, a table of what each stage costs goes to standard
 * error.
 */
#include <arpa/inet.h>
#include <libgen.h>
#include <limits.h>
#include <sched.h>
#include <unistd.h>

#include "tests/bench/bench.h"
#include "tests/bench/rig.h"
#include "tests/bench/xdp.h"
#include "tests/diff/loaded.h"

enum {
	LOOPBACK = 1, /* the interface that a test-run's packets come from */
	TCP_SYN = 0x02,
	TCP_ACK = 0x10,
	RUNS = 7, /* test-runs a measurement; the median counts */
};

/* The generator in front of a program. */
struct subject {
	struct bpf_object *object;
	int generator;
	struct bench_draw *draw;
};

struct pair {
	const char *id;
	const char *mode;
	uint32_t flows;
	bool is_new; /* each packet of a new flow */
};

struct setup {
	const struct pair *pair;
	struct loaded berth;
	struct bpf_object *baseline;
	struct subject ours;
	struct subject theirs;
	struct subject nothing;
	uint32_t packets; /* a test-run */
};

static const char *objects; /* folder; NULL: the build's */
static bool is_quick;

static const char *object_path(const char *name, const char *folder, char path[PATH_MAX])
{
	char self[PATH_MAX] = "";
	if (objects) {
		snprintf(path, PATH_MAX, "%s/%s", objects, name);
		return path;
	}
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		die("/proc/self/exe", errno);
	if (snprintf(path, PATH_MAX, "%s/%s/%s", dirname(self), folder, name) >= PATH_MAX)
		die(name, ENAMETOOLONG);
	return path;
}

static struct bpf_object *open_object(const char *name)
{
	char path[PATH_MAX];
	struct bpf_object *object = bpf_object__open_file(object_path(name, ".", path), NULL);
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

/* `program` is of the kernel's; -1: the generator's own empty one. */
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

/* `packets` through the program; each must be sent. Returns nanoseconds a packet, whole ones. */
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
	for (int i = 0; i < RUNS; i++)
		ns[i] = subject_run(subject, packets);
	return bench_median(ns, RUNS);
}

static struct rig_options options_of(const struct pair *pair)
{
	return (struct rig_options){.mode = pair->mode, .flows = pair->flows};
}

static void load_berth(struct setup *setup)
{
	char path[PATH_MAX];
	const struct rig_options options = options_of(setup->pair);
	struct berth_geometry geometry = rig_geometry(&options, (uint32_t)libbpf_num_possible_cpus());
	load_program(&setup->berth, object_path("berth_xdp.bpf.o", "../../bpf", path), &geometry);
	rig_publish(&options, &setup->berth.image);
	setup->berth.image.ctl->ports[0].ifindex = LOOPBACK;
}

/* The service and the backends of the rig. */
static void configure_baseline(struct bpf_object *object, bool is_ipip)
{
	enum {
		BACKENDS = 8
	};
	const struct bench_service_key key = {htonl(0xcb00710a), htons(80), IPPROTO_TCP, 0};
	const struct bench_service service = {0};
	set(object, "base_services", &key, &service);
	for (uint32_t row = 0; row < BENCH_ROWS; row++) {
		uint32_t backend = 1 + row % BACKENDS;
		set(object, "base_rows", &row, &backend);
	}
	for (uint32_t i = 1; i <= BACKENDS; i++) {
		const struct bench_backend backend = {
			.macs = {htons(0x0200), 0, htons((uint16_t)(0x0200 + i)), htons(0x0200), 0, htons(0x0101)},
			.outer_src = htonl(0xc0000201),
			.outer_dst = htonl(0xc0000200 + i),
			.is_ipip = is_ipip,
		};
		set(object, "base_backends", &i, &backend);
	}
}

static void load_baseline(struct setup *setup)
{
	/* The kernel hands out free entries to CPUs by 128; with so many more nothing is evicted. */
	uint32_t entries = setup->pair->flows + 128 * (uint32_t)libbpf_num_possible_cpus();
	setup->baseline = open_object("xdp_baseline.bpf.o");
	set_entries(setup->baseline, "base_flows", entries);
	load_object(setup->baseline);
	configure_baseline(setup->baseline, strcmp(setup->pair->mode, "ipip") == 0);
}

/* Each flow twice: established. */
static void fill(const struct setup *setup)
{
	struct bench_draw all = {.flows = setup->pair->flows, .tcp_flags = TCP_ACK};
	*setup->ours.draw = all;
	*setup->theirs.draw = all;
	for (int i = 0; i < 2; i++)
		subject_run(&setup->ours, setup->pair->flows);
	subject_run(&setup->theirs, setup->pair->flows);
}

static void draw_from(const struct subject *subject, const struct pair *pair)
{
	*subject->draw = pair->is_new ? (struct bench_draw){.flows = UINT32_MAX, .tcp_flags = TCP_SYN}
				      : (struct bench_draw){
						.random = 88172645463325252,
						.flows = pair->flows,
						.tcp_flags = TCP_ACK,
					};
}

static void setup_make(struct setup *setup, const struct pair *pair)
{
	*setup = (struct setup){.pair = pair, .packets = is_quick ? 20000 : 100000};
	load_berth(setup);
	load_baseline(setup);
	setup->ours = subject_new(setup->berth.program);
	setup->theirs = subject_new(program_of(setup->baseline, "bench_baseline"));
	setup->nothing = subject_new(-1);
	if (!pair->is_new)
		fill(setup);
	draw_from(&setup->ours, pair);
	draw_from(&setup->theirs, pair);
	draw_from(&setup->nothing, pair);
}

static void setup_drop(struct setup *setup)
{
	subject_drop(&setup->ours);
	subject_drop(&setup->theirs);
	subject_drop(&setup->nothing);
	bpf_object__close(setup->baseline);
#define X(section, type, count) munmap(setup->berth.image.section, sizeof(type) * (size_t)(count));
	const struct berth_geometry *g = &setup->berth.image.geometry;
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

static void measure(const struct pair *pair)
{
	struct setup setup;
	struct bench_row row = {
		.id = pair->id,
		.unit = "ns/packet",
		.baseline = "XDP balancer with an LRU hash map",
		.goal_kind = BENCH_AT_MOST,
		.goal = 0.60,
	};
	double t0 = bench_now_ns();
	setup_make(&setup, pair);
	double t1 = bench_now_ns();
	bench_pairs(&row, ours, &setup, theirs, &setup);
	double t2 = bench_now_ns();
	row.ratio = 1 / row.ratio;
	bench_print(&row);
	setup_drop(&setup);
	if (getenv("BENCH_VERBOSE"))
		fprintf(stderr, "setup %.2f s, measure %.2f s, drop %.2f\n", (t1 - t0) / 1e9, (t2 - t1) / 1e9,
			(bench_now_ns() - t2) / 1e9);
}

/* A test-run runs where its process is. */
static void pin(void)
{
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		die("sched_setaffinity", errno);
}

int main(int argc, char **argv)
{
	static const struct pair pairs[] = {
		/* Three quarters of a power of two: the table is as full as it is meant to be. */
		{"xdp.l2.64k", "l2", 49152, false},	{"xdp.l2.1m", "l2", 786432, false},
		{"xdp.l2.8m", "l2", 6291456, false},	{"xdp.ipip.64k", "ipip", 49152, false},
		{"xdp.ipip.1m", "ipip", 786432, false}, {"xdp.ipip.8m", "ipip", 6291456, false},
		{"xdp.new_flows", "l2", 786432, true},
	};
	while (argc > 1 && argv[1][0] == '-') {
		if (strcmp(argv[1], "--quick") == 0) {
			is_quick = true;
		} else if (strcmp(argv[1], "--objects") == 0 && argc > 2) {
			objects = argv[2];
			argc--;
			argv++;
		} else {
			fprintf(stderr, "usage: xdp [--quick] [--objects FOLDER] [ID-PREFIX]...\n");
			return 2;
		}
		argc--;
		argv++;
	}
	pin();
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (bench_wanted(argc, argv, pairs[i].id))
			measure(&pairs[i]);
	return 0;
}
