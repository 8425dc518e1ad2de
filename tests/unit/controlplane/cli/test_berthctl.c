// SPDX-License-Identifier: BSD-3-Clause
/* berthctl with a running berthd. */
#include "tests/unit/controlplane/cli/berthctl.h"

#include "controlplane/api/wire.h"
#include "controlplane/util/log.h"
#include "dataplane/core/flowtab.h"

static void services_are_printed_as_a_table(void **state)
{
	struct outcome outcome = berthctl(*state, "-w show services");
	expect_outcome(&outcome, 0, "");
	assert_string_equal(
		outcome.out,
		"SERVICE  ADDRESS                MODE  AFFINITY   SCHEDULER  ELIGIBLE  PACKETS/S  BITS/S  NEW/S  "
		"PACKETS"
		"  BYTES  NEW FLOWS  FLOWS  SESSIONS  REFUSED  LIMITED  ALARM\n"
		"web      tcp 203.0.113.10:80    ipip  client 3h  maglev          0/2          -       -      -    "
		"    0"
		"    0 B          0      0         0        0        0  no eligible backend: 2 without a next hop\n"
		"web6     tcp [2001:db8::80]:80  l2    flow       maglev          0/1          -       -      -    "
		"    0"
		"    0 B          0      0         0        0        0  no eligible backend: 1 without a next "
		"hop\n");
}

/* The longest line of a text. */
static size_t longest(const char *text)
{
	size_t most = 0;
	for (; *text; text += strcspn(text, "\n"), text += *text == '\n')
		most = strcspn(text, "\n") > most ? strcspn(text, "\n") : most;
	return most;
}

static void every_table_fits_80_columns_or_those_of_the_environment(void **state)
{
	struct fixture *f = *state;
	static const char *const commands[] = {"show services", "show backends", "show drops --all", "show stats",
					       "show dns",	"show cluster",	 "show sessions"};
	static const struct {
		const char *columns;
		size_t most;
	} lines[] = {{NULL, 80}, {"60", 60}, {"30", 30}, {"nonsense", 80}, {"0", 80}};
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (lines[i].columns)
			setenv("COLUMNS", lines[i].columns, 1);
		for (size_t j = 0; j < sizeof(commands) / sizeof(commands[0]); j++) {
			struct outcome outcome = berthctl(f, commands[j]);
			expect_outcome(&outcome, 0, "");
			if (j < 3 || lines[i].most == 80)
				assert_in_range(longest(outcome.out), 10, lines[i].most);
		}
	}
	unsetenv("COLUMNS");
	struct outcome outcome = berthctl(f, "show backends");
	expect_outcome(&outcome, 0, "web      b1 ");
	outcome = berthctl(f, "show backends --wide");
	assert_in_range(longest(outcome.out), 81, 300);
}

/* berthd's loop turns only while berthctl runs, so the rates begin in the first commands. */
static void rates_follow_within_seconds(void **state)
{
	struct fixture *f = *state;
	const struct berth_image *image = &f->berthd.daemon->engine->image;
	const struct berth_model_service *web = berth_model_service(&f->berthd.daemon->model, "web");
	struct berth_tally *tally = &image->tallies[image->geometry.services + web->backends[1].number];
	const uint64_t end_ms = berth_clock_ms() + PATIENCE_MS;
	double rate = 0;
	while (rate < 1 && berth_clock_ms() < end_ms) {
		tally->packets += 1000;
		tally->bytes += 100000;
		struct outcome outcome = berthctl(f, "show backends -j web/b2");
		json_t *result = json_loads(outcome.out, 0, NULL), *packets = NULL;
		(void)json_unpack(result, "{s:[{s:{s:{s:o}}}]}", "backends", "rates", "1s", "packets_per_s",
				  &packets);
		rate = json_number_value(packets);
		json_decref(result);
	}
	assert_true(rate >= 1);
	struct outcome outcome = berthctl(f, "show backends --sort bits_per_s");
	assert_ptr_equal(strstr(outcome.out, "web      b2 "), strchr(outcome.out, '\n') + 1);
	outcome = berthctl(f, "show engine");
	expect_outcome(&outcome, 0, "\nrates:\n  1s:\n    packets_per_s: ");
}

static void events_are_lines_with_what_they_are_about(void **state)
{
	struct fixture *f = *state;
	struct outcome outcome = berthctl(f, "backend drain web/b2");
	outcome = berthctl(f, "events --service web");
	expect_outcome(&outcome, 0, "backend drain \"web/b2\": ok service=web backend=b2\n");
	expect_outcome(&outcome, 0, "Z info ");
	assert_null(strstr(outcome.out, "web6"));
	outcome = berthctl(f, "events -j --since 1h");
	for (char *line = strtok(outcome.out, "\n"); line; line = strtok(NULL, "\n")) {
		json_t *event = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
		assert_true(json_is_string(json_object_get(event, "text")));
		json_decref(event);
	}
	outcome = berthctl(f, "events --since yesterday");
	expect_outcome(&outcome, 1, "invalid since");
}

/* Logs an event some turns after berthctl has started. */
static void log_later(void)
{
	static unsigned int turns;
	if (++turns == 100)
		berth_log_about(BERTH_ABOUT("web", "b1"), "it happens now");
}

static void events_are_followed(void **state)
{
	struct fixture *f = *state;
	char words[128];
	snprintf(words, sizeof(words), "-s %s -t 2 events --follow", f->berthd.socket);
	const int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	const pid_t pid = start(f, words, fd, STDERR_FILENO);
	static char text[1 << 16];
	const uint64_t end_ms = berth_clock_ms() + 4000;
	bool was_seen = false;
	while (!was_seen && berth_clock_ms() < end_ms) {
		turn(f);
		log_later();
		const ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
		text[n > 0 ? n : 0] = '\0';
		was_seen = strstr(text, "Z info    it happens now service=web backend=b1\n") != NULL;
	}
	assert_true(was_seen);
	/* Longer than its timeout: empty answers keep it. */
	while (berth_clock_ms() < end_ms)
		turn(f);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	close(fd);
}

static void rows_are_sorted_and_filtered(void **state)
{
	struct fixture *f = *state;
	const struct berth_image *image = &f->berthd.daemon->engine->image;
	const struct berth_model_service *web = berth_model_service(&f->berthd.daemon->model, "web");
	for (size_t i = 0; i < 2; i++)
		image->tallies[image->geometry.services + web->backends[i].number].packets = 5 + i;
	struct outcome outcome = berthctl(f, "show backends --sort packets -j");
	json_t *result = json_loads(outcome.out, 0, NULL);
	const json_t *rows = json_object_get(result, "backends");
	assert_int_equal(json_array_size(rows), 3);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(rows, 0), "packets")), 6);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(rows, 2), "packets")), 0);
	json_decref(result);
	outcome = berthctl(f, "show backends --sort -PACKETS --service web?");
	expect_outcome(&outcome, 0, "web6 ");
	assert_null(strstr(outcome.out, "192.0.2.11"));
	outcome = berthctl(f, "show backends --sort nothing");
	expect_outcome(&outcome, 2, "berthctl: no column \"nothing\"; write one of: service name");
	outcome = berthctl(f, "show backends --host 192.0.2.12");
	expect_outcome(&outcome, 0, "web      b2 ");
	assert_null(strstr(outcome.out, "b1"));
}

static void drops_that_have_not_occurred_are_shown_with_all(void **state)
{
	struct fixture *f = *state;
	struct outcome outcome = berthctl(f, "show drops");
	expect_outcome(&outcome, 0, "REASON  COUNT  MEANING\n");
	f->berthd.daemon->engine->image.workers[0].verdict[BERTH_VERDICT_BAD_IP4] = 7;
	outcome = berthctl(f, "show drops");
	expect_outcome(&outcome, 0, "\nbad_ip4      7  IPv4");
	assert_null(strstr(outcome.out, "bad_frame"));
	outcome = berthctl(f, "show drops --all");
	expect_outcome(&outcome, 0, "\nbad_frame ");
	outcome = berthctl(f, "show drops -j");
	expect_outcome(&outcome, 0, "\"bad_frame\"");
}

static void results_are_json_with_option_j(void **state)
{
	static const char *const commands[] = {"show services", "show backends", "show stats", "show drops",
					       "show engine"};
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		char words[64];
		snprintf(words, sizeof(words), "-j %s", commands[i]);
		struct outcome outcome = berthctl(*state, words);
		expect_outcome(&outcome, 0, "{\n  \"");
		json_t *result = json_loads(outcome.out, JSON_REJECT_DUPLICATES, NULL);
		assert_true(json_is_object(result));
		json_decref(result);
		struct outcome plain = berthctl(*state, commands[i]);
		expect_outcome(&plain, 0, "\n");
		assert_null(strchr(plain.out, '{'));
	}
}

static void metrics_are_printed_unchanged(void **state)
{
	static const char begin[] = "# HELP berth_build_info ";
	struct outcome outcome = berthctl(*state, "show metrics");
	expect_outcome(&outcome, 0, "\n");
	assert_memory_equal(outcome.out, begin, strlen(begin));
	assert_non_null(strstr(outcome.out, "\nberth_service_panic{service=\"web\"} 0\n"));
}

static void the_socket_is_found_by_instance_and_run_dir(void **state)
{
	struct fixture *f = *state;
	char words[128];
	snprintf(words, sizeof(words), "-i test -r %s show engine", f->berthd.dir);
	struct outcome outcome = run_until(f, words, NULL);
	expect_outcome(&outcome, 0, "instance: test\n");
}

static void a_wait_ends_when_the_backend_is_drained_or_at_the_timeout(void **state)
{
	struct fixture *f = *state;
	struct outcome outcome = berthctl(f, "wait drained web/b2");
	expect_outcome(&outcome, 1, "is enabled and never drains");
	outcome = berthctl(f, "backend drain --deadline 1h web/b2 --flows-only");
	expect_outcome(&outcome, 0, "web/b2 is flows-only and up;");
	uint64_t begin = berth_clock_ms();
	outcome = berthctl(f, "wait drained web/b2 --timeout 1s");
	assert_int_equal(outcome.status, 1);
	assert_non_null(
		strstr(outcome.out, "web/b2 is not drained after 1 s: flows 0, closing flows 0, sessions 0"));
	assert_in_range(berth_clock_ms() - begin, 1000, 2000);
	outcome = berthctl(
		f, "wait drained --timeout=20s web/b2"); /* a drain needs two full scans, of a second each */
	expect_outcome(&outcome, 0, "web/b2 is drained\n");
	outcome = berthctl(f, "wait drained web/b2 --timeout 1");
	expect_outcome(&outcome, 1, "from 1s to 24h");
}

static void a_plan_is_printed_as_a_table(void **state)
{
	struct fixture *f = *state;
	char words[128];
	struct berth_model_service *web = berth_model_service(&f->berthd.daemon->model, "web");
	berth_model_backend(web, "b2")->withheld_percent = 60;
	snprintf(words, sizeof(words), "plan %s", f->berthd.path);
	struct outcome outcome = berthctl(f, words);
	berth_model_backend(web, "b2")->withheld_percent = 0;
	expect_outcome(&outcome, 0, "0 flows and 0 sessions would move, 0 sessions would be cleared");
	assert_non_null(strstr(outcome.out, "web      b2       kept "));
	if (!strstr(outcome.out, "\nweb/b2 would have weight 40 of 100\n") ||
	    strstr(outcome.out, "b1 would have weight"))
		fail_msg("%s", outcome.out);
}

static void a_backend_is_drained_by_name(void **state)
{
	struct fixture *f = *state;
	struct outcome outcome = berthctl(f, "backend drain web/b2");
	expect_outcome(&outcome, 0, "web/b2 is draining and up;");
	struct berth_model_service *web = berth_model_service(&f->berthd.daemon->model, "web");
	assert_int_equal(berth_model_backend(web, "b2")->admin, BERTH_ADMIN_DRAINING);
	assert_int_equal(berth_model_backend(web, "b1")->admin, BERTH_ADMIN_ENABLED);
}

static void a_refusal_is_exit_status_1_and_one_line(void **state)
{
	struct outcome outcome = berthctl(*state, "backend drain web/b9");
	expect_outcome(&outcome, 1, "berthctl: ");
	expect_outcome(&outcome, 1, "b9");
	assert_ptr_equal(strchr(outcome.err, '\n'), outcome.err + strlen(outcome.err) - 1);
}

static void an_invalid_configuration_is_exit_status_3_with_its_place(void **state)
{
	struct fixture *f = *state;
	char file[64];
	char words[128];
	snprintf(file, sizeof(file), "%s/new.yaml", f->berthd.dir);
	assert_int_equal(berth_file_replace(file, "engine: 'null'\nports: []\n", 25), 0);
	static const char *const commands[] = {"config check", "config apply"};
	for (size_t i = 0; i < 2; i++) {
		snprintf(words, sizeof(words), "%s %s", commands[i], file);
		struct outcome outcome = berthctl(f, words);
		snprintf(words, sizeof(words), "%s:2:1: ", file);
		expect_outcome(&outcome, 3, words);
		assert_ptr_equal(strstr(outcome.err, words), outcome.err);
		/* All errors, a line each. */
		const char *next = strchr(outcome.err, '\n') + 1;
		assert_non_null(strstr(next, "the configuration has no interfaces"));
		assert_ptr_equal(strchr(next, '\n'), next + strlen(next) - 1);
	}
	unlink(file);
	struct outcome outcome = berthctl(f, "config check /nonexistent.yaml");
	expect_outcome(&outcome, 3, "/nonexistent.yaml: No such file");
	assert_int_equal(f->berthd.daemon->model.n_services, 2);
}

static void a_valid_configuration_is_applied(void **state)
{
	struct fixture *f = *state;
	char file[64];
	char words[128];
	char text[2048];
	snprintf(file, sizeof(file), "%s/new.yaml", f->berthd.dir);
	snprintf(text, sizeof(text),
		 "%s  - {name: more, address: 203.0.113.9, protocol: udp, port: 53, mode: l2}\n", configuration);
	assert_int_equal(berth_file_replace(file, text, strlen(text)), 0);
	snprintf(words, sizeof(words), "config check %s", file);
	struct outcome outcome = berthctl(f, words);
	expect_outcome(&outcome, 0, "3 services, 3 backends\nwarning: service more accepts no clients");
	assert_int_equal(f->berthd.daemon->model.n_services, 2);
	snprintf(words, sizeof(words), "config apply %s", file);
	outcome = berthctl(f, words);
	expect_outcome(&outcome, 0, f->berthd.path);
	assert_int_equal(f->berthd.daemon->model.n_services, 3);
	unlink(file);
}

enum {
	SESSIONS = 1500, /* more than one page */
};

/* Writes sessions of 198.51.0.0, 198.51.0.1, ... on web/b1, as workers do. */
static void put_sessions(struct fixture *f)
{
	const struct berth_image *image = &f->berthd.daemon->engine->image;
	struct berth_model_service *web = berth_model_service(&f->berthd.daemon->model, "web");
	uint32_t b1 = berth_model_backend(web, "b1")->number;
	uint32_t now = berth_clock_s();
	for (uint32_t i = 0; i < SESSIONS; i++) {
		image->sessions[i / BERTH_BUCKET_WORDS].word[i % BERTH_BUCKET_WORDS] = berth_word_make(
			i + 1, b1, now, BERTH_STATE_SESSION);
		image->clients[i] = (struct berth_client){
			.since = now, .flows = 3, .tag = i + 1, .reason = BERTH_REASON_SELECTED};
		berth_addr_set4(&image->clients[i].addr, berth_to_be32(0xc6330000 + i));
	}
}

static void sessions_of_many_pages_are_one_table(void **state)
{
	struct fixture *f = *state;
	put_sessions(f);
	struct outcome outcome = berthctl(f, "show sessions");
	expect_outcome(&outcome, 0, "CLIENT ");
	const char *second = strchr(outcome.out, '\n') + 1;
	assert_ptr_equal(strstr(second, "198.51.0.0  "), second);
	size_t lines = 0;
	for (const char *at = outcome.out; (at = strchr(at, '\n')); at++)
		lines++;
	assert_int_equal(lines, 1 + SESSIONS);
	assert_null(strstr(second, "CLIENT"));
	outcome = berthctl(f, "show sessions --backend web/b2");
	expect_outcome(&outcome, 0, "CLIENT  SERVICE  BACKEND  AGE  IDLE  NEW FLOWS  REASON\n");
}

static void sessions_are_one_json_document_with_one_per_line(void **state)
{
	struct fixture *f = *state;
	static const char *const words[] = {"-j show sessions", "show sessions --backend web/b2 -j"};
	put_sessions(f);
	for (size_t i = 0; i < 2; i++) {
		struct outcome outcome = berthctl(f, words[i]);
		expect_outcome(&outcome, 0, "], \"next\": null}\n");
		json_t *result = json_loads(outcome.out, JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(result);
		size_t n = json_array_size(json_object_get(result, "sessions")), lines = 0;
		for (const char *at = outcome.out; (at = strstr(at, "\n{\"client\"")); at++)
			lines++;
		assert_int_equal(n, i ? 0 : SESSIONS);
		assert_int_equal(lines, n);
		json_decref(result);
	}
}

static void a_limit_stops_with_a_cursor_to_continue(void **state)
{
	struct fixture *f = *state;
	put_sessions(f);
	struct outcome outcome = berthctl(f, "show sessions --limit 1200 -j");
	json_t *result = json_loads(outcome.out, JSON_REJECT_DUPLICATES, NULL);
	assert_int_equal(json_array_size(json_object_get(result, "sessions")), 1200);
	assert_string_equal(json_string_value(json_object_get(result, "next")), "1200");
	json_decref(result);
	outcome = berthctl(f, "show sessions --limit 2 --after 1200");
	expect_outcome(&outcome, 0, "198.51.4.176");
	expect_outcome(&outcome, 0, "198.51.4.177");
	expect_outcome(&outcome, 0, "limit reached; continue with --after 1202\n");
	outcome = berthctl(f, "show sessions --limit 0");
	expect_outcome(&outcome, 2, "--limit");
	outcome = berthctl(f, "show sessions --service missing -j");
	expect_outcome(&outcome, 1, "missing");
}

static void flows_are_one_json_document(void **state)
{
	struct fixture *f = *state;
	const struct berth_image *image = &f->berthd.daemon->engine->image;
	struct berth_model_service *web = berth_model_service(&f->berthd.daemon->model, "web");
	const uint32_t b2 = berth_model_backend(web, "b2")->number;
	for (uint32_t i = 0; i < 3; i++)
		image->flows[i].word[i] = berth_word_make(i, b2, berth_clock_s(), BERTH_STATE_CONFIRMED);
	struct outcome outcome = berthctl(f, "show flows --limit 2 -j");
	json_t *result = json_loads(outcome.out, JSON_REJECT_DUPLICATES, NULL);
	assert_int_equal(json_array_size(json_object_get(result, "flows")), 2);
	assert_string_equal(json_string_value(json_object_get(result, "next")), "10");
	json_decref(result);
	outcome = berthctl(f, "show flows --after 10");
	expect_outcome(&outcome, 0, "web      b2       tcp       confirmed");
	outcome = berthctl(f, "show flows --protocol gre");
	expect_outcome(&outcome, 1, "write tcp or udp");
}

static void sessions_are_pinned_moved_and_cleared(void **state)
{
	struct fixture *f = *state;
	put_sessions(f);
	struct outcome outcome = berthctl(f, "session clear --backend web/b1");
	expect_outcome(&outcome, 0, "1500 sessions cleared;");
	outcome = berthctl(f, "session pin 198.51.100.7 web/b2");
	expect_outcome(&outcome, 0, "198.51.100.7 is on b2 of web: pinned;");
	outcome = berthctl(f, "session move 198.51.100.7 web/b1");
	expect_outcome(&outcome, 0, "198.51.100.7 is on b1 of web: moved from b2;");
	outcome = berthctl(f, "session unpin 198.51.100.7 web");
	expect_outcome(&outcome, 1, "198.51.100.7 is not pinned in web");
	outcome = berthctl(f, "-j session clear --client 198.51.100.0/24");
	expect_outcome(&outcome, 0, "{\n  \"cleared_sessions\": 1,\n  \"applies_to\": null\n}\n");
	outcome = berthctl(f, "session clear");
	expect_outcome(&outcome, 1, "session clear needs");
}

static void a_script_ends_with_its_first_error_and_its_place(void **state)
{
	struct fixture *f = *state;
	char path[96], words[160], place[160];
	static const char script[] =
		"# a change\n\nbackend set 'web/b1' weight 5 --no-save\n  show nothing\nbackend set "
		"web/b1 weight 6 --no-save\n";
	snprintf(path, sizeof(path), "%s/script", f->berthd.dir);
	assert_int_equal(berth_file_write(path, script, strlen(script), 0644), 0);
	snprintf(words, sizeof(words), "-f %s", path);
	snprintf(place, sizeof(place), "%s:4: stopped here:   show nothing", path);
	struct outcome outcome = berthctl(f, words);
	assert_int_equal(outcome.status, 2);
	assert_non_null(strstr(outcome.err, place));
	outcome = berthctl(f, "config history");
	expect_outcome(&outcome, 0, "weight 100 -> 5");
	unlink(path);
	outcome = berthctl(f, words);
	expect_outcome(&outcome, 3, "No such file");
	outcome = berthctl(f, "-f - show stats");
	expect_outcome(&outcome, 2, "-f runs the commands of a file");
}

int main(int argc, char **argv)
{
	if (!find_berthctl(argc, argv))
		return 2;
#define SERVED(name) cmocka_unit_test_setup_teardown(name, set_up_daemon, tear_down)
	const struct CMUnitTest tests[] = {
		SERVED(services_are_printed_as_a_table),
		SERVED(every_table_fits_80_columns_or_those_of_the_environment),
		SERVED(rates_follow_within_seconds),
		SERVED(events_are_lines_with_what_they_are_about),
		SERVED(events_are_followed),
		SERVED(rows_are_sorted_and_filtered),
		SERVED(drops_that_have_not_occurred_are_shown_with_all),
		SERVED(results_are_json_with_option_j),
		SERVED(metrics_are_printed_unchanged),
		SERVED(the_socket_is_found_by_instance_and_run_dir),
		SERVED(a_wait_ends_when_the_backend_is_drained_or_at_the_timeout),
		SERVED(a_plan_is_printed_as_a_table),
		SERVED(a_backend_is_drained_by_name),
		SERVED(a_refusal_is_exit_status_1_and_one_line),
		SERVED(an_invalid_configuration_is_exit_status_3_with_its_place),
		SERVED(a_valid_configuration_is_applied),
		SERVED(sessions_of_many_pages_are_one_table),
		SERVED(sessions_are_one_json_document_with_one_per_line),
		SERVED(a_limit_stops_with_a_cursor_to_continue),
		SERVED(flows_are_one_json_document),
		SERVED(sessions_are_pinned_moved_and_cleared),
		SERVED(a_script_ends_with_its_first_error_and_its_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
