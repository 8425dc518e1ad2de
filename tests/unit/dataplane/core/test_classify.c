// SPDX-License-Identifier: BSD-3-Clause
/* classify.h: the service of a packet, and return traffic. */
#include "tests/unit/dataplane/core/classify.h"

static void a_packet_is_for_the_service_of_its_address_protocol_and_port(void **state)
{
	(void)state;
	fixture_service(&image, 1, "203.0.113.10", BERTH_PROTO_TCP, 80, BERTH_AFFINITY_FLOW);
	fixture_service(&image, 2, "203.0.113.10", BERTH_PROTO_UDP, 80, BERTH_AFFINITY_FLOW);
	fixture_service(&image, 3, "2001:db8:1::10", BERTH_PROTO_TCP, 80, BERTH_AFFINITY_FLOW);
	fixture_service(&image, 4, "203.0.113.10", BERTH_PROTO_TCP, 443, BERTH_AFFINITY_FLOW);
	static const struct {
		const char *dst;
		uint8_t protocol;
		uint16_t port;
		uint32_t service;
	} cases[] = {
		{"203.0.113.10", BERTH_PROTO_TCP, 80, 1},      {"203.0.113.10", BERTH_PROTO_UDP, 80, 2},
		{"2001:db8:1::10", BERTH_PROTO_TCP, 80, 3},    {"203.0.113.10", BERTH_PROTO_TCP, 443, 4},
		{"203.0.113.11", BERTH_PROTO_TCP, 80, 0},      {"203.0.113.10", BERTH_PROTO_TCP, 81, 0},
		{"203.0.113.10", BERTH_PROTO_TCP, 0, 0},       {"203.0.113.10", BERTH_PROTO_UDP, 443, 0},
		{"2001:db8:1::10", BERTH_PROTO_UDP, 80, 0},    {"2001:db8:1::11", BERTH_PROTO_TCP, 80, 0},
		{"2001:db8:1:1::10", BERTH_PROTO_TCP, 80, 0},  {"::203.0.113.10", BERTH_PROTO_TCP, 80, 0},
		{"203.0.113.10", BERTH_PROTO_TCP, 80 << 8, 0},
	};
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(service_of(cases[i].dst, cases[i].protocol, cases[i].port), cases[i].service);
}

static void ranges_come_after_the_exact_port_and_the_narrower_first(void **state)
{
	(void)state;
	static const struct {
		uint16_t port;
		uint32_t service;
	} cases[] = {
		{443, 2},  {444, 1},  {0, 1},	 {65535, 1}, {442, 1},	{7999, 1}, {8000, 3}, {8049, 3},
		{8050, 4}, {8054, 4}, {8059, 4}, {8060, 3},  {8099, 3}, {8100, 1}, {8080, 5},
	};
	for (uint32_t is6 = 0; is6 < 2; is6++) {
		const char *address = is6 ? "2001:db8:1::10" : "203.0.113.10";
		/* Narrower ranges first, as the control plane puts them. */
		fixture_vip_kind(&image, BERTH_VIP_RANGE, address, BERTH_PROTO_TCP, 8050, 8059, 4);
		fixture_vip_kind(&image, BERTH_VIP_RANGE, address, BERTH_PROTO_TCP, 8000, 8099, 3);
		fixture_service(&image, 1, address, BERTH_PROTO_TCP, 0, BERTH_AFFINITY_FLOW);
		fixture_service(&image, 2, address, BERTH_PROTO_TCP, 443, BERTH_AFFINITY_FLOW);
		fixture_vip(&image, address, BERTH_PROTO_TCP, 8080, 5);
		for (size_t i = 0; i < COUNT(cases); i++) {
			assert_int_equal(service_of(address, BERTH_PROTO_TCP, cases[i].port), cases[i].service);
			assert_int_equal(service_of(address, BERTH_PROTO_UDP, cases[i].port), 0);
		}
	}
}

/* A port of its own has no range. */
static void a_range_includes_its_ends_and_not_their_neighbours(void **state)
{
	(void)state;
	fixture_vip_kind(&image, BERTH_VIP_RANGE, "203.0.113.10", BERTH_PROTO_UDP, 5000, 5001, 1);
	fixture_vip_kind(&image, BERTH_VIP_RANGE, "203.0.113.10", BERTH_PROTO_UDP, 6000, 6000, 2);
	static const uint16_t ports[][2] = {{4999, 0}, {5000, 1}, {5001, 1}, {5002, 0}, {5999, 0},
					    {6000, 2}, {6001, 0}, {0, 0},    {65535, 0}};
	for (size_t i = 0; i < COUNT(ports); i++)
		assert_int_equal(service_of("203.0.113.10", BERTH_PROTO_UDP, ports[i][0]), ports[i][1]);
}

static void add_prefix(const char *address, uint32_t bits, uint16_t first, uint16_t last, uint32_t service)
{
	fixture_prefix(&image, BERTH_VIP_RANGE, address, bits, BERTH_PROTO_TCP, first, last, service);
	fixture_prefix(&image, BERTH_VIP_ADDRESS, address, bits, 0, 0, 0, 0);
}

/* Prefixes that nest, in both families, some with the same first address; and whole addresses within them. */
static void add_prefixes(void)
{
	add_prefix("203.0.113.0", 24, 0, UINT16_MAX, 1);
	add_prefix("203.0.113.0", 28, 80, 80, 2);
	add_prefix("203.0.113.8", 29, 0, UINT16_MAX, 3);
	fixture_vip_kind(&image, BERTH_VIP_RANGE, "203.0.113.9", BERTH_PROTO_TCP, 8000, 8099, 4);
	fixture_vip(&image, "203.0.113.9", BERTH_PROTO_TCP, 80, 5);
	add_prefix("2001:db8:1::", 48, 0, UINT16_MAX, 1);
	add_prefix("2001:db8:1::", 64, 80, 80, 2);
	add_prefix("2001:db8:1::8", 125, 0, UINT16_MAX, 3);
	fixture_vip_kind(&image, BERTH_VIP_RANGE, "2001:db8:1::9", BERTH_PROTO_TCP, 8000, 8099, 4);
	fixture_vip(&image, "2001:db8:1::9", BERTH_PROTO_TCP, 80, 5);
}

static void a_packet_goes_to_the_most_specific_service(void **state)
{
	(void)state;
	static const struct {
		const char *dst;
		uint16_t port;
		uint32_t service;
	} cases[] = {
		{"203.0.113.0", 80, 2},	    {"203.0.113.0", 81, 1},	  {"203.0.113.7", 80, 2},
		{"203.0.113.7", 81, 1},	    {"203.0.113.8", 80, 3},	  {"203.0.113.8", 81, 3},
		{"203.0.113.9", 80, 5},	    {"203.0.113.9", 8000, 4},	  {"203.0.113.9", 8099, 4},
		{"203.0.113.9", 8100, 3},   {"203.0.113.15", 80, 3},	  {"203.0.113.16", 80, 1},
		{"203.0.113.255", 80, 1},   {"203.0.112.255", 80, 0},	  {"203.0.114.0", 80, 0},
		{"2001:db8:1::", 80, 2},    {"2001:db8:1::", 81, 1},	  {"2001:db8:1::7", 80, 2},
		{"2001:db8:1::7", 81, 1},   {"2001:db8:1::8", 80, 3},	  {"2001:db8:1::9", 80, 5},
		{"2001:db8:1::9", 8042, 4}, {"2001:db8:1::9", 81, 3},	  {"2001:db8:1::f", 80, 3},
		{"2001:db8:1::10", 80, 2},  {"2001:db8:1::10", 81, 1},	  {"2001:db8:1:0:ffff::", 80, 2},
		{"2001:db8:1:1::", 80, 1},  {"2001:db8:1:ffff::", 80, 1}, {"2001:db8:0:ffff::", 80, 0},
		{"2001:db8:2::", 80, 0},
	};
	add_prefixes();
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint32_t got = service_of(cases[i].dst, BERTH_PROTO_TCP, cases[i].port);
		if (got != cases[i].service)
			fail_msg("%s port %u: %u", cases[i].dst, cases[i].port, got);
		assert_int_equal(service_of(cases[i].dst, BERTH_PROTO_UDP, cases[i].port), 0);
	}
}

/* Every prefix length of both families: an address that differs in the last bit of the prefix is outside, one that
 * differs in the first bit behind it is inside. */
static void a_prefix_matches_all_its_addresses_and_no_other(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 31 + 127; i++) {
		bool is6 = i >= 31;
		uint32_t bits = is6 ? i - 30 : i + 1, first = is6 ? 0 : 96;
		union berth_addr addr = fixture_addr(is6 ? "2001:db8:5a5a:a5a5:1234:5678:9abc:def5"
							 : "203.0.113.165");
		for (uint32_t bit = first + bits; bit < 128; bit++)
			addr.byte[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
		char text[INET6_ADDRSTRLEN];
		inet_ntop(is6 ? AF_INET6 : AF_INET, is6 ? &addr.byte[0] : &addr.byte[12], text, sizeof(text));
		tear_down(state);
		set_up_image(state);
		add_prefix(text, bits, 0, UINT16_MAX, 1);
		struct berth_view view = fixture_view(&image, FIXTURE_NOW);
		for (uint32_t bit = first; bit < 128; bit++) {
			struct berth_packet packet = {.dst = addr, .protocol = BERTH_PROTO_TCP, .is6 = is6};
			packet.dst.byte[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
			bool in = bit >= first + bits;
			assert_int_equal(berth_is_service_address(&view, &packet), in);
			assert_int_equal(berth_classify(&view, &packet),
					 in ? BERTH_NO_VERDICT : BERTH_VERDICT_NO_SERVICE);
		}
	}
}

/* The maximum number of lengths, of both families. */
static void eight_prefix_lengths_are_looked_up(void **state)
{
	(void)state;
	static const uint32_t bits[] = {31, 30, 28, 24, 20, 16, 12, 8};
	static const char *const addresses[] = {"10.0.0.2",  "10.0.0.4", "10.0.0.16", "10.0.1.0",
						"10.0.16.0", "10.1.0.0", "10.16.0.0", "10.0.0.0"};
	for (uint32_t i = 0; i < 8; i++)
		add_prefix(addresses[i], bits[i], 0, UINT16_MAX, 1 + i % 7);
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(service_of(addresses[i], BERTH_PROTO_TCP, 80), 1 + i % 7);
	assert_int_equal(service_of("11.0.0.0", BERTH_PROTO_TCP, 80), 0);
	/* A length that is not listed is not looked for. */
	image.globals[1].prefix_bits[7] = 0;
	assert_int_equal(service_of("10.255.0.0", BERTH_PROTO_TCP, 80), 0);
	assert_int_equal(service_of("10.16.0.0", BERTH_PROTO_TCP, 80), 7);
}

static uint32_t flow_key_of(const char *dst, uint16_t port)
{
	struct berth_view view = fixture_view(&image, FIXTURE_NOW);
	struct berth_packet packet = packet_to(dst, BERTH_PROTO_TCP, port);
	packet.hash = UINT64_MAX; /* all of it is set */
	assert_int_equal(berth_classify(&view, &packet), BERTH_NO_VERDICT);
	return packet.flow_key;
}

/* The destination address distinguishes flows of a prefix; a full address is one anyway. */
static void the_flow_key_is_that_of_the_slot_and_of_a_prefix_depends_on_the_address(void **state)
{
	(void)state;
	add_prefixes();
	assert_int_equal(flow_key_of("203.0.113.9", 80), 0xf10 + 5);
	assert_int_equal(flow_key_of("203.0.113.9", 8000), 0xf10 + 4);
	assert_int_equal(flow_key_of("203.0.113.9", 8001), 0xf10 + 4);
	assert_int_equal(flow_key_of("2001:db8:1::9", 8001), 0xf10 + 4);
	assert_int_equal(flow_key_of("203.0.113.20", 80), flow_key_of("203.0.113.20", 81));
	assert_int_not_equal(flow_key_of("203.0.113.20", 80), flow_key_of("203.0.113.21", 80));
	assert_int_not_equal(flow_key_of("2001:db8:1:5::1", 80), flow_key_of("2001:db8:1:5::2", 80));
	assert_int_not_equal(flow_key_of("2001:db8:1:5::1", 80), flow_key_of("2001:db8:1:6::1", 80));
}

static struct berth_packet later_fragment(const char *src, const char *dst, uint8_t protocol)
{
	struct berth_packet packet = packet_to(dst, protocol, 0);
	packet.src = fixture_addr(src);
	packet.traits = BERTH_LATER_FRAGMENT;
	return packet;
}

/* Without ports the service is known only if one is possible. */
static void a_later_fragment_matches_by_address_and_gets_the_service_for_portless_fragments(void **state)
{
	(void)state;
	add_prefixes();
	fixture_service(&image, 6, "203.0.113.77", BERTH_PROTO_UDP, 53, BERTH_AFFINITY_CLIENT);
	fixture_vip_kind(&image, BERTH_VIP_PORTLESS, "203.0.113.77", BERTH_PROTO_UDP, 0, 0, 6);
	/* Of no service in particular: it hides the prefix's. */
	fixture_vip_kind(&image, BERTH_VIP_PORTLESS, "203.0.113.77", BERTH_PROTO_TCP, 0, 0, 0);
	fixture_prefix(&image, BERTH_VIP_PORTLESS, "203.0.113.0", 24, BERTH_PROTO_TCP, 0, 0, 1);
	fixture_prefix(&image, BERTH_VIP_PORTLESS, "2001:db8:1::", 48, BERTH_PROTO_TCP, 0, 0, 1);
	static const struct {
		const char *dst;
		uint8_t protocol;
		enum berth_verdict verdict;
		uint32_t service;
	} cases[] = {
		{"203.0.113.77", BERTH_PROTO_UDP, BERTH_NO_VERDICT, 6},
		{"203.0.113.77", BERTH_PROTO_TCP, BERTH_NO_VERDICT, 0},
		{"203.0.113.78", BERTH_PROTO_TCP, BERTH_NO_VERDICT, 1},
		{"203.0.113.78", BERTH_PROTO_UDP, BERTH_NO_VERDICT, 0},
		{"203.0.113.78", BERTH_PROTO_DEST_OPTIONS, BERTH_NO_VERDICT, 0},
		{"203.0.114.78", BERTH_PROTO_TCP, BERTH_VERDICT_NO_SERVICE, 0},
		{"2001:db8:1:9::1", BERTH_PROTO_TCP, BERTH_NO_VERDICT, 1},
		{"2001:db8:2:9::1", BERTH_PROTO_TCP, BERTH_VERDICT_NO_SERVICE, 0},
	};
	struct berth_view view = fixture_view(&image, FIXTURE_NOW);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct berth_packet packet = later_fragment("198.51.100.7", cases[i].dst, cases[i].protocol);
		assert_int_equal(berth_classify(&view, &packet), cases[i].verdict);
		assert_int_equal(packet.service, cases[i].service);
		assert_int_equal(packet.traits, BERTH_LATER_FRAGMENT);
	}
}

enum {
	NAT_SERVICE = 1,
	NAT_RANGE,
};

/* Two services in mode nat: port 80 to 8080 of two backends, UDP ports 5000 to 5999 as they are. */
static void add_returns(bool is6)
{
	const char *const backend[] = {is6 ? "2001:db8:3::1" : "192.0.2.1", is6 ? "2001:db8:3::2" : "192.0.2.2"};
	fixture_service(&image, NAT_SERVICE, is6 ? "2001:db8:1::10" : "203.0.113.10", BERTH_PROTO_TCP, 80,
			BERTH_AFFINITY_FLOW);
	for (uint32_t i = 0; i < 2; i++) {
		fixture_insert_vip(&image, (struct berth_vip){.addr = fixture_addr(backend[i]),
							      .port = berth_to_be16(8080),
							      .protocol = BERTH_PROTO_TCP,
							      .kind = BERTH_VIP_RETURN,
							      .service = NAT_SERVICE});
		fixture_vip_kind(&image, BERTH_VIP_RETURN_ADDRESS, backend[i], 0, 0, 0,
				 i ? NAT_RANGE : NAT_SERVICE);
	}
	fixture_vip_kind(&image, BERTH_VIP_RETURN_RANGE, backend[1], BERTH_PROTO_UDP, 5000, 5999, NAT_RANGE);
	image.globals[1].has_returns = 1;
}

static void packets_from_backends_in_mode_nat_are_return_traffic(void **state)
{
	(void)state;
	static const struct {
		uint32_t backend;
		uint8_t protocol;
		uint16_t sport;
		uint16_t dport;
		uint32_t service; /* 0: no_service */
	} cases[] = {
		{1, BERTH_PROTO_TCP, 8080, 1025, NAT_SERVICE},
		{2, BERTH_PROTO_TCP, 8080, 1025, NAT_SERVICE},
		{2, BERTH_PROTO_TCP, 8080, 80, NAT_SERVICE},
		{3, BERTH_PROTO_TCP, 8080, 1025, 0},
		{1, BERTH_PROTO_TCP, 8081, 1025, 0},
		{1, BERTH_PROTO_TCP, 80, 1025, 0}, /* SSH and the like of the backend's own */
		{1, BERTH_PROTO_UDP, 8080, 1025, 0},
		{2, BERTH_PROTO_UDP, 5000, 1025, NAT_RANGE},
		{2, BERTH_PROTO_UDP, 5999, 1025, NAT_RANGE},
		{2, BERTH_PROTO_UDP, 4999, 1025, 0},
		{2, BERTH_PROTO_UDP, 6000, 1025, 0},
		{1, BERTH_PROTO_UDP, 5000, 1025, 0},
		{2, BERTH_PROTO_TCP, 5000, 1025, 0},
	};
	for (uint32_t i = 0; i < COUNT(cases) * 2; i++) {
		bool is6 = i % 2;
		char src[32];
		tear_down(state);
		set_up_image(state);
		add_returns(is6);
		struct berth_view view = fixture_view(&image, FIXTURE_NOW);
		snprintf(src, sizeof(src), is6 ? "2001:db8:3::%u" : "192.0.2.%u", cases[i / 2].backend);
		struct berth_packet packet = packet_to(is6 ? "2001:db8:2::7" : "198.51.100.7",
						       cases[i / 2].protocol, cases[i / 2].dport);
		packet.src = fixture_addr(src);
		packet.sport = berth_to_be16(cases[i / 2].sport);
		assert_int_equal(berth_classify(&view, &packet),
				 cases[i / 2].service ? BERTH_NO_VERDICT : BERTH_VERDICT_NO_SERVICE);
		assert_int_equal(packet.service, cases[i / 2].service);
		assert_int_equal(packet.traits, cases[i / 2].service ? BERTH_RETURN : 0);
		/* A later fragment by its address alone. */
		packet = later_fragment(src, is6 ? "2001:db8:2::7" : "198.51.100.7", cases[i / 2].protocol);
		uint32_t sent_by = cases[i / 2].backend;
		assert_int_equal(berth_classify(&view, &packet),
				 sent_by < 3 ? BERTH_NO_VERDICT : BERTH_VERDICT_NO_SERVICE);
		assert_int_equal(packet.service, sent_by < 3 ? sent_by : 0);
		assert_int_equal(packet.traits, BERTH_LATER_FRAGMENT | (sent_by < 3 ? BERTH_RETURN : 0));
	}
}

/* A backend that is also a client, and a packet to a service from the port of another service's backend. */
static void a_packet_for_a_service_is_no_return_traffic(void **state)
{
	(void)state;
	add_returns(false);
	fixture_service(&image, 3, "203.0.113.30", BERTH_PROTO_TCP, 443, BERTH_AFFINITY_FLOW);
	struct berth_view view = fixture_view(&image, FIXTURE_NOW);
	struct berth_packet packet = packet_to("203.0.113.30", BERTH_PROTO_TCP, 443);
	packet.src = fixture_addr("192.0.2.1");
	packet.sport = berth_to_be16(8080);
	assert_int_equal(berth_classify(&view, &packet), BERTH_NO_VERDICT);
	assert_int_equal(packet.service, 3);
	assert_int_equal(packet.traits, 0);
	packet = later_fragment("192.0.2.1", "203.0.113.30", BERTH_PROTO_TCP);
	assert_int_equal(berth_classify(&view, &packet), BERTH_NO_VERDICT);
	assert_int_equal(packet.traits, BERTH_LATER_FRAGMENT);
}

/* An error about a packet of a service's backend, which can be a client, too. */
static void an_error_to_a_services_address_is_no_return_traffic(void **state)
{
	(void)state;
	add_returns(false);
	fixture_service(&image, 3, "203.0.113.30", BERTH_PROTO_TCP, 443, BERTH_AFFINITY_FLOW);
	struct berth_view view = fixture_view(&image, FIXTURE_NOW);
	for (uint32_t i = 0; i < 3; i++) {
		static const char *const to[] = {"203.0.113.30", "203.0.113.30", "198.51.100.7"};
		static const uint16_t ports[] = {443, 444, 444};
		static const uint32_t services[] = {3, 0, NAT_SERVICE};
		struct berth_packet packet = packet_to(to[i], BERTH_PROTO_TCP, ports[i]);
		packet.src = fixture_addr("192.0.2.1");
		packet.sport = berth_to_be16(8080);
		packet.traits = BERTH_ICMP_ERROR;
		assert_int_equal(berth_classify(&view, &packet),
				 services[i] ? BERTH_NO_VERDICT : BERTH_VERDICT_NO_SERVICE);
		assert_int_equal(packet.service, services[i]);
	}
}

/* Health checks and other traffic between a backend and this host. */
static void packets_from_backends_to_this_host_are_no_return_traffic(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 2 * 2; i++) {
		bool is6 = i % 2, is_own = i / 2;
		const char *dst = is6 ? "2001:db8:3::ffff" : "192.0.2.254",
			   *src = is6 ? "2001:db8:3::1" : "192.0.2.1";
		tear_down(state);
		set_up_image(state);
		add_returns(is6);
		if (is_own)
			fixture_vip_kind(&image, BERTH_VIP_OWN, dst, 0, 0, 0, 0);
		struct berth_view view = fixture_view(&image, FIXTURE_NOW);
		enum berth_verdict expected = is_own ? BERTH_VERDICT_NO_SERVICE : BERTH_NO_VERDICT;
		struct berth_packet packet = packet_to(dst, BERTH_PROTO_TCP, 1025);
		packet.src = fixture_addr(src);
		packet.sport = berth_to_be16(8080);
		assert_int_equal(berth_classify(&view, &packet), expected);
		packet.service = 0;
		packet.traits = BERTH_ICMP_ERROR;
		assert_int_equal(berth_classify(&view, &packet), expected);
		packet = later_fragment(src, dst, BERTH_PROTO_TCP);
		assert_int_equal(berth_classify(&view, &packet), expected);
		assert_int_equal(packet.service, is_own ? 0 : NAT_SERVICE);
	}
}

static void without_services_in_mode_nat_there_is_no_return_traffic(void **state)
{
	(void)state;
	add_returns(false);
	image.globals[1].has_returns = 0;
	struct berth_view view = fixture_view(&image, FIXTURE_NOW);
	struct berth_packet packet = packet_to("198.51.100.7", BERTH_PROTO_TCP, 1025);
	packet.src = fixture_addr("192.0.2.1");
	packet.sport = berth_to_be16(8080);
	assert_int_equal(berth_classify(&view, &packet), BERTH_VERDICT_NO_SERVICE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_packet_is_for_the_service_of_its_address_protocol_and_port),
		TEST(ranges_come_after_the_exact_port_and_the_narrower_first),
		TEST(a_range_includes_its_ends_and_not_their_neighbours),
		TEST(a_packet_goes_to_the_most_specific_service),
		TEST(a_prefix_matches_all_its_addresses_and_no_other),
		TEST(eight_prefix_lengths_are_looked_up),
		TEST(the_flow_key_is_that_of_the_slot_and_of_a_prefix_depends_on_the_address),
		TEST(a_later_fragment_matches_by_address_and_gets_the_service_for_portless_fragments),
		TEST(packets_from_backends_in_mode_nat_are_return_traffic),
		TEST(a_packet_for_a_service_is_no_return_traffic),
		TEST(an_error_to_a_services_address_is_no_return_traffic),
		TEST(packets_from_backends_to_this_host_are_no_return_traffic),
		TEST(without_services_in_mode_nat_there_is_no_return_traffic),
	};
	return cmocka_run_group_tests_name("classify", tests, NULL, NULL);
}
