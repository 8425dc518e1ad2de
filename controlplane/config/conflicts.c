/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/config/conflicts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/config/parse_dns.h"
#include "controlplane/config/rules.h"
#include "controlplane/util/address.h"

#define SERVICE struct berth_service_config

struct conflict_search {
	struct berth_schema *schema;
	json_t *list;
	const struct berth_config *config;
	const SERVICE **services;	   /* sorted by_ports */
	bool bits[BERTH_ADDRESS_BITS + 1]; /* the prefix lengths in use */
};

static json_t *item_of(const struct conflict_search *search, const SERVICE *service)
{
	return json_array_get(search->list, (size_t)(service - search->config->services));
}

static unsigned int line_of(const struct conflict_search *search, const SERVICE *service)
{
	return berth_yaml_mark_of(search->schema->yaml, item_of(search, service)).line;
}

static int compare(long left, long right)
{
	return (left > right) - (left < right);
}

static int by_place(const SERVICE *a, const SERVICE *b)
{
	int order = memcmp(&a->address, &b->address, sizeof(a->address));
	return order ? order : compare(a->bits, b->bits);
}

/* A range comes before those within it. */
static int by_ports(const void *left, const void *right)
{
	const SERVICE *a = *(const SERVICE *const *)left, *b = *(const SERVICE *const *)right;
	int order = by_place(a, b);
	if (!order)
		order = compare(a->protocol, b->protocol);
	if (!order)
		order = compare(a->port, b->port);
	return order ? order : compare(b->last_port, a->last_port);
}

static int check_lengths(struct conflict_search *search)
{
	size_t n = 0;

	for (size_t i = 0; i < search->config->n_services; i++) {
		const SERVICE *service = &search->config->services[i];
		if (search->bits[service->bits])
			continue;
		search->bits[service->bits] = true;
		n += service->bits < BERTH_ADDRESS_BITS;
		if (n > BERTH_MAX_PREFIX_LENGTHS)
			return berth_schema_fail(search->schema, item_of(search, service), "address",
						 "more than %d prefix lengths, and each costs a lookup per packet; "
						 "use a length that another service has",
						 BERTH_MAX_PREFIX_LENGTHS);
	}
	return 0;
}

/* Fails at the later one in the file. */
static int fail_overlap(const struct conflict_search *search, const SERVICE *a, const SERVICE *b)
{
	const SERVICE *first = a < b ? a : b, *second = a < b ? b : a;
	char here[BERTH_PORTS_TEXT], there[BERTH_PORTS_TEXT];

	return berth_schema_fail(search->schema, item_of(search, second), "port",
				 "ports %s overlap %s of service %s at line %u in part; make one range contain the "
				 "other, or separate them",
				 berth_config_format_ports(second, here), berth_config_format_ports(first, there),
				 first->name, line_of(search, first));
}

static bool is_range(const SERVICE *service)
{
	return service->bits < BERTH_ADDRESS_BITS || service->port != service->last_port;
}

/* `group`: the services with one prefix and protocol. */
static int check_count(const struct conflict_search *search, const SERVICE **group, size_t n)
{
	const SERVICE *latest = group[0];
	char place[BERTH_PREFIX_TEXT];
	size_t ranges = 0;

	for (size_t i = 0; i < n; i++) {
		ranges += is_range(group[i]);
		if (is_range(group[i]) && group[i] > latest)
			latest = group[i];
	}
	if (ranges <= BERTH_MAX_RANGES)
		return 0;
	return berth_schema_fail(search->schema, item_of(search, latest), "port",
				 "%zu %s at %s %s, and the limit is %d; merge neighbouring ports into one service",
				 ranges, latest->bits < BERTH_ADDRESS_BITS ? "services" : "port ranges",
				 berth_prefix_format(&latest->address, latest->bits, place),
				 berth_protocol_name(latest->protocol), BERTH_MAX_RANGES);
}

static int check_group(const struct conflict_search *search, const SERVICE **group, size_t n)
{
	/* The nested ranges that can contain the next one, and a single port innermost. */
	const SERVICE *open[BERTH_MAX_RANGES + 1];
	size_t depth = 0;
	int err = check_count(search, group, n);

	for (size_t i = 0; !err && i < n; i++) {
		while (depth && open[depth - 1]->last_port < group[i]->port)
			depth--;
		if (depth && open[depth - 1]->last_port < group[i]->last_port)
			err = fail_overlap(search, open[depth - 1], group[i]);
		else
			open[depth++] = group[i];
	}
	return err;
}

static int check_ranges(const struct conflict_search *search)
{
	const SERVICE **services = search->services;
	size_t n = search->config->n_services;
	int err = 0;

	for (size_t begin = 0, end; !err && begin < n; begin = end) {
		end = begin + 1;
		while (end < n && by_place(services[begin], services[end]) == 0 &&
		       services[begin]->protocol == services[end]->protocol)
			end++;
		err = check_group(search, services + begin, end - begin);
	}
	return err;
}

/* A backend that answers through berth, and the source ports of its answers. */
struct backend_answers {
	const SERVICE *service;
	const struct berth_backend_config *backend;
	struct berth_answer_ports ports;
};

static int by_answers(const void *left, const void *right)
{
	const struct backend_answers *a = left, *b = right;
	int order = memcmp(&a->backend->address, &b->backend->address, sizeof(a->backend->address));
	if (!order)
		order = compare(a->service->protocol, b->service->protocol);
	if (!order)
		order = compare(a->ports.first, b->ports.first);
	return order ? order : compare(a->service - b->service, 0);
}

static json_t *item_of_backend(const struct conflict_search *search, const struct backend_answers *answers)
{
	json_t *backends = json_object_get(item_of(search, answers->service), "backends");
	size_t index = (size_t)(answers->backend - answers->service->backends);
	return json_array_get(backends, berth_config_item_index(answers->service, index));
}

/* The service of any mode with this address; NULL: not found. */
static const SERVICE *service_at(const struct conflict_search *search, const union berth_addr *address)
{
	for (uint8_t bits = BERTH_ADDRESS_BITS; bits > 0; bits--) {
		if (!search->bits[bits])
			continue;
		const SERVICE wanted = {.address = berth_prefix_of(address, bits), .bits = bits};
		size_t low = 0, high = search->config->n_services;
		while (low < high) {
			size_t middle = (low + high) / 2;
			int order = by_place(&wanted, search->services[middle]);
			if (order == 0)
				return search->services[middle];
			if (order < 0)
				high = middle;
			else
				low = middle + 1;
		}
	}
	return NULL;
}

/* Answers of the backend would have the same source as those of that service. */
static int check_not_a_service(const struct conflict_search *search, const struct backend_answers *answers)
{
	const SERVICE *other = service_at(search, &answers->backend->address);

	if (!other)
		return 0;
	return berth_schema_fail(search->schema, item_of_backend(search, answers), "address",
				 "the backend has an address of service %s at line %u, so its answers could belong "
				 "to that service; write the server's own address",
				 other->name, line_of(search, other));
}

static bool is_same_server(const struct backend_answers *a, const struct backend_answers *b)
{
	return a->service->protocol == b->service->protocol &&
	       berth_addr_equal(&a->backend->address, &b->backend->address);
}

static int fail_answers(const struct conflict_search *search, const struct backend_answers *a,
			const struct backend_answers *b)
{
	const struct backend_answers *first = a->service < b->service ? a : b;
	const struct backend_answers *second = a->service < b->service ? b : a;

	return berth_schema_fail(search->schema, item_of_backend(search, second),
				 second->backend->port ? "port" : "address",
				 "an answer from this address and port could belong to %s/%s at line %u too, and "
				 "in mode nat they identify the service; use another address or port of the server",
				 first->service->name, first->backend->name,
				 berth_yaml_mark_of(search->schema->yaml, item_of_backend(search, first)).line);
}

/* `answers`: sorted by_answers. */
static int check_answers(const struct conflict_search *search, const struct backend_answers *answers, size_t n)
{
	size_t ranges = 0;
	int err = 0;

	for (size_t i = 0; !err && i < n; i++) {
		bool is_first = i == 0 || !is_same_server(&answers[i - 1], &answers[i]);
		err = check_not_a_service(search, &answers[i]);
		if (!err && !is_first && berth_rules_overlap(answers[i - 1].ports, answers[i].ports))
			err = fail_answers(search, &answers[i - 1], &answers[i]);
		ranges = (is_first ? 0 : ranges) + berth_rules_is_range(answers[i].ports);
		if (!err && ranges > BERTH_MAX_RANGES)
			err = berth_schema_fail(
				search->schema, item_of_backend(search, &answers[i]), "address",
				"a server with more than %d port ranges in mode nat; merge neighbouring ports into "
				"one service, or use another address of the server",
				BERTH_MAX_RANGES);
	}
	return err;
}

static struct backend_answers answers_of(const SERVICE *service, const struct berth_backend_config *backend)
{
	return (struct backend_answers){
		.service = service,
		.backend = backend,
		.ports = berth_rules_answer_ports(service, backend->port),
	};
}

static int check_nat(const struct conflict_search *search)
{
	const struct berth_config *config = search->config;
	size_t n = 0;

	for (size_t i = 0; i < config->n_services; i++)
		if (berth_mode_returns(config->services[i].mode))
			n += config->services[i].n_backends;
	struct backend_answers *answers = berth_schema_alloc(search->schema, n, sizeof(*answers));
	if (!answers)
		return -ENOMEM;
	n = 0;
	for (size_t i = 0; i < config->n_services; i++)
		for (size_t j = 0;
		     berth_mode_returns(config->services[i].mode) && j < config->services[i].n_backends; j++)
			answers[n++] = answers_of(&config->services[i], &config->services[i].backends[j]);
	qsort(answers, n, sizeof(*answers), by_answers);
	int err = check_answers(search, answers, n);
	free(answers);
	return err;
}

int berth_config_check_conflicts(struct berth_schema *schema, json_t *list, const struct berth_config *config)
{
	size_t n = config->n_services;
	struct conflict_search search = {.schema = schema, .list = list, .config = config};

	search.services = berth_schema_alloc(schema, n, sizeof(void *));
	if (!search.services)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		search.services[i] = &config->services[i];
	qsort(search.services, n, sizeof(void *), by_ports);
	int err = check_lengths(&search);
	if (!err)
		err = check_ranges(&search);
	if (!err)
		err = check_nat(&search);
	free(search.services);
	return err;
}
