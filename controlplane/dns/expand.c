// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/dns/expand.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/dns/check_address.h"
#include "controlplane/model/model.h"
#include "controlplane/util/address.h"

#define SERVICE struct berth_service_config
#define SOURCE struct berth_source_config

/* Expansion in progress. */
struct draft {
	struct berth_config *config;
	const struct berth_dns_state *state;
	const struct berth_own_addresses *own;
	struct berth_dns_expansion *expansion;
	size_t n_backends; /* numbers of all services so far, compared with limits.backends */
};

void berth_dns_expansion_clear(struct berth_dns_expansion *expansion)
{
	free(expansion->skipped);
	*expansion = (struct berth_dns_expansion){0};
}

static int skip(struct berth_dns_expansion *expansion, const SERVICE *service, const SOURCE *source,
		const union berth_addr *address, const char *reason)
{
	size_t n = expansion->n_skipped;
	/* The capacity is the next power of two. */
	if ((n & (n - 1)) == 0) {
		size_t capacity = n ? 2 * n : 1;
		struct berth_dns_skipped *more = realloc(expansion->skipped, capacity * sizeof(*more));
		if (!more)
			return -ENOMEM;
		expansion->skipped = more;
	}
	struct berth_dns_skipped *skipped = &expansion->skipped[expansion->n_skipped++];
	*skipped = (struct berth_dns_skipped){.address = *address};
	memcpy(skipped->service, service->name, sizeof(skipped->service));
	memcpy(skipped->dns, source->dns, sizeof(skipped->dns));
	snprintf(skipped->reason, sizeof(skipped->reason), "%s", reason);
	return 0;
}

/* Backend numbers that a backend of the service needs at most: a group has one, too. */
static size_t numbers_of(const SERVICE *service)
{
	return service->group[0] ? 2 : 1;
}

static void append_backend(struct draft *draft, SERVICE *service, const SOURCE *source,
			   const union berth_addr *address, bool leaving, bool retained)
{
	struct berth_backend_config *backend = &service->backends[service->n_backends++];
	char text[BERTH_ADDRESS_TEXT];
	*backend = source->template;
	backend->address = *address;
	backend->leaving = leaving;
	if (leaving && !retained)
		backend->weight = 0;
	snprintf(backend->name, sizeof(backend->name), "%.*s" BERTH_DNS_NAME_SEPARATOR "%s",
		 BERTH_SOURCE_NAME_BYTES - 1, source->template.name, berth_address_format(address, text));
	draft->n_backends += numbers_of(service);
}

/* Adds a backend for an address, or records why it is skipped. */
static int add_address(struct draft *draft, SERVICE *service, const SOURCE *source, const union berth_addr *address,
		       bool leaving, bool retained)
{
	char reason[sizeof(((struct berth_dns_skipped *)NULL)->reason)] = "";
	if (!berth_dns_check_address(draft->config, draft->own, service, source, address, reason, sizeof(reason)))
		return skip(draft->expansion, service, source, address, reason);
	bool tables_full = draft->n_backends + numbers_of(service) > draft->config->limits.backends;
	if (tables_full || service->n_backends + 1 >= service->table_size) {
		draft->expansion->n_over_limit++;
		snprintf(reason, sizeof(reason), "%s reached",
			 tables_full ? "limits.backends" : "the service's table-size");
		return skip(draft->expansion, service, source, address, reason);
	}
	append_backend(draft, service, source, address, leaving, retained);
	return 0;
}

/* Adds existing backends. Without an answer for the name they stay unchanged. */
static int add_members(struct draft *draft, SERVICE *service, const SOURCE *source)
{
	const struct berth_dns_answer *answer = berth_dns_state_answer(draft->state, source->dns);
	uint64_t id = berth_service_id(service);
	int err = 0;
	for (size_t i = 0; !err && i < draft->state->n_members; i++) {
		const struct berth_dns_member *member = &draft->state->members[i];
		if (member->service != id || strcmp(member->source, source->template.name) != 0)
			continue;
		bool leaving = answer && !berth_dns_answer_contains(answer, &member->address);
		err = add_address(draft, service, source, &member->address, leaving, member->retained);
	}
	return err;
}

static int add_new(struct draft *draft, SERVICE *service, const SOURCE *source)
{
	const struct berth_dns_answer *answer = berth_dns_state_answer(draft->state, source->dns);
	uint64_t id = berth_service_id(service);
	int err = 0;
	for (size_t i = 0; !err && answer && i < answer->n; i++)
		if (!berth_dns_state_has_member(draft->state, id, source->template.name, &answer->addresses[i]))
			err = add_address(draft, service, source, &answer->addresses[i], false, false);
	return err;
}

/* Allocates the service's backends for all members and answers. */
static int reserve_backends(const struct draft *draft, SERVICE *service)
{
	size_t n = service->n_backends;
	uint64_t id = berth_service_id(service);
	for (size_t i = 0; i < draft->state->n_members; i++)
		n += draft->state->members[i].service == id;
	for (size_t i = 0; i < service->n_sources; i++) {
		const struct berth_dns_answer *answer = berth_dns_state_answer(draft->state,
									       service->sources[i].dns);
		n += answer ? answer->n : 0;
	}
	struct berth_backend_config *backends = realloc(service->backends, (n + 1) * sizeof(*backends));
	if (!backends)
		return -ENOMEM;
	service->backends = backends;
	return 0;
}

static int compare_names(const void *left, const void *right)
{
	const struct berth_backend_config *a = left, *b = right;
	return strcmp(a->name, b->name);
}

static int for_each_source(struct draft *draft, int (*fn)(struct draft *, SERVICE *, const SOURCE *))
{
	int err = 0;
	for (size_t i = 0; i < draft->config->n_services; i++) {
		SERVICE *service = &draft->config->services[i];
		for (size_t j = 0; !err && j < service->n_sources; j++)
			err = fn(draft, service, &service->sources[j]);
	}
	return err;
}

int berth_dns_expand(struct berth_config *config, const struct berth_dns_state *state,
		     const struct berth_own_addresses *own, struct berth_dns_expansion *expansion)
{
	struct draft draft = {.config = config, .state = state, .own = own, .expansion = expansion};
	int err = 0;
	*expansion = (struct berth_dns_expansion){0};
	for (size_t i = 0; !err && i < config->n_services; i++) {
		draft.n_backends += config->services[i].n_backends * numbers_of(&config->services[i]);
		err = config->services[i].n_sources ? reserve_backends(&draft, &config->services[i]) : 0;
	}
	/* Existing backends of all services come first: in mode nat a new one may conflict with one of another
	 * service. */
	if (!err)
		err = for_each_source(&draft, add_members);
	if (!err)
		err = for_each_source(&draft, add_new);
	for (size_t i = 0; i < config->n_services; i++) {
		SERVICE *service = &config->services[i];
		if (service->n_sources)
			qsort(service->backends + service->n_configured,
			      service->n_backends - service->n_configured, sizeof(*service->backends),
			      compare_names);
	}
	if (err)
		berth_dns_expansion_clear(expansion);
	return err;
}
