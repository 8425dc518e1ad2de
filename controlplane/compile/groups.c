// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/compile/groups.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/compile/timeouts.h"

struct group_member {
	const struct berth_model_service *service;
	const struct berth_model_backend *backend;
	bool is_group; /* the group's own number of the server */
};

/* By group, then by server. */
static int by_server(const void *left, const void *right)
{
	const struct group_member *a = left, *b = right;
	int order = strcmp(a->service->config.group, b->service->config.group);
	if (!order)
		order = strcmp(a->backend->config.name, b->backend->config.name);
	return order ? order
		     : (a->service->number > b->service->number) - (a->service->number < b->service->number);
}

static bool is_same_server(const struct group_member *a, const struct group_member *b)
{
	return strcmp(a->service->config.group, b->service->config.group) == 0 &&
	       strcmp(a->backend->config.name, b->backend->config.name) == 0;
}

/* The group's own number of a server is evicted when the server is evicted in every service. `n`: of one server. */
static void set_admin(struct berth_generation *generation, const struct group_member *members, size_t n)
{
	bool is_evicted = true;
	for (size_t i = 0; i < n; i++)
		is_evicted &= members[i].is_group || members[i].backend->admin == BERTH_ADMIN_EVICTED;
	for (size_t i = 0; i < n; i++)
		if (members[i].is_group)
			generation->backends[members[i].backend->number].admin = is_evicted ? BERTH_ADMIN_EVICTED
											    : BERTH_ADMIN_ENABLED;
}

/* `members`: sorted by_server. */
static void link_rings(struct berth_generation *generation, const struct group_member *members, size_t n)
{
	for (size_t begin = 0, end; begin < n; begin = end) {
		end = begin + 1;
		while (end < n && is_same_server(&members[begin], &members[end]))
			end++;
		for (size_t i = begin; i < end && end - begin > 1; i++) {
			size_t next = i + 1 < end ? i + 1 : begin;
			generation->backends[members[i].backend->number].sibling =
				(uint16_t)members[next].backend->number;
		}
		set_admin(generation, members + begin, end - begin);
	}
}

/* A scan must not free an unconfirmed session that a service still finds. */
static void raise_unconfirmed_timeout(struct berth_generation *generation, const struct berth_model *model,
				      const struct berth_model_service *group)
{
	uint32_t *most = &generation->services[group->number].timeout[BERTH_STATE_UNCONFIRMED];
	for (size_t i = 0; i < model->n_services; i++) {
		const struct berth_service *service = &generation->services[model->services[i].number];
		if (service->session_service == group->number && service->timeout[BERTH_STATE_UNCONFIRMED] > *most)
			*most = service->timeout[BERTH_STATE_UNCONFIRMED];
	}
}

/* Records with what a session lookup and a scan need. */
static void fill_group(struct berth_generation *generation, const struct berth_model_service *group)
{
	const struct berth_service_config *config = &group->config;
	struct berth_service *out = &generation->services[group->number];
	*out = (struct berth_service){
		.id = group->id,
		.session_key = group->session_key,
		.session_service = (uint16_t)group->number,
		.affinity = (uint8_t)config->affinity,
		.prefix4 = config->prefix4,
		.prefix6 = config->prefix6,
	};
	berth_compile_timeouts(config, out->timeout);
	for (size_t i = 0; i < group->n_backends; i++) {
		const struct berth_model_backend *backend = &group->backends[i];
		generation->backends[backend->number] = (struct berth_backend){
			.id = backend->id,
			.service = (uint16_t)group->number,
			.mode = (uint8_t)config->mode,
			.backup = (uint16_t)backend->backup,
			.address = backend->config.address,
		};
	}
}

static size_t add_members(struct group_member *members, const struct berth_model_service *services,
			  size_t n_services, bool is_group)
{
	size_t n = 0;
	for (size_t i = 0; i < n_services; i++)
		for (size_t j = 0; services[i].config.group[0] && j < services[i].n_backends; j++)
			members[n++] = (struct group_member){&services[i], &services[i].backends[j], is_group};
	return n;
}

int berth_compile_groups(struct berth_generation *generation, const struct berth_model *model)
{
	size_t n = 0;
	for (size_t i = 0; i < model->n_services; i++)
		n += model->services[i].n_backends;
	/* A group has at most as many servers as its services have backends. */
	struct group_member *members = calloc(n ? 2 * n : 1, sizeof(*members));
	if (!members)
		return -ENOMEM;
	for (size_t i = 0; i < model->n_groups; i++)
		fill_group(generation, &model->groups[i]);
	for (size_t i = 0; i < model->n_groups; i++)
		raise_unconfirmed_timeout(generation, model, &model->groups[i]);
	n = add_members(members, model->services, model->n_services, false);
	n += add_members(members + n, model->groups, model->n_groups, true);
	qsort(members, n, sizeof(*members), by_server);
	link_rings(generation, members, n);
	free(members);
	return 0;
}
