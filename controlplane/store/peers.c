// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/store/peers.h"

#include <inttypes.h>
#include <string.h>

#include "controlplane/util/log.h"

static void insert(struct berth_peers *nodes, size_t at, const struct berth_presence *presence, uint64_t now_ms)
{
	memmove(&nodes->all[at + 1], &nodes->all[at], (nodes->n - at) * sizeof(nodes->all[0]));
	/* Lost until it is compared: so a new one is logged as one that returns. */
	nodes->all[at] = (struct berth_peer){.presence = *presence, .seen_ms = now_ms, .is_lost = true};
	nodes->n++;
}

bool berth_peers_take(struct berth_peers *nodes, const struct berth_presence *presence, uint64_t now_ms)
{
	size_t at = 0;
	while (at < nodes->n && strcmp(nodes->all[at].presence.node, presence->node) < 0)
		at++;
	struct berth_peer *node = &nodes->all[at];
	if (at == nodes->n || strcmp(node->presence.node, presence->node) != 0) {
		if (nodes->n == BERTH_HELPER_STORE_NODES)
			return false;
		insert(nodes, at, presence, now_ms);
		return true;
	}
	/* A value without a new beat may be one that the store still has of a node that has ended. */
	if (node->presence.epoch != presence->epoch || node->presence.beat != presence->beat)
		node->seen_ms = now_ms;
	node->presence = *presence;
	return true;
}

static void compare_life(struct berth_peer *node, const char *cluster, uint64_t now_ms)
{
	const uint64_t age_ms = now_ms - node->seen_ms;
	const bool is_lost = age_ms >= BERTH_PEER_LOST_MS;
	if (is_lost == node->is_lost)
		return;
	node->is_lost = is_lost;
	if (is_lost)
		berth_log("cluster %s: node %s was last seen %" PRIu64 " s ago", cluster, node->presence.node,
			  age_ms / 1000);
	else
		berth_log("cluster %s: node %s is here", cluster, node->presence.node);
}

static void compare_digest(const struct berth_peer *node, const char *cluster, const char *what, bool is_other,
			   bool *was_other)
{
	if (is_other == *was_other)
		return;
	*was_other = is_other;
	if (is_other)
		berth_log(
			"ALARM: cluster %s: node %s has another %s: it selects other backends for the same clients",
			cluster, node->presence.node, what);
	else
		berth_log("alarm over: cluster %s: node %s has the same %s", cluster, node->presence.node, what);
}

static void forget(struct berth_peers *nodes, uint64_t now_ms)
{
	size_t kept = 0;
	for (size_t i = 0; i < nodes->n; i++)
		if (now_ms - nodes->all[i].seen_ms < BERTH_PEER_FORGET_MS)
			nodes->all[kept++] = nodes->all[i];
	nodes->n = kept;
}

void berth_peers_compare(struct berth_peers *nodes, const char *cluster, const struct berth_presence *own,
			 uint64_t now_ms)
{
	for (size_t i = 0; i < nodes->n; i++) {
		struct berth_peer *node = &nodes->all[i];
		const struct berth_presence *presence = &node->presence;
		compare_life(node, cluster, now_ms);
		if (node->is_lost)
			continue;
		compare_digest(node, cluster, "configuration",
			       strcmp(presence->config_digest, own->config_digest) != 0, &node->has_other_config);
		compare_digest(node, cluster, "secret", strcmp(presence->secret_digest, own->secret_digest) != 0,
			       &node->has_other_secret);
	}
	forget(nodes, now_ms);
}
