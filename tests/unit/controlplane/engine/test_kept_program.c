// SPDX-License-Identifier: BSD-3-Clause
/* A berthd uses the XDP program of the former one where it would load the very same, and at no other time. As root;
 * the argument is berth_xdp.bpf.o. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>
#include <unistd.h>

#include "controlplane/engine/xdp_image.h"
#include "controlplane/engine/xdp_links.h"
#include "controlplane/util/clock.h"
#include "controlplane/util/file.h"
#include "dataplane/interface/image_check.h"
#include "tests/support/control.h"

enum {
	BUCKETS = 256,
	WAIT_MS = 30000,
};

struct fixture {
	char instance[32];
	struct berth_geometry geometry;
	struct berth_engine engine;
	struct berth_xdp_image pinned;
	struct berth_record record;
	bool has_stores;
};

static char beside[512]; /* where berthd looks for the object */
static const char *given;

static uint32_t id_of_program(int program)
{
	struct bpf_prog_info info = {0};
	uint32_t bytes = sizeof(info);
	assert_int_equal(bpf_obj_get_info_by_fd(program, &info, &bytes), 0);
	return info.id;
}

/* As a new berthd does. Returns the id of its program. */
static uint32_t open_image(struct fixture *f)
{
	char error[BERTH_ERROR_BYTES] = "";
	const struct berth_engine_paths paths = {
		.instance = f->instance, .record = &f->record, .has_stores = f->has_stores};
	f->engine = (struct berth_engine){0};
	f->pinned = (struct berth_xdp_image){0};
	assert_int_equal(berth_xdp_image_prepare(&f->pinned, f->instance, error), 0);
	assert_int_equal(berth_xdp_image_open(&f->pinned, &f->engine, &f->geometry, &paths, error), 0);
	f->engine.record = &f->record;
	assert_int_equal(berth_xdp_image_install(&f->pinned, &f->engine, error), 0);
	assert_string_equal(error, "");
	f->has_stores = true;
	berth_generation_seal(&f->engine.image, f->engine.image.ctl->generation);
	return id_of_program(f->pinned.program);
}

/* berthd ends, and another one starts. */
static uint32_t open_again(struct fixture *f)
{
	berth_xdp_image_close(&f->pinned, &f->engine);
	return open_image(f);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	snprintf(f->instance, sizeof(f->instance), "unit-kept%d", getpid());
	struct berth_config *config = configure("");
	f->geometry = berth_geometry_of(&config->limits, 251, 2);
	berth_config_free(config);
	f->record.flow_buckets = f->geometry.flow_buckets = BUCKETS;
	f->record.session_buckets = f->geometry.session_buckets = BUCKETS;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	berth_xdp_image_close(&f->pinned, &f->engine);
	berth_xdp_pins_remove(f->pinned.dir);
	free(f);
	return 0;
}

static void expect_sweep(const struct fixture *f)
{
	const uint32_t now = berth_clock_s();
	BERTH_STORE(&f->engine.image.ctl->swept, now - 3600);
	for (int ms = 0; (int32_t)(berth_xdp_image_swept(f->instance) - now) < 0; ms += 20) {
		if (ms > WAIT_MS)
			fail_msg("no sweep in %d ms", WAIT_MS);
		usleep(20000);
	}
}

/* With all its maps, also those that are its own, and with its timer. */
static void the_same_program_is_not_loaded_again(void **state)
{
	struct fixture *f = *state;
	const uint32_t id = open_image(f);
	assert_false(f->pinned.is_kept);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(open_again(f), id);
		assert_true(f->engine.is_image_adopted);
		const struct bpf_map *map;
		bpf_object__for_each_map(map, f->pinned.object)
		{
			if (bpf_map__fd(map) < 0)
				fail_msg("%s", bpf_map__name(map));
		}
		expect_sweep(f);
	}
}

/* Another engine failed in its place, and has taken its pins. */
static void a_kept_program_is_started_again(void **state)
{
	struct fixture *f = *state;
	char path[512], error[BERTH_ERROR_BYTES] = "";
	const uint32_t id = open_image(f);
	assert_int_equal(open_again(f), id);
	assert_true(f->pinned.is_kept);
	snprintf(path, sizeof(path), "%s/sweeper", f->pinned.dir);
	assert_int_equal(unlink(path), 0);
	f->engine.is_started = true;
	if (berth_xdp_image_install(&f->pinned, &f->engine, error))
		fail_msg("%s", error);
	assert_int_equal(access(path, F_OK), 0);
	expect_sweep(f);
	assert_int_equal(open_again(f), id);
	expect_sweep(f);
}

/* The kernel has ended the timer of the one before. */
static void a_program_with_another_timer_is_loaded(void **state)
{
	struct fixture *f = *state;
	char path[512];
	const uint32_t id = open_image(f);
	snprintf(path, sizeof(path), "%s/sweeper", f->pinned.dir);
	assert_int_equal(unlink(path), 0);
	const int other = bpf_map_create(BPF_MAP_TYPE_ARRAY, "sweeper", 4, 64, 1, NULL);
	assert_true(other >= 0);
	assert_int_equal(bpf_obj_pin(other, path), 0);
	close(other);
	assert_int_not_equal(open_again(f), id);
	expect_sweep(f);
}

static void another_object_is_loaded(void **state)
{
	struct fixture *f = *state;
	size_t length;
	const uint32_t id = open_image(f);
	/* The same program in another file: bytes at the end of ELF have no meaning. */
	char *bytes = berth_file_read(given, &length);
	assert_non_null(bytes);
	bytes = realloc(bytes, length + 8);
	memset(bytes + length, 0, 8);
	unlink(beside);
	assert_int_equal(berth_file_write(beside, bytes, length + 8, 0600), 0);
	free(bytes);
	const uint32_t other = open_again(f);
	assert_int_equal(unlink(beside), 0);
	assert_int_equal(symlink(given, beside), 0);
	assert_int_not_equal(other, id);
}

static void other_sizes_are_loaded(void **state)
{
	struct fixture *f = *state;
	const uint32_t id = open_image(f);
	f->geometry.services *= 2;
	const uint32_t other = open_again(f);
	assert_int_not_equal(other, id);
	assert_int_equal(open_again(f), other);
}

/* The program would go on with the map that is no longer pinned. */
static void a_program_with_another_map_is_loaded(void **state)
{
	struct fixture *f = *state;
	char path[400];
	const uint32_t id = open_image(f);
	snprintf(path, sizeof(path), "%s/budgets", f->pinned.dir);
	struct bpf_map_info info = {0};
	uint32_t bytes = sizeof(info);
	int fd = bpf_obj_get(path);
	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &bytes), 0);
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = info.map_flags);
	close(fd);
	fd = bpf_map_create(info.type, "budgets", info.key_size, info.value_size, info.max_entries, &options);
	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(bpf_obj_pin(fd, path), 0);
	close(fd);
	assert_int_not_equal(open_again(f), id);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(the_same_program_is_not_loaded_again),
		TEST(a_kept_program_is_started_again),
		TEST(a_program_with_another_timer_is_loaded),
		TEST(another_object_is_loaded),
		TEST(other_sizes_are_loaded),
		TEST(a_program_with_another_map_is_loaded),
	};
	char self[400];
	if (argc != 2 || !(given = realpath(argv[1], NULL)))
		return 2;
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[length < 0 ? 0 : length] = 0;
	snprintf(beside, sizeof(beside), "%.*s/berth_xdp.bpf.o", (int)(strrchr(self, '/') - self), self);
	unlink(beside);
	if (symlink(given, beside))
		return 2;
	return cmocka_run_group_tests_name("kept program", tests, NULL, NULL);
}
