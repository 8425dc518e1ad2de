// SPDX-License-Identifier: BSD-3-Clause
/* The world as a configuration file. */
#include <stdarg.h>

#include "controlplane/config/parse.h"
#include "tests/soak/world.h"

enum {
	CONFIG_BYTES = 1 << 17,
};

/* The text so far. */
struct text {
	char *at;
	char *end;
};

static void put(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct text *text, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int n = vsnprintf(text->at, (size_t)(text->end - text->at), format, arguments);
	va_end(arguments);
	if (n < 0 || n >= text->end - text->at)
		soak_fail("the configuration is too long");
	text->at += n;
}

static void write_address(const struct soak_service *service, uint32_t number, uint32_t server, char out[40])
{
	if (service->outer6)
		snprintf(out, 40, "2001:db8:f:%x::%x", number + 1, server + 1);
	else
		snprintf(out, 40, "198.18.%u.%u", number + 1, server + 1);
}

union berth_addr soak_server_address(const struct soak_world *world, uint32_t service, uint32_t server)
{
	char text[40];
	write_address(&world->services[service], service, server, text);
	return fixture_addr(text);
}

static void put_server(struct text *text, const struct soak_service *service, uint32_t number, uint32_t i)
{
	const struct soak_server *server = &service->server[i];
	char address[40];
	write_address(service, number, i, address);
	put(text, "      - {name: b%u, address: \"%s\", weight: %u", i, address, server->weight);
	if (service->server_port)
		put(text, ", port: %u", service->server_port);
	if (server->backup >= 0 && service->server[server->backup].present)
		put(text, ", backup: b%d", server->backup);
	if (i == 0 && service->max_flows)
		put(text, ", max-flows: %u", service->max_flows);
	put(text, "}\n");
}

static void put_service(struct text *text, const struct soak_service *service, uint32_t number)
{
	const uint32_t *timeout = service->timeout;
	bool any = false;
	put(text,
	    "  - {name: %s, address: \"%s\", protocol: %s, port: %u, mode: %s, scheduler: %s, table-size: %u,\n",
	    service->name, service->address, service->protocol, service->port, service->mode, service->scheduler,
	    SOAK_ROWS);
	if (service->scheduler[0] == 'b')
		put(text, "     bound: %u.%02u,\n", SOAK_BOUND / 100, SOAK_BOUND % 100);
	put(text,
	    "     timeouts: {half-open: %us, established: %us, closing: %us, unreplied: %us, assured: %us},\n",
	    timeout[0], timeout[1], timeout[2], timeout[3], timeout[4]);
	if (service->by_client) {
		put(text, "     affinity: {by: client, timeout: %us, prefix4: %u, prefix6: %u%s%s},\n",
		    service->session_timeout, service->prefix4, service->prefix6, service->group ? ", group: " : "",
		    service->group ? service->group : "");
		put(text, "     overload: %s, failback: %s,\n", service->spills ? "spill" : "stick",
		    service->returns ? "return" : "stay");
	}
	put(text, "     %sslow-start: %us, health: {type: %s, agent: {port: 7777}}, backends: [",
	    service->resets ? "on-down: reset, " : "", service->slow_start, service->is_timed ? "tcp" : "none");
	for (uint32_t i = 0; i < service->n_servers; i++) {
		if (!service->server[i].present)
			continue;
		put(text, any ? ",\n" : "\n");
		struct text one = *text;
		put_server(&one, service, number, i);
		/* Flow style: without the dash and the newline. */
		char *from = strchr(text->at, '{');
		memmove(text->at, from, (size_t)(one.at - from));
		text->at += one.at - from - 1;
		any = true;
	}
	put(text, "]}\n");
}

struct berth_config *soak_configure(const struct soak_world *world)
{
	static char bytes[CONFIG_BYTES];
	char error[BERTH_ERROR_BYTES];
	struct text text = {bytes, bytes + sizeof(bytes)};
	bool any = false;
	put(&text, "engine: 'null'\ninterfaces: [{name: eth0}]\n"
		   "limits: {flows: 1000000, sessions: 1000000, services: 40, backends: 1000}\nservices:\n");
	for (uint32_t i = 0; i < world->n_services; i++) {
		if (world->services[i].present)
			put_service(&text, &world->services[i], i);
		any |= world->services[i].present;
	}
	if (!any)
		soak_fail("no service is left");
	struct berth_config *config = berth_config_parse("soak", bytes, (size_t)(text.at - bytes), error);
	if (!config)
		soak_fail("%s\n%s", error, bytes);
	return config;
}
