// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/model/panic.h"

bool berth_panic_is_due(uint32_t percent, size_t n, size_t down)
{
	return percent && down * 100 > n * percent;
}

/* A backend that an operator or DNS removed from service does not count. One that has left DNS and still takes new
 * clients does. */
static bool counts(const struct berth_model_backend *backend)
{
	bool is_leaving = backend->config.leaving && !backend->config.weight;
	return !is_leaving && backend->admin != BERTH_ADMIN_DISABLED && backend->admin != BERTH_ADMIN_EVICTED &&
	       backend->forced != BERTH_FORCED_DOWN;
}

static bool is_down(const struct berth_model_backend *backend)
{
	return berth_model_health(backend) == BERTH_HEALTH_DOWN;
}

void berth_panic_count(const struct berth_model_service *service, size_t *n, size_t *down)
{
	*n = *down = 0;
	for (size_t i = 0; i < service->n_backends; i++) {
		const struct berth_model_backend *backend = &service->backends[i];
		*n += counts(backend);
		*down += counts(backend) && is_down(backend);
	}
}

/* The longest time between the results of two checks that find the same fault: `fall` intervals, one more for a
 * check that has just begun, and a timeout. */
static uint64_t detection_spread_ms(const struct berth_health_config *health)
{
	return (uint64_t)health->interval_ms * (health->fall + 1) + health->timeout_ms;
}

/* The longest time in which checks find that a server is up: `rise` intervals, one more for a check that has just
 * begun, and a timeout. */
static uint64_t recovery_spread_ms(const struct berth_health_config *health)
{
	return (uint64_t)health->interval_ms * (health->rise + 1) + health->timeout_ms;
}

static bool went_down_together(const struct berth_model_service *service, const struct berth_model_backend *backend)
{
	return backend->down_since_ms &&
	       backend->down_since_ms + detection_spread_ms(service->config.health) >= service->panic_since_ms;
}

/* When flows and sessions of a backend that they keep now lose it. */
static uint64_t lost_at_ms(const struct berth_model_service *service, const struct berth_model_backend *backend)
{
	return service->panic_updated_ms + recovery_spread_ms(service->config.health) - backend->after_panic_ms;
}

/* Counts the time since the last update; true: it is over for this backend, until it has come up. */
static bool count_after_panic(const struct berth_model_service *service, struct berth_model_backend *backend,
			      uint64_t passed_ms)
{
	if (!is_down(backend))
		backend->after_panic_ms = 0;
	else if (backend->is_kept_for_clients)
		backend->after_panic_ms += passed_ms;
	return backend->after_panic_ms >= recovery_spread_ms(service->config.health);
}

/* One backend; what was in use in a panic, or after it, is so in the next one. True: it has changed. */
static bool update_backend(struct berth_model_service *service, struct berth_model_backend *backend,
			   uint64_t passed_ms)
{
	const bool had = backend->is_kept, had_clients = backend->is_kept_for_clients;
	const bool was_used = had || had_clients;
	const bool is_over = count_after_panic(service, backend, passed_ms);
	const bool can_keep = counts(backend) && is_down(backend);
	const bool begins = !is_over && (had_clients || went_down_together(service, backend));
	backend->is_kept = can_keep && service->panic && (had || begins);
	backend->is_kept_for_clients = can_keep && !service->panic && was_used && !is_over;
	service->after_panic_lost += is_over && was_used && !backend->is_kept;
	return backend->is_kept != had || backend->is_kept_for_clients != had_clients;
}

/* Updates what the backends are kept for, and until when; `kept`: how many in a panic. True: one has changed. */
static bool update_backends(struct berth_model_service *service, uint64_t passed_ms, size_t *kept)
{
	bool changed = false;
	*kept = 0;
	service->after_panic_until_ms = 0;
	for (size_t i = 0; i < service->n_backends; i++) {
		struct berth_model_backend *backend = &service->backends[i];
		changed |= update_backend(service, backend, passed_ms);
		*kept += backend->is_kept;
		if (backend->is_kept_for_clients && lost_at_ms(service, backend) > service->after_panic_until_ms)
			service->after_panic_until_ms = lost_at_ms(service, backend);
	}
	return changed;
}

/* How many more can go down before the panic is due. */
static size_t margin_of(const struct berth_model_service *service, size_t n, size_t down)
{
	const size_t most = n * service->config.panic_percent / 100;
	if (!service->config.panic_percent)
		return SIZE_MAX;
	return most > down ? most - down : 0;
}

bool berth_panic_report(struct berth_model_service *service, bool is_down)
{
	if (service->panic || service->after_panic_until_ms || (is_down && !service->panic_margin))
		return true;
	service->panic_margin -= is_down;
	return false;
}

bool berth_panic_update(struct berth_model_service *service, uint64_t now_ms)
{
	const uint64_t passed_ms = now_ms - service->panic_updated_ms;
	const bool before = service->panic;
	size_t n, down, kept;
	berth_panic_count(service, &n, &down);
	service->panic = berth_panic_is_due(service->config.panic_percent, n, down);
	if (service->panic && !before)
		service->panic_since_ms = now_ms;
	service->panic_updated_ms = now_ms;
	const bool changed = update_backends(service, passed_ms, &kept);
	service->panic_margin = margin_of(service, n, down);
	/* Without a backend to keep in use the service has none, which is another alarm. */
	service->panic = kept > 0;
	return changed || service->panic != before;
}

void berth_panic_next(const struct berth_model_service *service, uint64_t *next_ms)
{
	for (size_t i = 0; service->after_panic_until_ms && i < service->n_backends; i++) {
		const struct berth_model_backend *backend = &service->backends[i];
		if (backend->is_kept_for_clients && lost_at_ms(service, backend) < *next_ms)
			*next_ms = lost_at_ms(service, backend);
	}
}
