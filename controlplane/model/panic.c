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

static bool must_keep(const struct berth_model_service *service, const struct berth_model_backend *backend)
{
	return service->panic && counts(backend) && is_down(backend) && backend->down_since_ms &&
	       backend->down_since_ms + detection_spread_ms(&service->config.health) >= service->panic_since_ms;
}

/* Updates `is_kept` of the backends; `n`: those that are kept. True: one has changed. */
static bool update_kept(struct berth_model_service *service, size_t *n)
{
	bool changed = false;
	*n = 0;
	for (size_t i = 0; i < service->n_backends; i++) {
		struct berth_model_backend *backend = &service->backends[i];
		bool keep = must_keep(service, backend);
		changed |= keep != backend->is_kept;
		backend->is_kept = keep;
		*n += keep;
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
	if (service->panic || (is_down && !service->panic_margin))
		return true;
	service->panic_margin -= is_down;
	return false;
}

bool berth_panic_update(struct berth_model_service *service, uint64_t now_ms)
{
	const bool before = service->panic;
	size_t n, down, kept;
	berth_panic_count(service, &n, &down);
	service->panic = berth_panic_is_due(service->config.panic_percent, n, down);
	if (service->panic && !before)
		service->panic_since_ms = now_ms;
	const bool changed = update_kept(service, &kept);
	service->panic_margin = margin_of(service, n, down);
	/* Without a backend to keep in use the service has none, which is another alarm. */
	service->panic = kept > 0;
	return changed || service->panic != before;
}
