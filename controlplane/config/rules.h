/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rules for a backend's address, for addresses in the file (parse_backends.c, conflicts.c) and addresses from
 * DNS (controlplane/dns/check_address.c). And how many rows the weights of a service need. Pure.
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

enum {
	BERTH_LEAST_AUTOMATIC_ROWS = 2039,
};

/* The weights of a service's backends; a list item with `dns` counts as one backend. */
struct berth_weights {
	uint64_t sum;
	uint64_t heaviest;
	uint64_t lightest; /* above 0 */
	uint64_t divisor;  /* the greatest that all have in common */
};

struct berth_weights berth_rules_weights(const struct berth_service_config *service);

/*
 * The least number of rows for which every backend of at least this `weight` is certain to get a row. `sum` and
 * `heaviest` are those of the service's weights. Maglev: a backend takes its first row in turn ceil(heaviest /
 * weight), and that turn ends after at most sum / heaviest rows per turn. Round-robin: its first row is before
 * ceil(sum / weight).
 */
uint64_t berth_rules_rows_needed(enum berth_schedule scheduler, uint64_t sum, uint64_t heaviest, uint64_t weight);

/*
 * The rows of a service that has no `table-size`: the smallest of 2039, 16381, 65537 and 655373 with 100 rows per
 * backend and one for the lightest. Few sizes, because another size selects other backends for new clients. 65537
 * where the number of backends changes without an operator (DNS), and at most so many for round-robin; at least so
 * many with second hops. Every node with the configuration gets the same.
 */
uint32_t berth_rules_automatic_rows(const struct berth_service_config *service);
