/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For tests of the session commands: a real daemon with the null engine, whose event loop does not run, and
 * sessions that dataplane/core wrote, as a worker does.
 */
#pragma once

#include "tests/support/berthd.h"

#include <arpa/inet.h>

#include "controlplane/tables/sessions.h"
#include "controlplane/util/address.h"
#include "controlplane/util/clock.h"
#include "dataplane/core/session.h"

#define BACKENDS "backends: [{name: b1, address: 192.0.2.11}, {name: b2, address: 192.0.2.12}]}\n"
#define SERVICE(name, port, affinity)                                                                              \
	"  - {name: " name ", address: 203.0.113.10, protocol: tcp, port: " port                                   \
	", mode: l2, table-size: 251, health: {type: none}, affinity: {" affinity "}, " BACKENDS

static const char configuration[] = "engine: 'null'\n"
				    "interfaces: [{name: lo}]\n"
				    "limits: {flows: 1024, sessions: 4096, services: 8, backends: 60}\n"
				    "services:\n" SERVICE("web", "80", "by: client, timeout: 2h, group: shop")
					    SERVICE("tls", "443", "by: client, timeout: 2h, group: shop")
						    SERVICE("nets", "81", "by: client, prefix4: 24")
							    SERVICE("flows", "82", "by: flow");

static int set_up(void **state)
{
	return berthd_set_up(state, configuration);
}

static int tear_down(void **state)
{
	return berthd_tear_down(state);
}

static const struct berth_image *image_of(const struct berthd *f)
{
	return &f->daemon->engine->image;
}

static uint32_t service_number(struct berthd *f, const char *name)
{
	const struct berth_model_service *service = berth_model_service(&f->daemon->model, name);
	assert_non_null(service);
	return service->number;
}

/* In sessions. */
static uint16_t backend_number(struct berthd *f, const char *service, const char *name)
{
	struct berth_model_service *of = berth_model_service(&f->daemon->model, service);
	const struct berth_model_backend *backend = of ? berth_model_backend(of, name) : NULL;
	assert_non_null(backend);
	return (uint16_t)backend->session_number;
}

static struct berth_packet packet_of(struct berthd *f, const char *client, const char *service)
{
	struct berth_packet packet = {.service = (uint16_t)service_number(f, service)};
	assert_int_equal(berth_address_parse(client, &packet.src), 0);
	packet.is6 = !berth_addr_is4(&packet.src);
	return packet;
}

/* The index at which a worker finds the client's session, or BERTH_NOT_FOUND. */
static uint32_t index_of(struct berthd *f, const char *client, const char *service)
{
	struct berth_view view = berth_image_view(image_of(f), 0, berth_clock_s());
	const struct berth_packet packet = packet_of(f, client, service);
	struct berth_key key = berth_session_key(&view, &packet, berth_service_of(&view, packet.service));
	struct berth_entry entry;
	berth_flowtab_lookup(&view, &key, &entry);
	return entry.at;
}

static uint64_t *word_at(struct berthd *f, uint32_t at)
{
	return &image_of(f)->sessions[at / BERTH_BUCKET_WORDS].word[at % BERTH_BUCKET_WORDS];
}

__attribute__((unused)) static uint32_t backend_of(struct berthd *f, const char *client, const char *service)
{
	uint32_t at = index_of(f, client, service);
	return at == BERTH_NOT_FOUND ? 0 : berth_word_backend(*word_at(f, at));
}

/* Writes a session like a worker, `idle` seconds old. Returns its index. */
static uint32_t put(struct berthd *f, const char *client, const char *service, const char *backend, uint32_t idle)
{
	struct berth_view view = berth_image_view(image_of(f), 0, berth_clock_s() - idle);
	const struct berth_packet packet = packet_of(f, client, service);
	struct berth_key key = berth_session_key(&view, &packet, berth_service_of(&view, packet.service));
	struct berth_entry entry;
	berth_flowtab_insert(&view, &key, backend_number(f, service, backend), BERTH_STATE_SESSION, &entry);
	assert_int_not_equal(entry.at, BERTH_NOT_FOUND);
	const struct berth_session_decision decision = {.reason = BERTH_REASON_SELECTED};
	berth_client_write(&view, &packet, &key, entry.at, &decision);
	return entry.at;
}

__attribute__((unused)) static struct berth_client *client_at(struct berthd *f, uint32_t at)
{
	return &image_of(f)->clients[at];
}

__attribute__((unused)) static void put_some(struct berthd *f)
{
	put(f, "198.51.100.7", "web", "b1", 0);
	put(f, "198.51.100.8", "web", "b2", 0);
	put(f, "2001:db8:2::7", "web", "b2", 0);
	put(f, "198.51.100.7", "nets", "b2", 0);
}

/* A thread that writes sessions, as a worker does. */
struct session_worker {
	struct berthd *f;
	const char *client;
	bool stop;
};

/* Expects these clients, sorted as text, each followed by a space. */
__attribute__((unused)) static void finds(struct berthd *f, const char *arguments, const char *expected)
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
