// SPDX-License-Identifier: BSD-3-Clause
/* classify.h: which service a packet is for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct berth_image image;

static int set_up(void **state)
{
	(void)state;
	fixture_new(&image, &fixture_geometry);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fixture_free(&image);
	return 0;
}

static struct berth_packet packet_to(const char *dst, uint8_t protocol, uint16_t port)
{
	return (struct berth_packet){
		.dst = fixture_addr(dst),
		.dport = berth_to_be16(port),
		.protocol = protocol,
		.is6 = strchr(dst, ':') != NULL,
	};
}

/* The service of a packet, 0 if it has none. */
static uint32_t service_of(const char *dst, uint8_t protocol, uint16_t port)
{
	struct berth_view view = fixture_view(&image, FIXTURE_NOW);
	struct berth_packet packet = packet_to(dst, protocol, port);
	enum berth_verdict verdict = berth_classify(&view, &packet);
	assert_int_equal(verdict, packet.service ? BERTH_NO_VERDICT : BERTH_VERDICT_NO_SERVICE);
	return packet.service;
}

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

static void any_port_is_asked_after_the_exact_port(void **state)
{
	(void)state;
	fixture_service(&image, 1, "203.0.113.10", BERTH_PROTO_TCP, 0, BERTH_AFFINITY_FLOW);
	fixture_service(&image, 2, "203.0.113.10", BERTH_PROTO_TCP, 443, BERTH_AFFINITY_FLOW);
	assert_int_equal(service_of("203.0.113.10", BERTH_PROTO_TCP, 443), 2);
	assert_int_equal(service_of("203.0.113.10", BERTH_PROTO_TCP, 444), 1);
	assert_int_equal(service_of("203.0.113.10", BERTH_PROTO_TCP, 0), 1);
	assert_int_equal(service_of("203.0.113.10", BERTH_PROTO_UDP, 444), 0);
}

/* The marker (protocol 0) says that an address has services, and is one to nobody. */
static void fragments_are_known_by_their_address_alone(void **state)
{
	(void)state;
	fixture_service(&image, 1, "203.0.113.10", BERTH_PROTO_TCP, 80, BERTH_AFFINITY_FLOW);
	fixture_service(&image, 2, "2001:db8:1::10", BERTH_PROTO_UDP, 53, BERTH_AFFINITY_FLOW);
	static const struct {
		const char *dst;
		uint8_t protocol;
		enum berth_verdict verdict;
	} cases[] = {
		{"203.0.113.10", BERTH_PROTO_TCP, BERTH_VERDICT_FRAGMENT},
		{"203.0.113.10", BERTH_PROTO_UDP, BERTH_VERDICT_FRAGMENT},
		{"203.0.113.10", 1, BERTH_VERDICT_FRAGMENT},
		{"203.0.113.11", BERTH_PROTO_TCP, BERTH_VERDICT_NO_SERVICE},
		{"2001:db8:1::10", BERTH_PROTO_UDP, BERTH_VERDICT_FRAGMENT},
		{"2001:db8:1::11", BERTH_PROTO_UDP, BERTH_VERDICT_NO_SERVICE},
	};
	struct berth_view view = fixture_view(&image, FIXTURE_NOW);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct berth_packet packet = packet_to(cases[i].dst, cases[i].protocol, 0);
		packet.is_fragment = 1;
		assert_int_equal(berth_classify(&view, &packet), cases[i].verdict);
		assert_int_equal(packet.service, 0);
	}
}

/* Ports of one address whose homes are the same slot. */
static void find_ports_with_home(uint16_t *ports, uint32_t n, uint32_t home)
{
	union berth_addr addr = fixture_addr("203.0.113.10");
	uint32_t found = 0;
	for (uint16_t port = 1; found < n; port++) {
		assert_int_not_equal(port, 0);
		if ((berth_vip_home(&addr, berth_to_be16(port), BERTH_PROTO_TCP) & (image.geometry.vips - 1)) ==
		    home)
			ports[found++] = port;
	}
}

static void a_chain_is_followed_for_eight_slots_and_around_the_end(void **state)
{
	(void)state;
	uint16_t ports[BERTH_VIP_PROBES + 1];
	find_ports_with_home(ports, COUNT(ports), image.geometry.vips - 3);
	for (uint32_t i = 0; i < COUNT(ports); i++)
		fixture_vip(&image, "203.0.113.10", BERTH_PROTO_TCP, ports[i], 1 + i % 4);
	for (uint32_t i = 0; i < BERTH_VIP_PROBES; i++)
		assert_int_equal(service_of("203.0.113.10", BERTH_PROTO_TCP, ports[i]), 1 + i % 4);
	/* The ninth stands where no lookup goes; the control plane never puts one there. */
	assert_int_equal(service_of("203.0.113.10", BERTH_PROTO_TCP, ports[BERTH_VIP_PROBES]), 0);
}

static void a_chain_ends_at_the_first_unused_slot(void **state)
{
	(void)state;
	uint16_t ports[2];
	find_ports_with_home(ports, COUNT(ports), 5);
	struct berth_vip *first = fixture_vip(&image, "203.0.113.10", BERTH_PROTO_TCP, ports[0], 1);
	fixture_vip(&image, "203.0.113.10", BERTH_PROTO_TCP, ports[1], 2);
	assert_int_equal(service_of("203.0.113.10", BERTH_PROTO_TCP, ports[1]), 2);
	first->used = 0;
	assert_int_equal(service_of("203.0.113.10", BERTH_PROTO_TCP, ports[1]), 0);
}

static void a_lookup_in_a_full_table_ends(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < image.geometry.vips; i++)
		fixture_vip(&image, "203.0.113.99", BERTH_PROTO_UDP, (uint16_t)(1000 + i), 1);
	assert_int_equal(service_of("203.0.113.10", BERTH_PROTO_TCP, 80), 0);
}

static void only_the_current_half_is_read(void **state)
{
	(void)state;
	fixture_service(&image, 1, "203.0.113.10", BERTH_PROTO_TCP, 80, BERTH_AFFINITY_FLOW);
	assert_int_equal(service_of("203.0.113.10", BERTH_PROTO_TCP, 80), 1);
	image.ctl->generation++;
	assert_int_equal(service_of("203.0.113.10", BERTH_PROTO_TCP, 80), 0);
	image.ctl->generation++;
	assert_int_equal(service_of("203.0.113.10", BERTH_PROTO_TCP, 80), 1);
}

/* A key that stands at another's home, for its own is taken: each part of it must be compared. */
static void a_slot_matches_by_every_part_of_its_key(void **state)
{
	(void)state;
	static const struct {
		const char *addr;
		uint8_t protocol;
		uint16_t port;
		uint32_t service;
	} cases[] = {
		{"203.0.113.10", BERTH_PROTO_TCP, 80, 1},   {"203.0.113.10", BERTH_PROTO_UDP, 80, 0},
		{"203.0.113.10", BERTH_PROTO_TCP, 81, 0},   {"203.0.113.11", BERTH_PROTO_TCP, 80, 0},
		{"::203.0.113.10", BERTH_PROTO_TCP, 80, 0},
	};
	union berth_addr wanted = fixture_addr("203.0.113.10");
	uint32_t home = berth_vip_home(&wanted, berth_to_be16(80), BERTH_PROTO_TCP) & (image.geometry.vips - 1);
	for (size_t i = 0; i < COUNT(cases); i++) {
		image.vips[image.geometry.vips + home] = (struct berth_vip){
			.addr = fixture_addr(cases[i].addr),
			.port = berth_to_be16(cases[i].port),
			.protocol = cases[i].protocol,
			.used = 1,
			.service = 1,
		};
		assert_int_equal(service_of("203.0.113.10", BERTH_PROTO_TCP, 80), cases[i].service);
	}
}

/* VPP had uninitialised padding in a key (21bc900c). */
static void only_the_key_of_a_slot_is_compared(void **state)
{
	(void)state;
	struct berth_vip *vip = fixture_vip(&image, "203.0.113.10", BERTH_PROTO_TCP, 80, 1);
	memset(vip->pad, 0xff, sizeof(vip->pad));
	assert_int_equal(service_of("203.0.113.10", BERTH_PROTO_TCP, 80), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_packet_is_for_the_service_of_its_address_protocol_and_port),
		TEST(any_port_is_asked_after_the_exact_port),
		TEST(fragments_are_known_by_their_address_alone),
		TEST(a_chain_is_followed_for_eight_slots_and_around_the_end),
		TEST(a_chain_ends_at_the_first_unused_slot),
		TEST(a_lookup_in_a_full_table_ends),
		TEST(only_the_current_half_is_read),
		TEST(a_slot_matches_by_every_part_of_its_key),
		TEST(only_the_key_of_a_slot_is_compared),
	};
	return cmocka_run_group_tests_name("classify", tests, NULL, NULL);
}
