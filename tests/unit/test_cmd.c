// SPDX-License-Identifier: BSD-3-Clause
/*
 * The commands: a real daemon with the null engine, whose loop does not run, and counters and tables written by
 * hand as a worker would.
 */
#include "tests/unit/berthd.h"

#include <event2/event.h>

#include "controlplane/clock.h"
#include "dataplane/core/flowtab.h"

#define HEAD                                                                                                       \
	"engine: 'null'\n"                                                                                         \
	"interfaces: [{name: lo}]\n"                                                                               \
	"limits: {flows: 1024, sessions: 1024, services: 5, backends: 60}\n"

#define WEB "{name: web, address: 203.0.113.10, protocol: tcp, port: 80, mode: ipip, rows: 251, "

static const char configuration[] = HEAD
	"services:\n"
	"  - " WEB "affinity: {by: client, timeout: 2h}, backends: [\n"
	"      {name: b1, address: 192.0.2.11, weight: 7}, "
	"{name: b2, address: 192.0.2.12}]}\n"
	"  - {name: dns, address: '2001:db8::53', protocol: udp, port: 53, mode: l2, "
	"rows: 251, backends: [{name: b1, address: '2001:db8::11'}]}\n"
	"  - {name: idle, address: 203.0.113.11, protocol: tcp, port: 443, mode: l2, "
	"rows: 251}\n";

static int set_up(void **state)
{
	return berthd_set_up(state, configuration);
}

static struct berth_model_backend *backend(struct berthd *f, const char *service, const char *name)
{
	struct berth_model_service *found = berth_model_service(&f->daemon.model, service);
	assert_non_null(found);
	return berth_model_backend(found, name);
}

static struct berth_tally *backend_tally(struct berthd *f, const char *service, const char *name)
{
	const struct berth_image *image = &f->daemon.engine->image;
	return &image->tallies[image->geometry.services + backend(f, service, name)->number];
}

static uint8_t admits(struct berthd *f, const char *service, const char *name)
{
	uint32_t number = backend(f, service, name)->number;
	return f->daemon.engine->image.admits[number / BERTH_ADMITS_PER_LINE]
		.backend[number % BERTH_ADMITS_PER_LINE];
}

/* What workers would have left: two flows and a session of web/b1, one flow of web/b2. */
static void fill_tables(struct berthd *f)
{
	const struct berth_image *image = &f->daemon.engine->image;
	uint32_t now = berth_clock_s();
	uint32_t b1 = backend(f, "web", "b1")->number;
	uint32_t b2 = backend(f, "web", "b2")->number;
	image->flows[1].word[0] = berth_word_make(1, b1, now, BERTH_STATE_ESTABLISHED);
	image->flows[2].word[3] = berth_word_make(2, b1, now, BERTH_STATE_ESTABLISHED);
	image->flows[5].word[7] = berth_word_make(3, b2, now, BERTH_STATE_ESTABLISHED);
	image->sessions[0].word[0] = berth_word_make(4, b1, now, BERTH_STATE_SESSION);
	while (!berth_walk_step(f->daemon.walk, 4096, now))
		;
}

static void show_services_tells_what_each_is_and_carries(void **state)
{
	struct berthd *f = *state;
	fill_tables(f);
	*backend_tally(f, "web", "b1") = (struct berth_tally){.packets = 10, .bytes = 1000, .flows = 3};
	*backend_tally(f, "web", "b2") = (struct berth_tally){.packets = 5, .bytes = 5000000000, .flows = 1};
	const struct berth_image *image = &f->daemon.engine->image;
	image->tallies[berth_model_service(&f->daemon.model, "web")->number].packets = 9;
	backend(f, "web", "b1")->health = BERTH_HEALTH_UP;
	expect(run(f, "show services", "{}", BERTH_CODE_OK),
	       "{'services': ["
	       "{'name': 'web', 'address': '203.0.113.10', 'port': 80, 'last_port': 80, 'protocol': 'tcp', 'mode': "
	       "'ipip', 'gue_port': null,"
	       " 'affinity': 'client', 'affinity_timeout_s': 7200, 'group': null, 'scheduler': 'maglev', 'alarm': "
	       "null, 'backends': 2,"
	       " 'backends_up': 1, 'packets': 15, 'bytes': 5000001000, 'flows_total': 4, 'flows_live': 3,"
	       " 'sessions_live': 1, 'refused': 9},"
	       "{'name': 'dns', 'address': '2001:db8::53', 'port': 53, 'last_port': 53, 'protocol': 'udp', 'mode': "
	       "'l2', 'gue_port': null,"
	       " 'affinity': 'flow', 'affinity_timeout_s': null, 'group': null, 'scheduler': 'maglev', 'alarm': "
	       "null, 'backends': 1,"
	       " 'backends_up': 0, 'packets': 0, 'bytes': 0, 'flows_total': 0, 'flows_live': 0,"
	       " 'sessions_live': 0, 'refused': 0},"
	       "{'name': 'idle', 'address': '203.0.113.11', 'port': 443, 'last_port': 443, 'protocol': 'tcp', "
	       "'mode': 'l2', 'gue_port': null,"
	       " 'affinity': 'flow', 'affinity_timeout_s': null, 'group': null, 'scheduler': 'maglev', 'alarm': "
	       "null, 'backends': 0,"
	       " 'backends_up': 0, 'packets': 0, 'bytes': 0, 'flows_total': 0, 'flows_live': 0,"
	       " 'sessions_live': 0, 'refused': 0}]}");
}

static void show_backends_tells_state_and_way(void **state)
{
	struct berthd *f = *state;
	fill_tables(f);
	*backend_tally(f, "web", "b1") = (struct berth_tally){.packets = 10, .bytes = 1000, .flows = 3};
	struct berth_model_backend *b1 = backend(f, "web", "b1");
	b1->health = BERTH_HEALTH_UP;
	b1->next_hop = (struct berth_next_hop){.known = true, .dst_mac = {2, 0, 0, 0, 0xab, 1}, .mtu = 1500};
	backend(f, "web", "b2")->next_hop.known = false;
	expect(run(f, "show backends", "{\"service\": \"web\"}", BERTH_CODE_OK),
	       "{'backends': ["
	       "{'service': 'web', 'name': 'b1', 'address': '192.0.2.11', 'port': null, 'weight': 7, 'admin': "
	       "'enabled', 'state': [],"
	       " 'health': 'up', 'health_forced': false, 'health_why': 'not probed yet', 'health_since_s': null, "
	       "'admits': ['flows', "
	       "'sessions', "
	       "'new'],"
	       " 'next_hop': {'mac': '02:00:00:00:ab:01', 'interface': 'lo', 'mtu': 1500}, 'packets': 10,"
	       " 'bytes': 1000, 'flows_total': 3, 'flows_live': 2, 'flows_closing': 0, 'sessions_live': 1},"
	       "{'service': 'web', 'name': 'b2', 'address': '192.0.2.12', 'port': null, 'weight': 100, 'admin': "
	       "'enabled', 'state': [],"
	       " 'health': 'unknown', 'health_forced': false, 'health_why': 'not probed yet', 'health_since_s': "
	       "null, 'admits': [],"
	       " 'next_hop': null, 'packets': 0, 'bytes': 0, 'flows_total': 0, 'flows_live': 1,"
	       " 'flows_closing': 0, 'sessions_live': 0}]}");
}

static void show_backends_of_all_or_one_service(void **state)
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
	refuse(f, "show backends", "{\"service\": \"nobody\"}", BERTH_CODE_NOT_FOUND, "nobody");
}

static void show_stats_adds_up_by_class(void **state)
{
	struct berthd *f = *state;
	fill_tables(f);
	struct berth_image *image = &f->daemon.engine->image;
	struct berth_worker *worker = &image->workers[image->geometry.workers - 1];
	uint64_t sums[4] = {0};
	for (unsigned int v = BERTH_NO_VERDICT + 1; v < BERTH_VERDICT_COUNT; v++) {
		worker->verdict[v] = UINT64_C(1) << v;
		worker->received += UINT64_C(1) << v;
		sums[BERTH_VERDICT_CLASS(v)] += UINT64_C(1) << v;
	}
	worker->event[BERTH_EVENT_SESSION_MOVED] = 4;
	json_t *result = run(f, "show stats", "{}", BERTH_CODE_OK);
	const json_t *totals = json_object_get(result, "totals");
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
		json_string_value(json_object_get(json_object_get(verdicts, "answered_expired"), "class")),
		"answer");
	const json_t *events = json_object_get(result, "events");
	assert_int_equal(json_object_size(events), BERTH_EVENT_COUNT);
	assert_int_equal(json_integer_value(json_object_get(events, "session_moved")), 4);
	assert_int_equal(json_integer_value(json_object_get(events, "flow_added")), 0);
	json_t *tables = json_object_get(result, "tables");
	json_int_t used, capacity, sessions;
	assert_int_equal(json_unpack(tables, "{s:{s:I, s:I !}, s:{s:I} !}", "flows", "used", &used, "capacity",
				     &capacity, "sessions", "used", &sessions),
			 0);
	assert_int_equal(used, 3);
	assert_int_equal(sessions, 1);
	assert_int_equal(capacity, image->geometry.flow_buckets * BERTH_BUCKET_WORDS);
	assert_int_equal(json_integer_value(json_object_get(result, "generation")), image->ctl->generation);
	assert_true(json_integer_value(json_object_get(result, "generation")) > 0);
	assert_in_range(json_integer_value(json_object_get(result, "uptime_s")), 0, 60);
	json_decref(result);
}

static void show_drops_lists_every_reason_with_its_meaning(void **state)
{
	struct berthd *f = *state;
	f->daemon.engine->image.workers[0].verdict[BERTH_VERDICT_TOO_BIG] = 12;
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

static void show_engine_joins_the_engines_status(void **state)
{
	struct berthd *f = *state;
	f->daemon.publish_failures = 2;
	strcpy(f->daemon.publish_error, "no room");
	json_t *result = run(f, "show engine", "{}", BERTH_CODE_OK);
	assert_true(json_integer_value(json_object_get(result, "generation")) > 0);
	json_object_del(result, "generation");
	expect(result,
	       "{'engine': 'null', 'instance': 'test', 'workers': 1, 'adopted': false,"
	       " 'publish_failures': 2, 'publish_error': 'no room', 'mode': 'forwards nothing', 'ports': []}");
}

static void backend_commands_are_in_force_at_once(void **state)
{
	struct berthd *f = *state;
	static const struct {
		const char *command;
		const char *admin;
		uint8_t admits;
	} steps[] = {
		{"backend drain", "draining", BERTH_ADMIT_FLOWS | BERTH_ADMIT_SESSIONS},
		{"backend disable", "disabled", 0},
		{"backend enable", "enabled", BERTH_ADMIT_ALL},
	};
	backend(f, "web", "b2")->health = BERTH_HEALTH_UP;
	uint8_t other = admits(f, "web", "b1");
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		json_t *result = run(f, steps[i].command, "{\"backend\": \"web/b2\"}", BERTH_CODE_OK);
		const json_t *about = json_object_get(result, "backend");
		assert_string_equal(json_string_value(json_object_get(about, "name")), "b2");
		assert_string_equal(json_string_value(json_object_get(about, "admin")), steps[i].admin);
		assert_int_equal(admits(f, "web", "b2"), steps[i].admits);
		assert_int_equal(admits(f, "web", "b1"), other);
		json_decref(result);
	}
}

static void health_can_be_forced_and_given_back_to_the_checks(void **state)
{
	struct berthd *f = *state;
	static const struct {
		const char *arguments;
		const char *health;
		bool forced;
		uint8_t admits;
	} steps[] = {
		{"{\"backend\": \"web/b2\", \"health\": \"down\"}", "down", true, 0},
		{"{\"backend\": \"web/b2\", \"health\": \"auto\"}", "up", false, BERTH_ADMIT_ALL},
		{"{\"backend\": \"web/b1\", \"health\": \"up\"}", "up", true, BERTH_ADMIT_ALL},
		{"{\"backend\": \"web/b1\", \"health\": \"auto\"}", "unknown", false, 0},
	};
	backend(f, "web", "b2")->health = BERTH_HEALTH_UP;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		json_t *result = run(f, "backend health", steps[i].arguments, BERTH_CODE_OK);
		const json_t *about = json_object_get(result, "backend");
		const char *name = json_string_value(json_object_get(about, "name"));
		assert_string_equal(json_string_value(json_object_get(about, "health")), steps[i].health);
		assert_int_equal(json_is_true(json_object_get(about, "health_forced")), steps[i].forced);
		assert_int_equal(admits(f, "web", name), steps[i].admits);
		json_decref(result);
	}
	refuse(f, "backend health", "{\"backend\": \"web/b2\", \"health\": \"ill\"}", BERTH_CODE_INVALID,
	       "health cannot be");
	refuse(f, "backend health", "{\"backend\": \"web/b9\", \"health\": \"up\"}", BERTH_CODE_NOT_FOUND,
	       "no backend b9");
	refuse(f, "backend health", "{\"backend\": \"web/b2\"}", BERTH_CODE_INVALID, "needs \"health\"");
}

/* The words of `show backends` that say what is not as on a good day. */
static void expect_state(struct berthd *f, const char *name, const char *words)
{
	const struct berth_model_service *web = berth_model_service(&f->daemon.model, "web");
	json_t *about = berth_cmd_backend(&f->daemon, web, backend(f, "web", name));
	expect(json_incref(json_object_get(about, "state")), words);
	json_decref(about);
}

static void a_backend_leaves_in_three_ways(void **state)
{
	struct berthd *f = *state;
	static const struct {
		const char *command;
		const char *more;
		const char *states;
		uint8_t admits;
	} steps[] = {
		{"backend drain", "", "['draining']", BERTH_ADMIT_FLOWS | BERTH_ADMIT_SESSIONS},
		{"backend drain", ", \"flows-only\": true", "['flows-only']", BERTH_ADMIT_FLOWS},
		{"backend evict", "", "['evicted']", 0},
		{"backend enable", "", "[]", BERTH_ADMIT_ALL},
	};
	backend(f, "web", "b2")->health = BERTH_HEALTH_UP;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		char arguments[128];
		snprintf(arguments, sizeof(arguments), "{\"backend\": \"web/b2\"%s}", steps[i].more);
		json_decref(run(f, steps[i].command, arguments, BERTH_CODE_OK));
		assert_int_equal(admits(f, "web", "b2"), steps[i].admits);
		expect_state(f, "b2", steps[i].states);
	}
}

static void show_backends_says_what_is_not_as_it_should_be(void **state)
{
	struct berthd *f = *state;
	struct berth_model_backend *b1 = backend(f, "web", "b1");
	b1->load = BERTH_ADMIT_FULL;
	expect_state(f, "b1", "['full']");
	b1->load |= BERTH_ADMIT_LIMIT;
	b1->chill = 3;
	b1->config.weight = 0;
	b1->kept = true;
	berth_model_service(&f->daemon.model, "web")->panic = true;
	expect_state(f, "b1", "['draining', 'full', 'limit', 'slow-start', 'panic']");
	json_t *result = run(f, "show services", "{}", BERTH_CODE_OK);
	const json_t *web = json_array_get(json_object_get(result, "services"), 0);
	assert_string_equal(json_string_value(json_object_get(web, "alarm")), "panic: 0 of 2 backends are down");
	json_decref(result);
}

static void turn(struct berthd *f, unsigned int ms)
{
	for (uint64_t end = berth_clock_ms() + ms; berth_clock_ms() < end; usleep(2000))
		event_base_loop(f->daemon.base, EVLOOP_NONBLOCK);
}

static void a_drain_ends_in_an_eviction_at_its_deadline(void **state)
{
	struct berthd *f = *state;
	static const char *const wrong[] = {"60", "0s", "25h", "1 s", "soon"};
	backend(f, "web", "b2")->forced = BERTH_FORCED_UP; /* its checks fail meanwhile */
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char arguments[128];
		snprintf(arguments, sizeof(arguments), "{\"backend\": \"web/b2\", \"deadline\": \"%s\"}", wrong[i]);
		refuse(f, "backend drain", arguments, BERTH_CODE_INVALID, "from 1s to 24h");
	}
	expect_state(f, "b2", "[]");
	json_decref(run(f, "backend drain", "{\"backend\": \"web/b2\", \"deadline\": \"1s\"}", BERTH_CODE_OK));
	assert_int_equal(admits(f, "web", "b2"), BERTH_ADMIT_FLOWS | BERTH_ADMIT_SESSIONS);
	turn(f, 900);
	assert_int_equal(admits(f, "web", "b2"), BERTH_ADMIT_FLOWS | BERTH_ADMIT_SESSIONS);
	turn(f, 1200);
	assert_int_equal(admits(f, "web", "b2"), 0);
	expect_state(f, "b2", "['evicted']");
	/* Who is enabled before it is not evicted after all. */
	json_decref(run(f, "backend drain", "{\"backend\": \"web/b2\", \"deadline\": \"1s\"}", BERTH_CODE_OK));
	json_decref(run(f, "backend enable", "{\"backend\": \"web/b2\"}", BERTH_CODE_OK));
	turn(f, 2100);
	expect_state(f, "b2", "[]");
}

static bool is_drained(struct berthd *f, const char *name)
{
	char arguments[64];
	snprintf(arguments, sizeof(arguments), "{\"backend\": \"web/%s\", \"timeout\": \"2s\"}", name);
	json_t *result = run(f, "wait drained", arguments, BERTH_CODE_OK);
	bool drained = json_is_true(json_object_get(result, "drained"));
	assert_int_equal(json_integer_value(json_object_get(result, "timeout_ms")), 2000);
	json_decref(result);
	return drained;
}

static void whole_walks(struct berthd *f, int n)
{
	for (uint64_t end = f->daemon.model.passes + (uint64_t)n; f->daemon.model.passes < end;)
		turn(f, 20);
}

static void drained_is_who_has_nothing_left_that_it_may_keep(void **state)
{
	struct berthd *f = *state;
	const struct berth_image *image = &f->daemon.engine->image;
	struct berth_model_backend *b2 = backend(f, "web", "b2");
	b2->forced = BERTH_FORCED_UP; /* its checks fail meanwhile */
	refuse(f, "wait drained", "{\"backend\": \"web/b2\"}", BERTH_CODE_INVALID, "backend drain web/b2");
	refuse(f, "wait drained", "{\"backend\": \"web/b9\"}", BERTH_CODE_NOT_FOUND, "no backend b9");
	json_decref(run(f, "backend drain", "{\"backend\": \"web/b2\"}", BERTH_CODE_OK));
	refuse(f, "wait drained", "{\"backend\": \"web/b2\", \"timeout\": \"x\"}", BERTH_CODE_INVALID,
	       "timeout cannot be");
	/* Nothing was counted since. */
	assert_false(is_drained(f, "b2"));
	whole_walks(f, 2);
	assert_true(is_drained(f, "b2"));
	image->flows[9].word[0] = berth_word_make(1, b2->number, berth_clock_s(), BERTH_STATE_CLOSING);
	whole_walks(f, 1);
	assert_false(is_drained(f, "b2"));
	image->flows[9].word[0] = 0;
	image->sessions[9].word[0] = berth_word_make(1, b2->number, berth_clock_s(), BERTH_STATE_SESSION);
	whole_walks(f, 1);
	assert_false(is_drained(f, "b2"));
	/* Its sessions it does not keep any more. */
	json_decref(run(f, "backend drain", "{\"backend\": \"web/b2\", \"flows-only\": true}", BERTH_CODE_OK));
	whole_walks(f, 2);
	assert_true(is_drained(f, "b2"));
}

static void an_eviction_empties_the_tables(void **state)
{
	struct berthd *f = *state;
	backend(f, "web", "b1")->forced = BERTH_FORCED_UP;
	fill_tables(f);
	json_decref(run(f, "backend evict", "{\"backend\": \"web/b1\"}", BERTH_CODE_OK));
	whole_walks(f, 2);
	assert_int_equal(f->daemon.engine->image.flows[1].word[0], 0);
	assert_int_equal(f->daemon.engine->image.sessions[0].word[0], 0);
	assert_int_not_equal(f->daemon.engine->image.flows[5].word[7], 0);
	assert_true(is_drained(f, "b1"));
}

static void backends_that_are_not_there_are_not_found(void **state)
{
	struct berthd *f = *state;
	char text[400];
	refuse(f, "backend drain", "{\"backend\": \"web/b9\"}", BERTH_CODE_NOT_FOUND, "b9");
	refuse(f, "backend drain", "{\"backend\": \"nobody/b1\"}", BERTH_CODE_NOT_FOUND, "no service nobody");
	refuse(f, "backend drain", "{\"backend\": \"web/b1/\"}", BERTH_CODE_NOT_FOUND, "no backend b1/");
	refuse(f, "backend drain", "{\"backend\": \"web\"}", BERTH_CODE_INVALID, "named SERVICE/BACKEND");
	refuse(f, "backend drain", "{\"backend\": \"web/\"}", BERTH_CODE_INVALID, "named SERVICE/BACKEND");
	refuse(f, "backend drain", "{\"backend\": \"/b1\"}", BERTH_CODE_INVALID, "named SERVICE/BACKEND");
	refuse(f, "backend drain", "{\"backend\": \"\"}", BERTH_CODE_INVALID, "named SERVICE/BACKEND");
	snprintf(text, sizeof(text), "{\"backend\": \"%0300d/b1\"}", 0);
	refuse(f, "backend drain", text, BERTH_CODE_NOT_FOUND, "so long a name");
}

/* {"file": NAME, "text": TEXT, ...} */
static const char *file(char buffer[4096], const char *name, const char *text, const char *more)
{
	json_t *arguments = json_pack("{s:s, s:s}", "file", name, "text", text);
	char *dump = json_dumps(arguments, 0);
	dump[strlen(dump) - 1] = '\0';
	snprintf(buffer, 4096, "%s%s}", dump, more);
	free(dump);
	json_decref(arguments);
	return buffer;
}

static const char one_service[] = HEAD "services:\n  - " WEB "backends: [{name: b3, address: 192.0.2.13}]}\n";

static void config_check_changes_nothing(void **state)
{
	struct berthd *f = *state;
	char buffer[4096];
	expect(run(f, "config check", file(buffer, "new.yaml", one_service, ""), BERTH_CODE_OK),
	       "{'services': 1, 'backends': 1, 'warnings': []}");
	expect(run(f, "config check", file(buffer, "same.yaml", configuration, ""), BERTH_CODE_OK),
	       "{'services': 3, 'backends': 3, 'warnings': ['service idle takes nobody: it has no backends']}");
	assert_int_equal(f->daemon.model.n_services, 3);
	assert_non_null(backend(f, "web", "b1"));
}

static void config_check_says_where_and_what(void **state)
{
	static const struct {
		const char *text;
		const char *says;
	} wrong[] = {
		{"engine: 'null'\nunknown: 1\n", "my.yaml:2:1: "},
		{"", "my.yaml:"},
		{"engine: xdp\ninterfaces: [{name: lo}]\n", "engine"},
		{"engine: 'null'\ninterfaces: [{name: lo}]\nlimits: {flows: 2048}\n", "limits"},
		/* More services than the running tables have room for; limits say so already. */
		{HEAD "services:\n"
		      "  - " WEB "}\n  - {name: b, address: 203.0.113.2, protocol: tcp, port: 80, mode: l2}\n"
		      "  - {name: c, address: 203.0.113.3, protocol: tcp, port: 80, mode: l2}\n"
		      "  - {name: d, address: 203.0.113.4, protocol: tcp, port: 80, mode: l2}\n"
		      "  - {name: e, address: 203.0.113.5, protocol: tcp, port: 80, mode: l2}\n"
		      "  - {name: f, address: 203.0.113.6, protocol: tcp, port: 80, mode: l2}\n",
		 "services"},
		/* Selection tables that are larger than the engine's memory for all of them. */
		{HEAD "services:\n  - {name: web, address: 203.0.113.10, protocol: tcp, port: 80, mode: ipip, "
		      "rows: 655373, backends: [{name: b1, address: 192.0.2.11}]}\n",
		 "rows"},
	};
	struct berthd *f = *state;
	char buffer[4096];
	static const char *const commands[] = {"config check", "config apply"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		for (size_t j = 0; j < 2; j++) {
			refuse(f, commands[j], file(buffer, "my.yaml", wrong[i].text, ""), BERTH_CODE_CONFIG,
			       wrong[i].says);
		}
	}
	assert_int_equal(f->daemon.model.n_services, 3);
	assert_non_null(backend(f, "web", "b1"));
}

static void a_plan_changes_nothing(void **state)
{
	struct berthd *f = *state;
	char buffer[4096];
	backend(f, "web", "b1")->health = backend(f, "web", "b2")->health = BERTH_HEALTH_UP;
	json_decref(run(f, "backend enable", "{\"backend\": \"web/b1\"}", BERTH_CODE_OK));
	fill_tables(f);
	uint64_t generation = f->daemon.engine->image.ctl->generation;
	json_t *result = run(f, "plan", file(buffer, "new.yaml", one_service, ""), BERTH_CODE_OK);
	assert_int_equal(json_integer_value(json_object_get(result, "flows_move")), 3);
	assert_int_equal(json_integer_value(json_object_get(result, "sessions_move")), 1);
	assert_int_equal(json_integer_value(json_object_get(result, "sessions_forgotten")), 0);
	expect(json_incref(json_array_get(json_object_get(result, "backends"), 0)),
	       "{'service': 'web', 'name': 'b1', 'change': 'goes', 'flows': {'live': 2, 'leave': 2, 'come': 0},"
	       " 'sessions': {'live': 1, 'leave': 1, 'come': 0}, 'sessions_forgotten': 0}");
	assert_int_equal(json_array_size(json_object_get(result, "backends")), 4);
	json_decref(result);
	assert_int_equal(f->daemon.model.n_services, 3);
	assert_int_equal(f->daemon.engine->image.ctl->generation, generation);
	refuse(f, "plan", file(buffer, "my.yaml", "x: 1\n", ""), BERTH_CODE_CONFIG, "my.yaml:1:1: ");
}

/* The file that berthd would start with. */
static void expect_saved(struct berthd *f, const char *expected)
{
	size_t length;
	char *text = berth_file_read(f->path, &length);
	assert_non_null(text);
	assert_string_equal(text, expected);
	free(text);
}

static void config_apply_saves_unless_told_not_to(void **state)
{
	struct berthd *f = *state;
	char buffer[4096];
	uint64_t generation = f->daemon.engine->image.ctl->generation;
	expect(run(f, "config apply", file(buffer, "new.yaml", one_service, ", \"no-save\": true"), BERTH_CODE_OK),
	       "{'services': 1, 'backends': 1, 'warnings': [], 'saved': null}");
	assert_int_equal(f->daemon.model.n_services, 1);
	assert_non_null(backend(f, "web", "b3"));
	assert_null(backend(f, "web", "b1"));
	assert_true(f->daemon.engine->image.ctl->generation > generation);
	expect_saved(f, configuration);

	json_t *result = run(f, "config apply", file(buffer, "new.yaml", one_service, ""), BERTH_CODE_OK);
	assert_string_equal(json_string_value(json_object_get(result, "saved")), f->path);
	expect_saved(f, one_service);
	json_decref(result);
}

/* The members of `object` named in `wanted` are as there. */
static void expect_members(const json_t *object, const char *wanted)
{
	json_t *some = json_object();
	json_t *names = json_loads(wanted, 0, NULL);
	const char *name;
	json_t *value;
	assert_non_null(names);
	json_object_foreach(names, name, value) json_object_set(some, name, json_object_get(object, name));
	if (!json_equal(some, names))
		fail_msg("expected %s, got %s", wanted, json_dumps(some, 0));
	json_decref(names);
	json_decref(some);
}

static void prefixes_ranges_and_modes_are_shown(void **state)
{
	/* As many as the tables take beside those that leave them now. */
	static const char text[] = HEAD
		"services:\n"
		"  - {name: any, address: 203.0.113.0/28, protocol: tcp, port: any, mode: gue, rows: 251,"
		" health: {type: none}, backends: [{name: b1, address: 192.0.2.11}]}\n"
		"  - {name: nat, address: 203.0.113.20, protocol: tcp, port: 80, mode: nat, rows: 251,"
		" backends: [{name: b1, address: 192.0.2.11, port: 8080}, {name: b2, address: 192.0.2.12}]}\n";
	static const char *const services[] = {
		"{\"address\": \"203.0.113.0/28\", \"port\": 0, \"last_port\": 65535, \"mode\": \"gue\", "
		"\"gue_port\": 6080}",
		"{\"address\": \"203.0.113.20\", \"port\": 80, \"last_port\": 80, \"mode\": \"nat\", "
		"\"gue_port\": null}",
	};
	static const char *const backends[] = {"{\"port\": null}", "{\"port\": 8080}", "{\"port\": null}"};
	struct berthd *f = *state;
	char buffer[4096];
	json_decref(run(f, "config apply", file(buffer, "new.yaml", text, ""), BERTH_CODE_OK));
	json_t *result = run(f, "show services", "{}", BERTH_CODE_OK);
	for (size_t i = 0; i < 2; i++)
		expect_members(json_array_get(json_object_get(result, "services"), i), services[i]);
	json_decref(result);
	result = run(f, "show backends", "{}", BERTH_CODE_OK);
	for (size_t i = 0; i < 3; i++)
		expect_members(json_array_get(json_object_get(result, "backends"), i), backends[i]);
	json_decref(result);
}

static void arguments_are_checked_before_anything_runs(void **state)
{
	static const struct {
		const char *command;
		const char *arguments;
		const char *says;
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
		refuse(f, wrong[i].command, wrong[i].arguments, BERTH_CODE_INVALID, wrong[i].says);
	}
	assert_int_equal(f->daemon.model.n_services, 3);
	assert_false(f->daemon.stop);
}

static void shutdown_stops_the_engine_too(void **state)
{
	struct berthd *f = *state;
	expect(run(f, "shutdown", "{}", BERTH_CODE_OK), "{}");
	assert_true(f->daemon.stop);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, berthd_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(show_services_tells_what_each_is_and_carries),
		TEST(show_backends_tells_state_and_way),
		TEST(show_backends_of_all_or_one_service),
		TEST(show_stats_adds_up_by_class),
		TEST(show_drops_lists_every_reason_with_its_meaning),
		TEST(show_engine_joins_the_engines_status),
		TEST(backend_commands_are_in_force_at_once),
		TEST(a_backend_leaves_in_three_ways),
		TEST(show_backends_says_what_is_not_as_it_should_be),
		TEST(a_drain_ends_in_an_eviction_at_its_deadline),
		TEST(drained_is_who_has_nothing_left_that_it_may_keep),
		TEST(an_eviction_empties_the_tables),
		TEST(a_plan_changes_nothing),
		TEST(backends_that_are_not_there_are_not_found),
		TEST(health_can_be_forced_and_given_back_to_the_checks),
		TEST(config_check_changes_nothing),
		TEST(config_check_says_where_and_what),
		TEST(config_apply_saves_unless_told_not_to),
		TEST(prefixes_ranges_and_modes_are_shown),
		TEST(arguments_are_checked_before_anything_runs),
		TEST(shutdown_stops_the_engine_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
