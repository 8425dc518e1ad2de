// SPDX-License-Identifier: BSD-3-Clause
/* Sessions survive in a file: in tables of another size, after a reboot, with their ages. */
#include "tests/unit/controlplane/tables/sessions.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "controlplane/tables/session_file.h"
#include "tests/support/damage.h"

#define OTHER(sessions, services)                                                                                  \
	"engine: 'null'\n"                                                                                         \
	"interfaces: [{name: lo}]\n"                                                                               \
	"limits: {flows: 1024, sessions: " sessions ", services: 9, backends: 99}\n"                               \
	"services:\n" services

#define TLS SERVICE("tls", "443", "by: client, timeout: 2h, group: shop")
#define WEB SERVICE("web", "80", "by: client, timeout: 2h, group: shop")
#define NETS SERVICE("nets", "81", "by: client, prefix4: 24")

static const char *file_of(const struct berthd *f)
{
	static char path[80];
	snprintf(path, sizeof(path), "%s/test/sessions", f->dir);
	return path;
}

static struct berth_session_file_result save(struct berthd *f, int64_t unix_s)
{
	struct berth_session_file_result result;
	char error[BERTH_ERROR_BYTES] = "";
	if (berth_session_file_write(image_of(f), file_of(f), unix_s, &result, error) != 0)
		fail_msg("%s", error);
	return result;
}

static int try_restore(struct berthd *f, int64_t unix_s, struct berth_session_file_result *result, char *error)
{
	return berth_session_file_restore(image_of(f), &f->daemon->model, file_of(f), unix_s, result, error);
}

static struct berth_session_file_result restore(struct berthd *f, int64_t unix_s)
{
	struct berth_session_file_result result;
	char error[BERTH_ERROR_BYTES] = "";
	if (try_restore(f, unix_s, &result, error) != 0)
		fail_msg("%s", error);
	return result;
}

/* Another berthd with empty tables. */
static void restart_with(struct berthd *f, const char *text)
{
	berth_daemon_close(f->daemon);
	assert_int_equal(berth_file_replace(f->path, text, strlen(text)), 0);
	berthd_open(f);
}

static uint32_t idle_of(struct berthd *f, const char *client, const char *service)
{
	uint32_t at = index_of(f, client, service);
	assert_int_not_equal(at, BERTH_NOT_FOUND);
	return berth_word_age(*word_at(f, at), berth_clock_s());
}

static void sessions_are_found_in_tables_of_another_size(void **state)
{
	static const char *const others[] = {
		OTHER("1024", WEB TLS NETS),
		OTHER("40000", NETS TLS WEB),
		OTHER("4096", TLS NETS WEB),
	};
	struct berthd *f = *state;
	struct stat status;
	put_some(f);
	assert_int_equal(save(f, 1000).sessions, 4);
	assert_int_equal(stat(file_of(f), &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		restart_with(f, others[i]);
		struct berth_session_file_result result = restore(f, 1000);
		assert_int_equal(result.sessions, 4);
		finds(f, "{}", "198.51.100.0/24 198.51.100.7 198.51.100.8 2001:db8:2::/64 ");
		/* By each service of the group. */
		struct berth_view view = berth_sessions_view(image_of(f), berth_clock_s());
		const uint32_t web = service_number(f, "web"), tls = service_number(f, "tls");
		const int b1 = berth_sibling(&view, backend_number(f, "web", "b1"), web);
		const int b2 = berth_sibling(&view, backend_number(f, "tls", "b2"), tls);
		assert_int_equal(berth_sibling(&view, backend_of(f, "198.51.100.7", "web"), web), b1);
		assert_int_equal(berth_sibling(&view, backend_of(f, "198.51.100.8", "tls"), tls), b2);
		assert_int_equal(backend_of(f, "198.51.100.7", "nets"), backend_number(f, "nets", "b2"));
	}
}

static void sessions_have_the_age_that_they_have_by_now(void **state)
{
	struct berthd *f = *state;
	put(f, "198.51.100.7", "web", "b1", 100);
	put(f, "198.51.100.8", "web", "b2", 0);
	save(f, 1000);
	restart_with(f, configuration);
	restore(f, 1000 + 600);
	assert_in_range(idle_of(f, "198.51.100.7", "web"), 700, 702);
	assert_in_range(idle_of(f, "198.51.100.8", "web"), 600, 602);
}

static void a_session_that_expired_meanwhile_is_not_restored(void **state)
{
	struct berthd *f = *state;
	put(f, "198.51.100.7", "web", "b1", 100);
	put(f, "198.51.100.8", "web", "b2", 0);
	save(f, 1000);
	restart_with(f, configuration);
	struct berth_session_file_result result = restore(f, 1000 + 7150);
	assert_int_equal(result.sessions, 1);
	assert_int_equal(result.expired, 1);
	finds(f, "{}", "198.51.100.8 ");
}

/* A flood of spoofed SYNs is not saved. */
static void an_unconfirmed_session_is_not_saved(void **state)
{
	struct berthd *f = *state;
	put(f, "198.51.100.7", "web", "b1", 0);
	const uint32_t at = put(f, "198.51.100.8", "web", "b2", 0);
	*word_at(f, at) = berth_word_touch(*word_at(f, at), berth_clock_s(), BERTH_STATE_UNCONFIRMED);
	finds(f, "{}", "198.51.100.7 198.51.100.8 ");
	assert_int_equal(save(f, 1000).sessions, 1);
	restart_with(f, configuration);
	restore(f, 1000);
	finds(f, "{}", "198.51.100.7 ");
}

/* 36 hours are the range of a word's time: such sessions must not look young. */
static void sessions_do_not_come_back_after_days(void **state)
{
	static const int64_t days[] = {131072, 131072 + 60, 10 * 86400, INT64_C(1) << 40};
	struct berthd *f = *state;
	put(f, "198.51.100.7", "web", "b1", 0);
	save(f, 1000);
	for (size_t i = 0; i < sizeof(days) / sizeof(days[0]); i++) {
		restart_with(f, configuration);
		assert_int_equal(restore(f, 1000 + days[i]).sessions, 0);
		finds(f, "{}", "");
	}
}

static void a_clock_that_was_set_back_makes_no_session_older(void **state)
{
	struct berthd *f = *state;
	put(f, "198.51.100.7", "web", "b1", 100);
	save(f, 1000);
	restart_with(f, configuration);
	assert_int_equal(restore(f, 5).sessions, 1);
	assert_in_range(idle_of(f, "198.51.100.7", "web"), 100, 102);
}

static void what_is_not_configured_any_more_is_dropped(void **state)
{
	struct berthd *f = *state;
	put_some(f);
	save(f, 1000);
	restart_with(f, OTHER("4096", SERVICE("web", "80", "by: flow")));
	struct berth_session_file_result result = restore(f, 1000);
	assert_int_equal(result.sessions + result.unknown, 4);
	assert_int_equal(result.unknown, 4);
	finds(f, "{}", "");
}

static void sessions_of_a_group_are_restored_without_its_first_service(void **state)
{
	struct berthd *f = *state;
	put_some(f);
	save(f, 1000);
	restart_with(f, OTHER("4096", TLS));
	assert_int_equal(restore(f, 1000).sessions, 3);
	finds(f, "{\"service\": \"tls\"}", "198.51.100.7 198.51.100.8 2001:db8:2::/64 ");
}

static void pins_are_not_in_the_file(void **state)
{
	struct berthd *f = *state;
	json_decref(
		run(f, "session pin", "{\"client\": \"198.51.100.7\", \"backend\": \"web/b2\"}", BERTH_CODE_OK));
	assert_int_equal(save(f, 1000).sessions, 0);
}

static void a_session_in_the_table_stays(void **state)
{
	struct berthd *f = *state;
	put(f, "198.51.100.7", "web", "b1", 0);
	save(f, 1000);
	restart_with(f, configuration);
	put(f, "198.51.100.7", "web", "b2", 0);
	restore(f, 1000);
	assert_int_equal(backend_of(f, "198.51.100.7", "web"), backend_number(f, "web", "b2"));
}

/* Every single bit counts. */
static void a_damaged_file_is_refused_as_a_whole(void **state)
{
	struct berthd *f = *state;
	struct berth_session_file_result result;
	char error[BERTH_ERROR_BYTES];
	put_some(f);
	save(f, 1000);
	int fd = open(file_of(f), O_RDWR | O_CLOEXEC);
	const off_t end = lseek(fd, 0, SEEK_END);
	restart_with(f, configuration);
	for (off_t at = 0; at < end; at++) {
		uint8_t byte, other;
		assert_int_equal(pread(fd, &byte, 1, at), 1);
		other = byte ^ (uint8_t)(1 << at % 8);
		assert_int_equal(pwrite(fd, &other, 1, at), 1);
		if (try_restore(f, 1000, &result, error) != -EINVAL || result.sessions)
			fail_msg("byte %d: restored", (int)at);
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	}
	for (off_t length = end - 1; length >= 0; length -= length > 200 ? 97 : 1) {
		assert_int_equal(ftruncate(fd, length), 0);
		assert_int_equal(try_restore(f, 1000, &result, error), -EINVAL);
	}
	close(fd);
	finds(f, "{}", "");
}

static void put_content(int fd, const uint8_t *content, size_t n)
{
	assert_int_equal(ftruncate(fd, (off_t)n), 0);
	assert_int_equal(pwrite(fd, content, n, 0), n);
}

static void a_thousand_damages_give_a_refusal_or_right_sessions(void **state)
{
	struct berthd *f = *state;
	struct berth_session_file_result result;
	char error[BERTH_ERROR_BYTES];
	uint8_t intact[4096], damaged[4096];
	put_some(f);
	save(f, 1000);
	int fd = open(file_of(f), O_RDWR | O_CLOEXEC), refused = 0;
	const ssize_t n = pread(fd, intact, sizeof(intact), 0);
	assert_in_range(n, 100, sizeof(intact) - 1);
	restart_with(f, configuration);
	for (uint64_t seed = 0; seed < 1000; seed++) {
		memcpy(damaged, intact, (size_t)n);
		test_damage(damaged, (uint64_t)n, seed);
		put_content(fd, damaged, (size_t)n);
		const int err = try_restore(f, 1000, &result, error);
		refused += err != 0;
		if (err ? err != -EINVAL || result.sessions : memcmp(damaged, intact, (size_t)n) != 0)
			fail_msg("seed %d: %d, %d sessions", (int)seed, err, (int)result.sessions);
	}
	assert_in_range(refused, 300, 1000);
	put_content(fd, intact, (size_t)n);
	close(fd);
	assert_int_equal(try_restore(f, 1000, &result, error), 0);
}

/* Its names have zeros where the digest of the head is now, and the checksum is that of its body. */
static void a_file_of_a_release_without_a_digest_of_the_head_is_read(void **state)
{
	enum {
		CHECKSUM = 32,
		BODY = 40,
	};
	struct berthd *f = *state;
	uint8_t content[4096];
	put_some(f);
	save(f, 1000);
	int fd = open(file_of(f), O_RDWR | O_CLOEXEC);
	const ssize_t n = pread(fd, content, sizeof(content), 0);
	assert_in_range(n, 100, sizeof(content) - 1);
	memset(content + BODY, 0, 8);
	const uint64_t checksum = XXH3_64bits(content + BODY, (size_t)n - BODY);
	memcpy(content + CHECKSUM, &checksum, sizeof(checksum));
	put_content(fd, content, (size_t)n);
	close(fd);
	restart_with(f, configuration);
	assert_int_equal(restore(f, 1000).sessions, 4);
}

/* The tables have a number more than these limits, and it counts. */
static void sessions_of_the_largest_limits_are_restored(void **state)
{
	static const char largest[] = "engine: 'null'\n"
				      "interfaces: [{name: lo}]\n"
				      "limits: {flows: 1024, sessions: 1024, services: 9, backends: 65534}\n"
				      "services:\n" WEB TLS NETS;
	struct berthd *f = *state;
	restart_with(f, largest);
	put_some(f);
	save(f, 1000);
	restart_with(f, largest);
	assert_int_equal(restore(f, 1000).sessions, 4);
}

static void a_file_that_others_could_write_is_refused(void **state)
{
	struct berthd *f = *state;
	struct berth_session_file_result result;
	char error[BERTH_ERROR_BYTES];
	put_some(f);
	save(f, 1000);
	assert_int_equal(chmod(file_of(f), 0620), 0);
	assert_int_equal(try_restore(f, 1000, &result, error), -EINVAL);
	assert_string_equal(error, "other users can write it");
	unlink(file_of(f));
	assert_int_equal(try_restore(f, 1000, &result, error), -ENOENT);
}

static void berthd_saves_at_its_end_and_restores_at_its_start(void **state)
{
	struct berthd *f = *state;
	char text[2048];
	snprintf(text, sizeof(text), "sessions: {save: 1h}\n%s", configuration);
	restart_with(f, text);
	put(f, "198.51.100.7", "web", "b2", 100);
	restart_with(f, text);
	assert_int_equal(backend_of(f, "198.51.100.7", "web"), backend_number(f, "web", "b2"));
	assert_in_range(idle_of(f, "198.51.100.7", "web"), 100, 103);
	/* Not by default. */
	restart_with(f, configuration);
	finds(f, "{}", "");
}

int main(void)
{
#define WITH_BERTHD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_BERTHD(sessions_are_found_in_tables_of_another_size),
		WITH_BERTHD(sessions_have_the_age_that_they_have_by_now),
		WITH_BERTHD(a_session_that_expired_meanwhile_is_not_restored),
		WITH_BERTHD(an_unconfirmed_session_is_not_saved),
		WITH_BERTHD(sessions_do_not_come_back_after_days),
		WITH_BERTHD(a_clock_that_was_set_back_makes_no_session_older),
		WITH_BERTHD(what_is_not_configured_any_more_is_dropped),
		WITH_BERTHD(sessions_of_a_group_are_restored_without_its_first_service),
		WITH_BERTHD(pins_are_not_in_the_file),
		WITH_BERTHD(a_session_in_the_table_stays),
		WITH_BERTHD(a_damaged_file_is_refused_as_a_whole),
		WITH_BERTHD(a_thousand_damages_give_a_refusal_or_right_sessions),
		WITH_BERTHD(a_file_of_a_release_without_a_digest_of_the_head_is_read),
		WITH_BERTHD(sessions_of_the_largest_limits_are_restored),
		WITH_BERTHD(a_file_that_others_could_write_is_refused),
		WITH_BERTHD(berthd_saves_at_its_end_and_restores_at_its_start),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
