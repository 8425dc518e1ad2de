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

/* One backend; what was in use in a panic, or after it, is so in the next one. True: it has changed. */
static bool update_backend(const struct berth_model_service *service, struct berth_model_backend *backend)
{
	const bool had = backend->is_kept, had_clients = backend->is_kept_for_clients;
	const bool can_keep = counts(backend) && is_down(backend);
	const bool was_used = had || had_clients;
	backend->is_kept = can_keep && service->panic && (was_used || went_down_together(service, backend));
	backend->is_kept_for_clients = can_keep && !service->panic && was_used && service->after_panic_until_ms;
	return backend->is_kept != had || backend->is_kept_for_clients != had_clients;
}

/* Updates what the backends are kept for; `kept`, `for_clients`: how many. True: one has changed. */
static bool update_backends(struct berth_model_service *service, size_t *kept, size_t *for_clients)
{
	bool changed = false;
	*kept = *for_clients = 0;
	for (size_t i = 0; i < service->n_backends; i++) {
		changed |= update_backend(service, &service->backends[i]);
		*kept += service->backends[i].is_kept;
		*for_clients += service->backends[i].is_kept_for_clients;
	}
	return changed;
}

static bool has_kept(const struct berth_model_service *service)
{
	bool found = false;
	for (size_t i = 0; i < service->n_backends; i++)
		found |= service->backends[i].is_kept;
	return found;
}

/* Begins the time after a panic when the panic is not due any more, and ends it. */
static void follow_after_panic(struct berth_model_service *service, uint64_t now_ms)
{
	if (service->panic || service->after_panic_until_ms <= now_ms)
		service->after_panic_until_ms = 0;
	if (!service->panic && has_kept(service))
		service->after_panic_until_ms = now_ms + recovery_spread_ms(service->config.health);
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
	const bool before = service->panic;
	size_t n, down, kept, for_clients;
	berth_panic_count(service, &n, &down);
	service->panic = berth_panic_is_due(service->config.panic_percent, n, down);
	if (service->panic && !before)
		service->panic_since_ms = now_ms;
	follow_after_panic(service, now_ms);
	const bool changed = update_backends(service, &kept, &for_clients);
	if (!for_clients)
		service->after_panic_until_ms = 0;
	service->panic_margin = margin_of(service, n, down);
	/* Without a backend to keep in use the service has none, which is another alarm. */
	service->panic = kept > 0;
	return changed || service->panic != before;
}

void berth_panic_next(const struct berth_model_service *service, uint64_t *next_ms)
{
	if (service->after_panic_until_ms && service->after_panic_until_ms < *next_ms)
		*next_ms = service->after_panic_until_ms;
}
