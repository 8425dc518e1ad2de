// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/compile/groups.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct group_member {
	const struct berth_model_service *service;
	const struct berth_model_backend *backend;
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
	}
}

int berth_compile_groups(struct berth_generation *generation, const struct berth_model *model)
{
	size_t n = 0;
	for (size_t i = 0; i < model->n_services; i++)
		n += model->services[i].config.group[0] ? model->services[i].n_backends : 0;
	struct group_member *members = calloc(n ? n : 1, sizeof(*members));
	if (!members)
		return -ENOMEM;
	n = 0;
	for (size_t i = 0; i < model->n_services; i++) {
		const struct berth_model_service *service = &model->services[i];
		for (size_t j = 0; service->config.group[0] && j < service->n_backends; j++)
			members[n++] = (struct group_member){service, &service->backends[j]};
	}
	qsort(members, n, sizeof(*members), by_server);
	link_rings(generation, members, n);
	free(members);
	return 0;
}
