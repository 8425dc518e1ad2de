/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/config/parse_dns.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/util/address.h"
#include "controlplane/util/net.h"

enum {
	DNS_PORT = 53,
	MAX_NAME = 253, /* RFC 1035, 2.3.4: 255 with the length bytes of the labels */
	MAX_LABEL = 63,
	SECOND_MS = 1000,
	DAY_MS = 24 * 3600 * SECOND_MS,
};

/* Labels of 1 to 63 letters, digits, `-` (RFC 1035 section 2.3.4) and `_` (RFC 8552). The last label is not a
 * number, because the name could be taken for an IPv4 address (RFC 3696 section 2). */
bool berth_config_is_dns_name(const char *text)
{
	size_t label = 0, all = strlen(text);
	bool number = true;

	all -= all > 1 && text[all - 1] == '.';
	for (size_t i = 0; i < all; i++) {
		if (text[i] == '.' && (label == 0 || i + 1 == all))
			return false;
		if (text[i] == '.') {
			label = 0;
			number = true;
			continue;
		}
		if ((!isalnum((unsigned char)text[i]) && !strchr("-_", text[i])) || ++label > MAX_LABEL)
			return false;
		number = number && isdigit((unsigned char)text[i]);
	}
	return all > 0 && all <= MAX_NAME && !number;
}

size_t berth_config_count_sources(json_t *list)
{
	size_t n = 0, i;
	json_t *item;

	json_array_foreach(list, i, item) n += json_object_get(item, "dns") != NULL;
	return n;
}

/* DNS ignores case and a final dot. */
static void normalize(char *name)
{
	size_t n = strlen(name);

	if (name[n - 1] == '.')
		name[n - 1] = 0;
	for (; *name; name++)
		*name = (char)tolower((unsigned char)*name);
}

int berth_config_check_source(struct berth_schema *schema, json_t *item, struct berth_source_config *entry)
{
	bool has_address = json_object_get(item, "address") != NULL;

	if (!entry->dns[0] && !has_address)
		return berth_schema_fail(
			schema, item, NULL,
			"a backend has no address; add \"address:\" and after it the IPv4 or IPv6 "
			"address of one host, like 192.0.2.10 or 2001:db8::10, or \"dns:\" and its name");
	if (!entry->dns[0])
		return 0;
	if (has_address)
		return berth_schema_fail(schema, item, "dns",
					 "a backend has either address or dns; remove one of them");
	if (entry->template.backup[0])
		return berth_schema_fail(schema, item, "backup",
					 "backends from DNS come and go, so none of them can have a backup; remove "
					 "backup, or list the servers by address");
	if (strlen(entry->template.name) >= BERTH_SOURCE_NAME_BYTES)
		return berth_schema_fail(
			schema, item, "name",
			"name cannot be \"%.63s\" with dns, because each address is appended to it; write "
			"at most %d characters",
			entry->template.name, BERTH_SOURCE_NAME_BYTES - 1);
	normalize(entry->dns);
	return 0;
}

size_t berth_config_item_index(const struct berth_service_config *service, size_t index)
{
	for (size_t i = 0; i < service->n_sources && service->sources[i].item_index <= index; i++)
		index++;
	return index;
}

/* ":5353"; 0: invalid. */
static uint16_t parse_port(const char *text)
{
	size_t digits = strspn(text + 1, "0123456789");

	if (*text != ':' || digits == 0 || digits > 5 || text[1] == '0' || text[1 + digits])
		return 0;
	long port = strtol(text + 1, NULL, 10);
	return port <= UINT16_MAX ? (uint16_t)port : 0;
}

/* "192.0.2.53", "192.0.2.53:5353", "2001:db8::53", "[2001:db8::53]:5353" */
static bool parse_server(const char *text, struct berth_dns_server *server)
{
	char host[BERTH_ADDRESS_TEXT];
	const char *colon = strchr(text, ':');
	bool brackets = *text == '[', alone = !brackets && (!colon || strchr(colon + 1, ':'));
	size_t length = strcspn(text, brackets ? "]" : alone ? "" : ":");
	const char *port = text + length + (brackets && text[length]);

	if (brackets) {
		text++;
		length--;
	}
	if (length >= sizeof(host) || (brackets && text[length] != ']'))
		return false;
	memcpy(host, text, length);
	host[length] = 0;
	server->port = *port ? parse_port(port) : DNS_PORT;
	return server->port && berth_address_parse(host, &server->address) == 0 &&
	       berth_net_is_host(&server->address);
}

static int read_servers(struct berth_schema *schema, json_t *list, void *member)
{
	struct berth_dns_config *dns = member;
	size_t i;
	json_t *item;

	if (json_array_size(list) > BERTH_MAX_DNS_SERVERS)
		return berth_schema_fail(schema, json_array_get(list, BERTH_MAX_DNS_SERVERS), NULL,
					 "%zu DNS servers; remove all but %d", json_array_size(list),
					 BERTH_MAX_DNS_SERVERS);
	json_array_foreach(list, i, item)
	{
		if (!json_is_string(item) || !parse_server(json_string_value(item), &dns->servers[i]))
			return berth_schema_fail(schema, item, NULL,
						 "invalid DNS server; write its address, or with a port "
						 "\"192.0.2.53:5353\" or \"[2001:db8::53]:5353\"");
		dns->n_servers++;
	}
	return 0;
}

static int read_allow(struct berth_schema *schema, json_t *list, void *member)
{
	struct berth_dns_config *dns = member;
	size_t i;
	json_t *item;

	if (json_array_size(list) > BERTH_MAX_DNS_ALLOW)
		return berth_schema_fail(schema, json_array_get(list, BERTH_MAX_DNS_ALLOW), NULL,
					 "%zu prefixes in allow; remove all but %d", json_array_size(list),
					 BERTH_MAX_DNS_ALLOW);
	json_array_foreach(list, i, item)
	{
		struct berth_dns_prefix *prefix = &dns->allow[i];
		if (!json_is_string(item) ||
		    berth_prefix_parse(json_string_value(item), &prefix->address, &prefix->bits) ||
		    !berth_net_is_prefix(&prefix->address, prefix->bits))
			return berth_schema_fail(schema, item, NULL,
						 "invalid prefix in allow; write an address or a prefix of hosts "
						 "whose host bits are 0, like 169.254.0.0/16 or fe80::/10");
		dns->n_allow++;
	}
	return 0;
}

#define DNS struct berth_dns_config

static const struct berth_field dns_fields[] = {
	{.key = "servers", .kind = BERTH_FIELD_LIST, .json_schema = BERTH_JSON_TEXT, .read_value = read_servers},
	{.key = "allow", .kind = BERTH_FIELD_LIST, .json_schema = BERTH_JSON_TEXT, .read_value = read_allow},
	{BERTH_DURATION("timeout", DNS, timeout_ms, 100, 30 * SECOND_MS, 1)},
	{BERTH_DURATION("min-ttl", DNS, min_ttl_s, SECOND_MS, DAY_MS, SECOND_MS)},
	{BERTH_DURATION("max-ttl", DNS, max_ttl_s, SECOND_MS, DAY_MS, SECOND_MS)},
};

const struct berth_section berth_config_dns = {"dns", BERTH_FIELDS(dns_fields)};

int berth_config_check_dns(struct berth_schema *schema, const struct berth_dns_config *dns)
{
	json_t *item = json_object_get(schema->yaml->root, "dns");

	if (dns->min_ttl_s <= dns->max_ttl_s)
		return 0;
	return berth_schema_fail(schema, item, json_object_get(item, "min-ttl") ? "min-ttl" : "max-ttl",
				 "min-ttl (%us) is more than max-ttl (%us); change one of them", dns->min_ttl_s,
				 dns->max_ttl_s);
}
