// SPDX-License-Identifier: BSD-3-Clause
/* Files are read and replaced whole. */
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

#include "controlplane/util/file.h"

static char dir[32];

static const char *path_of(const char *name, char path[64])
{
	snprintf(path, 64, "%s/%s", dir, name);
	return path;
}

static void expect(const char *name, const char *expected)
{
	char path[64];
	size_t length = 0;
	char *text = berth_file_read(path_of(name, path), &length);
	assert_non_null(text);
	assert_string_equal(text, expected);
	assert_int_equal(length, strlen(expected));
	free(text);
}

static void write_text(const char *name, const char *text)
{
	char path[64];
	assert_int_equal(berth_file_write(path_of(name, path), text, strlen(text), 0600), 0);
}

static void replace_text(const char *name, const char *text)
{
	char path[64];
	assert_int_equal(berth_file_replace(path_of(name, path), text, strlen(text)), 0);
}

static int create_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/berth-file-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	char path[64];
	unlink(path_of("file", path));
	unlink(path_of("file.old", path));
	return rmdir(dir);
}

static void a_missing_file_is_not_read(void **state)
{
	(void)state;
	char path[64];
	size_t length;
	assert_null(berth_file_read(path_of("file", path), &length));
	assert_int_equal(errno, ENOENT);
}

static void a_written_file_has_its_text_and_mode(void **state)
{
	(void)state;
	char path[64];
	struct stat stat_now;
	write_text("file", "one\n");
	write_text("file", "two\n");
	expect("file", "two\n");
	assert_int_equal(stat(path_of("file", path), &stat_now), 0);
	assert_int_equal(stat_now.st_mode & 0777, 0600);
}

static void a_replaced_file_is_kept_as_old_with_its_mode(void **state)
{
	(void)state;
	char path[64];
	struct stat stat_now;
	write_text("file", "one\n");
	replace_text("file", "two\n");
	expect("file", "two\n");
	expect("file.old", "one\n");
	assert_int_equal(stat(path_of("file", path), &stat_now), 0);
	assert_int_equal(stat_now.st_mode & 0777, 0600);
	replace_text("file", "three\n");
	expect("file.old", "two\n");
}

/* "file" is a link to "real" and stays one. */
static void the_target_of_a_link_is_replaced_with_its_owner_and_mode(void **state)
{
	(void)state;
	char path[64], real[64], target[PATH_MAX];
	struct stat status;
	bool is_root = geteuid() == 0;
	write_text("real", "one\n");
	path_of("real", real);
	assert_int_equal(symlink("real", path_of("file", path)), 0);
	assert_int_equal(chmod(real, 0604), 0);
	if (is_root)
		assert_int_equal(chown(real, 65534, 65533), 0);
	assert_true(berth_file_is_link(path, target));
	assert_string_equal(target, real);
	assert_false(berth_file_is_link(real, target));
	replace_text("file", "two\n");
	assert_int_equal(lstat(path, &status), 0);
	assert_true(S_ISLNK(status.st_mode));
	expect("real", "two\n");
	expect("real.old", "one\n");
	assert_int_equal(lstat(real, &status), 0);
	assert_true(S_ISREG(status.st_mode));
	assert_int_equal(status.st_mode & 07777, 0604);
	assert_int_equal(status.st_uid, is_root ? 65534 : geteuid());
	assert_int_equal(status.st_gid, is_root ? 65533 : getegid());
	assert_int_equal(access(path_of("real.new", path), F_OK), -1);
	/* A link to nothing is not followed, and not replaced. */
	unlink(real);
	assert_int_equal(berth_file_replace(path_of("file", path), "three\n", 6), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(lstat(path, &status), 0);
	assert_true(S_ISLNK(status.st_mode));
	unlink(path_of("real.old", real));
}

static void the_same_text_replaces_nothing(void **state)
{
	(void)state;
	char path[64];
	write_text("file", "one\n");
	replace_text("file", "one\n");
	assert_int_equal(access(path_of("file.old", path), F_OK), -1);
}

static void no_temporary_file_is_left(void **state)
{
	(void)state;
	char path[64];
	write_text("file", "one\n");
	replace_text("file", "two\n");
	assert_int_equal(access(path_of("file.new", path), F_OK), -1);
}

static void a_planted_link_does_not_redirect_a_write(void **state)
{
	(void)state;
	char path[64], target[64];
	write_text("file.old", "of another program\n");
	assert_int_equal(symlink(path_of("file.old", target), path_of("file.new", path)), 0);
	write_text("file", "one\n");
	expect("file", "one\n");
	expect("file.old", "of another program\n");
}

/* Reads "file" as a private one; returns the reason for which it is refused, or NULL. */
static const char *refusal(void)
{
	char path[64];
	size_t length;
	const char *fault;
	char *text = berth_file_read_private(path_of("file", path), &length, &fault);
	assert_true(!text == !!fault);
	free(text);
	return fault;
}

static void only_a_private_file_is_read_as_one(void **state)
{
	(void)state;
	char path[64], other[64];
	write_text("file", "one\n");
	assert_null(refusal());
	assert_int_equal(chmod(path_of("file", path), 0622), 0);
	assert_string_equal(refusal(), "other users can write it");
	assert_int_equal(chmod(path, 0644), 0);
	assert_null(refusal());
	assert_int_equal(link(path, path_of("file.old", other)), 0);
	assert_string_equal(refusal(), "it has several names (hard links)");
	unlink(path);
	assert_int_equal(symlink(other, path), 0);
	assert_string_equal(refusal(), "it is a symbolic link");
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_string_equal(refusal(), "it is not a file");
	if (geteuid() != 0)
		return;
	unlink(path);
	write_text("file", "one\n");
	assert_int_equal(chown(path, 65534, 65534), 0);
	assert_string_equal(refusal(), "it belongs to another user");
}

static uint64_t inode_of(const char *name)
{
	char path[64];
	struct stat status;
	return stat(path_of(name, path), &status) ? 0 : status.st_ino;
}

/* Replaces "one" by "two" with a draft of `drafted`. Whether the draft became the file. */
static bool draft_is_used(const char *drafted, mode_t mode)
{
	char path[64];
	write_text("file", "one\n");
	berth_file_draft(path_of("file", path), drafted, strlen(drafted));
	const uint64_t draft = inode_of("file.berthd-draft");
	char name[64];
	/* Open, so that no other file gets its number. */
	const int fd = open(path_of("file.berthd-draft", name), O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(chmod(path, mode), 0);
	replace_text("file", "two\n");
	expect("file", "two\n");
	expect("file.old", "one\n");
	const bool is_used = inode_of("file") == draft;
	close(fd);
	assert_int_equal(inode_of("file.berthd-draft"), 0);
	unlink(path_of("file.old", path));
	return is_used;
}

static void a_draft_of_the_same_text_becomes_the_file(void **state)
{
	(void)state;
	assert_true(draft_is_used("two\n", 0600));
	assert_false(draft_is_used("twx\n", 0600));
	assert_false(draft_is_used("two\n\n", 0600));
	assert_false(draft_is_used("two\n", 0640));
}

static void a_file_that_is_not_there_gets_no_draft(void **state)
{
	(void)state;
	char path[64];
	berth_file_draft(path_of("file", path), "two\n", 4);
	assert_int_equal(inode_of("file.berthd-draft"), 0);
	replace_text("file", "two\n");
	expect("file", "two\n");
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, create_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(a_missing_file_is_not_read),
		IN_DIR(a_written_file_has_its_text_and_mode),
		IN_DIR(a_replaced_file_is_kept_as_old_with_its_mode),
		IN_DIR(the_target_of_a_link_is_replaced_with_its_owner_and_mode),
		IN_DIR(the_same_text_replaces_nothing),
		IN_DIR(no_temporary_file_is_left),
		IN_DIR(a_planted_link_does_not_redirect_a_write),
		IN_DIR(only_a_private_file_is_read_as_one),
		IN_DIR(a_draft_of_the_same_text_becomes_the_file),
		IN_DIR(a_file_that_is_not_there_gets_no_draft),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
