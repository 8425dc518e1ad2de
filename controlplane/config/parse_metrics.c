/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/config/parse_metrics.h"

#include "controlplane/util/net.h"

#define LISTEN_NOUN "an address and a port, like 127.0.0.1:9427 or \"[::1]:9427\""

static int read_listen(struct berth_schema *schema, json_t *value, void *member)
{
	struct berth_metrics_config *listen = member;
	const char *text = json_string_value(value);

	if (text && !berth_net_parse_place(text, &listen->address, &listen->port))
		return 0;
	return berth_schema_fail(schema, value, NULL, "listen cannot be %s%.60s%s; write " LISTEN_NOUN,
				 text ? "\"" : "", text ? text : "that", text ? "\"" : "");
}

static const struct berth_word backends_words[] = {{"true", false}, {"false", true}, {NULL, 0}};

static const struct berth_word page_words[] = {{"true", true}, {"false", false}, {NULL, 0}};

static const struct berth_field fields[] = {
	{.key = "listen",
	 .kind = BERTH_FIELD_CUSTOM,
	 .noun = LISTEN_NOUN,
	 .json_schema = "{\"type\": \"string\", \"pattern\": \":[0-9]+$\"}",
	 .read_value = read_listen},
	{.key = "backends",
	 .kind = BERTH_FIELD_WORD,
	 .words = backends_words,
	 BERTH_MEMBER(struct berth_metrics_config, without_backends)},
	{.key = "page",
	 .kind = BERTH_FIELD_WORD,
	 .words = page_words,
	 BERTH_MEMBER(struct berth_metrics_config, page)},
};

const struct berth_section berth_config_metrics = {"metrics", BERTH_FIELDS(fields)};
