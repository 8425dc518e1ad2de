// SPDX-License-Identifier: BSD-3-Clause
/*
 * The XDP program on interfaces that are missing, are removed and created again, whose mode changes, and whose
 * driver sends no frames of XDP programs: on veth pairs in a network namespace of its own. As root; the arguments
 * are berth_xdp.bpf.o and berth_trace.bpf.o.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "controlplane/engine/merging/merging.h"
#include "controlplane/engine/xdp_links.h"
#include "controlplane/util/ethtool_features.h"
#include "tests/support/links_lab.h"

static const char *object_path, *trace_path;

struct fixture {
	pid_t peer;
	struct bpf_object *object;
	int program;
	char dir[64]; /* of the pins */
	struct berth_xdp_trace trace;
	struct berth_xdp_links links;
	char error[BERTH_ERROR_BYTES];
};

/* The interfaces are "NAME MODE". */
static int configure(struct fixture *f, const char *const *interfaces)
{
	struct berth_interface_config list[BERTH_MAX_PORTS] = {0};
	struct berth_config config = {.interfaces = list};
	for (; *interfaces; interfaces++) {
		unsigned int mode;
		assert_int_equal(sscanf(*interfaces, "%15s %u", list[config.n_interfaces].name, &mode), 2);
		list[config.n_interfaces++].xdp = mode;
	}
	f->error[0] = '\0';
	return berth_xdp_links_configure(&f->links, &config, f->error);
}

#define INTERFACES(...) ((const char *const[]){__VA_ARGS__, NULL})
_Static_assert(BERTH_XDP_AUTO == 0 && BERTH_XDP_NATIVE == 1 && BERTH_XDP_GENERIC == 2, "as the tests write them");

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	f->peer = make_links();
	f->object = bpf_object__open_file(object_path, NULL);
	assert_non_null(f->object);
	assert_int_equal(bpf_object__load(f->object), 0);
	f->program = bpf_program__fd(bpf_object__find_program_by_name(f->object, "berth_xdp"));
	snprintf(f->dir, sizeof(f->dir), "/sys/fs/bpf/unit-links-%d", getpid());
	assert_int_equal(mkdir(f->dir, 0700), 0);
	berth_xdp_trace_open(&f->trace, trace_path, f->dir);
	assert_non_null(f->trace.object);
	f->links = (struct berth_xdp_links){
		.program = f->program,
		.merged = bpf_object__find_map_fd_by_name(f->object, "merged"),
		.dir = f->dir,
		.trace = &f->trace,
	};
	/* With GRO the peer takes the frames of a veth's XDP program. */
	theirs_of(f->peer, "ethtool -K down0 gro on");
	assert_int_equal(configure(f, INTERFACES("up0 0")), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	berth_xdp_pins_remove(f->dir);
	berth_xdp_trace_close(&f->trace);
	bpf_object__close(f->object);
	end_links(f->peer);
	free(f);
	return 0;
}

static void attach(struct fixture *f)
{
	f->error[0] = '\0';
	assert_int_equal(berth_xdp_links_start(&f->links, f->error), 0);
	assert_string_equal(f->error, "");
}

/* XDP_ATTACHED_... */
static uint8_t attached_to(const char *name)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	assert_int_equal(bpf_xdp_query((int)if_nametoindex(name), 0, &query), 0);
	return query.attach_mode;
}

static uint8_t attached(void)
{
	return attached_to("up0");
}

static void follow(struct fixture *f)
{
	berth_xdp_links_follow(&f->links);
}

static void create_up0(const struct fixture *f)
{
	ours("ip link add up0 type veth peer name down0 netns %d && ip link set up0 up", (int)f->peer);
	theirs_of(f->peer, "ip link set down0 up && ethtool -K down0 gro on");
}

static void an_interface_that_comes_back_has_the_program(void **state)
{
	struct fixture *f = *state;
	attach(f);
	ours("ip link del up0");
	follow(f);
	assert_false(berth_xdp_links_are_attached(&f->links));
	assert_non_null(strstr(f->links.link[0].fault, "was removed"));
	create_up0(f);
	assert_int_equal(attached(), XDP_ATTACHED_NONE);
	follow(f);
	assert_int_equal(attached(), XDP_ATTACHED_DRV);
	assert_true(berth_xdp_links_are_attached(&f->links));
	assert_string_equal(f->links.link[0].fault, "");
}

static void an_interface_that_is_replaced_between_two_looks_has_the_program(void **state)
{
	struct fixture *f = *state;
	attach(f);
	ours("ip link del up0");
	create_up0(f);
	follow(f);
	assert_int_equal(attached(), XDP_ATTACHED_DRV);
	assert_true(berth_xdp_links_are_attached(&f->links));
}

static void another_program_in_the_place_of_berths_is_a_fault(void **state)
{
	struct fixture *f = *state;
	char path[96], text[BERTH_ERROR_BYTES];
	attach(f);
	snprintf(path, sizeof(path), "%s/link-up0", f->dir);
	int link = bpf_obj_get(path);
	assert_int_equal(bpf_link_detach(link), 0);
	close(link);
	assert_int_equal(unlink(path), 0);
	struct bpf_object *object = bpf_object__open_file(object_path, NULL);
	assert_int_equal(bpf_object__load(object), 0);
	const int other = bpf_program__fd(bpf_object__find_program_by_name(object, "berth_xdp"));
	const int up0 = (int)if_nametoindex("up0");
	assert_int_equal(bpf_xdp_attach(up0, other, XDP_FLAGS_DRV_MODE, NULL), 0);
	assert_false(berth_xdp_links_are_attached(&f->links));
	assert_string_equal(f->links.link[0].fault, "");
	berth_xdp_links_describe(&f->links, &f->links.link[0], text);
	assert_non_null(strstr(text, "another XDP program is attached"));
	follow(f);
	assert_string_equal(f->links.link[0].fault, text);
	assert_int_equal(bpf_xdp_detach(up0, XDP_FLAGS_DRV_MODE, NULL), 0);
	bpf_object__close(object);
	follow(f);
	assert_true(berth_xdp_links_are_attached(&f->links));
	assert_string_equal(f->links.link[0].fault, "");
}

static void following_changes_nothing_on_an_interface_with_the_program(void **state)
{
	struct fixture *f = *state;
	struct stat before, after;
	char path[96];
	attach(f);
	snprintf(path, sizeof(path), "%s/link-up0", f->dir);
	assert_int_equal(stat(path, &before), 0);
	follow(f);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
}

static void a_changed_mode_replaces_the_attachment(void **state)
{
	struct fixture *f = *state;
	attach(f);
	assert_int_equal(attached(), XDP_ATTACHED_DRV);
	assert_int_equal(configure(f, INTERFACES("up0 2")), 0);
	assert_int_equal(attached(), XDP_ATTACHED_SKB);
	assert_true(f->links.link[0].is_generic);
	assert_int_equal(configure(f, INTERFACES("up0 1")), 0);
	assert_int_equal(attached(), XDP_ATTACHED_DRV);
	assert_false(f->links.link[0].is_generic);
}

/* A veth whose peer has a smaller frame than its MTU needs refuses native XDP. */
static void a_mode_that_the_driver_refuses_leaves_the_former_attachment(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(configure(f, INTERFACES("up0 2")), 0);
	attach(f);
	ours("ip link set up0 mtu 9000");
	theirs_of(f->peer, "ip link set down0 mtu 9000");
	assert_true(configure(f, INTERFACES("up0 1")) < 0);
	assert_non_null(strstr(f->error, "cannot attach"));
	assert_int_equal(attached(), XDP_ATTACHED_SKB);
	assert_int_equal(f->links.link[0].mode, BERTH_XDP_GENERIC);
}

/* up1 and its peer down1, which takes frames of XDP programs. */
static void create_up1(const struct fixture *f)
{
	ours("ip link add up1 type veth peer name down1 netns %d && ip link set up1 up", (int)f->peer);
	theirs_of(f->peer, "ip link set down1 up && ethtool -K down1 gro on");
}

static void an_interface_is_added_and_removed_while_another_one_keeps_its_attachment(void **state)
{
	struct fixture *f = *state;
	struct stat before, after;
	char path[96];
	attach(f);
	create_up1(f);
	snprintf(path, sizeof(path), "%s/link-up0", f->dir);
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(configure(f, INTERFACES("up1 0", "up0 0")), 0);
	assert_int_equal(attached_to("up1"), XDP_ATTACHED_DRV);
	assert_string_equal(f->links.link[0].name, "up1");
	assert_int_equal(configure(f, INTERFACES("up0 0")), 0);
	assert_int_equal(attached_to("up1"), XDP_ATTACHED_NONE);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
}

static void a_new_interface_that_does_not_exist_changes_nothing(void **state)
{
	struct fixture *f = *state;
	attach(f);
	create_up1(f);
	assert_true(configure(f, INTERFACES("up1 0", "up0 2", "up7 0")) < 0);
	assert_non_null(strstr(f->error, "up7"));
	assert_int_equal(attached_to("up1"), XDP_ATTACHED_NONE);
	assert_int_equal(attached(), XDP_ATTACHED_DRV);
	assert_int_equal(f->links.n, 1);
}

static void a_start_waits_for_an_interface_that_does_not_exist(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(configure(f, INTERFACES("up0 0", "up1 0")), 0);
	attach(f);
	assert_int_equal(attached(), XDP_ATTACHED_DRV);
	assert_false(berth_xdp_links_are_attached(&f->links));
	assert_non_null(strstr(f->links.link[1].fault, "up1: the interface does not exist"));
	create_up1(f);
	follow(f);
	assert_int_equal(attached_to("up1"), XDP_ATTACHED_DRV);
	assert_true(berth_xdp_links_are_attached(&f->links));
	assert_string_equal(f->links.link[1].fault, "");
}

/* A veth's native program sends only to a peer with GRO or a program of its own. */
static void let_peer_refuse(const struct fixture *f)
{
	theirs_of(f->peer, "ethtool -K down0 gro off");
}

static void a_native_program_whose_driver_sends_nothing_is_generic(void **state)
{
	struct fixture *f = *state;
	let_peer_refuse(f);
	attach(f);
	assert_int_equal(attached(), XDP_ATTACHED_SKB);
	assert_true(f->links.link[0].is_generic);
	assert_string_equal(f->links.link[0].fault, "");
}

static void a_native_program_is_generic_if_another_port_takes_no_frames(void **state)
{
	struct fixture *f = *state;
	create_up1(f);
	ours("ip link add dumb type bridge && ip link set dumb up && ip link set up1 master dumb");
	ours("for i in $(seq 300); do ip link show dumb | grep -q LOWER_UP && exit 0; sleep 0.01; done; exit 1");
	assert_int_equal(configure(f, INTERFACES("up0 0", "dumb 0")), 0);
	attach(f);
	assert_int_equal(attached(), XDP_ATTACHED_SKB);
	assert_int_equal(attached_to("dumb"), XDP_ATTACHED_SKB);
}

static void native_by_configuration_that_sends_nothing_is_a_fault(void **state)
{
	struct fixture *f = *state;
	let_peer_refuse(f);
	assert_int_equal(configure(f, INTERFACES("up0 1")), 0);
	attach(f);
	assert_int_equal(attached(), XDP_ATTACHED_DRV);
	assert_non_null(strstr(f->links.link[0].fault, "up0: native XDP cannot send from it to up0 ("));
	theirs_of(f->peer, "ethtool -K down0 gro on");
	berth_xdp_links_watch(&f->links);
	assert_string_equal(f->links.link[0].fault, "");
}

static uint64_t refused(const struct fixture *f)
{
	return berth_xdp_trace_refused(&f->trace, if_nametoindex("up0")).frames;
}

/* A frame that leaves as one of a client would: not as a trial of this process. */
static void redirect_frame(const struct fixture *f)
{
	const pid_t child = fork();
	if (child == 0) {
		char reason[BERTH_ERROR_BYTES];
		const uint32_t ifindex = if_nametoindex("up0");
		struct berth_xdp_trace other = f->trace;
		other.trial_process = -1;
		_exit(!berth_xdp_trace_try(&other, ifindex, ifindex, reason));
	}
	assert_int_equal(waitpid(child, NULL, 0), child);
}

/* What is logged meanwhile. */
static void watch(struct fixture *f, char log[512])
{
	FILE *file = tmpfile();
	const int kept = dup(STDERR_FILENO);
	assert_non_null(file);
	fflush(stderr);
	dup2(fileno(file), STDERR_FILENO);
	berth_xdp_links_watch(&f->links);
	fflush(stderr);
	dup2(kept, STDERR_FILENO);
	close(kept);
	rewind(file);
	log[fread(log, 1, 511, file)] = '\0';
	fclose(file);
}

static void frames_that_a_driver_refuses_later_are_counted_and_end_native_mode(void **state)
{
	struct fixture *f = *state;
	char log[512];
	attach(f);
	assert_int_equal(attached(), XDP_ATTACHED_DRV);
	redirect_frame(f);
	assert_int_equal(refused(f), 0);
	let_peer_refuse(f);
	redirect_frame(f);
	assert_int_equal(refused(f), 1);
	watch(f, log);
	assert_non_null(strstr(log, "ALARM: up0: its driver refused 1 frames that were to leave there"));
	assert_int_equal(attached(), XDP_ATTACHED_SKB);
	assert_int_equal(refused(f), 1);
}

static void the_counter_of_refused_frames_outlives_berthd(void **state)
{
	struct fixture *f = *state;
	attach(f);
	let_peer_refuse(f);
	redirect_frame(f);
	berth_xdp_trace_close(&f->trace);
	berth_xdp_trace_open(&f->trace, trace_path, f->dir);
	assert_int_equal(refused(f), 1);
}

static void a_port_that_is_down_is_tried_when_it_is_up(void **state)
{
	struct fixture *f = *state;
	theirs_of(f->peer, "ip link set down0 down");
	attach(f);
	assert_int_equal(attached(), XDP_ATTACHED_DRV);
	assert_false(f->links.link[0].is_proven);
	theirs_of(f->peer, "ip link set down0 up");
	follow(f);
	assert_true(f->links.link[0].is_proven);
	assert_int_equal(attached(), XDP_ATTACHED_DRV);
}

/* As the program counts them; a second later berthd looks. */
static void let_merged_packets_come(struct fixture *f, uint64_t packets)
{
	const uint32_t ifindex = f->links.link[0].ifindex;
	assert_int_equal(bpf_map_update_elem(f->links.merged, &ifindex, &packets, BPF_ANY), 0);
	berth_xdp_links_watch(&f->links);
}

static void assert_fault_has(const struct fixture *f, const char *part)
{
	if (!strstr(f->links.link[0].fault, part))
		fail_msg("no \"%s\" in: %s", part, f->links.link[0].fault);
}

static void merged_segments_on_a_generic_port_are_a_fault_until_none_come(void **state)
{
	struct fixture *f = *state;
	attach(f);
	assert_int_equal(attached(), XDP_ATTACHED_DRV);
	let_merged_packets_come(f, 2);
	assert_string_equal(f->links.link[0].fault, "");
	assert_int_equal(configure(f, INTERFACES("up0 2")), 0);
	berth_xdp_links_watch(&f->links);
	assert_string_equal(f->links.link[0].fault, "");
	let_merged_packets_come(f, 3);
	assert_fault_has(f, "up0: packets arrive that are longer than its MTU");
	assert_fault_has(f, "ethtool -K PEER tso off");
	let_merged_packets_come(f, 3);
	assert_fault_has(f, "up0");
	f->links.link[0].merged_ms -= 60000;
	berth_xdp_links_watch(&f->links);
	assert_string_equal(f->links.link[0].fault, "");
}

/* The latter in a process of its own, with the sysfs of this network namespace. */
static void features_are_read_and_switched_off_and_the_interface_below_that_merges_is_named(void **state)
{
	(void)state;
	int status;
	ours("ethtool -K up0 rx-gro-list on");
	assert_int_equal(berth_feature_read("up0", "rx-gro-list"), BERTH_FEATURE_ON);
	assert_int_equal(berth_feature_switch_off("up0", "rx-gro-list"), BERTH_FEATURE_OFF);
	ours("ethtool -k up0 | grep -q 'rx-gro-list: off'");
	assert_int_equal(berth_feature_switch_off("lo", "rx-checksum"), BERTH_FEATURE_FIXED);
	assert_int_equal(berth_feature_read("up0", "no such feature"), BERTH_FEATURE_OFF);
	assert_int_equal(berth_feature_read("none0", "rx-gro"), BERTH_FEATURE_OFF);
	ours("ethtool -K up0 gro on && ip link add link up0 name upper0 type macvlan");
	pid_t child = fork();
	if (child == 0) {
		char text[BERTH_ERROR_BYTES] = "";
		if (unshare(CLONE_NEWNS) == 0 && mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
		    mount("sysfs", "/sys", "sysfs", 0, NULL) == 0)
			berth_merging_describe("upper0", text);
		_exit(!strstr(text, "up0 below it merges segments: ethtool -K up0 gro off"));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void a_native_program_that_is_refused_has_its_cause(void **state)
{
	struct fixture *f = *state;
	ours("ip link add name dumb type bridge");
	assert_int_equal(configure(f, INTERFACES("dumb 1")), 0);
	assert_int_equal(berth_xdp_links_start(&f->links, f->error), -EOPNOTSUPP);
	assert_string_equal(f->error,
			    "dumb: cannot attach the XDP program: bridge: it has no XDP; xdp: auto falls back "
			    "to generic");
	theirs_of(f->peer, "ip link set down0 mtu 9000");
	assert_int_equal(configure(f, INTERFACES("up0 1")), 0);
	assert_int_not_equal(berth_xdp_links_start(&f->links, f->error), 0);
	if (!strstr(f->error, "native XDP has a limit of the MTU, for the peer of a veth, too"))
		fail_msg("%s", f->error);
}

#define WITH_LINKS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* A link takes another program of its own type and attach type only, and a store is used by the next release's
 * program only if it is the same kind of map. */
static void programs_and_stores_are_of_the_kinds_of_other_releases(void **state)
{
	static const struct {
		const char *name;
		uint32_t value_bytes;
	} stores[] = {{"flows", 64}, {"sessions", 64}, {"clients", 32}};
	struct fixture *f = *state;
	const struct bpf_program *program = bpf_object__find_program_by_name(f->object, "berth_xdp");
	assert_int_equal(bpf_program__type(program), BPF_PROG_TYPE_XDP);
	assert_int_equal(bpf_program__expected_attach_type(program), BPF_XDP);
	for (size_t i = 0; i < sizeof(stores) / sizeof(stores[0]); i++) {
		const struct bpf_map *map = bpf_object__find_map_by_name(f->object, stores[i].name);
		assert_int_equal(bpf_map__type(map), BPF_MAP_TYPE_ARRAY);
		assert_int_equal(bpf_map__map_flags(map), BPF_F_MMAPABLE);
		assert_int_equal(bpf_map__key_size(map), 4);
		assert_int_equal(bpf_map__value_size(map), stores[i].value_bytes);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		WITH_LINKS(an_interface_that_comes_back_has_the_program),
		WITH_LINKS(an_interface_that_is_replaced_between_two_looks_has_the_program),
		WITH_LINKS(another_program_in_the_place_of_berths_is_a_fault),
		WITH_LINKS(following_changes_nothing_on_an_interface_with_the_program),
		WITH_LINKS(a_changed_mode_replaces_the_attachment),
		WITH_LINKS(a_mode_that_the_driver_refuses_leaves_the_former_attachment),
		WITH_LINKS(an_interface_is_added_and_removed_while_another_one_keeps_its_attachment),
		WITH_LINKS(a_new_interface_that_does_not_exist_changes_nothing),
		WITH_LINKS(programs_and_stores_are_of_the_kinds_of_other_releases),
		WITH_LINKS(a_start_waits_for_an_interface_that_does_not_exist),
		WITH_LINKS(a_native_program_whose_driver_sends_nothing_is_generic),
		WITH_LINKS(a_native_program_is_generic_if_another_port_takes_no_frames),
		WITH_LINKS(native_by_configuration_that_sends_nothing_is_a_fault),
		WITH_LINKS(frames_that_a_driver_refuses_later_are_counted_and_end_native_mode),
		WITH_LINKS(the_counter_of_refused_frames_outlives_berthd),
		WITH_LINKS(a_port_that_is_down_is_tried_when_it_is_up),
		WITH_LINKS(merged_segments_on_a_generic_port_are_a_fault_until_none_come),
		WITH_LINKS(features_are_read_and_switched_off_and_the_interface_below_that_merges_is_named),
		WITH_LINKS(a_native_program_that_is_refused_has_its_cause),
	};
	if (geteuid() != 0 || argc != 3)
		return 77; /* meson: skipped */
	object_path = argv[1];
	trace_path = argv[2];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
