// SPDX-License-Identifier: BSD-3-Clause
/* berthctl doctor without sockets: the probes' bytes, what answers to them say, and what that means. */
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/ip_icmp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/address.h"
#include "controlplane/doctor/host.h"
#include "controlplane/doctor/probe.h"

static const uint8_t backend_mac[6] = {2, 0, 0, 0, 0, 0x11};
static const uint8_t router_mac[6] = {2, 0, 0, 0, 0, 1};
static const struct berth_doctor_tag tag = {.run = 0x1234abcd, .target = 70000, .probe = BERTH_DOCTOR_SERVICE};

static union berth_addr address(const char *text)
{
	union berth_addr address;
	assert_int_equal(berth_address_parse(text, &address), 0);
	return address;
}

/* Of a service and a backend with these IP versions. */
static struct berth_doctor_target target_of(enum berth_mode mode, int outer, int inner)
{
	struct berth_doctor_target target = {
		.mode = mode,
		.gue_port = 6080,
		.bits = 128,
		.service = address(inner == 4 ? "203.0.113.10" : "2001:db8:f::10"),
		.backend = address(outer == 4 ? "192.0.2.11" : "2001:db8:2::11"),
		.source = address(outer == 4 ? "192.0.2.2" : "2001:db8:2::2"),
		.inner_source = address(inner == 4 ? "192.0.2.2" : "2001:db8:2::2"),
		.mtu = 1600,
		.src_mac = {2, 0, 0, 0, 0, 2},
		.on_link = true,
		.alive = true,
		.up = true,
		.health_why = "",
	};
	target.prefix = target.service;
	memcpy(target.dst_mac, backend_mac, sizeof(target.dst_mac));
	return target;
}

static struct berth_doctor_packet build(const struct berth_doctor_target *target, enum berth_doctor_probe probe)
{
	struct berth_doctor_tag with = tag;
	struct berth_doctor_packet packet;
	with.probe = probe;
	memset(&packet, 0xa5, sizeof(packet));
	berth_doctor_build(target, &with, &packet);
	return packet;
}

static uint32_t add(uint32_t sum, const void *from, size_t n)
{
	const uint8_t *bytes = from;
	for (size_t i = 0; i < n; i++)
		sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
	return sum;
}

/* Whether all that was summed, its checksum included, is right. */
static bool is_right(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff;
}

/* Looks at the IP header at `at`; returns what is behind it. */
static const uint8_t *check_ip(const uint8_t *at, size_t bytes, const union berth_addr *src,
			       const union berth_addr *dst, uint8_t protocol)
{
	if (at[0] >> 4 == 4) {
		struct berth_ip4 ip;
		union berth_addr from, to;
		memcpy(&ip, at, sizeof(ip));
		berth_addr_set4(&from, ip.src);
		berth_addr_set4(&to, ip.dst);
		assert_true(berth_addr_equal(&from, src) && berth_addr_equal(&to, dst));
		assert_int_equal(berth_from_be16(ip.length), bytes);
		assert_int_equal(berth_from_be16(ip.fragment), BERTH_IP4_DONT_FRAGMENT);
		assert_int_equal(ip.protocol, protocol);
		assert_true(is_right(add(0, &ip, sizeof(ip))));
		return at + sizeof(ip);
	}
	struct berth_ip6 ip;
	memcpy(&ip, at, sizeof(ip));
	assert_int_equal(at[0] >> 4, 6);
	assert_memory_equal(&ip.src, src, sizeof(*src));
	assert_memory_equal(&ip.dst, dst, sizeof(*dst));
	assert_int_equal(berth_from_be16(ip.payload), bytes - sizeof(ip));
	assert_int_equal(ip.next_header, protocol);
	return at + sizeof(ip);
}

static uint32_t pseudo_header(const union berth_addr *src, const union berth_addr *dst, uint8_t protocol,
			      size_t bytes)
{
	return add(add(0, src, sizeof(*src)), dst, sizeof(*dst)) + protocol + (uint32_t)bytes;
}

static void check_echo(const uint8_t *at, size_t bytes, const union berth_addr *src, const union berth_addr *dst)
{
	bool is4 = berth_addr_is4(dst);
	const uint8_t *icmp = check_ip(at, bytes, src, dst, is4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	size_t n = bytes - (size_t)(icmp - at);
	assert_int_equal(icmp[0], is4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST);
	assert_true(is_right(add(is4 ? 0 : pseudo_header(src, dst, IPPROTO_ICMPV6, n), icmp, n)));
}

static void test_a_plain_probe_goes_to_the_backends_own_address(void **state)
{
	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		const struct berth_doctor_target target = target_of(BERTH_MODE_IPIP, version, version);
		const struct berth_doctor_packet packet = build(&target, BERTH_DOCTOR_DIRECT);
		assert_int_equal(packet.ethertype, version == 4 ? 0x0800 : 0x86dd);
		check_echo(packet.data, packet.bytes, &target.source, &target.backend);
	}
}

static void test_a_tunnels_probe_has_the_modes_outer_header(void **state)
{
	(void)state;
	for (int outer = 4; outer <= 6; outer += 2) {
		for (int inner = 4; inner <= 6; inner += 2) {
			struct berth_doctor_target target = target_of(BERTH_MODE_IPIP, outer, inner);
			struct berth_doctor_packet packet = build(&target, BERTH_DOCTOR_SERVICE);
			const uint8_t *at = check_ip(packet.data, packet.bytes, &target.source, &target.backend,
						     inner == 4 ? 4 : 41);
			check_echo(at, packet.bytes - (size_t)(at - packet.data), &target.inner_source,
				   &target.service);
			assert_int_equal(packet.ethertype, outer == 4 ? 0x0800 : 0x86dd);

			target = target_of(BERTH_MODE_GUE, outer, inner);
			target.gue_port = 6081;
			packet = build(&target, BERTH_DOCTOR_SERVICE);
			at = check_ip(packet.data, packet.bytes, &target.source, &target.backend, IPPROTO_UDP);
			size_t rest = packet.bytes - (size_t)(at - packet.data);
			assert_int_equal(at[2] << 8 | at[3], 6081);
			assert_int_equal(at[4] << 8 | at[5], rest);
			assert_int_equal(at[6] << 8 | at[7], 0);
			check_echo(at + 8, rest - 8, &target.inner_source, &target.service);
		}
	}
}

static void test_gue_in_ipv6_is_also_tried_with_a_checksum(void **state)
{
	(void)state;
	const struct berth_doctor_target target = target_of(BERTH_MODE_GUE, 6, 4);
	const struct berth_doctor_packet packet = build(&target, BERTH_DOCTOR_SUMMED);
	const uint8_t *udp = check_ip(packet.data, packet.bytes, &target.source, &target.backend, IPPROTO_UDP);
	size_t n = packet.bytes - 40;
	assert_true(is_right(add(pseudo_header(&target.source, &target.backend, IPPROTO_UDP, n), udp, n)));
	const struct berth_doctor_target target4 = target_of(BERTH_MODE_GUE, 4, 4);
	assert_int_equal(build(&target4, BERTH_DOCTOR_SUMMED).bytes, 0);
}

static void test_the_big_probe_is_as_large_as_a_client_or_the_way_allows(void **state)
{
	(void)state;
	static const struct {
		enum berth_mode mode;
		int outer;
		uint16_t mtu, packet, frame;
	} cases[] = {
		{BERTH_MODE_L2, 4, 9000, 1500, 1500},	{BERTH_MODE_L2, 4, 1400, 1400, 1400},
		{BERTH_MODE_IPIP, 4, 1520, 1500, 1520}, {BERTH_MODE_IPIP, 4, 1500, 1480, 1500},
		{BERTH_MODE_IPIP, 6, 1500, 1460, 1500}, {BERTH_MODE_GUE, 4, 1500, 1472, 1500},
		{BERTH_MODE_GUE, 6, 9000, 1500, 1548},	{BERTH_MODE_NAT, 4, 1500, 1500, 1500},
		{BERTH_MODE_IPIP, 4, 68, 0, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct berth_doctor_target target = target_of(cases[i].mode, cases[i].outer, cases[i].outer);
		target.mtu = cases[i].mtu;
		assert_int_equal(berth_doctor_big_bytes(&target), cases[i].packet);
		assert_int_equal(build(&target, BERTH_DOCTOR_BIG).bytes, cases[i].frame);
	}
}

static void test_probes_that_would_say_nothing_are_not_sent(void **state)
{
	(void)state;
	struct berth_doctor_target target = target_of(BERTH_MODE_IPIP, 4, 6);
	assert_int_equal(build(&target, BERTH_DOCTOR_OWN).bytes, 0); /* its own IPv6 address is not known */
	assert_int_equal(build(&target, BERTH_DOCTOR_RETURN).bytes, 0);
	memset(&target.inner_source, 0, sizeof(target.inner_source));
	assert_int_equal(build(&target, BERTH_DOCTOR_SERVICE).bytes, 0);
	assert_int_equal(build(&target, BERTH_DOCTOR_BIG).bytes, 0);
	assert_int_equal(build(&target, BERTH_DOCTOR_CLAIM).bytes, 0);

	target = target_of(BERTH_MODE_L2, 4, 4);
	target.on_link = false; /* a router would send it back */
	assert_int_equal(build(&target, BERTH_DOCTOR_SERVICE).bytes, 0);
	assert_int_equal(build(&target, BERTH_DOCTOR_CLAIM).bytes, 0);

	target = target_of(BERTH_MODE_NAT, 4, 4);
	assert_int_equal(build(&target, BERTH_DOCTOR_SERVICE).bytes, 0);
	assert_int_equal(build(&target, BERTH_DOCTOR_CLAIM).bytes, 0);
}

static void test_nat_is_tried_from_the_services_address(void **state)
{
	(void)state;
	const struct berth_doctor_target target = target_of(BERTH_MODE_NAT, 4, 4);
	const struct berth_doctor_packet packet = build(&target, BERTH_DOCTOR_RETURN);
	check_echo(packet.data, packet.bytes, &target.service, &target.backend);
}

/* What the address's owner answers to the echo request inside a probe, as its bytes. */
static struct berth_doctor_packet reply_to(const struct berth_doctor_packet *probe, size_t outer_bytes)
{
	struct berth_doctor_packet reply = *probe;
	reply.bytes -= outer_bytes;
	memmove(reply.data, reply.data + outer_bytes, reply.bytes);
	bool is4 = reply.data[0] >> 4 == 4;
	reply.ethertype = is4 ? 0x0800 : 0x86dd;
	size_t at = is4 ? 12 : 8, n = is4 ? 4 : 16;
	uint8_t src[16];
	memcpy(src, reply.data + at, n);
	memmove(reply.data + at, reply.data + at + n, n);
	memcpy(reply.data + at + n, src, n);
	reply.data[is4 ? 20 : 40] = is4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;
	return reply;
}

static struct berth_doctor_seen read_packet(const struct berth_doctor_packet *packet)
{
	return berth_doctor_read(packet->ethertype, packet->data, packet->bytes);
}

static void test_a_reply_tells_which_probe_it_answers(void **state)
{
	(void)state;
	for (int inner = 4; inner <= 6; inner += 2) {
		const struct berth_doctor_target target = target_of(BERTH_MODE_IPIP, 4, inner);
		const struct berth_doctor_packet probe = build(&target, BERTH_DOCTOR_SERVICE);
		const struct berth_doctor_packet reply = reply_to(&probe, 20);
		const struct berth_doctor_seen seen = read_packet(&reply);
		assert_int_equal(seen.word, BERTH_DOCTOR_ANSWERED);
		assert_memory_equal(&seen.tag, &tag, sizeof(tag));
		assert_true(berth_addr_equal(&seen.from, &target.service));
	}
}

static void test_a_request_or_somebody_elses_reply_is_no_answer(void **state)
{
	(void)state;
	const struct berth_doctor_target target = target_of(BERTH_MODE_L2, 4, 4);
	const struct berth_doctor_packet probe = build(&target, BERTH_DOCTOR_SERVICE);
	assert_int_equal(read_packet(&probe).word, BERTH_DOCTOR_NOTHING);
	struct berth_doctor_packet reply = reply_to(&probe, 0);
	reply.data[28] ^= 1;
	assert_int_equal(read_packet(&reply).word, BERTH_DOCTOR_NOTHING);
}

/* An ICMP error about a packet, from the packet's destination. */
static struct berth_doctor_packet error_about(const struct berth_doctor_packet *packet, uint8_t type, uint8_t code,
					      uint32_t mtu, size_t quoted)
{
	bool is4 = packet->data[0] >> 4 == 4;
	size_t header = is4 ? 20 : 40, at = is4 ? 12 : 8, n = is4 ? 4 : 16;
	struct berth_doctor_packet error = {.ethertype = packet->ethertype, .bytes = header + 8 + quoted};
	memcpy(error.data, packet->data, header);
	memcpy(error.data + at, packet->data + at + n, n);
	memcpy(error.data + at + n, packet->data + at, n);
	error.data[is4 ? 9 : 6] = is4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	error.data[header] = type;
	error.data[header + 1] = code;
	error.data[header + 6] = (uint8_t)(mtu >> 8);
	error.data[header + 7] = (uint8_t)mtu;
	memcpy(error.data + header + 8, packet->data, quoted);
	return error;
}

static void test_errors_about_an_outer_packet_are_understood(void **state)
{
	(void)state;
	static const struct {
		int outer;
		uint8_t type, code;
		enum berth_doctor_word word;
	} cases[] = {
		{4, 3, 2, BERTH_DOCTOR_REFUSED},    {4, 3, 3, BERTH_DOCTOR_REFUSED},
		{4, 3, 4, BERTH_DOCTOR_TOO_BIG},    {4, 3, 9, BERTH_DOCTOR_FORBIDDEN},
		{4, 3, 10, BERTH_DOCTOR_FORBIDDEN}, {4, 3, 13, BERTH_DOCTOR_FORBIDDEN},
		{4, 3, 1, BERTH_DOCTOR_NOTHING},    {4, 11, 0, BERTH_DOCTOR_NOTHING},
		{6, 1, 4, BERTH_DOCTOR_REFUSED},    {6, 4, 1, BERTH_DOCTOR_REFUSED},
		{6, 2, 0, BERTH_DOCTOR_TOO_BIG},    {6, 1, 1, BERTH_DOCTOR_FORBIDDEN},
		{6, 1, 3, BERTH_DOCTOR_NOTHING},    {6, 3, 0, BERTH_DOCTOR_NOTHING},
		{6, 4, 0, BERTH_DOCTOR_NOTHING},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct berth_doctor_target target = target_of(BERTH_MODE_GUE, cases[i].outer, 4);
		const struct berth_doctor_packet probe = build(&target, BERTH_DOCTOR_SERVICE);
		const struct berth_doctor_packet error = error_about(&probe, cases[i].type, cases[i].code, 1400,
								     cases[i].outer == 4 ? 28 : 48);
		const struct berth_doctor_seen seen = read_packet(&error);
		assert_int_equal(seen.word, cases[i].word);
		if (seen.word == BERTH_DOCTOR_NOTHING)
			continue;
		assert_true(berth_addr_equal(&seen.about, &target.backend));
		assert_int_equal(seen.protocol, IPPROTO_UDP);
		assert_int_equal(seen.port, 6080);
		if (seen.word == BERTH_DOCTOR_TOO_BIG)
			assert_int_equal(seen.mtu, 1400);
	}
}

/* Each in memory of its own size, so that a sanitizer sees a read past its end. */
static void test_packets_cut_short_anywhere_say_nothing(void **state)
{
	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		const struct berth_doctor_target target = target_of(BERTH_MODE_L2, version, version);
		const struct berth_doctor_packet probe = build(&target, BERTH_DOCTOR_SERVICE);
		size_t header = version == 4 ? 20 : 40;
		const struct berth_doctor_packet whole[] = {
			reply_to(&probe, 0),
			error_about(&probe, version == 4 ? 3 : 1, version == 4 ? 2 : 4, 0, header)};
		for (size_t i = 0; i < 2; i++) {
			assert_int_not_equal(read_packet(&whole[i]).word, BERTH_DOCTOR_NOTHING);
			for (size_t bytes = 0; bytes < whole[i].bytes; bytes++) {
				uint8_t *cut = malloc(bytes + !bytes);
				memcpy(cut, whole[i].data, bytes);
				assert_int_equal(berth_doctor_read(whole[i].ethertype, cut, bytes).word,
						 BERTH_DOCTOR_NOTHING);
				free(cut);
			}
		}
	}
}

static void test_the_first_fragment_of_a_reply_counts_and_later_ones_do_not(void **state)
{
	(void)state;
	const struct berth_doctor_target target = target_of(BERTH_MODE_L2, 6, 6);
	const struct berth_doctor_packet probe = build(&target, BERTH_DOCTOR_BIG);
	struct berth_doctor_packet reply = reply_to(&probe, 0);
	memmove(reply.data + 48, reply.data + 40, 600);
	memcpy(reply.data + 40, (uint8_t[]){IPPROTO_ICMPV6, 0, 0, 1, 0, 0, 0, 9}, 8);
	reply.data[6] = IPPROTO_FRAGMENT;
	reply.bytes = 648;
	assert_int_equal(read_packet(&reply).word, BERTH_DOCTOR_ANSWERED);
	reply.data[43] = 9;
	assert_int_equal(read_packet(&reply).word, BERTH_DOCTOR_NOTHING);
}

static void test_an_arp_answer_claims_the_address_and_a_request_does_not(void **state)
{
	(void)state;
	const struct berth_doctor_target target = target_of(BERTH_MODE_L2, 4, 4);
	struct berth_doctor_packet packet = build(&target, BERTH_DOCTOR_CLAIM);
	struct ether_arp arp;
	assert_int_equal(packet.ethertype, ETH_P_ARP);
	assert_int_equal(packet.bytes, sizeof(arp));
	memcpy(&arp, packet.data, sizeof(arp));
	assert_memory_equal(arp.arp_spa, &target.inner_source.word[3], 4);
	assert_memory_equal(arp.arp_tpa, &target.service.word[3], 4);
	assert_int_equal(read_packet(&packet).word, BERTH_DOCTOR_NOTHING);
	memcpy(packet.data + 14, arp.arp_tpa, 4);
	packet.data[7] = ARPOP_REPLY;
	const struct berth_doctor_seen seen = read_packet(&packet);
	assert_int_equal(seen.word, BERTH_DOCTOR_CLAIMED);
	assert_true(berth_addr_equal(&seen.about, &target.service));
}

static void test_a_neighbour_solicitation_asks_for_the_service(void **state)
{
	(void)state;
	const struct berth_doctor_target target = target_of(BERTH_MODE_IPIP, 4, 6);
	const union berth_addr group = address("ff02::1:ff00:10");
	struct berth_doctor_packet packet = build(&target, BERTH_DOCTOR_CLAIM);
	const uint8_t *icmp = check_ip(packet.data, packet.bytes, &target.inner_source, &group, IPPROTO_ICMPV6);
	assert_int_equal(packet.data[7], 255);
	assert_int_equal(icmp[0], ND_NEIGHBOR_SOLICIT);
	assert_memory_equal(icmp + 8, &target.service, 16);
	assert_true(is_right(add(pseudo_header(&target.inner_source, &group, IPPROTO_ICMPV6, 32), icmp, 32)));
	packet.data[40] = ND_NEIGHBOR_ADVERT;
	const struct berth_doctor_seen seen = read_packet(&packet);
	assert_int_equal(seen.word, BERTH_DOCTOR_CLAIMED);
	assert_true(berth_addr_equal(&seen.about, &target.service));
}

static void test_only_what_concerns_a_target_is_its_evidence(void **state)
{
	(void)state;
	const struct berth_doctor_target target = target_of(BERTH_MODE_GUE, 4, 4);
	const struct berth_doctor_evidence none = {0};
	const union berth_addr other = address("192.0.2.12");
	const struct berth_doctor_seen foreign[] = {
		/* An answer from another address than was asked: a router's, say. */
		{.word = BERTH_DOCTOR_ANSWERED, .tag.probe = BERTH_DOCTOR_SERVICE, .from = target.backend},
		{.word = BERTH_DOCTOR_ANSWERED, .tag.probe = BERTH_DOCTOR_OWN, .from = target.service},
		{.word = BERTH_DOCTOR_REFUSED, .from = other, .about = other, .protocol = 17, .port = 6080},
		{.word = BERTH_DOCTOR_REFUSED,
		 .from = target.backend,
		 .about = target.backend,
		 .protocol = 17,
		 .port = 53},
		{.word = BERTH_DOCTOR_REFUSED, .from = target.backend, .about = target.backend, .protocol = 4},
		{.word = BERTH_DOCTOR_REFUSED,
		 .from = other,
		 .about = target.backend,
		 .protocol = 17,
		 .port = 6080},
		{.word = BERTH_DOCTOR_CLAIMED, .about = target.backend},
	};
	struct berth_doctor_evidence evidence = {0};
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		berth_doctor_learn(&target, &evidence, &foreign[i], backend_mac);
	const struct berth_doctor_target ipip = target_of(BERTH_MODE_IPIP, 4, 4);
	const struct berth_doctor_seen of_ipv6 = {
		.word = BERTH_DOCTOR_REFUSED, .from = ipip.backend, .about = ipip.backend, .protocol = 41};
	berth_doctor_learn(&ipip, &evidence, &of_ipv6, backend_mac);
	/* The router has the address, and may well answer for it. */
	const struct berth_doctor_seen claim = {.word = BERTH_DOCTOR_CLAIMED, .about = target.service};
	berth_doctor_learn(&target, &evidence, &claim, router_mac);
	assert_memory_equal(&evidence, &none, sizeof(none));

	berth_doctor_learn(&target, &evidence, &claim, backend_mac);
	assert_true(evidence.claimed);
	const struct berth_doctor_seen refusal = {.word = BERTH_DOCTOR_REFUSED,
						  .from = target.backend,
						  .about = target.backend,
						  .protocol = 17,
						  .port = 6080};
	berth_doctor_learn(&target, &evidence, &refusal, router_mac);
	assert_true(evidence.refused);
}

static void test_a_return_is_berths_only_straight_from_the_backend(void **state)
{
	(void)state;
	const struct berth_doctor_target target = target_of(BERTH_MODE_NAT, 4, 4);
	const struct berth_doctor_seen seen = {
		.word = BERTH_DOCTOR_ANSWERED, .tag.probe = BERTH_DOCTOR_RETURN, .from = target.backend};
	struct berth_doctor_evidence evidence = {0};
	berth_doctor_learn(&target, &evidence, &seen, router_mac);
	assert_true(evidence.by_other);
	berth_doctor_learn(&target, &evidence, &seen, backend_mac);
	assert_false(evidence.by_other);
}

enum {
	DIRECT = 1 << BERTH_DOCTOR_DIRECT,
	OWN = 1 << BERTH_DOCTOR_OWN,
	SERVICE = 1 << BERTH_DOCTOR_SERVICE,
	BIG = 1 << BERTH_DOCTOR_BIG,
	SUMMED = 1 << BERTH_DOCTOR_SUMMED,
	RETURN = 1 << BERTH_DOCTOR_RETURN,
	REFUSED = 1 << BERTH_DOCTOR_PROBES,
	FORBIDDEN = REFUSED << 1,
	CLAIMED = REFUSED << 2,
	BY_OTHER = REFUSED << 3,
	ROUTED = REFUSED << 4, /* of the target: behind a router */
	DOWN = REFUSED << 5,
	NARROW = REFUSED << 6,
	NO_SOURCE = REFUSED << 7,
};

/* What the first finding must be. */
static const struct {
	enum berth_mode mode;
	int outer, inner;
	unsigned int facts;
	enum berth_doctor_level level;
	const char *seen, *advice;
} judgements[] = {
	{BERTH_MODE_L2, 4, 4, DIRECT | SERVICE | BIG, BERTH_DOCTOR_OK, "1500 bytes too", ""},
	{BERTH_MODE_L2, 4, 4, DIRECT, BERTH_DOCTOR_WRONG, "not at 203.0.113.10",
	 "ip addr add 203.0.113.10/32 dev lo"},
	{BERTH_MODE_L2, 6, 6, DIRECT, BERTH_DOCTOR_WRONG, "not at 2001:db8:f::10",
	 "ip addr add 2001:db8:f::10/128 dev lo"},
	{BERTH_MODE_L2, 4, 4, DIRECT | SERVICE, BERTH_DOCTOR_WRONG, "not one of 1500 bytes", "mtu 1500"},
	{BERTH_MODE_L2, 4, 4, DIRECT | SERVICE | BIG | CLAIMED, BERTH_DOCTOR_WRONG, "answers ARP requests",
	 "arp_ignore=1"},
	{BERTH_MODE_L2, 6, 6, DIRECT | SERVICE | BIG | CLAIMED, BERTH_DOCTOR_WRONG, "neighbour solicitations",
	 "ip addr del 2001:db8:f::10/128 dev eth0"},
	{BERTH_MODE_L2, 4, 4, DIRECT | ROUTED, BERTH_DOCTOR_WRONG, "over a router", "mode: ipip"},
	{BERTH_MODE_L2, 4, 4, 0, BERTH_DOCTOR_NOTE, "answers no pings", "let ICMP"},
	{BERTH_MODE_L2, 4, 4, DOWN, BERTH_DOCTOR_WRONG, "does not answer at all (health check: refused)",
	 "running"},
	{BERTH_MODE_L2, 4, 4, DIRECT | SERVICE | BIG | DOWN, BERTH_DOCTOR_OK, "answers", ""},
	{BERTH_MODE_IPIP, 4, 4, DIRECT | OWN | SERVICE | BIG, BERTH_DOCTOR_OK, "ipip: 203.0.113.10 answers", ""},
	{BERTH_MODE_IPIP, 4, 4, DIRECT | OWN | SERVICE | BIG | NARROW, BERTH_DOCTOR_NOTE, "at most 1480 bytes",
	 "MTU of 1520"},
	{BERTH_MODE_IPIP, 4, 4, DIRECT | OWN | SERVICE, BERTH_DOCTOR_WRONG, "not one of 1500 bytes", "mtu 1520"},
	{BERTH_MODE_IPIP, 4, 4, DIRECT | OWN, BERTH_DOCTOR_WRONG, "the service's address is missing",
	 "ip addr add 203.0.113.10/32 dev lo"},
	{BERTH_MODE_IPIP, 4, 4, DIRECT | REFUSED, BERTH_DOCTOR_WRONG, "refuses ipip",
	 "modprobe ipip && ip link set tunl0 up"},
	{BERTH_MODE_IPIP, 4, 6, DIRECT | REFUSED, BERTH_DOCTOR_WRONG, "refuses ipip",
	 "modprobe sit && ip link set sit0 up"},
	{BERTH_MODE_IPIP, 6, 6, DIRECT | REFUSED, BERTH_DOCTOR_WRONG, "refuses ipip",
	 "modprobe ip6_tunnel && ip link set ip6tnl0 up"},
	{BERTH_MODE_IPIP, 6, 4, DIRECT | REFUSED, BERTH_DOCTOR_WRONG, "refuses ipip",
	 "ip -6 tunnel change ip6tnl0 mode any"},
	{BERTH_MODE_IPIP, 4, 4, DIRECT | FORBIDDEN, BERTH_DOCTOR_WRONG, "firewall on the way rejects",
	 "let protocol 4 "},
	{BERTH_MODE_IPIP, 4, 4, DIRECT, BERTH_DOCTOR_WRONG, "rp_filter", "net.ipv4.conf.tunl0.rp_filter=0"},
	{BERTH_MODE_IPIP, 6, 6, DIRECT, BERTH_DOCTOR_WRONG, "a firewall drops protocol 41", "let protocol 41"},
	{BERTH_MODE_IPIP, 4, 6, DIRECT, BERTH_DOCTOR_WRONG, "the service's address is missing, or a firewall",
	 "ip addr add 2001:db8:f::10/128 dev lo; and let protocol 41"},
	{BERTH_MODE_IPIP, 4, 4, 0, BERTH_DOCTOR_NOTE, "answers no pings", ""},
	{BERTH_MODE_IPIP, 4, 6, DIRECT | NO_SOURCE, BERTH_DOCTOR_NOTE, "no IPv6 address to try", ""},
	{BERTH_MODE_GUE, 4, 4, DIRECT | REFUSED, BERTH_DOCTOR_WRONG, "refuses gue",
	 "modprobe fou && ip fou add port 6080 gue && modprobe ipip"},
	{BERTH_MODE_GUE, 6, 6, DIRECT | REFUSED, BERTH_DOCTOR_WRONG, "refuses gue",
	 "modprobe fou6 && ip -6 fou add port 6080 gue"},
	{BERTH_MODE_GUE, 6, 6, DIRECT | SUMMED, BERTH_DOCTOR_WRONG, "only with an outer UDP checksum",
	 "berth-decap"},
	{BERTH_MODE_GUE, 4, 4, DIRECT | OWN | SERVICE, BERTH_DOCTOR_WRONG, "not one of 1500 bytes", "mtu 1528"},
	{BERTH_MODE_NAT, 4, 4, DIRECT | BIG | RETURN, BERTH_DOCTOR_OK, "its own address answers", ""},
	{BERTH_MODE_NAT, 4, 4, DIRECT | BIG | RETURN | BY_OTHER, BERTH_DOCTOR_WRONG, "by another router",
	 "ip route replace default via 192.0.2.2"},
	{BERTH_MODE_NAT, 6, 6, DIRECT | BIG, BERTH_DOCTOR_WRONG, "berth is not its gateway",
	 "ip -6 route replace default via 2001:db8:2::2"},
};

static void test_evidence_is_judged(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(judgements) / sizeof(judgements[0]); i++) {
		unsigned int facts = judgements[i].facts;
		struct berth_doctor_target target = target_of(judgements[i].mode, judgements[i].outer,
							      judgements[i].inner);
		struct berth_doctor_evidence evidence = {
			.refused = facts & REFUSED,
			.forbidden = facts & FORBIDDEN,
			.claimed = facts & CLAIMED,
			.by_other = facts & BY_OTHER,
		};
		struct berth_doctor_finding findings[BERTH_DOCTOR_FINDINGS];
		for (int probe = 0; probe < BERTH_DOCTOR_PROBES; probe++)
			evidence.answered[probe] = facts & 1u << probe;
		target.on_link = !(facts & ROUTED);
		target.alive = target.up = !(facts & DOWN);
		target.health_why = target.up ? "" : "refused";
		target.mtu = facts & NARROW ? 1500 : 1600;
		if (facts & NO_SOURCE)
			memset(&target.inner_source, 0, sizeof(target.inner_source));
		size_t n = berth_doctor_judge(&target, &evidence, findings);
		assert_in_range(n, 1, BERTH_DOCTOR_FINDINGS);
		if (findings[0].level != judgements[i].level || !strstr(findings[0].seen, judgements[i].seen) ||
		    !strstr(findings[0].advice, judgements[i].advice))
			fail_msg("case %zu: level %d, %s -> %s", i, (int)findings[0].level, findings[0].seen,
				 findings[0].advice);
		/* Fine through the tunnel, and still nobody goes there. */
		if (target.up || findings[0].level != BERTH_DOCTOR_OK)
			continue;
		assert_int_equal(n, 2);
		assert_non_null(strstr(findings[1].seen, "health check fails: refused"));
	}
}

static void test_an_operators_word_on_health_is_told_from_the_checks(void **state)
{
	(void)state;
	const struct berth_doctor_evidence fine = {
		.answered = {
			[BERTH_DOCTOR_DIRECT] = true, [BERTH_DOCTOR_SERVICE] = true, [BERTH_DOCTOR_BIG] = true}};
	const struct berth_doctor_evidence silence = {0};
	struct berth_doctor_target target = target_of(BERTH_MODE_L2, 4, 4);
	struct berth_doctor_finding findings[BERTH_DOCTOR_FINDINGS];

	target.up = false;
	target.health_why = "connected";
	assert_int_equal(berth_doctor_judge(&target, &fine, findings), 2);
	assert_int_equal(findings[1].level, BERTH_DOCTOR_NOTE);
	assert_string_equal(findings[1].seen, "an operator forced it down; its health check says: connected");
	assert_non_null(strstr(findings[1].advice, "auto"));
	/* What it is forced to be tells nothing of whether it lives. */
	berth_doctor_judge(&target, &silence, findings);
	assert_non_null(strstr(findings[0].seen, "its health check is fine, but it answers no pings"));

	target.alive = false;
	target.up = true;
	target.health_why = "refused";
	assert_int_equal(berth_doctor_judge(&target, &fine, findings), 2);
	assert_string_equal(findings[1].seen, "an operator forced it up; its health check says: refused");
	berth_doctor_judge(&target, &silence, findings);
	assert_non_null(strstr(findings[0].seen, "does not answer at all (health check: refused)"));
}

/* A backend of a model, as an operator and the checks have left it. */
static void test_a_targets_health_is_the_one_that_counts(void **state)
{
	(void)state;
	static const struct {
		enum berth_forced forced;
		enum berth_health_state health;
		bool alive, up;
	} cases[] = {
		{BERTH_FORCED_NOT, BERTH_HEALTH_UP, true, true},
		{BERTH_FORCED_NOT, BERTH_HEALTH_DOWN, false, false},
		{BERTH_FORCED_DOWN, BERTH_HEALTH_UP, true, false},
		{BERTH_FORCED_UP, BERTH_HEALTH_DOWN, false, true},
		{BERTH_FORCED_UP, BERTH_HEALTH_UNKNOWN, false, true},
	};
	struct berth_interface_config interface = {.name = "lo"};
	struct berth_config config = {.interfaces = &interface, .n_interfaces = 1};
	const struct berth_daemon daemon = {.model.config = &config};
	const struct berth_model_service service = {.config.address = address("203.0.113.10")};
	struct berth_rtnl rtnl;
	assert_int_equal(berth_rtnl_open(&rtnl), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct berth_doctor_target target;
		struct berth_doctor_finding finding;
		const struct berth_model_backend backend = {
			.config.address = address("192.0.2.11"),
			.next_hop.known = true,
			.forced = cases[i].forced,
			.health = cases[i].health,
		};
		assert_true(berth_doctor_find(&daemon, &rtnl, &service, &backend, &target, &finding));
		assert_int_equal(target.alive, cases[i].alive);
		assert_int_equal(target.up, cases[i].up);
	}
	berth_rtnl_close(&rtnl);
}

static void test_the_other_port_and_the_prefix_stand_in_the_commands(void **state)
{
	(void)state;
	struct berth_doctor_target target = target_of(BERTH_MODE_GUE, 4, 4);
	struct berth_doctor_evidence evidence = {.refused = true};
	struct berth_doctor_finding findings[BERTH_DOCTOR_FINDINGS];
	target.gue_port = 7000;
	berth_doctor_judge(&target, &evidence, findings);
	assert_non_null(strstr(findings[0].advice, "ip fou add port 7000 gue"));
	assert_non_null(strstr(findings[0].advice, "berth-decap attach eth0 --gue-port 7000"));

	evidence = (struct berth_doctor_evidence){.answered[BERTH_DOCTOR_OWN] = true};
	target.prefix = address("203.0.113.0");
	target.bits = 96 + 28;
	berth_doctor_judge(&target, &evidence, findings);
	assert_non_null(strstr(findings[0].advice, "ip route add local 203.0.113.0/28 dev lo"));
}

/* No advice may be cut: the longest there is. */
static void test_the_longest_advice_is_whole(void **state)
{
	(void)state;
	struct berth_doctor_target target = target_of(BERTH_MODE_GUE, 6, 4);
	const struct berth_doctor_evidence refused = {.refused = true};
	const struct berth_doctor_evidence swallowed = {.answered[BERTH_DOCTOR_DIRECT] = true};
	struct berth_doctor_finding findings[BERTH_DOCTOR_FINDINGS];
	target.gue_port = 65535;
	berth_doctor_judge(&target, &refused, findings);
	assert_non_null(strstr(findings[0].advice, "--gue-port 65535"));
	berth_doctor_judge(&target, &swallowed, findings);
	assert_non_null(strstr(findings[0].advice, "UDP port 65535 from berth's host in"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_plain_probe_goes_to_the_backends_own_address),
		cmocka_unit_test(test_a_tunnels_probe_has_the_modes_outer_header),
		cmocka_unit_test(test_gue_in_ipv6_is_also_tried_with_a_checksum),
		cmocka_unit_test(test_the_big_probe_is_as_large_as_a_client_or_the_way_allows),
		cmocka_unit_test(test_probes_that_would_say_nothing_are_not_sent),
		cmocka_unit_test(test_nat_is_tried_from_the_services_address),
		cmocka_unit_test(test_a_reply_tells_which_probe_it_answers),
		cmocka_unit_test(test_a_request_or_somebody_elses_reply_is_no_answer),
		cmocka_unit_test(test_errors_about_an_outer_packet_are_understood),
		cmocka_unit_test(test_packets_cut_short_anywhere_say_nothing),
		cmocka_unit_test(test_the_first_fragment_of_a_reply_counts_and_later_ones_do_not),
		cmocka_unit_test(test_an_arp_answer_claims_the_address_and_a_request_does_not),
		cmocka_unit_test(test_a_neighbour_solicitation_asks_for_the_service),
		cmocka_unit_test(test_only_what_concerns_a_target_is_its_evidence),
		cmocka_unit_test(test_a_return_is_berths_only_straight_from_the_backend),
		cmocka_unit_test(test_evidence_is_judged),
		cmocka_unit_test(test_an_operators_word_on_health_is_told_from_the_checks),
		cmocka_unit_test(test_a_targets_health_is_the_one_that_counts),
		cmocka_unit_test(test_the_other_port_and_the_prefix_stand_in_the_commands),
		cmocka_unit_test(test_the_longest_advice_is_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
