// SPDX-License-Identifier: BSD-3-Clause
/* classify.h: the slots of its table and the probes of a lookup. */
#include "tests/unit/dataplane/core/classify.h"

/* Ports of one address with the same first slot. */
static void find_ports_with_home(uint16_t *ports, uint32_t n, uint32_t home)
{
	union berth_addr addr = fixture_addr("203.0.113.10");
	uint32_t found = 0;
	for (uint16_t port = 1; found < n; port++) {
		assert_int_not_equal(port, 0);
		uint32_t word = berth_vip_word(BERTH_VIP_EXACT, berth_to_be16(port), BERTH_PROTO_TCP);
		if ((berth_vip_home(&addr, word) & (image.geometry.vips - 1)) == home)
			ports[found++] = port;
	}
}

static void a_lookup_probes_eight_slots_and_wraps_around(void **state)
{
	(void)state;
	uint16_t ports[BERTH_VIP_PROBES + 1];
	find_ports_with_home(ports, COUNT(ports), image.geometry.vips - 3);
	for (uint32_t i = 0; i < COUNT(ports); i++)
		fixture_vip(&image, "203.0.113.10", BERTH_PROTO_TCP, ports[i], 1 + i % 4);
	for (uint32_t i = 0; i < BERTH_VIP_PROBES; i++)
		assert_int_equal(service_of("203.0.113.10", BERTH_PROTO_TCP, ports[i]), 1 + i % 4);
	/* The ninth is outside all lookups; the control plane never puts one there. */
	assert_int_equal(service_of("203.0.113.10", BERTH_PROTO_TCP, ports[BERTH_VIP_PROBES]), 0);
}

static void a_lookup_ends_at_the_first_free_slot(void **state)
{
	(void)state;
	uint16_t ports[2];
	find_ports_with_home(ports, COUNT(ports), 5);
	struct berth_vip *first = fixture_vip(&image, "203.0.113.10", BERTH_PROTO_TCP, ports[0], 1);
	fixture_vip(&image, "203.0.113.10", BERTH_PROTO_TCP, ports[1], 2);
	assert_int_equal(service_of("203.0.113.10", BERTH_PROTO_TCP, ports[1]), 2);
	first->kind = BERTH_VIP_FREE;
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

/* A key in the first slot of another key: each part must be compared. */
static void a_slot_matches_by_every_part_of_its_key(void **state)
{
	(void)state;
	static const struct {
		const char *addr;
		uint8_t protocol;
		uint16_t port;
		uint8_t kind;
		uint32_t service;
	} cases[] = {
		{"203.0.113.10", BERTH_PROTO_TCP, 80, BERTH_VIP_EXACT, 1},
		{"203.0.113.10", BERTH_PROTO_UDP, 80, BERTH_VIP_EXACT, 0},
		{"203.0.113.10", BERTH_PROTO_TCP, 81, BERTH_VIP_EXACT, 0},
		{"203.0.113.11", BERTH_PROTO_TCP, 80, BERTH_VIP_EXACT, 0},
		{"::203.0.113.10", BERTH_PROTO_TCP, 80, BERTH_VIP_EXACT, 0},
		{"203.0.113.10", BERTH_PROTO_TCP, 80, BERTH_VIP_RETURN, 0},
		{"203.0.113.10", BERTH_PROTO_TCP, 80, BERTH_VIP_RANGE, 0},
		{"203.0.113.10", BERTH_PROTO_TCP, 80, BERTH_VIP_PORTLESS, 0},
	};
	union berth_addr wanted = fixture_addr("203.0.113.10");
	uint32_t word = berth_vip_word(BERTH_VIP_EXACT, berth_to_be16(80), BERTH_PROTO_TCP);
	uint32_t home = berth_vip_home(&wanted, word) & (image.geometry.vips - 1);
	for (size_t i = 0; i < COUNT(cases); i++) {
		image.vips[image.geometry.vips + home] = (struct berth_vip){
			.addr = fixture_addr(cases[i].addr),
			.port = berth_to_be16(cases[i].port),
			.protocol = cases[i].protocol,
			.kind = cases[i].kind,
			.service = 1,
		};
		assert_int_equal(service_of("203.0.113.10", BERTH_PROTO_TCP, 80), cases[i].service);
	}
}

/* VPP had uninitialised padding in a key (21bc900c): what is beside it does not matter. */
static void only_the_key_of_a_slot_is_compared(void **state)
{
	(void)state;
	struct berth_vip *vip = fixture_vip(&image, "203.0.113.10", BERTH_PROTO_TCP, 80, 1);
	vip->first = 0xffff;
	vip->last = 0xeeee;
	vip->flow_key = 0xdddddddd;
	assert_int_equal(service_of("203.0.113.10", BERTH_PROTO_TCP, 80), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_lookup_probes_eight_slots_and_wraps_around),
		TEST(a_lookup_ends_at_the_first_free_slot),
		TEST(a_lookup_in_a_full_table_ends),
		TEST(only_the_current_half_is_read),
		TEST(a_slot_matches_by_every_part_of_its_key),
		TEST(only_the_key_of_a_slot_is_compared),
	};
	return cmocka_run_group_tests_name("classify_slots", tests, NULL, NULL);
}
