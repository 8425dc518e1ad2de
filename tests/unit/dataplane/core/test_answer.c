// SPDX-License-Identifier: BSD-3-Clause
/* answer.h: ICMP errors and RSTs of berth, byte by byte, and packets that get none. */

#include "tests/support/count.h"
#include "tests/support/icmp.h"
#include "tests/support/image.h"
#include "tests/support/send.h"
#include "tests/support/unit.h"
#include "tests/unit/dataplane/core/steering.h"

#define TOO_BIG BERTH_VERDICT_TOO_BIG
#define EXPIRED BERTH_VERDICT_TTL_EXPIRED
#define ANSWERED_TOO_BIG BERTH_VERDICT_ANSWERED_TOO_BIG
#define ANSWERED_TTL_EXPIRED BERTH_VERDICT_ANSWERED_TTL_EXPIRED

enum {
	SERVICE4 = FLOW_UDP,
	SERVICE6 = CLIENT_UDP6,
	WORKER = 1,
};

static uint32_t service_of(bool is6)
{
	return is6 ? SERVICE6 : SERVICE4;
}

/* Sets up the backend that all packets go to. */
static struct berth_backend *backend_of(bool is6, enum berth_mode mode, const char *address)
{
	uint32_t service = service_of(is6);
	return fixture_backend(&image, service * 3 - 2, service, mode, address);
}

/* A packet on its last hop, or with a TTL that lets it pass. */
static void build(struct fixture_frame *frame, const struct fixture_packet *packet, bool is_last)
{
	wire_build(frame, packet);
	uint8_t *ip = frame->frame.data + frame->network;
	ip[ip[0] >> 4 == 4 ? 8 : 7] = is_last ? 1 : 2;
}

static enum berth_verdict forward_at(struct fixture_frame *frame, uint32_t worker, uint32_t now)
{
	struct berth_view view = berth_image_view(&image, worker, now);
	uint32_t port;
	return berth_forward(&view, &frame->frame, &(struct berth_packet){0}, frame->bytes, &port);
}

static enum berth_verdict forward(struct fixture_frame *frame)
{
	return forward_at(frame, WORKER, FIXTURE_NOW);
}

/* Sends a frame that is answered; `mtu`: in the answer, 0 for an expired TTL. */
static void check_answered(struct fixture_frame *frame, uint32_t mtu)
{
	uint8_t before[FIXTURE_ROOM], expected[FIXTURE_ROOM + 64];
	uint32_t held = (uint32_t)(frame->frame.end - frame->frame.data) - frame->network;
	memcpy(before, frame->frame.data, frame->network + held);
	const uint8_t *ip = before + frame->network;
	union berth_addr from = fixture_addr("0.0.0.0");
	if (ip[0] >> 4 == 4)
		memcpy(&from.byte[12], ip + 16, 4);
	else
		memcpy(&from, ip + 24, 16);
	uint32_t bytes = wire_icmp_answer(expected, before, frame->network, held, &from, mtu);
	/* One second apart: the rate limit does not apply. */
	static uint32_t now = FIXTURE_NOW;
	enum berth_verdict verdict = forward_at(frame, WORKER, now++);
	if (verdict != (mtu ? ANSWERED_TOO_BIG : ANSWERED_TTL_EXPIRED))
		fail_msg("%s", fixture_verdict_name(verdict));
	assert_int_equal(frame->frame.end - frame->frame.data, bytes);
	assert_memory_equal(frame->frame.data, expected, bytes);
}

static void an_expired_packet_is_answered_with_time_exceeded(void **state)
{
	(void)state;
	static const uint8_t ext[] = {BERTH_PROTO_HOP_BY_HOP, FIXTURE_EXT_END};
	for (uint32_t i = 0; i < 2 * 3 * 80; i++) {
		bool is6 = i % 2;
		struct fixture_packet packet = to_service[service_of(is6)];
		struct fixture_frame frame;
		packet.tags = (uint8_t)(i / 2 % 3);
		packet.payload = (uint16_t)(i / 6);
		packet.traffic_class = (uint8_t)i;
		packet.options = (uint8_t)(i % 7);
		packet.ext = i % 5 ? NULL : ext;
		packet.trailer = (uint16_t)(i % 11);
		build(&frame, &packet, true);
		if (i % 4 < 2)
			frame.frame.data[frame.network + (is6 ? 7 : 8)] = 0;
		check_answered(&frame, 0);
	}
}

/* RFC 1191, RFC 4443: in each mode, the path MTU minus the overhead. */
static void a_packet_that_is_too_big_is_answered_with_what_fits(void **state)
{
	(void)state;
	static const struct {
		enum berth_mode mode;
		const char *address;
		uint16_t extra;
	} modes[] = {
		{BERTH_MODE_L2, "192.0.2.1", 0},    {BERTH_MODE_NAT, "192.0.2.1", 0},
		{BERTH_MODE_IPIP, "192.0.2.1", 20}, {BERTH_MODE_IPIP, "2001:db8:3::1", 40},
		{BERTH_MODE_GUE, "192.0.2.1", 28},  {BERTH_MODE_GUE, "2001:db8:3::1", 48},
	};
	static const uint16_t mtus[] = {1500, 1280, 576, 120};
	for (uint32_t i = 0; i < COUNT(modes) * COUNT(mtus) * 2 * 3; i++) {
		bool is6 = i % 2;
		uint16_t mtu = mtus[i / 6 % COUNT(mtus)], extra = modes[i / 6 / COUNT(mtus)].extra;
		struct fixture_packet packet = to_service[service_of(is6)];
		struct fixture_frame frame;
		backend_of(is6, modes[i / 6 / COUNT(mtus)].mode, modes[i / 6 / COUNT(mtus)].address)->mtu = mtu;
		packet.tags = (uint8_t)(i / 2 % 3);
		packet.payload = (uint16_t)(mtu - extra + 1 - 8 - (is6 ? 40 : 20));
		/* With and without DF: berth's own fragments would have no ports here. */
		packet.fragment = i % 3 ? 0x4000 : 0;
		build(&frame, &packet, false);
		check_answered(&frame, (uint32_t)mtu - extra);
		packet.payload--;
		build(&frame, &packet, false);
		assert_int_equal(BERTH_VERDICT_CLASS(forward(&frame)), BERTH_CLASS_FORWARD);
	}
}

/* In whole words, up to 576 and 1,280 bytes; padding is not the packet's. */
static void an_answer_quotes_as_much_as_is_permitted(void **state)
{
	(void)state;
	static const struct {
		uint32_t length; /* of the packet */
		uint32_t answer; /* from its IP header on */
	} cases[2][12] = {
		{{28, 28 + 28},
		 {29, 28 + 28},
		 {31, 28 + 28},
		 {32, 28 + 32},
		 {547, 28 + 544},
		 {548, 576},
		 {549, 576},
		 {552, 576},
		 {576, 576},
		 {1280, 576},
		 {1499, 576},
		 {1500, 576}},
		{{48, 48 + 48},
		 {51, 48 + 48},
		 {52, 48 + 52},
		 {1230, 48 + 1228},
		 {1231, 48 + 1228},
		 {1232, 1280},
		 {1233, 1280},
		 {1236, 1280},
		 {1280, 1280},
		 {1281, 1280},
		 {1499, 1280},
		 {1500, 1280}},
	};
	for (uint32_t i = 0; i < 2 * 12; i++) {
		bool is6 = i % 2;
		struct fixture_packet packet = to_service[service_of(is6)];
		struct fixture_frame frame;
		packet.payload = (uint16_t)(cases[is6][i / 2].length - 8 - (is6 ? 40 : 20));
		packet.trailer = 20;
		build(&frame, &packet, true);
		check_answered(&frame, 0);
		assert_int_equal(frame.frame.end - frame.frame.data - frame.network, cases[is6][i / 2].answer);
	}
}

/* The rest of the packet is in further buffers. */
static void an_answer_quotes_contiguous_bytes_only(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 2 * 40; i++) {
		bool is6 = i % 2;
		struct fixture_packet packet = to_service[service_of(is6)];
		struct fixture_frame frame;
		packet.payload = 400;
		build(&frame, &packet, true);
		frame.frame.end = frame.frame.data + frame.transport + 8 + i / 2;
		check_answered(&frame, 0);
		/* Too big by its total length. */
		build(&frame, &packet, false);
		frame.frame.end = frame.frame.data + frame.transport + 8 + i / 2;
		backend_of(is6, BERTH_MODE_L2, "192.0.2.1")->mtu = 300;
		check_answered(&frame, 300);
	}
}

/* Sums of every kind, those that carry twice among them. */
static void the_checksum_of_an_answer_is_valid_for_every_quote(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 2 * 2000; i++) {
		bool is6 = i % 2;
		struct fixture_packet packet = to_service[service_of(is6)];
		struct fixture_frame frame;
		packet.payload = (uint16_t)(i % 1300);
		build(&frame, &packet, true);
		uint8_t *data = frame.frame.data + frame.transport + 8;
		if (i % 3 == 0)
			memset(data, 0xff, packet.payload);
		else if (packet.payload > 1)
			fixture_put16(data, i * 16);
		check_answered(&frame, 0);
	}
}

static void a_first_fragment_is_answered(void **state)
{
	(void)state;
	static const uint8_t ext[] = {BERTH_PROTO_FRAGMENT, FIXTURE_EXT_END};
	for (uint32_t i = 0; i < 2; i++) {
		struct fixture_packet packet = to_service[service_of(i)];
		struct fixture_frame frame;
		packet.payload = 56;
		packet.fragment = 0x2000;
		packet.ext = ext;
		packet.ext_fragment = 1;
		fixture_build(&frame, &packet);
		frame.frame.data[frame.network + (i ? 7 : 8)] = 1;
		check_answered(&frame, 0);
	}
}

struct silent {
	const char *name;
	bool is6;
	const char *src;
};

static const struct silent silents[] = {
	{"from 0/8", false, "0.1.2.3"},
	{"from 127/8", false, "127.0.0.1"},
	{"from a group", false, "224.0.0.5"},
	{"from all", false, "255.255.255.255"},
	{"from its destination", false, "203.0.113.10"},
	{"unspecified source", true, "::"},
	{"from itself", true, "::1"},
	{"from a group in IPv6", true, "ff02::1"},
	{"from its destination in IPv6", true, "2001:db8:1::20"},
};

/* RFC 1122 section 3.2.2, RFC 4443 section 2.4 (e). */
static void packets_that_must_not_be_answered_are_dropped(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(silents) * 2; i++) {
		const struct silent *silent = &silents[i / 2];
		bool is_last = i % 2;
		struct fixture_packet packet = to_service[service_of(silent->is6)];
		struct fixture_frame frame;
		uint8_t before[FIXTURE_ROOM];
		packet.payload = is_last ? 10 : 1481;
		packet.src = silent->src;
		build(&frame, &packet, is_last);
		memcpy(before, frame.frame.data, frame.bytes);
		enum berth_verdict verdict = forward(&frame);
		/* Where it does not expire, no flow begins. */
		if (verdict != (is_last ? EXPIRED : BERTH_VERDICT_BAD_SOURCE))
			fail_msg("%s: %s", silent->name, fixture_verdict_name(verdict));
		assert_int_equal(frame.frame.end - frame.frame.data, frame.bytes);
		assert_memory_equal(frame.frame.data, before, frame.bytes);
	}
	for (uint32_t i = 0; i < BERTH_ANSWER_SLOTS; i++)
		assert_int_equal(image.budgets[WORKER].slot[0][i] | image.budgets[WORKER].slot[1][i], 0);
}

/* Sends an expiring packet, or one that is too big. `src` NULL: the client. */
static enum berth_verdict send_from(const char *src, bool is6, bool is_last, uint32_t worker, uint32_t now)
{
	struct fixture_packet packet = to_service[service_of(is6)];
	struct fixture_frame frame;
	packet.payload = is_last ? 10 : 1481;
	packet.src = src ? src : packet.src;
	build(&frame, &packet, is_last);
	uint8_t before[FIXTURE_ROOM];
	memcpy(before, frame.frame.data, frame.bytes);
	enum berth_verdict verdict = forward_at(&frame, worker, now);
	if (BERTH_VERDICT_CLASS(verdict) == BERTH_CLASS_DROP)
		assert_memory_equal(frame.frame.data, before, frame.bytes);
	return verdict;
}

static enum berth_verdict send_to_be_answered(uint32_t i, uint32_t worker, uint32_t now)
{
	return send_from(NULL, i % 2, i / 2 % 2, worker, now);
}

static void a_client_gets_twenty_answers_of_a_kind_a_second_and_no_more(void **state)
{
	(void)state;
	for (uint32_t second = 0; second < 3; second++) {
		for (uint32_t i = 0; i < 4 * 30; i++) {
			enum berth_verdict verdict = send_to_be_answered(i, WORKER, FIXTURE_NOW + second);
			bool is_last = i / 2 % 2;
			if (i / 4 < 20)
				assert_int_equal(verdict, is_last ? ANSWERED_TTL_EXPIRED : ANSWERED_TOO_BIG);
			else
				assert_int_equal(verdict, is_last ? EXPIRED : TOO_BIG);
		}
		/* Another worker has its own. */
		assert_int_equal(send_to_be_answered(0, 0, FIXTURE_NOW + second), ANSWERED_TOO_BIG);
	}
	assert_int_equal(image.workers[WORKER].verdict[ANSWERED_TOO_BIG], 3 * 2 * 20);
	assert_int_equal(image.workers[WORKER].verdict[ANSWERED_TTL_EXPIRED], 3 * 2 * 20);
}

/* One sender of 40,000 packets with TTL 1 stopped path MTU discovery of all clients. */
static void a_flood_of_expiring_packets_leaves_path_mtu_discovery_alone(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 40000; i++)
		send_from("198.51.100.66", false, true, WORKER, FIXTURE_NOW);
	assert_int_equal(image.workers[WORKER].verdict[ANSWERED_TTL_EXPIRED], 20);
	/* Also of clients that share its slot, and its own. */
	for (uint32_t i = 1; i < 200; i++) {
		char src[32];
		snprintf(src, sizeof(src), "198.51.100.%u", i);
		assert_int_equal(send_from(src, false, false, WORKER, FIXTURE_NOW), ANSWERED_TOO_BIG);
	}
}

/* Of 512 budgets the sender spends one. */
static void a_flood_of_one_client_leaves_the_budgets_of_others_alone(void **state)
{
	(void)state;
	for (uint32_t is6 = 0; is6 < 2; is6++) {
		uint32_t answered = 0;
		for (uint32_t i = 0; i < 40000; i++)
			send_from(is6 ? "2001:db8:66::1" : "198.51.100.66", is6, false, WORKER, FIXTURE_NOW);
		for (uint32_t i = 0; i < 200; i++) {
			char src[32];
			snprintf(src, sizeof(src), is6 ? "2001:db8:%x::1" : "198.51.101.%u",
				 0x100 + i - (is6 ? 0 : 0x100));
			answered += send_from(src, is6, false, WORKER, FIXTURE_NOW) == ANSWERED_TOO_BIG;
		}
		assert_in_range(answered, 190, 200);
	}
}

/* A client has all addresses of a /64. */
static void the_addresses_of_an_ipv6_link_share_a_budget(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 40; i++) {
		char src[32];
		snprintf(src, sizeof(src), "2001:db8:66::%x", i + 1);
		assert_int_equal(send_from(src, true, true, WORKER, FIXTURE_NOW),
				 i < 20 ? ANSWERED_TTL_EXPIRED : EXPIRED);
	}
}

/* However many addresses are forged. */
static void a_worker_sends_at_most_ten_thousand_errors_of_a_kind(void **state)
{
	(void)state;
	uint64_t *answered = &image.workers[WORKER].verdict[ANSWERED_TTL_EXPIRED];
	for (uint32_t i = 0; i < 60000; i++) {
		char src[32];
		snprintf(src, sizeof(src), "10.0.%u.%u", i % 60000 / 256, i % 256);
		send_from(src, false, true, WORKER, FIXTURE_NOW);
	}
	assert_in_range(*answered, 20 * 500, 20 * 512);
}

static void without_headroom_there_is_no_answer_and_the_frame_is_unchanged(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 2 * 2 * 3; i++) {
		bool is6 = i % 2, is_last = i / 2 % 2;
		uint32_t needed = is6 ? 48 : 28, room = needed - 2 + i / 4;
		struct fixture_packet packet = to_service[service_of(is6)];
		struct fixture_frame frame;
		uint8_t before[FIXTURE_ROOM];
		packet.payload = is_last ? 10 : 1481;
		build(&frame, &packet, is_last);
		frame.frame.handle = frame.frame.data - room;
		memcpy(before, frame.frame.data, frame.bytes);
		enum berth_verdict verdict = forward(&frame);
		assert_int_equal(verdict, room < needed ? BERTH_VERDICT_NO_HEADROOM
					  : is_last	? ANSWERED_TTL_EXPIRED
							: ANSWERED_TOO_BIG);
		if (room >= needed)
			continue;
		assert_int_equal(frame.frame.end - frame.frame.data, frame.bytes);
		assert_memory_equal(frame.frame.data, before, frame.bytes);
	}
}

/* The flow of an answered packet has an entry for the next, smaller packet. */
static void a_packet_that_is_too_big_inserts_its_flow(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t service = service_of(i);
		assert_int_equal(send_to_be_answered(i, WORKER, FIXTURE_NOW), ANSWERED_TOO_BIG);
		prefer(service, (uint16_t)(service * 3 - 1), 0);
		assert_steered(steer(service, to_service[service].sport, 0, FIXTURE_NOW), FLOW, service * 3 - 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_expired_packet_is_answered_with_time_exceeded),
		TEST(a_packet_that_is_too_big_is_answered_with_what_fits),
		TEST(an_answer_quotes_as_much_as_is_permitted),
		TEST(an_answer_quotes_contiguous_bytes_only),
		TEST(the_checksum_of_an_answer_is_valid_for_every_quote),
		TEST(a_first_fragment_is_answered),
		TEST(packets_that_must_not_be_answered_are_dropped),
		TEST(a_client_gets_twenty_answers_of_a_kind_a_second_and_no_more),
		TEST(a_flood_of_expiring_packets_leaves_path_mtu_discovery_alone),
		TEST(a_flood_of_one_client_leaves_the_budgets_of_others_alone),
		TEST(the_addresses_of_an_ipv6_link_share_a_budget),
		TEST(a_worker_sends_at_most_ten_thousand_errors_of_a_kind),
		TEST(without_headroom_there_is_no_answer_and_the_frame_is_unchanged),
		TEST(a_packet_that_is_too_big_inserts_its_flow),
	};
	return cmocka_run_group_tests_name("answer", tests, NULL, NULL);
}
