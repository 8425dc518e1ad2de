// SPDX-License-Identifier: BSD-3-Clause
/* The bytes of probes, and the parser of replies. */
#include "tests/unit/controlplane/doctor/doctor.h"

#include <arpa/inet.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/ip_icmp.h>

static const struct berth_doctor_probe_id tag = {.run = 0x1234abcd, .target = 70000, .probe = BERTH_DOCTOR_SERVICE};

static struct berth_doctor_packet build(const struct berth_doctor_target *target, enum berth_doctor_probe probe)
{
	struct berth_doctor_probe_id with = tag;
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

/* True if a sum that includes the checksum is valid. */
static bool is_valid(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff;
}

/* Checks the IP header at `at`; returns its end. */
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
		assert_true(is_valid(add(0, &ip, sizeof(ip))));
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
	assert_true(is_valid(add(is4 ? 0 : pseudo_header(src, dst, IPPROTO_ICMPV6, n), icmp, n)));
}

static void test_a_direct_probe_goes_to_the_backends_own_address(void **state)
{
	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		const struct berth_doctor_target target = target_of(BERTH_MODE_IPIP, version, version);
		const struct berth_doctor_packet packet = build(&target, BERTH_DOCTOR_DIRECT);
		assert_int_equal(packet.ethertype, version == 4 ? 0x0800 : 0x86dd);
		check_echo(packet.data, packet.bytes, &target.source, &target.backend);
	}
}

static void test_an_encapsulated_probe_has_the_modes_outer_header(void **state)
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

static void test_gue_over_ipv6_is_also_probed_with_a_udp_checksum(void **state)
{
	(void)state;
	const struct berth_doctor_target target = target_of(BERTH_MODE_GUE, 6, 4);
	const struct berth_doctor_packet packet = build(&target, BERTH_DOCTOR_UDP_CHECKSUM);
	const uint8_t *udp = check_ip(packet.data, packet.bytes, &target.source, &target.backend, IPPROTO_UDP);
	size_t n = packet.bytes - 40;
	assert_true(is_valid(add(pseudo_header(&target.source, &target.backend, IPPROTO_UDP, n), udp, n)));
	const struct berth_doctor_target target4 = target_of(BERTH_MODE_GUE, 4, 4);
	assert_int_equal(build(&target4, BERTH_DOCTOR_UDP_CHECKSUM).bytes, 0);
}

static void test_the_large_probe_is_limited_by_clients_and_by_the_mtu(void **state)
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
		assert_int_equal(berth_doctor_large_bytes(&target), cases[i].packet);
		assert_int_equal(build(&target, BERTH_DOCTOR_LARGE).bytes, cases[i].frame);
	}
}

static void test_probes_that_do_not_apply_are_not_sent(void **state)
{
	(void)state;
	struct berth_doctor_target target = target_of(BERTH_MODE_IPIP, 4, 6);
	assert_int_equal(build(&target, BERTH_DOCTOR_DECAP).bytes, 0); /* the backend's IPv6 address is unknown */
	assert_int_equal(build(&target, BERTH_DOCTOR_RETURN).bytes, 0);
	memset(&target.inner_source, 0, sizeof(target.inner_source));
	assert_int_equal(build(&target, BERTH_DOCTOR_SERVICE).bytes, 0);
	assert_int_equal(build(&target, BERTH_DOCTOR_LARGE).bytes, 0);
	assert_int_equal(build(&target, BERTH_DOCTOR_NEIGHBOR).bytes, 0);

	target = target_of(BERTH_MODE_L2, 4, 4);
	target.is_on_link = false; /* a router would return it */
	assert_int_equal(build(&target, BERTH_DOCTOR_SERVICE).bytes, 0);
	assert_int_equal(build(&target, BERTH_DOCTOR_NEIGHBOR).bytes, 0);

	target = target_of(BERTH_MODE_NAT, 4, 4);
	assert_int_equal(build(&target, BERTH_DOCTOR_SERVICE).bytes, 0);
	assert_int_equal(build(&target, BERTH_DOCTOR_NEIGHBOR).bytes, 0);
}

static void test_the_return_probe_has_the_services_address_as_source(void **state)
{
	(void)state;
	const struct berth_doctor_target target = target_of(BERTH_MODE_NAT, 4, 4);
	const struct berth_doctor_packet packet = build(&target, BERTH_DOCTOR_RETURN);
	check_echo(packet.data, packet.bytes, &target.service, &target.backend);
}

/* The echo reply to the request in a probe. */
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

static struct berth_doctor_reply read_packet(const struct berth_doctor_packet *packet)
{
	return berth_doctor_parse(packet->ethertype, packet->data, packet->bytes);
}

static void test_a_reply_identifies_its_probe(void **state)
{
	(void)state;
	for (int inner = 4; inner <= 6; inner += 2) {
		const struct berth_doctor_target target = target_of(BERTH_MODE_IPIP, 4, inner);
		const struct berth_doctor_packet probe = build(&target, BERTH_DOCTOR_SERVICE);
		const struct berth_doctor_packet reply = reply_to(&probe, 20);
		const struct berth_doctor_reply seen = read_packet(&reply);
		assert_int_equal(seen.type, BERTH_DOCTOR_REPLY_ECHO);
		assert_memory_equal(&seen.id, &tag, sizeof(tag));
		assert_true(berth_addr_equal(&seen.from, &target.service));
	}
}

static void test_a_request_that_comes_back_is_no_reply_and_others_are_ignored(void **state)
{
	(void)state;
	const struct berth_doctor_target target = target_of(BERTH_MODE_L2, 4, 4);
	const struct berth_doctor_packet probe = build(&target, BERTH_DOCTOR_SERVICE);
	assert_int_equal(read_packet(&probe).type, BERTH_DOCTOR_REPLY_REQUEST);
	struct berth_doctor_packet reply = reply_to(&probe, 0);
	reply.data[28] ^= 1;
	assert_int_equal(read_packet(&reply).type, BERTH_DOCTOR_REPLY_NONE);
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

static void test_icmp_errors_about_an_outer_packet_are_classified(void **state)
{
	(void)state;
	static const struct {
		int outer;
		uint8_t type, code;
		enum berth_doctor_reply_type reply;
	} cases[] = {
		{4, 3, 2, BERTH_DOCTOR_REPLY_UNREACHABLE}, {4, 3, 3, BERTH_DOCTOR_REPLY_UNREACHABLE},
		{4, 3, 4, BERTH_DOCTOR_REPLY_TOO_BIG},	   {4, 3, 9, BERTH_DOCTOR_REPLY_PROHIBITED},
		{4, 3, 10, BERTH_DOCTOR_REPLY_PROHIBITED}, {4, 3, 13, BERTH_DOCTOR_REPLY_PROHIBITED},
		{4, 3, 1, BERTH_DOCTOR_REPLY_NO_ROUTE},	   {4, 11, 0, BERTH_DOCTOR_REPLY_NONE},
		{6, 1, 4, BERTH_DOCTOR_REPLY_UNREACHABLE}, {6, 4, 1, BERTH_DOCTOR_REPLY_UNREACHABLE},
		{6, 2, 0, BERTH_DOCTOR_REPLY_TOO_BIG},	   {6, 1, 1, BERTH_DOCTOR_REPLY_PROHIBITED},
		{6, 1, 3, BERTH_DOCTOR_REPLY_NO_ROUTE},	   {6, 3, 0, BERTH_DOCTOR_REPLY_NONE},
		{6, 4, 0, BERTH_DOCTOR_REPLY_NONE},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct berth_doctor_target target = target_of(BERTH_MODE_GUE, cases[i].outer, 4);
		const struct berth_doctor_packet probe = build(&target, BERTH_DOCTOR_SERVICE);
		const struct berth_doctor_packet error = error_about(&probe, cases[i].type, cases[i].code, 1400,
								     cases[i].outer == 4 ? 28 : 48);
		const struct berth_doctor_reply seen = read_packet(&error);
		assert_int_equal(seen.type, cases[i].reply);
		if (seen.type == BERTH_DOCTOR_REPLY_NONE)
			continue;
		assert_true(berth_addr_equal(&seen.original_dst, &target.backend));
		assert_int_equal(seen.protocol, IPPROTO_UDP);
		assert_int_equal(seen.port, 6080);
		if (seen.type == BERTH_DOCTOR_REPLY_TOO_BIG)
			assert_int_equal(seen.mtu, 1400);
	}
}

/* Checks the TCP or UDP header of a PORT probe. */
static void check_transport(const uint8_t *at, size_t bytes, const union berth_addr *src,
			    const union berth_addr *dst, uint8_t protocol)
{
	const uint8_t *header = check_ip(at, bytes, src, dst, protocol);
	const size_t skip = berth_addr_is4(dst) ? 12 : 0, n = bytes - (size_t)(header - at);
	uint32_t sum = add(add(0, src->byte + skip, 16 - skip), dst->byte + skip, 16 - skip) + protocol +
		       (uint32_t)n;
	assert_int_equal(n, protocol == IPPROTO_TCP ? 20 : 8);
	assert_int_equal(header[0] << 8 | header[1], 61234);
	assert_int_equal(header[2] << 8 | header[3], 443);
	assert_true(is_valid(add(sum, header, n)));
}

static void test_a_port_probe_takes_the_path_of_a_clients_packet(void **state)
{
	(void)state;
	static const struct {
		enum berth_mode mode;
		int outer, inner;
		size_t overhead;
	} cases[] = {{BERTH_MODE_L2, 4, 4, 0},	 {BERTH_MODE_L2, 6, 6, 0},  {BERTH_MODE_IPIP, 4, 6, 20},
		     {BERTH_MODE_GUE, 6, 4, 48}, {BERTH_MODE_NAT, 4, 4, 0}, {BERTH_MODE_NAT, 6, 6, 0}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct berth_doctor_target target = target_of(cases[i].mode, cases[i].outer, cases[i].inner);
		bool nat = cases[i].mode == BERTH_MODE_NAT;
		assert_int_equal(build(&target, BERTH_DOCTOR_PORT).bytes, 0); /* no port */
		target.port = 443;
		target.source_port = 61234;
		for (int udp = 0; udp < 2; udp++) {
			target.protocol = udp ? IPPROTO_UDP : IPPROTO_TCP;
			const struct berth_doctor_packet probe = build(&target, BERTH_DOCTOR_PORT);
			check_transport(probe.data + cases[i].overhead, probe.bytes - cases[i].overhead,
					nat ? &target.source : &target.inner_source,
					nat ? &target.backend : &target.service, target.protocol);
		}
	}
}

/* The header of a server's answer, with source and destination exchanged. */
static struct berth_doctor_packet tcp_answer(const struct berth_doctor_packet *syn, uint8_t flags)
{
	struct berth_doctor_packet answer = *syn;
	uint8_t *tcp = answer.data + 20;
	memcpy(answer.data + 12, syn->data + 16, 4);
	memcpy(answer.data + 16, syn->data + 12, 4);
	memcpy(tcp, syn->data + 22, 2);
	memcpy(tcp + 2, syn->data + 20, 2);
	const uint32_t acknowledged = htonl(berth_doctor_sequence(&tag) + 1);
	memcpy(tcp + 8, &acknowledged, 4);
	tcp[13] = flags;
	return answer;
}

static void test_a_port_is_open_refused_or_rejected(void **state)
{
	(void)state;
	struct berth_doctor_target target = target_of(BERTH_MODE_L2, 4, 4);
	target.protocol = IPPROTO_TCP;
	target.port = 443;
	target.source_port = 61234;
	const struct berth_doctor_packet syn = build(&target, BERTH_DOCTOR_PORT);
	const struct berth_doctor_packet packets[] = {tcp_answer(&syn, 0x12), tcp_answer(&syn, 0x14),
						      error_about(&syn, 3, 3, 0, 28)};
	for (size_t i = 0; i < 3; i++) {
		struct berth_doctor_results results = {0};
		const struct berth_doctor_reply reply = read_packet(&packets[i]);
		if (i < 2)
			assert_int_equal(reply.sequence, berth_doctor_sequence(&tag));
		berth_doctor_record(&target, &results, &reply, backend_mac);
		assert_int_equal(results.is_answered[BERTH_DOCTOR_PORT], i == 0);
		assert_int_equal(results.is_port_refused, i == 1);
		assert_int_equal(results.is_port_prohibited, i == 2);
		/* Another connection's answer. */
		struct berth_doctor_results none = {0}, other = {0};
		target.source_port++;
		berth_doctor_record(&target, &other, &reply, backend_mac);
		assert_memory_equal(&other, &none, sizeof(none));
		target.source_port--;
	}
}

static void test_the_next_hop_is_asked_for_by_all_hosts_of_the_link(void **state)
{
	(void)state;
	const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	const uint8_t group[6] = {0x33, 0x33, 0xff, 0, 0, 0x11};
	for (int version = 4; version <= 6; version += 2) {
		struct berth_doctor_target target = target_of(BERTH_MODE_L2, version, version);
		assert_int_equal(build(&target, BERTH_DOCTOR_RESOLVE).bytes, 0);
		target.next_hop = target.backend;
		const struct berth_doctor_packet probe = build(&target, BERTH_DOCTOR_RESOLVE);
		assert_memory_equal(probe.dst_mac, version == 4 ? broadcast : group, 6);
		assert_int_equal(probe.ethertype, version == 4 ? 0x0806 : 0x86dd);
		if (version == 4)
			assert_memory_equal(probe.data + 24, &target.backend.word[3], 4);
		else
			assert_memory_equal(probe.data + 48, &target.backend, 16);
	}
}

static void test_a_route_is_probed_through_the_gateway_alone(void **state)
{
	(void)state;
	struct berth_doctor_target target = target_of(BERTH_MODE_IPIP, 4, 4);
	assert_int_equal(build(&target, BERTH_DOCTOR_ROUTE).bytes, 0);
	target.is_route = true;
	for (unsigned int probe = 0; probe < BERTH_DOCTOR_PROBES; probe++) {
		const struct berth_doctor_packet packet = build(&target, probe);
		if (probe == BERTH_DOCTOR_ROUTE)
			check_echo(packet.data, packet.bytes, &target.source, &target.service);
		else
			assert_int_equal(packet.bytes, 0);
	}
}

/* Each packet has an allocation of its exact size, so that a sanitizer detects reads beyond it. */
static void test_truncated_packets_are_ignored(void **state)
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
			assert_int_not_equal(read_packet(&whole[i]).type, BERTH_DOCTOR_REPLY_NONE);
			for (size_t bytes = 0; bytes < whole[i].bytes; bytes++) {
				uint8_t *cut = malloc(bytes + !bytes);
				memcpy(cut, whole[i].data, bytes);
				assert_int_equal(berth_doctor_parse(whole[i].ethertype, cut, bytes).type,
						 BERTH_DOCTOR_REPLY_NONE);
				free(cut);
			}
		}
	}
}

static void test_only_the_first_fragment_of_a_reply_counts(void **state)
{
	(void)state;
	const struct berth_doctor_target target = target_of(BERTH_MODE_L2, 6, 6);
	const struct berth_doctor_packet probe = build(&target, BERTH_DOCTOR_LARGE);
	struct berth_doctor_packet reply = reply_to(&probe, 0);
	memmove(reply.data + 48, reply.data + 40, 600);
	memcpy(reply.data + 40, (uint8_t[]){IPPROTO_ICMPV6, 0, 0, 1, 0, 0, 0, 9}, 8);
	reply.data[6] = IPPROTO_FRAGMENT;
	reply.bytes = 648;
	assert_int_equal(read_packet(&reply).type, BERTH_DOCTOR_REPLY_ECHO);
	reply.data[43] = 9;
	assert_int_equal(read_packet(&reply).type, BERTH_DOCTOR_REPLY_NONE);
}

static void test_an_arp_reply_is_recorded_and_a_request_is_ignored(void **state)
{
	(void)state;
	const struct berth_doctor_target target = target_of(BERTH_MODE_L2, 4, 4);
	struct berth_doctor_packet packet = build(&target, BERTH_DOCTOR_NEIGHBOR);
	struct ether_arp arp;
	assert_int_equal(packet.ethertype, ETH_P_ARP);
	assert_int_equal(packet.bytes, sizeof(arp));
	memcpy(&arp, packet.data, sizeof(arp));
	assert_memory_equal(arp.arp_spa, &target.inner_source.word[3], 4);
	assert_memory_equal(arp.arp_tpa, &target.service.word[3], 4);
	assert_int_equal(read_packet(&packet).type, BERTH_DOCTOR_REPLY_NONE);
	memcpy(packet.data + 14, arp.arp_tpa, 4);
	packet.data[7] = ARPOP_REPLY;
	const struct berth_doctor_reply seen = read_packet(&packet);
	assert_int_equal(seen.type, BERTH_DOCTOR_REPLY_NEIGHBOR);
	assert_true(berth_addr_equal(&seen.original_dst, &target.service));
}

static void test_a_neighbour_solicitation_is_for_the_service(void **state)
{
	(void)state;
	const struct berth_doctor_target target = target_of(BERTH_MODE_IPIP, 4, 6);
	const union berth_addr group = address("ff02::1:ff00:10");
	struct berth_doctor_packet packet = build(&target, BERTH_DOCTOR_NEIGHBOR);
	const uint8_t *icmp = check_ip(packet.data, packet.bytes, &target.inner_source, &group, IPPROTO_ICMPV6);
	assert_int_equal(packet.data[7], 255);
	assert_int_equal(icmp[0], ND_NEIGHBOR_SOLICIT);
	assert_memory_equal(icmp + 8, &target.service, 16);
	assert_true(is_valid(add(pseudo_header(&target.inner_source, &group, IPPROTO_ICMPV6, 32), icmp, 32)));
	packet.data[40] = ND_NEIGHBOR_ADVERT;
	const struct berth_doctor_reply seen = read_packet(&packet);
	assert_int_equal(seen.type, BERTH_DOCTOR_REPLY_NEIGHBOR);
	assert_true(berth_addr_equal(&seen.original_dst, &target.service));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_direct_probe_goes_to_the_backends_own_address),
		cmocka_unit_test(test_an_encapsulated_probe_has_the_modes_outer_header),
		cmocka_unit_test(test_gue_over_ipv6_is_also_probed_with_a_udp_checksum),
		cmocka_unit_test(test_the_large_probe_is_limited_by_clients_and_by_the_mtu),
		cmocka_unit_test(test_probes_that_do_not_apply_are_not_sent),
		cmocka_unit_test(test_the_return_probe_has_the_services_address_as_source),
		cmocka_unit_test(test_a_reply_identifies_its_probe),
		cmocka_unit_test(test_a_request_that_comes_back_is_no_reply_and_others_are_ignored),
		cmocka_unit_test(test_icmp_errors_about_an_outer_packet_are_classified),
		cmocka_unit_test(test_a_port_probe_takes_the_path_of_a_clients_packet),
		cmocka_unit_test(test_a_port_is_open_refused_or_rejected),
		cmocka_unit_test(test_the_next_hop_is_asked_for_by_all_hosts_of_the_link),
		cmocka_unit_test(test_a_route_is_probed_through_the_gateway_alone),
		cmocka_unit_test(test_truncated_packets_are_ignored),
		cmocka_unit_test(test_only_the_first_fragment_of_a_reply_counts),
		cmocka_unit_test(test_an_arp_reply_is_recorded_and_a_request_is_ignored),
		cmocka_unit_test(test_a_neighbour_solicitation_is_for_the_service),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
