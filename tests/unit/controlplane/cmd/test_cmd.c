// SPDX-License-Identifier: BSD-3-Clause
/* The `show` commands, and the check of arguments. */
#include "tests/unit/controlplane/cmd/cmd.h"

#include "dataplane/core/drops.h"

/* berthd's loop does not run, so counters are not read. */
#define RATES "'rates': {'1s': null, '10s': null, '60s': null}"

static void show_services_has_settings_and_usage(void **state)
{
	struct berthd *f = *state;
	fill_tables(f);
	*backend_tally(f, "web", "b1") = (struct berth_tally){.packets = 10, .bytes = 1000, .flows = 3};
	*backend_tally(f, "web", "b2") = (struct berth_tally){.packets = 5, .bytes = 5000000000, .flows = 1};
	const struct berth_image *image = &f->daemon->engine->image;
	image->tallies[berth_model_service(&f->daemon->model, "web")->number].packets = 9;
	image->tallies[berth_model_service(&f->daemon->model, "web")->number].flows = 7;
	bring_up(f, "web", "b1");
	expect(run(f, "show services", "{}", BERTH_CODE_OK),
	       "{'services': ["
	       "{'name': 'web', 'address': '203.0.113.10', 'port': 80, 'last_port': 80, 'protocol': 'tcp', 'mode': "
	       "'ipip', 'gue_port': null, 'second_hop_s': null, 'second_hop_rows': 0,"
	       " 'affinity': 'client', 'affinity_timeout_s': 7200, 'group': null, 'scheduler': 'maglev', 'alarm': "
	       "null, 'backends': 2,"
	       " 'backends_up': 1, 'backends_eligible': 1, 'packets': 15, 'bytes': 5000001000, 'new_flows': 4, "
	       "'flows': 3, 'sessions': 1, 'refused_packets': 9, 'limited_packets': 7, 'exception_flows': 0, "
	       "'exception_sessions': 0, " RATES "},"
	       "{'name': 'dns', 'address': '2001:db8::53', 'port': 53, 'last_port': 53, 'protocol': 'udp', 'mode': "
	       "'l2', 'gue_port': null, 'second_hop_s': null, 'second_hop_rows': 0,"
	       " 'affinity': 'flow', 'affinity_timeout_s': null, 'group': null, 'scheduler': 'maglev', 'alarm': "
	       "'no eligible backend: 1 not checked yet', 'backends': 1,"
	       " 'backends_up': 0, 'backends_eligible': 0, 'packets': 0, 'bytes': 0, 'new_flows': 0, 'flows': 0,"
	       " 'sessions': 0, 'refused_packets': 0, 'limited_packets': 0, 'exception_flows': 0, "
	       "'exception_sessions': 0, " RATES "},"
	       "{'name': 'idle', 'address': '203.0.113.11', 'port': 443, 'last_port': 443, 'protocol': 'tcp', "
	       "'mode': 'l2', 'gue_port': null, 'second_hop_s': null, 'second_hop_rows': 0,"
	       " 'affinity': 'flow', 'affinity_timeout_s': null, 'group': null, 'scheduler': 'maglev', 'alarm': "
	       "'no eligible backend: it has no backends', 'backends': 0,"
	       " 'backends_up': 0, 'backends_eligible': 0, 'packets': 0, 'bytes': 0, 'new_flows': 0, 'flows': 0,"
	       " 'sessions': 0, 'refused_packets': 0, 'limited_packets': 0, 'exception_flows': 0, "
	       "'exception_sessions': 0, " RATES "}], 'next': null}");
}

static void show_backends_has_state_and_next_hop(void **state)
{
	struct berthd *f = *state;
	fill_tables(f);
	*backend_tally(f, "web", "b1") = (struct berth_tally){.packets = 10, .bytes = 1000, .flows = 3};
	struct berth_model_backend *b1 = backend(f, "web", "b1");
	b1->health = BERTH_HEALTH_UP;
	b1->next_hop = (struct berth_next_hop){.is_resolved = true, .dst_mac = {2, 0, 0, 0, 0xab, 1}, .mtu = 1500};
	backend(f, "web", "b2")->next_hop.is_resolved = false;
	expect(run(f, "show backends", "{\"service\": \"web\"}", BERTH_CODE_OK),
	       "{'backends': ["
	       "{'service': 'web', 'name': 'b1', 'address': '192.0.2.11', 'port': null, 'weight': 7, 'admin': "
	       "'enabled', 'state': [],"
	       " 'health': 'up', 'health_forced': false, 'health_by_checks': 'up', 'health_error': null, "
	       "'health_reason': 'not probed yet', "
	       "'health_age_s': null, "
	       "'eligibility': ['flows', "
	       "'sessions', 'new'],"
	       " 'next_hop': {'mac': '02:00:00:00:ab:01', 'interface': 'lo', 'mtu': 1500}, 'path_mtu': 1500, "
	       "'set_by': null, 'effective_weight': 7.0, 'agent': null, 'response_us': null, 'response_from': "
	       "null, "
	       "'packets': 10, 'bytes': 1000, 'new_flows': 3, 'flows': 2, 'closing_flows': 0, 'sessions': 1, " RATES
	       "},"
	       "{'service': 'web', 'name': 'b2', 'address': '192.0.2.12', 'port': null, 'weight': 100, 'admin': "
	       "'enabled', 'state': [],"
	       " 'health': 'unknown', 'health_forced': false, 'health_by_checks': 'unknown', 'health_error': null, "
	       "'health_reason': 'not probed "
	       "yet', 'health_age_s': "
	       "null, 'eligibility': [],"
	       " 'next_hop': null, 'path_mtu': null, 'set_by': null, 'effective_weight': 100.0, 'agent': null, "
	       "'response_us': null, 'response_from': null, 'packets': 0, 'bytes': "
	       "0, 'new_flows': 0, "
	       "'flows': 1,"
	       " 'closing_flows': 0, 'sessions': 0, " RATES "}], 'next': null}");
}

static void show_backends_has_the_path_mtu_that_a_router_reported(void **state)
{
	struct berthd *f = *state;
	struct berth_model_backend *b1 = backend(f, "web", "b1");
	b1->next_hop = (struct berth_next_hop){.is_resolved = true, .mtu = 1500};
	b1->reported_mtu = 1400;
	/* Mode l2 has no outer packets. */
	berth_model_service(&f->daemon->model, "web")->config.mode = BERTH_MODE_L2;
	json_t *result = run(f, "show backends", "{\"service\": \"web\"}", BERTH_CODE_OK);
	json_t *row = json_array_get(json_object_get(result, "backends"), 0);
	assert_int_equal(json_integer_value(json_object_get(row, "path_mtu")), 1500);
	assert_int_equal(json_array_size(json_object_get(row, "state")), 0);
	json_decref(result);
	berth_model_service(&f->daemon->model, "web")->config.mode = BERTH_MODE_IPIP;
	result = run(f, "show backends", "{\"service\": \"web\"}", BERTH_CODE_OK);
	row = json_array_get(json_object_get(result, "backends"), 0);
	assert_int_equal(json_integer_value(json_object_get(row, "path_mtu")), 1400);
	assert_string_equal(json_string_value(json_array_get(json_object_get(row, "state"), 0)), "small-mtu");
	json_decref(result);
}

static void show_backends_takes_a_service(void **state)
{
	static const struct {
		const char *arguments;
		size_t backends;
	} cases[] = {{"{}", 3}, {"{\"service\": \"dns\"}", 1}, {"{\"service\": \"idle\"}", 0}};
	struct berthd *f = *state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *result = run(f, "show backends", cases[i].arguments, BERTH_CODE_OK);
		assert_int_equal(json_array_size(json_object_get(result, "backends")), cases[i].backends);
		json_decref(result);
	}
	refuse(f, "show backends", "{\"service\": \"missing\"}", BERTH_CODE_NOT_FOUND, "missing");
}

static void show_stats_sums_verdicts_by_class(void **state)
{
	struct berthd *f = *state;
	fill_tables(f);
	struct berth_image *image = &f->daemon->engine->image;
	struct berth_worker *worker = &image->workers[image->geometry.workers - 1];
	uint64_t sums[4] = {0};
	for (unsigned int v = BERTH_NO_VERDICT + 1; v < BERTH_VERDICT_COUNT; v++) {
		worker->verdict[v] = UINT64_C(1) << v;
		worker->received += UINT64_C(1) << v;
		sums[BERTH_VERDICT_CLASS(v)] += UINT64_C(1) << v;
	}
	worker->event[BERTH_EVENT_SESSION_MOVED] = 4;
	json_t *result = run(f, "show stats", "{}", BERTH_CODE_OK);
	const json_t *totals = json_object_get(result, "packets");
	json_int_t received, forwarded, answered, passed, dropped;
	assert_int_equal(json_unpack((json_t *)totals, "{s:I, s:I, s:I, s:I, s:I !}", "received", &received,
				     "forwarded", &forwarded, "answered", &answered, "passed", &passed, "dropped",
				     &dropped),
			 0);
	assert_int_equal(forwarded, sums[BERTH_CLASS_FORWARD]);
	assert_int_equal(answered, sums[BERTH_CLASS_ANSWER]);
	assert_int_equal(passed, sums[BERTH_CLASS_PASS]);
	assert_int_equal(dropped, sums[BERTH_CLASS_DROP]);
	assert_int_equal(received, forwarded + answered + passed + dropped);

	const json_t *verdicts = json_object_get(result, "verdicts");
	assert_int_equal(json_object_size(verdicts), BERTH_VERDICT_COUNT - 1);
	json_int_t count;
	const char *class;
	assert_int_equal(json_unpack(json_object_get(verdicts, "no_service"), "{s:I, s:s !}", "count", &count,
				     "class", &class),
			 0);
	assert_int_equal(count, 1u << BERTH_VERDICT_NO_SERVICE);
	assert_string_equal(class, "pass");
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(verdicts, "answered_ttl_expired"), "class")),
		"answer");
	const json_t *events = json_object_get(result, "events");
	assert_int_equal(json_object_size(events), BERTH_EVENT_COUNT);
	assert_int_equal(json_integer_value(json_object_get(events, "session_moved")), 4);
	assert_int_equal(json_integer_value(json_object_get(events, "flow_added")), 0);
	json_t *tables = json_object_get(result, "tables");
	json_int_t used, unconfirmed, capacity, sessions;
	assert_int_equal(json_unpack(tables, "{s:{s:I, s:I, s:I !}, s:{s:I} !}", "flows", "entries", &used,
				     "unconfirmed_entries", &unconfirmed, "capacity_entries", &capacity, "sessions",
				     "entries", &sessions),
			 0);
	assert_int_equal(used, 3);
	assert_int_equal(unconfirmed, 0);
	assert_int_equal(sessions, 1);
	assert_int_equal(capacity, image->geometry.flow_buckets * BERTH_BUCKET_WORDS);
	assert_int_equal(json_integer_value(json_object_get(result, "generation")), image->ctl->generation);
	assert_true(json_integer_value(json_object_get(result, "generation")) > 0);
	assert_in_range(json_integer_value(json_object_get(result, "uptime_s")), 0, 60);
	json_decref(result);
}

static void show_drops_lists_every_reason_with_its_help(void **state)
{
	struct berthd *f = *state;
	f->daemon->engine->image.workers[0].verdict[BERTH_VERDICT_TOO_BIG] = 12;
	json_t *result = run(f, "show drops", "{}", BERTH_CODE_OK);
	const json_t *drops = json_object_get(result, "drops");
	json_int_t sum = 0;
	size_t i;
	json_t *drop;
	json_array_foreach(drops, i, drop)
	{
		bool is_too_big = strcmp(json_string_value(json_object_get(drop, "name")), "too_big") == 0;
		json_int_t count = json_integer_value(json_object_get(drop, "count"));
		assert_int_equal(count, is_too_big ? 12 : 0);
		assert_true(json_string_length(json_object_get(drop, "help")) > 10);
		sum += count;
	}
	assert_int_equal(sum, 12);
	assert_int_equal(json_array_size(drops), BERTH_VERDICT_COUNT - BERTH_VERDICT_BAD_FRAME);
	json_decref(result);
}

static void show_drops_of_a_service_has_its_last_packets(void **state)
{
	struct berthd *f = *state;
	const struct berth_image *image = &f->daemon->engine->image;
	const struct berth_view view = berth_image_view(image, 0, berth_clock_s());
	const uint16_t number = (uint16_t)berth_model_service(&f->daemon->model, "web")->number;
	struct berth_packet packet = {.service = number, .sport = berth_to_be16(4242), .protocol = BERTH_PROTO_TCP};
	berth_addr_set4(&packet.src, berth_to_be32(0xc6336407));
	for (int i = 0; i < 9; i++)
		berth_drop_keep(&view, &packet, BERTH_VERDICT_NO_BACKEND);
	json_t *result = run(f, "show drops", "{\"service\": \"web\"}", BERTH_CODE_OK);
	const json_t *drop = json_array_get(json_object_get(result, "drops"), 0);
	const json_t *samples = json_object_get(drop, "samples");
	assert_string_equal(json_string_value(json_object_get(result, "service")), "web");
	assert_int_equal(json_array_size(json_object_get(result, "drops")), 1);
	assert_string_equal(json_string_value(json_object_get(drop, "name")), "no_backend");
	assert_int_equal(json_integer_value(json_object_get(drop, "count")), 9);
	assert_in_range(json_integer_value(json_object_get(drop, "since")), time(NULL) - 5, time(NULL) + 1);
	assert_int_equal(json_array_size(samples), BERTH_DROP_SAMPLES);
	const json_t *sample = json_object_get(json_array_get(samples, 0), "packet");
	assert_string_equal(json_string_value(json_object_get(sample, "source")), "198.51.100.7");
	assert_int_equal(json_integer_value(json_object_get(sample, "source_port")), 4242);
	json_decref(result);
	result = run(f, "show drops", "{\"service\": \"dns\"}", BERTH_CODE_OK);
	assert_int_equal(json_array_size(json_object_get(result, "drops")), 0);
	json_decref(result);
	run(f, "show drops", "{\"service\": \"nope\"}", BERTH_CODE_NOT_FOUND);
}

static void show_engine_includes_the_status_of_the_engine(void **state)
{
	struct berthd *f = *state;
	f->daemon->state.publication.failures = 2;
	strcpy(f->daemon->state.publication.error, "no room");
	json_t *result = run(f, "show engine", "{}", BERTH_CODE_OK);
	assert_true(json_integer_value(json_object_get(result, "generation")) > 0);
	json_object_del(result, "generation");
	assert_non_null(strstr(json_string_value(json_object_get(result, "secret_file")), "/test/secret"));
	json_object_del(result, "secret_file");
	expect(result,
	       "{'engine': 'null', 'instance': 'test', 'workers': 1, 'adopted': false,"
	       " 'publish_failures': 2, 'publish_error': 'no room', 'mode': 'no forwarding', 'ports': [], " RATES
	       "}");
}

static void arguments_are_checked_before_a_handler_runs(void **state)
{
	static const struct {
		const char *command;
		const char *arguments;
		const char *error;
	} wrong[] = {
		{"show services", "{\"x\": 1}", "\"x\""},
		{"show backends", "{\"service\": 1}", "service"},
		{"show backends", "{\"service\": null}", "service"},
		{"show backends", "{\"text\": \"web\"}", "text"},
		{"backend drain", "{}", "backend"},
		{"backend drain", "{\"backend\": [\"web/b1\"]}", "backend"},
		{"config check", "{\"file\": \"a\"}", "text"},
		{"config check", "{\"text\": \"a\"}", "file"},
		{"config check", "{\"file\": \"a\", \"text\": \"b\", \"no-save\": true}", "no-save"},
		{"config apply", "{\"file\": \"a\", \"text\": \"b\", \"no-save\": \"yes\"}", "no-save"},
		{"shutdown", "{\"now\": true}", "now"},
		{"show", "{}", "help"},
		{"show services ", "{}", "help"},
		{"SHOW SERVICES", "{}", "help"},
		{"", "{}", "help"},
	};
	struct berthd *f = *state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		refuse(f, wrong[i].command, wrong[i].arguments, BERTH_CODE_INVALID, wrong[i].error);
	}
	assert_int_equal(f->daemon->model.n_services, 3);
	assert_false(f->daemon->stop);
}

static void shutdown_also_stops_the_engine(void **state)
{
	struct berthd *f = *state;
	expect(run(f, "shutdown", "{}", BERTH_CODE_OK), "{}");
	assert_true(f->daemon->stop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(show_services_has_settings_and_usage),
		TEST(show_backends_has_state_and_next_hop),
		TEST(show_backends_has_the_path_mtu_that_a_router_reported),
		TEST(show_backends_takes_a_service),
		TEST(show_stats_sums_verdicts_by_class),
		TEST(show_drops_lists_every_reason_with_its_help),
		TEST(show_drops_of_a_service_has_its_last_packets),
		TEST(show_engine_includes_the_status_of_the_engine),
		TEST(arguments_are_checked_before_a_handler_runs),
		TEST(shutdown_also_stops_the_engine),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
