// SPDX-License-Identifier: BSD-3-Clause
/* The rules for backends' addresses: addresses from DNS and addresses in the file are treated alike. */
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
	{WEB("ipip", ONE) OTHER("80", "{name: o, address: 192.0.2.12}"), "203.0.113.20", true},
};

static bool is_valid_in_file(const char *services, const char *address)
{
	char text[2048] = SERVICES, backend[128];
	snprintf(backend, sizeof(backend), "address: \"%s\"", address);
	snprintf(text + strlen(text), sizeof(text) - strlen(text), services, backend);
	return !*refusal(text, strlen(text));
}

static bool is_valid_from_dns(const char *services, const char *address)
{
	char text[2048] = SERVICES, reason[256] = "";
	union berth_addr parsed_address;
	snprintf(text + strlen(text), sizeof(text) - strlen(text), services, "dns: a.b");
	struct berth_config *config = parsed(text);
	assert_int_equal(berth_address_parse(address, &parsed_address), 0);
	bool valid = berth_dns_check_address(config, &config->services[0], &config->services[0].sources[0],
					     &parsed_address, reason, sizeof(reason));
	if (!valid)
		assert_true(*reason);
	berth_config_free(config);
	return valid;
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_from_dns_is_valid_where_it_is_valid_in_the_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
