// SPDX-License-Identifier: BSD-3-Clause
/* The rules for backends' addresses: addresses from DNS and addresses in the file are treated alike, except special
 * ones. */
#include "controlplane/config/rules.h"
#include "controlplane/dns/check_address.h"
#include "tests/unit/controlplane/config/config.h"

/* Services with a placeholder for one backend's `address` or `dns`, which is the last one of the first service. */
#define WEB(mode, more) "- name: web\n  address: 203.0.113.10\n  port: 80\n  mode: " mode "\n" more
#define PREFIX(mode) "- name: web\n  address: 203.0.113.0/28\n  port: 80\n  mode: " mode "\n"
#define ONE "  backends: [{name: x, %s}]\n"
#define TWO "  backends: [{name: b1, address: 192.0.2.11}, {name: x, %s}]\n"
#define OTHER(port, backend)                                                                                       \
	"- name: other\n  address: 203.0.113.20\n  port: " port "\n  mode: nat\n  backends: [" backend "]\n"

static const struct {
	const char *services;
	const char *address;
	bool is_valid;
} cases[] = {
	{WEB("ipip", ONE), "192.0.2.11", true},
	{WEB("ipip", ONE), "2001:db8::11", true},
	{WEB("gue", ONE), "2001:db8::11", true},
	{WEB("l2", ONE), "192.0.2.11", true},
	{WEB("l2", ONE), "2001:db8::11", false},
	{WEB("nat", ONE), "2001:db8::11", false},
	{WEB("ipip", ONE), "203.0.113.10", false},
	{PREFIX("ipip") ONE, "203.0.113.14", false},
	{PREFIX("ipip") ONE, "203.0.113.16", true},
	{WEB("ipip", ONE), "224.0.0.1", false},
	{WEB("ipip", ONE), "0.0.0.0", false},
	{WEB("ipip", TWO), "192.0.2.11", false},
	{WEB("ipip", TWO), "192.0.2.12", true},
	{WEB("ipip", ONE) OTHER("80", "{name: o, address: 192.0.2.11}"), "192.0.2.11", true},
	{WEB("nat", ONE) OTHER("80", "{name: o, address: 192.0.2.11}"), "192.0.2.11", false},
	{WEB("nat", ONE) OTHER("80", "{name: o, address: 192.0.2.11}"), "192.0.2.12", true},
	{WEB("nat", ONE) OTHER("81", "{name: o, address: 192.0.2.11}"), "192.0.2.11", true},
	{WEB("nat", ONE) OTHER("81", "{name: o, address: 192.0.2.11, port: 80}"), "192.0.2.11", false},
	{WEB("nat", ONE) OTHER("79-81", "{name: o, address: 192.0.2.11}") "  health: {type: none}\n", "192.0.2.11",
	 false},
	{WEB("nat", ONE) OTHER("80", "{name: o, address: 192.0.2.12}"), "203.0.113.20", false},
	{WEB("ipip", ONE) OTHER("80", "{name: o, address: 192.0.2.12}"), "203.0.113.21", true},
};

/* Addresses from DNS that `dns.allow` has to contain. The host has 192.0.2.1 and 2001:db8::1. */
static const struct {
	const char *address;
	const char *allow; /* the least prefix that has it */
	const char *reason;
} special[] = {
	{"127.0.0.1", "127.0.0.0/8", "a loopback address, and not in dns.allow"},
	{"127.255.0.9", "127.255.0.9", "a loopback address, and not in dns.allow"},
	{"::1", "::1", "a loopback address, and not in dns.allow"},
	{"169.254.169.254", "169.254.0.0/16", "a link-local address, and not in dns.allow"},
	{"fe80::1", "fe80::/10", "a link-local address, and not in dns.allow"},
	{"febf::1", "fe80::/10", "a link-local address, and not in dns.allow"},
	{"192.0.2.1", "192.0.2.0/24", "an address of this host, and not in dns.allow"},
	{"2001:db8::1", "2001:db8::/64", "an address of this host, and not in dns.allow"},
	{"203.0.113.20", "203.0.113.20", "an address of service other, and not in dns.allow"},
};

static bool is_valid_in_file(const char *services, const char *address)
{
	char text[2048] = SERVICES, backend[128];
	snprintf(backend, sizeof(backend), "address: \"%s\"", address);
	snprintf(text + strlen(text), sizeof(text) - strlen(text), services, backend);
	return !*refusal(text, strlen(text));
}

/* Sets `reason` for an invalid one. */
static bool check(const char *services, const char *allow, const char *address, char reason[256])
{
	char text[2048];
	union berth_addr parsed_address, addresses[2];
	const struct berth_own_addresses own = {.addresses = addresses, .n = 2};
	assert_int_equal(berth_address_parse("192.0.2.1", &addresses[0]), 0);
	assert_int_equal(berth_address_parse("2001:db8::1", &addresses[1]), 0);
	snprintf(text, sizeof(text), "dns: {allow: [%s]}\n" SERVICES, allow);
	*reason = 0;
	snprintf(text + strlen(text), sizeof(text) - strlen(text), services, "dns: a.b");
	struct berth_config *config = parsed(text);
	assert_int_equal(berth_address_parse(address, &parsed_address), 0);
	bool valid = berth_dns_check_address(config, &own, &config->services[0], &config->services[0].sources[0],
					     &parsed_address, reason, 256);
	if (!valid)
		assert_true(*reason);
	berth_config_free(config);
	return valid;
}

static bool is_valid_from_dns(const char *services, const char *address)
{
	char reason[256];
	return check(services, "", address, reason);
}

static void a_special_address_from_dns_needs_to_be_allowed(void **state)
{
	(void)state;
	static const char *const services = WEB("ipip", ONE) OTHER("80", "{name: o, address: 192.0.2.12}");
	for (size_t i = 0; i < COUNT(special); i++) {
		char reason[256], allow[64];
		assert_true(is_valid_in_file(services, special[i].address));
		if (check(services, "198.51.100.0/24", special[i].address, reason))
			fail_msg("%s is a backend from DNS", special[i].address);
		assert_string_equal(reason, special[i].reason);
		snprintf(allow, sizeof(allow), "\"%s\"", special[i].allow);
		if (!check(services, allow, special[i].address, reason))
			fail_msg("%s is no backend from DNS although allowed: %s", special[i].address, reason);
	}
}

/* No backend has such an address, so allow cannot name one. */
static void multicast_addresses_from_dns_are_refused_and_cannot_be_allowed(void **state)
{
	(void)state;
	static const char *const addresses[] = {"224.0.0.1", "255.255.255.255", "ff02::1", "::"};
	char reason[256];
	for (size_t i = 0; i < COUNT(addresses); i++) {
		char text[512];
		assert_false(check(WEB("ipip", ONE), "", addresses[i], reason));
		snprintf(text, sizeof(text), INTERFACES "dns: {allow: [\"%s\"]}\n", addresses[i]);
		assert_non_null(strstr(refusal(text, strlen(text)), "invalid prefix in allow"));
	}
}

static void an_address_from_dns_is_valid_where_it_is_valid_in_the_file(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		bool file = is_valid_in_file(cases[i].services, cases[i].address);
		bool dns = is_valid_from_dns(cases[i].services, cases[i].address);
		if (file != cases[i].is_valid || dns != cases[i].is_valid)
			fail_msg("case %zu, %s: valid in the file %d, from DNS %d, expected %d", i,
				 cases[i].address, file, dns, cases[i].is_valid);
	}
}

static const struct {
	enum berth_schedule scheduler;
	size_t n_backends;
	uint32_t weight;
	uint32_t first_weight;
	uint32_t rows;
} automatic[] = {
	{BERTH_SCHEDULE_MAGLEV, 0, 0, 0, 2039},
	{BERTH_SCHEDULE_MAGLEV, 1, 100, 100, 2039},
	{BERTH_SCHEDULE_MAGLEV, 20, 100, 100, 2039},
	{BERTH_SCHEDULE_MAGLEV, 21, 100, 100, 16381},
	{BERTH_SCHEDULE_LEAST_CONN, 163, 100, 100, 16381},
	{BERTH_SCHEDULE_BOUNDED, 164, 100, 100, 65537},
	{BERTH_SCHEDULE_MAGLEV, 655, 100, 100, 65537},
	{BERTH_SCHEDULE_MAGLEV, 656, 100, 100, 655373},
	{BERTH_SCHEDULE_MAGLEV, 60000, 100, 100, 655373},
	/* Weights do not count as long as each backend gets a row. */
	{BERTH_SCHEDULE_MAGLEV, 10, 100, 1, 2039},
	{BERTH_SCHEDULE_MAGLEV, 10, 1000, 1, 16381},
	{BERTH_SCHEDULE_MAGLEV, 10, 0, 0, 2039},
	{BERTH_SCHEDULE_ROUND_ROBIN, 20, 100, 100, 2039},
	{BERTH_SCHEDULE_ROUND_ROBIN, 20, 100, 101, 65537},
	{BERTH_SCHEDULE_ROUND_ROBIN, 60, 1000, 999, 65537},
};

static void a_service_without_table_size_gets_rows_for_its_backends(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(automatic); i++) {
		struct berth_service_config service = {.scheduler = automatic[i].scheduler,
						       .health = &berth_health_defaults,
						       .n_backends = automatic[i].n_backends};
		service.backends = calloc(service.n_backends + 1, sizeof(*service.backends));
		assert_non_null(service.backends);
		for (size_t j = 0; j < service.n_backends; j++)
			service.backends[j].weight = j ? automatic[i].weight : automatic[i].first_weight;
		if (berth_rules_automatic_rows(&service) != automatic[i].rows)
			fail_msg("case %zu: %u rows, expected %u", i, berth_rules_automatic_rows(&service),
				 automatic[i].rows);
		free(service.backends);
	}
}

/* DNS adds and removes backends while no operator looks at a plan. */
static void backends_from_dns_never_change_the_number_of_rows(void **state)
{
	(void)state;
	struct berth_source_config source = {.template = {.weight = 100}};
	struct berth_service_config service = {
		.health = &berth_health_defaults, .sources = &source, .n_sources = 1};
	assert_int_equal(berth_rules_automatic_rows(&service), 65537);
}

/* Of few rows a large share changes twice when a backend comes, and one backend before is kept. */
static void a_service_with_second_hops_has_many_rows(void **state)
{
	(void)state;
	struct berth_service_config service = {.health = &berth_health_defaults, .second_hop_s = 3600};
	assert_int_equal(berth_rules_automatic_rows(&service), 65537);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_special_address_from_dns_needs_to_be_allowed),
		cmocka_unit_test(multicast_addresses_from_dns_are_refused_and_cannot_be_allowed),
		cmocka_unit_test(an_address_from_dns_is_valid_where_it_is_valid_in_the_file),
		cmocka_unit_test(a_service_without_table_size_gets_rows_for_its_backends),
		cmocka_unit_test(backends_from_dns_never_change_the_number_of_rows),
		cmocka_unit_test(a_service_with_second_hops_has_many_rows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
