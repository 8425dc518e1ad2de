/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rules for a backend's address, for addresses in the file (parse_backends.c, conflicts.c) and addresses from
 * DNS (controlplane/dns/check_address.c). Pure.
 */
#pragma once

#include "controlplane/config/config.h"

enum berth_backend_fault {
	BERTH_BACKEND_VALID,
	BERTH_BACKEND_NO_HOST,	       /* not the address of one host */
	BERTH_BACKEND_SERVICE_ADDRESS, /* an address of its own service */
	BERTH_BACKEND_FOREIGN_FAMILY,  /* the mode needs the service's family */
};

/* Whether a service can have a backend at this address, as far as the two alone decide it. */
enum berth_backend_fault berth_rules_backend(const struct berth_service_config *service,
					     const union berth_addr *address);

/* Whether `dns.allow` has the address. A backend from DNS needs it for special addresses: loopback, link-local, the
 * host's own and those of services. Without this rule the owner of a name could send clients to berth's host. */
bool berth_rules_dns_allows(const struct berth_dns_config *dns, const union berth_addr *address);

/* The source ports of a backend's answers that return through berth, as the classifier finds them. */
struct berth_answer_ports {
	uint16_t first;
	uint16_t last;
};

/* `port`: the backend's own; 0: the service's ports. */
struct berth_answer_ports berth_rules_answer_ports(const struct berth_service_config *service, uint16_t port);
/* More than one port: a range in the classifier, of which one address and protocol has at most BERTH_MAX_RANGES. */
bool berth_rules_is_range(struct berth_answer_ports ports);
/* For two backends with one address and protocol: an answer from a common port could belong to either. In mode
 * nat the port identifies the service. */
bool berth_rules_overlap(struct berth_answer_ports a, struct berth_answer_ports b);
