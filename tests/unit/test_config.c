/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration: what a right file means, what is said about a wrong one, and that no file does harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/address.h"
#include "controlplane/config.h"
#include "tests/unit/config_bad.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char everything[] =
	"engine: dpdk\n"
	"interfaces:\n"
	"  - {name: eth0, xdp: native, device: \"0000:03:00.0\", queues: 64}\n"
	"  - {name: interface-15-by, xdp: generic, device: 0000:03:00.1}\n"
	"dpdk: {workers: 3, idle: poll, memory: 512, rx-ring: 1024, tx-ring: 2048}\n"
	"limits: {flows: 2000000, sessions: 1024, services: 3, backends: 4}\n"
	"services:\n"
	"- name: web.1\n"
	"  address: 203.0.113.10\n"
	"  protocol: tcp\n"
	"  port: 443\n"
	"  mode: l2\n"
	"  affinity: {by: client, timeout: 90m, prefix4: 24, prefix6: 56, group: shop}\n"
	"  scheduler: bounded\n"
	"  bound: 1.5\n"
	"  overload: spill\n"
	"  failback: return\n"
	"  down: reset\n"
	"  slow-start: 2500ms\n"
	"  panic: 60%\n"
	"  rows: 251\n"
	"  timeouts: {half-open: 1s, established: 24h, closing: 2000ms, one-way: 4s, repeated: 5m, fragment: 6s}\n"
	"  health: {type: tcp, port: 8080, interval: 50ms, timeout: 30ms, rise: 4, fall: 5}\n"
	"  backends:\n"
	"    - {name: 1, address: 192.0.2.11, weight: 0, backup: b_2, max-flows: 77}\n"
	"    - {name: b_2, address: 192.0.2.12, weight: 1000}\n"
	"- name: dns\n"
	"  address: 2001:db8:10::53\n"
	"  protocol: udp\n"
	"  port: 53\n"
	"  mode: ipip\n"
	"  health: {type: none}\n"
	"  backends:\n"
	"    - {name: 1, address: 192.0.2.11}\n"
	"    - {name: b-2, address: \"2001:db8::2\"}\n"
	"timeouts: {half-open: 11s, established: 12s, closing: 13s, one-way: 14s, repeated: 15s, fragment: 16s}\n"
	"tunnel: {source4: 198.18.0.0/24, source6: \"2001:db8:5::/112\"}\n";

/* The message that a text gets; "" if it is accepted. */
static const char *refusal(const char *text, size_t length)
{
	static char error[BERTH_ERROR_BYTES];
	struct berth_config *config = berth_config_parse("f", text, length, error);

	if (config)
		assert_string_equal(error, "");
	berth_config_free(config);
	return error;
}

/* The configuration that a text must be. */
static struct berth_config *parsed(const char *text)
{
	char error[BERTH_ERROR_BYTES];
	struct berth_config *config = berth_config_parse("f", text, strlen(text), error);

	if (!config)
		fail_msg("refused: %s", error);
	return config;
}

static void assert_refused(const struct bad *bad, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *error = refusal(bad[i].text, strlen(bad[i].text));
		if (strncmp(error, "f:", 2) != 0 || strcmp(error + 2, bad[i].error) != 0)
			fail_msg("\n%s\nis told:  %s\nand not: f:%s", bad[i].text, error, bad[i].error);
	}
}

static void text_that_is_not_strict_yaml_is_refused_where_it_is_wrong(void **state)
{
	(void)state;
	assert_refused(bad_yaml, COUNT(bad_yaml));
}

static void what_does_not_fit_is_refused_with_place_and_mend(void **state)
{
	(void)state;
	assert_refused(bad_config, COUNT(bad_config));
}

static void assert_address(const union berth_addr *address, const char *expected)
{
	char text[BERTH_ADDRESS_TEXT];
	assert_string_equal(berth_address_format(address, text), expected);
}

static void every_outer_key_is_read(void **state)
{
	struct berth_config *config = parsed(everything);
	(void)state;

	assert_int_equal(config->engine, BERTH_ENGINE_DPDK);
	assert_int_equal(config->n_interfaces, 2);
	assert_string_equal(config->interfaces[0].name, "eth0");
	assert_int_equal(config->interfaces[0].xdp, BERTH_XDP_NATIVE);
	assert_string_equal(config->interfaces[0].device, "0000:03:00.0");
	assert_int_equal(config->interfaces[0].queues, 64);
	assert_string_equal(config->interfaces[1].name, "interface-15-by");
	assert_int_equal(config->interfaces[1].xdp, BERTH_XDP_GENERIC);
	assert_string_equal(config->interfaces[1].device, "0000:03:00.1");
	assert_int_equal(config->interfaces[1].queues, 1);
	assert_int_equal(config->dpdk.workers, 3);
	assert_int_equal(config->dpdk.idle, BERTH_IDLE_POLL);
	assert_int_equal(config->dpdk.memory_mb, 512);
	assert_int_equal(config->dpdk.rx_ring, 1024);
	assert_int_equal(config->dpdk.tx_ring, 2048);
	assert_int_equal(config->limits.flows, 2000000);
	assert_int_equal(config->limits.sessions, 1024);
	assert_int_equal(config->limits.services, 3);
	assert_int_equal(config->limits.backends, 4);
	assert_address(&config->tunnel.source4, "198.18.0.0");
	assert_int_equal(config->tunnel.bits4, 96 + 24);
	assert_address(&config->tunnel.source6, "2001:db8:5::");
	assert_int_equal(config->tunnel.bits6, 112);
	assert_int_equal(config->n_services, 2);
	berth_config_free(config);
}

static void every_key_of_a_service_is_read(void **state)
{
	static const uint32_t timeout[BERTH_STATE_COUNT] = {2, 1, 86400, 2, 4, 300, 5400, 6};
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
	assert_int_equal(service->bound, 150);
	assert_int_equal(service->overload, BERTH_OVERLOAD_SPILL);
	assert_int_equal(service->failback, BERTH_FAILBACK_RETURN);
	assert_int_equal(service->down, BERTH_DOWN_RESET);
	assert_int_equal(service->slow_start_ms, 2500);
	assert_int_equal(service->panic, 60);
	assert_string_equal(service->backends[0].backup, "b_2");
	assert_int_equal(service->backends[0].max_flows, 77);
	assert_int_equal(service->rows, 251);
	assert_memory_equal(service->timeout, timeout, sizeof(timeout));
	assert_int_equal(service->health.type, BERTH_HEALTH_TCP);
	assert_int_equal(service->health.port, 8080);
	assert_int_equal(service->health.interval_ms, 50);
	assert_int_equal(service->health.timeout_ms, 30);
	assert_int_equal(service->health.rise, 4);
	assert_int_equal(service->health.fall, 5);
	assert_int_equal(service->n_backends, 2);
	assert_string_equal(service->backends[0].name, "1");
	assert_address(&service->backends[0].address, "192.0.2.11");
	assert_int_equal(service->backends[0].weight, 0);
	assert_string_equal(service->backends[1].name, "b_2");
	assert_int_equal(service->backends[1].weight, 1000);
	berth_config_free(config);
}

static void a_service_takes_what_it_does_not_say_from_the_top_even_from_below(void **state)
{
	static const uint32_t timeout[BERTH_STATE_COUNT] = {2, 11, 12, 13, 14, 15, 10800, 16};
	struct berth_config *config = parsed(everything);
	const struct berth_service_config *service = &config->services[1];
	(void)state;

	assert_memory_equal(service->timeout, timeout, sizeof(timeout));
	assert_int_equal(service->protocol, IPPROTO_UDP);
	assert_int_equal(service->mode, BERTH_MODE_IPIP);
	assert_int_equal(service->health.type, BERTH_HEALTH_NONE);
	assert_address(&service->address, "2001:db8:10::53");
	assert_address(&service->backends[0].address, "192.0.2.11");
	assert_address(&service->backends[1].address, "2001:db8::2");
	assert_int_equal(service->backends[1].weight, 100);
	berth_config_free(config);
}

static void the_bound_is_1_25_where_there_is_one(void **state)
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
		assert_int_equal(config->services[0].bound, cases[i].bound);
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
		assert_string_equal(refusal(text, strlen(text)),
				    n == 16 ? ""
					    : "f:20:88: group shop has more than 16 services; give some of them "
					      "another one");
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

static void the_port_that_is_probed_is_the_one_the_server_listens_on(void **state)
{
	const struct berth_backend_config own = {.port = 8080}, none = {0};
	struct berth_service_config service = {.port = 80, .last_port = 80};
	(void)state;

	assert_int_equal(berth_config_probe_port(&service, &none), 80);
	assert_int_equal(berth_config_probe_port(&service, &own), 8080);
	service.health.port = 7;
	assert_int_equal(berth_config_probe_port(&service, &own), 7);
}

static void bounds_themselves_and_other_spellings_are_accepted(void **state)
{
	static const char *const texts[] = {
		INTERFACES,
		INTERFACES "services:\n",
		INTERFACES "services: []\ndpdk: {}\ntimeouts:\n",
		"engine: null\n" INTERFACES,
		"{engine: 'null', interfaces: [{\"name\": eth0}]}",
		"\357\273\277---\n" INTERFACES "...\n",
		SERVICE,
		SERVICE "  backends:\n",
		SERVICE "  backends: []\n  health:\n  affinity: {}\n  rows: 2\n",
		SERVICE "  backends:\n  - {name: b1, address: 127.0.0.1}\n",
		SERVICE "  affinity: {timeout: 1s, prefix4: 0, prefix6: 0}\n  rows: 655373\n",
		SERVICE "  affinity: {timeout: 1440m, prefix4: 32, prefix6: 128}\n",
		SERVICE "  scheduler: bounded\n  bound: 1.05\n  panic: 1%\n  slow-start: 0s\n",
		SERVICE "  scheduler: bounded\n  bound: 10\n  panic: 99%\n  slow-start: 1h\n  down: reset\n",
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
		/* Nothing that an answer could be of two. */
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
		INTERFACES "dpdk: {workers: 255, memory: 1048576, rx-ring: 64, tx-ring: 32768}\n",
		INTERFACES "limits: {flows: 200000000, sessions: 200000000, services: 65534, backends: 65534}\n",
		SERVICES "- {name: "
			 "123456789.123456789-123456789_123456789.123456789.123456789.ABC, address: 192.0.2.1, "
			 "port: 65535, mode: l2}\n",
	};
	(void)state;

	for (size_t i = 0; i < COUNT(texts); i++)
		berth_config_free(parsed(texts[i]));
}

static void an_error_is_one_printable_line_however_long_the_name_is(void **state)
{
	char error[BERTH_ERROR_BYTES];
	char name[1000];
	const char *text = "engine: \"\\e[2J\\n\\u00e9\\u9f8d\"\n" INTERFACES;
	(void)state;

	snprintf(name, sizeof(name), "%0988d/berth.yaml", 0);
	assert_null(berth_config_parse(name, text, strlen(text), error));
	assert_non_null(strstr(error, "/berth.yaml:1:9: engine cannot be \"?[2J?"));
	assert_string_equal(error + strlen(error) - strlen("; write auto, xdp, dpdk or null"),
			    "; write auto, xdp, dpdk or null");
	for (const char *c = error; *c; c++)
		assert_in_range(*c, ' ', '~');
}

/* `head`, `n` times `item`, `tail`. */
static char *repeated(const char *head, const char *item, size_t n, const char *tail)
{
	char *text = malloc(strlen(head) + n * strlen(item) + strlen(tail) + 1);
	char *end = stpcpy(text, head);

	for (size_t i = 0; i < n; i++)
		end = stpcpy(end, item);
	stpcpy(end, tail);
	return text;
}

static void more_than_8_mib_are_not_read(void **state)
{
	const size_t most = 8 << 20;
	char *text = repeated(INTERFACES "#", "x", most - strlen(INTERFACES "#"), "x");
	(void)state;

	assert_string_equal(refusal(text, most), "");
	assert_string_equal(refusal(text, most + 1), "f:1:1: the file is larger than 8 MiB; make it smaller");
	free(text);
}

static void more_than_a_million_values_are_not_kept(void **state)
{
	char *text = repeated("[", "a,", 1 << 20, "]");
	(void)state;

	assert_string_equal(refusal(text, strlen(text)),
			    "f:1:2097152: more than 1048576 keys and values; make the file smaller");
	free(text);
}

static void a_zero_byte_is_refused(void **state)
{
	static const char text[] = "engine: x\0dp\n";
	(void)state;
	assert_string_equal(refusal(text, sizeof(text) - 1),
			    "f:1:10: control characters are not allowed; remove this one");
}

static void a_file_that_cannot_be_read_is_an_error_like_the_others(void **state)
{
	char error[BERTH_ERROR_BYTES];
	(void)state;

	assert_null(berth_config_load("/nonexistent/berth.yaml", error));
	assert_string_equal(error, "/nonexistent/berth.yaml:1:1: cannot be read (No such file or directory); check "
				   "the path and who may read it");
	assert_null(berth_config_load("/", error));
	assert_string_equal(error, "/:1:1: cannot be read (Is a directory); check the path and who may read it");
	assert_null(berth_config_load("/dev/zero", error));
	assert_string_equal(error, "/dev/zero:1:1: the file is larger than 8 MiB; make it smaller");
}

static void a_file_is_read_like_its_text(void **state)
{
	char path[] = "/tmp/test_config.XXXXXX";
	char error[BERTH_ERROR_BYTES];
	int fd = mkstemp(path);
	(void)state;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, everything, strlen(everything)), strlen(everything));
	struct berth_config *config = berth_config_load(path, error);
	close(fd);
	unlink(path);
	assert_non_null(config);
	assert_int_equal(config->n_services, 2);
	berth_config_free(config);
}

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

/* The reference document: as built, this file's path leads to it from the place where the compiler ran. */
static char *document(void)
{
	static const char here[] = "tests/unit/test_config.c";
	char path[1024];

	snprintf(path, sizeof(path), "%.*scontrolplane/configuration.md", (int)(strlen(__FILE__) - strlen(here)),
		 __FILE__);
	FILE *file = fopen(path, "r");
	if (!file)
		fail_msg("%s: not there; run this test where it was built", path);
	char *text = calloc(1, 1 << 16);
	assert_true(fread(text, 1, (1 << 16) - 1, file) > 0);
	fclose(file);
	return text;
}

/* The next YAML block of a document, which is cut at its end; NULL: there is no other. */
static char *next_block(char **at)
{
	static const char fence[] = "```yaml\n";
	char *block = strstr(*at, fence);

	if (!block)
		return NULL;
	block += strlen(fence);
	char *end = strstr(block, "```\n");
	assert_non_null(end);
	*end = 0;
	*at = end + 1;
	return block;
}

static void assert_same_service(const struct berth_service_config *a, const struct berth_service_config *b)
{
	assert_int_equal(a->protocol, b->protocol);
	assert_int_equal(a->affinity, b->affinity);
	assert_int_equal(a->prefix4, b->prefix4);
	assert_int_equal(a->prefix6, b->prefix6);
	assert_int_equal(a->scheduler, b->scheduler);
	assert_int_equal(a->bound, b->bound);
	assert_int_equal(a->overload, b->overload);
	assert_int_equal(a->failback, b->failback);
	assert_int_equal(a->down, b->down);
	assert_int_equal(a->slow_start_ms, b->slow_start_ms);
	assert_int_equal(a->panic, b->panic);
	assert_int_equal(a->rows, b->rows);
	assert_memory_equal(a->timeout, b->timeout, sizeof(a->timeout));
	assert_int_equal(a->health.type, b->health.type);
	assert_int_equal(a->health.interval_ms, b->health.interval_ms);
	assert_int_equal(a->health.timeout_ms, b->health.timeout_ms);
	assert_int_equal(a->health.rise, b->health.rise);
	assert_int_equal(a->health.fall, b->health.fall);
	assert_int_equal(a->backends[0].weight, b->backends[0].weight);
}

static void the_document_tells_the_truth_about_defaults(void **state)
{
	char *text = document();
	char *at = strstr(text, "## Every key with its default");
	(void)state;

	assert_non_null(at);
	struct berth_config *none = parsed(next_block(&at));
	struct berth_config *all = parsed(next_block(&at));
	assert_int_equal(none->engine, all->engine);
	assert_memory_equal(&none->interfaces[0], &all->interfaces[0], sizeof(all->interfaces[0]));
	assert_memory_equal(&none->dpdk, &all->dpdk, sizeof(all->dpdk));
	assert_memory_equal(&none->limits, &all->limits, sizeof(all->limits));
	assert_memory_equal(&none->tunnel, &all->tunnel, sizeof(all->tunnel));
	assert_same_service(&none->services[0], &all->services[0]);
	assert_int_equal(none->services[0].health.port, 0);
	assert_int_equal(all->services[0].health.port, all->services[0].port);
	berth_config_free(none);
	berth_config_free(all);
	free(text);
}

static void the_documents_examples_are_right(void **state)
{
	char *text = document();
	char *at = text;
	size_t n = 0;
	(void)state;

	for (char *block = next_block(&at); block; block = next_block(&at), n++)
		berth_config_free(parsed(block));
	assert_int_equal(n, 6);
	free(text);
}

/* What refuses an unknown key lists those that there are. */
static void the_document_knows_every_key(void **state)
{
	static const char *const texts[] = {
		"zzzzz: 1\n" INTERFACES,
		INTERFACES "  zzzzz: 1\n",
		INTERFACES "dpdk: {zzzzz: 1}\n",
		INTERFACES "limits: {zzzzz: 1}\n",
		INTERFACES "timeouts: {zzzzz: 1}\n",
		INTERFACES "tunnel: {zzzzz: 1}\n",
		SERVICE "  zzzzz: 1\n",
		SERVICE "  affinity: {zzzzz: 1}\n",
		SERVICE "  health: {zzzzz: 1}\n",
		SERVICE "  backends: [{zzzzz: 1}]\n",
	};
	static const char list[] = "the keys here are: ";
	char *text = document();
	char row[64];
	(void)state;

	for (size_t i = 0; i < COUNT(texts); i++) {
		char *keys = strstr(refusal(texts[i], strlen(texts[i])), list);
		assert_non_null(keys);
		char *save;
		for (char *key = strtok_r(keys + strlen(list), ", ", &save); key;
		     key = strtok_r(NULL, ", ", &save)) {
			snprintf(row, sizeof(row), "\n| `%s` | ", key);
			if (!strstr(text, row))
				fail_msg("configuration.md does not explain %s", key);
		}
	}
	free(text);
}

/* xorshift64: the same texts in every run. */
static uint64_t seed;

static size_t below(size_t bound)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (size_t)(seed % bound);
}

static const char *const splinters[] = {
	"\n",  "  ",	"\t",	 ": ",	      "- ",	   "{",	       "}",	   "[",	      "]",
	",",   "\"",	"'",	 "#",	      "&a ",	   "*a",       "!!x ",	   "<<: ",    "? ",
	"|\n", "---\n", "...\n", "%",	      "\\x",	   "~",	       "0",	   "-1",      "65536",
	"1h",  "null",	"::1",	 "\xff",      "\xc3\xa9",  "\xe2\x80", "name: b1", "rows: 7", "\0",
	"/28", "-8099", "any",	 "port: 1-9", "mode: nat",
};

/* Changes up to four places of a text of `length` bytes in a buffer with room for twice that; returns the new
 * length. */
static size_t mutate(char *text, size_t length, size_t room)
{
	for (size_t n = 1 + below(4); n > 0 && length > 8; n--) {
		size_t at = below(length - 8);
		size_t size = 1 + below(8);
		const char *splinter = splinters[below(COUNT(splinters))];
		switch (below(4)) {
		case 0:
			text[at] = (char)below(256);
			continue;
		case 1:
			memmove(text + at, text + at + size, length - at - size);
			length -= size;
			continue;
		case 2:
			size = below(length - at);
			splinter = text + below(length - size);
			break;
		default:
			size = *splinter ? strlen(splinter) : 1;
		}
		if (length + size > room)
			continue;
		char copy[sizeof(everything)];
		size = size < sizeof(copy) ? size : sizeof(copy);
		memcpy(copy, splinter, size);
		memmove(text + at + size, text + at, length - at);
		memcpy(text + at, copy, size);
		length += size;
	}
	return length;
}

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void a_damaged_file_is_a_configuration_or_an_error(void **state)
{
	enum {
		ROUNDS = 40000
	};
	static char text[2 * sizeof(everything)];
	size_t accepted = 0;
	size_t refused = 0;
	(void)state;

	seed = 20231117;
	for (double end = seconds() + 2; accepted + refused < ROUNDS && seconds() < end;) {
		memcpy(text, everything, sizeof(everything));
		size_t length = mutate(text, sizeof(everything) - 1, sizeof(text));
		/* In a block of its own size, so that a read past its end is seen. */
		char *block = malloc(length + !length);
		memcpy(block, text, length);
		const char *error = refusal(block, length);
		free(block);
		if (*error && (strncmp(error, "f:", 2) != 0 || strchr(error, '\n') || !strstr(error, "; ")))
			fail_msg("not a line with place and mend: %s", error);
		accepted += !*error;
		refused += !!*error;
	}
	print_message("           %zu accepted, %zu refused\n", accepted, refused);
	assert_true(accepted > 0 && refused > 0);
}

/* jansson's memory: the allocation that this counts down to fails. */
static long allocations_left;

static void *scarce_malloc(size_t size)
{
	return allocations_left-- > 0 ? malloc(size) : NULL;
}

static void without_memory_there_is_an_error_and_nothing_is_lost(void **state)
{
	char error[BERTH_ERROR_BYTES];
	struct berth_config *config = NULL;
	long n = 0;
	(void)state;

	json_set_alloc_funcs(scarce_malloc, free);
	while (!config && n < 10000) {
		allocations_left = n++;
		config = berth_config_parse("f", everything, strlen(everything), error);
		if (!config)
			assert_non_null(strstr(error, "f:1:1: not enough memory"));
	}
	json_set_alloc_funcs(malloc, free);
	assert_non_null(config);
	assert_true(n > 100);
	berth_config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_outer_key_is_read),
		cmocka_unit_test(every_key_of_a_service_is_read),
		cmocka_unit_test(a_service_takes_what_it_does_not_say_from_the_top_even_from_below),
		cmocka_unit_test(the_bound_is_1_25_where_there_is_one),
		cmocka_unit_test(a_group_has_at_most_16_services),
		cmocka_unit_test(prefixes_ports_and_modes_are_read),
		cmocka_unit_test(the_port_that_is_probed_is_the_one_the_server_listens_on),
		cmocka_unit_test(bounds_themselves_and_other_spellings_are_accepted),
		cmocka_unit_test(text_that_is_not_strict_yaml_is_refused_where_it_is_wrong),
		cmocka_unit_test(what_does_not_fit_is_refused_with_place_and_mend),
		cmocka_unit_test(an_error_is_one_printable_line_however_long_the_name_is),
		cmocka_unit_test(more_than_8_mib_are_not_read),
		cmocka_unit_test(more_than_a_million_values_are_not_kept),
		cmocka_unit_test(a_zero_byte_is_refused),
		cmocka_unit_test(a_file_that_cannot_be_read_is_an_error_like_the_others),
		cmocka_unit_test(a_file_is_read_like_its_text),
		cmocka_unit_test(addresses_are_read_and_written),
		cmocka_unit_test(prefixes_are_read_and_written),
		cmocka_unit_test(an_address_becomes_a_socket_address_of_its_family),
		cmocka_unit_test(the_documents_examples_are_right),
		cmocka_unit_test(the_document_tells_the_truth_about_defaults),
		cmocka_unit_test(the_document_knows_every_key),
		cmocka_unit_test(a_damaged_file_is_a_configuration_or_an_error),
		cmocka_unit_test(without_memory_there_is_an_error_and_nothing_is_lost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
