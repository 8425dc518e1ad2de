/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/config/parse_metrics.h"

#include <errno.h>
#include <string.h>

#include "controlplane/config/net.h"
#include "controlplane/util/address.h"

#define LISTEN_NOUN "an address and a port, like 127.0.0.1:9427 or \"[::1]:9427\""

/* "127.0.0.1:9427", "[::1]:9427". */
static int parse_listen(const char *text, struct berth_metrics_config *listen)
{
	bool brackets = *text == '[';
	const char *end = brackets ? strchr(text, ']') : strchr(text, ':');
	const char *colon = end && brackets ? end + 1 : end;
	char alone[BERTH_ADDRESS_TEXT];

	text += brackets;
	if (!end || *colon != ':' || (size_t)(end - text) >= sizeof(alone))
		return -EINVAL;
	memcpy(alone, text, (size_t)(end - text));
	alone[end - text] = 0;
	if (berth_address_parse(alone, &listen->address) || berth_addr_is4(&listen->address) == brackets)
		return -EINVAL;
	return berth_net_parse_port(colon + 1, &listen->port) ? 0 : -EINVAL;
}

static int read_listen(struct berth_schema *schema, json_t *value, void *member)
{
	const char *text = json_string_value(value);

	if (text && !parse_listen(text, member))
		return 0;
	return berth_schema_fail(schema, value, NULL, "listen cannot be %s%.60s%s; write " LISTEN_NOUN,
				 text ? "\"" : "", text ? text : "that", text ? "\"" : "");
}

static const struct berth_field fields[] = {
	{.key = "listen", .kind = BERTH_FIELD_CUSTOM, .noun = LISTEN_NOUN, .read_value = read_listen},
};

const struct berth_section berth_config_metrics = {"metrics", BERTH_FIELDS(fields)};
