// SPDX-License-Identifier: BSD-3-Clause
/* stages.h, count.h: every packet has exactly one verdict and is counted once. */

#include "tests/support/unit.h"
#include "tests/unit/dataplane/core/steering.h"

static struct berth_worker *worker(void)
{
	return &image.workers[1];
}

static struct berth_tally *tally(uint32_t slot)
{
	const struct berth_geometry *g = &image.geometry;
	return &image.tallies[g->services + g->backends + slot]; /* of worker 1 */
}

static struct berth_tally *backend_tally(uint32_t backend)
{
	return tally(image.geometry.services + backend);
}

static uint64_t sum_of_verdicts(void)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < COUNT(worker()->verdict); i++)
		sum += worker()->verdict[i];
	return sum;
}

static enum berth_verdict send_to(uint32_t service, uint16_t sport, uint8_t flags)
{
	struct berth_view view = fixture_view(&image, FIXTURE_NOW);
	struct fixture_packet packet = to_service[service];
	packet.sport = sport;
	packet.tcp_flags = flags;
	packet.payload = 10;
	return fixture_send(&view, &packet);
}

static void one_packet_of_each_verdict_counts_one(void **state)
{
	(void)state;
	static const struct {
		const char *dst;
		uint8_t protocol;
		uint8_t flags;
		uint16_t fragment;
		uint16_t payload;
		enum berth_verdict verdict;
	} cases[] = {
		{"203.0.113.10", 6, SYN, 0, 0, SELECTED},
		{"203.0.113.10", 6, ACK, 0, 0, FLOW},
		{"203.0.113.10", 1, 0, 0, 0, BERTH_VERDICT_NOT_TCP_UDP},
		{"203.0.113.99", 6, SYN, 0, 0, BERTH_VERDICT_NO_SERVICE},
		{"203.0.113.10", 6, ACK, 0x2000, 4, FLOW},
		{"203.0.113.10", 6, 0, 0x0003, 4, BERTH_VERDICT_FRAGMENT},
		{"203.0.113.10", 17, 0, 0x0003, 4, BERTH_VERDICT_FRAGMENT_UNKNOWN},
		{"203.0.113.10", 6, ACK, 0, 1461, BERTH_VERDICT_ANSWERED_TOO_BIG},
	};
	struct berth_view view = fixture_view(&image, FIXTURE_NOW);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct fixture_packet packet = to_service[FLOW_TCP];
		uint64_t before = worker()->verdict[cases[i].verdict];
		packet.dst = cases[i].dst;
		packet.protocol = cases[i].protocol;
		packet.tcp_flags = cases[i].flags;
		packet.fragment = cases[i].fragment;
		packet.payload = cases[i].payload;
		assert_int_equal(fixture_send(&view, &packet), cases[i].verdict);
		assert_int_equal(worker()->verdict[cases[i].verdict], before + 1);
		assert_int_equal(worker()->received, i + 1);
		assert_int_equal(sum_of_verdicts(), i + 1);
	}
}

/* Behind a valid IP header nothing makes a packet berth's: SSH or BGP to this host passes to the kernel, however
 * unusual it is. */
static void a_malformed_packet_is_dropped_only_if_it_is_for_a_service(void **state)
{
	(void)state;
	static const struct {
		const char *dst;
		enum berth_verdict verdict;
	} cases[] = {
		{"203.0.113.10", BERTH_VERDICT_BAD_TCP},
		{"203.0.113.99", BERTH_VERDICT_NO_SERVICE},
	};
	struct berth_view view = fixture_view(&image, FIXTURE_NOW);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct fixture_frame frame;
		struct berth_packet packet;
		struct fixture_packet sent = to_service[FLOW_TCP];
		sent.dst = cases[i].dst;
		fixture_build(&frame, &sent);
		frame.frame.data[frame.transport + 12] = 0xf0; /* a TCP header of 60 bytes, in 20 */
		assert_int_equal(berth_receive(&view, &frame.frame, &packet, frame.bytes), cases[i].verdict);
	}
}

/* Without valid addresses, the packet is dropped. */
static void without_a_valid_ip_header_a_packet_is_dropped_for_any_destination(void **state)
{
	(void)state;
	static const struct {
		uint32_t service;
		uint8_t at;
		uint8_t value;
		enum berth_verdict verdict;
	} cases[] = {
		{FLOW_TCP, 0, 0x44, BERTH_VERDICT_BAD_IP4},
		{FLOW_TCP, 2, 0xff, BERTH_VERDICT_BAD_IP4},
		{CLIENT_UDP6, 0, 0x40, BERTH_VERDICT_BAD_IP6},
		{CLIENT_UDP6, 4, 0xff, BERTH_VERDICT_BAD_IP6},
	};
	struct berth_view view = fixture_view(&image, FIXTURE_NOW);
	for (size_t i = 0; i < COUNT(cases) * 2; i++) {
		struct fixture_packet sent = to_service[cases[i / 2].service];
		struct fixture_frame frame;
		if (i % 2)
			sent.dst = strchr(sent.dst, ':') ? "2001:db8:1::99" : "203.0.113.99";
		fixture_build(&frame, &sent);
		frame.frame.data[frame.network + cases[i / 2].at] = cases[i / 2].value;
		uint32_t port;
		assert_int_equal(berth_forward(&view, &frame.frame, &(struct berth_packet){0}, frame.bytes, &port),
				 cases[i / 2].verdict);
	}
}

static void a_forwarded_packet_counts_the_bytes_of_its_frame_for_its_backend(void **state)
{
	(void)state;
	send_to(FLOW_TCP, 1025, SYN);
	send_to(FLOW_TCP, 1025, ACK);
	assert_int_equal(backend_tally(1)->packets, 2);
	assert_int_equal(backend_tally(1)->bytes, 2 * (14 + 20 + 20 + 10));
	assert_int_equal(backend_tally(1)->flows, 1);
	assert_int_equal(tally(FLOW_TCP)->packets, 0);
}

static void a_packet_that_is_dropped_for_a_service_counts_for_the_service(void **state)
{
	(void)state;
	fixture_service_at(&image, FLOW_TCP)->rows = 0;
	fixture_backend_at(&image, 7)->flags = 0;
	assert_int_equal(send_to(FLOW_TCP, 1025, SYN), BERTH_VERDICT_NO_BACKEND);
	assert_int_equal(send_to(CLIENT_TCP, 1025, SYN), BERTH_VERDICT_NO_NEXT_HOP);
	assert_int_equal(tally(FLOW_TCP)->packets, 1);
	assert_int_equal(tally(FLOW_TCP)->bytes, 14 + 20 + 20 + 10);
	assert_int_equal(tally(CLIENT_TCP)->packets, 1);
	assert_int_equal(backend_tally(7)->packets, 0);
	assert_int_equal(backend_tally(7)->flows, 0);
}

static void only_inserted_flows_count_as_new(void **state)
{
	(void)state;
	send_to(FLOW_TCP, 1025, RST);
	assert_int_equal(backend_tally(1)->flows, 0);
	send_to(FLOW_TCP, 1025, SYN);
	assert_int_equal(backend_tally(1)->flows, 1);
	fixture_set_eligibility(&image, 1, 0);
	assert_int_equal(send_to(FLOW_TCP, 1025, ACK), RESELECTED);
	assert_int_equal(backend_tally(2)->flows, 1);
	fill_table(image.flows, image.geometry.flow_buckets, BERTH_STATE_CONFIRMED);
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(send_to(FLOW_TCP, 1026, ACK), BERTH_VERDICT_TABLE_FULL);
	assert_int_equal(backend_tally(2)->flows, 1);
	assert_int_equal(backend_tally(2)->packets, 6);
}

static void a_flow_that_evicts_another_is_counted(void **state)
{
	(void)state;
	fill_table(image.flows, image.geometry.flow_buckets, BERTH_STATE_UNCONFIRMED);
	send_to(FLOW_TCP, 1025, SYN);
	assert_int_equal(event_count(BERTH_EVENT_FLOW_EVICTED), 1);
	assert_int_equal(event_count(BERTH_EVENT_FLOW_ADDED), 1);
	/* The victim had expired: not counted as evicted. */
	for (uint32_t i = 0; i < image.geometry.flow_buckets * BERTH_BUCKET_WORDS; i++)
		image.flows[i / BERTH_BUCKET_WORDS].word[i % BERTH_BUCKET_WORDS] = berth_word_make(
			0x100 + i, 1, FIXTURE_NOW - 4000, BERTH_STATE_CONFIRMED);
	send_to(FLOW_TCP, 1026, SYN);
	assert_int_equal(event_count(BERTH_EVENT_FLOW_EVICTED), 1);
	assert_int_equal(event_count(BERTH_EVENT_FLOW_ADDED), 2);
}

static void each_worker_has_its_own_counters(void **state)
{
	(void)state;
	struct berth_view view = berth_image_view(&image, 0, FIXTURE_NOW);
	fixture_send(&view, &to_service[FLOW_UDP]);
	assert_int_equal(image.workers[0].received, 1);
	assert_int_equal(worker()->received, 0);
	assert_int_equal(image.tallies[image.geometry.services + 4].packets, 1);
	assert_int_equal(backend_tally(4)->packets, 0);
}

/* An answer, and a later fragment, are the service's or the backend's; neither begins a flow. */
static void an_answer_counts_for_its_service_and_a_fragment_for_its_backend(void **state)
{
	(void)state;
	struct berth_view view = fixture_view(&image, FIXTURE_NOW);
	struct fixture_packet packet = to_service[FLOW_UDP];
	packet.payload = 1480;
	assert_int_equal(fixture_send(&view, &packet), BERTH_VERDICT_ANSWERED_TOO_BIG);
	assert_int_equal(tally(FLOW_UDP)->packets, 1);
	assert_int_equal(tally(FLOW_UDP)->bytes, 14 + 20 + 8 + 1480);
	assert_int_equal(backend_tally(4)->packets, 0);
	packet.payload = 24;
	packet.fragment = 0x2000;
	assert_int_equal(fixture_send(&view, &packet), FLOW);
	packet.fragment = 0x0004;
	assert_int_equal(fixture_send(&view, &packet), BERTH_VERDICT_FRAGMENT);
	assert_int_equal(backend_tally(4)->packets, 2);
	assert_int_equal(backend_tally(4)->flows, 0); /* it began with the packet that was answered */
	/* A fragment without an entry counts for no service. */
	packet.src = "198.51.100.8";
	assert_int_equal(fixture_send(&view, &packet), BERTH_VERDICT_FRAGMENT_UNKNOWN);
	assert_int_equal(tally(FLOW_UDP)->packets, 1);
	assert_int_equal(tally(0)->packets, 0);
}

/* received = forwarded + answered + passed + drops over packets of every kind, and tallies = packets that are a
 * service's. */
static void the_sums_agree_for_random_packets(void **state)
{
	(void)state;
	struct berth_view view = fixture_view(&image, FIXTURE_NOW);
	uint32_t random = 1;
	uint64_t sent = 0, of_services = 0;
	fixture_backend_at(&image, 2)->flags = 0;
	fixture_backend_at(&image, 8)->mtu = 60;
	for (uint32_t i = 0; i < 20000; i++) {
		random = random * 1664525 + 1013904223;
		uint32_t r = random >> 8;
		struct fixture_packet packet = to_service[FLOW_TCP + r % 4];
		struct fixture_frame frame;
		uint32_t port;
		packet.sport = (uint16_t)(r >> 2 & 0x1ff);
		packet.tcp_flags = (uint8_t)(r >> 11 & 0x1f);
		packet.payload = (uint16_t)(r % 40);
		fixture_build(&frame, &packet);
		if (r % 3 == 0)
			frame.frame.data[r % frame.bytes] ^= (uint8_t)(1 << r % 7);
		if (r % 7 == 0)
			frame.bytes = r % frame.bytes;
		frame.frame.end = frame.frame.data + frame.bytes;
		fixture_set_eligibility(&image, 1 + r % 12, (uint8_t)(r >> 16 & BERTH_ELIGIBLE_ALL));
		enum berth_verdict verdict = berth_forward(&view, &frame.frame, &(struct berth_packet){0},
							   frame.bytes, &port);
		assert_in_range(verdict, BERTH_NO_VERDICT + 1, BERTH_VERDICT_COUNT - 1);
		assert_int_not_equal(verdict, BERTH_VERDICT_INTERNAL);
		sent++;
		bool is_early = verdict == BERTH_VERDICT_FRAGMENT_UNKNOWN; /* its service is not known */
		of_services += BERTH_VERDICT_CLASS(verdict) <= BERTH_CLASS_ANSWER ||
			       (verdict >= BERTH_VERDICT_BAD_SOURCE && verdict <= BERTH_VERDICT_NO_HEADROOM &&
				!is_early);
	}
	uint64_t tallied = 0;
	for (uint32_t slot = 0; slot < image.geometry.services + image.geometry.backends; slot++)
		tallied += tally(slot)->packets;
	assert_int_equal(worker()->received, sent);
	assert_int_equal(sum_of_verdicts(), sent);
	assert_int_equal(tallied, of_services);
	assert_in_range(of_services, 1000, sent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_packet_of_each_verdict_counts_one),
		TEST(a_malformed_packet_is_dropped_only_if_it_is_for_a_service),
		TEST(without_a_valid_ip_header_a_packet_is_dropped_for_any_destination),
		TEST(a_forwarded_packet_counts_the_bytes_of_its_frame_for_its_backend),
		TEST(a_packet_that_is_dropped_for_a_service_counts_for_the_service),
		TEST(only_inserted_flows_count_as_new),
		TEST(a_flow_that_evicts_another_is_counted),
		TEST(each_worker_has_its_own_counters),
		TEST(an_answer_counts_for_its_service_and_a_fragment_for_its_backend),
		TEST(the_sums_agree_for_random_packets),
	};
	return cmocka_run_group_tests_name("count", tests, NULL, NULL);
}
