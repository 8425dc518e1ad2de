// SPDX-License-Identifier: BSD-3-Clause
/* The values of the metrics, beside what the show commands say. */
#include "controlplane/daemon/apply.h"
#include "tests/unit/controlplane/metrics/metrics_fixture.h"

#include "dataplane/core/flowtab.h"

/* The value of a series; "": not found. */
static const char *find(const char *text, const char *series, char value[32])
{
	size_t length = strlen(series);
	value[0] = '\0';
	for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		if (strncmp(line, series, length) == 0 && line[length] == ' ')
			sscanf(line + length, " %31s", value);
	return value;
}

static void expect(const char *text, const char *series, const char *expected)
{
	char value[32];
	if (strcmp(find(text, series, value), expected) != 0)
		fail_msg("%s is \"%s\", not \"%s\"", series, value, expected);
}

/* 0: not found. */
static double value_of(const char *text, const char *series)
{
	char value[32];
	return atof(find(text, series, value));
}

__attribute__((format(printf, 3, 4))) static void expect_count(const char *text, uint64_t expected,
							       const char *format, ...)
{
	char series[256], number[32];
	va_list args;
	va_start(args, format);
	vsnprintf(series, sizeof(series), format, args);
	va_end(args);
	snprintf(number, sizeof(number), "%lu", expected);
	expect(text, series, number);
}

static struct berth_model_backend *backend(struct metrics_fixture *f, const char *service, const char *name)
{
	return berth_model_backend(berth_model_service(&f->daemon->model, service), name);
}

/* Sets each counter to a different number. */
static void count_something(struct metrics_fixture *f)
{
	struct berth_image *image = &f->daemon->engine->image;
	uint32_t now = berth_clock_s(), b1 = backend(f, "web", "b1")->number, b2 = backend(f, "web", "b2")->number;
	const uint32_t in_session = backend(f, "web", "b1")->session_number;
	struct berth_worker *worker = &image->workers[0];
	for (unsigned int v = BERTH_NO_VERDICT + 1; v < BERTH_VERDICT_COUNT; v++) {
		worker->verdict[v] = 100 + v;
		worker->received += 100 + v;
	}
	for (unsigned int e = 0; e < BERTH_EVENT_COUNT; e++)
		worker->event[e] = 1000 + e;
	for (uint32_t slot = 0; slot < image->geometry.services + image->geometry.backends; slot++)
		image->tallies[slot] = (struct berth_tally){
			.packets = 2000 + slot, .bytes = 5000000000 + slot, .flows = 3000 + slot};
	image->flows[1].word[0] = berth_word_make(1, b1, now, BERTH_STATE_CONFIRMED);
	image->flows[2].word[3] = berth_word_make(2, b1, now, BERTH_STATE_CONFIRMED);
	image->flows[2].word[4] = berth_word_make(3, b1, now, BERTH_STATE_CLOSING);
	image->flows[5].word[7] = berth_word_make(4, b2, now, BERTH_STATE_CONFIRMED);
	image->sessions[0].word[0] = berth_word_make(5, in_session, now, BERTH_STATE_SESSION);
	image->sessions[3].word[0] = berth_word_make(6, in_session, now, BERTH_STATE_SESSION);
	/* To the end of the current scan, and one more. */
	for (int passes = 0; passes < 2;)
		passes += berth_scan_step(f->daemon->scan, 4096, now);
}

static uint64_t number(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	assert_true(json_is_integer(value));
	return (uint64_t)json_integer_value(value);
}

static const char *word(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static void compare_services(struct metrics_fixture *f, const char *text)
{
	json_t *result = show(f, "show services"), *service;
	size_t i;
	json_array_foreach(json_object_get(result, "services"), i, service)
	{
		const char *name = word(service, "name");
		expect_count(text, number(service, "backends"), "berth_service_backends{service=\"%s\"}", name);
		expect_count(text, number(service, "backends_up"), "berth_service_backends_up{service=\"%s\"}",
			     name);
		expect_count(text, number(service, "backends_eligible"),
			     "berth_service_backends_eligible{service=\"%s\"}", name);
		expect_count(text, number(service, "flows"), "berth_service_flows{service=\"%s\"}", name);
		expect_count(text, number(service, "sessions"), "berth_service_sessions{service=\"%s\"}", name);
		expect_count(text, number(service, "exception_flows") + number(service, "exception_sessions"),
			     "berth_service_exceptions{service=\"%s\"}", name);
		expect_count(text, number(service, "packets"), "berth_service_packets_total{service=\"%s\"}", name);
		expect_count(text, number(service, "bytes"), "berth_service_bytes_total{service=\"%s\"}", name);
		expect_count(text, number(service, "new_flows"), "berth_service_new_flows_total{service=\"%s\"}",
			     name);
		expect_count(text, number(service, "refused_packets"),
			     "berth_service_refused_packets_total{service=\"%s\"}", name);
		expect_count(text, number(service, "limited_packets"),
			     "berth_service_limited_packets_total{service=\"%s\"}", name);
	}
	assert_int_equal(i, 3);
	json_decref(result);
}

static bool has_word(const json_t *list, const char *wanted)
{
	size_t i;
	json_t *item;
	json_array_foreach(list, i, item) if (strcmp(json_string_value(item), wanted) == 0) return true;
	return false;
}

static void compare_backends(struct metrics_fixture *f, const char *text)
{
	static const struct {
		const char *metric;
		const char *shown;
	} counts[] = {
		{"flows", "flows"},	      {"closing_flows", "closing_flows"}, {"sessions", "sessions"},
		{"packets_total", "packets"}, {"bytes_total", "bytes"},		  {"new_flows_total", "new_flows"},
	};
	json_t *result = show(f, "show backends"), *about;
	size_t i;
	json_array_foreach(json_object_get(result, "backends"), i, about)
	{
		const char *service = word(about, "service"), *name = word(about, "name");
		for (size_t c = 0; c < COUNT(counts); c++)
			expect_count(text, number(about, counts[c].shown),
				     "berth_backend_%s{service=\"%s\",backend=\"%s\"}", counts[c].metric, service,
				     name);
		expect_count(text, strcmp(word(about, "health"), "up") == 0,
			     "berth_backend_up{service=\"%s\",backend=\"%s\"}", service, name);
		expect_count(text, has_word(json_object_get(about, "eligibility"), "new"),
			     "berth_backend_eligible_new_clients{service=\"%s\",backend=\"%s\"}", service, name);
		expect_count(text, has_word(json_object_get(about, "state"), "panic"),
			     "berth_backend_panic{service=\"%s\",backend=\"%s\"}", service, name);
		expect_count(text, 1, "berth_backend_admin{service=\"%s\",backend=\"%s\",admin=\"%s\"}", service,
			     name, word(about, "admin"));
	}
	assert_int_equal(i, 4);
	json_decref(result);
}

static void compare_stats(struct metrics_fixture *f, const char *text)
{
	json_t *result = show(f, "show stats"), *tables = json_object_get(result, "tables"), *value;
	const char *name;
	json_object_foreach(json_object_get(result, "verdicts"), name, value)
		expect_count(text, number(value, "count"), "berth_packets_total{verdict=\"%s\",class=\"%s\"}", name,
			     word(value, "class"));
	json_object_foreach(json_object_get(result, "events"), name, value)
		expect_count(text, (uint64_t)json_integer_value(value), "berth_events_total{event=\"%s\"}", name);
	json_object_foreach(tables, name, value)
	{
		expect_count(text, number(value, "entries"), "berth_table_entries{table=\"%s\"}", name);
		expect_count(text, number(value, "capacity_entries"), "berth_table_capacity_entries{table=\"%s\"}",
			     name);
	}
	uint64_t received = number(json_object_get(result, "packets"), "received");
	expect_count(text, received, "berth_received_packets_total");
	expect_count(text, received, "berth_worker_received_packets_total{worker=\"0\"}");
	expect_count(text, number(result, "generation"), "berth_config_generation");
	json_decref(result);
}

static void values_equal_those_of_the_show_commands(void **state)
{
	struct metrics_fixture *f = *state;
	struct berth_health_status status;
	turn_until_down(f, 0);
	count_something(f);
	struct berth_model_backend *b2 = backend(f, "web", "b2");
	b2->admin = BERTH_ADMIN_DRAINING;
	b2->withheld_percent = 30;
	backend(f, "web", "b1")->next_hop = (struct berth_next_hop){.is_resolved = true, .mtu = 1500};
	b2->next_hop.is_resolved = false;
	f->daemon->state.publication.failures = 4;
	char *text = scrape(f);
	compare_services(f, text);
	compare_backends(f, text);
	compare_stats(f, text);
	/* Two sessions of the group; both services count them. */
	expect(text, "berth_service_sessions{service=\"web2\"}", "2");
	expect(text, "berth_backend_weight{service=\"web\",backend=\"b1\"}", "7");
	expect(text, "berth_backend_path_mtu_bytes{service=\"web\",backend=\"b1\"}", "1500");
	assert_null(strstr(text, "berth_backend_path_mtu_bytes{service=\"web\",backend=\"b2\"}"));
	expect(text, "berth_backend_weight{service=\"web\",backend=\"b2\"}", "70");
	assert_true(berth_health_get(f->daemon->health, backend(f, "web", "b1")->id, &status));
	assert_true(status.probes > 0);
	expect_count(text, status.probes, "berth_backend_health_probes_total{service=\"web\",backend=\"b1\"}");
	expect(text, "berth_backend_health_probe_failures_total{service=\"web\",backend=\"b1\"}", "0");
	expect(text, "berth_backend_health_error{service=\"web\",backend=\"b1\"}", "0");
	expect(text, "berth_backend_health_errors_total{service=\"web\",backend=\"b1\"}", "0");
	expect(text, "berth_backend_health_changes_total{service=\"web\",backend=\"b1\"}", "1");
	double took = value_of(text, "berth_backend_health_probe_duration_seconds{service=\"web\",backend=\"b1\"}");
	assert_true(took > 0 && took < 20);
	assert_true(status.response_us > 0);
	double response = value_of(text, "berth_backend_response_seconds{service=\"web\",backend=\"b1\"}");
	assert_true(response >= 100e-6 && response < 20);
	expect(text, "berth_publish_failures_total", "4");
	expect(text, "berth_build_info{version=\"" BERTH_VERSION "\"}", "1");
	expect(text, "berth_engine_info{engine=\"null\",instance=\"test\"}", "1");
	expect(text, "berth_engine_running", "0");
	expect(text, "berth_engine_restarts_total", "0");
	expect(text, "berth_engine_hangs_total", "0");
	expect(text, "berth_engine_failing", "0");
	expect(text, "berth_engine_workers", "1");
	expect(text,
	       "berth_service_info{service=\"idle\",address=\"2001:db8::/64\",protocol=\"udp\",port=\"8000-8099\","
	       "mode=\"l2\",scheduler=\"maglev\"}",
	       "1");
	free(text);
}

static json_t *status_with_cycles(struct berth_engine *engine)
{
	(void)engine;
	return json_pack("{s:[], s:I}", "ports", "cycles_per_second", (json_int_t)2400000000);
}

/* Workers that do not poll have none. */
static void the_busy_share_and_the_cycles_of_a_worker_are_there(void **state)
{
	struct metrics_fixture *f = *state;
	char *text = scrape(f);
	assert_null(strstr(text, "berth_worker_polls_total{"));
	assert_null(strstr(text, "berth_worker_bursts_total{"));
	assert_null(strstr(text, "berth_worker_cycles_per_second{"));
	free(text);
	struct berth_worker *worker = &f->daemon->engine->image.workers[0];
	worker->polls = 1000;
	worker->bursts = 250;
	worker->busy_cycles = 70000;
	static struct berth_engine_ops with_cycles;
	const struct berth_engine_ops *ops = f->daemon->engine->ops;
	with_cycles = *ops;
	with_cycles.status = status_with_cycles;
	f->daemon->engine->ops = &with_cycles;
	text = scrape(f);
	expect(text, "berth_worker_polls_total{worker=\"0\"}", "1000");
	expect(text, "berth_worker_bursts_total{worker=\"0\"}", "250");
	expect(text, "berth_worker_busy_cycles_total{worker=\"0\"}", "70000");
	expect(text, "berth_worker_cycles_per_second{worker=\"0\"}", "2400000000");
	free(text);
	f->daemon->engine->ops = ops;
}

static json_t *status_with_ports(struct berth_engine *engine)
{
	(void)engine;
	return json_pack("{s:[{s:s, s:I, s:s}, {s:s, s:n}]}", "ports", "name", "eth0", "refused_frames",
			 (json_int_t)9, "fault", "its driver sends nothing", "name", "eth1", "fault");
}

static void what_an_engine_says_of_its_ports_is_shown(void **state)
{
	struct metrics_fixture *f = *state;
	static struct berth_engine_ops with_ports;
	const struct berth_engine_ops *ops = f->daemon->engine->ops;
	with_ports = *ops;
	with_ports.status = status_with_ports;
	f->daemon->engine->ops = &with_ports;
	char *text = scrape(f);
	f->daemon->engine->ops = ops;
	expect(text, "berth_port_refused_frames_total{port=\"eth0\"}", "9");
	assert_null(strstr(text, "berth_port_refused_frames_total{port=\"eth1\"}"));
	expect(text, "berth_port_fault{port=\"eth0\"}", "1");
	expect(text, "berth_port_fault{port=\"eth1\"}", "0");
	free(text);
}

/* With a device in place of an interface there are none. */
static void losses_of_an_interface_are_those_that_the_kernel_counts(void **state)
{
	static const char *const kinds[] = {"rx_errors", "rx_missed", "rx_dropped", "tx_errors", "tx_dropped"};
	static const char *const files[] = {"rx_errors", "rx_missed_errors", "rx_dropped", "tx_errors",
					    "tx_dropped"};
	struct metrics_fixture *f = *state;
	char *text = scrape(f);
	for (size_t i = 0; i < COUNT(kinds); i++) {
		char path[96], series[96];
		size_t length;
		snprintf(path, sizeof(path), "/sys/class/net/lo/statistics/%s", files[i]);
		snprintf(series, sizeof(series), "berth_port_errors_total{port=\"lo\",kind=\"%s\"}", kinds[i]);
		char *count = berth_file_read(path, &length);
		assert_non_null(count);
		expect_count(text, strtoull(count, NULL, 10), "%s", series);
		free(count);
	}
	free(text);
	strcpy(f->daemon->model.config->interfaces[0].device, "net_tap0");
	text = scrape(f);
	f->daemon->model.config->interfaces[0].device[0] = '\0';
	assert_null(strstr(text, "berth_port_errors_total{"));
	free(text);
}

static void berthds_own_use_of_the_host_is_shown(void **state)
{
	char *text = scrape(*state);
	double cpu = value_of(text, "process_cpu_seconds_total"), fds = value_of(text, "process_open_fds");
	assert_true(cpu > 0 && value_of(text, "process_resident_memory_bytes") > 1 << 20);
	free(text);
	int more[] = {dup(0), dup(0), dup(0)};
	for (clock_t end = clock() + CLOCKS_PER_SEC / 10; clock() < end;)
		;
	text = scrape(*state);
	assert_true(value_of(text, "process_open_fds") == fds + 3 && value_of(text, "process_max_fds") >= fds + 3);
	assert_true(value_of(text, "process_cpu_seconds_total") >= cpu + 0.09);
	free(text);
	for (size_t i = 0; i < COUNT(more); i++)
		close(more[i]);
}

static void series_of_backends_can_be_left_out(void **state)
{
	struct metrics_fixture *f = *state;
	f->daemon->model.config->metrics.without_backends = true;
	char *text = scrape(f);
	assert_null(strstr(text, "berth_backend_"));
	assert_non_null(strstr(text, "berth_service_packets_total{service=\"web\"}"));
	free(text);
}

static void a_configuration_that_is_refused_is_counted(void **state)
{
	struct metrics_fixture *f = *state;
	char error[BERTH_ERROR_BYTES];
	for (int i = 0; i < 2; i++)
		assert_int_not_equal(berth_daemon_apply(f->daemon, "bad.yaml", "x: 1\n", 5, false, error), 0);
	char *text = scrape(f);
	expect(text, "berth_config_refused_applies_total", "2");
	expect(text, "berth_config_last_apply_refused", "1");
	free(text);
	size_t length;
	char *good = berth_file_read(f->path, &length);
	assert_non_null(good);
	assert_int_equal(berth_daemon_apply(f->daemon, f->path, good, length, false, error), 0);
	free(good);
	text = scrape(f);
	expect(text, "berth_config_refused_applies_total", "2");
	expect(text, "berth_config_last_apply_refused", "0");
	free(text);
}

static void times_are_unix_times(void **state)
{
	struct metrics_fixture *f = *state;
	char value[32];
	f->daemon->state.started_ms -= 100000;
	f->daemon->state.applied_ms -= 10000;
	char *text = scrape(f);
	assert_in_range(time(NULL) - atol(find(text, "berth_start_time_seconds", value)), 98, 110);
	assert_in_range(time(NULL) - atol(find(text, "berth_config_applied_time_seconds", value)), 8, 20);
	free(text);
}

static size_t times_logged(struct metrics_fixture *f, const char *what)
{
	size_t length, n = 0;
	char *log = berth_file_read(f->log, &length);
	assert_non_null(log);
	for (const char *at = log; (at = strstr(at, what)); at++)
		n++;
	free(log);
	return n;
}

static void a_check_that_cannot_run_is_counted_and_logged_once(void **state)
{
	struct metrics_fixture *f = *state;
	static const char unable[] =
		"engine: 'null'\n"
		"interfaces: [{name: lo}]\n"
		"limits: {flows: 1024, sessions: 2048, services: 5, backends: 60}\n"
		"services:\n"
		"- {name: web, address: 203.0.113.10, port: 80, mode: ipip, table-size: 251, "
		"health: {type: exec, command: [/nonexistent/check], interval: 50ms, timeout: 40ms, fall: 1}, "
		"backends: [{name: b1, address: 127.0.0.2}]}\n";
	char error[BERTH_ERROR_BYTES];
	assert_int_equal(berth_daemon_apply(f->daemon, "unable.yaml", unable, strlen(unable), false, error), 0);
	const uint64_t id = backend(f, "web", "b1")->id;
	struct berth_health_status status = {0};
	assert_true(wait_until(berth_health_get(f->daemon->health, id, &status) && status.errors >= 2, 20000,
			       turn(f, 20)));
	char *text = scrape(f);
	expect(text, "berth_backend_health_error{service=\"web\",backend=\"b1\"}", "1");
	expect_count(text, status.errors, "berth_backend_health_errors_total{service=\"web\",backend=\"b1\"}");
	expect(text, "berth_backend_up{service=\"web\",backend=\"b1\"}", "0");
	free(text);
	assert_int_equal(times_logged(f,
				      "web/b1: its health check cannot run: cannot run /nonexistent/check: No such "
				      "file or directory; each probe counts as failed\n"),
			 1);
}

/* Checks the log, `show services` and the metrics. */
static void expect_panic(struct metrics_fixture *f, bool panic, size_t begun, size_t over)
{
	json_t *result = show(f, "show services");
	const json_t *alarm = json_object_get(json_array_get(json_object_get(result, "services"), 0), "alarm");
	char *text = scrape(f), value[32];
	assert_int_equal(times_logged(f, "the last ones that were up stay in use"), begun);
	assert_int_equal(times_logged(f, "backends are down\n"), over);
	assert_int_equal(json_is_string(alarm) && strncmp(json_string_value(alarm), "panic", 5) == 0, panic);
	expect(text, "berth_service_panic{service=\"web\"}", panic ? "1" : "0");
	expect(text, "berth_service_panic{service=\"web2\"}", "0");
	find(text, "berth_service_panic_start_time_seconds{service=\"web\"}", value);
	if (panic)
		assert_in_range(time(NULL) - atol(value), 0, 10);
	else
		assert_string_equal(value, "");
	expect(text, "berth_backend_panic{service=\"web\",backend=\"b2\"}", panic ? "1" : "0");
	free(text);
	json_decref(result);
}

static void a_panic_is_reported_once_in_log_show_and_metrics(void **state)
{
	static const struct {
		int ends; /* the first servers end */
		bool panic;
		size_t begun, over;
	} steps[] = {
		{0, false, 0, 0}, {1, false, 0, 0}, {2, true, 1, 0}, {3, true, 1, 0}, /* the same panic */
		{0, false, 1, 1}, {3, true, 2, 1}, /* a new panic is reported again */
	};
	struct metrics_fixture *f = *state;
	for (size_t i = 0; i < COUNT(steps); i++) {
		for (int s = 0; s < 3; s++) {
			if (s < steps[i].ends && f->servers[s] >= 0)
				server_ends(f, s);
			else if (s >= steps[i].ends && f->servers[s] < 0)
				server_begins(f, s);
		}
		turn_until_down(f, (size_t)steps[i].ends);
		expect_panic(f, steps[i].panic, steps[i].begun, steps[i].over);
	}
}

/* With the checks of this file for 50 ms x 2 + 1 s. */
static void after_a_panic_what_stays_down_keeps_its_clients_until_that_time_is_over(void **state)
{
	struct metrics_fixture *f = *state;
	const struct berth_model_backend *b1 = backend(f, "web", "b1");
	turn_until_down(f, 0);
	for (int s = 0; s < 3; s++)
		server_ends(f, s);
	turn_until_down(f, 3);
	assert_int_not_equal(berth_model_eligibility(b1), 0);
	server_begins(f, 1);
	server_begins(f, 2);
	assert_true(wait_until(!berth_model_eligibility(b1), 20000, turn(f, 20)));
	assert_int_equal(times_logged(f, "keep their flows and sessions for up to 1100 ms more\n"), 1);
	assert_int_equal(times_logged(f, "1 of 3 backends lose their flows and sessions"), 1);
}

static void apply_logged(struct metrics_fixture *f, const char *text)
{
	char error[BERTH_ERROR_BYTES];
	const int before = dup(STDERR_FILENO);
	dup2(f->log_fd, STDERR_FILENO);
	const int err = berth_daemon_apply(f->daemon, f->path, text, strlen(text), false, error);
	dup2(before, STDERR_FILENO);
	close(before);
	if (err)
		fail_msg("%s", error);
}

/* The stage has ended it before what logs sees the service. */
static void a_panic_that_an_apply_ends_has_the_lines_of_one_that_checks_end(void **state)
{
	struct metrics_fixture *f = *state;
	char text[2048];
	size_t length;
	turn_until_down(f, 0);
	server_ends(f, 0);
	server_ends(f, 1);
	turn_until_down(f, 2);
	char *file = berth_file_read(f->path, &length), *after = strstr(file, "panic-threshold: 50%, ");
	assert_non_null(after);
	after[0] = '\0';
	snprintf(text, sizeof(text), "%spanic-threshold: off, %s", file, after + strlen("panic-threshold: 50%, "));
	free(file);
	apply_logged(f, text);
	assert_int_equal(times_logged(f, "alarm over: web: 2 of 3 backends are down\n"), 1);
	assert_int_equal(times_logged(f, "keep their flows and sessions for up to "), 1);
	assert_true(wait_until(!berth_model_eligibility(backend(f, "web", "b1")), 20000, turn(f, 20)));
	assert_int_equal(times_logged(f, "of 3 backends lose their flows and sessions"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(values_equal_those_of_the_show_commands),
		TEST(the_busy_share_and_the_cycles_of_a_worker_are_there),
		TEST(what_an_engine_says_of_its_ports_is_shown),
		TEST(losses_of_an_interface_are_those_that_the_kernel_counts),
		TEST(berthds_own_use_of_the_host_is_shown),
		TEST(series_of_backends_can_be_left_out),
		TEST(a_configuration_that_is_refused_is_counted),
		TEST(times_are_unix_times),
		TEST(a_check_that_cannot_run_is_counted_and_logged_once),
		TEST(a_panic_is_reported_once_in_log_show_and_metrics),
		TEST(a_panic_that_an_apply_ends_has_the_lines_of_one_that_checks_end),
		TEST(after_a_panic_what_stays_down_keeps_its_clients_until_that_time_is_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
