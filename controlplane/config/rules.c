/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/config/rules.h"

#include "controlplane/util/address.h"
#include "controlplane/util/net.h"

enum {
	ROWS_PER_BACKEND = 100, /* shares of backends of one weight differ by about 1% */
	SLOW_START_STEPS = 10,
	AGENT_STEPS = 100, /* percent */
};

enum berth_backend_fault berth_rules_backend(const struct berth_service_config *service,
					     const union berth_addr *address)
{
	if (!berth_net_is_host(address))
		return BERTH_BACKEND_NO_HOST;
	if (berth_prefix_holds(&service->address, service->bits, address))
		return BERTH_BACKEND_SERVICE_ADDRESS;
	if (!berth_mode_crosses_families(service->mode) &&
	    berth_addr_is4(address) != berth_addr_is4(&service->address))
		return BERTH_BACKEND_FOREIGN_FAMILY;
	return BERTH_BACKEND_VALID;
}

bool berth_rules_dns_allows(const struct berth_dns_config *dns, const union berth_addr *address)
{
	for (size_t i = 0; i < dns->n_allow; i++)
		if (berth_prefix_holds(&dns->allow[i].address, dns->allow[i].bits, address))
			return true;
	return false;
}

struct berth_answer_ports berth_rules_answer_ports(const struct berth_service_config *service, uint16_t port)
{
	if (port)
		return (struct berth_answer_ports){port, port};
	return (struct berth_answer_ports){service->port, service->last_port};
}

bool berth_rules_is_range(struct berth_answer_ports ports)
{
	return ports.first != ports.last;
}

bool berth_rules_overlap(struct berth_answer_ports a, struct berth_answer_ports b)
{
	return a.first <= b.last && b.first <= a.last;
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
	while (b) {
		const uint64_t rest = a % b;
		a = b;
		b = rest;
	}
	return a;
}

static void add_weight(struct berth_weights *weights, uint32_t weight)
{
	weights->sum += weight;
	if (weight > weights->heaviest)
		weights->heaviest = weight;
	if (weight && (!weights->lightest || weight < weights->lightest))
		weights->lightest = weight;
	weights->divisor = common_divisor(weights->divisor, weight);
}

struct berth_weights berth_rules_weights(const struct berth_service_config *service)
{
	struct berth_weights weights = {0};
	for (size_t i = 0; i < service->n_backends; i++)
		add_weight(&weights, service->backends[i].weight);
	for (size_t i = 0; i < service->n_sources; i++)
		add_weight(&weights, service->sources[i].template.weight);
	return weights;
}

static uint64_t divide_up(uint64_t number, uint64_t by)
{
	return (number + by - 1) / by;
}

uint64_t berth_rules_rows_needed(enum berth_schedule scheduler, uint64_t sum, uint64_t heaviest, uint64_t weight)
{
	if (scheduler == BERTH_SCHEDULE_ROUND_ROBIN)
		return divide_up(sum, weight);
	return divide_up(divide_up(heaviest, weight) * sum, heaviest);
}

/* Round-robin has as many rows as the weights of a turn add up to, ten times as many in a slow start, a
 * hundred times with an agent. */
static uint64_t round_robin_rows(const struct berth_weights *weights, uint32_t steps)
{
	const uint64_t rows = weights->sum ? steps * weights->sum / weights->divisor : 0;
	return rows < BERTH_DEFAULT_ROWS ? rows : BERTH_DEFAULT_ROWS;
}

uint32_t berth_rules_automatic_rows(const struct berth_service_config *service)
{
	static const uint32_t sizes[] = {BERTH_LEAST_AUTOMATIC_ROWS, 16381, BERTH_DEFAULT_ROWS, BERTH_MAX_ROWS};
	const struct berth_weights weights = berth_rules_weights(service);
	uint64_t needed = ROWS_PER_BACKEND * (uint64_t)service->n_backends;
	uint64_t lightest = 0;
	/* Of more rows a smaller share changes when another backend comes or goes, and one backend before is kept.
	 */
	size_t i = service->second_hop_s ? 2 : 0;
	if (service->n_sources)
		return BERTH_DEFAULT_ROWS;
	if (service->scheduler == BERTH_SCHEDULE_ROUND_ROBIN)
		lightest = round_robin_rows(&weights, service->health->agent_port ? AGENT_STEPS : SLOW_START_STEPS);
	else if (weights.lightest)
		lightest = berth_rules_rows_needed(service->scheduler, weights.sum, weights.heaviest,
						   weights.lightest);
	needed = needed > lightest ? needed : lightest;
	while (i + 1 < sizeof(sizes) / sizeof(sizes[0]) && sizes[i] < needed)
		i++;
	return sizes[i];
}
