/* SPDX-License-Identifier: BSD-3-Clause */
/* Packet buffers that a killed berth-dpdk leaves: what counts as such a file, and that no other instance loses any.
 */
#include <stdlib.h>

#include "dataplane/interface/buffer_files.h"
#include "tests/support/unit.h"

enum {
	PAGE_BYTES = 8192,
};

static char directory[32];

static int set_up(void **state)
{
	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/berth-test-XXXXXX");
	return mkdtemp(directory) ? 0 : -1;
}

static void make_file(const char *name)
{
	char path[128], bytes[PAGE_BYTES] = {1};
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
	assert_int_equal(fsync(fd), 0);
	close(fd);
}

static bool has_file(const char *name)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return access(path, F_OK) == 0;
}

static int tear_down(void **state)
{
	char command[64];
	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", directory);
	return system(command);
}

static void test_files_of_an_instance_are_counted_and_removed_and_others_stay(void **state)
{
	static const char *const others[] = {"a.image",		"a.image.flows-256", "b.dpdkmap_0", "a.dpdkmap_",
					     "a.dpdkmap_1.new", "aa.dpdkmap_0",	     "a.dpdk"};
	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		make_file(others[i]);
	assert_int_equal(berth_buffer_files_bytes(directory, "a"), 0);
	make_file("a.dpdkmap_0");
	make_file("a.dpdkmap_65536");
	assert_int_equal(berth_buffer_files_bytes(directory, "a"), 2 * PAGE_BYTES);
	berth_buffer_files_remove(directory, "a");
	assert_int_equal(berth_buffer_files_bytes(directory, "a"), 0);
	assert_false(has_file("a.dpdkmap_0") || has_file("a.dpdkmap_65536"));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_true(has_file(others[i]));
}

static void test_without_a_directory_there_are_none(void **state)
{
	(void)state;
	assert_int_equal(berth_buffer_files_bytes("/nonexistent", "a"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_files_of_an_instance_are_counted_and_removed_and_others_stay),
		TEST(test_without_a_directory_there_are_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
