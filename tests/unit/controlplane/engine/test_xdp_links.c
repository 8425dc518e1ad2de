// SPDX-License-Identifier: BSD-3-Clause
/*
 * The XDP program on interfaces that are removed and created again, and whose mode changes: on a veth pair in a
 * network namespace of its own. As root; the argument is the object of the program.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <sys/stat.h>

#include "controlplane/engine/xdp_links.h"
#include "tests/support/links_lab.h"

static const char *object_path;

struct fixture {
	pid_t peer;
	struct bpf_object *object;
	int program;
	char dir[64]; /* of the pins */
	struct berth_xdp_links links;
};

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
	f->links.n = 1;
	f->links.link[0] = (struct berth_xdp_link){.name = "up0", .mode = BERTH_XDP_AUTO};
	f->links.link[0].ifindex = if_nametoindex("up0");
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	berth_xdp_pins_remove(f->dir);
	bpf_object__close(f->object);
	end_links(f->peer);
	free(f);
	return 0;
}

static void attach(struct fixture *f)
{
	char error[BERTH_ERROR_BYTES] = "";
	assert_int_equal(berth_xdp_links_attach(&f->links, f->program, f->dir, error), 0);
	assert_string_equal(error, "");
}

/* XDP_ATTACHED_... of up0. */
static uint8_t attached(void)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	assert_int_equal(bpf_xdp_query((int)if_nametoindex("up0"), 0, &query), 0);
	return query.attach_mode;
}

static void follow(struct fixture *f)
{
	berth_xdp_links_follow(&f->links, f->program, f->dir);
}

static void create_up0(const struct fixture *f)
{
	ours("ip link add up0 type veth peer name down0 netns %d && ip link set up0 up", (int)f->peer);
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
	f->links.link[0].mode = BERTH_XDP_GENERIC;
	attach(f);
	assert_int_equal(attached(), XDP_ATTACHED_SKB);
	assert_true(f->links.link[0].is_generic);
	f->links.link[0].mode = BERTH_XDP_NATIVE;
	attach(f);
	assert_int_equal(attached(), XDP_ATTACHED_DRV);
	assert_false(f->links.link[0].is_generic);
}

/* A veth whose peer has a smaller frame than its MTU needs refuses native XDP. */
static void a_mode_that_the_driver_refuses_leaves_the_former_attachment(void **state)
{
	struct fixture *f = *state;
	char error[BERTH_ERROR_BYTES] = "";
	f->links.link[0].mode = BERTH_XDP_GENERIC;
	attach(f);
	ours("ip link set up0 mtu 9000");
	theirs_of(f->peer, "ip link set down0 mtu 9000");
	f->links.link[0].mode = BERTH_XDP_NATIVE;
	assert_true(berth_xdp_links_attach(&f->links, f->program, f->dir, error) < 0);
	assert_non_null(strstr(error, "cannot attach"));
	assert_int_equal(attached(), XDP_ATTACHED_SKB);
}

#define WITH_LINKS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		WITH_LINKS(an_interface_that_comes_back_has_the_program),
		WITH_LINKS(an_interface_that_is_replaced_between_two_looks_has_the_program),
		WITH_LINKS(following_changes_nothing_on_an_interface_with_the_program),
		WITH_LINKS(a_changed_mode_replaces_the_attachment),
		WITH_LINKS(a_mode_that_the_driver_refuses_leaves_the_former_attachment),
	};
	if (geteuid() != 0 || argc != 2)
		return 77; /* meson: skipped */
	object_path = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
