// SPDX-License-Identifier: BSD-3-Clause
/* What operators set survives a berthd that finds no tables: the null engine has none after a restart. */
#include <sys/stat.h>
#include <time.h>

#include "controlplane/util/clock.h"
#include "tests/support/berthd.h"

#define CONFIGURATION(backends)                                                                                    \
	"engine: 'null'\n"                                                                                         \
	"interfaces: [{name: lo}]\n"                                                                               \
	"limits: {flows: 1024, sessions: 1024, services: 4, backends: 60}\n"                                       \
	"services:\n"                                                                                              \
	"  - {name: web, address: 203.0.113.10, port: 80, mode: l2, affinity: {by: client}, table-size: 251,\n"    \
	"     backends: [" backends "]}\n"
#define B1 "{name: b1, address: 192.0.2.1}"
#define B2 "{name: b2, address: 192.0.2.2}"
#define B3 "{name: b3, address: 192.0.2.3}"

static int set_up(void **state)
{
	return berthd_set_up(state, CONFIGURATION(B1 "," B2 "," B3));
}

static void write_configuration(struct berthd *f, const char *text)
{
	assert_int_equal(berth_file_replace(f->path, text, strlen(text)), 0);
}

static void restart(struct berthd *f)
{
	berth_daemon_close(f->daemon);
	berthd_open(f);
}

static void command(struct berthd *f, const char *name, const char *arguments)
{
	json_decref(run(f, name, arguments, BERTH_CODE_OK));
}

static struct berth_model_backend *backend(struct berthd *f, const char *name)
{
	struct berth_model_backend *found = berth_model_backend(berth_model_service(&f->daemon->model, "web"),
								name);
	assert_non_null(found);
	return found;
}

/* The pinned clients, as "CLIENT BACKEND;...". */
static void expect_pins(struct berthd *f, const char *expected)
{
	char text[256] = "";
	size_t i;
	json_t *row, *result = run(f, "show sessions", "{}", BERTH_CODE_OK);
	json_array_foreach(json_object_get(result, "sessions"), i, row)
	{
		if (strcmp(json_string_value(json_object_get(row, "reason")), "pinned") == 0)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s %s;",
				 json_string_value(json_object_get(row, "client")),
				 json_string_value(json_object_get(row, "backend")));
	}
	assert_string_equal(text, expected);
	json_decref(result);
}

static char *file_path(struct berthd *f, const char *name)
{
	static char path[128];
	snprintf(path, sizeof(path), "%s/test/%s", f->dir, name);
	return path;
}

static void admin_states_and_forced_health_are_restored(void **state)
{
	struct berthd *f = *state;
	command(f, "backend drain", "{\"backend\": \"web/b1\"}");
	command(f, "backend disable", "{\"backend\": \"web/b2\"}");
	command(f, "backend health", "{\"backend\": \"web/b3\", \"health\": \"down\"}");
	restart(f);
	assert_int_equal(backend(f, "b1")->admin, BERTH_ADMIN_DRAINING);
	assert_int_equal(backend(f, "b2")->admin, BERTH_ADMIN_DISABLED);
	assert_int_equal(backend(f, "b3")->admin, BERTH_ADMIN_ENABLED);
	assert_int_equal(backend(f, "b3")->forced, BERTH_FORCED_DOWN);
	command(f, "backend enable", "{\"backend\": \"web/b1\"}");
	command(f, "backend health", "{\"backend\": \"web/b3\", \"health\": \"auto\"}");
	restart(f);
	assert_int_equal(backend(f, "b1")->admin, BERTH_ADMIN_ENABLED);
	assert_int_equal(backend(f, "b3")->forced, BERTH_FORCED_NOT);
}

static void the_file_is_written_before_the_answer(void **state)
{
	struct berthd *f = *state;
	struct stat status;
	assert_int_not_equal(stat(file_path(f, "operator.json"), &status), 0);
	command(f, "backend drain", "{\"backend\": \"web/b1\"}");
	assert_int_equal(stat(file_path(f, "operator.json"), &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
}

static void a_deadline_continues_after_the_restart(void **state)
{
	struct berthd *f = *state;
	command(f, "backend drain", "{\"backend\": \"web/b1\", \"deadline\": \"1h\"}");
	const uint32_t before = backend(f, "b1")->evict_at;
	restart(f);
	assert_in_range(backend(f, "b1")->evict_at, before - 2, before + 2);
	assert_int_equal(backend(f, "b1")->admin, BERTH_ADMIN_DRAINING);
}

static void a_deadline_that_passed_meanwhile_evicts(void **state)
{
	struct berthd *f = *state;
	command(f, "backend drain", "{\"backend\": \"web/b1\", \"deadline\": \"1h\"}");
	berth_daemon_close(f->daemon);
	const char *text =
		"{\"version\": 1, \"pins\": [], \"backends\": [{\"service\": \"web\", \"backend\": \"b1\", "
		"\"admin\": \"draining\", \"forced\": \"no\", \"evict_at\": 1}]}";
	assert_int_equal(berth_file_write(file_path(f, "operator.json"), text, strlen(text), 0600), 0);
	berthd_open(f);
	assert_int_equal(backend(f, "b1")->admin, BERTH_ADMIN_EVICTED);
}

/* Writes a drain that ends in `at_s` seconds, and had `left_s` left when it was saved. Returns what is left now. */
static int64_t left_of_a_drain(struct berthd *f, int64_t at_s, int64_t left_s)
{
	char text[256];
	berth_daemon_close(f->daemon);
	snprintf(text, sizeof(text),
		 "{\"version\": 1, \"pins\": [], \"backends\": [{\"service\": \"web\", \"backend\": \"b1\", "
		 "\"admin\": \"draining\", \"forced\": \"no\", \"evict_at\": %lld, \"drain_left\": %lld}]}",
		 (long long)(time(NULL) + at_s), (long long)left_s);
	assert_int_equal(berth_file_write(file_path(f, "operator.json"), text, strlen(text), 0600), 0);
	berthd_open(f);
	return (int64_t)backend(f, "b1")->evict_at - berth_clock_s();
}

static void a_clock_that_was_set_back_makes_no_drain_longer(void **state)
{
	struct berthd *f = *state;
	/* A host without a clock of its own begins in 1970. */
	assert_in_range(left_of_a_drain(f, INT64_C(50) * 365 * 86400, 3600), 3590, 3601);
	/* Half an hour has passed. */
	assert_in_range(left_of_a_drain(f, 1800, 3600), 1790, 1801);
}

static void a_clock_that_was_set_forward_ends_a_drain(void **state)
{
	struct berthd *f = *state;
	left_of_a_drain(f, -INT64_C(50) * 365 * 86400, 3600);
	assert_int_equal(backend(f, "b1")->admin, BERTH_ADMIN_EVICTED);
}

static void pins_are_restored(void **state)
{
	struct berthd *f = *state;
	command(f, "session pin", "{\"client\": \"198.51.100.7\", \"backend\": \"web/b2\"}");
	command(f, "session pin", "{\"client\": \"198.51.100.8\", \"backend\": \"web/b1\"}");
	command(f, "session pin", "{\"client\": \"198.51.100.8\", \"backend\": \"web/b3\"}");
	command(f, "session unpin", "{\"client\": \"198.51.100.7\", \"service\": \"web\"}");
	restart(f);
	expect_pins(f, "198.51.100.8 b3;");
	command(f, "session clear", "{\"service\": \"web\"}");
	restart(f);
	expect_pins(f, "");
}

static void a_move_ends_a_pin(void **state)
{
	struct berthd *f = *state;
	command(f, "session pin", "{\"client\": \"198.51.100.7\", \"backend\": \"web/b2\"}");
	command(f, "session move", "{\"client\": \"198.51.100.7\", \"backend\": \"web/b1\"}");
	restart(f);
	expect_pins(f, "");
}

#define SHOP(name, port)                                                                                           \
	"  - {name: " name ", address: 203.0.113.10, port: " port ", mode: l2, table-size: 251,\n"                 \
	"     affinity: {by: client, group: shop}, backends: [" B1 "," B2 "]}\n"
#define SHOPS(services)                                                                                            \
	"engine: 'null'\n"                                                                                         \
	"interfaces: [{name: lo}]\n"                                                                               \
	"limits: {flows: 1024, sessions: 1024, services: 9, backends: 60}\n"                                       \
	"services:\n" services

static int set_up_shops(void **state)
{
	return berthd_set_up(state, SHOPS(SHOP("web", "80") SHOP("tls", "443")));
}

static void pins_of_a_group_do_not_depend_on_the_service_that_they_were_set_for(void **state)
{
	struct berthd *f = *state;
	command(f, "session pin", "{\"client\": \"198.51.100.7\", \"backend\": \"web/b1\"}");
	command(f, "session pin", "{\"client\": \"198.51.100.7\", \"backend\": \"tls/b2\"}");
	write_configuration(f, SHOPS(SHOP("tls", "443")));
	restart(f);
	expect_pins(f, "198.51.100.7 b2;");
	/* Of a service with the group's name. */
	write_configuration(f, SHOPS(SHOP("shop", "80") SHOP("secure", "443")));
	restart(f);
	expect_pins(f, "198.51.100.7 b2;");
	command(f, "session unpin", "{\"client\": \"198.51.100.7\", \"service\": \"shop\"}");
	restart(f);
	expect_pins(f, "");
}

static void the_configuration_wins_over_the_file(void **state)
{
	struct berthd *f = *state;
	command(f, "backend drain", "{\"backend\": \"web/b1\"}");
	command(f, "backend drain", "{\"backend\": \"web/b2\"}");
	command(f, "session pin", "{\"client\": \"198.51.100.7\", \"backend\": \"web/b1\"}");
	write_configuration(f, CONFIGURATION(B2 "," B3));
	restart(f);
	assert_int_equal(backend(f, "b2")->admin, BERTH_ADMIN_DRAINING);
	/* What was dropped does not come back with its backend. */
	write_configuration(f, CONFIGURATION(B1 "," B2 "," B3));
	restart(f);
	assert_int_equal(backend(f, "b1")->admin, BERTH_ADMIN_ENABLED);
	assert_int_equal(backend(f, "b2")->admin, BERTH_ADMIN_DRAINING);
	expect_pins(f, "");
}

static void expect_damage(struct berthd *f, const char *text, const char *reason)
{
	struct stat status;
	berth_daemon_close(f->daemon);
	unlink(file_path(f, "operator.json.damaged"));
	assert_int_equal(berth_file_write(file_path(f, "operator.json"), text, strlen(text), 0600), 0);
	berthd_open(f);
	if (!strstr(f->daemon->state.saved_damage, reason))
		fail_msg("\"%s\" for %s", f->daemon->state.saved_damage, text);
	assert_int_equal(backend(f, "b1")->admin, BERTH_ADMIN_ENABLED);
	assert_int_equal(stat(file_path(f, "operator.json.damaged"), &status), 0);
}

#define OPERATOR_FILE(backend, pins) "{\"version\": 1, \"backends\": [" backend "], \"pins\": [" pins "]}"

static void a_damaged_file_is_kept_and_reported(void **state)
{
	static const char *const damaged[] = {
		"",
		"{",
		"[]",
		"{\"version\": \"1\", \"backends\": [], \"pins\": []}",
		"{\"version\": 1, \"backends\": {}, \"pins\": []}",
		"{\"version\": 1, \"backends\": []}",
		OPERATOR_FILE("1", ""),
		OPERATOR_FILE(
			"{\"service\": \"web\", \"backend\": \"b1\", \"admin\": \"gone\", \"forced\": \"no\", "
			"\"evict_at\": 0}",
			""),
		OPERATOR_FILE("{\"service\": \"web\", \"backend\": \"b1\", \"admin\": \"draining\", \"forced\": 1, "
			      "\"evict_at\": 0}",
			      ""),
		OPERATOR_FILE(
			"{\"service\": \"web\", \"backend\": \"b1\", \"admin\": \"draining\", \"forced\": \"no\", "
			"\"evict_at\": -1}",
			""),
		OPERATOR_FILE(
			"{\"service\": \"web\", \"admin\": \"draining\", \"forced\": \"no\", \"evict_at\": 0}", ""),
		OPERATOR_FILE("", "{\"service\": \"web\", \"backend\": \"b1\", \"client\": \"198.51.100.7/33\"}"),
	};
	struct berthd *f = *state;
	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++)
		expect_damage(f, damaged[i], "its content is damaged");
	expect_damage(f, "{\"version\": 2, \"backends\": [], \"pins\": []}", "of another version");
}

static void a_file_that_others_could_write_is_not_used(void **state)
{
	struct berthd *f = *state;
	command(f, "backend drain", "{\"backend\": \"web/b1\"}");
	assert_int_equal(chmod(file_path(f, "operator.json"), 0666), 0);
	restart(f);
	assert_int_equal(backend(f, "b1")->admin, BERTH_ADMIN_ENABLED);
	assert_non_null(strstr(f->daemon->state.saved_damage, "other users can write it"));
}

static void a_directory_that_cannot_be_written_is_reported_until_it_can(void **state)
{
	struct berthd *f = *state;
	f->daemon->options.state_dir = "/proc/none";
	command(f, "backend drain", "{\"backend\": \"web/b1\"}");
	assert_non_null(strstr(f->daemon->state.saved_fault, "/proc/none"));
	f->daemon->options.state_dir = f->dir;
	command(f, "backend drain", "{\"backend\": \"web/b2\"}");
	assert_string_equal(f->daemon->state.saved_fault, "");
	restart(f);
	assert_int_equal(backend(f, "b1")->admin, BERTH_ADMIN_DRAINING);
}

static void the_secret_is_made_once(void **state)
{
	struct berthd *f = *state;
	uint8_t secret[BERTH_SECRET_BYTES];
	struct stat status;
	memcpy(secret, f->daemon->engine->image.ctl->secret, sizeof(secret));
	restart(f);
	assert_memory_equal(f->daemon->engine->image.ctl->secret, secret, sizeof(secret));
	assert_int_equal(stat(file_path(f, "secret"), &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
}

static void a_damaged_secret_is_kept_and_reported(void **state)
{
	static const char *const damaged[] = {"", "00", "\n", "x"};
	struct berthd *f = *state;
	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
		berth_daemon_close(f->daemon);
		assert_int_equal(berth_file_write(file_path(f, "secret"), damaged[i], strlen(damaged[i]), 0600), 0);
		berthd_open(f);
		assert_non_null(strstr(f->daemon->state.saved_damage, "secret is not used: it must be one line"));
	}
	restart(f);
	assert_string_equal(f->daemon->state.saved_damage, "");
}

#define SECRET "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1F"

/* Opens berthd with a secret-file of this content and mode; returns its exit status. */
static int open_with_secret_file(struct berthd *f, const char *content, unsigned int mode)
{
	char text[1024], path[80];
	snprintf(path, sizeof(path), "%s/shared", f->dir);
	snprintf(text, sizeof(text), "secret-file: %s\n%s", path, CONFIGURATION(B1));
	write_configuration(f, text);
	assert_int_equal(berth_file_write(path, content, strlen(content), 0600), 0);
	assert_int_equal(chmod(path, mode), 0);
	const struct berth_daemon_options options = {
		.config_path = f->path,
		.paths = {.instance = "test", .run_dir = f->dir},
		.socket_path = f->socket,
		.state_dir = f->dir,
	};
	int status = berth_daemon_open(&options, &f->daemon, f->error);
	unlink(path);
	return status;
}

static void nodes_can_share_a_secret(void **state)
{
	struct berthd *f = *state;
	uint8_t secret[BERTH_SECRET_BYTES];
	/* The derivation is fixed: nodes of different releases share a file. */
	static const uint8_t first[] = {0x05, 0x4c, 0x6e, 0xe9, 0x1f, 0x58, 0x23, 0x35,
					0x8c, 0x8a, 0xe3, 0x9a, 0xe6, 0xb4, 0x6d, 0xf2};
	berth_daemon_close(f->daemon);
	assert_int_equal(open_with_secret_file(f, SECRET "\n", 0600), BERTH_EXIT_OK);
	memcpy(secret, f->daemon->engine->image.ctl->secret, sizeof(secret));
	assert_memory_equal(secret, first, sizeof(first));
	berth_daemon_close(f->daemon);
	assert_int_equal(open_with_secret_file(f, SECRET, 0400), BERTH_EXIT_OK);
	assert_memory_equal(f->daemon->engine->image.ctl->secret, secret, sizeof(secret));
}

static void a_shared_secret_that_cannot_be_used_ends_the_start(void **state)
{
	static const struct {
		const char *content;
		unsigned int mode;
		const char *reason;
	} bad[] = {
		{SECRET, 0640, "other users can read it"},
		{SECRET, 0602, "other users can write it"},
		{"", 0600, "one line of 64 to 384 hexadecimal digits"},
		{SECRET "0", 0600, "one line of 64 to 384 hexadecimal digits"},
		{"g" SECRET "0", 0600, "byte 1 is none"},
		{SECRET "0 ", 0600, "byte 66 is none"},
	};
	struct berthd *f = *state;
	berth_daemon_close(f->daemon);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(open_with_secret_file(f, bad[i].content, bad[i].mode), BERTH_EXIT_CONFIG);
		if (!strstr(f->error, bad[i].reason))
			fail_msg("\"%s\" does not say \"%s\"", f->error, bad[i].reason);
	}
	write_configuration(f, CONFIGURATION(B1));
	berthd_open(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(admin_states_and_forced_health_are_restored, set_up,
						berthd_tear_down),
		cmocka_unit_test_setup_teardown(the_file_is_written_before_the_answer, set_up, berthd_tear_down),
		cmocka_unit_test_setup_teardown(a_deadline_continues_after_the_restart, set_up, berthd_tear_down),
		cmocka_unit_test_setup_teardown(a_deadline_that_passed_meanwhile_evicts, set_up, berthd_tear_down),
		cmocka_unit_test_setup_teardown(a_clock_that_was_set_back_makes_no_drain_longer, set_up,
						berthd_tear_down),
		cmocka_unit_test_setup_teardown(a_clock_that_was_set_forward_ends_a_drain, set_up,
						berthd_tear_down),
		cmocka_unit_test_setup_teardown(pins_are_restored, set_up, berthd_tear_down),
		cmocka_unit_test_setup_teardown(pins_of_a_group_do_not_depend_on_the_service_that_they_were_set_for,
						set_up_shops, berthd_tear_down),
		cmocka_unit_test_setup_teardown(a_move_ends_a_pin, set_up, berthd_tear_down),
		cmocka_unit_test_setup_teardown(the_configuration_wins_over_the_file, set_up, berthd_tear_down),
		cmocka_unit_test_setup_teardown(a_damaged_file_is_kept_and_reported, set_up, berthd_tear_down),
		cmocka_unit_test_setup_teardown(a_file_that_others_could_write_is_not_used, set_up,
						berthd_tear_down),
		cmocka_unit_test_setup_teardown(a_directory_that_cannot_be_written_is_reported_until_it_can, set_up,
						berthd_tear_down),
		cmocka_unit_test_setup_teardown(the_secret_is_made_once, set_up, berthd_tear_down),
		cmocka_unit_test_setup_teardown(a_damaged_secret_is_kept_and_reported, set_up, berthd_tear_down),
		cmocka_unit_test_setup_teardown(nodes_can_share_a_secret, set_up, berthd_tear_down),
		cmocka_unit_test_setup_teardown(a_shared_secret_that_cannot_be_used_ends_the_start, set_up,
						berthd_tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
