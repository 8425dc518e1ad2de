// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/cluster/digest.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "controlplane/model/model.h"

/* Another value when the meaning of the digest changes, so that releases which compare different things differ. */
#define DIGEST_VERSION 1

static uint64_t hash_text(const char *text, uint64_t seed)
{
	return XXH64(text, strlen(text), seed);
}

/* Zeros before the numbers: a hash of all its bytes. `address`: zeros if DNS decides it. */
struct backend_facts {
	union berth_addr address;
	uint64_t name;
	uint64_t dns;
	uint64_t backup;
	uint32_t weight;
	uint32_t port;
	uint32_t max_flows;
	uint32_t zero;
};
BERTH_ASSERT_SIZE(struct backend_facts, 56);

static uint64_t digest_backend(const struct berth_backend_config *backend, const char *dns)
{
	const struct backend_facts facts = {
		.address = backend->address,
		.name = hash_text(backend->name, 0),
		.dns = hash_text(dns, 1),
		.backup = hash_text(backend->backup, 2),
		.weight = backend->weight,
		.port = backend->port,
		.max_flows = backend->max_flows,
	};
	return XXH64(&facts, sizeof(facts), DIGEST_VERSION);
}

/* A sum, so that the order does not matter. */
static uint64_t digest_backends(const struct berth_service_config *service)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < service->n_configured; i++)
		sum += digest_backend(&service->backends[i], "");
	for (size_t i = 0; i < service->n_sources; i++)
		sum += digest_backend(&service->sources[i].template, service->sources[i].dns);
	return sum;
}

/* Health without the ids of an account, which differ between hosts. Without a half-life and an agent it is that of
 * releases which had none. */
static uint64_t digest_health(const struct berth_health_config *health)
{
	const uint32_t agent[] = {health->agent_port, health->agent_interval_ms, health->agent_timeout_ms};
	const uint64_t seed = health->half_life_ms + (health->agent_port ? XXH64(agent, sizeof(agent), 0) : 0);
	return XXH64(health, offsetof(struct berth_health_config, account), seed);
}

struct service_facts {
	uint64_t id; /* of its addresses, protocol and ports */
	uint64_t name;
	uint64_t group;
	uint64_t backends;
	uint64_t health;
	uint32_t affinity;
	uint32_t prefix4;
	uint32_t prefix6;
	uint32_t scheduler;
	uint32_t bound_percent;
	uint32_t overload;
	uint32_t failback;
	uint32_t on_down;
	uint32_t slow_start_ms;
	uint32_t panic_percent;
	uint32_t table_size;
	uint32_t returns; /* a flow cannot go from a backend behind mode nat to one behind another mode */
	uint32_t timeout[BERTH_TIMEOUT_COUNT];
};
BERTH_ASSERT_SIZE(struct service_facts, 5 * 8 + (12 + BERTH_TIMEOUT_COUNT) * 4);

static uint64_t digest_service(const struct berth_service_config *service)
{
	struct service_facts facts = {
		.id = berth_service_id(service),
		.name = hash_text(service->name, 0),
		.group = hash_text(service->group, 1),
		.backends = digest_backends(service),
		.health = digest_health(service->health),
		.affinity = service->affinity,
		.prefix4 = service->prefix4,
		.prefix6 = service->prefix6,
		.scheduler = service->scheduler,
		.bound_percent = service->bound_percent,
		.overload = service->overload,
		.failback = service->failback,
		.on_down = service->on_down,
		.slow_start_ms = service->slow_start_ms,
		.panic_percent = service->panic_percent,
		.table_size = service->table_size,
		.returns = berth_mode_returns(service->mode),
	};
	memcpy(facts.timeout, service->timeout, sizeof(facts.timeout));
	return XXH64(&facts, sizeof(facts), DIGEST_VERSION);
}

uint64_t berth_cluster_config_digest(const struct berth_config *config)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < config->n_services; i++)
		sum += digest_service(&config->services[i]);
	return XXH64(&sum, sizeof(sum), hash_text(config->cluster.name, DIGEST_VERSION));
}

void berth_cluster_secret_proof(const uint8_t secret[BERTH_SECRET_BYTES], uint8_t proof[BERTH_SECRET_PROOF_BYTES])
{
	static const unsigned char context[] = "berth: proof of the secret of a cluster";
	unsigned char whole[EVP_MAX_MD_SIZE] = {0};
	/* Without memory for it the proof is zeros, and differs from that of every other node. */
	HMAC(EVP_sha256(), secret, BERTH_SECRET_BYTES, context, sizeof(context), whole, NULL);
	memcpy(proof, whole, BERTH_SECRET_PROOF_BYTES);
}

void berth_cluster_node_of(const struct berth_config *config, const uint8_t secret[BERTH_SECRET_BYTES],
			   struct berth_cluster_node *node)
{
	*node = (struct berth_cluster_node){.config_digest = berth_cluster_config_digest(config)};
	memcpy(node->name, config->cluster.node, sizeof(node->name));
	berth_cluster_secret_proof(secret, node->secret_proof);
}

const char *berth_cluster_format_config_digest(const struct berth_cluster_node *node,
					       char text[BERTH_CONFIG_DIGEST_TEXT])
{
	snprintf(text, BERTH_CONFIG_DIGEST_TEXT, "%016" PRIx64, node->config_digest);
	return text;
}

const char *berth_cluster_format_secret_proof(const struct berth_cluster_node *node,
					      char text[BERTH_SECRET_PROOF_TEXT])
{
	for (int i = 0; i < BERTH_SECRET_PROOF_BYTES; i++)
		snprintf(text + 2 * i, 3, "%02x", node->secret_proof[i]);
	return text;
}
