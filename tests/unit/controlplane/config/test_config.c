// SPDX-License-Identifier: BSD-3-Clause
/* The configuration: the meaning of valid files, and the errors for invalid ones. */
#include <netinet/in.h>
#include <unistd.h>

#include "tests/unit/controlplane/config/config_bad_host.h"
#include "tests/unit/controlplane/config/config_bad_overlap.h"
#include "tests/unit/controlplane/config/config_bad_service.h"
#include "tests/unit/controlplane/config/config_bad_yaml.h"

static void assert_refused(const struct bad *bad, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *error = refusal(bad[i].text, strlen(bad[i].text));
		if (strncmp(error, "f:", 2) != 0 || strcmp(error + 2, bad[i].error) != 0)
			fail_msg("\n%s\ngives:    %s\nexpected: f:%s", bad[i].text, error, bad[i].error);
	}
}

static void text_that_is_not_strict_yaml_is_refused_with_its_place(void **state)
{
	(void)state;
	assert_refused(bad_yaml, COUNT(bad_yaml));
}

static void an_invalid_value_is_refused_with_place_and_fix(void **state)
{
	(void)state;
	assert_refused(bad_host, COUNT(bad_host));
	assert_refused(bad_service, COUNT(bad_service));
	assert_refused(bad_overlap, COUNT(bad_overlap));
}

static void every_key_of_the_top_level_is_read(void **state)
{
	struct berth_config *config = parsed(everything);
	(void)state;

	assert_int_equal(config->engine, BERTH_ENGINE_DPDK);
	assert_int_equal(config->n_interfaces, 2);
	assert_string_equal(config->interfaces[0].name, "eth0");
	assert_int_equal(config->interfaces[0].xdp, BERTH_XDP_NATIVE);
	assert_string_equal(config->interfaces[0].device, "0000:03:00.0");
	assert_int_equal(config->interfaces[0].queues, 64);
	assert_int_equal(config->interfaces[0].mtu, 9000);
	assert_string_equal(config->interfaces[1].name, "interface-15-by");
	assert_int_equal(config->interfaces[1].xdp, BERTH_XDP_GENERIC);
	assert_string_equal(config->interfaces[1].device, "0000:03:00.1");
	assert_int_equal(config->interfaces[1].queues, 1);
	assert_int_equal(config->interfaces[1].mtu, 0);
	assert_int_equal(config->dpdk.workers, 3);
	assert_int_equal(config->dpdk.idle, BERTH_IDLE_POLL);
	assert_int_equal(config->dpdk.memory_mb, 512);
	assert_int_equal(config->dpdk.rx_ring, 1024);
	assert_int_equal(config->dpdk.tx_ring, 2048);
	assert_int_equal(config->limits.flows, 2000000);
	assert_int_equal(config->limits.sessions, 1024);
	assert_int_equal(config->limits.services, 3);
	assert_int_equal(config->limits.backends, 6);
	assert_address(&config->tunnel.source4, "198.18.0.0");
	assert_int_equal(config->tunnel.bits4, 96 + 24);
	assert_address(&config->tunnel.source6, "2001:db8:5::");
	assert_int_equal(config->tunnel.bits6, 112);
	assert_address(&config->metrics.address, "2001:db8::9");
	assert_int_equal(config->metrics.port, 65535);
	assert_string_equal(config->cluster.name, "shop");
	assert_string_equal(config->cluster.node, "n_1.example");
	const struct berth_store_config *store = &config->cluster.store;
	assert_int_equal(store->n_servers, 2);
	assert_address(&store->servers[0].address, "192.0.2.60");
	assert_int_equal(store->servers[0].port, 6379);
	assert_address(&store->servers[1].address, "2001:db8::60");
	assert_int_equal(store->servers[1].port, 1);
	assert_string_equal(store->sentinel, "main");
	assert_string_equal(store->username, "berth");
	assert_string_equal(store->password_file, "/etc/berth/password");
	assert_string_equal(store->tls_ca, "/etc/berth/ca.pem");
	assert_string_equal(store->tls_name, "redis.example.org");
	assert_int_equal(config->n_services, 2);
	berth_config_free(config);
}

static void every_key_of_a_service_is_read(void **state)
{
	static const uint32_t timeout[BERTH_TIMEOUT_COUNT] = {1, 86400, 2, 3, 4, 300, 6, 5400};
	struct berth_config *config = parsed(everything);
	const struct berth_service_config *service = &config->services[0];
	(void)state;

	assert_string_equal(service->name, "web.1");
	assert_address(&service->address, "203.0.113.10");
	assert_int_equal(service->protocol, IPPROTO_TCP);
	assert_int_equal(service->bits, 128);
	assert_int_equal(service->port, 443);
	assert_int_equal(service->last_port, 443);
	assert_int_equal(service->gue_port, 0);
	assert_int_equal(service->mode, BERTH_MODE_L2);
	assert_int_equal(service->affinity, BERTH_AFFINITY_CLIENT);
	assert_int_equal(service->prefix4, 24);
	assert_int_equal(service->prefix6, 56);
	assert_string_equal(service->group, "shop");
	assert_int_equal(service->scheduler, BERTH_SCHEDULE_BOUNDED);
	assert_string_equal(berth_schedule_name(service->scheduler), "bounded");
	assert_int_equal(service->bound_percent, 150);
	assert_int_equal(service->overload, BERTH_OVERLOAD_SPILL);
	assert_int_equal(service->failback, BERTH_FAILBACK_RETURN);
	assert_int_equal(service->on_down, BERTH_DOWN_RESET);
	assert_int_equal(service->slow_start_ms, 2500);
	assert_int_equal(service->new_flows.limit, 5000);
	assert_int_equal(service->new_flows.burst, 700);
	assert_int_equal(service->new_flows.source_limit, 20);
	assert_int_equal(service->new_flows.source_burst, 40);
	assert_int_equal(service->new_flows.source_prefix4, 28);
	assert_int_equal(service->new_flows.source_prefix6, 48);
	assert_int_equal(service->panic_percent, 60);
	assert_string_equal(service->backends[0].backup, "b_2");
	assert_int_equal(service->backends[0].max_flows, 77);
	assert_int_equal(service->table_size, 251);
	assert_memory_equal(service->timeout, timeout, sizeof(timeout));
	assert_int_equal(service->health->type, BERTH_HEALTH_TCP);
	assert_int_equal(service->health->port, 8080);
	assert_int_equal(service->health->interval_ms, 50);
	assert_int_equal(service->health->timeout_ms, 30);
	assert_int_equal(service->health->rise, 4);
	assert_int_equal(service->health->fall, 5);
	assert_int_equal(service->health->stale_ms, 7000);
	assert_int_equal(service->n_backends, 2);
	assert_string_equal(service->backends[0].name, "1");
	assert_address(&service->backends[0].address, "192.0.2.11");
	assert_int_equal(service->backends[0].weight, 0);
	assert_string_equal(service->backends[1].name, "b_2");
	assert_int_equal(service->backends[1].weight, 1000);
	berth_config_free(config);
}

static void a_service_has_the_defaults_of_the_top_level_wherever_they_stand(void **state)
{
	static const uint32_t timeout[BERTH_TIMEOUT_COUNT] = {11, 12, 13, 17, 14, 15, 16, 10800};
	struct berth_config *config = parsed(everything);
	const struct berth_service_config *service = &config->services[1];
	(void)state;

	assert_memory_equal(service->timeout, timeout, sizeof(timeout));
	assert_int_equal(service->protocol, IPPROTO_UDP);
	assert_int_equal(service->mode, BERTH_MODE_IPIP);
	assert_int_equal(service->health->type, BERTH_HEALTH_NONE);
	assert_address(&service->address, "2001:db8:10::53");
	assert_address(&service->backends[0].address, "192.0.2.11");
	assert_address(&service->backends[1].address, "2001:db8::2");
	assert_int_equal(service->backends[1].weight, 100);
	berth_config_free(config);
}

static void the_default_bound_is_1_25(void **state)
{
	static const struct {
		const char *text;
		uint32_t bound;
	} cases[] = {
		{SERVICE, 0},
		{SERVICE "  scheduler: bounded\n", 125},
		{SERVICE "  scheduler: bounded\n  bound: 1.07\n", 107},
		{SERVICE "  scheduler: bounded\n  bound: 2\n", 200},
	};
	(void)state;

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct berth_config *config = parsed(cases[i].text);
		assert_int_equal(config->services[0].bound_percent, cases[i].bound);
		berth_config_free(config);
	}
}

/* `n` services of one group. */
static void a_group_has_at_most_16_services(void **state)
{
	char text[8192];
	(void)state;

	for (int n = 16; n <= 17; n++) {
		char *at = text + sprintf(text, SERVICES);
		for (int i = 0; i < n; i++)
			at += sprintf(at,
				      "- {name: w%d, address: 203.0.113.10, port: %d, mode: l2, affinity: {by: "
				      "client, group: shop}}\n",
				      i, i + 1);
		assert_string_equal(
			refusal(text, strlen(text)),
			n == 16 ? "" : "f:20:88: group shop has more than 16 services; move some to another group");
	}
}

static void prefixes_ports_and_modes_are_read(void **state)
{
	static const char text[] = SERVICES
		"- {name: w1, address: 203.0.113.0/28, port: 8000-8099, mode: gue, health: {port: 7}, "
		"backends: [{name: b1, address: 192.0.2.1}]}\n"
		"- {name: w2, address: 2001:db8:1::/64, port: any, mode: gue, gue-port: 7000, health: {type: "
		"none}}\n"
		"- {name: w3, address: 203.0.113.100, port: 80, mode: nat, backends: [{name: b1, address: "
		"192.0.2.1, port: 8080}, {name: b2, address: 192.0.2.2}]}\n";
	char ports[BERTH_PORTS_TEXT], prefix[BERTH_PREFIX_TEXT];
	struct berth_config *config = parsed(text);
	const struct berth_service_config *service = config->services;
	(void)state;

	assert_string_equal(berth_prefix_format(&service[0].address, service[0].bits, prefix), "203.0.113.0/28");
	assert_int_equal(service[0].bits, 124);
	assert_int_equal(service[0].port, 8000);
	assert_int_equal(service[0].last_port, 8099);
	assert_int_equal(service[0].gue_port, 6080);
	assert_string_equal(berth_config_format_ports(&service[0], ports), "8000-8099");
	assert_string_equal(berth_prefix_format(&service[1].address, service[1].bits, prefix), "2001:db8:1::/64");
	assert_int_equal(service[1].port, 0);
	assert_int_equal(service[1].last_port, 65535);
	assert_int_equal(service[1].gue_port, 7000);
	assert_string_equal(berth_config_format_ports(&service[1], ports), "any");
	assert_string_equal(berth_prefix_format(&service[2].address, service[2].bits, prefix), "203.0.113.100");
	assert_string_equal(berth_config_format_ports(&service[2], ports), "80");
	assert_string_equal(berth_mode_name(service[2].mode), "nat");
	assert_int_equal(service[2].gue_port, 0);
	assert_int_equal(service[2].backends[0].port, 8080);
	assert_int_equal(service[2].backends[1].port, 0);
	berth_config_free(config);
}

static void a_node_has_the_name_of_its_host_by_default(void **state)
{
	char host[BERTH_NAME_BYTES];
	(void)state;

	assert_int_equal(gethostname(host, sizeof(host)), 0);
	struct berth_config *config = parsed(INTERFACES "secret-file: /k\ncluster: {name: shop}\n");
	assert_string_equal(config->cluster.node, host);
	berth_config_free(config);
	config = parsed(INTERFACES "secret-file: /k\n");
	assert_string_equal(config->cluster.node, "");
	berth_config_free(config);
}

static void checks_go_to_the_port_that_the_server_listens_on(void **state)
{
	const struct berth_backend_config own = {.port = 8080}, none = {0};
	const struct berth_health_config with_port = {.port = 7};
	struct berth_service_config service = {.port = 80, .last_port = 80, .health = &berth_health_defaults};
	(void)state;

	assert_int_equal(berth_config_probe_port(&service, &none), 80);
	assert_int_equal(berth_config_probe_port(&service, &own), 8080);
	service.health = &with_port;
	assert_int_equal(berth_config_probe_port(&service, &own), 7);
}

static void values_at_their_limits_and_other_spellings_are_accepted(void **state)
{
	static const char *const texts[] = {
		INTERFACES,
		INTERFACES "services:\n",
		INTERFACES "services: []\ndpdk: {}\ntimeouts:\n",
		INTERFACES "metrics:\n",
		INTERFACES "metrics: {listen: 127.0.0.1:1}\n",
		INTERFACES "metrics: {listen: 0.0.0.0:9427}\n",
		INTERFACES "metrics: {listen: \"[::]:9427\"}\n",
		"engine: null\n" INTERFACES,
		"{engine: 'null', interfaces: [{\"name\": eth0}]}",
		"\357\273\277---\n" INTERFACES "...\n",
		SERVICE,
		SERVICE "  backends:\n",
		SERVICE "  backends: []\n  health:\n  affinity: {}\n  table-size: 2\n",
		SERVICE "  backends:\n  - {name: b1, address: 127.0.0.1}\n",
		SERVICE "  affinity: {timeout: 1s, prefix4: 0, prefix6: 0}\n  table-size: 655373\n",
		SERVICE "  affinity: {timeout: 1440m, prefix4: 32, prefix6: 128}\n",
		SERVICE "  scheduler: bounded\n  bound: 1.05\n  panic-threshold: 1%\n  slow-start: 0s\n",
		SERVICE
		"  scheduler: bounded\n  bound: 10\n  panic-threshold: 99%\n  slow-start: 1h\n  on-down: reset\n",
		SERVICE "  affinity: {by: client, group: shop}\n- {name: w2, address: 203.0.113.11, port: 443, "
			"mode: nat, affinity: {group: shop, by: client, timeout: 180m}}\n"
			"- {name: w3, address: 203.0.113.11, port: 444, mode: nat, affinity: {group: other, by: "
			"client, timeout: 1m}}\n",
		SERVICE "  health: {timeout: 1ms, interval: 1h, port: 65535, rise: 100, fall: 1}\n",
		SERVICE "- {name: w2, address: 203.0.113.10, port: 80, protocol: udp, mode: l2}\n",
		SERVICE "- {name: w2, address: 203.0.113.10, port: 81, mode: l2}\n",
		BACKENDS "- {name: w2, address: 203.0.113.11, port: 80, mode: l2, backends: "
			 "[{name: b1, address: 192.0.2.11}]}\n",
		SERVICES "- {name: w1, address: 203.0.113.0/28, port: any, mode: l2, health: {type: none}}\n"
			 "- {name: w2, address: 203.0.113.0/28, port: 1-65535, mode: l2, health: {type: none}}\n"
			 "- {name: w3, address: 203.0.113.0/28, port: 80, mode: l2}\n"
			 "- {name: w4, address: 203.0.113.0, port: 80, mode: l2}\n"
			 "- {name: w5, address: 203.0.113.0/29, port: 80, mode: l2}\n"
			 "- {name: w6, address: 203.0.113.0/28, port: 80-81, protocol: udp, mode: l2, health: "
			 "{type: none}}\n"
			 "- {name: w7, address: 203.0.113.0/28, port: 81, mode: l2}\n",
		SERVICES "- {name: w1, address: 203.0.113.1, port: 1-9, mode: l2, health: {type: none}}\n"
			 "- {name: w2, address: 203.0.113.1, port: 1-99, mode: l2, health: {type: none}}\n"
			 "- {name: w3, address: 203.0.113.1, port: 5-15, protocol: udp, mode: l2, health: {type: "
			 "none}}\n",
		SERVICES "- {name: w1, address: 203.0.113.1/32, port: 80, mode: l2}\n"
			 "- {name: w2, address: 1.0.0.0/8, port: 80, mode: l2}\n"
			 "- {name: w3, address: 2000::/3, port: 80, mode: l2}\n",
		/* Answers that identify their service. */
		NAT
		"- {name: w1, address: 203.0.113.9, port: 81, mode: nat, backends: [{name: b1, address: "
		"192.0.2.11}]}\n"
		"- {name: w2, address: 203.0.113.9, port: 8080, protocol: udp, mode: nat, backends: [{name: b1, "
		"address: 192.0.2.11}]}\n"
		"- {name: w3, address: 203.0.113.9, port: 8081-9000, mode: nat, health: {port: 1}, backends: "
		"[{name: b1, address: 192.0.2.11}]}\n"
		"- {name: w4, address: 203.0.113.9, port: 443, mode: l2, backends: [{name: b1, address: "
		"192.0.2.11}]}\n",
		INTERFACES "tunnel: {source4: 198.18.0.0/16, source6: 2001:db8::/112}\n",
		INTERFACES "tunnel: {source4: 198.18.0.1, source6: 2001:db8::1/128}\n",
		INTERFACES "dpdk: {workers: 255, memory-mb: 1048576, rx-ring: 64, tx-ring: 32768}\n",
		INTERFACES "limits: {flows: 200000000, sessions: 200000000, services: 65534, backends: 65534}\n",
		SERVICES "- {name: "
			 "123456789.123456789-123456789_123456789.123456789.123456789.ABC, address: 192.0.2.1, "
			 "port: 65535, mode: l2}\n",
	};
	(void)state;

	for (size_t i = 0; i < COUNT(texts); i++)
		berth_config_free(parsed(texts[i]));
}

struct found {
	char text[65536];
};

static void add_error(void *arg, const char *error)
{
	struct found *found = arg;
	strncat(found->text, error, sizeof(found->text) - strlen(found->text) - 2);
	strcat(found->text, "\n");
}

/* Each fault once, and none that follows from another one. */
static void all_errors_are_reported(void **state)
{
	(void)state;
	static const char text[] =
		"engine: xpd\n"
		"interfaces: [{name: eth0, queus: 2}, {name: eth0}]\n"
		"limits: {flows: 1}\n"
		"services:\n"
		"- name: web\n"
		"  address: web\n"
		"  port: 80\n"
		"  mode: dr\n"
		"  color: red\n"
		"  backends:\n"
		"  - {name: b1, address: 192.0.2.11, weight: 1001, port: 8080}\n"
		"  - {name: b1, address: 2001:db8::1}\n"
		"  - {name: b3, address: 192.0.2.13, weigth: 5}\n"
		"- {name: dns, address: 203.0.113.11, port: 0, mode: ipip}\n"
		"- {name: ok, address: 203.0.113.12, port: 1, mode: l2, backends: [{name: b, address: "
		"2001:db8::7}]}\n";
	static const char *const places[] = {
		"1:9: engine",	 "2:",	      "3:17: flows", "9:3: unknown key \"color\"",
		"6:12: address", "8:9: mode", "11:",	     "13:37: unknown key \"weigth\"",
		"14:44: port",	 "15:"};
	struct found found = {""};
	char error[BERTH_ERROR_BYTES];
	char *line = found.text;
	assert_null(berth_config_parse_all("f", text, strlen(text), add_error, &found, error));
	assert_ptr_equal(strstr(found.text, error), found.text);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		char start[64];
		snprintf(start, sizeof(start), "f:%s", places[i]);
		if (!line || strncmp(line, start, strlen(start)) != 0)
			fail_msg("no \"%s\" at \"%s\"", start, line ? line : "");
		line = strchr(line, '\n') + 1;
	}
	assert_string_equal(line, "");
}

static void the_number_of_errors_is_bounded(void **state)
{
	(void)state;
	char text[16384] = "interfaces: [{name: eth0}]\n", error[BERTH_ERROR_BYTES];
	struct found found = {""};
	for (int i = 0; i < 300; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "unknown-%d: 1\n", i);
	assert_null(berth_config_parse_all("f", text, strlen(text), add_error, &found, error));
	size_t n = 0;
	for (const char *c = found.text; *c; c++)
		n += *c == '\n';
	assert_in_range(n, 1, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_of_the_top_level_is_read),
		cmocka_unit_test(every_key_of_a_service_is_read),
		cmocka_unit_test(a_service_has_the_defaults_of_the_top_level_wherever_they_stand),
		cmocka_unit_test(the_default_bound_is_1_25),
		cmocka_unit_test(a_group_has_at_most_16_services),
		cmocka_unit_test(prefixes_ports_and_modes_are_read),
		cmocka_unit_test(a_node_has_the_name_of_its_host_by_default),
		cmocka_unit_test(checks_go_to_the_port_that_the_server_listens_on),
		cmocka_unit_test(values_at_their_limits_and_other_spellings_are_accepted),
		cmocka_unit_test(text_that_is_not_strict_yaml_is_refused_with_its_place),
		cmocka_unit_test(an_invalid_value_is_refused_with_place_and_fix),
		cmocka_unit_test(all_errors_are_reported),
		cmocka_unit_test(the_number_of_errors_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
