// SPDX-License-Identifier: BSD-3-Clause
/* Nodes have the same digest if they select the same backends, whatever else their configurations have. */
#include "tests/support/unit.h"

#include <string.h>

#include "controlplane/cluster/digest.h"
#include "controlplane/config/parse.h"

#define TOP "interfaces: [{name: eth0}]\nsecret-file: /etc/berth/secret\ncluster: {name: shop, node: n1}\n"
#define WEB(more, backends)                                                                                        \
	"- {name: web, address: 203.0.113.10, port: 80, mode: l2" more ", backends: [" backends "]}\n"
#define A "{name: a, address: 192.0.2.1}"
#define B "{name: b, address: 192.0.2.2, weight: 50}"
#define DNS "- {name: dns, address: 203.0.113.10, protocol: udp, port: 53, mode: l2, backends: [" A "]}\n"
/* The same with the rows that releases give it which have no automatic ones. */
#define WITH_ROWS                                                                                                  \
	TOP "services:\n" WEB(", table-size: 65537",                                                               \
			      A "," B) "- {name: dns, address: 203.0.113.10, protocol: udp, port: 53, "            \
				       "mode: l2, table-size: 65537, backends: [" A "]}\n"
#define BASE TOP "services:\n" WEB("", A "," B) DNS

static uint64_t digest_of(const char *text)
{
	char error[BERTH_ERROR_BYTES];
	struct berth_config *config = berth_config_parse("f", text, strlen(text), error);
	if (!config)
		fail_msg("%s: %s", text, error);
	uint64_t digest = berth_cluster_config_digest(config);
	berth_config_free(config);
	return digest;
}

static void what_concerns_one_node_alone_is_not_in_the_digest(void **state)
{
	static const char *const same[] = {
		/* Another order, and defaults that are written. */
		TOP "services:\n" DNS WEB("", B "," A),
		TOP "timeouts: {established: 8100s}\nservices:\n" WEB(
			", scheduler: maglev, protocol: tcp", "{name: a, weight: 100, address: 192.0.2.1}," B) DNS,
		/* Engine, interfaces, sizes, and what only one node does. */
		"engine: 'null'\ninterfaces: [{name: eth7}, {name: eth8}]\nsecret-file: /root/key\n"
		"cluster: {name: shop, node: n2}\nlimits: {flows: 2048, sessions: 4096, services: 9, backends: "
		"99}\n"
		"dpdk: {workers: 3}\nmetrics: {listen: 127.0.0.1:9}\ntunnel: {source4: 198.18.0.0/24}\n"
		"sessions: {save: 1m}\nstate-dir: /tmp\nservices:\n" WEB("", A "," B) DNS,
		TOP "services:\n" WEB(", new-flows: {limit: 100}", A "," B) DNS,
		/* The packets that a backend gets inside are those of mode l2. */
		TOP "services:\n- {name: web, address: 203.0.113.10, port: 80, mode: gue, backends: [" A "," B
		    "]}\n" DNS,
	};
	(void)state;
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		if (digest_of(same[i]) != digest_of(BASE))
			fail_msg("another digest: %s", same[i]);
}

static void what_decides_a_backend_is_in_the_digest(void **state)
{
	static const char *const other[] = {
		BASE,
		"interfaces: [{name: eth0}]\nsecret-file: /etc/berth/secret\ncluster: {name: "
		"shop2}\nservices:\n" WEB("", A "," B) DNS,
		TOP "services:\n" WEB("", A "," B),
		TOP "services:\n" WEB("", A) DNS,
		TOP "services:\n" WEB("", A ",{name: b, address: 192.0.2.2, weight: 51}") DNS,
		TOP "services:\n" WEB("", A ",{name: b, address: 192.0.2.3, weight: 50}") DNS,
		TOP "services:\n" WEB("", A ",{name: c, address: 192.0.2.2, weight: 50}") DNS,
		TOP "services:\n" WEB("", A ",{name: b, address: 192.0.2.2, weight: 50, max-flows: 9}") DNS,
		TOP "services:\n" WEB(", affinity: {by: client}",
				      A ",{name: b, address: 192.0.2.2, weight: 50, backup: a}") DNS,
		TOP "services:\n" WEB("", A "," B ",{name: c, dns: a.example.com}") DNS,
		TOP "services:\n" WEB("", A "," B ",{name: c, dns: b.example.com}") DNS,
		TOP "services:\n" WEB(", table-size: 251", A "," B) DNS,
		TOP "services:\n" WEB(", scheduler: round-robin", A "," B) DNS,
		TOP "services:\n" WEB(", scheduler: bounded", A "," B) DNS,
		TOP "services:\n" WEB(", scheduler: bounded, bound: 1.5", A "," B) DNS,
		TOP "services:\n" WEB(", scheduler: response-time", A "," B) DNS,
		TOP "services:\n" WEB(", scheduler: response-time, health: {half-life: 9s}", A "," B) DNS,
		TOP "services:\n" WEB(", health: {agent: {port: 7}}", A "," B) DNS,
		TOP "services:\n" WEB(", health: {agent: {port: 8}}", A "," B) DNS,
		TOP "services:\n" WEB(", slow-start: 9s", A "," B) DNS,
		TOP "services:\n" WEB(", panic-threshold: 9%", A "," B) DNS,
		TOP "services:\n" WEB(", overload: spill", A "," B) DNS,
		TOP "services:\n" WEB(", failback: return", A "," B) DNS,
		TOP "services:\n" WEB(", on-down: reset", A "," B) DNS,
		TOP "services:\n" WEB(", health: {type: none}", A "," B) DNS,
		TOP "services:\n" WEB(", timeouts: {established: 60s}", A "," B) DNS,
		TOP "services:\n" WEB(", affinity: {by: client}", A "," B) DNS,
		TOP "services:\n" WEB(", affinity: {by: client, prefix4: 24}", A "," B) DNS,
		TOP "services:\n" WEB(", affinity: {by: client, prefix6: 56}", A "," B) DNS,
		TOP "services:\n" WEB(", affinity: {by: client, group: g}", A "," B) DNS,
		TOP "services:\n- {name: web, address: 203.0.113.10, port: 80, mode: nat, backends: [" A "," B
		    "]}\n" DNS,
		TOP "services:\n- {name: web, address: 203.0.113.10, port: 81, mode: l2, backends: [" A "," B
		    "]}\n" DNS,
		TOP "services:\n- {name: www, address: 203.0.113.10, port: 80, mode: l2, backends: [" A "," B
		    "]}\n" DNS,
		TOP
		"services:\n- {name: web, address: 203.0.113.10, port: 80, protocol: udp, mode: l2, backends: [" A
		"," B "]}\n" DNS,
	};
	const size_t n = sizeof(other) / sizeof(other[0]);
	(void)state;
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < i; j++)
			if (digest_of(other[i]) == digest_of(other[j]))
				fail_msg("the same digest:\n%s\n%s", other[i], other[j]);
}

/* By another implementation: python3 -c 'import hmac; print(hmac.new(bytes(range(192)), b"berth: proof of the
 * secret of a cluster\0", "sha256").hexdigest())'. Nodes of two releases compare their proofs. */
static void the_proof_of_a_secret_is_the_same_in_every_release(void **state)
{
	uint8_t secret[BERTH_SECRET_BYTES];
	char text[BERTH_SECRET_PROOF_TEXT];
	struct berth_cluster_node node;
	(void)state;
	for (size_t i = 0; i < sizeof(secret); i++)
		secret[i] = (uint8_t)i;
	berth_cluster_secret_proof(secret, node.secret_proof);
	assert_string_equal(berth_cluster_format_secret_proof(&node, text), "e0f41a9dce73b1bbc893081359e09641");
	secret[191] ^= 1;
	berth_cluster_secret_proof(secret, node.secret_proof);
	assert_string_not_equal(berth_cluster_format_secret_proof(&node, text), "e0f41a9dce73b1bbc893081359e09641");
}

/* Another digest for the same configuration is a change of DIGEST_VERSION. */
static void the_digest_of_a_configuration_is_the_same_in_every_release(void **state)
{
	(void)state;
	assert_int_equal(digest_of(WITH_ROWS), UINT64_C(0x25c206000d348725));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_concerns_one_node_alone_is_not_in_the_digest),
		cmocka_unit_test(what_decides_a_backend_is_in_the_digest),
		cmocka_unit_test(the_proof_of_a_secret_is_the_same_in_every_release),
		cmocka_unit_test(the_digest_of_a_configuration_is_the_same_in_every_release),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
