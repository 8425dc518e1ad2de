// SPDX-License-Identifier: BSD-3-Clause
/* `explain`: it says what the core does with a packet, and changes nothing. */
#include "tests/unit/controlplane/tables/sessions.h"

#include "controlplane/daemon/publication.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "controlplane/explain/packet_text.h"
#include "controlplane/explain/trace.h"
#include "controlplane/util/frame.h"
#include "dataplane/core/stages.h"

enum {
	PACKETS = 1000,
	CLIENTS = 20,
	BUFFER = BERTH_TRACE_HEADROOM + BERTH_TEXT_FRAME_BYTES,
};

static const uint8_t own_link[6] = {2, 0, 0, 0, 0, 1};

static void bring_all_up(struct berthd *f)
{
	struct berth_model *model = &f->daemon->model;
	memcpy(model->ports[0].mac, own_link, sizeof(own_link));
	for (size_t i = 0; i < model->n_services; i++)
		for (size_t j = 0; j < model->services[i].n_backends; j++)
			model->services[i].backends[j].next_hop = (struct berth_next_hop){
				.is_resolved = true, .dst_mac = {2, 0, 0, 0, 1, (uint8_t)j}, .mtu = 1500};
	berth_publication_request(f->daemon);
	berth_publication_settle(f->daemon);
}

static uint64_t hash_of(const struct berth_image *image)
{
	const struct berth_geometry *const g = &image->geometry;
	uint64_t hash = 0;
#define X(name, type, count) hash = XXH64(image->name, sizeof(type) * (count), hash);
	BERTH_SECTIONS(X)
#undef X
	return hash;
}

static uint32_t some(uint32_t n)
{
	static uint32_t last = 1;
	last = last * 1664525 + 1013904223;
	return (last >> 8) % n;
}

/* Mostly of few clients, so that flows and sessions are found. */
static struct berth_packet_text some_packet(void)
{
	static const uint16_t ports[] = {80, 443, 81, 82, 83};
	static const uint8_t flags[] = {BERTH_TCP_SYN, BERTH_TCP_ACK, BERTH_TCP_ACK, BERTH_TCP_FIN | BERTH_TCP_ACK,
					BERTH_TCP_RST};
	struct berth_packet_text packet = {
		.protocol = some(10) ? BERTH_PROTO_TCP : BERTH_PROTO_UDP,
		.tcp_flags = flags[some(5)],
		.sport = (uint16_t)(1024 + some(3)),
		.dport = ports[some(5)],
	};
	char client[32];
	snprintf(client, sizeof(client), "198.51.100.%u", some(CLIENTS));
	berth_address_parse(some(50) ? client : "127.0.0.1", &packet.src);
	berth_address_parse("203.0.113.10", &packet.dst);
	return packet;
}

static void it_says_what_the_core_does_and_changes_nothing(void **state)
{
	struct berthd *f = *state;
	const struct berth_image *image = image_of(f);
	uint32_t seen[BERTH_VERDICT_COUNT] = {0}, sessions = 0, rows = 0;
	bring_all_up(f);
	for (uint32_t i = 0; i < PACKETS; i++) {
		static struct berth_trace trace;
		static uint8_t buffer[BUFFER];
		uint8_t frame[BERTH_TEXT_FRAME_BYTES];
		const struct berth_packet_text text = some_packet();
		const uint32_t bytes = berth_packet_text_build(&text, own_link, frame);
		const uint64_t before = hash_of(image);
		assert_int_equal(berth_trace_run(&trace, image, 0, frame, bytes), 0);
		assert_true(hash_of(image) == before);

		memcpy(buffer + BERTH_TRACE_HEADROOM, frame, bytes);
		struct berth_frame live = {buffer + BERTH_TRACE_HEADROOM, buffer + BERTH_TRACE_HEADROOM + bytes,
					   buffer};
		const struct berth_view view = berth_image_view(image, 0, berth_clock_s());
		struct berth_packet packet;
		uint32_t port = 0;
		const enum berth_verdict verdict = berth_forward(&view, &live, &packet, bytes, &port);
		assert_string_equal(berth_verdict_name(trace.verdict), berth_verdict_name(verdict));
		assert_int_equal(trace.packet.backend, packet.backend);
		assert_int_equal(trace.out_bytes, live.end - live.data);
		assert_memory_equal(trace.out, live.data, trace.out_bytes);
		if (verdict == BERTH_VERDICT_FLOW)
			assert_int_equal(trace.flow.backend, packet.backend);
		if (verdict == BERTH_VERDICT_SELECTED)
			assert_int_equal(trace.primary, packet.backend);
		seen[verdict]++;
		sessions += trace.session.is_found;
		rows += trace.has_row;
	}
	assert_true(seen[BERTH_VERDICT_FLOW] && seen[BERTH_VERDICT_SELECTED] && seen[BERTH_VERDICT_SESSION]);
	assert_true(seen[BERTH_VERDICT_NO_SERVICE] && seen[BERTH_VERDICT_UNTRACKED] && sessions && rows);
}

static json_t *explain(struct berthd *f, const char *packet)
{
	char arguments[256];
	snprintf(arguments, sizeof(arguments), "{\"packet\": \"%s\"}", packet);
	return run(f, "explain", arguments, BERTH_CODE_OK);
}

static void expect_text(const json_t *result, const char *key, const char *expected)
{
	const char *text = json_string_value(json_object_get(result, key));
	assert_non_null(text);
	assert_string_equal(text, expected);
}

static void the_answer_names_service_entries_row_and_backend(void **state)
{
	struct berthd *f = *state;
	bring_all_up(f);
	put(f, "198.51.100.7", "web", "b2", 30);
	json_t *result = explain(f, "tcp 198.51.100.7:4242 -> 203.0.113.10:80");
	const json_t *session = json_object_get(result, "session"), *row = json_object_get(result, "row");
	expect_text(result, "service", "web");
	expect_text(result, "verdict", "session");
	expect_text(result, "result", "forwarded");
	expect_text(result, "backend", "web/b2");
	expect_text(result, "rules", "7.10, 7.21");
	expect_text(session, "backend", "shop/b2");
	assert_in_range(json_integer_value(json_object_get(session, "idle_s")), 30, 32);
	assert_true(json_is_null(json_object_get(result, "flow")));
	assert_int_equal(json_integer_value(json_object_get(row, "rows")), 251);
	expect_text(json_object_get(result, "out"), "interface", "lo");
	/* No flow, and no flags were given: it is the first packet of one. */
	const json_t *flags = json_object_get(json_object_get(result, "packet"), "tcp_flags");
	assert_int_equal(json_array_size(flags), 1);
	assert_string_equal(json_string_value(json_array_get(flags, 0)), "syn");
	json_decref(result);

	result = explain(f, "udp 198.51.100.7:4242 -> 203.0.113.10:80");
	assert_true(json_is_null(json_object_get(result, "service")));
	expect_text(result, "verdict", "no_service");
	assert_true(json_is_null(json_object_get(result, "out")));
	json_decref(result);

	result = explain(f, "02 00 00 00 00 01");
	expect_text(result, "verdict", "bad_frame");
	assert_true(json_is_null(json_object_get(result, "packet")));
	json_decref(result);
}

static void what_is_no_packet_is_refused_with_the_reason(void **state)
{
	struct berthd *f = *state;
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"tcp", "write protocol, source, ->, destination"},
		{"tcp 198.51.100.7:1 203.0.113.10:80", "write protocol, source, ->, destination"},
		{"tcp 198.51.100.7:1 -> 203.0.113.10:80 syn ack fin rst syn", "write protocol"},
		{"gre 198.51.100.7:1 -> 203.0.113.10:80", "unknown protocol"},
		{"tcp 198.51.100.7 -> 203.0.113.10:80", "\\\"198.51.100.7\\\" is not an address with a port"},
		{"tcp 198.51.100.7:70000 -> 203.0.113.10:80", "is not an address with a port"},
		{"tcp 198.51.100.7:-1 -> 203.0.113.10:80", "is not an address with a port"},
		{"tcp 2001:db8::7:1 -> [2001:db8::10]:80", "is not an address with a port"},
		{"tcp [2001:db8::7:1 -> [2001:db8::10]:80", "is not an address with a port"},
		{"tcp []:1 -> [2001:db8::10]:80", "is not an address with a port"},
		{"tcp [2001:db8::7]:1 -> 203.0.113.10:80", "not of one family"},
		{"tcp 198.51.100.7:1 -> 203.0.113.10:80 urgent", "unknown word \\\"urgent\\\""},
		{"udp 198.51.100.7:1 -> 203.0.113.10:80 syn", "unknown word \\\"syn\\\""},
		{"icmp 198.51.100.7:1 -> 203.0.113.10", "is not an address"},
		{"", "the frame is empty"},
		{"012", "has one digit"},
		{"01 2 03", "byte 1 of the frame has one digit"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char arguments[256], says[128];
		size_t n = 0;
		snprintf(arguments, sizeof(arguments), "{\"packet\": \"%s\"}", cases[i].text);
		for (const char *at = cases[i].says; *at; at++)
			if (*at != '\\')
				says[n++] = *at;
		says[n] = '\0';
		refuse(f, "explain", arguments, BERTH_CODE_INVALID, says);
	}
	refuse(f, "explain", "{\"packet\": \"00\", \"interface\": \"eth9\"}", BERTH_CODE_NOT_FOUND, "eth9");
	char long_frame[2 * BERTH_TRACE_FRAME_BYTES + 32];
	memset(long_frame, '0', sizeof(long_frame));
	memcpy(long_frame, "{\"packet\": \"", 12);
	memcpy(long_frame + sizeof(long_frame) - 3, "\"}", 3);
	refuse(f, "explain", long_frame, BERTH_CODE_INVALID, "longer than");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_says_what_the_core_does_and_changes_nothing),
		TEST(the_answer_names_service_entries_row_and_backend),
		TEST(what_is_no_packet_is_refused_with_the_reason),
	};
	return cmocka_run_group_tests_name("explain", tests, NULL, NULL);
}
