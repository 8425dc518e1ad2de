// SPDX-License-Identifier: BSD-3-Clause
/* berthd adopts an image file that only root can have written, if its numbers are in bounds, and no other. As root.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/engine/dpdk_image.h"
#include "tests/support/control.h"

enum {
	NOBODY = 65534
};

struct fixture {
	char instance[32];
	const uint8_t *secret;
	struct berth_geometry geometry;
	struct berth_engine engine;
	struct berth_dpdk_image file;
	struct berth_record record;
	bool has_stores;
};

static void open_image(struct fixture *f)
{
	char error[BERTH_ERROR_BYTES] = "";
	const struct berth_engine_paths paths = {
		.instance = f->instance, .secret = f->secret, .record = &f->record, .has_stores = f->has_stores};
	f->engine = (struct berth_engine){0};
	memset(&f->file, 0, sizeof(f->file));
	f->file.file.fd = -1;
	assert_int_equal(berth_dpdk_image_open(&f->file, &f->engine, &paths, &f->geometry, "/none.json", error), 0);
	assert_string_equal(error, "");
}

static void open_again(struct fixture *f)
{
	berth_dpdk_image_close(&f->file);
	open_image(f);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct berth_config *config = configure("");
	snprintf(f->instance, sizeof(f->instance), "unit%d", getpid());
	f->geometry = berth_geometry_of(&config->limits, 251, 2);
	berth_config_free(config);
	f->record.flow_buckets = f->geometry.flow_buckets;
	f->record.session_buckets = f->geometry.session_buckets;
	open_image(f);
	f->has_stores = true;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	berth_dpdk_image_close(&f->file);
	berth_dpdk_image_remove(f->instance, "/none.json");
	free(f);
	return 0;
}

static void expect_new_image(struct fixture *f)
{
	struct stat status;
	open_again(f);
	assert_false(f->engine.is_image_adopted);
	assert_int_equal(lstat(f->file.file.path, &status), 0);
	assert_true(S_ISREG(status.st_mode));
	assert_int_equal(status.st_uid, geteuid());
	assert_int_equal(status.st_mode & 0777, 0600);
}

static void root_s_own_image_is_adopted(void **state)
{
	struct fixture *f = *state;
	assert_false(f->engine.is_image_adopted);
	open_again(f);
	assert_true(f->engine.is_image_adopted);
}

static void an_image_of_another_user_is_replaced(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(chown(f->file.file.path, NOBODY, NOBODY), 0);
	expect_new_image(f);
}

static void an_image_that_other_users_can_open_is_replaced(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(chmod(f->file.file.path, 0644), 0);
	expect_new_image(f);
}

static void copy_image(const struct fixture *f, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, f->file.file.memory, f->file.file.bytes), f->file.file.bytes);
	close(fd);
}

/* In /dev/shm: whether hugetlbfs has symbolic links depends on the kernel. */
static void a_symbolic_link_to_an_image_is_replaced(void **state)
{
	struct fixture *f = *state;
	char image[300], link[300];
	struct stat status;
	snprintf(image, sizeof(image), "/dev/shm/berth/%s.copy", f->instance);
	snprintf(link, sizeof(link), "/dev/shm/berth/%s.image", f->instance);
	copy_image(f, image);
	assert_int_equal(unlink(f->file.file.path), 0);
	assert_int_equal(symlink(image, link), 0);
	expect_new_image(f);
	assert_true(lstat(link, &status) != 0 || S_ISREG(status.st_mode));
	assert_int_equal(unlink(image), 0);
}

static void an_image_with_a_second_name_is_replaced(void **state)
{
	struct fixture *f = *state;
	char second[300];
	snprintf(second, sizeof(second), "%s.second", f->file.file.path);
	assert_int_equal(link(f->file.file.path, second), 0);
	expect_new_image(f);
	assert_int_equal(unlink(second), 0);
}

static void an_image_whose_numbers_are_out_of_bounds_is_replaced(void **state)
{
	struct fixture *f = *state;
	berth_image_current(&f->engine.image).services[1].row_line = f->geometry.row_lines + 1;
	expect_new_image(f);
}

static void the_directory_of_images_is_root_s_alone(void **state)
{
	struct fixture *f = *state;
	struct stat status;
	char dir[300];
	snprintf(dir, sizeof(dir), "%s", f->file.file.path);
	*strrchr(dir, '/') = '\0';
	assert_int_equal(lstat(dir, &status), 0);
	assert_true(S_ISDIR(status.st_mode));
	assert_int_equal(status.st_uid, geteuid());
	assert_int_equal(status.st_mode & 0777, 0700);
}

#define WITH_IMAGE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_IMAGE(root_s_own_image_is_adopted),
		WITH_IMAGE(an_image_of_another_user_is_replaced),
		WITH_IMAGE(an_image_that_other_users_can_open_is_replaced),
		WITH_IMAGE(a_symbolic_link_to_an_image_is_replaced),
		WITH_IMAGE(an_image_with_a_second_name_is_replaced),
		WITH_IMAGE(an_image_whose_numbers_are_out_of_bounds_is_replaced),
		WITH_IMAGE(the_directory_of_images_is_root_s_alone),
	};
	if (geteuid() != 0)
		return 77; /* meson: skipped */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
