// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/dns/check_address.h"

#include <stdio.h>

#include "controlplane/config/rules.h"
#include "controlplane/util/address.h"
#include "controlplane/util/net.h"

#define SERVICE struct berth_service_config

static const struct berth_backend_config *find_backend(const SERVICE *service, const union berth_addr *address)
{
	for (size_t i = 0; i < service->n_backends; i++)
		if (berth_addr_equal(&service->backends[i].address, address))
			return &service->backends[i];
	return NULL;
}

static const SERVICE *find_service(const struct berth_config *config, const union berth_addr *address)
{
	for (size_t i = 0; i < config->n_services; i++)
		if (berth_prefix_holds(&config->services[i].address, config->services[i].bits, address))
			return &config->services[i];
	return NULL;
}

/* In mode nat the source address and port of an answer must identify the service. */
static bool check_nat(const struct berth_config *config, const SERVICE *service,
		      const struct berth_source_config *source, const union berth_addr *address, char *reason,
		      size_t size)
{
	struct berth_answer_ports own = berth_rules_answer_ports(service, source->template.port);
	size_t ranges = berth_rules_is_range(own);
	const SERVICE *owner = find_service(config, address);
	if (owner) {
		snprintf(reason, size, "an address of service %s", owner->name);
		return false;
	}
	for (size_t i = 0; i < config->n_services; i++) {
		const SERVICE *other = &config->services[i];
		const struct berth_backend_config *backend = NULL;
		if (berth_mode_returns(other->mode) && other->protocol == service->protocol)
			backend = find_backend(other, address);
		if (!backend)
			continue;
		struct berth_answer_ports ports = berth_rules_answer_ports(other, backend->port);
		ranges += berth_rules_is_range(ports);
		if (berth_rules_overlap(own, ports)) {
			snprintf(reason, size, "mode nat: %s/%s answers from the same port", other->name,
				 backend->name);
			return false;
		}
	}
	if (ranges <= BERTH_MAX_RANGES)
		return true;
	snprintf(reason, size, "mode nat: more than %d port ranges at the address", BERTH_MAX_RANGES);
	return false;
}

static bool is_own(const struct berth_own_addresses *own, const union berth_addr *address)
{
	for (size_t i = 0; i < own->n; i++)
		if (berth_addr_equal(&own->addresses[i], address))
			return true;
	return false;
}

static bool check_special(const struct berth_config *config, const struct berth_own_addresses *own,
			  const union berth_addr *address, char *reason, size_t size)
{
	const SERVICE *owner = find_service(config, address);
	const char *kind = berth_net_is_loopback(address)     ? "a loopback address"
			   : berth_net_is_link_local(address) ? "a link-local address"
			   : is_own(own, address)	      ? "an address of this host"
							      : NULL;
	if ((!kind && !owner) || berth_rules_dns_allows(&config->dns, address))
		return true;
	if (kind)
		snprintf(reason, size, "%s, and not in dns.allow", kind);
	else
		snprintf(reason, size, "an address of service %s, and not in dns.allow", owner->name);
	return false;
}

bool berth_dns_check_address(const struct berth_config *config, const struct berth_own_addresses *own,
			     const struct berth_service_config *service, const struct berth_source_config *source,
			     const union berth_addr *address, char *reason, size_t size)
{
	const struct berth_backend_config *backend = find_backend(service, address);
	switch (berth_rules_backend(service, address)) {
	case BERTH_BACKEND_NO_HOST:
		snprintf(reason, size, "not a host address");
		return false;
	case BERTH_BACKEND_SERVICE_ADDRESS:
		snprintf(reason, size, "an address of the service itself");
		return false;
	case BERTH_BACKEND_FOREIGN_FAMILY:
		snprintf(reason, size, "mode %s needs an %s backend", berth_mode_name(service->mode),
			 berth_addr_is4(&service->address) ? "IPv4" : "IPv6");
		return false;
	case BERTH_BACKEND_VALID:
		break;
	}
	if (backend) {
		snprintf(reason, size, "backend %s has it already", backend->name);
		return false;
	}
	if (berth_mode_returns(service->mode) && !check_nat(config, service, source, address, reason, size))
		return false;
	return check_special(config, own, address, reason, size);
}
