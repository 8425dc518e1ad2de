// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/model/groups.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A backend of a service that is in a group. */
struct group_server {
	const struct berth_service_config *service;
	const struct berth_backend_config *backend; /* NULL: the service itself, before its backends */
};

static const char *name_of(const struct group_server *server)
{
	return server->backend ? server->backend->name : "";
}

/* By group, then by server, then in the order of the file. */
static int by_server(const void *left, const void *right)
{
	const struct group_server *a = left, *b = right;
	int order = strcmp(a->service->group, b->service->group);
	if (!order)
		order = strcmp(name_of(a), name_of(b));
	return order ? order : (a->service > b->service) - (a->service < b->service);
}

/* All services in groups and their backends, sorted. NULL: out of memory. */
static struct group_server *list_servers(const struct berth_config *config, size_t *n)
{
	size_t room = 1;
	*n = 0;
	for (size_t i = 0; i < config->n_services; i++)
		room += config->services[i].n_backends + 1;
	struct group_server *servers = calloc(room, sizeof(*servers));
	if (!servers)
		return NULL;
	for (size_t i = 0; i < config->n_services; i++) {
		const struct berth_service_config *service = &config->services[i];
		if (!service->group[0])
			continue;
		servers[(*n)++] = (struct group_server){service, NULL};
		for (size_t j = 0; j < service->n_backends; j++)
			servers[(*n)++] = (struct group_server){service, &service->backends[j]};
	}
	qsort(servers, *n, sizeof(*servers), by_server);
	return servers;
}

/* A group's config has the session settings of its first service, which all of them share. */
static int begin_group(struct berth_group_configs *groups, const struct berth_service_config *first, size_t room)
{
	struct berth_service_config *group = &groups->configs[groups->n++];
	*group = *first;
	memcpy(group->name, first->group, sizeof(group->name));
	group->n_backends = group->n_configured = group->n_sources = 0;
	group->sources = NULL;
	group->backends = calloc(room ? room : 1, sizeof(*group->backends));
	return group->backends ? 0 : -ENOMEM;
}

int berth_group_configs_make(struct berth_group_configs *groups, const struct berth_config *config)
{
	size_t n;
	int err = 0;
	struct group_server *servers = list_servers(config, &n);
	*groups = (struct berth_group_configs){
		.configs = calloc(config->n_services ? config->n_services : 1, sizeof(*groups->configs))};
	if (!servers || !groups->configs)
		err = -ENOMEM;
	for (size_t i = 0; i < n && !err; i++) {
		const struct berth_service_config *service = servers[i].service;
		bool is_first = i == 0 || strcmp(servers[i - 1].service->group, service->group) != 0;
		if (is_first) {
			size_t end = i;
			while (end < n && strcmp(servers[end].service->group, service->group) == 0)
				end++;
			err = begin_group(groups, service, end - i);
		} else if (servers[i].backend && strcmp(name_of(&servers[i - 1]), name_of(&servers[i])) != 0) {
			struct berth_service_config *group = &groups->configs[groups->n - 1];
			group->backends[group->n_backends++] = *servers[i].backend;
		}
	}
	free(servers);
	return err;
}

void berth_group_configs_clear(struct berth_group_configs *groups)
{
	for (size_t i = 0; i < groups->n; i++)
		free(groups->configs[i].backends);
	free(groups->configs);
	*groups = (struct berth_group_configs){0};
}

static int compare_group(const void *name, const void *group)
{
	return strcmp(name, ((const struct berth_model_service *)group)->config.name);
}

static int compare_backend(const void *name, const void *backend)
{
	return strcmp(name, ((const struct berth_model_backend *)backend)->config.name);
}

void berth_groups_link(const struct berth_model_service *groups, size_t n_groups,
		       struct berth_model_service *services, size_t n_services)
{
	for (size_t i = 0; i < n_services; i++) {
		struct berth_model_service *service = &services[i];
		if (!service->config.group[0])
			continue;
		const struct berth_model_service *group = bsearch(service->config.group, groups, n_groups,
								  sizeof(*groups), compare_group);
		service->session_service = group->number;
		for (size_t j = 0; j < service->n_backends; j++) {
			const struct berth_model_backend *server = bsearch(
				service->backends[j].config.name, group->backends, group->n_backends,
				sizeof(*group->backends), compare_backend);
			service->backends[j].session_number = server->number;
		}
	}
}
