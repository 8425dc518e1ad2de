// SPDX-License-Identifier: BSD-3-Clause
/* Addresses and prefixes as the configuration has them. */
#include "tests/unit/controlplane/config/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

static void addresses_are_read_and_written(void **state)
{
	static const char *const same[] = {"192.0.2.1", "255.255.255.255", "0.0.0.0", "2001:db8::1", "::", "::1"};
	static const char *const bad[] = {"",		"192.0.2",	   "192.0.2.256", "192.0.2.01",
					  " 192.0.2.1", "192.0.2.1/32",	   "2001:db8",	  "1::2::3",
					  "fe80::1%lo", "::ffff:192.0.2.1"};
	union berth_addr address;
	(void)state;

	for (size_t i = 0; i < COUNT(same); i++) {
		assert_int_equal(berth_address_parse(same[i], &address), 0);
		assert_address(&address, same[i]);
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(berth_address_parse(bad[i], &address), -EINVAL);
	assert_int_equal(berth_address_parse("2001:DB8:0::1", &address), 0);
	assert_address(&address, "2001:db8::1");
}

static void prefixes_are_read_and_written(void **state)
{
	static const struct {
		const char *text;
		uint8_t bits;
		const char *inside, *outside;
	} right[] = {
		{"192.0.2.0/24", 120, "192.0.2.255", "192.0.3.0"},
		{"192.0.2.128/25", 121, "192.0.2.128", "192.0.2.127"},
		{"192.0.2.1", 128, "192.0.2.1", "192.0.2.0"},
		{"192.0.2.1", 128, "192.0.2.1", "2001:db8::1"},
		{"0.0.0.0/0", 96, "255.255.255.255", "2001:db8::"},
		{"2001:db8::/32", 32, "2001:db8:ffff::1", "2001:db9::"},
		{"2001:db8::1", 128, "2001:db8::1", "2001:db8::"},
		{"::/0", 0, "ffff::", NULL},
	};
	static const char *const bad[] = {"192.0.2.0/33",
					  "192.0.2.0/-1",
					  "192.0.2.0/ 8",
					  "192.0.2.0/08",
					  "/8",
					  "2001:db8::/129",
					  "2001:db8::/1000",
					  "192.0.2.0/8/8",
					  "192.0.2/24",
					  "1111111111111111111111111111111111111111111111111111111111111111/8"};
	char text[BERTH_PREFIX_TEXT];
	union berth_addr address, other;
	uint8_t bits;
	(void)state;

	for (size_t i = 0; i < COUNT(right); i++) {
		assert_int_equal(berth_prefix_parse(right[i].text, &address, &bits), 0);
		assert_int_equal(bits, right[i].bits);
		assert_string_equal(berth_prefix_format(&address, bits, text), right[i].text);
		assert_int_equal(berth_address_parse(right[i].inside, &other), 0);
		assert_true(berth_prefix_holds(&address, bits, &other));
		assert_true(!right[i].outside || berth_address_parse(right[i].outside, &other) == 0);
		assert_int_equal(berth_prefix_holds(&address, bits, &other), !right[i].outside);
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(berth_prefix_parse(bad[i], &address, &bits), -EINVAL);
}

static void an_address_becomes_a_socket_address_of_its_family(void **state)
{
	struct sockaddr_storage storage;
	const struct sockaddr_in *in = (const struct sockaddr_in *)&storage;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&storage;
	union berth_addr address;
	(void)state;

	berth_address_parse("192.0.2.1", &address);
	assert_int_equal(berth_address_to_socket(&address, 80, &storage), sizeof(*in));
	assert_int_equal(in->sin_family, AF_INET);
	assert_int_equal(in->sin_port, htons(80));
	assert_int_equal(in->sin_addr.s_addr, htonl(0xc0000201));
	berth_address_parse("2001:db8::1", &address);
	assert_int_equal(berth_address_to_socket(&address, 443, &storage), sizeof(*in6));
	assert_int_equal(in6->sin6_family, AF_INET6);
	assert_int_equal(in6->sin6_port, htons(443));
	assert_memory_equal(&in6->sin6_addr, &address, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_read_and_written),
		cmocka_unit_test(prefixes_are_read_and_written),
		cmocka_unit_test(an_address_becomes_a_socket_address_of_its_family),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
