/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What tells whether nodes agree: digests of the configuration and of the secret. Nodes with the same digests
 * select the same backends (docs/cluster.md). Pure: the same on every node, whatever its engine, numbers and
 * tables.
 */
#pragma once

#include <stdint.h>

#include "controlplane/config/config.h"
#include "dataplane/core/limits.h"

enum {
	BERTH_SECRET_PROOF_BYTES = 16,
	BERTH_CONFIG_DIGEST_TEXT = 2 * 8 + 1,
	BERTH_SECRET_PROOF_TEXT = 2 * BERTH_SECRET_PROOF_BYTES + 1,
};

/* A node, as it shows itself to others. */
struct berth_cluster_node {
	char name[BERTH_NAME_BYTES]; /* "": it is in no cluster */
	uint64_t config_digest;
	uint8_t secret_proof[BERTH_SECRET_PROOF_BYTES];
};

/*
 * Of all that decides which backend a flow or client has: services and their backends, without what concerns one
 * node alone (engine, interfaces, limits, outer headers, limits of new flows). By meaning: neither the order of
 * lines nor the place of a default matters. Of a DNS name it has the name, not the answers.
 */
uint64_t berth_cluster_config_digest(const struct berth_config *config);

/* The same for the same secret. It says nothing else of it: HMAC-SHA256, so that only the whole secret can be
 * tried. */
void berth_cluster_secret_proof(const uint8_t secret[BERTH_SECRET_BYTES], uint8_t proof[BERTH_SECRET_PROOF_BYTES]);

/* This node. */
void berth_cluster_node_of(const struct berth_config *config, const uint8_t secret[BERTH_SECRET_BYTES],
			   struct berth_cluster_node *node);

/* As hexadecimal digits. Return `text`. */
const char *berth_cluster_format_config_digest(const struct berth_cluster_node *node,
					       char text[BERTH_CONFIG_DIGEST_TEXT]);
const char *berth_cluster_format_secret_proof(const struct berth_cluster_node *node,
					      char text[BERTH_SECRET_PROOF_TEXT]);
