/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/config/config.h"

#include <netinet/in.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct berth_config_text *berth_config_text_new(const char *text, size_t length)
{
	struct berth_config_text *copy = malloc(sizeof(*copy) + length + 1);

	if (!copy)
		return NULL;
	copy->users = 1;
	copy->length = length;
	memcpy(copy->text, text, length);
	copy->text[length] = 0;
	return copy;
}

void berth_config_text_free(struct berth_config_text *text)
{
	if (text && --text->users == 0)
		free(text);
}

static int compare_checks(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct berth_health_config));
}

static void free_checks(struct berth_config_checks *checks)
{
	if (!checks || --checks->users)
		return;
	tdestroy(checks->tree, free);
	free(checks);
}

const struct berth_health_config *berth_config_share_health(struct berth_config *config,
							    const struct berth_health_config *health)
{
	if (!config->checks) {
		config->checks = calloc(1, sizeof(*config->checks));
		if (!config->checks)
			return NULL;
		config->checks->users = 1;
	}
	void *node = tfind(health, &config->checks->tree, compare_checks);
	if (node)
		return *(const struct berth_health_config **)node;
	struct berth_health_config *copy = malloc(sizeof(*copy));
	if (!copy)
		return NULL;
	*copy = *health;
	if (tsearch(copy, &config->checks->tree, compare_checks))
		return copy;
	free(copy);
	return NULL;
}

void berth_config_free(struct berth_config *config)
{
	if (!config)
		return;
	free_checks(config->checks);
	berth_config_text_free(config->text);
	for (size_t i = 0; i < config->n_services; i++) {
		free(config->services[i].backends);
		free(config->services[i].sources);
	}
	free(config->services);
	free(config->interfaces);
	free(config);
}

static void *duplicate(const void *from, size_t n, size_t size)
{
	void *copy = calloc(n ? n : 1, size);

	if (copy && n)
		memcpy(copy, from, n * size);
	return copy;
}

/* Replaces the lists of a shallow copy by copies. */
static bool duplicate_lists(struct berth_service_config *service)
{
	service->n_backends = service->n_configured;
	service->backends = duplicate(service->backends, service->n_configured, sizeof(*service->backends));
	service->sources = duplicate(service->sources, service->n_sources, sizeof(*service->sources));
	return service->backends && service->sources;
}

struct berth_config *berth_config_copy_configured(const struct berth_config *config)
{
	struct berth_config *copy = malloc(sizeof(*copy));

	if (!copy)
		return NULL;
	*copy = *config;
	if (copy->text)
		copy->text->users++;
	if (copy->checks)
		copy->checks->users++;
	copy->interfaces = duplicate(config->interfaces, config->n_interfaces, sizeof(*config->interfaces));
	copy->services = duplicate(config->services, config->n_services, sizeof(*config->services));
	copy->n_services = 0;
	bool whole = copy->interfaces && copy->services;
	while (whole && copy->n_services < config->n_services)
		whole = duplicate_lists(&copy->services[copy->n_services++]);
	if (whole)
		return copy;
	berth_config_free(copy);
	return NULL;
}

bool berth_config_has_one_port(const struct berth_service_config *service)
{
	return service->port == service->last_port;
}

uint16_t berth_config_probe_port(const struct berth_service_config *service,
				 const struct berth_backend_config *backend)
{
	return service->health->port ? service->health->port : backend->port ? backend->port : service->port;
}

const char *berth_config_format_ports(const struct berth_service_config *service, char text[BERTH_PORTS_TEXT])
{
	if (berth_config_has_one_port(service))
		snprintf(text, BERTH_PORTS_TEXT, "%u", service->port);
	else if (service->port == 0)
		snprintf(text, BERTH_PORTS_TEXT, "any");
	else
		snprintf(text, BERTH_PORTS_TEXT, "%u-%u", service->port, service->last_port);
	return text;
}

const char *berth_schedule_name(enum berth_schedule scheduler)
{
	static const char *const names[] = {"maglev", "bounded", "least-conn", "round-robin", "response-time"};
	return names[scheduler];
}

bool berth_schedule_compares_loads(enum berth_schedule scheduler)
{
	return scheduler == BERTH_SCHEDULE_LEAST_CONN || scheduler == BERTH_SCHEDULE_RESPONSE_TIME;
}

const char *berth_protocol_name(uint8_t protocol)
{
	return protocol == IPPROTO_TCP ? "tcp" : "udp";
}
