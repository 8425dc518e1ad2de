// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/dns/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/model/model.h"

void berth_dns_state_clear(struct berth_dns_state *state)
{
	for (size_t i = 0; i < state->n_answers; i++)
		free(state->answers[i].addresses);
	free(state->answers);
	free(state->members);
	*state = (struct berth_dns_state){0};
}

static struct berth_dns_answer *find_answer(const struct berth_dns_state *state, const char *name)
{
	for (size_t i = 0; i < state->n_answers; i++)
		if (strcmp(state->answers[i].name, name) == 0)
			return &state->answers[i];
	return NULL;
}

const struct berth_dns_answer *berth_dns_state_answer(const struct berth_dns_state *state, const char *name)
{
	return find_answer(state, name);
}

static int compare_addresses(const void *left, const void *right)
{
	return memcmp(left, right, sizeof(union berth_addr));
}

bool berth_dns_answer_contains(const struct berth_dns_answer *answer, const union berth_addr *address)
{
	return answer->n && bsearch(address, answer->addresses, answer->n, sizeof(*address), compare_addresses);
}

size_t berth_dns_sort_unique(union berth_addr *addresses, size_t n)
{
	size_t kept = 0;
	if (n)
		qsort(addresses, n, sizeof(*addresses), compare_addresses);
	for (size_t i = 0; i < n; i++)
		if (!kept || compare_addresses(&addresses[kept - 1], &addresses[i]) != 0)
			addresses[kept++] = addresses[i];
	return kept;
}

static void remove_answer(struct berth_dns_state *state, struct berth_dns_answer *answer)
{
	free(answer->addresses);
	*answer = state->answers[--state->n_answers];
}

int berth_dns_state_exchange(struct berth_dns_state *state, const char *name, struct berth_dns_answer *answer)
{
	struct berth_dns_answer *entry = find_answer(state, name);
	if (!entry && !answer->n)
		return 0;
	if (!entry) {
		struct berth_dns_answer *more = realloc(state->answers, (state->n_answers + 1) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		state->answers = more;
		entry = &more[state->n_answers++];
		*entry = (struct berth_dns_answer){0};
		snprintf(entry->name, sizeof(entry->name), "%s", name);
	}
	const struct berth_dns_answer former = *entry;
	entry->addresses = answer->addresses;
	entry->n = answer->n;
	answer->addresses = former.addresses;
	answer->n = former.n;
	if (!entry->n)
		remove_answer(state, entry);
	return 0;
}

int berth_dns_state_set_answer(struct berth_dns_state *state, const char *name, const union berth_addr *addresses,
			       size_t n)
{
	struct berth_dns_answer answer = {.addresses = n ? malloc(n * sizeof(*addresses)) : NULL, .n = n};
	if (n && !answer.addresses)
		return -ENOMEM;
	if (n)
		memcpy(answer.addresses, addresses, n * sizeof(*addresses));
	int err = berth_dns_state_exchange(state, name, &answer);
	free(answer.addresses);
	return err;
}

static int compare_members(const void *left, const void *right)
{
	const struct berth_dns_member *a = left, *b = right;
	int order = (a->service > b->service) - (a->service < b->service);
	if (!order)
		order = strcmp(a->source, b->source);
	return order ? order : compare_addresses(&a->address, &b->address);
}

void berth_dns_state_set_members(struct berth_dns_state *state, struct berth_dns_member *members, size_t n)
{
	free(state->members);
	state->members = members;
	state->n_members = n;
	if (n)
		qsort(members, n, sizeof(*members), compare_members);
}

static bool is_used(const struct berth_config *config, const char *name)
{
	for (size_t i = 0; i < config->n_services; i++)
		for (size_t j = 0; j < config->services[i].n_sources; j++)
			if (strcmp(config->services[i].sources[j].dns, name) == 0)
				return true;
	return false;
}

static struct berth_dns_member member_of(uint64_t service, const struct berth_backend_config *backend)
{
	struct berth_dns_member member = {.service = service, .address = backend->address};
	size_t length = strcspn(backend->name, BERTH_DNS_NAME_SEPARATOR);
	if (length < sizeof(member.source))
		memcpy(member.source, backend->name, length);
	return member;
}

static struct berth_dns_member *find_member(const struct berth_dns_state *state,
					    const struct berth_dns_member *wanted)
{
	if (!state->n_members)
		return NULL;
	return bsearch(wanted, state->members, state->n_members, sizeof(*wanted), compare_members);
}

struct berth_dns_member *berth_dns_state_stage(const struct berth_dns_state *state,
					       const struct berth_config *config, size_t *n_members)
{
	size_t n = 0;
	for (size_t i = 0; i < config->n_services; i++)
		n += config->services[i].n_backends - config->services[i].n_configured;
	struct berth_dns_member *members = calloc(n + 1, sizeof(*members));
	*n_members = members ? n : 0;
	if (!members)
		return NULL;
	n = 0;
	for (size_t i = 0; i < config->n_services; i++) {
		const struct berth_service_config *service = &config->services[i];
		for (size_t j = service->n_configured; j < service->n_backends; j++) {
			members[n] = member_of(berth_service_id(service), &service->backends[j]);
			const struct berth_dns_member *before = find_member(state, &members[n]);
			members[n++].retained = before && before->retained && service->backends[j].leaving;
		}
	}
	return members;
}

void berth_dns_state_commit(struct berth_dns_state *state, const struct berth_config *config,
			    struct berth_dns_member *members, size_t n)
{
	berth_dns_state_set_members(state, members, n);
	for (size_t i = state->n_answers; i-- > 0;)
		if (!is_used(config, state->answers[i].name))
			remove_answer(state, &state->answers[i]);
}

int berth_dns_state_update(struct berth_dns_state *state, const struct berth_config *config)
{
	size_t n;
	struct berth_dns_member *members = berth_dns_state_stage(state, config, &n);
	if (!members)
		return -ENOMEM;
	berth_dns_state_commit(state, config, members, n);
	return 0;
}

bool berth_dns_state_has_member(const struct berth_dns_state *state, uint64_t service, const char *source,
				const union berth_addr *address)
{
	struct berth_dns_member wanted = {.service = service, .address = *address};
	snprintf(wanted.source, sizeof(wanted.source), "%s", source);
	return find_member(state, &wanted) != NULL;
}

bool berth_dns_state_has_left(const struct berth_dns_state *state, const struct berth_service_config *service,
			      const struct berth_backend_config *backend)
{
	const struct berth_dns_member member = member_of(0, backend);
	for (size_t i = 0; backend->name[strlen(member.source)] && i < service->n_sources; i++) {
		const struct berth_dns_answer *answer = find_answer(state, service->sources[i].dns);
		if (strcmp(service->sources[i].template.name, member.source) == 0)
			return answer && !berth_dns_answer_contains(answer, &backend->address);
	}
	return false;
}

bool berth_dns_state_set_retained(struct berth_dns_state *state, uint64_t service,
				  const struct berth_backend_config *backend, bool retained)
{
	const struct berth_dns_member wanted = member_of(service, backend);
	struct berth_dns_member *member = find_member(state, &wanted);
	if (!member || member->retained == retained)
		return false;
	member->retained = retained;
	return true;
}

bool berth_dns_state_remove_member(struct berth_dns_state *state, uint64_t service,
				   const struct berth_backend_config *backend)
{
	struct berth_dns_member wanted = member_of(service, backend);
	struct berth_dns_member *member = find_member(state, &wanted);
	if (!member)
		return false;
	size_t n_after = (size_t)(state->members + state->n_members - (member + 1));
	memmove(member, member + 1, n_after * sizeof(*member));
	state->n_members--;
	return true;
}
