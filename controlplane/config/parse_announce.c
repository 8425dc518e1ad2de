/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/config/parse_announce.h"

#include <linux/rtnetlink.h>

#include "controlplane/config/parse_selection.h"

#define ANNOUNCE struct berth_announce_config

#define MIN_ELIGIBLE_NOUN "a number of backends from 1 to 65535, or a share like 50%"

enum {
	MAX_START_TIMEOUT_MS = 600000,
	MAX_STOP_WAIT_MS = 20000, /* berthctl waits for 30 s */
	MAX_TABLE = 0x7fffffff,
};

static int read_min_eligible(struct berth_schema *schema, json_t *value, void *member)
{
	ANNOUNCE *announce = member;
	const json_int_t number = json_integer_value(value);
	const uint32_t percent = json_is_string(value) ? berth_config_parse_percent(json_string_value(value)) : 0;

	if (percent || (number > 0 && number <= UINT16_MAX)) {
		announce->min_eligible_percent = percent;
		announce->min_eligible = (uint32_t)number;
		return 0;
	}
	return berth_schema_fail_value(schema, value, "min-eligible", MIN_ELIGIBLE_NOUN);
}

/* The kernel's own tables have routes of all kinds: a default route in them would be exported, too. */
static bool is_free_table(int64_t table)
{
	return table < RT_TABLE_DEFAULT || table > RT_TABLE_LOCAL;
}

static const struct berth_field fields[] = {
	{BERTH_NUMBER("table", ANNOUNCE, table, 1, MAX_TABLE), .is_valid_number = is_free_table,
	 .noun = "the number of a table of its own, not 253, 254 or 255"},
	{BERTH_DURATION("stop-wait", ANNOUNCE, stop_wait_ms, 0, MAX_STOP_WAIT_MS, 1)},
	{.key = "min-eligible",
	 .kind = BERTH_FIELD_CUSTOM,
	 .noun = MIN_ELIGIBLE_NOUN,
	 .json_schema = "{\"anyOf\": [{\"type\": \"integer\", \"minimum\": 1, \"maximum\": 65535},"
			"{\"type\": \"string\", \"pattern\": \"^([1-9][0-9]?|100)%$\"}]}",
	 .read_value = read_min_eligible},
	{BERTH_DURATION("start-timeout", ANNOUNCE, start_timeout_ms, 0, MAX_START_TIMEOUT_MS, 1)},
};

const struct berth_section berth_config_announce = {"announce", BERTH_FIELDS(fields)};
