// SPDX-License-Identifier: BSD-3-Clause
/* What was imported, as a configuration of berth. */
#include <ctype.h>
#include <string.h>

#include "controlplane/cli/import/import.h"

enum {
	NAME_LENGTH = 63,     /* of berth */
	DNS_NAME_LENGTH = 23, /* of a backend by DNS name */
};

/* A name, or an address as a name: other characters become "-". */
static void print_name(const char *name, int most)
{
	for (const char *c = name; *c && c - name < most; c++)
		putchar(isalnum((unsigned char)*c) || strchr("._-", *c) ? *c : '-');
}

/* Weights of others start at 1, those of berth at 100, so that there is room below. Ratios stay. */
static unsigned int scale_of(const struct berth_import_service *service)
{
	unsigned int most = 1;
	for (size_t i = 0; i < service->n; i++)
		most = service->backends[i].weight > most ? service->backends[i].weight : most;
	return most <= 10 ? 100 : most <= 100 ? 10 : 1;
}

static void print_backends(const struct berth_import_service *service)
{
	const unsigned int scale = scale_of(service);
	printf("    backends:%s\n", service->n ? "" : " []");
	for (size_t i = 0; i < service->n; i++) {
		const struct berth_import_backend *backend = &service->backends[i];
		printf("      - {name: ");
		print_name(backend->name[0] ? backend->name : backend->address,
			   backend->is_dns ? DNS_NAME_LENGTH : NAME_LENGTH);
		printf(", %s: '%s', weight: %u", backend->is_dns ? "dns" : "address", backend->address,
		       backend->weight * scale);
		if (backend->port)
			printf(", port: %u", backend->port);
		if (backend->max_flows)
			printf(", max-flows: %u", backend->max_flows);
		printf("}\n");
	}
}

static void print_command(const char *command)
{
	printf(", command: [");
	for (const char *word = command; *word;) {
		const size_t length = strcspn(word, " ");
		printf("%s'%.*s'", word == command ? "" : ", ", (int)length, word);
		word += length + strspn(word + length, " ");
	}
	printf("]");
}

static void print_health(const struct berth_import_health *health)
{
	printf("    health: {type: %s", health->type);
	if (strcmp(health->type, "none") != 0)
		printf(", interval: %ums, timeout: %ums, rise: %u, fall: %u", health->interval_ms,
		       health->timeout_ms, health->rise, health->fall);
	if (health->port)
		printf(", port: %u", health->port);
	if (health->is_head)
		printf(", method: HEAD");
	if (health->path[0])
		printf(", path: '%s'", health->path);
	if (health->host[0])
		printf(", host: '%s'", health->host);
	if (health->statuses[0])
		printf(", expect: {status: [%s]}", health->statuses);
	if (health->is_unverified)
		printf(", tls: {verify: false}");
	if (health->command[0])
		print_command(health->command);
	if (health->has_agent)
		printf(", agent: {port: %u, interval: %ums}", health->agent_port, health->agent_interval_ms);
	printf("}\n");
}

static void print_title(const struct berth_import_service *service)
{
	printf("  - name: ");
	if (service->name[0]) {
		print_name(service->name, NAME_LENGTH);
	} else {
		printf("%s-", service->protocol);
		print_name(service->address, NAME_LENGTH);
		service->port ? printf("-%u", service->port) : printf("-any");
	}
	printf("\n    address: '%s'\n    protocol: %s\n", service->address, service->protocol);
	service->port ? printf("    port: %u\n", service->port) : printf("    port: any\n");
}

static void print_affinity(const struct berth_import_service *service)
{
	printf("    affinity: {by: client, timeout: %us, prefix4: %u", service->affinity_s, service->prefix4);
	if (service->prefix6)
		printf(", prefix6: %u", service->prefix6);
	printf("}\n");
}

static void print_service(const struct berth_import_service *service)
{
	print_title(service);
	printf("    mode: %s\n", service->mode[0] ? service->mode : "l2");
	if (service->gue_port)
		printf("    gue-port: %u\n", service->gue_port);
	printf("    scheduler: %s\n", service->scheduler);
	if (service->affinity_s)
		print_affinity(service);
	print_health(&service->health);
	print_backends(service);
}

void berth_import_print(const struct berth_import *import)
{
	for (size_t i = 0; i < import->n_notes; i++) {
		fprintf(stderr, "%s\n", import->notes[i]);
		printf("# not imported: %s\n", import->notes[i]);
	}
	printf("# The interface of packets, by its name.\ninterfaces:\n  - {name: eth0}\nservices:%s\n",
	       import->n ? "" : " []");
	for (size_t i = 0; i < import->n; i++)
		print_service(&import->services[i]);
}
