/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/config/parse_services.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/api/plural.h"
#include "controlplane/config/conflicts.h"
#include "controlplane/config/parse_backends.h"
#include "controlplane/config/parse_health.h"
#include "controlplane/config/parse_new_flows.h"
#include "controlplane/config/parse_selection.h"
#include "controlplane/config/rules.h"
#include "controlplane/util/address.h"

enum {
	SECOND_MS = 1000,
	MAX_TIMEOUT_MS = BERTH_MAX_TIMEOUT * SECOND_MS,
	DEFAULT_PREFIX6 = 64,	 /* one network; hosts change the lower bits (RFC 8981) */
	DEFAULT_GUE_PORT = 6080, /* assigned by IANA */
	MAX_SLOW_START_MS = 3600 * SECOND_MS,
};

static const struct berth_service_config service_defaults = {
	.protocol = IPPROTO_TCP,
	.announce = true,
	.affinity = BERTH_AFFINITY_FLOW,
	.prefix4 = 32,
	.prefix6 = DEFAULT_PREFIX6,
	.panic_percent = BERTH_DEFAULT_PANIC,
};

/* Short, so that a key is a line. */
#define SERVICE struct berth_service_config

/* At most BERTH_MAX_ROWS, so at most some 400 divisions. */
bool berth_config_is_prime(int64_t number)
{
	for (int64_t divisor = 2; divisor * divisor <= number; divisor++)
		if (number % divisor == 0)
			return false;
	return number >= 2;
}

/* So that offsetof works for elements of the array. */
struct timeouts {
	uint32_t of[BERTH_TIMEOUT_COUNT];
};

#define FLOW_TIMEOUT(name, timeout)                                                                                \
	BERTH_DURATION(name, struct timeouts, of[BERTH_TIMEOUT_##timeout], SECOND_MS, MAX_TIMEOUT_MS, SECOND_MS)

static const struct berth_field timeouts_fields[] = {
	{FLOW_TIMEOUT("half-open", HALF_OPEN)}, {FLOW_TIMEOUT("established", ESTABLISHED)},
	{FLOW_TIMEOUT("closing", CLOSING)},	{FLOW_TIMEOUT("closed", CLOSED)},
	{FLOW_TIMEOUT("unreplied", UNREPLIED)}, {FLOW_TIMEOUT("assured", ASSURED)},
	{FLOW_TIMEOUT("fragment", FRAGMENT)},
};

const struct berth_section berth_config_timeouts = {"timeouts", BERTH_FIELDS(timeouts_fields)};

static const struct berth_word affinity_words[] = {
	{"flow", BERTH_AFFINITY_FLOW}, {"client", BERTH_AFFINITY_CLIENT}, {NULL, 0}};

static const struct berth_field affinity_fields[] = {
	{BERTH_WORD("by", SERVICE, affinity, affinity_words)},
	{BERTH_DURATION("timeout", SERVICE, timeout[BERTH_TIMEOUT_SESSION], SECOND_MS, MAX_TIMEOUT_MS, SECOND_MS)},
	{BERTH_NUMBER("prefix4", SERVICE, prefix4, 0, 32)},
	{BERTH_NUMBER("prefix6", SERVICE, prefix6, 0, 128)},
	{BERTH_TEXT("group", SERVICE, group, berth_config_is_name, BERTH_NAME_NOUN)},
};

static const struct berth_section affinity_section = {"affinity", BERTH_FIELDS(affinity_fields)};

static const struct berth_word announce_words[] = {{"true", true}, {"false", false}, {NULL, 0}};
static const struct berth_word protocol_words[] = {{"tcp", IPPROTO_TCP}, {"udp", IPPROTO_UDP}, {NULL, 0}};
#define X(symbol, name, outer, shim, protocol, families, answers, does) {name, BERTH_MODE_##symbol},
static const struct berth_word mode_words[] = {BERTH_MODES(X){NULL, 0}};
#undef X

/* Backends last, because their checks need the other keys. */
static const struct berth_field service_fields[] = {
	{BERTH_TEXT("name", SERVICE, name, berth_config_is_name, BERTH_NAME_NOUN), .required = true},
	{BERTH_PREFIX("address", SERVICE, address, bits), .required = true},
	{BERTH_WORD("protocol", SERVICE, protocol, protocol_words)},
	{BERTH_PORTS("port", SERVICE, port, last_port), .required = true},
	{BERTH_WORD("announce", SERVICE, announce, announce_words)},
	{BERTH_WORD("mode", SERVICE, mode, mode_words), .required = true},
	{BERTH_NUMBER("gue-port", SERVICE, gue_port, 1, UINT16_MAX)},
	{BERTH_DURATION("second-hop", SERVICE, second_hop_s, 0, MAX_TIMEOUT_MS, SECOND_MS)},
	{.key = "affinity", .kind = BERTH_FIELD_SECTION, .section = &affinity_section},
	{BERTH_WORD("scheduler", SERVICE, scheduler, berth_config_scheduler_words)},
	{.key = "bound",
	 .kind = BERTH_FIELD_CUSTOM,
	 .noun = BERTH_BOUND_NOUN,
	 .json_schema = "{\"type\": \"number\", \"minimum\": 1.05, \"maximum\": 10}",
	 .read_value = berth_config_read_bound,
	 BERTH_MEMBER(SERVICE, bound_percent)},
	{BERTH_WORD("overload", SERVICE, overload, berth_config_overload_words)},
	{BERTH_WORD("failback", SERVICE, failback, berth_config_failback_words)},
	{BERTH_WORD("on-down", SERVICE, on_down, berth_config_on_down_words)},
	{.key = "new-flows",
	 .kind = BERTH_FIELD_SECTION,
	 .section = &berth_config_new_flows,
	 BERTH_MEMBER(SERVICE, new_flows)},
	{BERTH_DURATION("slow-start", SERVICE, slow_start_ms, 0, MAX_SLOW_START_MS, 1)},
	{.key = "panic-threshold",
	 .kind = BERTH_FIELD_CUSTOM,
	 .noun = BERTH_PANIC_THRESHOLD_NOUN,
	 /* Readers of YAML 1.1 take `off` for false. */
	 .json_schema = "{\"anyOf\": [{\"type\": \"string\", \"pattern\": \"^[1-9][0-9]?%$\"},"
			"{\"enum\": [\"off\", false]}]}",
	 .read_value = berth_config_read_panic_threshold,
	 BERTH_MEMBER(SERVICE, panic_percent)},
	{BERTH_NUMBER("table-size", SERVICE, table_size, 2, BERTH_MAX_ROWS),
	 .is_valid_number = berth_config_is_prime, .noun = "a prime number"},
	{.key = "timeouts",
	 .kind = BERTH_FIELD_SECTION,
	 .section = &berth_config_timeouts,
	 BERTH_MEMBER(SERVICE, timeout)},
	{.key = "health",
	 .kind = BERTH_FIELD_SECTION,
	 .section = &berth_config_health,
	 .offset = offsetof(SERVICE, health),
	 .size = sizeof(void *),
	 .pointed = sizeof(struct berth_health_config)},
	{.key = "backends",
	 .kind = BERTH_FIELD_LIST,
	 .section = &berth_config_backend,
	 .read_value = berth_config_read_backends},
};

const struct berth_section berth_config_service = {"a service", BERTH_FIELDS(service_fields)};

static int check_unique(struct berth_schema *schema, json_t *item, const struct berth_service_config *service,
			struct berth_schema_seen *seen)
{
	char address[BERTH_PREFIX_TEXT], ports[BERTH_PORTS_TEXT];
	char place[sizeof(address) + sizeof(ports) + 8];
	int err = berth_schema_unique(schema, seen->names, service->name, item, "name", "service name",
				      "give each service a name of its own");

	if (err)
		return err;
	snprintf(place, sizeof(place), "%s %s %s", berth_prefix_format(&service->address, service->bits, address),
		 berth_protocol_name(service->protocol), berth_config_format_ports(service, ports));
	return berth_schema_unique(schema, seen->places, place, item, "address", "service",
				   "change the address, protocol or port of one of them");
}

/* `n_backends`: of all services so far. */
static int check_sizes(struct berth_schema *schema, json_t *item, const struct berth_service_config *service,
		       const struct berth_limits *limits, size_t n_backends)
{
	if (n_backends > limits->backends)
		return berth_schema_fail(
			schema, item, "backends",
			"%zu backend%s so far, and limits.backends is %u; raise it to at least %zu", n_backends,
			BERTH_PLURAL(n_backends), limits->backends, n_backends);
	if (service->table_size <= service->n_backends)
		return berth_schema_fail(schema, item, "table-size",
					 "%u rows are too few for %zu backends; write a prime number above %zu",
					 service->table_size, service->n_backends, service->n_backends);
	return 0;
}

/* In mode nat the source of an answer must identify the service address. */
static int check_nat(struct berth_schema *schema, json_t *item, const struct berth_service_config *service)
{
	if (berth_mode_returns(service->mode) && service->bits < BERTH_ADDRESS_BITS)
		return berth_schema_fail(schema, item, "address",
					 "mode %s needs a single address: an answer does not identify the address "
					 "of a prefix that the client used; write one, or mode: ipip",
					 berth_mode_name(service->mode));
	return 0;
}

static int check_gue_port(struct berth_schema *schema, json_t *item, struct berth_service_config *service)
{
	if (berth_mode_has_tunnel_port(service->mode) && !service->gue_port)
		service->gue_port = DEFAULT_GUE_PORT;
	if (!berth_mode_has_tunnel_port(service->mode) && service->gue_port)
		return berth_schema_fail(schema, item, "gue-port",
					 "only mode gue has a tunnel with a port; remove gue-port, or write "
					 "mode: gue");
	return 0;
}

/* A second hop is the backend that the hash alone selected before, for packets of a connection. */
static int check_second_hop(struct berth_schema *schema, json_t *item, const struct berth_service_config *service)
{
	if (!service->second_hop_s)
		return 0;
	if (!berth_mode_has_tunnel_port(service->mode))
		return berth_schema_fail(schema, item, "second-hop",
					 "only the header of mode gue names a second hop; remove second-hop, or "
					 "write mode: gue");
	if (service->protocol != IPPROTO_TCP)
		return berth_schema_fail(schema, item, "second-hop",
					 "a second hop is for connections of TCP; remove second-hop");
	if (service->scheduler == BERTH_SCHEDULE_ROUND_ROBIN || berth_schedule_compares_loads(service->scheduler))
		return berth_schema_fail(schema, item, "second-hop",
					 "with scheduler %s the hash does not tell a connection's backend; remove "
					 "second-hop, or write scheduler: maglev",
					 berth_schedule_name(service->scheduler));
	return 0;
}

static int check_probe(struct berth_schema *schema, json_t *item, const struct berth_service_config *service)
{
	char ports[BERTH_PORTS_TEXT];

	if (!berth_health_has_port(service->health->type) || service->health->port ||
	    berth_config_has_one_port(service))
		return 0;
	return berth_schema_fail(schema, item, json_object_get(item, "health") ? "health" : "port",
				 "a health check probes one port, and the service has \"%s\"; add health: {port: "
				 "...} with one that accepts TCP, or health: {type: none}",
				 berth_config_format_ports(service, ports));
}

/* `health`: that of the service. */
static int read_keys(struct berth_schema *schema, json_t *item, struct berth_service_config *service,
		     struct berth_health_config *health)
{
	int err = berth_schema_read(schema, &berth_config_service, item, service);
	if (!err)
		err = check_nat(schema, item, service);
	if (!err)
		err = check_gue_port(schema, item, service);
	if (!err)
		err = check_second_hop(schema, item, service);
	if (!err)
		err = berth_config_check_health(schema, item, service, health);
	if (!err)
		err = check_probe(schema, item, service);
	if (!err)
		err = berth_config_check_new_flows(schema, item, &service->new_flows);
	if (!err)
		err = berth_config_check_selection(schema, item, service);
	if (!err && !service->table_size)
		service->table_size = berth_rules_automatic_rows(service);
	return err;
}

static int read_service(struct berth_schema *schema, json_t *item, struct berth_config *config,
			struct berth_service_config *service, const uint32_t timeout[BERTH_TIMEOUT_COUNT])
{
	struct berth_health_config health = berth_health_defaults;
	*service = service_defaults;
	memcpy(service->timeout, timeout, sizeof(service->timeout));
	service->health = &health;
	int err = read_keys(schema, item, service, &health);
	service->health = err ? &berth_health_defaults : berth_config_share_health(config, &health);
	return service->health ? err : berth_schema_fail_memory(schema);
}

static int read_each(struct berth_schema *schema, json_t *list, struct berth_config *config,
		     const uint32_t timeout[BERTH_TIMEOUT_COUNT], struct berth_schema_seen *seen)
{
	size_t n_backends = 0;
	json_t *item;
	size_t i;
	int first = 0;

	json_array_foreach(list, i, item)
	{
		struct berth_service_config *service = &config->services[config->n_services++];
		schema->n_before = schema->n_errors;
		int err = read_service(schema, item, config, service, timeout);
		n_backends += service->n_backends;
		if (!err)
			err = check_unique(schema, item, service, seen);
		if (!err)
			err = check_sizes(schema, item, service, &config->limits, n_backends);
		first = first && err != -ENOMEM ? first : err;
		if (first && !berth_schema_goes_on(schema, first))
			break;
	}
	return first;
}

int berth_config_read_services(struct berth_schema *schema, json_t *list, struct berth_config *config,
			       const uint32_t timeout[BERTH_TIMEOUT_COUNT])
{
	size_t n = json_array_size(list);
	struct berth_schema_seen seen = {0};

	if (n > config->limits.services)
		return berth_schema_fail(schema, json_array_get(list, config->limits.services), NULL,
					 "%zu services, and limits.services is %u; raise it to at least %zu", n,
					 config->limits.services, n);
	config->services = berth_schema_alloc(schema, n, sizeof(*config->services));
	int err = config->services ? berth_schema_seen_init(schema, &seen) : -ENOMEM;
	if (!err)
		err = read_each(schema, list, config, timeout, &seen);
	if (!err)
		err = berth_config_check_conflicts(schema, list, config);
	if (!err)
		err = berth_config_check_groups(schema, list, config);
	berth_schema_seen_clear(&seen);
	return err;
}
