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
static void print_name(FILE *out, const char *name, int most)
{
	for (const char *c = name; *c && c - name < most; c++)
		fputc(isalnum((unsigned char)*c) || strchr("._-", *c) ? *c : '-', out);
}

/* Weights of others start at 1, those of berth at 100, so that there is room below. Ratios stay. */
static unsigned int scale_of(const struct berth_import_service *service)
{
	unsigned int most = 1;
	for (size_t i = 0; i < service->n; i++)
		most = service->backends[i].weight > most ? service->backends[i].weight : most;
	return most <= 10 ? 100 : most <= 100 ? 10 : 1;
}

static void print_backends(FILE *out, const struct berth_import_service *service)
{
	const unsigned int scale = scale_of(service);
	fprintf(out, "    backends:%s\n", service->n ? "" : " []");
	for (size_t i = 0; i < service->n; i++) {
		const struct berth_import_backend *backend = &service->backends[i];
		fprintf(out, "      - {name: ");
		print_name(out, backend->name[0] ? backend->name : backend->address,
			   backend->is_dns ? DNS_NAME_LENGTH : NAME_LENGTH);
		fprintf(out, ", %s: '%s', weight: %u", backend->is_dns ? "dns" : "address", backend->address,
			backend->weight * scale);
		if (backend->port)
			fprintf(out, ", port: %u", backend->port);
		if (backend->max_flows)
			fprintf(out, ", max-flows: %u", backend->max_flows);
		fprintf(out, "}\n");
	}
}

static void print_command(FILE *out, const char *command)
{
	fprintf(out, ", command: [");
	for (const char *word = command; *word;) {
		const size_t length = strcspn(word, " ");
		fprintf(out, "%s'%.*s'", word == command ? "" : ", ", (int)length, word);
		word += length + strspn(word + length, " ");
	}
	fprintf(out, "]");
}

static void print_health(FILE *out, const struct berth_import_health *health)
{
	fprintf(out, "    health: {type: %s", health->type);
	if (strcmp(health->type, "none") != 0)
		fprintf(out, ", interval: %ums, timeout: %ums, rise: %u, fall: %u", health->interval_ms,
			health->timeout_ms, health->rise, health->fall);
	if (health->port)
		fprintf(out, ", port: %u", health->port);
	if (health->is_head)
		fprintf(out, ", method: HEAD");
	if (health->path[0])
		fprintf(out, ", path: '%s'", health->path);
	if (health->host[0])
		fprintf(out, ", host: '%s'", health->host);
	if (health->statuses[0])
		fprintf(out, ", expect: {status: [%s]}", health->statuses);
	if (health->is_unverified)
		fprintf(out, ", tls: {verify: false}");
	if (health->command[0])
		print_command(out, health->command);
	if (health->has_agent)
		fprintf(out, ", agent: {port: %u, interval: %ums}", health->agent_port, health->agent_interval_ms);
	fprintf(out, "}\n");
}

static void print_title(FILE *out, const struct berth_import_service *service)
{
	fprintf(out, "  - name: ");
	if (service->name[0]) {
		print_name(out, service->name, NAME_LENGTH);
	} else {
		fprintf(out, "%s-", service->protocol);
		print_name(out, service->address, NAME_LENGTH);
		service->port ? fprintf(out, "-%u", service->port) : fprintf(out, "-any");
	}
	fprintf(out, "\n    address: '%s'\n    protocol: %s\n", service->address, service->protocol);
	service->port ? fprintf(out, "    port: %u\n", service->port) : fprintf(out, "    port: any\n");
}

static void print_affinity(FILE *out, const struct berth_import_service *service)
{
	fprintf(out, "    affinity: {by: client, timeout: %us, prefix4: %u", service->affinity_s, service->prefix4);
	if (service->prefix6)
		fprintf(out, ", prefix6: %u", service->prefix6);
	fprintf(out, "}\n");
}

static void print_service(FILE *out, const struct berth_import_service *service)
{
	print_title(out, service);
	fprintf(out, "    mode: %s\n", service->mode[0] ? service->mode : "l2");
	if (service->gue_port)
		fprintf(out, "    gue-port: %u\n", service->gue_port);
	fprintf(out, "    scheduler: %s\n", service->scheduler);
	if (service->affinity_s)
		print_affinity(out, service);
	print_health(out, &service->health);
	print_backends(out, service);
}

void berth_import_print(FILE *out, const struct berth_import *import)
{
	for (size_t i = 0; i < import->n_notes; i++)
		fprintf(out, "# not imported: %s\n", import->notes[i]);
	fprintf(out, "# The interface of packets, by its name.\ninterfaces:\n  - {name: eth0}\nservices:%s\n",
		import->n ? "" : " []");
	for (size_t i = 0; i < import->n; i++)
		print_service(out, &import->services[i]);
}
