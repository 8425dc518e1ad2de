// SPDX-License-Identifier: BSD-3-Clause
/* Servers of haproxy.cfg, and their checks: a service of berth has one check. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/cli/import/haproxy.h"

void berth_haproxy_clear_defaults(struct berth_haproxy_proxy *defaults)
{
	free(defaults->service.backends);
	free(defaults->binds);
	*defaults = (struct berth_haproxy_proxy){
		.service = {.scheduler = "round-robin",
			    .prefix4 = 32,
			    .health = {.type = "tcp",
				       .interval_ms = 2000,
				       .timeout_ms = BERTH_HAPROXY_TIMEOUT_MS,
				       .agent_interval_ms = 2000,
				       .rise = 2,
				       .fall = 3}},
		.default_server = {.weight = 1},
	};
}

/* --- checks --- */

void berth_haproxy_http_check(struct berth_haproxy *reader, const struct berth_import_words *words)
{
	struct berth_import_health *health = &reader->proxy->service.health;
	/* option httpchk [METHOD] URI [VERSION] */
	const bool has_method = words->n > 3;
	const char *path = words->n > 2 ? words->words[has_method ? 3 : 2] : "/";
	health->type = "http";
	health->is_head = has_method && strcmp(words->words[2], "HEAD") == 0;
	if (has_method && !health->is_head && strcmp(words->words[2], "GET") != 0)
		berth_import_note(reader->import, "option httpchk %.20s: GET is used", words->words[2]);
	berth_import_copy(reader->import, health->path, sizeof(health->path), path);
	if (words->n <= 2)
		berth_import_note(reader->import, "option httpchk without a method asks with OPTIONS: GET is used");
}

/* http-check send meth GET uri /x ver HTTP/1.1 hdr Host name */
static void read_send(struct berth_haproxy *reader, const struct berth_import_words *words)
{
	struct berth_import_health *health = &reader->proxy->service.health;
	for (size_t i = 2; i + 1 < words->n; i++) {
		const char *word = words->words[i], *value = words->words[i + 1];
		if (strcmp(word, "meth") == 0)
			health->is_head = strcmp(value, "HEAD") == 0;
		else if (strcmp(word, "uri") == 0)
			berth_import_copy(reader->import, health->path, sizeof(health->path), value);
		else if (strcmp(word, "hdr") == 0 && i + 2 < words->n && strcasecmp(value, "Host") == 0)
			berth_import_copy(reader->import, health->host, sizeof(health->host), words->words[i + 2]);
	}
}

/* "200", "200-299", "200,301" */
static void read_statuses(struct berth_haproxy *reader, const char *text)
{
	struct berth_import_health *health = &reader->proxy->service.health;
	const size_t length = strlen(text);
	if (length == 0 || length >= sizeof(health->statuses) || strspn(text, "0123456789-,") != length)
		berth_import_note(reader->import, "status %.40s: write health.expect.status by hand", text);
	else
		snprintf(health->statuses, sizeof(health->statuses), "%s", text);
}

void berth_haproxy_read_http_check(void *arg, const struct berth_import_words *words)
{
	struct berth_haproxy *reader = arg;
	const char *what = words->n > 1 ? words->words[1] : "";
	if (strcmp(what, "send") == 0)
		read_send(reader, words);
	else if (strcmp(what, "expect") == 0 && words->n > 3 && strcmp(words->words[2], "status") == 0)
		read_statuses(reader, words->words[3]);
	else
		berth_import_note(reader->import, "http-check %.20s: write health.expect by hand", what);
}

/* --- servers --- */

struct server {
	struct berth_haproxy *reader;
	struct berth_import_backend *backend;
	bool is_backup;
};

static void read_weight(struct server *server, const char *value)
{
	server->backend->weight = berth_import_number(server->reader->import, value, 256, 1);
}

static void read_maxconn(struct server *server, const char *value)
{
	server->backend->max_flows = berth_import_number(server->reader->import, value, BERTH_IMPORT_MAX_FLOWS, 0);
	berth_import_note(server->reader->import,
			  "maxconn: max-flows; beyond it clients get other backends, and no queue");
}

static void read_inter(struct server *server, const char *value)
{
	struct berth_import_health *health = &server->reader->proxy->service.health;
	health->interval_ms = berth_import_duration(server->reader->import, value, 1, 2000);
}

static void read_rise(struct server *server, const char *value)
{
	server->reader->proxy->service.health.rise = berth_import_number(server->reader->import, value, 100, 2);
}

static void read_fall(struct server *server, const char *value)
{
	server->reader->proxy->service.health.fall = berth_import_number(server->reader->import, value, 100, 3);
}

static void read_port(struct server *server, const char *value)
{
	server->reader->proxy->service.health.port = berth_import_number(server->reader->import, value, 65535, 0);
}

static void set_check(struct server *server, const char *value)
{
	(void)value;
	server->reader->proxy->has_check = true;
}

static void set_check_ssl(struct server *server, const char *value)
{
	(void)value;
	struct berth_import_health *health = &server->reader->proxy->service.health;
	if (strncmp(health->type, "http", 4) == 0)
		health->type = "https";
	health->is_unverified = strcmp(health->type, "https") == 0;
}

static void set_agent(struct server *server, const char *value)
{
	(void)value;
	server->reader->proxy->service.health.has_agent = true;
}

static void read_agent_port(struct server *server, const char *value)
{
	server->reader->proxy->service.health.agent_port = berth_import_number(server->reader->import, value, 65535,
									       0);
}

static void read_agent_inter(struct server *server, const char *value)
{
	server->reader->proxy->service.health.agent_interval_ms = berth_import_duration(server->reader->import,
											value, 1, 2000);
}

static void set_backup(struct server *server, const char *value)
{
	(void)value;
	server->is_backup = true;
	berth_import_note(
		server->reader->import,
		"a backup server: berth has none for when all others are down; key `backup` names the backend "
		"that takes over the sessions of one");
}

static void set_disabled(struct server *server, const char *value)
{
	(void)value;
	server->backend->weight = 0;
}

static const struct parameter {
	const char *name;
	bool has_value;
	void (*read)(struct server *server, const char *value);
	const char *instead;
} parameters[] = {
	{"check", false, set_check, NULL},
	{"check-ssl", false, set_check_ssl, NULL},
	{"weight", true, read_weight, NULL},
	{"maxconn", true, read_maxconn, NULL},
	{"inter", true, read_inter, NULL},
	{"rise", true, read_rise, NULL},
	{"fall", true, read_fall, NULL},
	{"port", true, read_port, NULL},
	{"agent-check", false, set_agent, NULL},
	{"agent-port", true, read_agent_port, NULL},
	{"agent-inter", true, read_agent_inter, NULL},
	{"agent-addr", true, NULL, "agents are asked at the address of their backend"},
	{"agent-send", true, NULL, "berth sends agents nothing"},
	{"backup", false, set_backup, NULL},
	{"disabled", false, set_disabled, NULL},
	{"fastinter", true, NULL, NULL},
	{"downinter", true, NULL, NULL},
	{"cookie", true, NULL, NULL},
	{"resolvers", true, NULL, NULL},
	{"init-addr", true, NULL, NULL},
	{"resolve-prefer", true, NULL, NULL},
	{"verify", true, NULL, NULL},
	{"ca-file", true, NULL, NULL},
	{"sni", true, NULL, NULL},
	{"slowstart", true, NULL, "write slow-start of the service"},
	{"on-marked-down", true, NULL, "write on-down of the service"},
	{"send-proxy", false, NULL, "servers see the client's address without the PROXY protocol: end it there"},
	{"send-proxy-v2", false, NULL, "servers see the client's address without the PROXY protocol: end it there"},
	{"ssl", false, NULL, "berth begins no TLS: clients must speak it with the server"},
	{"track", true, NULL, "each service has checks of its own; one probe serves all that are equal"},
};

static const struct parameter *find(const char *name)
{
	for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++)
		if (strcmp(parameters[i].name, name) == 0)
			return &parameters[i];
	return NULL;
}

static void read_parameters(struct server *server, const struct berth_import_words *words, size_t first)
{
	for (size_t i = first; i < words->n; i++) {
		const struct parameter *parameter = find(words->words[i]);
		if (!parameter || (parameter->has_value && i + 1 == words->n)) {
			berth_import_note(server->reader->import, "parameters of a server from \"%.30s\" on",
					  words->words[i]);
			return;
		}
		if (parameter->instead)
			berth_import_note(server->reader->import, "%s: %s", parameter->name, parameter->instead);
		if (parameter->read)
			parameter->read(server, parameter->has_value ? words->words[i + 1] : NULL);
		i += parameter->has_value;
	}
}

/* An address, or a DNS name with a dot; each may have a port. */
static bool parse_server(const char *text, struct berth_import_backend *backend)
{
	char address[BERTH_IMPORT_WORD];
	if (berth_import_place(text, address, &backend->port)) {
		snprintf(backend->address, sizeof(backend->address), "%s", address);
		return true;
	}
	const char *colon = strchr(text, ':');
	const size_t length = colon ? (size_t)(colon - text) : strlen(text);
	if (length == 0 || length >= sizeof(backend->address) || !isalpha((unsigned char)text[0]) ||
	    (colon && atoi(colon + 1) <= 0))
		return false;
	snprintf(backend->address, sizeof(backend->address), "%.*s", (int)length, text);
	backend->port = colon ? (unsigned int)atoi(colon + 1) : 0;
	backend->is_dns = strchr(backend->address, '.') &&
			  strspn(backend->address, "abcdefghijklmnopqrstuvwxyz"
						   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") == length;
	return backend->is_dns;
}

void berth_haproxy_read_server(void *arg, const struct berth_import_words *words)
{
	struct berth_haproxy *reader = arg;
	struct berth_import_service *service = &reader->proxy->service;
	struct berth_import_backend made = reader->proxy->default_server;
	if (words->n < 3 || !parse_server(words->words[2], &made)) {
		berth_import_note(reader->import, "server %.40s: neither an address nor a full DNS name",
				  words->n < 3 ? "" : words->words[2]);
		return;
	}
	snprintf(made.name, sizeof(made.name), "%s", words->words[1]);
	struct server server = {.reader = reader, .backend = &made};
	read_parameters(&server, words, 3);
	if (server.is_backup || (!made.is_dns && !berth_import_fits(reader->import, service, made.address, "nat")))
		return;
	struct berth_import_backend *backend = berth_import_add_backend(reader->import, service);
	if (backend)
		*backend = made;
}

void berth_haproxy_read_default_server(void *arg, const struct berth_import_words *words)
{
	struct berth_haproxy *reader = arg;
	struct server server = {.reader = reader, .backend = &reader->proxy->default_server};
	read_parameters(&server, words, 1);
}
