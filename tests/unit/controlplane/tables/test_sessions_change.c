// SPDX-License-Identifier: BSD-3-Clause
/* Sessions are pinned, moved and cleared. */
#include "tests/unit/controlplane/tables/sessions.h"

#include <pthread.h>
#include <sched.h>

#include "controlplane/daemon/apply.h"

static void clear_removes_the_matching_sessions_and_no_others(void **state)
{
	struct berthd *f = *state;
	static const struct {
		const char *arguments;
		int cleared;
		const char *left;
	} cases[] = {
		{"{\"service\": \"tls\"}", 3, "198.51.100.0/24 "},
		{"{\"backend\": \"tls/b2\"}", 2, "198.51.100.0/24 198.51.100.7 "},
		{"{\"client\": \"198.51.100.7\"}", 2, "198.51.100.8 2001:db8:2::/64 "},
		{"{\"client\": \"198.51.100.7\", \"service\": \"shop\"}", 1,
		 "198.51.100.0/24 198.51.100.8 2001:db8:2::/64 "},
		{"{\"service\": \"flows\"}", 0, "198.51.100.0/24 198.51.100.7 198.51.100.8 2001:db8:2::/64 "},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char expected[96];
		memset(image_of(f)->sessions, 0,
		       image_of(f)->geometry.session_buckets * sizeof(struct berth_bucket));
		put_some(f);
		snprintf(expected, sizeof(expected), "{'cleared_sessions': %d, 'next': null, 'applies_to': null}",
			 cases[i].cleared);
		expect(run(f, "session clear", cases[i].arguments, BERTH_CODE_OK), expected);
		finds(f, "{}", cases[i].left);
	}
	refuse(f, "session clear", "{}", BERTH_CODE_INVALID, "--service");
	finds(f, "{}", "198.51.100.0/24 198.51.100.7 198.51.100.8 2001:db8:2::/64 ");
}

/* A client that returns would find the old pin before its own entry is written. */
static void a_cleared_pin_leaves_no_trace(void **state)
{
	struct berthd *f = *state;
	json_decref(
		run(f, "session pin", "{\"client\": \"198.51.100.7\", \"backend\": \"web/b2\"}", BERTH_CODE_OK));
	uint32_t at = index_of(f, "198.51.100.7", "web");
	const uint32_t tag = client_at(f, at)->tag;
	assert_int_not_equal(berth_pinned_backend(client_at(f, at), tag), 0);
	json_decref(run(f, "session clear", "{\"client\": \"198.51.100.7\"}", BERTH_CODE_OK));
	assert_int_equal(*word_at(f, at), 0);
	assert_int_equal(berth_pinned_backend(client_at(f, at), tag), 0);
}

static void workers_find_a_pinned_client_on_its_backend(void **state)
{
	struct berthd *f = *state;
	static const char *const clients[] = {"198.51.100.7", "2001:db8:2::7"};
	for (size_t i = 0; i < 2; i++) {
		char arguments[128];
		/* By any service of a group: words hold the number of the group. */
		snprintf(arguments, sizeof(arguments), "{\"client\": \"%s\", \"backend\": \"tls/b2\"}", clients[i]);
		json_t *result = run(f, "session pin", arguments, BERTH_CODE_OK);
		const json_t *session = json_object_get(result, "session");
		assert_string_equal(json_string_value(json_object_get(session, "reason")), "pinned");
		assert_string_equal(json_string_value(json_object_get(session, "backend")), "b2");
		json_decref(result);
		assert_int_equal(backend_of(f, clients[i], "web"), backend_number(f, "web", "b2"));
		uint32_t at = index_of(f, clients[i], "tls");
		assert_int_equal(berth_word_state(*word_at(f, at)), BERTH_STATE_SESSION);
		assert_int_equal(berth_pinned_backend(client_at(f, at), berth_word_tag(*word_at(f, at))),
				 backend_number(f, "web", "b2"));
		assert_int_equal(client_at(f, at)->flows, 0);
	}
	finds(f, "{}", "198.51.100.7 2001:db8:2::/64 ");
}

static void a_client_with_a_session_is_pinned_in_its_own_word(void **state)
{
	struct berthd *f = *state;
	static const uint32_t idle[] = {10, 9000}; /* 9000: it has expired */
	for (size_t i = 0; i < 2; i++) {
		uint32_t at = put(f, "198.51.100.7", "web", "b1", idle[i]);
		json_decref(run(f, "session pin", "{\"client\": \"198.51.100.7\", \"backend\": \"web/b2\"}",
				BERTH_CODE_OK));
		assert_int_equal(index_of(f, "198.51.100.7", "web"), at);
		assert_int_equal(backend_of(f, "198.51.100.7", "web"), backend_number(f, "web", "b2"));
		assert_in_range(berth_word_age(*word_at(f, at), berth_clock_s()), 0, 1);
		*word_at(f, at) = 0;
	}
}

static void a_claim_that_is_not_settled_is_overwritten(void **state)
{
	struct berthd *f = *state;
	uint32_t at = put(f, "198.51.100.7", "web", "b1", 0);
	*word_at(f, at) = berth_word_claim(berth_word_tag(*word_at(f, at)), backend_number(f, "web", "b1"),
					   berth_clock_s(), 0);
	json_decref(
		run(f, "session pin", "{\"client\": \"198.51.100.7\", \"backend\": \"web/b2\"}", BERTH_CODE_OK));
	assert_int_equal(index_of(f, "198.51.100.7", "web"), at);
	assert_int_equal(backend_of(f, "198.51.100.7", "web"), backend_number(f, "web", "b2"));
	assert_int_equal(berth_word_state(*word_at(f, at)), BERTH_STATE_SESSION);
}

static void only_an_existing_session_is_moved(void **state)
{
	struct berthd *f = *state;
	static const char arguments[] = "{\"client\": \"198.51.100.7\", \"backend\": \"web/b2\"}";
	refuse(f, "session move", arguments, BERTH_CODE_NOT_FOUND, "session pin");
	uint32_t at = put(f, "198.51.100.7", "web", "b1", 9000);
	refuse(f, "session move", arguments, BERTH_CODE_NOT_FOUND, "session pin");
	*word_at(f, at) = 0;
	put(f, "198.51.100.7", "web", "b1", 10);
	json_t *result = run(f, "session move", arguments, BERTH_CODE_OK);
	const json_t *session = json_object_get(result, "session");
	assert_string_equal(json_string_value(json_object_get(session, "reason")), "moved");
	assert_string_equal(json_string_value(json_object_get(session, "previous_backend")), "b1");
	json_decref(result);
	assert_int_equal(backend_of(f, "198.51.100.7", "web"), backend_number(f, "web", "b2"));
}

static void only_a_pinned_session_is_unpinned(void **state)
{
	struct berthd *f = *state;
	static const char arguments[] = "{\"client\": \"198.51.100.7\", \"service\": \"tls\"}";
	refuse(f, "session unpin", arguments, BERTH_CODE_NOT_FOUND, "not pinned");
	put(f, "198.51.100.7", "web", "b1", 10);
	refuse(f, "session unpin", arguments, BERTH_CODE_NOT_FOUND, "not pinned");
	json_decref(
		run(f, "session pin", "{\"client\": \"198.51.100.7\", \"backend\": \"web/b2\"}", BERTH_CODE_OK));
	expect(run(f, "session unpin", arguments, BERTH_CODE_OK), "{'cleared_sessions': 1, 'applies_to': null}");
	finds(f, "{}", "");
}

static void commands_accept_clients_in_the_form_of_show(void **state)
{
	struct berthd *f = *state;
	json_decref(run(f, "session pin", "{\"client\": \"198.51.100.0/24\", \"backend\": \"nets/b2\"}",
			BERTH_CODE_OK));
	finds(f, "{}", "198.51.100.0/24 ");
	assert_int_equal(backend_of(f, "198.51.100.99", "nets"), backend_number(f, "nets", "b2"));
	refuse(f, "session pin", "{\"client\": \"198.51.100.0/23\", \"backend\": \"nets/b2\"}", BERTH_CODE_INVALID,
	       "more than one client");
	refuse(f, "session pin", "{\"client\": \"198.51.100.0/24\", \"backend\": \"web/b2\"}", BERTH_CODE_INVALID,
	       "more than one client");
}

static void a_full_table_rejects_a_pin(void **state)
{
	struct berthd *f = *state;
	const struct berth_image *image = image_of(f);
	for (uint32_t i = 0; i < image->geometry.session_buckets * BERTH_BUCKET_WORDS; i++)
		*word_at(f, i) = berth_word_make(i + 1, backend_number(f, "web", "b1"), berth_clock_s(),
						 BERTH_STATE_SESSION);
	refuse(f, "session pin", "{\"client\": \"198.51.100.7\", \"backend\": \"web/b2\"}", BERTH_CODE_INTERNAL,
	       "limits.sessions");
}

static void invalid_arguments_are_named(void **state)
{
	static const struct {
		const char *command;
		const char *arguments;
		enum berth_code code;
		const char *says;
	} cases[] = {
		{"show sessions", "{\"service\": \"nobody\"}", BERTH_CODE_NOT_FOUND, "nobody"},
		{"show sessions", "{\"service\": \"\"}", BERTH_CODE_NOT_FOUND, "not found"},
		{"show sessions", "{\"client\": \"example.com\"}", BERTH_CODE_INVALID, "example.com"},
		{"show sessions", "{\"client\": \"198.51.100.0/33\"}", BERTH_CODE_INVALID, "198.51.100.0/33"},
		{"show sessions", "{\"backend\": \"web\"}", BERTH_CODE_INVALID, "SERVICE/BACKEND"},
		{"show sessions", "{\"backend\": \"web/b9\"}", BERTH_CODE_NOT_FOUND, "web/b9"},
		{"show sessions", "{\"backend\": \"nobody/b1\"}", BERTH_CODE_NOT_FOUND, "nobody"},
		{"show sessions",
		 "{\"backend\": \"0123456789012345678901234567890123456789012345678901234567890123/b1\"}",
		 BERTH_CODE_NOT_FOUND, "name is too long"},
		{"show sessions", "{\"limit\": \"many\"}", BERTH_CODE_INVALID, "limit"},
		{"show sessions", "{\"limit\": \"-1\"}", BERTH_CODE_INVALID, "limit"},
		{"show sessions", "{\"limit\": 7}", BERTH_CODE_INVALID, "limit"},
		{"show sessions", "{\"after\": \"99999999999999999999\"}", BERTH_CODE_INVALID, "after"},
		{"session pin", "{\"client\": \"198.51.100.7\", \"backend\": \"flows/b1\"}", BERTH_CODE_INVALID,
		 "by flow"},
		{"session pin", "{\"client\": \"b1\", \"backend\": \"web/b1\"}", BERTH_CODE_INVALID, "b1"},
		{"session pin", "{\"backend\": \"web/b1\"}", BERTH_CODE_INVALID, "client"},
		{"session unpin", "{\"client\": \"198.51.100.7\", \"service\": \"flows\"}", BERTH_CODE_INVALID,
		 "by flow"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		refuse(*state, cases[i].command, cases[i].arguments, cases[i].code, cases[i].says);
}

/* A worker that receives packets of the client continuously, each a second later than the one before. It changes
 * the word far more often than a real worker, and yields after each change. */
static void *keep_touching(void *arg)
{
	struct session_worker *worker = arg;
	struct berth_view view = berth_image_view(image_of(worker->f), 0, berth_clock_s());
	struct berth_packet packet = packet_of(worker->f, worker->client, "web");
	struct berth_key key = berth_session_key(&view, &packet, berth_service_of(&view, packet.service));
	packet.backend = backend_number(worker->f, "web", "b1");
	while (!__atomic_load_n(&worker->stop, __ATOMIC_RELAXED)) {
		struct berth_entry entry;
		berth_session_touch(&view, &packet, BERTH_STATE_SESSION);
		berth_flowtab_lookup(&view, &key, &entry);
		if (entry.at != BERTH_NOT_FOUND)
			berth_entry_swap(&view, &key, &entry, entry.value ^ UINT64_C(1) << BERTH_SEEN_SHIFT);
		sched_yield();
	}
	return NULL;
}

static void a_session_in_use_is_pinned_and_cleared(void **state)
{
	enum {
		TURNS = 20000,
	};
	struct session_worker worker = {.f = *state, .client = "198.51.100.7"};
	struct berth_view view = berth_sessions_view(image_of(worker.f), berth_clock_s());
	const struct berth_packet packet = packet_of(worker.f, worker.client, "web");
	const uint32_t b2 = backend_number(worker.f, "web", "b2");
	const struct berth_session_filter any = {0};
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, keep_touching, &worker), 0);
	for (int i = 0; i < TURNS; i++) {
		struct berth_session placed, found, second;
		int err = berth_sessions_assign(&view, &packet.src, packet.service, b2, BERTH_REASON_PINNED,
						&placed);
		assert_int_equal(err, 0);
		uint32_t at = 0;
		uint32_t end = image_of(worker.f)->geometry.session_buckets * BERTH_BUCKET_WORDS;
		assert_true(berth_sessions_lookup(&view, &packet.src, packet.service, &found));
		assert_int_equal(berth_word_backend(found.word), b2);
		assert_true(berth_sessions_remove(&view, &found));
		/* The worker inserts it again, once. */
		if (i % 1000 == 0) {
			while (!berth_sessions_next(&view, &any, &at, end, &found))
				at = 0;
			assert_false(berth_sessions_next(&view, &any, &at, end, &second));
		}
	}
	__atomic_store_n(&worker.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
}

static void apply(struct berthd *f, const char *services)
{
	char text[2048];
	snprintf(text, sizeof(text),
		 "engine: 'null'\ninterfaces: [{name: lo}]\n"
		 "limits: {flows: 1024, sessions: 4096, services: 8, backends: 60}\nservices:\n%s",
		 services);
	if (berth_daemon_apply(f->daemon, "new.yaml", text, strlen(text), false, f->error))
		fail_msg("%s", f->error);
}

#define SHOP "by: client, timeout: 2h, group: shop"

/* Also its order and the names of its services change. */
static void a_group_keeps_sessions_and_pins_when_any_of_its_services_is_removed(void **state)
{
	struct berthd *f = *state;
	static const char *const changes[] = {
		SERVICE("tls", "443", SHOP),
		SERVICE("secure", "443", SHOP) SERVICE("third", "444", SHOP),
		SERVICE("plain", "80", SHOP) SERVICE("third", "444", SHOP),
		SERVICE("third", "444", SHOP) SERVICE("web", "80", SHOP),
	};
	put(f, "198.51.100.7", "tls", "b1", 0);
	json_decref(
		run(f, "session pin", "{\"client\": \"198.51.100.8\", \"backend\": \"web/b2\"}", BERTH_CODE_OK));
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		apply(f, changes[i]);
		while (!berth_scan_step(f->daemon->scan, 4096, berth_clock_s()))
			;
		finds(f, "{\"service\": \"shop\"}", "198.51.100.7 198.51.100.8 ");
		for (size_t j = 0; j < f->daemon->model.n_services; j++) {
			const char *name = f->daemon->model.services[j].config.name;
			assert_int_equal(backend_of(f, "198.51.100.7", name), backend_number(f, name, "b1"));
			assert_int_equal(backend_of(f, "198.51.100.8", name), backend_number(f, name, "b2"));
			uint32_t at = index_of(f, "198.51.100.8", name);
			assert_int_equal(berth_pinned_backend(client_at(f, at), berth_word_tag(*word_at(f, at))),
					 backend_number(f, name, "b2"));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(clear_removes_the_matching_sessions_and_no_others),
		TEST(a_cleared_pin_leaves_no_trace),
		TEST(workers_find_a_pinned_client_on_its_backend),
		TEST(a_client_with_a_session_is_pinned_in_its_own_word),
		TEST(a_claim_that_is_not_settled_is_overwritten),
		TEST(only_an_existing_session_is_moved),
		TEST(only_a_pinned_session_is_unpinned),
		TEST(commands_accept_clients_in_the_form_of_show),
		TEST(a_full_table_rejects_a_pin),
		TEST(invalid_arguments_are_named),
		TEST(a_session_in_use_is_pinned_and_cleared),
		TEST(a_group_keeps_sessions_and_pins_when_any_of_its_services_is_removed),
	};
	return cmocka_run_group_tests_name("sessions_change", tests, NULL, NULL);
}
