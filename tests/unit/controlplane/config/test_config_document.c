// SPDX-License-Identifier: BSD-3-Clause
/* docs/configuration.md agrees with the code. */
#include "tests/unit/controlplane/config/config.h"

#include "tests/support/document.h"

#define DOCUMENT "configuration.md"

/* The next YAML block of a document, which is cut at the block's end; NULL: no more. */
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
	assert_int_equal(a->bound_percent, b->bound_percent);
	assert_int_equal(a->overload, b->overload);
	assert_int_equal(a->failback, b->failback);
	assert_int_equal(a->on_down, b->on_down);
	assert_int_equal(a->slow_start_ms, b->slow_start_ms);
	assert_int_equal(a->second_hop_s, b->second_hop_s);
	assert_int_equal(a->panic_percent, b->panic_percent);
	assert_memory_equal(&a->new_flows, &b->new_flows, sizeof(a->new_flows));
	assert_int_equal(a->table_size, b->table_size);
	assert_memory_equal(a->timeout, b->timeout, sizeof(a->timeout));
	assert_int_equal(a->health->type, b->health->type);
	assert_int_equal(a->health->interval_ms, b->health->interval_ms);
	assert_int_equal(a->health->timeout_ms, b->health->timeout_ms);
	assert_int_equal(a->health->rise, b->health->rise);
	assert_int_equal(a->health->fall, b->health->fall);
	assert_int_equal(a->health->stale_ms, b->health->stale_ms);
	assert_int_equal(a->backends[0].weight, b->backends[0].weight);
}

static void the_document_has_the_true_defaults(void **state)
{
	char *text = document(DOCUMENT);
	char *section = document_section(text, "Every key with its default");
	char *at = section;
	(void)state;

	assert_non_null(at);
	struct berth_config *none = parsed(next_block(&at));
	struct berth_config *all = parsed(next_block(&at));
	assert_int_equal(none->engine, all->engine);
	assert_memory_equal(&none->interfaces[0], &all->interfaces[0], sizeof(all->interfaces[0]));
	assert_memory_equal(&none->dpdk, &all->dpdk, sizeof(all->dpdk));
	assert_memory_equal(&none->limits, &all->limits, sizeof(all->limits));
	assert_memory_equal(&none->tunnel, &all->tunnel, sizeof(all->tunnel));
	assert_int_equal(none->dns.n_servers, all->dns.n_servers);
	assert_int_equal(none->dns.timeout_ms, all->dns.timeout_ms);
	assert_int_equal(none->dns.min_ttl_s, all->dns.min_ttl_s);
	assert_int_equal(none->dns.max_ttl_s, all->dns.max_ttl_s);
	assert_int_equal(none->metrics.port, all->metrics.port);
	assert_memory_equal(&none->announce, &all->announce, sizeof(all->announce));
	assert_same_service(&none->services[0], &all->services[0]);
	assert_int_equal(none->services[0].health->port, 0);
	assert_int_equal(all->services[0].health->port, all->services[0].port);
	berth_config_free(none);
	berth_config_free(all);
	free(section);
	free(text);
}

static void the_examples_are_valid(void **state)
{
	char *text = document(DOCUMENT);
	char *at = text;
	size_t n = 0;
	(void)state;

	for (char *block = next_block(&at); block; block = next_block(&at), n++)
		berth_config_free(parsed(block));
	assert_int_equal(n, 9);
	free(text);
}

/* The error for an unknown key lists all keys of the section. */
static void the_document_explains_every_key(void **state)
{
	static const char *const texts[] = {
		"zzzzz: 1\n" INTERFACES,
		INTERFACES "  zzzzz: 1\n",
		INTERFACES "dpdk: {zzzzz: 1}\n",
		INTERFACES "limits: {zzzzz: 1}\n",
		INTERFACES "timeouts: {zzzzz: 1}\n",
		INTERFACES "tunnel: {zzzzz: 1}\n",
		INTERFACES "dns: {zzzzz: 1}\n",
		INTERFACES "metrics: {zzzzz: 1}\n",
		INTERFACES "announce: {zzzzz: 1}\n",
		INTERFACES "cluster: {zzzzz: 1}\n",
		INTERFACES "cluster: {name: a, store: {zzzzz: 1}}\n",
		INTERFACES "cluster: {name: a, store: {redis: [1.1.1.1:1], tls: {zzzzz: 1}}}\n",
		SERVICE "  zzzzz: 1\n",
		SERVICE "  affinity: {zzzzz: 1}\n",
		SERVICE "  new-flows: {zzzzz: 1}\n",
		SERVICE "  health: {zzzzz: 1}\n",
		SERVICE "  backends: [{zzzzz: 1}]\n",
	};
	static const char list[] = "the keys here are: ";
	char *text = document(DOCUMENT);
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

/* The list of modes is the source: dataplane/core/mode.h. */
static void the_document_lists_every_mode_with_its_overhead(void **state)
{
	char *text = document(DOCUMENT);
	char row[64];
	(void)state;

	for (enum berth_mode mode = 0; mode < BERTH_MODE_COUNT; mode++) {
		snprintf(row, sizeof(row), "\n| `%s` | %u | %u | %s", berth_mode_name(mode),
			 berth_mode_overhead(mode, true), berth_mode_overhead(mode, false),
			 berth_mode_crosses_families(mode) ? "either" : "the service's");
		if (!strstr(text, row))
			fail_msg("configuration.md has no row%s", row);
		snprintf(row, sizeof(row), "\n- `%s` ", berth_mode_name(mode));
		if (!strstr(text, row))
			fail_msg("configuration.md does not explain mode %s", berth_mode_name(mode));
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_examples_are_valid),
		cmocka_unit_test(the_document_has_the_true_defaults),
		cmocka_unit_test(the_document_explains_every_key),
		cmocka_unit_test(the_document_lists_every_mode_with_its_overhead),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
