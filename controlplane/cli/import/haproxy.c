// SPDX-License-Identifier: BSD-3-Clause
/*
 * Proxies of haproxy.cfg:
 *
 *   frontend web
 *       bind 203.0.113.10:80
 *       default_backend servers
 *   backend servers
 *       balance leastconn
 *       server b1 192.0.2.11:8080 check
 *
 * A frontend or `listen` becomes a service for each of its addresses, in mode nat: the only one in which servers
 * can be as they are but for their gateway.
 */
#include <stdlib.h>
#include <string.h>

#include "controlplane/cli/import/haproxy.h"

enum {
	MAX_BINDS = 32,
};

static const char *value_of(const struct berth_import_words *words)
{
	return words->n > 1 ? words->words[1] : "";
}

/* --- frontends --- */

static void add_bind(struct berth_haproxy *reader, const char *place)
{
	struct berth_haproxy_proxy *proxy = reader->proxy;
	struct berth_haproxy_bind bind = {.line = reader->import->line};
	if (!berth_import_place(place, bind.address, &bind.port) || !bind.port || !strcmp(bind.address, "::") ||
	    !strcmp(bind.address, "0.0.0.0")) {
		berth_import_note(reader->import,
				  "bind %.60s: a service needs an address and one port; write it by hand", place);
		return;
	}
	struct berth_haproxy_bind *binds = realloc(proxy->binds, (proxy->n_binds + 1) * sizeof(*binds));
	if (!binds || proxy->n_binds == MAX_BINDS) {
		reader->import->has_failed = true;
		proxy->binds = binds ? binds : proxy->binds;
		return;
	}
	proxy->binds = binds;
	binds[proxy->n_binds++] = bind;
}

static void read_bind(void *arg, const struct berth_import_words *words)
{
	struct berth_haproxy *reader = arg;
	for (size_t i = 2; i < words->n; i++) {
		if (strcmp(words->words[i], "ssl") != 0)
			continue;
		berth_import_note(
			reader->import,
			"bind with ssl: berth ends no TLS; let the servers do it, and write the service by hand");
		return;
	}
	if (words->n > 2)
		berth_import_note(reader->import, "options of bind from \"%.30s\" on", words->words[2]);
	char places[BERTH_IMPORT_LONG], *rest = places;
	snprintf(places, sizeof(places), "%s", value_of(words));
	for (char *place = strsep(&rest, ","); place; place = strsep(&rest, ","))
		add_bind(reader, place);
}

static void read_default_backend(void *arg, const struct berth_import_words *words)
{
	struct berth_haproxy *reader = arg;
	snprintf(reader->proxy->uses, sizeof(reader->proxy->uses), "%s", value_of(words));
	reader->proxy->line = reader->import->line;
}

/* --- all proxies --- */

static void read_mode(void *arg, const struct berth_import_words *words)
{
	struct berth_haproxy *reader = arg;
	reader->proxy->is_http = strcmp(value_of(words), "http") == 0;
}

static void read_balance(void *arg, const struct berth_import_words *words)
{
	struct berth_haproxy *reader = arg;
	struct berth_import_service *service = &reader->proxy->service;
	const char *name = value_of(words);
	if (strcmp(name, "roundrobin") == 0 || strcmp(name, "static-rr") == 0)
		service->scheduler = "round-robin";
	else if (strcmp(name, "leastconn") == 0)
		service->scheduler = "least-conn";
	else
		service->scheduler = "maglev";
	if (strcmp(name, "source") == 0)
		service->affinity_s = BERTH_HAPROXY_AFFINITY_S;
	else if (strcmp(service->scheduler, "maglev") == 0)
		berth_import_note(reader->import, "balance %.30s: maglev is used, which hashes addresses and ports",
				  name);
}

static void read_cookie(void *arg, const struct berth_import_words *words)
{
	struct berth_haproxy *reader = arg;
	berth_import_note(reader->import, "cookie %.30s: sessions are by the client's address instead",
			  value_of(words));
	reader->proxy->service.affinity_s = BERTH_HAPROXY_AFFINITY_S;
}

static void read_stick_table(void *arg, const struct berth_import_words *words)
{
	struct berth_haproxy *reader = arg;
	for (size_t i = 1; i + 1 < words->n; i++)
		if (strcmp(words->words[i], "expire") == 0)
			reader->proxy->expire_ms = berth_import_duration(reader->import, words->words[i + 1], 1,
									 BERTH_HAPROXY_AFFINITY_S * 1000);
}

static void read_stick(void *arg, const struct berth_import_words *words)
{
	struct berth_haproxy *reader = arg;
	if (words->n < 3 || strcmp(words->words[1], "on") != 0 || strcmp(words->words[2], "src") != 0)
		berth_import_note(reader->import, "stick: sessions are by the client's address");
	reader->proxy->service.affinity_s = BERTH_HAPROXY_AFFINITY_S;
}

static void read_timeout(void *arg, const struct berth_import_words *words)
{
	struct berth_haproxy *reader = arg;
	if (strcmp(value_of(words), "check") == 0 && words->n > 2)
		reader->proxy->service.health.timeout_ms = berth_import_duration(reader->import, words->words[2], 1,
										 BERTH_HAPROXY_TIMEOUT_MS);
	else if (strcmp(value_of(words), "client") == 0)
		berth_import_note(reader->import,
				  "timeout client: write timeouts.tcp.established, the idle time of flows");
}

static void read_option(void *arg, const struct berth_import_words *words)
{
	struct berth_haproxy *reader = arg;
	if (strcmp(value_of(words), "httpchk") == 0)
		berth_haproxy_http_check(reader, words);
	else if (strstr(value_of(words), "-check") || strcmp(value_of(words), "ldap-check") == 0)
		berth_import_note(reader->import, "option %.30s: type tcp is used; an exec check can ask more",
				  value_of(words));
	else if (strstr(value_of(words), "log"))
		berth_import_note(reader->import, "option %.30s: berth logs no connections", value_of(words));
	else if (strcmp(value_of(words), "redispatch") != 0)
		berth_import_note(reader->import, "option %.30s: look in configuration.md for what you need of it",
				  value_of(words));
}

#define HTTP "berth sees no HTTP; leave HAProxy behind berth for it"

static const struct berth_import_keyword proxy_words[] = {
	{"bind", read_bind, NULL},
	{"default_backend", read_default_backend, NULL},
	{"mode", read_mode, NULL},
	{"balance", read_balance, NULL},
	{"cookie", read_cookie, NULL},
	{"stick-table", read_stick_table, NULL},
	{"stick", read_stick, NULL},
	{"timeout", read_timeout, NULL},
	{"option", read_option, NULL},
	{"http-check", berth_haproxy_read_http_check, NULL},
	{"server", berth_haproxy_read_server, NULL},
	{"default-server", berth_haproxy_read_default_server, NULL},
	{"use_backend", NULL, "berth chooses by address and port alone: " HTTP},
	{"acl", NULL, HTTP},
	{"http-request", NULL, HTTP},
	{"http-response", NULL, HTTP},
	{"redirect", NULL, HTTP},
	{"compression", NULL, HTTP},
	{"stats", NULL, "`berthctl top`, and the page of `metrics`"},
	{"maxconn", NULL, "max-flows of backends, or new-flows of the service"},
	{"tcp-request", NULL, "new-flows limits new flows of a client or service"},
	{"tcp-check", NULL, "an exec check can ask a server more than a connection"},
	{"server-template", NULL, "write a backend with `dns`: each address of the name is one"},
	{"log", NULL, NULL},
	{"retries", NULL, "berth repeats no connection; a client does"},
	{"errorfile", NULL, HTTP},
	{"hash-type", NULL, NULL},
	{"description", NULL, NULL},
};

/* --- sections --- */

static struct berth_haproxy_proxy *add_proxy(struct berth_haproxy *reader)
{
	struct berth_haproxy_proxy *proxies = realloc(reader->proxies, (reader->n + 1) * sizeof(*proxies));
	if (!proxies) {
		reader->import->has_failed = true;
		return NULL;
	}
	reader->proxies = proxies;
	proxies[reader->n] = reader->defaults;
	/* Servers and addresses are not inherited. */
	proxies[reader->n].service.backends = NULL;
	proxies[reader->n].service.n = 0;
	proxies[reader->n].binds = NULL;
	proxies[reader->n].n_binds = 0;
	return &proxies[reader->n++];
}

/* False: not the first line of a section. */
static bool begin_section(struct berth_haproxy *reader, const struct berth_import_words *words)
{
	static const char *const others[] = {"global",	"peers", "resolvers",	"userlist", "mailers",
					     "program", "cache", "http-errors", "ring",	    "log-forward"};
	const char *name = words->words[0];
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (strcmp(others[i], name) != 0)
			continue;
		berth_import_note(reader->import, "%s: settings of HAProxy itself", name);
		reader->proxy = NULL;
		return true;
	}
	if (strcmp(name, "defaults") == 0) {
		berth_haproxy_clear_defaults(&reader->defaults);
		reader->proxy = &reader->defaults;
		return true;
	}
	const bool is_backend = strcmp(name, "backend") == 0;
	if (!is_backend && strcmp(name, "frontend") != 0 && strcmp(name, "listen") != 0)
		return false;
	reader->proxy = add_proxy(reader);
	if (reader->proxy) {
		snprintf(reader->proxy->service.name, sizeof(reader->proxy->service.name), "%s", value_of(words));
		reader->proxy->is_backend = is_backend;
		reader->proxy->line = reader->import->line;
	}
	return true;
}

static void read_line(struct berth_import *import, const struct berth_import_words *words, void *arg)
{
	struct berth_haproxy *reader = arg;
	if (!import->has_failed && !begin_section(reader, words) && reader->proxy)
		berth_import_statement(import, proxy_words, sizeof(proxy_words) / sizeof(proxy_words[0]), words,
				       reader);
}

/* --- services --- */

/* The proxy that has the servers of this one. NULL, with a note: there is none. */
static const struct berth_haproxy_proxy *servers_of(struct berth_haproxy *reader,
						    const struct berth_haproxy_proxy *proxy)
{
	if (!proxy->uses[0])
		return proxy;
	for (size_t i = 0; i < reader->n; i++)
		if (strcmp(reader->proxies[i].service.name, proxy->uses) == 0 &&
		    (reader->proxies[i].is_backend || reader->proxies[i].service.n > 0))
			return &reader->proxies[i];
	berth_import_note(reader->import, "default_backend %.60s: not in this file", proxy->uses);
	return NULL;
}

/* Port 0 of a backend is the service's. Mode nat has no servers of the other family. */
static void copy_backends(struct berth_import *import, struct berth_import_service *service,
			  const struct berth_import_service *from)
{
	size_t n_others = 0;
	for (size_t i = 0; i < from->n; i++) {
		const struct berth_import_backend *one = &from->backends[i];
		if (!one->is_dns && !strchr(one->address, ':') != !strchr(service->address, ':')) {
			n_others++;
			continue;
		}
		struct berth_import_backend *backend = berth_import_add_backend(import, service);
		if (!backend)
			return;
		*backend = *one;
		backend->port = backend->port != service->port ? backend->port : 0;
	}
	if (n_others > 0)
		berth_import_note(import,
				  "%zu of its servers are of another family than %s: write mode ipip for them",
				  n_others, service->address);
}

/* Agents are read without a check, too. */
static void set_health(struct berth_haproxy *reader, struct berth_import_service *service, bool has_check)
{
	struct berth_import_health *health = &service->health;
	if (health->has_agent && health->agent_port == 0) {
		berth_import_note(reader->import, "agent-check without agent-port");
		health->has_agent = false;
	}
	if (!has_check)
		*health = (struct berth_import_health){.type = "none",
						       .has_agent = health->has_agent,
						       .agent_port = health->agent_port,
						       .agent_interval_ms = health->agent_interval_ms};
}

static void add_service(struct berth_haproxy *reader, const struct berth_haproxy_proxy *proxy, size_t number,
			const struct berth_haproxy_proxy *servers)
{
	const struct berth_haproxy_bind *bind = &proxy->binds[number];
	struct berth_import_service *service = berth_import_add_service(reader->import);
	if (!service)
		return;
	*service = servers->service;
	service->line = bind->line;
	service->backends = NULL;
	service->n = 0;
	if (number == 0)
		snprintf(service->name, sizeof(service->name), "%s", proxy->service.name);
	else
		snprintf(service->name, sizeof(service->name), "%.56s-%zu", proxy->service.name, number + 1);
	snprintf(service->protocol, sizeof(service->protocol), "tcp");
	snprintf(service->mode, sizeof(service->mode), "nat");
	snprintf(service->address, sizeof(service->address), "%s", bind->address);
	service->port = bind->port;
	reader->import->line = bind->line;
	if (service->affinity_s && servers->expire_ms >= 1000)
		service->affinity_s = servers->expire_ms / 1000;
	set_health(reader, service, servers->has_check);
	copy_backends(reader->import, service, &servers->service);
}

static void add_services(struct berth_haproxy *reader, const struct berth_haproxy_proxy *proxy)
{
	reader->import->line = proxy->line;
	const struct berth_haproxy_proxy *servers = proxy->is_backend ? NULL : servers_of(reader, proxy);
	if (!servers || proxy->n_binds == 0)
		return;
	if (proxy->is_http)
		berth_import_note(reader->import,
				  "%.60s is in mode http: its connections are forwarded as they are",
				  proxy->service.name);
	if (!reader->import->n)
		berth_import_note(reader->import,
				  "mode nat is used, and servers see the clients' addresses: make berth the "
				  "gateway of servers (backends.md), or choose another mode");
	for (size_t i = 0; i < proxy->n_binds && !reader->import->has_failed; i++)
		add_service(reader, proxy, i, servers);
}

static void clear(struct berth_haproxy *reader)
{
	for (size_t i = 0; i < reader->n; i++) {
		free(reader->proxies[i].service.backends);
		free(reader->proxies[i].binds);
	}
	free(reader->proxies);
	berth_haproxy_clear_defaults(&reader->defaults);
}

void berth_import_haproxy(struct berth_import *import, FILE *in)
{
	struct berth_haproxy reader = {.import = import};
	berth_haproxy_clear_defaults(&reader.defaults);
	berth_import_read_lines(import, in, "#", read_line, &reader);
	for (size_t i = 0; i < reader.n && !import->has_failed; i++)
		add_services(&reader, &reader.proxies[i]);
	clear(&reader);
}
