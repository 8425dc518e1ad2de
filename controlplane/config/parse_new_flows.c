/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/config/parse_new_flows.h"

#define LIMITS struct berth_new_flows_config

enum {
	DEFAULT_PREFIX4 = 32,
	DEFAULT_PREFIX6 = 64,
	/* Of a limit, in seconds: engines read the clock every 0.1 s at worst. */
	LEAST_BURST_TENTHS = 1,
	MAX_BURST_S = BERTH_MAX_BURST_MS / 1000,
	MAX_BURST = MAX_BURST_S * BERTH_MAX_NEW_FLOWS,
};

static const struct berth_field fields[] = {
	{BERTH_NUMBER("limit", LIMITS, limit, 1, BERTH_MAX_NEW_FLOWS)},
	{BERTH_NUMBER("burst", LIMITS, burst, 1, MAX_BURST)},
	{BERTH_NUMBER("source-limit", LIMITS, source_limit, 1, BERTH_MAX_NEW_FLOWS)},
	{BERTH_NUMBER("source-burst", LIMITS, source_burst, 1, MAX_BURST)},
	{BERTH_NUMBER("source-prefix4", LIMITS, source_prefix4, 1, 32)},
	{BERTH_NUMBER("source-prefix6", LIMITS, source_prefix6, 1, 128)},
};

const struct berth_section berth_config_new_flows = {"new-flows", BERTH_FIELDS(fields)};

/* `limit`, `burst`: names of the keys; their values are in `per_second` and `at_once`, 0: absent. */
static int check_burst(struct berth_schema *schema, json_t *section, const char *limit, uint32_t per_second,
		       const char *burst, uint32_t *at_once)
{
	if (!per_second && *at_once)
		return berth_schema_fail(schema, section, burst, "%s belongs to %s; add %s, or remove %s", burst,
					 limit, limit, burst);
	const uint32_t least = (per_second * LEAST_BURST_TENTHS + 9) / 10, most = per_second * MAX_BURST_S;
	if (!*at_once)
		*at_once = per_second;
	if (*at_once < least || *at_once > most)
		return berth_schema_fail(schema, section, burst,
					 "with %s: %u, %s is the flows of 0.1 s to %d s; write a number from %u "
					 "to %u",
					 limit, per_second, burst, MAX_BURST_S, least, most);
	return 0;
}

int berth_config_check_new_flows(struct berth_schema *schema, json_t *item, LIMITS *limits)
{
	json_t *section = json_object_get(item, "new-flows");
	const char *prefix = limits->source_prefix4 ? "source-prefix4" : "source-prefix6";
	if (!section)
		return 0;
	int err = check_burst(schema, section, "limit", limits->limit, "burst", &limits->burst);
	if (!err)
		err = check_burst(schema, section, "source-limit", limits->source_limit, "source-burst",
				  &limits->source_burst);
	if (err)
		return err;
	if (!limits->source_limit && (limits->source_prefix4 || limits->source_prefix6))
		return berth_schema_fail(schema, section, prefix,
					 "%s belongs to source-limit; add source-limit, or remove %s", prefix,
					 prefix);
	if (limits->source_limit && !limits->source_prefix4)
		limits->source_prefix4 = DEFAULT_PREFIX4;
	if (limits->source_limit && !limits->source_prefix6)
		limits->source_prefix6 = DEFAULT_PREFIX6;
	return 0;
}
