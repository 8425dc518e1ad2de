/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by tests of the configuration: beginnings of files, a file with every key, and helpers. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/config/parse.h"
#include "controlplane/util/address.h"

#include "tests/support/unit.h"

/* Beginnings of files; appended text is in line 3, 4, 8, 10 and 9. */
#define INTERFACES "interfaces:\n- name: eth0\n"
#define SERVICES INTERFACES "services:\n"
#define SERVICE SERVICES "- name: web\n  address: 203.0.113.10\n  port: 80\n  mode: ipip\n"
#define BACKENDS SERVICE "  backends:\n  - {name: b1, address: 192.0.2.11}\n"
#define NAT                                                                                                        \
	SERVICES "- name: nat\n  address: 203.0.113.9\n  port: 80\n  mode: nat\n"                                  \
		 "  backends: [{name: b1, address: 192.0.2.11, port: 8080}]\n"

static const char everything[] =
	"engine: dpdk\n"
	"interfaces:\n"
	"  - {name: eth0, xdp: native, device: \"0000:03:00.0\", queues: 64, mtu: 9000}\n"
	"  - {name: interface-15-by, xdp: generic, device: 0000:03:00.1}\n"
	"dpdk: {workers: 3, idle: poll, memory-mb: 512, rx-ring: 1024, tx-ring: 2048}\n"
	"limits: {flows: 2000000, sessions: 1024, services: 3, backends: 6}\n"
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
	"  on-down: reset\n"
	"  slow-start: 2500ms\n"
	"  new-flows: {limit: 5000, burst: 700, source-limit: 20, source-burst: 40, source-prefix4: 28, "
	"source-prefix6: 48}\n"
	"  panic-threshold: 60%\n"
	"  table-size: 251\n"
	"  timeouts: {half-open: 1s, established: 24h, closing: 2000ms, closed: 3s, unreplied: 4s, assured: 5m, "
	"fragment: 6s}\n"
	"  health: {type: tcp, port: 8080, interval: 50ms, timeout: 30ms, rise: 4, fall: 5, stale: 7s}\n"
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
	"timeouts: {half-open: 11s, established: 12s, closing: 13s, closed: 17s, unreplied: 14s, assured: 15s, "
	"fragment: 16s}\n"
	"tunnel: {source4: 198.18.0.0/24, source6: \"2001:db8:5::/112\"}\n"
	"metrics: {listen: \"[2001:db8::9]:65535\"}\n"
	"secret-file: /etc/berth/secret\n"
	"cluster: {name: shop, node: n_1.example, store: {redis: [\"192.0.2.60:6379\", \"[2001:db8::60]:1\"], "
	"sentinel: main, username: berth, password-file: /etc/berth/password, "
	"tls: {ca: /etc/berth/ca.pem, name: redis.example.org}}}\n";

/* The error for a text; "" if it is valid. */
__attribute__((unused)) static const char *refusal(const char *text, size_t length)
{
	static char error[BERTH_ERROR_BYTES];
	struct berth_config *config = berth_config_parse("f", text, length, error);

	if (config)
		assert_string_equal(error, "");
	berth_config_free(config);
	return error;
}

/* Parses a text that must be valid. */
__attribute__((unused)) static struct berth_config *parsed(const char *text)
{
	char error[BERTH_ERROR_BYTES];
	struct berth_config *config = berth_config_parse("f", text, strlen(text), error);

	if (!config)
		fail_msg("refused: %s", error);
	return config;
}

__attribute__((unused)) static void assert_address(const union berth_addr *address, const char *expected)
{
	char text[BERTH_ADDRESS_TEXT];
	assert_string_equal(berth_address_format(address, text), expected);
}
