// SPDX-License-Identifier: BSD-3-Clause
/* DNS backends without a network: configuration, expansion, state, and merging of results. */
#include "controlplane/config/parse.h"
#include "tests/support/control.h"

#include "controlplane/dns/expand.h"
#include "controlplane/dns/result.h"
#include "controlplane/model/panic.h"
#include "controlplane/util/address.h"

/* --- the configuration --- */

#define BEFORE                                                                                                     \
	"interfaces: [{name: eth0}]\nservices:\n- name: web\n  address: 203.0.113.10\n  port: 80\n  mode: ipip\n"  \
	"  backends:\n"
#define LAST "interfaces: [{name: eth0}]\n"

static struct berth_config *parse(const char *text, char error[BERTH_ERROR_BYTES])
{
	return berth_config_parse("f", text, strlen(text), error);
}

static struct berth_config *parsed(const char *text)
{
	char error[BERTH_ERROR_BYTES] = "";
	struct berth_config *config = parse(text, error);
	if (!config)
		fail_msg("%s", error);
	return config;
}

static void a_backend_has_a_dns_name_or_an_address_with_the_same_keys(void **state)
{
	(void)state;
	struct berth_config *config = parsed(
		BEFORE "  - {name: a, address: 192.0.2.1}\n"
		       "  - {name: pod, dns: Web.Shop.Example.ORG., weight: 30, max-flows: 7}\n"
		       "  - {name: b, address: 192.0.2.2}\n");
	const struct berth_service_config *web = &config->services[0];
	assert_int_equal(web->n_backends, 2);
	assert_int_equal(web->n_configured, 2);
	assert_string_equal(web->backends[1].name, "b");
	assert_int_equal(web->n_sources, 1);
	assert_string_equal(web->sources[0].dns, "web.shop.example.org");
	assert_string_equal(web->sources[0].template.name, "pod");
	assert_int_equal(web->sources[0].template.weight, 30);
	assert_int_equal(web->sources[0].template.max_flows, 7);
	berth_config_free(config);
}

static void servers_are_addresses_with_or_without_a_port(void **state)
{
	(void)state;
	struct berth_config *config = parsed(
		LAST "dns: {servers: [192.0.2.53, \"192.0.2.54:5353\", 2001:db8::53, \"[2001:db8::54]:54\", "
		     "\"[2001:db8::55]\"], timeout: 300ms, min-ttl: 5s, max-ttl: 5s}\n");
	static const uint16_t ports[] = {53, 5353, 53, 54, 53};
	static const char *const addresses[] = {"192.0.2.53", "192.0.2.54", "2001:db8::53", "2001:db8::54",
						"2001:db8::55"};
	char text[BERTH_ADDRESS_TEXT];
	assert_int_equal(config->dns.n_servers, 5);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(config->dns.servers[i].port, ports[i]);
		assert_string_equal(berth_address_format(&config->dns.servers[i].address, text), addresses[i]);
	}
	assert_int_equal(config->dns.timeout_ms, 300);
	assert_int_equal(config->dns.min_ttl_s, 5);
	assert_int_equal(config->dns.max_ttl_s, 5);
	berth_config_free(config);
}

#define LABEL63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define NOUN "a full host name in DNS, like web.example.org, at most 253 bytes"
#define SERVER                                                                                                     \
	"invalid DNS server; write its address, or with a port \"192.0.2.53:5353\" or \"[2001:db8::53]:5353\""

static void errors_have_their_position(void **state)
{
	static const struct {
		const char *text;
		const char *error;
	} bad[] = {
		{BEFORE "  - {name: p, dns: a.b, address: 192.0.2.1}\n",
		 "8:20: a backend has either address or dns; remove one of them"},
		{BEFORE "  - {name: p, dns: a.b, backup: q}\n",
		 "8:33: backends from DNS come and go, so none of them can have a backup; remove backup, or list "
		 "the servers by address"},
		{BEFORE "  - {name: abcdefghijklmnopqrstuvwx, dns: a.b}\n",
		 "8:12: name cannot be \"abcdefghijklmnopqrstuvwx\" with dns, because each address is appended to "
		 "it; write at most 23 characters"},
		{BEFORE "  - {name: p, dns: a.b}\n  - {name: p, address: 192.0.2.1}\n",
		 "9:12: duplicate backend name p, first at line 8; give each backend of a service a name of its "
		 "own"},
		{BEFORE "  - {name: p, dns: a.b, port: 81}\n",
		 "8:31: only mode nat rewrites ports; remove port, or write mode: nat"},
		{BEFORE "  - {name: p, dns: 192.0.2.1}\n", "8:20: dns cannot be \"192.0.2.1\"; write " NOUN},
		{BEFORE "  - {name: p, dns: a..b}\n", "8:20: dns cannot be \"a..b\"; write " NOUN},
		{BEFORE "  - {name: p, dns: .}\n", "8:20: dns cannot be \".\"; write " NOUN},
		{BEFORE "  - {name: p, dns: a/b}\n", "8:20: dns cannot be \"a/b\"; write " NOUN},
		{BEFORE "  - {name: p, dns: b" LABEL63 "}\n",
		 "8:20: dns cannot be \"baaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"; "
		 "write " NOUN},
		{BEFORE "  - {name: a, address: 192.0.2.1, backup: p}\n  - {name: p, dns: a.b}\n"
			"  affinity: {by: client}\n",
		 "8:43: the service has no backend p; name another one of its backends"},
		{BEFORE "  - {name: p, dns: a.b}\n  - {name: q, dns: A.b.}\n",
		 "9:20: duplicate name in DNS a.b, first at line 8; write each name of a service once"},
		/* Errors after a DNS name have the right line. */
		{BEFORE "  - {name: p, dns: a.b}\n  - {name: a, address: 192.0.2.1, backup: a}\n"
			"  affinity: {by: client}\n",
		 "9:43: a backend cannot be its own backup; name another backend of the service"},
		{LAST "dns: {servers: [ns.example.org]}\n", "2:17: " SERVER},
		{LAST "dns: {servers: [\"192.0.2.1:0\"]}\n", "2:17: " SERVER},
		{LAST "dns: {servers: [\"192.0.2.1:any\"]}\n", "2:17: " SERVER},
		{LAST "dns: {servers: [\"192.0.2.1:53-54\"]}\n", "2:17: " SERVER},
		{LAST "dns: {servers: [\"[2001:db8::1]53\"]}\n", "2:17: " SERVER},
		{LAST "dns: {servers: [\"[2001:db8::1\"]}\n", "2:17: " SERVER},
		{LAST "dns: {servers: [53]}\n", "2:17: " SERVER},
		{LAST "dns: {min-ttl: 2h}\n",
		 "2:16: min-ttl (7200s) is more than max-ttl (3600s); change one of them"},
		{LAST "dns: {min-ttl: 500ms}\n", "2:16: min-ttl cannot be \"500ms\"; write a whole number with its "
						 "unit (ms, s, m or h), from 1s to 24h "
						 "in full seconds"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char error[BERTH_ERROR_BYTES] = "", expected[BERTH_ERROR_BYTES];
		struct berth_config *config = parse(bad[i].text, error);
		snprintf(expected, sizeof(expected), "f:%s", bad[i].error);
		if (config || strcmp(error, expected) != 0)
			fail_msg("%s: \"%s\", not \"%s\"", bad[i].text, error, expected);
	}
}

/* --- expansion --- */

static union berth_addr address(const char *text)
{
	union berth_addr out;
	assert_int_equal(berth_address_parse(text, &out), 0);
	return out;
}

/* Sets an answer; addresses are separated by spaces. */
static void know(struct berth_dns_state *known, const char *name, const char *addresses)
{
	union berth_addr list[16];
	char copy[256], *rest = copy;
	size_t n = 0;
	snprintf(copy, sizeof(copy), "%s", addresses);
	for (char *one = strsep(&rest, " "); one; one = strsep(&rest, " "))
		if (*one)
			list[n++] = address(one);
	assert_int_equal(berth_dns_state_set_answer(known, name, list, berth_dns_sort_unique(list, n)), 0);
}

static const struct berth_own_addresses no_own;

static const char *const two_names = "  - name: web\n    address: 203.0.113.10\n    port: 80\n    mode: l2\n"
				     "    table-size: 251\n    backends:\n"
				     "      - {name: pod, dns: pods.example.org, weight: 50}\n"
				     "      - {name: fix, address: 192.0.2.9}\n"
				     "      - {name: two, dns: more.example.org}\n";

/* The service's backends as "NAME WEIGHT, ...", draining ones in brackets, skipped addresses after a `|`. */
static void expect_expansion(const char *services, const struct berth_dns_state *known, const char *expected,
			     struct berth_config **out)
{
	struct berth_config *config = configure(services);
	struct berth_dns_expansion expansion;
	char text[2048] = "", host[BERTH_ADDRESS_TEXT];
	int used = 0;
	assert_int_equal(berth_dns_expand(config, known, &no_own, &expansion), 0);
	for (size_t i = 0; i < config->n_services; i++)
		for (size_t j = 0; j < config->services[i].n_backends; j++) {
			const struct berth_backend_config *b = &config->services[i].backends[j];
			used += snprintf(text + used, sizeof(text) - (size_t)used, b->leaving ? "[%s %u]" : "%s %u",
					 b->name, b->weight);
			used += snprintf(text + used, sizeof(text) - (size_t)used, ", ");
		}
	for (size_t i = 0; i < expansion.n_skipped; i++)
		used += snprintf(text + used, sizeof(text) - (size_t)used, "| %s %s ",
				 berth_address_format(&expansion.skipped[i].address, host),
				 expansion.skipped[i].reason);
	berth_dns_expansion_clear(&expansion);
	assert_string_equal(text, expected);
	if (out)
		*out = config;
	else
		berth_config_free(config);
}

static void each_address_becomes_a_backend(void **state)
{
	(void)state;
	struct berth_dns_state known = {0};
	expect_expansion(two_names, &known, "fix 100, ", NULL);
	know(&known, "pods.example.org", "192.0.2.12 192.0.2.11");
	know(&known, "more.example.org", "192.0.2.21");
	expect_expansion(two_names, &known, "fix 100, pod@192.0.2.11 50, pod@192.0.2.12 50, two@192.0.2.21 100, ",
			 NULL);
	/* Another order and a duplicate. */
	know(&known, "pods.example.org", "192.0.2.11 192.0.2.12 192.0.2.11");
	expect_expansion(two_names, &known, "fix 100, pod@192.0.2.11 50, pod@192.0.2.12 50, two@192.0.2.21 100, ",
			 NULL);
	berth_dns_state_clear(&known);
}

static void the_longest_address_fits_a_name(void **state)
{
	(void)state;
	struct berth_dns_state known = {0};
	know(&known, "a.b", "2001:1db8:1111:2222:3333:4444:5555:6666");
	expect_expansion("  - {name: web, address: 203.0.113.10, port: 80, mode: ipip, backends: [{name: "
			 "abcdefghijklmnopqrstuvw, dns: a.b}]}\n",
			 &known, "abcdefghijklmnopqrstuvw@2001:1db8:1111:2222:3333:4444:5555:6666 100, ", NULL);
	berth_dns_state_clear(&known);
}

static void a_backend_that_left_dns_drains_until_it_is_removed(void **state)
{
	(void)state;
	struct berth_dns_state known = {0};
	struct berth_config *config;
	know(&known, "pods.example.org", "192.0.2.11 192.0.2.12");
	expect_expansion(two_names, &known, "fix 100, pod@192.0.2.11 50, pod@192.0.2.12 50, ", &config);
	assert_int_equal(berth_dns_state_update(&known, config), 0);
	berth_config_free(config);
	assert_int_equal(known.n_members, 2);

	know(&known, "pods.example.org", "192.0.2.12 192.0.2.13");
	expect_expansion(two_names, &known, "fix 100, [pod@192.0.2.11 0], pod@192.0.2.12 50, pod@192.0.2.13 50, ",
			 NULL);
	/* The address returns: the backend is as before. */
	know(&known, "pods.example.org", "192.0.2.12 192.0.2.11");
	expect_expansion(two_names, &known, "fix 100, pod@192.0.2.11 50, pod@192.0.2.12 50, ", NULL);
	/* A missing answer, for example after a restart, does not remove the backend. */
	know(&known, "pods.example.org", "");
	expect_expansion(two_names, &known, "fix 100, pod@192.0.2.11 50, pod@192.0.2.12 50, ", &config);

	know(&known, "pods.example.org", "192.0.2.12");
	uint64_t id = berth_service_id(&config->services[0]);
	assert_true(berth_dns_state_remove_member(&known, id, &config->services[0].backends[1]));
	assert_false(berth_dns_state_remove_member(&known, id, &config->services[0].backends[1]));
	expect_expansion(two_names, &known, "fix 100, pod@192.0.2.12 50, ", NULL);
	berth_config_free(config);
	berth_dns_state_clear(&known);
}

static void a_retained_backend_is_eligible_for_new_clients(void **state)
{
	(void)state;
	struct berth_dns_state known = {0};
	struct berth_config *config;
	know(&known, "pods.example.org", "192.0.2.11 192.0.2.12");
	expect_expansion(two_names, &known, "fix 100, pod@192.0.2.11 50, pod@192.0.2.12 50, ", &config);
	assert_int_equal(berth_dns_state_update(&known, config), 0);
	const struct berth_service_config *web = &config->services[0];
	uint64_t id = berth_service_id(web);
	know(&known, "pods.example.org", "192.0.2.12");
	assert_false(berth_dns_state_has_left(&known, web,
					      &web->backends[0])); /* fix: an address in the configuration */
	assert_true(berth_dns_state_has_left(&known, web, &web->backends[1]));
	assert_false(berth_dns_state_has_left(&known, web, &web->backends[2]));
	assert_true(berth_dns_state_set_retained(&known, id, &web->backends[1], true));
	assert_false(berth_dns_state_set_retained(&known, id, &web->backends[1], true));
	assert_false(berth_dns_state_set_retained(&known, id, &web->backends[0], true));
	berth_config_free(config);

	expect_expansion(two_names, &known, "fix 100, [pod@192.0.2.11 50], pod@192.0.2.12 50, ", &config);
	assert_int_equal(berth_dns_state_update(&known, config), 0);
	web = &config->services[0];
	assert_false(berth_dns_state_set_retained(&known, id, &web->backends[1], true)); /* already set */
	assert_true(berth_dns_state_set_retained(&known, id, &web->backends[1], false));
	expect_expansion(two_names, &known, "fix 100, [pod@192.0.2.11 0], pod@192.0.2.12 50, ", NULL);
	berth_config_free(config);
	berth_dns_state_clear(&known);
}

static void unusable_addresses_are_skipped_with_a_reason(void **state)
{
	(void)state;
	struct berth_dns_state known = {0};
	know(&known, "pods.example.org", "192.0.2.11 2001:db8::1 203.0.113.10 0.0.0.0 224.0.0.1 192.0.2.9");
	know(&known, "more.example.org", "192.0.2.11");
	expect_expansion(
		two_names, &known,
		"fix 100, pod@192.0.2.11 50, | 0.0.0.0 not a host address | 192.0.2.9 backend fix has it "
		"already | 203.0.113.10 an address of the service itself | 224.0.0.1 not a host address | "
		"2001:db8::1 mode l2 needs an IPv4 backend | 192.0.2.11 backend pod@192.0.2.11 has it already ",
		NULL);
	berth_dns_state_clear(&known);
}

static void an_existing_backend_keeps_its_address_whatever_the_order(void **state)
{
	(void)state;
	struct berth_dns_state known = {0};
	struct berth_config *config;
	know(&known, "more.example.org", "192.0.2.11");
	expect_expansion(two_names, &known, "fix 100, two@192.0.2.11 100, ", &config);
	assert_int_equal(berth_dns_state_update(&known, config), 0);
	berth_config_free(config);
	know(&known, "pods.example.org", "192.0.2.11");
	expect_expansion(two_names, &known,
			 "fix 100, two@192.0.2.11 100, | 192.0.2.11 backend two@192.0.2.11 has it already ", NULL);
	berth_dns_state_clear(&known);
}

static void in_mode_nat_an_address_and_port_identify_one_service(void **state)
{
	(void)state;
	struct berth_dns_state known = {0};
	know(&known, "a.b", "192.0.2.11 192.0.2.12 203.0.113.11");
	expect_expansion(
		"  - {name: one, address: 203.0.113.10, port: 80, mode: nat, backends: [{name: p, dns: a.b}]}\n"
		"  - {name: two, address: 203.0.113.11, port: 80, mode: nat, backends: [{name: q, address: "
		"192.0.2.12}]}\n",
		&known,
		"p@192.0.2.11 100, q 100, | 192.0.2.12 mode nat: two/q answers from the same port | 203.0.113.11 "
		"an address of service two ",
		NULL);
	/* The same addresses for two services: only the first gets them. */
	expect_expansion(
		"  - {name: one, address: 203.0.113.12, port: 80, mode: nat, backends: [{name: p, dns: a.b}]}\n"
		"  - {name: two, address: 203.0.113.13, port: 80, mode: nat, backends: [{name: q, dns: a.b, "
		"port: 81}]}\n",
		&known,
		"p@192.0.2.11 100, p@192.0.2.12 100, p@203.0.113.11 100, q@192.0.2.11 100, q@192.0.2.12 100, "
		"q@203.0.113.11 100, ",
		NULL);
	berth_dns_state_clear(&known);
}

static void backends_do_not_exceed_table_size_and_limits(void **state)
{
	(void)state;
	struct berth_dns_state known = {0};
	union berth_addr many[70];
	for (size_t i = 0; i < 70; i++) {
		many[i] = address("192.0.2.0");
		many[i].byte[15] = (uint8_t)(i + 1);
	}
	assert_int_equal(berth_dns_state_set_answer(&known, "a.b", many, 70), 0);
	struct berth_dns_expansion expansion;
	/* The limit of control.h: 60 backends. */
	struct berth_config *config = configure(
		"  - {name: web, address: 203.0.113.10, port: 80, mode: ipip, "
		"backends: [{name: p, dns: a.b}, {name: q, address: 192.0.2.200}]}\n");
	assert_int_equal(berth_dns_expand(config, &known, &no_own, &expansion), 0);
	assert_int_equal(config->services[0].n_backends, 60);
	assert_int_equal(expansion.n_over_limit, 11);
	berth_dns_expansion_clear(&expansion);
	berth_config_free(config);
	config = configure(
		"  - {name: web, address: 203.0.113.10, port: 80, mode: ipip, table-size: 31, backends: [{name: "
		"p, dns: a.b}]}\n");
	assert_int_equal(berth_dns_expand(config, &known, &no_own, &expansion), 0);
	assert_int_equal(config->services[0].n_backends, 30);
	assert_int_equal(expansion.n_over_limit, 40);
	berth_dns_expansion_clear(&expansion);
	berth_config_free(config);
	berth_dns_state_clear(&known);
}

static void the_saved_configuration_has_no_backends_from_dns(void **state)
{
	(void)state;
	struct berth_dns_state known = {0};
	struct berth_config *config;
	know(&known, "pods.example.org", "192.0.2.11 192.0.2.12");
	expect_expansion(two_names, &known, "fix 100, pod@192.0.2.11 50, pod@192.0.2.12 50, ", &config);
	struct berth_config *written = berth_config_copy_configured(config);
	berth_config_free(config);
	assert_int_equal(written->services[0].n_backends, 1);
	assert_int_equal(written->services[0].n_sources, 2);
	assert_string_equal(written->services[0].backends[0].name, "fix");
	assert_string_equal(written->services[0].sources[1].dns, "more.example.org");
	assert_string_equal(written->interfaces[0].name, "eth0");
	berth_config_free(written);
	berth_dns_state_clear(&known);
}

/* --- the model --- */

static struct berth_model_backend *backend_of(struct berth_model *model, const char *name)
{
	struct berth_model_backend *backend = berth_model_backend(&model->services[0], name);
	if (!backend)
		fail_msg("no backend %s", name);
	return backend;
}

/* As berthd does: expand, apply, update. */
static void renew(struct berth_model *model, struct berth_dns_state *known)
{
	struct berth_config *config = model->config ? berth_config_copy_configured(model->config)
						    : configure(two_names);
	struct berth_dns_expansion expansion;
	char error[BERTH_ERROR_BYTES];
	assert_int_equal(berth_dns_expand(config, known, &no_own, &expansion), 0);
	berth_dns_expansion_clear(&expansion);
	assert_int_equal(berth_model_apply(model, config, error), 0);
	assert_int_equal(berth_dns_state_update(known, model->config), 0);
}

static void numbers_states_and_health_survive_every_answer(void **state)
{
	(void)state;
	static const struct berth_geometry small = {.services = 5, .backends = 64};
	struct berth_dns_state known = {0};
	struct berth_model model = {0};
	assert_int_equal(berth_model_init(&model, &small), 0);
	know(&known, "pods.example.org", "192.0.2.11 192.0.2.12");
	renew(&model, &known);
	all_up(&model);
	uint32_t eleven = backend_of(&model, "pod@192.0.2.11")->number;
	uint32_t twelve = backend_of(&model, "pod@192.0.2.12")->number;
	berth_model_set_admin(&model, backend_of(&model, "pod@192.0.2.12"), BERTH_ADMIN_DISABLED, 0);

	know(&known, "pods.example.org", "192.0.2.10 192.0.2.11");
	renew(&model, &known);
	assert_int_equal(backend_of(&model, "pod@192.0.2.11")->number, eleven);
	assert_int_equal(berth_model_eligibility(backend_of(&model, "pod@192.0.2.11")), BERTH_ELIGIBLE_ALL);
	assert_int_equal(backend_of(&model, "pod@192.0.2.12")->number, twelve);
	assert_int_equal(berth_model_eligibility(backend_of(&model, "pod@192.0.2.12")), 0);
	berth_model_set_admin(&model, backend_of(&model, "pod@192.0.2.12"), BERTH_ADMIN_ENABLED, 0);
	assert_int_equal(berth_model_eligibility(backend_of(&model, "pod@192.0.2.12")),
			 BERTH_ELIGIBLE_FLOWS | BERTH_ELIGIBLE_SESSIONS);

	know(&known, "pods.example.org", "192.0.2.10 192.0.2.11 192.0.2.12");
	renew(&model, &known);
	assert_int_equal(backend_of(&model, "pod@192.0.2.12")->number, twelve);
	assert_int_equal(berth_model_eligibility(backend_of(&model, "pod@192.0.2.12")), BERTH_ELIGIBLE_ALL);
	berth_model_clear(&model);
	berth_dns_state_clear(&known);
}

/* A draining backend is drained after two scans, whatever changes in between. */
static void another_change_does_not_restart_a_drain(void **state)
{
	(void)state;
	static const struct berth_geometry small = {.services = 5, .backends = 64};
	struct berth_dns_state known = {0};
	struct berth_model model = {0};
	assert_int_equal(berth_model_init(&model, &small), 0);
	know(&known, "pods.example.org", "192.0.2.11 192.0.2.12");
	renew(&model, &known);
	model.scans = 5;
	know(&known, "pods.example.org", "192.0.2.11");
	renew(&model, &known);
	assert_int_equal(backend_of(&model, "pod@192.0.2.12")->changed_at_scan, 5);
	model.scans = 6;
	know(&known, "pods.example.org", "192.0.2.11 192.0.2.13");
	renew(&model, &known);
	assert_int_equal(backend_of(&model, "pod@192.0.2.12")->changed_at_scan, 5);
	berth_model_clear(&model);
	berth_dns_state_clear(&known);
}

/* All pods replaced at once: the end of the old ones is no panic. */
static void backends_that_left_dns_do_not_count_for_panic(void **state)
{
	(void)state;
	static const struct berth_geometry small = {.services = 5, .backends = 64};
	struct berth_dns_state known = {0};
	struct berth_model model = {0};
	size_t n, down;
	assert_int_equal(berth_model_init(&model, &small), 0);
	know(&known, "pods.example.org", "192.0.2.11 192.0.2.12");
	renew(&model, &known);
	all_up(&model);
	know(&known, "pods.example.org", "192.0.2.21 192.0.2.22");
	renew(&model, &known);
	backend_of(&model, "pod@192.0.2.11")->health = BERTH_HEALTH_DOWN;
	backend_of(&model, "pod@192.0.2.21")->health = BERTH_HEALTH_DOWN;
	berth_panic_count(&model.services[0], &n, &down);
	assert_int_equal(n, 3); /* fix, .21 and .22 */
	assert_int_equal(down, 1);
	berth_model_clear(&model);
	berth_dns_state_clear(&known);
}

/* --- JSON form --- */

static void the_state_survives_format_and_parse(void **state)
{
	(void)state;
	struct berth_dns_state known = {0}, again;
	struct berth_config *config;
	know(&known, "pods.example.org", "192.0.2.11 192.0.2.12");
	know(&known, "more.example.org", "192.0.2.13");
	expect_expansion(two_names, &known, "fix 100, pod@192.0.2.11 50, pod@192.0.2.12 50, two@192.0.2.13 100, ",
			 &config);
	assert_int_equal(berth_dns_state_update(&known, config), 0);
	berth_config_free(config);
	know(&known, "pods.example.org", "192.0.2.12");
	char *text = berth_dns_state_format(&known);
	assert_int_equal(berth_dns_state_parse(&again, text, strlen(text)), 0);
	char *text_again = berth_dns_state_format(&again);
	assert_string_equal(text, text_again);
	expect_expansion(two_names, &again, "fix 100, [pod@192.0.2.11 0], pod@192.0.2.12 50, two@192.0.2.13 100, ",
			 NULL);
	free(text);
	free(text_again);
	berth_dns_state_clear(&known);
	berth_dns_state_clear(&again);
}

static void damaged_text_gives_an_empty_state(void **state)
{
	(void)state;
#define MEMBERS ",\"backends\":[]}"
#define ANSWERS "{\"version\":1,\"answers\":{},\"backends\":["
	static const char *const texts[] = {
		"",
		"{}",
		"[]",
		"nonsense",
		"{\"version\":2,\"answers\":{}" MEMBERS,
		"{\"version\":1,\"answers\":[]" MEMBERS,
		"{\"version\":1,\"answers\":{\"a.b\":[]}" MEMBERS,
		"{\"version\":1,\"answers\":{\"a.b\":[\"x\"]}" MEMBERS,
		"{\"version\":1,\"answers\":{\"a..b\":[\"192.0.2.1\"]}" MEMBERS,
		"{\"version\":1,\"answers\":{\"a.b\":[\"0.0.0.0\"]}" MEMBERS,
		"{\"version\":1,\"answers\":{\"a.b\":[7]}" MEMBERS,
		"{\"version\":1,\"answers\":{}}",
		ANSWERS "7]}",
		ANSWERS "\"\"]}",
		ANSWERS "\"0123456789abcdef\"]}",
		ANSWERS "\"0123456789abcdef p\"]}",
		ANSWERS "\"0123456789abcdef  192.0.2.1\"]}",
		ANSWERS "\"0123456789abcdeg p 192.0.2.1\"]}",
		ANSWERS "\"0123456789abcdef p 192.0.2\"]}",
		ANSWERS "\"0123456789abcdef abcdefghijklmnopqrstuvwxyz 192.0.2.1\"]}",
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct berth_dns_state known;
		if (berth_dns_state_parse(&known, texts[i], strlen(texts[i])) != -EINVAL || known.n_answers ||
		    known.n_members || known.members)
			fail_msg("%s is taken", texts[i]);
	}
	static const char right[] =
		"{\"version\":1,\"answers\":{\"a.b\":[\"192.0.2.1\",\"2001:db8::1\"]},\"backends\":["
		"\"0123456789abcdef p 192.0.2.1\"]}";
	for (size_t n = 0; n < sizeof(right) - 1; n++) {
		struct berth_dns_state known;
		assert_int_equal(berth_dns_state_parse(&known, right, n), -EINVAL);
	}
	struct berth_dns_state known;
	assert_int_equal(berth_dns_state_parse(&known, right, sizeof(right) - 1), 0);
	berth_dns_state_clear(&known);
}

/* --- merging of results --- */

static const struct {
	const char *what;
	const char *before;
	const char *a; /* addresses; "": none; "!": failed; "?": pending */
	const char *aaaa;
	const char *now;
	bool found;
	const char *error;
} answers[] = {
	{"first answer", "", "192.0.2.2 192.0.2.1", "", "192.0.2.1 192.0.2.2 ", true, ""},
	{"both types", "", "192.0.2.1", "2001:db8::1", "192.0.2.1 2001:db8::1 ", true, ""},
	{"order and duplicates", "192.0.2.1 192.0.2.2", "192.0.2.2 192.0.2.1 192.0.2.2", "", "192.0.2.1 192.0.2.2 ",
	 true, ""},
	{"another set", "192.0.2.1 192.0.2.2", "192.0.2.3", "", "192.0.2.3 ", true, ""},
	{"A fails", "192.0.2.1 2001:db8::1", "!", "2001:db8::2", "192.0.2.1 2001:db8::2 ", true, "A: broken"},
	{"AAAA fails", "192.0.2.1 2001:db8::1", "192.0.2.2", "!", "192.0.2.2 2001:db8::1 ", true, "AAAA: broken"},
	{"AAAA ends", "192.0.2.1 2001:db8::1", "192.0.2.1", "", "192.0.2.1 ", true, ""},
	{"AAAA is not answered yet", "192.0.2.1 2001:db8::1", "192.0.2.2", "?", "192.0.2.2 2001:db8::1 ", true, ""},
	{"A ended, AAAA is not answered yet", "192.0.2.1 2001:db8::1", "", "?", "192.0.2.1 2001:db8::1 ", false,
	 ""},
	{"both fail", "192.0.2.1", "!", "!", "192.0.2.1 ", false, "A: broken"},
	{"nothing", "192.0.2.1 2001:db8::1", "", "", "192.0.2.1 2001:db8::1 ", false, "the name has no addresses"},
	{"nothing and a failure", "192.0.2.1 2001:db8::1", "", "!", "192.0.2.1 2001:db8::1 ", false,
	 "AAAA: broken"},
	{"nothing ever", "", "", "", "", false, "the name has no addresses"},
};

static struct berth_dns_result result_of(const char *text, union berth_addr list[16])
{
	struct berth_dns_state known = {0};
	struct berth_dns_result result = {.addresses = list, .ttl_s = 7, .error = "broken"};
	if (*text == '!' || *text == '?' || !*text) {
		result.status = *text == '!' ? BERTH_DNS_FAILED : *text == '?' ? BERTH_DNS_PENDING : BERTH_DNS_NONE;
		return result;
	}
	know(&known, "x", text);
	result.status = BERTH_DNS_FOUND;
	result.n = known.answers[0].n;
	memcpy(list, known.answers[0].addresses, result.n * sizeof(*list));
	berth_dns_state_clear(&known);
	return result;
}

static void only_good_answers_change_addresses(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		union berth_addr lists[2][16];
		struct berth_dns_state known = {0};
		know(&known, "x", answers[i].before);
		const struct berth_dns_result results[] = {result_of(answers[i].a, lists[0]),
							   result_of(answers[i].aaaa, lists[1])};
		struct berth_dns_outcome verdict;
		char text[512] = "", host[BERTH_ADDRESS_TEXT];
		assert_int_equal(berth_dns_merge(results, berth_dns_state_answer(&known, "x"), &verdict), 0);
		for (size_t j = 0; j < verdict.n; j++)
			strcat(strcat(text, berth_address_format(&verdict.addresses[j], host)), " ");
		if (strcmp(text, answers[i].now) != 0 || verdict.found != answers[i].found ||
		    strcmp(verdict.error, answers[i].error) != 0)
			fail_msg("%s: \"%s\", found %d, \"%s\"", answers[i].what, text, verdict.found,
				 verdict.error);
		free(verdict.addresses);
		berth_dns_state_clear(&known);
	}
}

static void an_answer_with_too_many_addresses_is_rejected(void **state)
{
	(void)state;
	enum {
		HALF = BERTH_DNS_MAX_ADDRESSES / 2
	};
	union berth_addr *list = calloc(2 * HALF + 1, sizeof(*list));
	for (size_t i = 0; i < 2 * HALF + 1; i++) {
		list[i] = address(i < HALF ? "10.0.0.0" : "2001:db8::");
		list[i].byte[14] = (uint8_t)(i >> 8);
		list[i].byte[15] = (uint8_t)i;
	}
	struct berth_dns_outcome verdict;
	const struct berth_dns_result most[] = {{BERTH_DNS_FOUND, NULL, list, HALF, 9},
						{BERTH_DNS_FOUND, NULL, list + HALF, HALF, 5}};
	assert_int_equal(berth_dns_merge(most, NULL, &verdict), 0);
	assert_true(verdict.found);
	assert_int_equal(verdict.n, 2 * HALF);
	assert_int_equal(verdict.ttl_s, 5);
	free(verdict.addresses);
	const struct berth_dns_result more[] = {{BERTH_DNS_FOUND, NULL, list, HALF, 9},
						{BERTH_DNS_FOUND, NULL, list + HALF, HALF + 1, 5}};
	assert_int_equal(berth_dns_merge(more, NULL, &verdict), 0);
	assert_false(verdict.found);
	assert_string_equal(verdict.error, "the name has more than 1024 addresses");
	free(verdict.addresses);
	free(list);
}

static void a_name_is_queried_when_its_ttl_ends_and_with_backoff_after_failures(void **state)
{
	(void)state;
	const struct berth_dns_config config = {.min_ttl_s = 5, .max_ttl_s = 600};
	assert_int_equal(berth_dns_next_query_s(&config, 30, 0), 30);
	assert_int_equal(berth_dns_next_query_s(&config, 0, 0), 5);
	assert_int_equal(berth_dns_next_query_s(&config, UINT32_MAX, 0), 600);
	const struct berth_dns_config quick = {.min_ttl_s = 1, .max_ttl_s = 3600};
	static const uint32_t waits[] = {1, 2, 4, 8, 16, 32, 60, 60};
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(berth_dns_next_query_s(&quick, 0, i + 1), waits[i]);
	assert_int_equal(berth_dns_next_query_s(&quick, 0, UINT32_MAX), 60);
	const struct berth_dns_config slow = {.min_ttl_s = 300, .max_ttl_s = 3600};
	assert_int_equal(berth_dns_next_query_s(&slow, 0, 1), 60);
	const struct berth_dns_config short_lived = {.min_ttl_s = 1, .max_ttl_s = 3};
	assert_int_equal(berth_dns_next_query_s(&short_lived, 0, 20), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_backend_has_a_dns_name_or_an_address_with_the_same_keys),
		cmocka_unit_test(servers_are_addresses_with_or_without_a_port),
		cmocka_unit_test(errors_have_their_position),
		cmocka_unit_test(each_address_becomes_a_backend),
		cmocka_unit_test(the_longest_address_fits_a_name),
		cmocka_unit_test(a_backend_that_left_dns_drains_until_it_is_removed),
		cmocka_unit_test(a_retained_backend_is_eligible_for_new_clients),
		cmocka_unit_test(unusable_addresses_are_skipped_with_a_reason),
		cmocka_unit_test(an_existing_backend_keeps_its_address_whatever_the_order),
		cmocka_unit_test(in_mode_nat_an_address_and_port_identify_one_service),
		cmocka_unit_test(backends_do_not_exceed_table_size_and_limits),
		cmocka_unit_test(the_saved_configuration_has_no_backends_from_dns),
		cmocka_unit_test(numbers_states_and_health_survive_every_answer),
		cmocka_unit_test(another_change_does_not_restart_a_drain),
		cmocka_unit_test(backends_that_left_dns_do_not_count_for_panic),
		cmocka_unit_test(the_state_survives_format_and_parse),
		cmocka_unit_test(damaged_text_gives_an_empty_state),
		cmocka_unit_test(only_good_answers_change_addresses),
		cmocka_unit_test(an_answer_with_too_many_addresses_is_rejected),
		cmocka_unit_test(a_name_is_queried_when_its_ttl_ends_and_with_backoff_after_failures),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
