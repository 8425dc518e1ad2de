/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a node tells the others of itself, as the text that the store holds: JSON, so that it can be read there.
 * Pure. What comes in may be from anyone: it is checked, member by member.
 */
#pragma once

#include "controlplane/helper/message.h"

enum {
	BERTH_PRESENCE_DIGEST_TEXT = 33, /* at most 32 hexadecimal digits */
	BERTH_PRESENCE_CONFIG_DIGITS = 16,
	BERTH_PRESENCE_SECRET_DIGITS = 32,
};

struct berth_presence {
	char node[BERTH_NAME_BYTES];
	uint64_t epoch; /* of this run of its berthd */
	uint64_t beat;	/* raised with each visit to the store */
	char config_digest[BERTH_PRESENCE_DIGEST_TEXT];
	char secret_digest[BERTH_PRESENCE_DIGEST_TEXT];
	uint32_t services;
	uint32_t backends;
};

/* Returns 0, or -ENOMEM or -EMSGSIZE. */
int berth_presence_format(const struct berth_presence *presence, char text[BERTH_HELPER_STORE_VALUE_BYTES]);
/* A value of the store under the name of `node`, which may be any text. Returns false if it cannot be from a node.
 */
bool berth_presence_parse(struct berth_presence *presence, const char *node, const char *value, size_t bytes);
