// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/config/warnings.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/config/parse_services.h"
#include "controlplane/config/rules.h"
#include "controlplane/util/address.h"
#include "controlplane/util/links.h"

enum {
	WARNING_BYTES = 320,
};

static size_t count_rowless(const struct berth_service_config *service, const struct berth_weights *weights)
{
	size_t n = 0;
	for (size_t i = 0; i < service->n_backends; i++) {
		const uint32_t weight = service->backends[i].weight;
		n += weight && service->table_size < berth_rules_rows_needed(service->scheduler, weights->sum,
									     weights->heaviest, weight);
	}
	return n;
}

/* False: every backend gets a row. */
static bool format_rowless(const struct berth_service_config *service, const struct berth_weights *weights,
			   char text[WARNING_BYTES])
{
	const size_t n = count_rowless(service, weights);
	uint64_t size = n ? berth_rules_rows_needed(service->scheduler, weights->sum, weights->heaviest,
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

/* What is said of one configuration. */
struct warnings {
	berth_config_warning_fn *fn;
	void *arg;
	bool has_engine; /* not `null`, for which this host's links mean nothing */
	struct berth_links links;
};

__attribute__((format(printf, 2, 3))) static void warn(const struct warnings *warnings, const char *format, ...)
{
	char text[2 * WARNING_BYTES];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	warnings->fn(warnings->arg, text);
}

static void warn_health(const struct warnings *warnings, const struct berth_service_config *service)
{
	const struct berth_health_config *health = service->health;
	const bool has_ca = health->type == BERTH_HEALTH_HTTPS && health->ca[0];
	if (health->type != BERTH_HEALTH_NONE && health->timeout_ms > health->interval_ms)
		warn(warnings,
		     "service %s: health.timeout (%u ms) is above health.interval (%u ms), so that a server that "
		     "hangs is probed less often; write a timeout below the interval",
		     service->name, health->timeout_ms, health->interval_ms);
	if (health->type == BERTH_HEALTH_EXEC && access(health->command, X_OK))
		warn(warnings,
		     "service %s: the program %s of its health check: %s; without it all backends are down",
		     service->name, health->command, strerror(errno));
	if (has_ca && access(health->ca, R_OK))
		warn(warnings, "service %s: the file %s of its health check: %s; without it all backends are down",
		     service->name, health->ca, strerror(errno));
}

static bool is_loopback(const union berth_addr *address)
{
	static const union berth_addr loopback6 = {.byte = {[15] = 1}};
	return berth_addr_equal(address, &loopback6) || (berth_addr_is4(address) && address->byte[12] == 127);
}

static void warn_backend(const struct warnings *warnings, const struct berth_service_config *service,
			 const struct berth_backend_config *backend)
{
	char text[BERTH_ADDRESS_TEXT];
	if (is_loopback(&backend->address))
		warn(warnings,
		     "%s/%s: %s is a loopback address, which no packet leaves this host for; write the "
		     "address of the server",
		     service->name, backend->name, berth_address_format(&backend->address, text));
	else if (warnings->has_engine && berth_links_have(&warnings->links, &backend->address))
		warn(warnings, "%s/%s: %s is an address of this host; write the address of the server",
		     service->name, backend->name, berth_address_format(&backend->address, text));
	else if (warnings->has_engine && service->mode == BERTH_MODE_L2 &&
		 !berth_links_reach(&warnings->links, &backend->address))
		warn(warnings,
		     "%s/%s: mode l2 needs a backend on a link of this host, and %s is on none; write mode: "
		     "ipip, or an address of a link",
		     service->name, backend->name, berth_address_format(&backend->address, text));
}

static void warn_places(const struct warnings *warnings, const struct berth_service_config *service)
{
	char text[BERTH_PREFIX_TEXT];
	if (is_loopback(&service->address))
		warn(warnings,
		     "service %s: %s is a loopback address, which no client can reach; write the address "
		     "that clients use",
		     service->name, berth_prefix_format(&service->address, service->bits, text));
	for (size_t i = 0; i < service->n_configured; i++)
		warn_backend(warnings, service, &service->backends[i]);
}

static void warn_service(const struct berth_service_config *service, berth_config_warning_fn *fn, void *arg)
{
	const struct berth_weights weights = berth_rules_weights(service);
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
	struct warnings warnings = {.fn = fn, .arg = arg, .has_engine = config->engine != BERTH_ENGINE_NULL};
	berth_links_read(&warnings.links);
	for (size_t i = 0; i < config->n_services; i++) {
		warn_service(&config->services[i], fn, arg);
		warn_health(&warnings, &config->services[i]);
		warn_places(&warnings, &config->services[i]);
	}
	berth_links_free(&warnings.links);
}
