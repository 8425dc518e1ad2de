// SPDX-License-Identifier: BSD-3-Clause
/* ingress.h: frames to this host, and frames to others. */
#include "tests/unit/dataplane/core/image.h"

#define TO_PORT_0                                                                                                  \
	{                                                                                                          \
		2, 0, 0, 0, 1, 0                                                                                   \
	}
#define TO_PORT_1                                                                                                  \
	{                                                                                                          \
		2, 0, 0, 0, 1, 1                                                                                   \
	}
#define TO_MACVLAN_1                                                                                               \
	{                                                                                                          \
		2, 0, 0, 0, 1, 0x81                                                                                \
	}

static int set_up(void **state)
{
	static const uint16_t backends[] = {1};
	set_up_image(state);
	fixture_service(&image, 1, "203.0.113.10", BERTH_PROTO_TCP, 80, BERTH_AFFINITY_FLOW);
	fixture_backend(&image, 1, 1, BERTH_MODE_L2, "192.0.2.1");
	fixture_rows(&image, 1, backends, 1);
	return 0;
}

/* Whether a SYN to a service that arrives on `port` is forwarded; else it must pass. */
static bool is_forwarded(uint32_t port, const uint8_t dst[6])
{
	const struct fixture_packet syn = {.src = "198.51.100.7",
					   .dst = "203.0.113.10",
					   .sport = 1024,
					   .dport = 80,
					   .protocol = BERTH_PROTO_TCP,
					   .tcp_flags = BERTH_TCP_SYN};
	struct berth_view view = fixture_view(&image, FIXTURE_NOW);
	struct fixture_frame frame;
	uint32_t egress = 0;
	berth_view_set_port(&view, image.ctl, port);
	fixture_build(&frame, &syn);
	memcpy(frame.frame.data, dst, 6);
	enum berth_verdict verdict = berth_forward(&view, &frame.frame, &(struct berth_packet){0}, frame.bytes,
						   &egress);
	if (BERTH_VERDICT_CLASS(verdict) != BERTH_CLASS_FORWARD)
		assert_int_equal(verdict, BERTH_VERDICT_NOT_OWN_LINK);
	return verdict != BERTH_VERDICT_NOT_OWN_LINK;
}

static void a_frame_is_for_the_port_where_it_arrives(void **state)
{
	(void)state;
	static const uint8_t to[][6] = {TO_PORT_0, TO_PORT_1, TO_MACVLAN_1, {2, 0, 0, 0, 2, 0}};
	static const bool expected[2][4] = {{true, false, false, false}, {false, true, true, false}};
	for (uint32_t port = 0; port < 2; port++)
		for (uint32_t i = 0; i < 4; i++)
			assert_int_equal(is_forwarded(port, to[i]), expected[port][i]);
}

/* Each single bit of an address counts, and nothing behind it. */
static void every_bit_of_the_address_counts(void **state)
{
	(void)state;
	for (uint32_t bit = 0; bit < 48; bit++) {
		uint8_t to[6] = TO_PORT_0;
		to[bit / 8] ^= (uint8_t)(1 << bit % 8);
		image.ctl->links[FIXTURE_GENERATION][1].is_used = 0;
		assert_false(is_forwarded(0, to));
	}
	image.ctl->ports[FIXTURE_GENERATION][0].mtu = 0xffff;
	assert_true(is_forwarded(0, (uint8_t[])TO_PORT_0));
}

/* A bond's program runs on its slaves, whose numbers are not those of a port. */
static void an_interface_that_is_no_port_receives_for_all_ports(void **state)
{
	(void)state;
	assert_true(is_forwarded(BERTH_MAX_PORTS, (uint8_t[])TO_PORT_0));
	assert_true(is_forwarded(BERTH_MAX_PORTS, (uint8_t[])TO_MACVLAN_1));
	assert_false(is_forwarded(BERTH_MAX_PORTS, (uint8_t[]){2, 0, 0, 0, 2, 0}));
	assert_false(is_forwarded(BERTH_MAX_PORTS, (uint8_t[]){0, 0, 0, 0, 0, 0}));
}

static void the_addresses_are_those_of_the_generation(void **state)
{
	(void)state;
	image.ctl->ports[FIXTURE_GENERATION][0].mac[5] = 0x55;
	image.ctl->links[FIXTURE_GENERATION][0].is_used = 0;
	assert_false(is_forwarded(0, (uint8_t[])TO_PORT_0));
	assert_true(is_forwarded(0, (uint8_t[]){2, 0, 0, 0, 1, 0x55}));
}

/* Before berthd has read the interface. */
static void a_port_without_an_address_receives_nothing(void **state)
{
	(void)state;
	memset(image.ctl->ports, 0, sizeof(image.ctl->ports));
	memset(image.ctl->links, 0, sizeof(image.ctl->links));
	assert_false(is_forwarded(0, (uint8_t[])TO_PORT_0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_frame_is_for_the_port_where_it_arrives),
		TEST(every_bit_of_the_address_counts),
		TEST(an_interface_that_is_no_port_receives_for_all_ports),
		TEST(the_addresses_are_those_of_the_generation),
		TEST(a_port_without_an_address_receives_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
