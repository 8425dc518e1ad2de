// SPDX-License-Identifier: BSD-3-Clause
/* A private directory is this user's alone, also where other users may plant an entry before. As root. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "controlplane/util/private_dir.h"

enum {
	NOBODY = 65534
};

static char parent[64], path[96];

static int set_up(void **state)
{
	(void)state;
	snprintf(parent, sizeof(parent), "/tmp/berth-private-XXXXXX");
	assert_non_null(mkdtemp(parent));
	assert_int_equal(chmod(parent, 01777), 0);
	snprintf(path, sizeof(path), "%s/berth", parent);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	DIR *dir = opendir(parent);
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (unlinkat(dirfd(dir), entry->d_name, 0))
			unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
	}
	closedir(dir);
	return rmdir(parent);
}

static void expect_private(void)
{
	char error[BERTH_ERROR_BYTES] = "";
	struct stat status;
	assert_int_equal(berth_private_dir_make(path, error), 0);
	assert_string_equal(error, "");
	assert_int_equal(lstat(path, &status), 0);
	assert_true(S_ISDIR(status.st_mode));
	assert_int_equal(status.st_uid, geteuid());
	assert_int_equal(status.st_mode & 0777, 0700);
}

static void a_directory_is_made_and_found_again(void **state)
{
	(void)state;
	struct stat first, second;
	expect_private();
	assert_int_equal(lstat(path, &first), 0);
	expect_private();
	assert_int_equal(lstat(path, &second), 0);
	assert_int_equal(first.st_ino, second.st_ino);
}

static void this_user_s_directory_gets_the_mode(void **state)
{
	(void)state;
	assert_int_equal(mkdir(path, 0755), 0);
	expect_private();
}

static void a_planted_directory_is_not_used(void **state)
{
	(void)state;
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chown(path, NOBODY, NOBODY), 0);
	expect_private();
}

static void a_planted_link_is_not_followed(void **state)
{
	(void)state;
	char target[96];
	struct stat status;
	snprintf(target, sizeof(target), "%s/target", parent);
	assert_int_equal(mkdir(target, 0755), 0);
	assert_int_equal(symlink(target, path), 0);
	expect_private();
	assert_int_equal(stat(target, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0755);
}

static void a_planted_file_is_not_used(void **state)
{
	(void)state;
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fclose(file);
	expect_private();
}

static void a_place_where_others_can_replace_it_is_refused(void **state)
{
	(void)state;
	char error[BERTH_ERROR_BYTES] = "";
	assert_int_equal(chmod(parent, 0777), 0);
	assert_int_equal(berth_private_dir_make(path, error), -EPERM);
	assert_non_null(strstr(error, "other users can replace it"));
}

#define IN_PARENT(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_PARENT(a_directory_is_made_and_found_again),
		IN_PARENT(this_user_s_directory_gets_the_mode),
		IN_PARENT(a_planted_directory_is_not_used),
		IN_PARENT(a_planted_link_is_not_followed),
		IN_PARENT(a_planted_file_is_not_used),
		IN_PARENT(a_place_where_others_can_replace_it_is_refused),
	};
	if (geteuid() != 0)
		return 77; /* meson: skipped */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
