// SPDX-License-Identifier: BSD-3-Clause
/* `show sessions`: fields, filters, pages. */
#include "tests/unit/controlplane/tables/sessions.h"

#include "controlplane/daemon/session_save.h"

#include "dataplane/interface/store.h"

#include "tests/support/loop.h"

static void sessions_are_shown_with_client_backend_and_reason(void **state)
{
	struct berthd *f = *state;
	static const struct {
		uint8_t reason;
		bool from;
		const char *shown;
	} cases[] = {
		{BERTH_REASON_SELECTED, false,
		 "'reason': 'selected', 'previous_backend': null, 'pinned_backend': null"},
		{BERTH_REASON_SPILLED, false,
		 "'reason': 'spilled', 'previous_backend': null, 'pinned_backend': null"},
		{BERTH_REASON_FAILED_OVER, true,
		 "'reason': 'failed_over', 'previous_backend': 'b2', 'pinned_backend': null"},
		{BERTH_REASON_RETURNED, true,
		 "'reason': 'returned', 'previous_backend': 'b2', 'pinned_backend': null"},
		{BERTH_REASON_MOVED, true, "'reason': 'moved', 'previous_backend': 'b2', 'pinned_backend': null"},
	};
	uint32_t at = put(f, "198.51.100.7", "web", "b1", 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct berth_client *client = client_at(f, at);
		char expected[512];
		client->reason = cases[i].reason;
		client->from = cases[i].from ? backend_number(f, "tls", "b2") : 0;
		client->since = berth_clock_s() - 60;
		client->flows = 5;
		json_t *result = run(f, "show sessions", "{}", BERTH_CODE_OK);
		json_t *row = json_array_get(json_object_get(result, "sessions"), 0);
		assert_in_range(json_integer_value(json_object_get(row, "age_s")), 60, 62);
		assert_in_range(json_integer_value(json_object_get(row, "idle_s")), 0, 2);
		json_object_del(row, "age_s");
		json_object_del(row, "idle_s");
		snprintf(expected, sizeof(expected),
			 "{'sessions': [{'client': '198.51.100.7', 'service': 'web', 'group': 'shop', 'backend': "
			 "'b1', 'state': 'confirmed', 'new_flows': 5, %s}], 'next': null}",
			 cases[i].shown);
		expect(result, expected);
	}
}

static void a_pin_to_another_backend_is_shown_with_that_backend(void **state)
{
	struct berthd *f = *state;
	uint32_t at = put(f, "198.51.100.7", "web", "b1", 60);
	client_at(f, at)->reason = BERTH_REASON_PINNED;
	client_at(f, at)->since = berth_clock_s();
	const uint16_t from[] = {backend_number(f, "web", "b1"), backend_number(f, "web", "b2"), 0};
	static const char *const shown[] = {
		"'reason': 'pinned', 'previous_backend': null, 'pinned_backend': null, 'idle_s': null",
		"'reason': 'pinned', 'previous_backend': null, 'pinned_backend': 'b2', 'idle_s': null",
		/* The previous backend was removed. */
		"'reason': 'failed_over', 'previous_backend': null, 'pinned_backend': null, 'idle_s': 60",
	};
	for (size_t i = 0; i < 3; i++) {
		char expected[512];
		client_at(f, at)->from = from[i];
		json_t *result = run(f, "show sessions", "{}", BERTH_CODE_OK);
		json_object_del(json_array_get(json_object_get(result, "sessions"), 0), "age_s");
		snprintf(expected, sizeof(expected),
			 "{'sessions': [{'client': '198.51.100.7', 'service': 'web', 'group': 'shop', 'backend': "
			 "'b1', 'state': 'confirmed', 'new_flows': 1, %s}], 'next': null}",
			 shown[i]);
		expect(result, expected);
	}
}

static void an_unconfirmed_session_is_shown_as_such(void **state)
{
	struct berthd *f = *state;
	const uint32_t at = put(f, "198.51.100.7", "web", "b1", 0);
	static const enum berth_state states[] = {BERTH_STATE_UNCONFIRMED, BERTH_STATE_SESSION};
	static const char *const names[] = {"unconfirmed", "confirmed"};
	for (size_t i = 0; i < 2; i++) {
		*word_at(f, at) = berth_word_touch(*word_at(f, at), berth_clock_s(), states[i]);
		json_t *result = run(f, "show sessions", "{}", BERTH_CODE_OK);
		json_t *row = json_array_get(json_object_get(result, "sessions"), 0);
		assert_string_equal(json_string_value(json_object_get(row, "state")), names[i]);
		json_decref(result);
	}
}

static void a_client_of_another_word_is_not_shown(void **state)
{
	struct berthd *f = *state;
	uint32_t at = put(f, "198.51.100.7", "nets", "b1", 0);
	const struct berth_client client = *client_at(f, at);
	for (int i = 0; i < 2; i++) {
		*client_at(f, at) = client;
		if (i == 0)
			client_at(f, at)->tag ^= 1;
		else
			client_at(f, at)->reason = BERTH_REASON_NONE;
		expect(run(f, "show sessions", "{}", BERTH_CODE_OK),
		       "{'sessions': [{'client': null, 'service': 'nets', 'group': null, 'backend': 'b1', "
		       "'state': 'confirmed', 'idle_s': 0,"
		       " 'reason': null, 'previous_backend': null, 'pinned_backend': null, 'age_s': null, "
		       "'new_flows': null}], 'next': null}");
		expect(run(f, "show sessions", "{\"client\": \"198.51.100.7\"}", BERTH_CODE_OK),
		       "{'sessions': [], 'next': null}");
	}
}

static void sessions_are_found_by_service_client_and_backend(void **state)
{
	struct berthd *f = *state;
	static const struct {
		const char *arguments;
		const char *found;
	} cases[] = {
		{"{}", "198.51.100.0/24 198.51.100.7 198.51.100.8 2001:db8:2::/64 "},
		{"{\"service\": \"nets\"}", "198.51.100.0/24 "},
		/* The sessions of a group are those of each of its services. */
		{"{\"service\": \"web\"}", "198.51.100.7 198.51.100.8 2001:db8:2::/64 "},
		{"{\"service\": \"tls\"}", "198.51.100.7 198.51.100.8 2001:db8:2::/64 "},
		{"{\"service\": \"shop\"}", "198.51.100.7 198.51.100.8 2001:db8:2::/64 "},
		{"{\"service\": \"flows\"}", ""},
		{"{\"backend\": \"web/b2\"}", "198.51.100.8 2001:db8:2::/64 "},
		{"{\"backend\": \"tls/b2\"}", "198.51.100.8 2001:db8:2::/64 "},
		{"{\"backend\": \"nets/b1\"}", ""},
		{"{\"backend\": \"web/b2\", \"service\": \"nets\"}", ""},
		{"{\"client\": \"198.51.100.7\"}", "198.51.100.0/24 198.51.100.7 "},
		{"{\"client\": \"198.51.100.8/31\"}", "198.51.100.0/24 198.51.100.8 "},
		{"{\"client\": \"198.51.100.0/24\"}", "198.51.100.0/24 198.51.100.7 198.51.100.8 "},
		{"{\"client\": \"198.51.100.99/24\", \"service\": \"nets\"}", "198.51.100.0/24 "},
		{"{\"client\": \"0.0.0.0/0\"}", "198.51.100.0/24 198.51.100.7 198.51.100.8 "},
		{"{\"client\": \"::/0\"}", "2001:db8:2::/64 "},
		{"{\"client\": \"2001:db8:2::99\"}", "2001:db8:2::/64 "},
		{"{\"client\": \"2001:db8:3::/48\"}", ""},
		{"{\"client\": \"198.51.100.8\", \"backend\": \"web/b1\"}", ""},
	};
	put_some(f);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		finds(f, cases[i].arguments, cases[i].found);
}

static void an_expired_session_is_shown_only_if_pinned(void **state)
{
	struct berthd *f = *state;
	put(f, "198.51.100.7", "web", "b1", 7200 - 2);
	uint32_t at = put(f, "198.51.100.8", "web", "b1", 7200 + 5);
	finds(f, "{}", "198.51.100.7 ");
	client_at(f, at)->reason = BERTH_REASON_PINNED;
	client_at(f, at)->from = backend_number(f, "web", "b1");
	finds(f, "{}", "198.51.100.7 198.51.100.8 ");
	*word_at(f, at) = berth_word_claim(berth_word_tag(*word_at(f, at)), 1, berth_clock_s(), 0);
	finds(f, "{}", "198.51.100.7 ");
}

static void pages_hold_every_session_once_while_others_change(void **state)
{
	struct berthd *f = *state;
	enum {
		CLIENTS = 1000,
		PAGE = 7,
	};
	bool seen[CLIENTS] = {false};
	char client[32], arguments[64] = "{\"limit\": \"7\"}";
	for (int i = 0; i < CLIENTS; i++) {
		snprintf(client, sizeof(client), "198.51.%d.%d", i / 250, i % 250);
		put(f, client, "web", "b1", 0);
	}
	int pages = 0;
	for (const char *next = ""; next; pages++) {
		json_t *result = run(f, "show sessions", arguments, BERTH_CODE_OK);
		json_t *rows = json_object_get(result, "sessions"), *row;
		size_t i;
		next = json_string_value(json_object_get(result, "next"));
		assert_true(json_array_size(rows) == PAGE || !next);
		json_array_foreach(rows, i, row)
		{
			const char *text = json_string_value(json_object_get(row, "client"));
			unsigned int a, b;
			if (sscanf(text, "198.51.%u.%u", &a, &b) != 2)
				continue; /* inserted meanwhile */
			assert_false(seen[a * 250 + b]);
			seen[a * 250 + b] = true;
		}
		snprintf(arguments, sizeof(arguments), "{\"limit\": \"7\", \"after\": \"%s\"}", next ? next : "");
		json_decref(result);
		snprintf(client, sizeof(client), "203.0.113.%d", pages % 200);
		if (pages % 2)
			put(f, client, "nets", "b1", 0);
		else
			json_decref(run(f, "session clear", "{\"service\": \"nets\"}", BERTH_CODE_OK));
	}
	assert_true(pages >= CLIENTS / PAGE);
	for (int i = 0; i < CLIENTS; i++)
		assert_true(seen[i]);
}

static void a_page_is_never_larger_than_the_maximum(void **state)
{
	struct berthd *f = *state;
	char client[32];
	for (int i = 0; i < BERTH_WIRE_PAGE + 50; i++) {
		snprintf(client, sizeof(client), "198.51.%d.%d", i / 250, i % 250);
		put(f, client, "web", "b1", 0);
	}
	static const char *const arguments[] = {"{}", "{\"limit\": \"4000000000\"}"};
	for (size_t i = 0; i < 2; i++) {
		json_t *result = run(f, "show sessions", arguments[i], BERTH_CODE_OK);
		assert_int_equal(json_array_size(json_object_get(result, "sessions")), BERTH_WIRE_PAGE);
		assert_true(json_is_string(json_object_get(result, "next")));
		json_decref(result);
	}
	expect(run(f, "show sessions", "{\"after\": \"4294967295\"}", BERTH_CODE_OK),
	       "{'sessions': [], 'next': null}");
}

/* The table becomes the former one, and an empty one of the same size takes its place. */
static void begin_former(struct berth_image *image)
{
	const uint32_t buckets = image->geometry.session_buckets;
	const size_t bytes = buckets * sizeof(*image->sessions);
	const size_t client_bytes = buckets * BERTH_BUCKET_WORDS * sizeof(*image->clients);
	image->former_sessions = aligned_alloc(64, bytes);
	image->former_clients = aligned_alloc(64, client_bytes);
	memcpy(image->former_sessions, image->sessions, bytes);
	memcpy(image->former_clients, image->clients, client_bytes);
	memset(image->sessions, 0, bytes);
	memset(image->clients, 0, client_bytes);
	image->former_session_bits = image->ctl->former_session_bits = berth_store_bits(buckets);
}

static void end_former(struct berth_image *image)
{
	image->former_session_bits = image->ctl->former_session_bits = 0;
	free(image->former_sessions);
	free(image->former_clients);
}

static void sessions_of_a_former_table_are_shown(void **state)
{
	struct berthd *f = *state;
	struct berth_image *image = &f->daemon->engine->image;
	put_some(f);
	begin_former(image);
	finds(f, "{}", "198.51.100.0/24 198.51.100.7 198.51.100.8 2001:db8:2::/64 ");
	image->ctl->former_session_bits = 0;
	finds(f, "{}", "198.51.100.0/24 198.51.100.7 198.51.100.8 2001:db8:2::/64 ");
	end_former(image);
}

/* How many sessions the next save writes. */
static uint64_t saved(struct berthd *f)
{
	struct berth_session_save_state *save = &f->daemon->state.session_save;
	save->unix_s = 0;
	berth_session_save_follow(f->daemon);
	assert_true(wait_until(save->unix_s != 0, 60000, loop_for(f->daemon->base, 20)));
	berth_session_save_pause(f->daemon);
	return save->sessions;
}

/* Not by the timer of the save, which would stop the loop for as long as a large table takes. */
static void sessions_of_a_former_table_are_saved_when_scans_have_moved_them(void **state)
{
	struct berthd *f = *state;
	struct berth_image *image = &f->daemon->engine->image;
	f->daemon->model.config->sessions.save_ms = 1;
	put_some(f);
	const uint64_t n = saved(f);
	assert_int_not_equal(n, 0);
	begin_former(image);
	const uint64_t scans = f->daemon->model.scans;
	assert_int_equal(saved(f), n);
	assert_true(f->daemon->model.scans >= scans + 2);
	f->daemon->model.config->sessions.save_ms = 0;
	berth_session_save_follow(f->daemon);
	end_former(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sessions_are_shown_with_client_backend_and_reason),
		TEST(a_pin_to_another_backend_is_shown_with_that_backend),
		TEST(an_unconfirmed_session_is_shown_as_such),
		TEST(a_client_of_another_word_is_not_shown),
		TEST(sessions_are_found_by_service_client_and_backend),
		TEST(an_expired_session_is_shown_only_if_pinned),
		TEST(pages_hold_every_session_once_while_others_change),
		TEST(a_page_is_never_larger_than_the_maximum),
		TEST(sessions_of_a_former_table_are_shown),
		TEST(sessions_of_a_former_table_are_saved_when_scans_have_moved_them),
	};
	return cmocka_run_group_tests_name("sessions", tests, NULL, NULL);
}
