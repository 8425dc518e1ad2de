// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/compile/timeouts.h"

#include <netinet/in.h>

enum {
	CLAIM_TIMEOUT = 2, /* seconds; an insert takes microseconds, so its worker is dead */
};

void berth_compile_timeouts(const struct berth_service_config *config, uint32_t out[BERTH_STATE_COUNT])
{
	const uint32_t *timeout = config->timeout;
	const bool is_tcp = config->protocol == IPPROTO_TCP;
	const uint32_t confirmed = timeout[is_tcp ? BERTH_TIMEOUT_ESTABLISHED : BERTH_TIMEOUT_ASSURED];
	out[BERTH_STATE_CLAIMED] = CLAIM_TIMEOUT;
	out[BERTH_STATE_UNCONFIRMED] = timeout[is_tcp ? BERTH_TIMEOUT_HALF_OPEN : BERTH_TIMEOUT_UNREPLIED];
	out[BERTH_STATE_CONFIRMED] = confirmed;
	out[BERTH_STATE_PROVEN] = confirmed;
	out[BERTH_STATE_CLOSING] = timeout[BERTH_TIMEOUT_CLOSING];
	out[BERTH_STATE_CLOSED] = timeout[BERTH_TIMEOUT_CLOSED];
	out[BERTH_STATE_SESSION] = timeout[BERTH_TIMEOUT_SESSION];
	out[BERTH_STATE_FRAGMENT] = timeout[BERTH_TIMEOUT_FRAGMENT];
}
