// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/daemon/actions.h"

#include <errno.h>
#include <stdio.h>

#include "controlplane/daemon/apply.h"
#include "controlplane/daemon/cluster/operator.h"
#include "controlplane/daemon/config_history.h"
#include "controlplane/daemon/dns_backends.h"
#include "controlplane/daemon/node.h"
#include "controlplane/daemon/private.h"
#include "controlplane/daemon/publication.h"
#include "controlplane/daemon/saved_state.h"
#include "controlplane/daemon/timers.h"
#include "controlplane/util/clock.h"

/* NULL with one line in `error`. */
static struct berth_model_backend *find_backend(struct berth_daemon *daemon, const char *service,
						const char *backend, char error[BERTH_ERROR_BYTES])
{
	struct berth_model_service *of = berth_model_service(&daemon->model, service);
	struct berth_model_backend *found = of ? berth_model_backend(of, backend) : NULL;
	if (!found)
		berth_cmd_no_backend(service, backend, error);
	return found;
}

/* The eligibility of a backend is in force at once, its share of new clients with the next generation. NULL: the
 * eligibility is published. */
static void publish_change(struct berth_daemon *daemon, const struct berth_model_backend *backend)
{
	berth_saved_state_request(daemon);
	berth_timers_follow(daemon);
	if (backend)
		berth_publication_eligibility(daemon, backend);
	berth_publication_start(daemon, NULL);
}

static int force_health(struct berth_daemon *daemon, const char *service, const char *backend,
			enum berth_forced forced, const struct berth_cmd_origin *origin,
			char error[BERTH_ERROR_BYTES])
{
	const struct berth_model_service *of = berth_model_service(&daemon->model, service);
	struct berth_model_backend *found = find_backend(daemon, service, backend, error);
	if (!found)
		return -ENOENT;
	found->forced = forced;
	berth_cluster_operator_set_health(daemon, of, found, origin);
	publish_change(daemon, found);
	return 0;
}

/* Seconds of CLOCK_MONOTONIC; 0: never. */
static uint32_t evict_at(uint64_t deadline_ms)
{
	return deadline_ms ? (uint32_t)((berth_clock_ms() + deadline_ms + 999) / 1000) : 0;
}

static int set_admin(struct berth_daemon *daemon, const char *service, const char *backend, enum berth_admin admin,
		     uint64_t deadline_ms, const struct berth_cmd_origin *origin, char error[BERTH_ERROR_BYTES])
{
	const struct berth_model_service *of = berth_model_service(&daemon->model, service);
	struct berth_model_backend *found = find_backend(daemon, service, backend, error);
	if (!found)
		return -ENOENT;
	berth_model_set_admin(&daemon->model, found, admin, evict_at(deadline_ms));
	berth_cluster_operator_set_admin(daemon, of, found, origin);
	publish_change(daemon, found);
	return 0;
}

static int set_host_admin(struct berth_daemon *daemon, const union berth_addr *address, enum berth_admin admin,
			  uint64_t deadline_ms, const struct berth_cmd_origin *origin,
			  char error[BERTH_ERROR_BYTES])
{
	int n = 0;
	for (size_t i = 0; i < daemon->model.n_services; i++) {
		const struct berth_model_service *service = &daemon->model.services[i];
		for (size_t j = 0; j < service->n_backends; j++) {
			struct berth_model_backend *backend = &service->backends[j];
			if (!berth_addr_equal(&backend->config.address, address))
				continue;
			berth_model_set_admin(&daemon->model, backend, admin, evict_at(deadline_ms));
			berth_cluster_operator_set_admin(daemon, service, backend, origin);
			berth_publication_eligibility(daemon, backend);
			n++;
		}
	}
	if (n == 0) {
		snprintf(error, BERTH_ERROR_BYTES,
			 "no backend has this address; `berthctl show backends` lists all backends");
		return -ENOENT;
	}
	publish_change(daemon, NULL);
	return n;
}

static void pin_client(struct berth_daemon *daemon, const struct berth_pin *pin,
		       const struct berth_cmd_origin *origin)
{
	berth_saved_state_pin(daemon, pin);
	berth_cluster_operator_set_pin(daemon, pin, origin);
}

static void unpin_client(struct berth_daemon *daemon, const struct berth_pin *pin,
			 const struct berth_cmd_origin *origin)
{
	const struct berth_pin none = {.service = pin->service, .client = pin->client, .bits = pin->bits};
	berth_saved_state_unpin(daemon, pin->service, &pin->client);
	berth_cluster_operator_set_pin(daemon, &none, origin);
}

const struct berth_cmd_actions berth_daemon_actions = {
	.accepts = berth_daemon_accepts,
	.expand = berth_dns_backends_expand,
	.apply = berth_config_history_apply,
	.undo = berth_config_history_undo,
	.confirm = berth_config_history_confirm,
	.save_config = berth_config_history_save,
	.set_admin = set_admin,
	.set_host_admin = set_host_admin,
	.force_health = force_health,
	.drain_node = berth_node_drain,
	.pin = pin_client,
	.unpin = unpin_client,
	.save = berth_saved_state_flush,
	.wait = berth_publication_wait,
	.cancel = berth_publication_cancel,
	.shut_down = berth_node_stop,
};
