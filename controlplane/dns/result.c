// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/dns/result.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const type_names[BERTH_DNS_TYPES] = {"A", "AAAA"};

static enum berth_dns_record_type type_of(const union berth_addr *address)
{
	return berth_addr_is4(address) ? BERTH_DNS_A : BERTH_DNS_AAAA;
}

/* True if the addresses of this type from the last good answer stay. */
static bool keeps_before(const struct berth_dns_result results[BERTH_DNS_TYPES], enum berth_dns_record_type type)
{
	const struct berth_dns_result *other = &results[type == BERTH_DNS_A ? BERTH_DNS_AAAA : BERTH_DNS_A];
	if (results[type].status == BERTH_DNS_NONE)
		return other->status != BERTH_DNS_FOUND;
	return results[type].status != BERTH_DNS_FOUND;
}

static void collect(struct berth_dns_outcome *outcome, const struct berth_dns_result results[BERTH_DNS_TYPES],
		    const struct berth_dns_answer *before)
{
	for (size_t i = 0; before && i < before->n; i++)
		if (keeps_before(results, type_of(&before->addresses[i])))
			outcome->addresses[outcome->n++] = before->addresses[i];
	for (int type = 0; type < BERTH_DNS_TYPES; type++) {
		const struct berth_dns_result *result = &results[type];
		if (result->status != BERTH_DNS_FOUND)
			continue;
		memcpy(outcome->addresses + outcome->n, result->addresses, result->n * sizeof(*result->addresses));
		outcome->n += result->n;
		outcome->ttl_s = outcome->found && outcome->ttl_s < result->ttl_s ? outcome->ttl_s : result->ttl_s;
		outcome->found = true;
	}
	outcome->n = berth_dns_sort_unique(outcome->addresses, outcome->n);
}

static void set_error(struct berth_dns_outcome *outcome, const struct berth_dns_result results[BERTH_DNS_TYPES])
{
	size_t none = 0;
	for (int type = 0; type < BERTH_DNS_TYPES; type++) {
		none += results[type].status == BERTH_DNS_NONE;
		if (results[type].status == BERTH_DNS_FAILED && !outcome->error[0])
			snprintf(outcome->error, sizeof(outcome->error), "%s: %s", type_names[type],
				 results[type].error);
	}
	if (none == BERTH_DNS_TYPES)
		snprintf(outcome->error, sizeof(outcome->error), "the name has no addresses");
}

int berth_dns_merge(const struct berth_dns_result results[BERTH_DNS_TYPES], const struct berth_dns_answer *before,
		    struct berth_dns_outcome *outcome)
{
	size_t capacity = before ? before->n : 0;
	*outcome = (struct berth_dns_outcome){0};
	for (int type = 0; type < BERTH_DNS_TYPES; type++)
		capacity += results[type].n;
	outcome->addresses = calloc(capacity + 1, sizeof(*outcome->addresses));
	if (!outcome->addresses)
		return -ENOMEM;
	collect(outcome, results, before);
	set_error(outcome, results);
	if (outcome->n <= BERTH_DNS_MAX_ADDRESSES)
		return 0;
	/* Not a part of them: nodes could choose different parts. */
	outcome->found = false;
	snprintf(outcome->error, sizeof(outcome->error), "the name has more than %d addresses",
		 BERTH_DNS_MAX_ADDRESSES);
	return 0;
}

uint32_t berth_dns_next_query_s(const struct berth_dns_config *config, uint32_t ttl_s, uint32_t failures)
{
	uint32_t wait_s = ttl_s, least_s = config->min_ttl_s, most_s = config->max_ttl_s;
	if (failures) {
		wait_s = failures > 6 ? BERTH_DNS_MAX_WAIT_S : 1u << (failures - 1);
		most_s = most_s < BERTH_DNS_MAX_WAIT_S ? most_s : BERTH_DNS_MAX_WAIT_S;
		least_s = least_s < most_s ? least_s : most_s;
	}
	return wait_s < least_s ? least_s : wait_s > most_s ? most_s : wait_s;
}
