/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/config/parse_backends.h"

#include <errno.h>
#include <string.h>

#include "controlplane/config/parse_dns.h"
#include "controlplane/config/rules.h"
#include "controlplane/util/address.h"

enum {
	DEFAULT_WEIGHT = 100,
	MAX_FLOWS = 200000000, /* the largest limits.flows */
};

static const struct berth_source_config backend_defaults = {.template = {.weight = DEFAULT_WEIGHT}};

/* An item with `address` becomes a backend, an item with `dns` a source. */
#define BACKEND struct berth_source_config

/* Without `/`, which separates the names in SERVICE/BACKEND. */
bool berth_config_is_name(const char *text)
{
	return *text &&
	       text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")] == 0;
}

static const struct berth_field backend_fields[] = {
	{BERTH_TEXT("name", BACKEND, template.name, berth_config_is_name, BERTH_NAME_NOUN), .required = true},
	{BERTH_ADDRESS("address", BACKEND, template.address)},
	{BERTH_TEXT("dns", BACKEND, dns, berth_config_is_dns_name, BERTH_DNS_NAME_NOUN)},
	{BERTH_NUMBER("weight", BACKEND, template.weight, 0, BERTH_MAX_WEIGHT)},
	{BERTH_NUMBER("port", BACKEND, template.port, 1, UINT16_MAX)},
	{BERTH_TEXT("backup", BACKEND, template.backup, berth_config_is_name, BERTH_NAME_NOUN)},
	{BERTH_NUMBER("max-flows", BACKEND, template.max_flows, 1, MAX_FLOWS)},
};

const struct berth_section berth_config_backend = {"a backend", BERTH_FIELDS(backend_fields)};

static int check_backend_address(struct berth_schema *schema, json_t *item,
				 const struct berth_service_config *service,
				 const struct berth_backend_config *backend)
{
	const char *family = berth_addr_is4(&service->address) ? "IPv4" : "IPv6";
	enum berth_backend_fault fault = schema->is_sound ? berth_rules_backend(service, &backend->address)
							  : BERTH_BACKEND_VALID;

	if (fault == BERTH_BACKEND_SERVICE_ADDRESS)
		return berth_schema_fail(schema, item, "address",
					 "the backend has %s of its service; write the server's own address here",
					 service->bits < BERTH_ADDRESS_BITS ? "an address" : "the address");
	if (fault == BERTH_BACKEND_FOREIGN_FAMILY)
		return berth_schema_fail(schema, item, "address",
					 "mode %s %s, so an %s service needs %s backends; write such an address, "
					 "or mode: ipip",
					 berth_mode_name(service->mode), berth_mode_does(service->mode), family,
					 family);
	return 0;
}

static int check_backend_port(struct berth_schema *schema, json_t *item, const struct berth_service_config *service,
			      const struct berth_backend_config *backend)
{
	if (!backend->port || !schema->is_sound)
		return 0;
	if (!berth_mode_returns(service->mode))
		return berth_schema_fail(schema, item, "port",
					 "only mode nat rewrites ports; remove port, or write mode: nat");
	if (!berth_config_has_one_port(service))
		return berth_schema_fail(
			schema, item, "port",
			"the service has many ports, and an answer from this one does not identify the port that "
			"the client used; remove port, or give the service a single port");
	return 0;
}

static int read_address(struct berth_schema *schema, json_t *item, struct berth_service_config *service,
			const struct berth_backend_config *backend, struct berth_schema_seen *seen)
{
	char text[BERTH_ADDRESS_TEXT];
	int err = check_backend_address(schema, item, service, backend);

	if (!err)
		err = berth_schema_unique(schema, seen->places, berth_address_format(&backend->address, text), item,
					  "address", "backend address", "write each server of a service once");
	service->backends[service->n_backends++] = *backend;
	return err;
}

static int read_source(struct berth_schema *schema, json_t *item, struct berth_service_config *service,
		       const struct berth_source_config *source, struct berth_schema_seen *seen)
{
	service->sources[service->n_sources++] = *source;
	return berth_schema_unique(schema, seen->places, source->dns, item, "dns", "name in DNS",
				   "write each name of a service once");
}

static int read_backend(struct berth_schema *schema, json_t *item, struct berth_service_config *service,
			size_t index, struct berth_schema_seen *seen)
{
	struct berth_source_config entry = backend_defaults;
	int err = berth_schema_read(schema, &berth_config_backend, item, &entry);

	entry.item_index = index;
	if (!err)
		err = berth_config_check_source(schema, item, &entry);
	if (!err)
		err = check_backend_port(schema, item, service, &entry.template);
	if (!err)
		err = berth_schema_unique(schema, seen->names, entry.template.name, item, "name", "backend name",
					  "give each backend of a service a name of its own");
	if (!err && !entry.dns[0])
		err = read_address(schema, item, service, &entry.template, seen);
	else if (!err)
		err = read_source(schema, item, service, &entry, seen);
	return err;
}

int berth_config_read_backends(struct berth_schema *schema, json_t *list, void *member)
{
	struct berth_service_config *service = member;
	size_t n = json_array_size(list), n_sources = berth_config_count_sources(list);
	struct berth_schema_seen seen = {0};

	service->backends = berth_schema_alloc(schema, n - n_sources, sizeof(*service->backends));
	service->sources = berth_schema_alloc(schema, n_sources, sizeof(*service->sources));
	if (!service->backends || !service->sources)
		return -ENOMEM;
	int err = berth_schema_seen_init(schema, &seen);
	schema->is_sound = schema->n_errors == schema->n_before;
	for (size_t i = 0; i < n && (!err || berth_schema_goes_on(schema, err)); i++) {
		int fault = read_backend(schema, json_array_get(list, i), service, i, &seen);
		err = err && fault != -ENOMEM ? err : fault;
	}
	service->n_configured = service->n_backends;
	berth_schema_seen_clear(&seen);
	return err;
}
