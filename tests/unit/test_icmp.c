// SPDX-License-Identifier: BSD-3-Clause
/* parse.h, steer.h: ICMP errors, which go to the backend of the flow that they are about. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/edge.h"
#include "tests/unit/steering.h"
#include "tests/unit/wire.h"

#define ROUTER4 "198.18.0.1"
#define ROUTER6 "2001:db8:f::1"

#define NONE BERTH_NO_VERDICT
#define BAD_ICMP BERTH_VERDICT_BAD_ICMP
#define NOT_TRANSPORT BERTH_VERDICT_NOT_TRANSPORT
#define ICMP_ERROR BERTH_VERDICT_ICMP_ERROR

enum {
	FLOW_TCP6 = SERVICES, /* backends 13, 14, 15 */
};

static const struct fixture_packet to_flow_tcp6 = {
	.src = "2001:db8:2::7", .dst = "2001:db8:1::10", .sport = 1025, .dport = 80, .protocol = 6};

static int set_up_icmp(void **state)
{
	set_up(state);
	add_service(FLOW_TCP6, &to_flow_tcp6, BERTH_AFFINITY_FLOW);
	return 0;
}

static const struct fixture_packet *flow_to(uint32_t service)
{
	return service == FLOW_TCP6 ? &to_flow_tcp6 : &to_service[service];
}

/* What a router sends that could not pass on what the service's backend answered to a client's packet. */
static struct wire_error error_about(const struct fixture_packet *packet)
{
	bool is6 = strchr(packet->dst, ':') != NULL;
	struct wire_error error = {
		.outer = {.src = is6 ? ROUTER6 : ROUTER4, .dst = packet->dst},
		.quoted = wire_reply(*packet),
		.type = is6 ? BERTH_ICMP6_PACKET_TOO_BIG : BERTH_ICMP_UNREACHABLE,
		.code = is6 ? 0 : BERTH_ICMP_FRAGMENTATION_NEEDED,
		.rest = 1400,
	};
	error.quoted.payload = 24;
	return error;
}

static enum berth_verdict parse_error(const struct wire_error *error, struct berth_packet *packet)
{
	struct fixture_frame frame;
	wire_build_error(&frame, error);
	return parse_at_edge(frame.frame.data, frame.bytes, packet);
}

static void check_verdict(const char *name, enum berth_verdict got, enum berth_verdict expected)
{
	if (got != expected)
		fail_msg("%s: %s, not %s", name, fixture_verdict_name(got), fixture_verdict_name(expected));
}

/* Extension headers and options outside and inside. */
static const uint8_t long_ext[] = {BERTH_PROTO_HOP_BY_HOP, BERTH_PROTO_ROUTING, BERTH_PROTO_DEST_OPTIONS,
				   FIXTURE_EXT_END};
static const uint8_t short_ext[] = {BERTH_PROTO_DEST_OPTIONS, FIXTURE_EXT_END};

static void an_error_becomes_a_packet_of_the_flow_that_it_is_about(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 3 * 2 * 3 * 3; i++) {
		const struct fixture_packet *flow = flow_to(i % 3 == 0	 ? FLOW_TCP
							    : i % 3 == 1 ? FLOW_UDP
									 : FLOW_TCP6);
		struct wire_error error = error_about(flow);
		uint32_t outer = i / 3 % 2, inner = i / 6 % 3;
		struct fixture_frame frame;
		struct berth_packet packet;
		error.outer.tags = (uint8_t)(i / 18);
		error.outer.options = outer ? 10 : 0;
		error.outer.ext = outer ? long_ext : NULL;
		error.outer.traffic_class = 0xc0;
		error.outer.trailer = 3;
		error.quoted.options = (uint8_t)(inner * 5);
		error.quoted.ext = inner == 0 ? NULL : inner == 1 ? short_ext : long_ext;
		error.quoted.tcp_flags = SYN | FIN | RST;
		wire_build_error(&frame, &error);
		assert_int_equal(parse_at_edge(frame.frame.data, frame.bytes, &packet), NONE);
		union berth_addr client = fixture_addr(flow->src), service = fixture_addr(flow->dst);
		assert_memory_equal(&packet.src, &client, 16);
		assert_memory_equal(&packet.dst, &service, 16);
		assert_int_equal(berth_from_be16(packet.sport), flow->sport);
		assert_int_equal(berth_from_be16(packet.dport), flow->dport);
		assert_int_equal(packet.protocol, flow->protocol);
		assert_int_equal(packet.traits, BERTH_ERROR);
		assert_int_equal(packet.tcp_flags, 0); /* those inside are the backend's */
		assert_int_equal(packet.network, frame.network);
		assert_int_equal(packet.transport, frame.transport);
		assert_int_equal(packet.length, frame.bytes - frame.network - 3);
		assert_int_equal(packet.traffic_class, 0xc0);
	}
}

/* Every type of either family: source quench and redirects are no loss, echo is nobody's flow. */
static void only_the_errors_that_tell_of_a_loss_are_taken(void **state)
{
	(void)state;
	for (uint32_t type = 0; type < 256; type++) {
		for (uint32_t code = 0; code < 256; code += 51) {
			struct wire_error error = error_about(&to_service[FLOW_TCP]);
			struct berth_packet packet;
			error.type = (uint8_t)type;
			error.code = (uint8_t)code;
			check_verdict("ICMP", parse_error(&error, &packet),
				      type == 3 || type == 11 || type == 12 ? NONE : NOT_TRANSPORT);
			error = error_about(&to_flow_tcp6);
			error.type = (uint8_t)type;
			error.code = (uint8_t)code;
			check_verdict("ICMPv6", parse_error(&error, &packet),
				      type >= 1 && type <= 4 ? NONE : NOT_TRANSPORT);
		}
	}
}

/* ICMP in IPv6 and ICMPv6 in IPv4 are nothing. */
static void icmp_of_the_other_family_is_not_looked_at(void **state)
{
	(void)state;
	for (uint32_t is6 = 0; is6 < 2; is6++) {
		struct wire_error error = error_about(flow_to(is6 ? FLOW_TCP6 : FLOW_TCP));
		struct fixture_frame frame;
		struct berth_packet packet;
		error.type = 3;
		wire_build_error(&frame, &error);
		frame.frame.data[frame.network + (is6 ? 6 : 9)] = is6 ? BERTH_PROTO_ICMP : BERTH_PROTO_ICMP6;
		check_verdict("other family", parse_at_edge(frame.frame.data, frame.bytes, &packet), NOT_TRANSPORT);
	}
}

/* The error ends after each byte, as its IP header says, and quotes so much or so little. */
static void an_error_must_quote_all_headers_and_eight_bytes(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 2 * 3; i++) {
		bool is6 = i % 2;
		struct wire_error error = error_about(flow_to(is6 ? FLOW_TCP6 : FLOW_UDP));
		struct berth_packet packet;
		uint32_t headers = is6 ? 40 : 20;
		if (i / 2 == 1) {
			error.quoted.options = 10;
			error.quoted.ext = short_ext;
			headers += is6 ? 8 : 40;
		} else if (i / 2 == 2) {
			error.quoted.options = 1;
			error.quoted.ext = long_ext;
			headers += is6 ? 24 : 4;
		}
		struct fixture_frame frame;
		wire_build_error(&frame, &error);
		uint8_t *ip = frame.frame.data + frame.network;
		for (uint32_t icmp = 0; icmp <= frame.bytes - frame.transport; icmp++) {
			enum berth_verdict expected = icmp < 8		       ? NOT_TRANSPORT
						      : icmp < 8 + headers + 8 ? BAD_ICMP
									       : NONE;
			fixture_put16(ip + (is6 ? 4 : 2), is6 ? icmp : 20 + icmp);
			check_verdict("cut", parse_at_edge(frame.frame.data, frame.transport + icmp, &packet),
				      expected);
			/* The same where the frame goes on, as padding. */
			check_verdict("short", parse_at_edge(frame.frame.data, frame.bytes, &packet), expected);
		}
	}
}

/* The rest of the frame is in another buffer. */
static void an_error_that_goes_on_in_another_buffer_is_bad(void **state)
{
	(void)state;
	for (uint32_t is6 = 0; is6 < 2; is6++) {
		struct wire_error error = error_about(flow_to(is6 ? FLOW_TCP6 : FLOW_TCP));
		struct fixture_frame frame;
		struct berth_packet packet;
		wire_build_error(&frame, &error);
		uint32_t needed = frame.transport + 8 + (is6 ? 40 : 20) + 8;
		for (uint32_t there = frame.transport + 8; there <= frame.bytes; there++)
			check_verdict("piece", parse_piece(frame.frame.data, there, frame.bytes, &packet),
				      there < needed ? BAD_ICMP : NONE);
	}
}

/* What may be wrong with the packet inside; an offset counts from its IP header. */
struct fault {
	const char *name;
	bool is6;
	uint8_t at;
	uint8_t bytes;
	uint16_t value;
	uint16_t quoted; /* bytes; 0: all */
	enum berth_verdict verdict;
};

static const struct fault faults[] = {
	{"IPv6 in ICMP", false, 0, 1, 0x60, 0, BAD_ICMP},
	{"IPv4 in ICMPv6", true, 0, 1, 0x45, 0, BAD_ICMP},
	{"version 0", false, 0, 1, 0x05, 0, BAD_ICMP},
	{"IHL 4", false, 0, 1, 0x44, 0, BAD_ICMP},
	{"IHL 0", false, 0, 1, 0x40, 0, BAD_ICMP},
	{"IHL past the end", false, 0, 1, 0x4f, 0, BAD_ICMP},
	{"IHL to the last 8 bytes", false, 0, 1, 0x4e, 0, NONE},
	/* Whose backend never had it: it is not told of it. */
	{"source is not who is told", false, 15, 1, 11, 0, BAD_ICMP},
	{"source is not who is told, in IPv6", true, 23, 1, 0x11, 0, BAD_ICMP},
	{"source is not who is told, in its first byte", true, 8, 1, 0x21, 0, BAD_ICMP},
	/* An error about an error, and about what has no flow. */
	{"about ICMP", false, 9, 1, 1, 0, NOT_TRANSPORT},
	{"about ICMPv6", true, 6, 1, 58, 0, NOT_TRANSPORT},
	{"about ESP", true, 6, 1, 50, 0, NOT_TRANSPORT},
	{"about protocol 0", false, 9, 1, 0, 0, NOT_TRANSPORT},
	{"about IPv6 in IPv4", false, 9, 1, 41, 0, NOT_TRANSPORT},
	{"about no next header", true, 6, 1, 59, 0, NOT_TRANSPORT},
	{"about a first fragment", false, 6, 2, 0x2000, 0, NONE},
	{"about a middle fragment", false, 6, 2, 0x2010, 0, NOT_TRANSPORT},
	{"about a last fragment", false, 6, 2, 0x0010, 0, NOT_TRANSPORT},
	{"about a packet that must not be fragmented", false, 6, 2, 0x4000, 0, NONE},
	/* Its own lengths are not looked at, nor its TTL or checksum: routers change them before they quote. */
	{"total length 0", false, 2, 2, 0, 0, NONE},
	{"total length 65535", false, 2, 2, 65535, 0, NONE},
	{"payload 0", true, 4, 2, 0, 0, NONE},
	{"payload 65535", true, 4, 2, 65535, 0, NONE},
	{"TTL 0", false, 8, 1, 0, 0, NONE},
	{"hop limit 0", true, 7, 1, 0, 0, NONE},
	{"wrong checksum", false, 10, 2, 0xdead, 0, NONE},
	{"TCP's data offset 0", false, 32, 1, 0, 0, NONE},
	{"8 bytes of TCP, as RFC 792 has it", false, 8, 1, 1, 28, NONE},
	{"8 bytes of TCP in IPv6", true, 7, 1, 1, 48, NONE},
};

static void what_an_error_quotes_must_be_a_packet_of_a_flow(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(faults); i++) {
		const struct fault *fault = &faults[i];
		struct wire_error error = error_about(flow_to(fault->is6 ? FLOW_TCP6 : FLOW_TCP));
		struct fixture_frame frame;
		struct berth_packet packet;
		error.bytes = fault->quoted;
		wire_build_error(&frame, &error);
		uint8_t *at = frame.frame.data + frame.transport + 8 + fault->at;
		if (fault->bytes == 1)
			*at = (uint8_t)fault->value;
		else
			fixture_put16(at, fault->value);
		check_verdict(fault->name, parse_at_edge(frame.frame.data, frame.bytes, &packet), fault->verdict);
	}
}

/* Less than 8 bytes behind the headers inside are bad, whatever they are of, a later fragment or not. */
static void too_little_behind_the_inner_headers_is_bad_where_ports_are_looked_for(void **state)
{
	(void)state;
	static const uint8_t protocols[] = {1, 6, 17, 50, 58, 59, 255};
	static const uint8_t ext[] = {BERTH_PROTO_FRAGMENT, FIXTURE_EXT_END};
	for (uint32_t i = 0; i < COUNT(protocols) * 4; i++) {
		bool is6 = i % 2, is_later = i / 2 % 2;
		struct wire_error error = error_about(flow_to(is6 ? FLOW_TCP6 : FLOW_TCP));
		struct fixture_frame frame;
		struct berth_packet packet;
		error.quoted.ext = ext;
		error.quoted.ext_fragment = is_later ? 0x10 : 0;
		error.quoted.fragment = is_later ? 0x02 : 0;
		error.bytes = is6 ? 48 + 7 : 20 + 7;
		wire_build_error(&frame, &error);
		frame.frame.data[frame.transport + 8 + (is6 ? 40 : 9)] = protocols[i / 4];
		bool has_ports = !is_later && (protocols[i / 4] == 6 || protocols[i / 4] == 17);
		check_verdict("7 bytes", parse_at_edge(frame.frame.data, frame.bytes, &packet),
			      has_ports ? BAD_ICMP : NOT_TRANSPORT);
	}
}

static void extension_headers_inside_are_walked_as_outside(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		uint8_t ext[12];
		uint16_t fragment;
		uint8_t length;
		enum berth_verdict verdict;
	} cases[] = {
		{"one", {60, FIXTURE_EXT_END}, 0, 0, NONE},
		{"eight", {0, 60, 43, 60, 43, 60, 0, 60, FIXTURE_EXT_END}, 0, 0, NONE},
		{"nine", {0, 60, 43, 60, 43, 60, 0, 60, 60, FIXTURE_EXT_END}, 0, 0, BAD_ICMP},
		{"atomic fragment", {44, FIXTURE_EXT_END}, 0, 0, NONE},
		{"first fragment", {60, 44, FIXTURE_EXT_END}, 1, 0, NONE},
		{"two fragment headers", {44, 44, FIXTURE_EXT_END}, 1, 0, BAD_ICMP},
		{"later fragment", {44, FIXTURE_EXT_END}, 0x100, 0, NOT_TRANSPORT},
		{"later fragment, more behind", {44, 60, FIXTURE_EXT_END}, 0x101, 0, NOT_TRANSPORT},
		{"long", {60, 60, FIXTURE_EXT_END}, 0, 50, NONE},
		{"too long", {60, 60, FIXTURE_EXT_END}, 0, 60, BAD_ICMP},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct wire_error error = error_about(&to_flow_tcp6);
		struct berth_packet packet;
		error.quoted.ext = cases[i].ext;
		error.quoted.ext_fragment = cases[i].fragment;
		error.quoted.ext_length = cases[i].length;
		check_verdict(cases[i].name, parse_error(&error, &packet), cases[i].verdict);
	}
}

static void a_fragmented_error_is_none(void **state)
{
	(void)state;
	static const uint8_t ext[] = {BERTH_PROTO_FRAGMENT, FIXTURE_EXT_END};
	static const uint16_t fragment[] = {0x2000, 0x2008, 0x0008}; /* first, middle, last */
	for (uint32_t i = 0; i < 3; i++) {
		struct wire_error error = error_about(&to_service[FLOW_TCP]);
		struct berth_packet packet;
		error.quoted.payload = 16; /* of whole 8 bytes */
		error.outer.fragment = fragment[i];
		error.bytes = 48;
		check_verdict("ICMP", parse_error(&error, &packet), NOT_TRANSPORT);
		error = error_about(&to_flow_tcp6);
		error.outer.ext = ext;
		error.outer.ext_fragment = (uint16_t)(fragment[i] * 8 | fragment[i] >> 13);
		error.bytes = 64;
		check_verdict("ICMPv6", parse_error(&error, &packet), NOT_TRANSPORT);
	}
}

/* Sends an error about a packet of a client of this service; `steered` is what became of it. */
static enum berth_verdict steer_error(const struct fixture_packet *packet, uint32_t worker, uint32_t now)
{
	struct berth_view view = berth_image_view(&image, worker, now);
	struct wire_error error = error_about(packet);
	struct fixture_frame frame;
	wire_build_error(&frame, &error);
	enum berth_verdict verdict = berth_receive(&view, &frame.frame, &steered, frame.bytes);
	return verdict == BERTH_NO_VERDICT ? berth_steer(&view, &steered) : verdict;
}

static enum berth_verdict begin_flow(const struct fixture_packet *from, uint16_t sport)
{
	struct fixture_packet packet = *from;
	packet.sport = sport;
	packet.tcp_flags = packet.protocol == BERTH_PROTO_TCP ? SYN : 0;
	return steer_packet(&packet, FIXTURE_NOW);
}

static const uint32_t all[] = {FLOW_TCP, FLOW_UDP, CLIENT_TCP, CLIENT_UDP6, FLOW_TCP6};

/* cilium#34380, #19720, katran 06b5b4ac: to the wrong backend, or node. */
static void an_error_follows_its_flow_on_every_worker(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(all); i++) {
		uint32_t service = all[i], backend = service * 3 - 2;
		begin_flow(flow_to(service), 1025);
		prefer(service, (uint16_t)(backend + 1), 0);
		for (uint32_t worker = 0; worker < 2; worker++)
			assert_steered(steer_error(flow_to(service), worker, FIXTURE_NOW), ICMP_ERROR, backend);
		/* Another flow of the same client is selected where there is no session. */
		struct fixture_packet other = *flow_to(service);
		other.sport = 1026;
		bool client = service == CLIENT_TCP || service == CLIENT_UDP6;
		assert_steered(steer_error(&other, 1, FIXTURE_NOW), ICMP_ERROR, client ? backend : backend + 1);
	}
}

/* By table where the flow has its backend, by session, by selection. */
static void an_error_goes_where_its_flow_would_begin_anew(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		uint32_t service;
		uint32_t later;
		uint8_t admits; /* of the first backend, where the flow is */
		uint32_t moved; /* backends further */
	} cases[] = {
		{"running", FLOW_TCP, 10, BERTH_ADMIT_ALL, 0},
		{"expired", FLOW_TCP, 11, BERTH_ADMIT_ALL, 1},
		{"draining", FLOW_TCP, 0, BERTH_ADMIT_FLOWS | BERTH_ADMIT_SESSIONS, 0},
		{"flows alone", FLOW_TCP, 0, BERTH_ADMIT_FLOWS, 0},
		{"down", FLOW_TCP, 0, 0, 1},
		{"expired, in IPv6", FLOW_TCP6, 11, BERTH_ADMIT_ALL, 1},
		{"expired, of a client", CLIENT_TCP, 11, BERTH_ADMIT_ALL, 0},
		{"expired, of a client, flows alone", CLIENT_TCP, 11, BERTH_ADMIT_FLOWS, 1},
		{"its session expired too", CLIENT_TCP, 10801, BERTH_ADMIT_ALL, 1},
		{"of a client, down", CLIENT_UDP6, 0, 0, 1},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint32_t service = cases[i].service;
		uint16_t first = (uint16_t)(service * 3 - 2);
		clear_tables();
		prefer(service, first, 0);
		begin_flow(flow_to(service), 1025);
		prefer(service, (uint16_t)(first + 1), 0);
		fixture_admit(&image, first, cases[i].admits);
		enum berth_verdict verdict = steer_error(flow_to(service), 1, FIXTURE_NOW + cases[i].later);
		if (verdict != ICMP_ERROR || steered.backend != first + cases[i].moved)
			fail_msg("%s: %s to %u", cases[i].name, fixture_verdict_name(verdict), steered.backend);
		fixture_admit(&image, first, BERTH_ADMIT_ALL);
	}
}

static void an_error_of_no_backend_is_dropped(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(all); i++) {
		fixture_service_at(&image, all[i])->rows = 0;
		assert_int_equal(steer_error(flow_to(all[i]), 1, FIXTURE_NOW), BERTH_VERDICT_NO_BACKEND);
	}
}

/* Whoever sends errors could fill the tables, or keep what is dead alive. */
static void an_error_writes_nothing(void **state)
{
	(void)state;
	struct berth_bucket flows[16], sessions[16];
	for (uint32_t i = 0; i < COUNT(all) * 6; i++) {
		uint32_t service = all[i / 6];
		static const uint32_t later[] = {0, 5, 11, 10801};
		clear_tables();
		if (i % 6 < 4)
			begin_flow(flow_to(service), 1025);
		if (i % 6 == 5) /* another flow, of the same client */
			begin_flow(flow_to(service), 1026);
		uint64_t added = event_count(BERTH_EVENT_FLOW_ADDED),
			 begun = event_count(BERTH_EVENT_SESSION_ADDED);
		memcpy(flows, image.flows, sizeof(flows));
		memcpy(sessions, image.sessions, sizeof(sessions));
		assert_int_equal(steer_error(flow_to(service), 1, FIXTURE_NOW + (i % 6 < 4 ? later[i % 6] : 5)),
				 ICMP_ERROR);
		assert_memory_equal(image.flows, flows, sizeof(flows));
		assert_memory_equal(image.sessions, sessions, sizeof(sessions));
		assert_int_equal(event_count(BERTH_EVENT_FLOW_ADDED), added);
		assert_int_equal(event_count(BERTH_EVENT_SESSION_ADDED), begun);
	}
}

/* Nor does it finish what a worker left half-done. */
static void an_error_leaves_claims_as_they_are(void **state)
{
	(void)state;
	begin_flow(flow_to(CLIENT_TCP), 1025);
	*flow_word() &= ~(uint64_t)BERTH_STATE_MASK;
	*session_word() &= ~(uint64_t)BERTH_STATE_MASK;
	uint64_t flow = *flow_word(), session = *session_word();
	struct fixture_packet other = *flow_to(CLIENT_TCP);
	other.sport = 1026;
	steer_error(flow_to(CLIENT_TCP), 1, FIXTURE_NOW);
	assert_int_equal(*flow_word(), flow);
	steer_error(&other, 1, FIXTURE_NOW);
	assert_int_equal(*session_word(), session);
}

/* It is about what the service sent, and that may have gone to whoever: no verdict on the client's address. */
static void the_client_of_an_error_may_have_any_address(void **state)
{
	(void)state;
	static const char *const clients[] = {"127.0.0.1", "0.0.0.0", "224.0.0.1", "203.0.113.10"};
	for (size_t i = 0; i < COUNT(clients); i++) {
		struct fixture_packet packet = to_service[FLOW_TCP];
		packet.src = clients[i];
		assert_steered(steer_error(&packet, 1, FIXTURE_NOW), ICMP_ERROR, 1);
	}
}

static void an_error_about_no_service_is_the_kernels(void **state)
{
	(void)state;
	struct berth_view view = fixture_view(&image, FIXTURE_NOW);
	for (uint32_t is6 = 0; is6 < 2; is6++) {
		struct fixture_packet packet = *flow_to(is6 ? FLOW_TCP6 : FLOW_TCP);
		struct fixture_frame frame;
		packet.dport = 81;
		assert_int_equal(steer_error(&packet, 1, FIXTURE_NOW), BERTH_VERDICT_NO_SERVICE);
		/* A bad one is dropped where it is for a service's address alone. */
		for (uint32_t ours = 0; ours < 2; ours++) {
			if (!ours)
				packet.dst = is6 ? "2001:db8:1::99" : "203.0.113.99";
			else
				packet.dst = flow_to(is6 ? FLOW_TCP6 : FLOW_TCP)->dst;
			struct wire_error error = error_about(&packet);
			error.bytes = 12;
			wire_build_error(&frame, &error);
			assert_int_equal(berth_receive(&view, &frame.frame, &steered, frame.bytes),
					 ours ? BAD_ICMP : BERTH_VERDICT_NO_SERVICE);
		}
	}
}

/* The whole message, unchanged but for its hop, goes the way of any packet. */
static void an_error_is_sent_as_its_backends_mode_says(void **state)
{
	(void)state;
	struct berth_view view = fixture_view(&image, FIXTURE_NOW);
	for (uint32_t i = 0; i < 4; i++) {
		uint32_t service = i % 2 ? FLOW_TCP6 : FLOW_TCP, port = 9;
		struct wire_error error = error_about(flow_to(service));
		struct fixture_frame frame;
		uint8_t before[FIXTURE_ROOM];
		fixture_backend(&image, service * 3 - 2, service, i / 2 ? BERTH_MODE_IPIP : BERTH_MODE_L2,
				"192.0.2.1");
		wire_build_error(&frame, &error);
		uint32_t icmp = frame.bytes - frame.transport;
		memcpy(before, frame.frame.data + frame.transport, icmp);
		assert_int_equal(berth_forward(&view, &frame.frame, frame.bytes, &port), ICMP_ERROR);
		assert_int_equal(frame.frame.end - frame.frame.data, frame.bytes + (i / 2 ? 20 : 0));
		assert_memory_equal(frame.frame.end - icmp, before, icmp);
	}
}

/* RFC 1122 section 3.2.2: no error about an error. */
static void an_error_is_never_answered(void **state)
{
	(void)state;
	struct berth_view view = fixture_view(&image, FIXTURE_NOW);
	for (uint32_t i = 0; i < 4; i++) {
		uint32_t service = i % 2 ? FLOW_TCP6 : FLOW_TCP, port = 9;
		struct wire_error error = error_about(flow_to(service));
		struct fixture_frame frame;
		uint8_t before[FIXTURE_ROOM];
		wire_build_error(&frame, &error);
		if (i / 2)
			frame.frame.data[frame.network + (i % 2 ? 7 : 8)] = 1;
		else
			fixture_backend_at(&image, service * 3 - 2)->mtu = 90;
		memcpy(before, frame.frame.data, frame.bytes);
		if (!(i / 2) && i % 2 == 0)
			fixture_backend_at(&image, service * 3 - 2)->mtu = 80;
		assert_int_equal(berth_forward(&view, &frame.frame, frame.bytes, &port),
				 i / 2 ? BERTH_VERDICT_EXPIRED : BERTH_VERDICT_TOO_BIG);
		assert_memory_equal(frame.frame.data, before, frame.bytes);
	}
}

#define ICMP_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_icmp, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_error_becomes_a_packet_of_the_flow_that_it_is_about),
		cmocka_unit_test(only_the_errors_that_tell_of_a_loss_are_taken),
		cmocka_unit_test(icmp_of_the_other_family_is_not_looked_at),
		cmocka_unit_test(an_error_must_quote_all_headers_and_eight_bytes),
		cmocka_unit_test(an_error_that_goes_on_in_another_buffer_is_bad),
		cmocka_unit_test(what_an_error_quotes_must_be_a_packet_of_a_flow),
		cmocka_unit_test(too_little_behind_the_inner_headers_is_bad_where_ports_are_looked_for),
		cmocka_unit_test(extension_headers_inside_are_walked_as_outside),
		cmocka_unit_test(a_fragmented_error_is_none),
		ICMP_TEST(an_error_follows_its_flow_on_every_worker),
		ICMP_TEST(an_error_goes_where_its_flow_would_begin_anew),
		ICMP_TEST(an_error_of_no_backend_is_dropped),
		ICMP_TEST(an_error_writes_nothing),
		ICMP_TEST(an_error_leaves_claims_as_they_are),
		ICMP_TEST(the_client_of_an_error_may_have_any_address),
		ICMP_TEST(an_error_about_no_service_is_the_kernels),
		ICMP_TEST(an_error_is_sent_as_its_backends_mode_says),
		ICMP_TEST(an_error_is_never_answered),
	};
	return cmocka_run_group_tests_name("icmp", tests, map_pages, unmap_pages);
}
