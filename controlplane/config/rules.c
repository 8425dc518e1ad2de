/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/config/rules.h"

#include "controlplane/config/net.h"
#include "controlplane/util/address.h"

enum berth_backend_fault berth_rules_backend(const struct berth_service_config *service,
					     const union berth_addr *address)
{
	if (!berth_net_is_host(address))
		return BERTH_BACKEND_NO_HOST;
	if (berth_prefix_holds(&service->address, service->bits, address))
		return BERTH_BACKEND_SERVICE_ADDRESS;
	if (!berth_mode_crosses_families(service->mode) &&
	    berth_addr_is4(address) != berth_addr_is4(&service->address))
		return BERTH_BACKEND_FOREIGN_FAMILY;
	return BERTH_BACKEND_VALID;
}

bool berth_rules_dns_allows(const struct berth_dns_config *dns, const union berth_addr *address)
{
	for (size_t i = 0; i < dns->n_allow; i++)
		if (berth_prefix_holds(&dns->allow[i].address, dns->allow[i].bits, address))
			return true;
	return false;
}

struct berth_answer_ports berth_rules_answer_ports(const struct berth_service_config *service, uint16_t port)
{
	if (port)
		return (struct berth_answer_ports){port, port};
	return (struct berth_answer_ports){service->port, service->last_port};
}

bool berth_rules_is_range(struct berth_answer_ports ports)
{
	return ports.first != ports.last;
}

bool berth_rules_overlap(struct berth_answer_ports a, struct berth_answer_ports b)
{
	return a.first <= b.last && b.first <= a.last;
}
