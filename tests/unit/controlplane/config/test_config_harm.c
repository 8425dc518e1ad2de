// SPDX-License-Identifier: BSD-3-Clause
/* No file does harm. */
#include "tests/unit/controlplane/config/config.h"

#include <errno.h>
#include <jansson.h>
#include <time.h>
#include <unistd.h>

static void an_error_is_one_printable_line_for_any_file_name(void **state)
{
	char error[BERTH_ERROR_BYTES];
	char name[1000];
	const char *text = "engine: \"\\e[2J\\n\\u00e9\\u9f8d\"\n" INTERFACES;
	(void)state;

	snprintf(name, sizeof(name), "%0988d/berth.yaml", 0);
	assert_null(berth_config_parse(name, text, strlen(text), error));
	assert_non_null(strstr(error, "/berth.yaml:1:9: engine cannot be \"?[2J?"));
	assert_string_equal(error + strlen(error) - strlen("; write auto, xdp, dpdk or null"),
			    "; write auto, xdp, dpdk or null");
	for (const char *c = error; *c; c++)
		assert_in_range(*c, ' ', '~');
}

/* `head`, `n` times `item`, `tail`. */
static char *repeated(const char *head, const char *item, size_t n, const char *tail)
{
	char *text = malloc(strlen(head) + n * strlen(item) + strlen(tail) + 1);
	char *end = stpcpy(text, head);

	for (size_t i = 0; i < n; i++)
		end = stpcpy(end, item);
	stpcpy(end, tail);
	return text;
}

static void a_file_above_8_mib_is_refused(void **state)
{
	const size_t most = 8 << 20;
	char *text = repeated(INTERFACES "#", "x", most - strlen(INTERFACES "#"), "x");
	(void)state;

	assert_string_equal(refusal(text, most), "");
	assert_string_equal(refusal(text, most + 1), "f:1:1: the file is larger than 8 MiB; make it smaller");
	free(text);
}

static void more_than_a_million_values_are_refused(void **state)
{
	char *text = repeated("[", "a,", 1 << 20, "]");
	(void)state;

	assert_string_equal(refusal(text, strlen(text)),
			    "f:1:2097152: more than 1048576 keys and values; make the file smaller");
	free(text);
}

static void a_null_byte_is_refused(void **state)
{
	static const char text[] = "engine: x\0dp\n";
	(void)state;
	assert_string_equal(refusal(text, sizeof(text) - 1),
			    "f:1:10: control characters are not allowed; remove this one");
}

static void an_unreadable_file_is_an_error(void **state)
{
	char error[BERTH_ERROR_BYTES];
	(void)state;

	assert_null(berth_config_load("/nonexistent/berth.yaml", error));
	assert_string_equal(error, "/nonexistent/berth.yaml:1:1: cannot be read (No such file or directory); check "
				   "the path and its permissions");
	assert_null(berth_config_load("/", error));
	assert_string_equal(error, "/:1:1: cannot be read (Is a directory); check the path and its permissions");
	assert_null(berth_config_load("/dev/zero", error));
	assert_string_equal(error, "/dev/zero:1:1: the file is larger than 8 MiB; make it smaller");
}

static void a_file_means_the_same_as_its_text(void **state)
{
	char path[] = "/tmp/test_config.XXXXXX";
	char error[BERTH_ERROR_BYTES];
	int fd = mkstemp(path);
	(void)state;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, everything, strlen(everything)), strlen(everything));
	struct berth_config *config = berth_config_load(path, error);
	close(fd);
	unlink(path);
	assert_non_null(config);
	assert_int_equal(config->n_services, 2);
	berth_config_free(config);
}

/* xorshift64, so that every run has the same texts. */
static uint64_t seed;

static size_t below(size_t bound)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (size_t)(seed % bound);
}

static const char *const splinters[] = {
	"\n",	"  ",	"\t",	 ": ",	     "- ",	  "{",	       "}",
	"[",	"]",	",",	 "\"",	     "'",	  "#",	       "&a ",
	"*a",	"!!x ", "<<: ",	 "? ",	     "|\n",	  "---\n",     "...\n",
	"%",	"\\x",	"~",	 "0",	     "-1",	  "65536",     "1h",
	"null", "::1",	"\xff",	 "\xc3\xa9", "\xe2\x80",  "name: b1",  "table-size: 7",
	"\0",	"/28",	"-8099", "any",	     "port: 1-9", "mode: nat",
};

/* Changes up to four places of a text of `length` bytes in a buffer with room for twice that; returns the new
 * length. */
static size_t mutate(char *text, size_t length, size_t room)
{
	for (size_t n = 1 + below(4); n > 0 && length > 8; n--) {
		size_t at = below(length - 8);
		size_t size = 1 + below(8);
		const char *splinter = splinters[below(COUNT(splinters))];
		switch (below(4)) {
		case 0:
			text[at] = (char)below(256);
			continue;
		case 1:
			memmove(text + at, text + at + size, length - at - size);
			length -= size;
			continue;
		case 2:
			size = below(length - at);
			splinter = text + below(length - size);
			break;
		default:
			size = *splinter ? strlen(splinter) : 1;
		}
		if (length + size > room)
			continue;
		char copy[sizeof(everything)];
		size = size < sizeof(copy) ? size : sizeof(copy);
		memcpy(copy, splinter, size);
		memmove(text + at + size, text + at, length - at);
		memcpy(text + at, copy, size);
		length += size;
	}
	return length;
}

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void a_damaged_file_is_valid_or_an_error(void **state)
{
	enum {
		ROUNDS = 40000
	};
	static char text[2 * sizeof(everything)];
	size_t accepted = 0;
	size_t refused = 0;
	(void)state;

	seed = 20231117;
	for (double end = seconds() + 2; accepted + refused < ROUNDS && seconds() < end;) {
		memcpy(text, everything, sizeof(everything));
		size_t length = mutate(text, sizeof(everything) - 1, sizeof(text));
		/* In a block of the exact size, so that a sanitizer sees a read beyond the end. */
		char *block = malloc(length + !length);
		memcpy(block, text, length);
		const char *error = refusal(block, length);
		free(block);
		if (*error && (strncmp(error, "f:", 2) != 0 || strchr(error, '\n') || !strstr(error, "; ")))
			fail_msg("not a line with place and fix: %s", error);
		accepted += !*error;
		refused += !!*error;
	}
	print_message("           %zu accepted, %zu refused\n", accepted, refused);
	assert_true(accepted > 0 && refused > 0);
}

/* jansson's allocator: fails when this count reaches 0. */
static long allocations_left;

static void *scarce_malloc(size_t size)
{
	return allocations_left-- > 0 ? malloc(size) : NULL;
}

static void a_failed_allocation_is_an_error_without_a_leak(void **state)
{
	char error[BERTH_ERROR_BYTES];
	struct berth_config *config = NULL;
	long n = 0;
	(void)state;

	json_set_alloc_funcs(scarce_malloc, free);
	while (!config && n < 10000) {
		allocations_left = n++;
		config = berth_config_parse("f", everything, strlen(everything), error);
		if (!config)
			assert_non_null(strstr(error, "f:1:1: not enough memory"));
	}
	json_set_alloc_funcs(malloc, free);
	assert_non_null(config);
	assert_true(n > 100);
	berth_config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_error_is_one_printable_line_for_any_file_name),
		cmocka_unit_test(a_file_above_8_mib_is_refused),
		cmocka_unit_test(more_than_a_million_values_are_refused),
		cmocka_unit_test(a_null_byte_is_refused),
		cmocka_unit_test(an_unreadable_file_is_an_error),
		cmocka_unit_test(a_file_means_the_same_as_its_text),
		cmocka_unit_test(a_damaged_file_is_valid_or_an_error),
		cmocka_unit_test(a_failed_allocation_is_an_error_without_a_leak),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
