// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/daemon/health_targets.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/daemon/private.h"
#include "controlplane/util/address.h"

/* Of a prefix, the second address: the first one is no host address on some networks. */
static union berth_addr address_of(const struct berth_service_config *service)
{
	union berth_addr address = service->address;
	if (service->bits < BERTH_ADDRESS_BITS)
		address.byte[15] |= 1;
	return address;
}

static struct berth_health_target target_of(const struct berth_model_service *service,
					    const struct berth_model_backend *backend)
{
	const struct berth_health_config *check = service->config.health;
	return (struct berth_health_target){
		.id = backend->id,
		.address = check->via == BERTH_VIA_TUNNEL ? address_of(&service->config) : backend->config.address,
		.port = berth_config_probe_port(&service->config, &backend->config),
		.check = check,
		.service = service->config.name,
		.backend = backend->config.name,
		.initial = backend->health == BERTH_HEALTH_UNKNOWN ? -1 : backend->health == BERTH_HEALTH_UP,
		.reset = backend->health == BERTH_HEALTH_UNKNOWN,
	};
}

static struct berth_health_target agent_of(const struct berth_model_service *service,
					   const struct berth_model_backend *backend)
{
	return (struct berth_health_target){
		.id = berth_health_agent_id(backend->id),
		.address = backend->config.address,
		.check = service->config.health,
		.is_agent = true,
		.service = service->config.name,
		.backend = backend->config.name,
		.initial = -1,
	};
}

struct berth_health_stage *berth_health_targets_stage(struct berth_daemon *daemon, const struct berth_model *model)
{
	size_t n = 0;
	for (size_t i = 0; i < model->n_services; i++)
		n += model->services[i].n_backends * (model->services[i].config.health->agent_port ? 2 : 1);
	struct berth_health_target *targets = calloc(n + 1, sizeof(*targets));
	if (!targets)
		return NULL;
	n = 0;
	for (size_t i = 0; i < model->n_services; i++)
		for (size_t j = 0; j < model->services[i].n_backends; j++)
			targets[n++] = target_of(&model->services[i], &model->services[i].backends[j]);
	for (size_t i = 0; i < model->n_services; i++) {
		const struct berth_model_service *service = &model->services[i];
		for (size_t j = 0; service->config.health->agent_port && j < service->n_backends; j++)
			targets[n++] = agent_of(service, &service->backends[j]);
	}
	struct berth_health_stage *stage = berth_health_stage(daemon->health, targets, n);
	free(targets);
	return stage;
}

void berth_health_targets_refresh(struct berth_health_stage *stage, const struct berth_model *model)
{
	size_t n = 0;
	for (size_t i = 0; i < model->n_services; i++)
		for (size_t j = 0; j < model->services[i].n_backends; j++)
			berth_health_stage_reset(stage, n++,
						 model->services[i].backends[j].health == BERTH_HEALTH_UNKNOWN);
}

/* Finds an address of this family on the interface, for backends to answer to. False: not found. */
static bool find_source(bool want4, uint32_t ifindex, union berth_addr *source)
{
	char name[IF_NAMESIZE];
	struct ifaddrs *all;
	bool found = false;
	if (!if_indextoname(ifindex, name) || getifaddrs(&all))
		return false;
	for (const struct ifaddrs *one = all; one && !found; one = one->ifa_next) {
		if (!one->ifa_addr || strcmp(one->ifa_name, name) != 0)
			continue;
		if (want4 && one->ifa_addr->sa_family == AF_INET) {
			const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)one->ifa_addr;
			berth_addr_set4(source, (struct berth_be32){in->sin_addr.s_addr});
			found = true;
		} else if (!want4 && one->ifa_addr->sa_family == AF_INET6) {
			const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)(const void *)one->ifa_addr;
			memcpy(source, &in->sin6_addr, sizeof(*source));
			found = !IN6_IS_ADDR_LINKLOCAL(&in->sin6_addr);
		}
	}
	freeifaddrs(all);
	return found;
}

static bool find_next_hop(void *arg, uint64_t id, struct berth_health_next_hop *next_hop)
{
	const struct berth_daemon *daemon = arg;
	const struct berth_image *image = &daemon->engine->image;
	struct berth_model_service *service = NULL;
	const struct berth_model_backend *backend = berth_model_backend_by_id((struct berth_model *)&daemon->model,
									      id, &service);
	if (!backend || !backend->next_hop.is_resolved)
		return false;
	next_hop->backend = berth_image_current(image).backends[backend->number];
	next_hop->ifindex = daemon->model.ports[backend->next_hop.port].ifindex;
	next_hop->source = backend->next_hop.source;
	bool is4 = berth_addr_is4(&service->config.address);
	return next_hop->backend.id == id && (next_hop->backend.flags & BERTH_BACKEND_NEXT_HOP) &&
	       (berth_addr_is4(&next_hop->source) == is4 || find_source(is4, next_hop->ifindex, &next_hop->source));
}

void berth_health_targets_open(struct berth_daemon *daemon)
{
	const struct berth_health_next_hops next_hops = {.find = find_next_hop, .arg = daemon};
	berth_health_set_next_hops(daemon->health, &next_hops);
}
