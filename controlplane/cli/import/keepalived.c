// SPDX-License-Identifier: BSD-3-Clause
/*
 * Virtual servers of keepalived.conf(5):
 *
 *   virtual_server 203.0.113.10 80 {
 *       lb_kind DR
 *       real_server 192.0.2.11 80 {
 *           TCP_CHECK { connect_timeout 3 }
 *       }
 *   }
 */
#include <string.h>

#include "controlplane/cli/import/keepalived.h"

static unsigned int port_of(struct berth_keepalived *reader, const struct berth_import_words *words)
{
	return words->n > 2 ? berth_import_number(reader->import, words->words[2], 65535, 0) : 0;
}

const char *berth_keepalived_value(const struct berth_import_words *words)
{
	return words->n > 1 ? words->words[1] : "";
}

/* --- servers --- */

/* The mode of lvs_method or lb_kind. */
static void read_method(struct berth_keepalived *reader, const struct berth_import_words *words, char mode[8])
{
	const char *kind = berth_keepalived_value(words), *type = words->n > 3 ? words->words[3] : "ipip";
	if (strcasecmp(kind, "DR") == 0)
		snprintf(mode, 8, "l2");
	else if (strcasecmp(kind, "TUN") == 0)
		snprintf(mode, 8, "%s", strcmp(type, "gue") == 0 ? "gue" : "ipip");
	else
		snprintf(mode, 8, "nat");
	if (strcasecmp(kind, "TUN") == 0 && strcmp(type, "gre") == 0)
		berth_import_note(reader->import, "tunnel type gre: ipip is used");
	for (size_t i = 4; i + 1 < words->n; i++)
		if (strcmp(words->words[i], "port") == 0)
			reader->gue_port = berth_import_number(reader->import, words->words[i + 1], 65535, 6080);
}

static void read_weight(void *arg, const struct berth_import_words *words)
{
	struct berth_keepalived *reader = arg;
	reader->backend->weight = berth_import_number(reader->import, berth_keepalived_value(words),
						      BERTH_IMPORT_MAX_WEIGHT, BERTH_IMPORT_MAX_WEIGHT);
}

static void read_threshold(void *arg, const struct berth_import_words *words)
{
	struct berth_keepalived *reader = arg;
	reader->backend->max_flows = berth_import_number(reader->import, berth_keepalived_value(words),
							 BERTH_IMPORT_MAX_FLOWS, 0);
}

static void read_server_method(void *arg, const struct berth_import_words *words)
{
	struct berth_keepalived *reader = arg;
	char mode[8];
	read_method(reader, words, mode);
	if (strcmp(mode, reader->service->mode) != 0)
		berth_import_note(reader->import, "a method of its own: all servers of a service have one, here %s",
				  reader->service->mode);
}

#define HOOK "berthctl events --follow` or the metrics tell of changes; berth runs no scripts for them"

static const struct berth_import_keyword server_words[] = {
	BERTH_KEEPALIVED_CHECK_SETTINGS,
	{"weight", read_weight, NULL},
	{"uthreshold", read_threshold, NULL},
	{"lthreshold", NULL, "a server at its limit is used again below it"},
	{"lvs_method", read_server_method, NULL},
	{"lb_kind", read_server_method, NULL},
	{"virtualhost", berth_keepalived_virtualhost, NULL},
	{"inhibit_on_failure", NULL,
	 "berth keeps sessions of a server that is down, and `on-down` decides on its flows"},
	{"notify_up", NULL, "`" HOOK},
	{"notify_down", NULL, "`" HOOK},
	{"smtp_alert", NULL, "alerts come from Prometheus; berth.rules.yml has rules"},
	{"snmp_name", NULL, NULL},
};

static enum berth_keepalived_block begin_server(struct berth_keepalived *reader,
						const struct berth_import_words *words)
{
	const char *mode = reader->mode[0] ? reader->mode : "nat", *address = berth_keepalived_value(words);
	reader->backend = NULL;
	reader->server_settings = reader->settings;
	reader->has_check = false;
	if (!berth_import_is_address(address)) {
		berth_import_note(reader->import, "a server at %.60s: not an address", address);
		return BERTH_KEEPALIVED_IGNORED;
	}
	if (!berth_import_fits(reader->import, reader->service, address, mode))
		return BERTH_KEEPALIVED_IGNORED;
	reader->backend = berth_import_add_backend(reader->import, reader->service);
	if (!reader->backend)
		return BERTH_KEEPALIVED_IGNORED;
	snprintf(reader->backend->address, sizeof(reader->backend->address), "%s", address);
	reader->server_port = port_of(reader, words);
	if (strcmp(mode, "nat") == 0 && reader->service->port && reader->server_port != reader->service->port)
		reader->backend->port = reader->server_port;
	return BERTH_KEEPALIVED_SERVER;
}

static void end_server(struct berth_keepalived *reader)
{
	if (!reader->has_check && strcmp(reader->service->health.type, "none") != 0)
		berth_import_note(reader->import, "the server %s has no check: berth checks all of a service",
				  reader->backend->address);
}

/* --- services --- */

static void read_scheduler(void *arg, const struct berth_import_words *words)
{
	struct berth_keepalived *reader = arg;
	reader->service->scheduler = berth_import_ipvs_scheduler(reader->import, berth_keepalived_value(words));
}

static void read_service_method(void *arg, const struct berth_import_words *words)
{
	struct berth_keepalived *reader = arg;
	read_method(reader, words, reader->mode);
}

static void read_persistence(void *arg, const struct berth_import_words *words)
{
	struct berth_keepalived *reader = arg;
	reader->service->affinity_s = words->n < 2 ? BERTH_KEEPALIVED_PERSISTENCE_S
						   : berth_import_number(reader->import, words->words[1], 86400,
									 BERTH_KEEPALIVED_PERSISTENCE_S);
}

static void read_granularity(void *arg, const struct berth_import_words *words)
{
	struct berth_keepalived *reader = arg;
	if (strchr(reader->service->address, ':'))
		reader->service->prefix6 = berth_import_number(reader->import, berth_keepalived_value(words), 128,
							       128);
	else
		reader->service->prefix4 = berth_import_mask(reader->import, berth_keepalived_value(words));
}

static void read_protocol(void *arg, const struct berth_import_words *words)
{
	struct berth_keepalived *reader = arg;
	if (strcasecmp(berth_keepalived_value(words), "SCTP") == 0)
		berth_import_note(reader->import, "protocol SCTP: berth has TCP and UDP; remove this service");
	else
		snprintf(reader->service->protocol, sizeof(reader->service->protocol), "%s",
			 strcasecmp(berth_keepalived_value(words), "UDP") == 0 ? "udp" : "tcp");
}

static const struct berth_import_keyword service_words[] = {
	BERTH_KEEPALIVED_CHECK_SETTINGS,
	{"lb_algo", read_scheduler, NULL},
	{"lvs_sched", read_scheduler, NULL},
	{"lb_kind", read_service_method, NULL},
	{"lvs_method", read_service_method, NULL},
	{"persistence_timeout", read_persistence, NULL},
	{"persistence_granularity", read_granularity, NULL},
	{"persistence_engine", NULL, "sessions are by the client's address"},
	{"protocol", read_protocol, NULL},
	{"virtualhost", berth_keepalived_virtualhost, NULL},
	{"ops", NULL, "one-packet scheduling: datagrams of a client's port stay on a server"},
	{"sorry_server", NULL,
	 "berth has no server of last resort; `panic-threshold` keeps those that were up last"},
	{"sorry_server_inhibit", NULL, NULL},
	{"quorum", NULL, "write announce.min-eligible: below it the node withdraws the address"},
	{"hysteresis", NULL, NULL},
	{"quorum_up", NULL, "`" HOOK},
	{"quorum_down", NULL, "`" HOOK},
	{"inhibit_on_failure", NULL,
	 "berth keeps sessions of a server that is down, and `on-down` decides on its flows"},
	{"ha_suspend", NULL, NULL},
	{"omega", NULL, NULL},
	{"smtp_alert", NULL, "alerts come from Prometheus; berth.rules.yml has rules"},
	{"snmp_name", NULL, NULL},
	{"flag-1", NULL, NULL},
	{"flag-2", NULL, NULL},
	{"mh-port", NULL, NULL},
	{"mh-fallback", NULL, NULL},
};

static enum berth_keepalived_block begin_service(struct berth_keepalived *reader,
						 const struct berth_import_words *words)
{
	if (!berth_import_is_address(berth_keepalived_value(words))) {
		berth_import_note(reader->import,
				  "virtual_server %.40s: berth's services have an address; write one for each",
				  berth_keepalived_value(words));
		return BERTH_KEEPALIVED_IGNORED;
	}
	struct berth_import_service *service = berth_import_add_service(reader->import);
	if (!service)
		return BERTH_KEEPALIVED_IGNORED;
	snprintf(service->address, sizeof(service->address), "%s", berth_keepalived_value(words));
	snprintf(service->protocol, sizeof(service->protocol), "tcp");
	service->port = port_of(reader, words);
	service->scheduler = "least-conn"; /* wlc */
	reader->service = service;
	reader->mode[0] = '\0';
	reader->gue_port = 0;
	reader->settings = (struct berth_import_health){.interval_ms = BERTH_KEEPALIVED_INTERVAL_MS,
							.timeout_ms = BERTH_KEEPALIVED_TIMEOUT_MS,
							.rise = 1,
							.fall = 2};
	return BERTH_KEEPALIVED_SERVICE;
}

static void end_service(struct berth_keepalived *reader)
{
	struct berth_import_service *service = reader->service;
	if (strcmp(service->mode, "gue") == 0)
		service->gue_port = reader->gue_port;
	const char *type = service->health.type;
	const bool needs_port = strcmp(type, "none") != 0 && strcmp(type, "icmp") != 0;
	if (service->port || service->health.port || !needs_port)
		return;
	service->health.port = reader->server_port;
	if (!service->health.port) {
		berth_import_note(reader->import,
				  "a check without a port, of a service of all ports: write health");
		service->health = (struct berth_import_health){.type = "none"};
	}
}

/* --- blocks --- */

static enum berth_keepalived_block begin_top(struct berth_keepalived *reader,
					     const struct berth_import_words *words)
{
	const char *name = words->words[0];
	if (strcmp(name, "virtual_server") == 0)
		return begin_service(reader, words);
	if (strncmp(name, "vrrp", 4) == 0)
		berth_import_note(reader->import,
				  "%.40s: keepalived can go on with it; announce.md says how it asks berth", name);
	else if (strcmp(name, "virtual_server_group") == 0)
		berth_import_note(reader->import,
				  "virtual_server_group: write a service for each of its addresses");
	else
		berth_import_note(reader->import, "%.40s: settings of keepalived itself", name);
	return BERTH_KEEPALIVED_IGNORED;
}

static enum berth_keepalived_block begin(struct berth_keepalived *reader, const struct berth_import_words *words)
{
	switch (reader->blocks[reader->depth]) {
	case BERTH_KEEPALIVED_TOP:
		return begin_top(reader, words);
	case BERTH_KEEPALIVED_SERVICE:
		if (strcmp(words->words[0], "real_server") == 0)
			return begin_server(reader, words);
		break;
	case BERTH_KEEPALIVED_SERVER:
		return berth_keepalived_begin_check(reader, words->words[0]);
	case BERTH_KEEPALIVED_CHECK:
		if (strcmp(words->words[0], "url") != 0)
			break;
		if (reader->n_urls++ == 0)
			return BERTH_KEEPALIVED_URL;
		berth_import_note(reader->import, "a second url: a check has one");
		return BERTH_KEEPALIVED_IGNORED;
	default:
		return BERTH_KEEPALIVED_IGNORED;
	}
	berth_import_note(reader->import, "\"%.40s\" is not imported", words->words[0]);
	return BERTH_KEEPALIVED_IGNORED;
}

static void end(struct berth_keepalived *reader)
{
	const enum berth_keepalived_block block = reader->blocks[reader->depth];
	if (block == BERTH_KEEPALIVED_SERVICE)
		end_service(reader);
	else if (block == BERTH_KEEPALIVED_SERVER)
		end_server(reader);
	else if (block == BERTH_KEEPALIVED_CHECK)
		berth_keepalived_end_check(reader);
	reader->depth -= reader->depth > 0;
}

static void read_statement(struct berth_keepalived *reader, const struct berth_import_words *words)
{
	struct berth_import *import = reader->import;
	const enum berth_keepalived_block block = reader->blocks[reader->depth];
	if (block == BERTH_KEEPALIVED_TOP)
		berth_import_note(
			import,
			"\"%.40s\" is not read: import included files by themselves, and write values in place of "
			"variables",
			words->words[0]);
	else if (block == BERTH_KEEPALIVED_SERVICE)
		berth_import_statement(import, service_words, sizeof(service_words) / sizeof(service_words[0]),
				       words, reader);
	else if (block == BERTH_KEEPALIVED_SERVER)
		berth_import_statement(import, server_words, sizeof(server_words) / sizeof(server_words[0]), words,
				       reader);
	else if (block != BERTH_KEEPALIVED_IGNORED)
		berth_keepalived_read_check(reader, words);
}

/* A line has statements, and braces between them. */
static void read_line(struct berth_import *import, const struct berth_import_words *line, void *arg)
{
	struct berth_keepalived *reader = arg;
	struct berth_import_words words = {.n = 0};
	for (size_t i = 0; i < line->n && !import->has_failed; i++) {
		const bool opens = strcmp(line->words[i], "{") == 0, closes = strcmp(line->words[i], "}") == 0;
		if (!opens && !closes) {
			words.words[words.n++] = line->words[i];
			continue;
		}
		if (opens && reader->depth + 1 == BERTH_KEEPALIVED_MAX_DEPTH) {
			import->has_failed = true;
		} else if (opens) {
			reader->blocks[reader->depth + 1] = words.n ? begin(reader, &words)
								    : BERTH_KEEPALIVED_IGNORED;
			reader->depth++;
		} else if (words.n) {
			read_statement(reader, &words);
		}
		if (closes)
			end(reader);
		words.n = 0;
	}
	if (words.n && !import->has_failed)
		read_statement(reader, &words);
}

void berth_import_keepalived(struct berth_import *import, FILE *in)
{
	struct berth_keepalived reader = {.import = import};
	berth_import_read_lines(import, in, "#!", read_line, &reader);
}
