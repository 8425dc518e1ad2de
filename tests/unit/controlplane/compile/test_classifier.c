// SPDX-License-Identifier: BSD-3-Clause
/* The service that the compiled classifier finds for a packet. */
#include "tests/unit/controlplane/compile/compile_rig.h"

#include "dataplane/core/classify.h"

static const char *name_of(const struct compile_rig *rig, uint32_t number)
{
	for (size_t i = 0; i < rig->model.n_services; i++)
		if (rig->model.services[i].number == number)
			return rig->model.services[i].config.name;
	return "none";
}

static const char *classify(const struct compile_rig *rig, struct berth_packet *packet)
{
	struct berth_vip *vips = classifier_of(rig->generation);
	struct berth_image image = {
		.geometry = rig->geometry,
		.ctl = (struct berth_ctl *)&rig->ctl,
		.vips = vips,
		.globals = &rig->generation->globals,
	};
	struct berth_view view = berth_view_make(&image, &image.geometry, 0, 0, 0);
	packet->is6 = !berth_addr_is4(&packet->dst);
	const bool passes = berth_classify(&view, packet) == BERTH_VERDICT_NO_SERVICE;
	free(vips);
	return passes ? "pass" : name_of(rig, packet->service);
}

/* The service of a packet to this destination. */
static const char *to(const struct compile_rig *rig, const char *address, uint16_t port, uint8_t protocol)
{
	struct berth_packet packet = {
		.src = addr(strchr(address, ':') ? "2001:db8:c::1" : "198.51.100.1"),
		.dst = addr(address),
		.sport = berth_to_be16(40000),
		.dport = berth_to_be16(port),
		.protocol = protocol,
	};
	return classify(rig, &packet);
}

static const char *tcp(const struct compile_rig *rig, const char *address, uint16_t port)
{
	return to(rig, address, port, BERTH_PROTO_TCP);
}

/* The service of a portless fragment to this destination. */
static const char *portless_to(const struct compile_rig *rig, const char *address, uint8_t protocol)
{
	struct berth_packet packet = {.dst = addr(address), .protocol = protocol, .traits = BERTH_LATER_FRAGMENT};
	return classify(rig, &packet);
}

/* The service of an answer with this source and destination; port 0: a portless fragment. */
static const char *answer_from_to(const struct compile_rig *rig, const char *address, uint16_t port,
				  const char *receiver)
{
	struct berth_packet packet = {
		.src = addr(address),
		.dst = addr(receiver),
		.sport = berth_to_be16(port),
		.dport = berth_to_be16(40000),
		.protocol = BERTH_PROTO_TCP,
		.traits = port ? 0 : BERTH_LATER_FRAGMENT,
	};
	const char *name = classify(rig, &packet);
	assert_int_equal(!!(packet.traits & BERTH_RETURN), strcmp(name, "pass") != 0);
	return name;
}

static const char *answer_from(const struct compile_rig *rig, const char *address, uint16_t port)
{
	return answer_from_to(rig, address, port, "198.51.100.1");
}

static void the_narrower_port_range_wins(void **state)
{
	(void)state;
	struct compile_rig *rig = compile("", "any 203.0.113.1 any mode: l2\n"
					      "wide 203.0.113.1 8000-8999 mode: l2\n"
					      "narrow 203.0.113.1 8000-8099 mode: l2\n"
					      "one 203.0.113.1 8050 mode: l2\n"
					      "low 203.0.113.1 1-2 mode: l2\n");
	assert_string_equal(tcp(rig, "203.0.113.1", 8050), "one");
	assert_string_equal(tcp(rig, "203.0.113.1", 8000), "narrow");
	assert_string_equal(tcp(rig, "203.0.113.1", 8099), "narrow");
	assert_string_equal(tcp(rig, "203.0.113.1", 8100), "wide");
	assert_string_equal(tcp(rig, "203.0.113.1", 8999), "wide");
	assert_string_equal(tcp(rig, "203.0.113.1", 7999), "any");
	assert_string_equal(tcp(rig, "203.0.113.1", 9000), "any");
	assert_string_equal(tcp(rig, "203.0.113.1", 2), "low");
	assert_string_equal(tcp(rig, "203.0.113.1", 65535), "any");
	assert_string_equal(tcp(rig, "203.0.113.1", 0), "any");
	assert_string_equal(to(rig, "203.0.113.1", 8050, BERTH_PROTO_UDP), "pass");
	assert_string_equal(tcp(rig, "203.0.113.2", 8050), "pass");
	drop(rig);
}

static void the_longest_prefix_wins(void **state)
{
	(void)state;
	struct compile_rig *rig = compile("", "net 203.0.113.0/24 80 mode: l2\n"
					      "part 203.0.113.16/28 80 mode: l2\n"
					      "host 203.0.113.17 any mode: l2\n"
					      "net6 2001:db8:1::/64 any mode: l2\n"
					      "part6 2001:db8:1::/124 80 mode: l2\n");
	assert_string_equal(tcp(rig, "203.0.113.17", 80), "host");
	assert_string_equal(tcp(rig, "203.0.113.16", 80), "part");
	assert_string_equal(tcp(rig, "203.0.113.31", 80), "part");
	assert_string_equal(tcp(rig, "203.0.113.15", 80), "net");
	assert_string_equal(tcp(rig, "203.0.113.32", 80), "net");
	assert_string_equal(tcp(rig, "203.0.113.32", 81), "pass");
	assert_string_equal(tcp(rig, "203.0.112.255", 80), "pass");
	assert_string_equal(tcp(rig, "203.0.114.0", 80), "pass");
	assert_string_equal(tcp(rig, "2001:db8:1::f", 80), "part6");
	assert_string_equal(tcp(rig, "2001:db8:1::f", 81), "net6");
	assert_string_equal(tcp(rig, "2001:db8:1::10", 80), "net6");
	assert_string_equal(tcp(rig, "2001:db8:1:1::", 80), "pass");
	drop(rig);
}

static void prefix_lengths_are_listed_once_longest_first(void **state)
{
	static const uint8_t lengths[BERTH_MAX_PREFIX_LENGTHS] = {124, 120, 64};
	(void)state;
	struct compile_rig *rig = compile("", "a 2001:db8::/64 80 mode: l2\n"
					      "b 192.0.2.0/24 80 mode: l2\n"

					      "c 192.0.2.0/28 80 mode: l2\n"
					      "d 192.0.2.16/28 80 mode: l2\n"
					      "e 2001:db8:1::/124 80 mode: l2\n"

					      "f 192.0.2.1 80 mode: l2\n");
	assert_memory_equal(rig->generation->globals.prefix_bits, lengths, sizeof(lengths));
	assert_int_equal(rig->generation->globals.has_returns, 0);
	drop(rig);
}

static void a_portless_fragment_is_classified_by_its_address(void **state)
{
	(void)state;
	struct compile_rig *rig = compile("", "flow 203.0.113.1 80 mode: l2\n"
					      "client 203.0.113.2 80 affinity: {by: client}, mode: l2\n"
					      "two 203.0.113.3 80 affinity: {by: client}, mode: l2\n"
					      "three 203.0.113.3 81 affinity: {by: client}, mode: l2\n");
	assert_string_equal(portless_to(rig, "203.0.113.2", BERTH_PROTO_TCP), "client");
	assert_string_equal(portless_to(rig, "203.0.113.2", BERTH_PROTO_UDP), "none");
	assert_string_equal(portless_to(rig, "203.0.113.1", BERTH_PROTO_TCP), "none");
	assert_string_equal(portless_to(rig, "203.0.113.3", BERTH_PROTO_TCP), "none");
	assert_string_equal(portless_to(rig, "203.0.113.4", BERTH_PROTO_TCP), "pass");
	drop(rig);
}

#define GROUPED(name, port, more)                                                                                  \
	name " 203.0.113.1 " port " affinity: {by: client, group: g}, mode: l2, backends: [" more "]\n"
#define SERVER_A "{name: a, address: 192.0.2.1}"
#define SERVER_B "{name: b, address: 192.0.2.2}"

/* The client has the same server in all of them. */
static void portless_fragments_match_equivalent_services_of_a_group(void **state)
{
	(void)state;
	static const struct {
		const char *other;
		bool alike;
	} cases[] = {
		{GROUPED("tls", "443", SERVER_A ", " SERVER_B), true},
		{GROUPED("tls", "443", SERVER_B ", " SERVER_A), false},
		{GROUPED("tls", "443", SERVER_A), false},
		{GROUPED("tls", "443", SERVER_A ", {name: b, address: 192.0.2.3}"), false},
		{GROUPED("tls", "443", SERVER_A ", {name: c, address: 192.0.2.2}"), false},
		{"tls 203.0.113.1 443 affinity: {by: client, group: g}, mode: ipip, backends: [" SERVER_A
		 ", " SERVER_B "]\n",
		 false},
		{"tls 203.0.113.1 443 affinity: {by: client}, mode: l2, backends: [" SERVER_A ", " SERVER_B "]\n",
		 false},
		{"tls 203.0.113.1 443 affinity: {by: client, group: h}, mode: l2, backends: [" SERVER_A
		 ", " SERVER_B "]\n",
		 false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char services[2000];
		snprintf(services, sizeof(services), "%s%s", GROUPED("web", "80", SERVER_A ", " SERVER_B),
			 cases[i].other);
		struct compile_rig *rig = compile("", services);
		const char *name = portless_to(rig, "203.0.113.1", BERTH_PROTO_TCP);
		if ((strcmp(name, "none") != 0) != cases[i].alike)
			fail_msg("%s: %s", cases[i].other, name);
		drop(rig);
	}
}

/* The prefix has one service, an address in it has two. */
static void a_longer_prefix_hides_the_sole_service_of_a_shorter_one(void **state)
{
	(void)state;
	struct compile_rig *rig = compile("",
					  "net 203.0.113.0/24 80 affinity: {by: client}, mode: l2\n"
					  "part 203.0.113.16/28 81 affinity: {by: client}, mode: l2\n"
					  "host 203.0.113.99 81 affinity: {by: client}, mode: l2\n"
					  "flow 203.0.113.97 81 mode: l2\n"
					  "udp 203.0.113.98 81 affinity: {by: client}, protocol: udp, mode: l2\n");
	assert_string_equal(portless_to(rig, "203.0.113.1", BERTH_PROTO_TCP), "net");
	assert_string_equal(portless_to(rig, "203.0.113.17", BERTH_PROTO_TCP), "none");
	assert_string_equal(portless_to(rig, "203.0.113.99", BERTH_PROTO_TCP), "none");
	assert_string_equal(portless_to(rig, "203.0.113.97", BERTH_PROTO_TCP), "none");
	assert_string_equal(portless_to(rig, "203.0.113.98", BERTH_PROTO_TCP), "net");
	assert_string_equal(portless_to(rig, "203.0.113.98", BERTH_PROTO_UDP), "udp");
	drop(rig);
}

static void an_answer_is_classified_by_the_backends_address_and_port(void **state)
{
	(void)state;
	struct compile_rig *rig = compile(
		"", "web 203.0.113.1 80 mode: nat, backends: [{name: a, address: 192.0.2.1, port: 8080}]\n"
		    "alt 203.0.113.1 81 mode: nat, backends: [{name: a, address: 192.0.2.1}]\n"
		    "range "
		    "203.0.113.1 9000-9099 mode: nat, backends: [{name: a, address: 192.0.2.1}]\n"
		    "all 203.0.113.2 any mode: nat, backends: [{name: a, address: 192.0.2.2}]\n"
		    "ipip 203.0.113.3 80 mode: ipip, backends: [{name: a, address: 192.0.2.3}]\n");
	assert_int_equal(rig->generation->globals.has_returns, 1);
	assert_string_equal(answer_from(rig, "192.0.2.1", 8080), "web");
	assert_string_equal(answer_from(rig, "192.0.2.1", 80), "pass");
	assert_string_equal(answer_from(rig, "192.0.2.1", 81), "alt");
	assert_string_equal(answer_from(rig, "192.0.2.1", 9000), "range");
	assert_string_equal(answer_from(rig, "192.0.2.1", 9099), "range");
	assert_string_equal(answer_from(rig, "192.0.2.1", 9100), "pass");
	assert_string_equal(answer_from(rig, "192.0.2.2", 1), "all");
	assert_string_equal(answer_from(rig, "192.0.2.2", 65535), "all");
	assert_string_equal(answer_from(rig, "192.0.2.3", 80), "pass");
	assert_string_equal(tcp(rig, "203.0.113.1", 9001), "range");
	drop(rig);
}

static void a_portless_fragment_of_an_answer_needs_one_service_address(void **state)
{
	(void)state;
	struct compile_rig *rig = compile(
		"", "web 203.0.113.1 80 mode: nat, backends: [{name: a, address: 192.0.2.1}, "
		    "{name: b, address: 192.0.2.2}]\n"

		    "alt 203.0.113.1 81 mode: nat, backends: [{name: a, address: 192.0.2.1}]\n"
		    "else "
		    "203.0.113.2 82 mode: nat, backends: [{name: b, address: 192.0.2.2}]\n");
	/* Either service: both have the same address. */
	assert_string_equal(answer_from(rig, "192.0.2.1", 0), "web");
	assert_string_equal(answer_from(rig, "192.0.2.2", 0), "pass");
	assert_string_equal(answer_from(rig, "192.0.2.3", 0), "pass");
	drop(rig);
}

static void a_backends_packet_to_the_host_is_not_an_answer(void **state)
{
	(void)state;
	struct compile_rig *rig = compile(
		"", "web 203.0.113.1 80 mode: nat, backends: [{name: a, address: 192.0.2.1}]\n"
		    "web6 2001:db8::1 any mode: nat, backends: [{name: a, address: "
		    "\"2001:db8:2::1\"}]\n");
	assert_string_equal(answer_from_to(rig, "192.0.2.1", 80, "192.0.2.254"), "web");
	rig->model.own[rig->model.n_own++] = addr("192.0.2.254");
	rig->model.own[rig->model.n_own++] = addr("2001:db8:2::fe");
	compile_again(rig);
	assert_string_equal(answer_from_to(rig, "192.0.2.1", 80, "192.0.2.254"), "pass");
	assert_string_equal(answer_from_to(rig, "192.0.2.1", 0, "192.0.2.254"), "pass");
	assert_string_equal(answer_from_to(rig, "192.0.2.1", 80, "192.0.2.255"), "web");
	assert_string_equal(answer_from_to(rig, "192.0.2.1", 0, "192.0.2.255"), "web");
	assert_string_equal(answer_from_to(rig, "2001:db8:2::1", 80, "2001:db8:2::fe"), "pass");
	assert_string_equal(answer_from_to(rig, "2001:db8:2::1", 0, "2001:db8:2::fe"), "pass");
	assert_string_equal(answer_from_to(rig, "2001:db8:2::1", 80, "2001:db8:2::ff"), "web6");
	assert_string_equal(tcp(rig, "192.0.2.254", 80), "pass");
	drop(rig);
}

static void an_address_of_the_host_has_one_slot(void **state)
{
	(void)state;
	struct compile_rig *rig = compile("", "web 203.0.113.1 80 mode: nat\n");
	const struct berth_vip expected = {.addr = addr("192.0.2.254"), .kind = BERTH_VIP_OWN};
	size_t found = 0;
	rig->model.own[rig->model.n_own++] = expected.addr;
	compile_again(rig);
	for (size_t i = 0; i < rig->generation->n_slots; i++) {
		if (rig->generation->slots[i].vip.kind != BERTH_VIP_OWN)
			continue;
		assert_memory_equal(&rig->generation->slots[i].vip, &expected, sizeof(expected));
		found++;
	}
	assert_int_equal(found, 1);
	drop(rig);
}

static void every_slot_of_a_service_has_its_number_and_flow_key(void **state)
{
	(void)state;
	struct compile_rig *rig = compile(
		"", "web 203.0.113.1 80 affinity: {by: client}, mode: nat, backends: [{name: a, "
		    "address: 192.0.2.1}]\n");
	const struct berth_model_service *web = &rig->model.services[0];
	uint32_t kinds = 0;
	for (size_t i = 0; i < rig->generation->n_slots; i++) {
		const struct berth_vip *vip = &rig->generation->slots[i].vip;
		bool is_its = vip->kind != BERTH_VIP_ADDRESS;
		assert_int_equal(vip->service, is_its ? web->number : 0);
		assert_int_equal(vip->flow_key, is_its ? (uint32_t)web->id : 0);
		kinds |= 1u << vip->kind;
	}
	assert_int_equal(kinds, 1u << BERTH_VIP_EXACT | 1u << BERTH_VIP_ADDRESS | 1u << BERTH_VIP_PORTLESS |
					1u << BERTH_VIP_RETURN | 1u << BERTH_VIP_RETURN_ADDRESS);
	drop(rig);
}

/* All need the maximum of slots, at consecutive addresses. */
static void a_full_classifier_finds_every_slot(void **state)
{
	enum {
		SERVICES = 3000
	};
	char *text = malloc(SERVICES * 256), *at = text;
	char address[32];
	(void)state;
	for (int i = 0; i < SERVICES; i++)
		at += sprintf(at,
			      "s%d 10.0.%d.%d 80 affinity: {by: client}, mode: nat, backends: [{name: a, address: "
			      "10.128.%d.%d}]\n",
			      i, i / 250, 1 + i % 250, i / 250, 1 + i % 250);
	struct compile_rig *rig = compile("limits: {services: 3000, backends: 3000}\n", text);
	for (int i = 0; i < BERTH_MAX_OWN; i++) {
		snprintf(address, sizeof(address), "10.192.0.%d", i);
		rig->model.own[rig->model.n_own++] = addr(address);
	}
	compile_again(rig);
	for (int i = 0; i < BERTH_MAX_OWN; i++) {
		snprintf(address, sizeof(address), "10.192.0.%d", i);
		assert_string_equal(answer_from_to(rig, "10.128.0.1", 80, address), "pass");
	}
	for (int i = 0; i < SERVICES; i++) {
		const char *name = rig->model.services[i].config.name;
		snprintf(address, sizeof(address), "10.0.%d.%d", i / 250, 1 + i % 250);
		assert_string_equal(tcp(rig, address, 80), name);
		assert_string_equal(portless_to(rig, address, BERTH_PROTO_TCP), name);
		snprintf(address, sizeof(address), "10.128.%d.%d", i / 250, 1 + i % 250);
		assert_string_equal(answer_from(rig, address, 80), name);
		assert_string_equal(answer_from(rig, address, 0), name);
	}
	drop(rig);
	free(text);
}

/* The most ranges that the configuration accepts have one home, so in a small table it is most often near its end.
 */
static void slots_wrap_around_the_end_of_the_classifier(void **state)
{
	char text[4096], error[BERTH_ERROR_BYTES];
	size_t wrapped = 0;
	(void)state;
	for (int i = 1; i < 250; i++) {
		char *at = text, address[32];
		for (int range = 0; range < BERTH_MAX_RANGES; range++)
			at += sprintf(at, "s%d 192.0.2.%d %d-%d mode: l2\n", range, i, 10 * range + 1,
				      10 * range + 9);
		struct compile_rig *rig = compile("", text);
		berth_generation_free(rig->generation);
		rig->geometry.vips = 16;
		rig->generation = berth_compile(&rig->model, &rig->geometry, error);
		assert_non_null(rig->generation);
		snprintf(address, sizeof(address), "192.0.2.%d", i);
		for (uint16_t range = 0; range < BERTH_MAX_RANGES; range++)
			assert_string_equal(tcp(rig, address, (uint16_t)(10 * range + 5)),
					    rig->model.services[range].config.name);
		assert_string_equal(portless_to(rig, address, BERTH_PROTO_TCP), "none");
		struct berth_vip *vips = classifier_of(rig->generation);
		wrapped += vips[0].kind && vips[15].kind;
		free(vips);
		drop(rig);
	}
	assert_in_range(wrapped, 50, 200);
}

static void a_classifier_without_room_is_an_error(void **state)
{
	char error[BERTH_ERROR_BYTES];
	(void)state;
	struct compile_rig *rig = compile("", "a 203.0.113.1 80 mode: l2\n"
					      "b 203.0.113.1 81 mode: l2\n");
	rig->geometry.vips = 2;
	assert_null(berth_compile(&rig->model, &rig->geometry, error));
	assert_string_equal(error, "no room in the classifier for 203.0.113.1; raise limits.services");
	drop(rig);
}

static void the_filter_has_the_addresses_of_all_backends(void **state)
{
	(void)state;
	struct compile_rig *rig = compile("",
					  "web 203.0.113.1 80 mode: l2, backends: [" SERVER_A ", " SERVER_B "]\n");
	const uint64_t *filter = rig->generation->globals.backend_filter;
	size_t n = 0, set = 0;
	for (size_t i = 0; i < rig->model.n_services; i++) {
		for (size_t j = 0; j < rig->model.services[i].n_backends; j++) {
			const uint32_t bit = berth_backend_filter_bit(
				&rig->model.services[i].backends[j].config.address);
			assert_true(filter[bit / 64] >> bit % 64 & 1);
			n++;
		}
	}
	for (size_t i = 0; i < BERTH_BACKEND_FILTER_BITS / 64; i++)
		set += (size_t)__builtin_popcountll(filter[i]);
	assert_in_range(n, 2, SIZE_MAX);
	assert_in_range(set, 1, n);
	drop(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_narrower_port_range_wins),
		cmocka_unit_test(the_longest_prefix_wins),
		cmocka_unit_test(prefix_lengths_are_listed_once_longest_first),
		cmocka_unit_test(a_portless_fragment_is_classified_by_its_address),
		cmocka_unit_test(portless_fragments_match_equivalent_services_of_a_group),
		cmocka_unit_test(a_longer_prefix_hides_the_sole_service_of_a_shorter_one),
		cmocka_unit_test(an_answer_is_classified_by_the_backends_address_and_port),
		cmocka_unit_test(a_portless_fragment_of_an_answer_needs_one_service_address),
		cmocka_unit_test(a_backends_packet_to_the_host_is_not_an_answer),
		cmocka_unit_test(an_address_of_the_host_has_one_slot),
		cmocka_unit_test(every_slot_of_a_service_has_its_number_and_flow_key),
		cmocka_unit_test(a_full_classifier_finds_every_slot),
		cmocka_unit_test(slots_wrap_around_the_end_of_the_classifier),
		cmocka_unit_test(a_classifier_without_room_is_an_error),
		cmocka_unit_test(the_filter_has_the_addresses_of_all_backends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
