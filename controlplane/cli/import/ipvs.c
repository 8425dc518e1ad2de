// SPDX-License-Identifier: BSD-3-Clause
/*
 * The rules of IPVS as `ipvsadm -Sn` writes them:
 *
 *   -A -t 203.0.113.10:80 -s wlc -p 300
 *   -a -t 203.0.113.10:80 -r 192.0.2.11:80 -g -w 100
 */
#include <string.h>

#include "controlplane/cli/import/words.h"

static const char *option(const struct berth_import_words *rule, const char *name, const char *long_name)
{
	for (size_t i = 1; i + 1 < rule->n; i++)
		if (strcmp(rule->words[i], name) == 0 || strcmp(rule->words[i], long_name) == 0)
			return rule->words[i + 1];
	return NULL;
}

static bool has(const struct berth_import_words *rule, const char *name, const char *long_name)
{
	for (size_t i = 1; i < rule->n; i++)
		if (strcmp(rule->words[i], name) == 0 || strcmp(rule->words[i], long_name) == 0)
			return true;
	return false;
}

/* The service of -t or -u; NULL with a note: not one that berth has. */
static struct berth_import_service *find(struct berth_import *import, const struct berth_import_words *rule,
					 bool is_new)
{
	const char *tcp = option(rule, "-t", "--tcp-service"), *udp = option(rule, "-u", "--udp-service");
	const char *place = tcp ? tcp : udp;
	char address[BERTH_IMPORT_WORD];
	unsigned int port;
	if (!place || !berth_import_place(place, address, &port) || !port) {
		berth_import_note(import, "a service of %s: berth's have an address and a TCP or UDP port",
				  place ? place : "a firewall mark or SCTP");
		return NULL;
	}
	for (size_t i = 0; i < import->n && !is_new; i++) {
		struct berth_import_service *service = &import->services[i];
		if (strcmp(service->address, address) == 0 && service->port == port &&
		    strcmp(service->protocol, tcp ? "tcp" : "udp") == 0)
			return service;
	}
	if (!is_new) {
		berth_import_note(import, "a server of %s, which is no service before", place);
		return NULL;
	}
	struct berth_import_service *service = berth_import_add_service(import);
	if (!service)
		return NULL;
	snprintf(service->address, sizeof(service->address), "%s", address);
	snprintf(service->protocol, sizeof(service->protocol), "%s", tcp ? "tcp" : "udp");
	service->port = port;
	return service;
}

static void read_service(struct berth_import *import, const struct berth_import_words *rule)
{
	struct berth_import_service *service = find(import, rule, true);
	if (!service)
		return;
	const char *scheduler = option(rule, "-s", "--scheduler"), *timeout = option(rule, "-p", "--persistent");
	const char *mask = option(rule, "-M", "--netmask");
	service->scheduler = berth_import_ipvs_scheduler(import, scheduler ? scheduler : "wlc");
	if (has(rule, "-p", "--persistent"))
		service->affinity_s = timeout && timeout[0] != '-'
					      ? berth_import_number(import, timeout, 86400, 300)
					      : 300;
	if (mask)
		service->prefix4 = berth_import_mask(import, mask);
	if (has(rule, "-o", "--ops"))
		berth_import_note(import, "one-packet scheduling: datagrams of a client's port stay on a server");
	if (option(rule, "--pe", "--pe"))
		berth_import_note(import, "persistence engine %.16s: sessions are by the client's address",
				  option(rule, "--pe", "--pe"));
}

/* The mode of the server; all of a service have one in berth. */
static const char *mode_of(struct berth_import *import, const struct berth_import_words *rule)
{
	const char *tunnel = option(rule, "--tun-type", "--tun-type");
	if (has(rule, "-m", "--masquerading"))
		return "nat";
	if (!has(rule, "-i", "--ipip"))
		return "l2";
	if (tunnel && strcmp(tunnel, "gre") == 0)
		berth_import_note(import, "tunnel type gre: ipip is used");
	return tunnel && strcmp(tunnel, "gue") == 0 ? "gue" : "ipip";
}

static void read_options(struct berth_import *import, const struct berth_import_words *rule,
			 struct berth_import_service *service, struct berth_import_backend *backend)
{
	const char *weight = option(rule, "-w", "--weight"), *most = option(rule, "-x", "--u-threshold");
	const char *port = option(rule, "--tun-port", "--tun-port"), *least = option(rule, "-y", "--l-threshold");
	if (weight)
		backend->weight = berth_import_number(import, weight, BERTH_IMPORT_MAX_WEIGHT,
						      BERTH_IMPORT_MAX_WEIGHT);
	if (most)
		backend->max_flows = berth_import_number(import, most, BERTH_IMPORT_MAX_FLOWS, 0);
	if (least && strcmp(least, "0") != 0)
		berth_import_note(import, "lower threshold %.16s: a server at its limit is used again below it",
				  least);
	if (port && strcmp(service->mode, "gue") == 0)
		service->gue_port = berth_import_number(import, port, 65535, 6080);
}

static void read_server(struct berth_import *import, const struct berth_import_words *rule)
{
	struct berth_import_service *service = find(import, rule, false);
	const char *place = option(rule, "-r", "--real-server");
	char address[BERTH_IMPORT_WORD];
	unsigned int port;
	if (!service)
		return;
	if (!place || !berth_import_place(place, address, &port)) {
		berth_import_note(import, "a server at %.60s: not an address", place ? place : "none");
		return;
	}
	const char *mode = mode_of(import, rule);
	if (!berth_import_fits(import, service, address, mode))
		return;
	struct berth_import_backend *backend = berth_import_add_backend(import, service);
	if (!backend)
		return;
	snprintf(backend->address, sizeof(backend->address), "%s", address);
	backend->port = strcmp(mode, "nat") == 0 && port != service->port ? port : 0;
	read_options(import, rule, service, backend);
}

static void read_rule(struct berth_import *import, const struct berth_import_words *rule, void *arg)
{
	(void)arg;
	if (strcmp(rule->words[0], "-A") == 0 || strcmp(rule->words[0], "--add-service") == 0)
		read_service(import, rule);
	else if (strcmp(rule->words[0], "-a") == 0 || strcmp(rule->words[0], "--add-server") == 0)
		read_server(import, rule);
	else
		berth_import_note(import, "\"%.40s\" is no rule of `ipvsadm -Sn`", rule->words[0]);
}

void berth_import_ipvs(struct berth_import *import, FILE *in)
{
	berth_import_read_lines(import, in, "#", read_rule, NULL);
}
