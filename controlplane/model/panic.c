// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/model/panic.h"

bool berth_panic_is(uint32_t percent, size_t n, size_t down)
{
	return percent && down * 100 > n * percent;
}

/* Those that an operator or DNS has taken away are not lost. */
static bool counts(const struct berth_model_backend *backend)
{
	return !backend->config.leaving && backend->admin != BERTH_ADMIN_DISABLED &&
	       backend->admin != BERTH_ADMIN_EVICTED && backend->forced != BERTH_FORCED_DOWN;
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

/* The longest time between the first and the last of checks that find the same fault: as many as it takes, one of
 * them just begun, and the answer that does not come. */
static uint64_t spread_ms(const struct berth_health_config *health)
{
	return (uint64_t)health->interval_ms * (health->fall + 1) + health->timeout_ms;
}

static bool is_kept(const struct berth_model_service *service, const struct berth_model_backend *backend)
{
	return service->panic && counts(backend) && is_down(backend) && backend->fell_ms &&
	       backend->fell_ms + spread_ms(&service->config.health) >= service->panic_ms;
}

bool berth_panic_update(struct berth_model_service *service, uint64_t now_ms)
{
	size_t n, down;
	berth_panic_count(service, &n, &down);
	bool panic = berth_panic_is(service->config.panic, n, down);
	bool changed = panic != service->panic;
	if (panic && !service->panic)
		service->panic_ms = now_ms;
	service->panic = panic;
	for (size_t i = 0; i < service->n_backends; i++) {
		struct berth_model_backend *backend = &service->backends[i];
		bool kept = is_kept(service, backend);
		changed |= kept != backend->kept;
		backend->kept = kept;
	}
	return changed;
}
