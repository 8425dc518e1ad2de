// SPDX-License-Identifier: BSD-3-Clause
/*
 * Sessions shown, pinned, moved and cleared: a real daemon with the null engine, whose loop does not run, and
 * sessions that the core itself wrote, as a worker would.
 */
#include "tests/unit/berthd.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sched.h>

#include "controlplane/address.h"
#include "controlplane/clock.h"
#include "controlplane/sessions.h"
#include "dataplane/core/session.h"

#define BACKENDS "backends: [{name: b1, address: 192.0.2.11}, {name: b2, address: 192.0.2.12}]}\n"
#define SERVICE(name, port, affinity)                                                                              \
	"  - {name: " name ", address: 203.0.113.10, protocol: tcp, port: " port                                   \
	", mode: l2, rows: 251, health: {type: none}, affinity: {" affinity "}, " BACKENDS

static const char configuration[] = "engine: 'null'\n"
				    "interfaces: [{name: lo}]\n"
				    "limits: {flows: 1024, sessions: 4096, services: 5, backends: 60}\n"
				    "services:\n" SERVICE("web", "80", "by: client, timeout: 2h, group: shop")
					    SERVICE("tls", "443", "by: client, timeout: 2h, group: shop")
						    SERVICE("nets", "81", "by: client, prefix4: 24")
							    SERVICE("flows", "82", "by: flow");

static int set_up(void **state)
{
	return berthd_set_up(state, configuration);
}

static const struct berth_image *image_of(const struct berthd *f)
{
	return &f->daemon.engine->image;
}

static uint32_t service_number(struct berthd *f, const char *name)
{
	const struct berth_model_service *service = berth_model_service(&f->daemon.model, name);
	assert_non_null(service);
	return service->number;
}

static uint16_t backend_number(struct berthd *f, const char *service, const char *name)
{
	struct berth_model_service *of = berth_model_service(&f->daemon.model, service);
	const struct berth_model_backend *backend = of ? berth_model_backend(of, name) : NULL;
	assert_non_null(backend);
	return (uint16_t)backend->number;
}

static struct berth_packet packet_of(struct berthd *f, const char *client, const char *service)
{
	struct berth_packet packet = {.service = (uint16_t)service_number(f, service)};
	assert_int_equal(berth_address_parse(client, &packet.src), 0);
	packet.is6 = !berth_addr_is4(&packet.src);
	return packet;
}

/* Where a worker finds the client's session; BERTH_NOWHERE: it has none. */
static uint32_t place_of(struct berthd *f, const char *client, const char *service)
{
	struct berth_view view = berth_image_view(image_of(f), 0, berth_clock_s());
	const struct berth_packet packet = packet_of(f, client, service);
	struct berth_key key = berth_session_key(&view, &packet, berth_service_of(&view, packet.service));
	struct berth_entry entry;
	berth_flowtab_find(&view, &key, &entry);
	return entry.at;
}

static uint64_t *word_at(struct berthd *f, uint32_t at)
{
	return &image_of(f)->sessions[at / BERTH_BUCKET_WORDS].word[at % BERTH_BUCKET_WORDS];
}

static uint32_t backend_of(struct berthd *f, const char *client, const char *service)
{
	uint32_t at = place_of(f, client, service);
	return at == BERTH_NOWHERE ? 0 : berth_word_backend(*word_at(f, at));
}

/* A session as a worker writes it, of a service's own backend, `idle` seconds old. Returns its place. */
static uint32_t put(struct berthd *f, const char *client, const char *service, const char *backend, uint32_t idle)
{
	struct berth_view view = berth_image_view(image_of(f), 0, berth_clock_s() - idle);
	const struct berth_packet packet = packet_of(f, client, service);
	struct berth_key key = berth_session_key(&view, &packet, berth_service_of(&view, packet.service));
	struct berth_entry entry;
	berth_flowtab_insert(&view, &key, backend_number(f, service, backend), BERTH_STATE_SESSION, &entry);
	assert_int_not_equal(entry.at, BERTH_NOWHERE);
	berth_client_note(&view, &packet, &key, entry.at, BERTH_REASON_SELECTED);
	return entry.at;
}

static struct berth_client *line_at(struct berthd *f, uint32_t at)
{
	return &image_of(f)->clients[at];
}

/* --- show --- */

static void sessions_are_shown_with_who_and_where_and_why(void **state)
{
	struct berthd *f = *state;
	static const struct {
		uint8_t reason;
		bool from;
		const char *shown;
	} cases[] = {
		{BERTH_REASON_SELECTED, false, "'reason': 'selected', 'from': null"},
		{BERTH_REASON_SPILLED, false, "'reason': 'spilled', 'from': null"},
		{BERTH_REASON_FAILED_OVER, true, "'reason': 'failed_over', 'from': 'b2'"},
		{BERTH_REASON_RETURNED, true, "'reason': 'returned', 'from': 'b2'"},
		{BERTH_REASON_MOVED, true, "'reason': 'moved', 'from': 'b2'"},
	};
	uint32_t at = put(f, "198.51.100.7", "web", "b1", 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct berth_client *line = line_at(f, at);
		char expected[512];
		line->reason = cases[i].reason;
		/* In a group it may be the number in any of its services. */
		line->from = cases[i].from ? backend_number(f, "tls", "b2") : 0;
		line->since = berth_clock_s() - 60;
		line->flows = 5;
		json_t *result = run(f, "show sessions", "{}", BERTH_CODE_OK);
		json_t *row = json_array_get(json_object_get(result, "sessions"), 0);
		assert_in_range(json_integer_value(json_object_get(row, "age_s")), 60, 62);
		assert_in_range(json_integer_value(json_object_get(row, "idle_s")), 0, 2);
		json_object_del(row, "age_s");
		json_object_del(row, "idle_s");
		snprintf(expected, sizeof(expected),
			 "{'sessions': [{'client': '198.51.100.7', 'service': 'web', 'group': 'shop', 'backend': "
			 "'b1',"
			 " 'flows': 5, %s}], 'next': null}",
			 cases[i].shown);
		expect(result, expected);
	}
}

static void a_pin_is_shown_with_its_backend_where_that_is_another(void **state)
{
	struct berthd *f = *state;
	uint32_t at = put(f, "198.51.100.7", "web", "b1", 60);
	line_at(f, at)->reason = BERTH_REASON_PINNED;
	line_at(f, at)->since = berth_clock_s();
	const uint16_t from[] = {backend_number(f, "web", "b1"), backend_number(f, "web", "b2"), 0};
	static const char *const shown[] = {
		"'reason': 'pinned', 'from': null, 'idle_s': null",
		"'reason': 'pinned', 'from': 'b2', 'idle_s': null",
		"'reason': 'failed_over', 'from': null, 'idle_s': 60", /* it is no more */
	};
	for (size_t i = 0; i < 3; i++) {
		char expected[512];
		line_at(f, at)->from = from[i];
		json_t *result = run(f, "show sessions", "{}", BERTH_CODE_OK);
		json_object_del(json_array_get(json_object_get(result, "sessions"), 0), "age_s");
		snprintf(expected, sizeof(expected),
			 "{'sessions': [{'client': '198.51.100.7', 'service': 'web', 'group': 'shop', 'backend': "
			 "'b1',"
			 " 'flows': 1, %s}], 'next': null}",
			 shown[i]);
		expect(result, expected);
	}
}

static void a_line_of_another_word_is_not_believed(void **state)
{
	struct berthd *f = *state;
	uint32_t at = put(f, "198.51.100.7", "nets", "b1", 0);
	const struct berth_client line = *line_at(f, at);
	for (int i = 0; i < 2; i++) {
		*line_at(f, at) = line;
		if (i == 0)
			line_at(f, at)->tag ^= 1;
		else
			line_at(f, at)->reason = BERTH_REASON_NONE;
		expect(run(f, "show sessions", "{}", BERTH_CODE_OK),
		       "{'sessions': [{'client': null, 'service': 'nets', 'group': null, 'backend': 'b1', "
		       "'idle_s': 0,"
		       " 'reason': null, 'from': null, 'age_s': null, 'flows': null}], 'next': null}");
		expect(run(f, "show sessions", "{\"client\": \"198.51.100.7\"}", BERTH_CODE_OK),
		       "{'sessions': [], 'next': null}");
	}
}

/* The clients that a search finds, in order of their text, each followed by a space. */
static void finds(struct berthd *f, const char *arguments, const char *expected)
{
	char text[512] = "";
	const char *found[16];
	json_t *result = run(f, "show sessions", arguments, BERTH_CODE_OK);
	json_t *rows = json_object_get(result, "sessions");
	size_t n = json_array_size(rows);
	assert_true(n <= 16);
	for (size_t i = 0; i < n; i++) {
		const char *client = json_string_value(json_object_get(json_array_get(rows, i), "client"));
		size_t j = i;
		for (; j > 0 && strcmp(found[j - 1], client) > 0; j--)
			found[j] = found[j - 1];
		found[j] = client;
	}
	for (size_t i = 0; i < n; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s ", found[i]);
	json_decref(result);
	if (strcmp(text, expected) != 0)
		fail_msg("%s: expected \"%s\", got \"%s\"", arguments, expected, text);
}

static void put_some(struct berthd *f)
{
	put(f, "198.51.100.7", "web", "b1", 0);
	put(f, "198.51.100.8", "web", "b2", 0);
	put(f, "2001:db8:2::7", "web", "b2", 0);
	put(f, "198.51.100.7", "nets", "b2", 0);
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

static void what_has_expired_is_not_shown_but_what_is_pinned(void **state)
{
	struct berthd *f = *state;
	put(f, "198.51.100.7", "web", "b1", 7200 - 2);
	uint32_t at = put(f, "198.51.100.8", "web", "b1", 7200 + 5);
	finds(f, "{}", "198.51.100.7 ");
	line_at(f, at)->reason = BERTH_REASON_PINNED;
	line_at(f, at)->from = backend_number(f, "web", "b1");
	finds(f, "{}", "198.51.100.7 198.51.100.8 ");
	*word_at(f, at) = berth_word_claim(berth_word_tag(*word_at(f, at)), 1, berth_clock_s(), 0);
	finds(f, "{}", "198.51.100.7 ");
}

static void pages_hold_every_session_once_though_others_come_and_go(void **state)
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
				continue; /* of those that come */
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

static void a_page_is_never_larger_than_the_largest(void **state)
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

/* --- clear --- */

static void what_is_meant_is_cleared_and_nothing_else(void **state)
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
		char expected[64];
		memset(image_of(f)->sessions, 0,
		       image_of(f)->geometry.session_buckets * sizeof(struct berth_bucket));
		put_some(f);
		snprintf(expected, sizeof(expected), "{'cleared': %d, 'next': null}", cases[i].cleared);
		expect(run(f, "session clear", cases[i].arguments, BERTH_CODE_OK), expected);
		finds(f, "{}", cases[i].left);
	}
	refuse(f, "session clear", "{}", BERTH_CODE_INVALID, "--service");
	finds(f, "{}", "198.51.100.0/24 198.51.100.7 198.51.100.8 2001:db8:2::/64 ");
}

/* A client that comes again would find the old line before its own is written. */
static void a_cleared_pin_leaves_no_trace(void **state)
{
	struct berthd *f = *state;
	json_decref(
		run(f, "session pin", "{\"client\": \"198.51.100.7\", \"backend\": \"web/b2\"}", BERTH_CODE_OK));
	uint32_t at = place_of(f, "198.51.100.7", "web");
	const uint32_t tag = line_at(f, at)->tag;
	assert_int_not_equal(berth_pinned_to(line_at(f, at), tag), 0);
	json_decref(run(f, "session clear", "{\"client\": \"198.51.100.7\"}", BERTH_CODE_OK));
	assert_int_equal(*word_at(f, at), 0);
	assert_int_equal(berth_pinned_to(line_at(f, at), tag), 0);
}

/* --- pin, move, unpin --- */

static void a_pinned_client_is_found_by_workers_where_it_is_pinned(void **state)
{
	struct berthd *f = *state;
	static const char *const clients[] = {"198.51.100.7", "2001:db8:2::7"};
	for (size_t i = 0; i < 2; i++) {
		char arguments[128];
		/* By any service of a group: words have the number in the first. */
		snprintf(arguments, sizeof(arguments), "{\"client\": \"%s\", \"backend\": \"tls/b2\"}", clients[i]);
		json_t *result = run(f, "session pin", arguments, BERTH_CODE_OK);
		const json_t *session = json_object_get(result, "session");
		assert_string_equal(json_string_value(json_object_get(session, "reason")), "pinned");
		assert_string_equal(json_string_value(json_object_get(session, "backend")), "b2");
		json_decref(result);
		assert_int_equal(backend_of(f, clients[i], "web"), backend_number(f, "web", "b2"));
		uint32_t at = place_of(f, clients[i], "tls");
		assert_int_equal(berth_word_state(*word_at(f, at)), BERTH_STATE_SESSION);
		assert_int_equal(berth_pinned_to(line_at(f, at), berth_word_tag(*word_at(f, at))),
				 backend_number(f, "web", "b2"));
		assert_int_equal(line_at(f, at)->flows, 0);
	}
	finds(f, "{}", "198.51.100.7 2001:db8:2::/64 ");
}

static void a_client_that_has_a_session_is_pinned_in_its_own_word(void **state)
{
	struct berthd *f = *state;
	static const uint32_t idle[] = {10, 9000}; /* 9000: it has expired */
	for (size_t i = 0; i < 2; i++) {
		uint32_t at = put(f, "198.51.100.7", "web", "b1", idle[i]);
		json_decref(run(f, "session pin", "{\"client\": \"198.51.100.7\", \"backend\": \"web/b2\"}",
				BERTH_CODE_OK));
		assert_int_equal(place_of(f, "198.51.100.7", "web"), at);
		assert_int_equal(backend_of(f, "198.51.100.7", "web"), backend_number(f, "web", "b2"));
		assert_in_range(berth_word_age(*word_at(f, at), berth_clock_s()), 0, 1);
		*word_at(f, at) = 0;
	}
}

static void a_claim_that_a_worker_has_not_settled_yet_is_no_hindrance(void **state)
{
	struct berthd *f = *state;
	uint32_t at = put(f, "198.51.100.7", "web", "b1", 0);
	*word_at(f, at) = berth_word_claim(berth_word_tag(*word_at(f, at)), backend_number(f, "web", "b1"),
					   berth_clock_s(), 0);
	json_decref(
		run(f, "session pin", "{\"client\": \"198.51.100.7\", \"backend\": \"web/b2\"}", BERTH_CODE_OK));
	assert_int_equal(place_of(f, "198.51.100.7", "web"), at);
	assert_int_equal(backend_of(f, "198.51.100.7", "web"), backend_number(f, "web", "b2"));
	assert_int_equal(berth_word_state(*word_at(f, at)), BERTH_STATE_SESSION);
}

static void a_session_is_moved_if_there_is_one(void **state)
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
	assert_string_equal(json_string_value(json_object_get(session, "from")), "b1");
	json_decref(result);
	assert_int_equal(backend_of(f, "198.51.100.7", "web"), backend_number(f, "web", "b2"));
}

static void only_what_is_pinned_is_unpinned(void **state)
{
	struct berthd *f = *state;
	static const char arguments[] = "{\"client\": \"198.51.100.7\", \"service\": \"tls\"}";
	refuse(f, "session unpin", arguments, BERTH_CODE_NOT_FOUND, "not pinned");
	put(f, "198.51.100.7", "web", "b1", 10);
	refuse(f, "session unpin", arguments, BERTH_CODE_NOT_FOUND, "not pinned");
	json_decref(
		run(f, "session pin", "{\"client\": \"198.51.100.7\", \"backend\": \"web/b2\"}", BERTH_CODE_OK));
	expect(run(f, "session unpin", arguments, BERTH_CODE_OK), "{'cleared': 1}");
	finds(f, "{}", "");
}

static void clients_are_named_as_they_are_shown(void **state)
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

static void a_full_table_takes_no_pin(void **state)
{
	struct berthd *f = *state;
	const struct berth_image *image = image_of(f);
	for (uint32_t i = 0; i < image->geometry.session_buckets * BERTH_BUCKET_WORDS; i++)
		*word_at(f, i) = berth_word_make(i + 1, backend_number(f, "web", "b1"), berth_clock_s(),
						 BERTH_STATE_SESSION);
	refuse(f, "session pin", "{\"client\": \"198.51.100.7\", \"backend\": \"web/b2\"}", BERTH_CODE_INTERNAL,
	       "limits.sessions");
}

static void what_is_wrong_is_said(void **state)
{
	static const struct {
		const char *command;
		const char *arguments;
		enum berth_code code;
		const char *says;
	} cases[] = {
		{"show sessions", "{\"service\": \"nobody\"}", BERTH_CODE_NOT_FOUND, "nobody"},
		{"show sessions", "{\"service\": \"\"}", BERTH_CODE_NOT_FOUND, "no service"},
		{"show sessions", "{\"client\": \"example.com\"}", BERTH_CODE_INVALID, "example.com"},
		{"show sessions", "{\"client\": \"198.51.100.0/33\"}", BERTH_CODE_INVALID, "198.51.100.0/33"},
		{"show sessions", "{\"backend\": \"web\"}", BERTH_CODE_INVALID, "SERVICE/BACKEND"},
		{"show sessions", "{\"backend\": \"web/b9\"}", BERTH_CODE_NOT_FOUND, "web/b9"},
		{"show sessions", "{\"backend\": \"nobody/b1\"}", BERTH_CODE_NOT_FOUND, "nobody"},
		{"show sessions",
		 "{\"backend\": \"0123456789012345678901234567890123456789012345678901234567890123/b1\"}",
		 BERTH_CODE_NOT_FOUND, "so long a name"},
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

/* --- while workers run --- */

struct worker {
	struct berthd *f;
	const char *client;
	bool stop;
};

/* A worker that sees the client's packets all the time, and between two of them a second has always passed. It is
 * far quicker than any, but leaves the word alone for as long as another needs to get hold of it. */
static void *keep_touching(void *arg)
{
	struct worker *worker = arg;
	struct berth_view view = berth_image_view(image_of(worker->f), 0, berth_clock_s());
	struct berth_packet packet = packet_of(worker->f, worker->client, "web");
	struct berth_key key = berth_session_key(&view, &packet, berth_service_of(&view, packet.service));
	packet.backend = backend_number(worker->f, "web", "b1");
	while (!__atomic_load_n(&worker->stop, __ATOMIC_RELAXED)) {
		struct berth_entry entry;
		berth_session_touch(&view, &packet);
		berth_flowtab_find(&view, &key, &entry);
		if (entry.at != BERTH_NOWHERE)
			berth_entry_swap(&view, &key, &entry, entry.value ^ UINT64_C(1) << BERTH_SEEN_SHIFT);
		sched_yield();
	}
	return NULL;
}

static void a_session_in_use_is_pinned_and_cleared_all_the_same(void **state)
{
	enum {
		TURNS = 20000,
	};
	struct worker worker = {.f = *state, .client = "198.51.100.7"};
	struct berth_view view = berth_sessions_view(image_of(worker.f), berth_clock_s());
	const struct berth_packet packet = packet_of(worker.f, worker.client, "web");
	const uint32_t b2 = backend_number(worker.f, "web", "b2");
	const struct berth_session_filter any = {0};
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, keep_touching, &worker), 0);
	for (int i = 0; i < TURNS; i++) {
		struct berth_session placed, found, second;
		int err = berth_sessions_place(&view, &packet.src, packet.service, b2, BERTH_REASON_PINNED,
					       &placed);
		assert_int_equal(err, 0);
		uint32_t at = 0;
		uint32_t end = image_of(worker.f)->geometry.session_buckets * BERTH_BUCKET_WORDS;
		assert_true(berth_sessions_find(&view, &packet.src, packet.service, &found));
		assert_int_equal(berth_word_backend(found.word), b2);
		assert_true(berth_sessions_clear(&view, &found));
		/* The worker brings it back, once. */
		if (i % 1000 == 0) {
			while (!berth_sessions_next(&view, &any, &at, end, &found))
				at = 0;
			assert_false(berth_sessions_next(&view, &any, &at, end, &second));
		}
	}
	__atomic_store_n(&worker.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, berthd_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(sessions_are_shown_with_who_and_where_and_why),
		TEST(a_pin_is_shown_with_its_backend_where_that_is_another),
		TEST(a_line_of_another_word_is_not_believed),
		TEST(sessions_are_found_by_service_client_and_backend),
		TEST(what_has_expired_is_not_shown_but_what_is_pinned),
		TEST(pages_hold_every_session_once_though_others_come_and_go),
		TEST(a_page_is_never_larger_than_the_largest),
		TEST(what_is_meant_is_cleared_and_nothing_else),
		TEST(a_cleared_pin_leaves_no_trace),
		TEST(a_pinned_client_is_found_by_workers_where_it_is_pinned),
		TEST(a_client_that_has_a_session_is_pinned_in_its_own_word),
		TEST(a_claim_that_a_worker_has_not_settled_yet_is_no_hindrance),
		TEST(a_session_is_moved_if_there_is_one),
		TEST(only_what_is_pinned_is_unpinned),
		TEST(clients_are_named_as_they_are_shown),
		TEST(a_full_table_takes_no_pin),
		TEST(what_is_wrong_is_said),
		TEST(a_session_in_use_is_pinned_and_cleared_all_the_same),
	};
	return cmocka_run_group_tests_name("sessions", tests, NULL, NULL);
}
