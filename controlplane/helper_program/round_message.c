// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/helper_program/round_message.h"

#include <string.h>

#include "controlplane/util/address.h"

#define IS_TEXT(member) (memchr((member), 0, sizeof(member)) != NULL)

bool berth_round_is_valid(const struct berth_helper_store_round *round)
{
	if (round->header.bytes < berth_helper_store_round_bytes(0) || round->n > BERTH_HELPER_STORE_PAGE ||
	    round->header.bytes != berth_helper_store_round_bytes(round->n))
		return false;
	return round->timeout_ms && round->count && round->n * round->count <= BERTH_ROUND_ENTRIES &&
	       round->server.port && IS_TEXT(round->username) && IS_TEXT(round->password) &&
	       IS_TEXT(round->cluster) && IS_TEXT(round->node);
}

bool berth_round_same_place(const struct berth_helper_store_round *a, const struct berth_helper_store_round *b)
{
	return berth_addr_equal(&a->server.address, &b->server.address) && a->server.port == b->server.port &&
	       strcmp(a->username, b->username) == 0 && strcmp(a->password, b->password) == 0;
}
