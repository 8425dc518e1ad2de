// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/config/warnings.h"

#include <stdio.h>

#include "controlplane/config/parse_services.h"

enum {
	WARNING_BYTES = 320,
};

/* The weights of a service's backends; a list item with `dns` counts as one backend. */
struct weights {
	uint64_t sum;
	uint64_t heaviest;
	uint64_t lightest; /* above 0 */
};

static void add_weight(struct weights *weights, uint32_t weight)
{
	weights->sum += weight;
	if (weight > weights->heaviest)
		weights->heaviest = weight;
	if (weight && (!weights->lightest || weight < weights->lightest))
		weights->lightest = weight;
}

static struct weights weights_of(const struct berth_service_config *service)
{
	struct weights weights = {0};
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

uint64_t berth_config_rows_needed(enum berth_schedule scheduler, uint64_t sum, uint64_t heaviest, uint64_t weight)
{
	if (scheduler == BERTH_SCHEDULE_ROUND_ROBIN)
		return divide_up(sum, weight);
	return divide_up(divide_up(heaviest, weight) * sum, heaviest);
}

static size_t count_rowless(const struct berth_service_config *service, const struct weights *weights)
{
	size_t n = 0;
	for (size_t i = 0; i < service->n_backends; i++) {
		const uint32_t weight = service->backends[i].weight;
		n += weight && service->table_size < berth_config_rows_needed(service->scheduler, weights->sum,
									      weights->heaviest, weight);
	}
	return n;
}

/* False: every backend gets a row. */
static bool format_rowless(const struct berth_service_config *service, const struct weights *weights,
			   char text[WARNING_BYTES])
{
	const size_t n = count_rowless(service, weights);
	uint64_t size = n ? berth_config_rows_needed(service->scheduler, weights->sum, weights->heaviest,
						     weights->lightest)
			  : 0;
	if (!n)
		return false;
	/* Larger than the number of backends. */
	size = size > service->n_backends ? size : service->n_backends + 1;
	while (size <= BERTH_MAX_ROWS && !berth_config_is_prime((int64_t)size))
		size++;
	int used = snprintf(
		text, WARNING_BYTES,
		"service %s: the weights of %zu backends are so small that they may get no new clients: "
		"less than one of %u rows each; write ",
		service->name, n, service->table_size);
	if (size <= BERTH_MAX_ROWS)
		snprintf(text + used, WARNING_BYTES - (size_t)used, "table-size: %llu, or larger weights",
			 (unsigned long long)size);
	else
		snprintf(text + used, WARNING_BYTES - (size_t)used, "larger weights; no table-size is enough");
	return true;
}

static void warn_service(const struct berth_service_config *service, berth_config_warning_fn *fn, void *arg)
{
	const struct weights weights = weights_of(service);
	char text[WARNING_BYTES];
	if (!weights.sum) {
		snprintf(text, sizeof(text), "service %s accepts no clients: %s", service->name,
			 service->n_backends + service->n_sources ? "all of its backends have weight 0"
								  : "it has no backends");
		fn(arg, text);
	} else if (format_rowless(service, &weights, text)) {
		fn(arg, text);
	}
}

void berth_config_warn(const struct berth_config *config, berth_config_warning_fn *fn, void *arg)
{
	for (size_t i = 0; i < config->n_services; i++)
		warn_service(&config->services[i], fn, arg);
}
