// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/daemon/install/stage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/daemon/dns_backends.h"
#include "controlplane/daemon/health_targets.h"
#include "controlplane/daemon/network.h"
#include "controlplane/daemon/publication.h"
#include "controlplane/daemon/saved_state.h"
#include "controlplane/daemon/timers.h"
#include "controlplane/model/former_rows.h"
#include "controlplane/tables/retired.h"

enum {
	ROWS_PER_STEP = 65536, /* of selection tables; some milliseconds */
};

void berth_stage_drop(struct berth_daemon *daemon, struct berth_stage *stage)
{
	berth_generation_free(stage->generation);
	free(stage->health);
	berth_health_drop(stage->targets);
	if (stage->has_network)
		berth_netlink_drop(daemon->netlink);
	stage->model.config = NULL;
	if (stage->has_model)
		berth_model_drop(&stage->model);
	if (stage->has_listener)
		berth_metrics_http_drop(daemon->metrics);
	if (stage->has_names)
		berth_dns_backends_drop(daemon);
	berth_engine_exchange_drop(daemon, &stage->exchange);
	*stage = (struct berth_stage){.config = stage->config};
}

const struct berth_geometry *berth_stage_geometry(const struct berth_daemon *daemon,
						  const struct berth_stage *stage)
{
	const struct berth_engine *engine = stage->exchange.engine ? stage->exchange.engine : daemon->engine;
	return &engine->image.geometry;
}

static int out_of_memory(char error[BERTH_ERROR_BYTES])
{
	snprintf(error, BERTH_ERROR_BYTES, "out of memory");
	return -ENOMEM;
}

static int stage_model(struct berth_daemon *daemon, struct berth_stage *stage, char error[BERTH_ERROR_BYTES])
{
	stage->requests = berth_publication_requests(daemon);
	stage->rows_version = daemon->model.rows_version;
	int err = berth_model_stage(&stage->model, &daemon->model, berth_stage_geometry(daemon, stage),
				    stage->config, error);
	if (err)
		return err;
	stage->has_model = true;
	berth_saved_state_restore(daemon, &stage->model);
	if (daemon->model.adopted_backends && berth_former_rows_adopt(&stage->model, &daemon->engine->image))
		return out_of_memory(error);
	return 0;
}

static int stage_network(struct berth_daemon *daemon, struct berth_stage *stage, char error[BERTH_ERROR_BYTES])
{
	stage->network_changes = daemon->network_changes;
	if (berth_network_stage(daemon, &stage->model))
		return out_of_memory(error);
	stage->has_network = true;
	berth_network_update(daemon, &stage->model);
	return 0;
}

/* Gives backends the states that the health checks will report at the commit, so that the generation has them.
 * -ENOMEM.
 */
static int set_health(struct berth_stage *stage)
{
	size_t n = 0;
	for (size_t i = 0; i < stage->model.n_services; i++)
		n += stage->model.services[i].n_backends;
	stage->health = calloc(n + 1, sizeof(*stage->health));
	if (!stage->health)
		return -ENOMEM;
	n = 0;
	for (size_t i = 0; i < stage->model.n_services; i++)
		for (size_t j = 0; j < stage->model.services[i].n_backends; j++, n++) {
			struct berth_model_backend *backend = &stage->model.services[i].backends[j];
			int up = berth_health_staged_state(stage->targets, n);
			stage->health[n] = backend->health;
			if (up >= 0)
				backend->health = up ? BERTH_HEALTH_UP : BERTH_HEALTH_DOWN;
		}
	return 0;
}

void berth_stage_unset_health(struct berth_stage *stage)
{
	size_t n = 0;
	for (size_t i = 0; stage->health && i < stage->model.n_services; i++)
		for (size_t j = 0; j < stage->model.services[i].n_backends; j++)
			stage->model.services[i].backends[j].health = stage->health[n++];
	free(stage->health);
	stage->health = NULL;
}

/* Also what follows from health: panic and weights. */
static int stage_health(struct berth_daemon *daemon, struct berth_stage *stage, char error[BERTH_ERROR_BYTES])
{
	stage->targets = berth_health_targets_stage(daemon, &stage->model);
	if (!stage->targets || set_health(stage))
		return out_of_memory(error);
	berth_timers_stage(&stage->model);
	return 0;
}

/* The model in force builds its tables in place: share what it has now. */
static void follow_rows(const struct berth_daemon *daemon, struct berth_stage *stage)
{
	if (stage->rows_version == daemon->model.rows_version)
		return;
	berth_model_renew_rows(&stage->model, &daemon->model);
	stage->rows_version = daemon->model.rows_version;
}

/* Some of them. True: all are built, or there is no memory, which berth_compile says. */
static bool build_tables(const struct berth_daemon *daemon, struct berth_stage *stage)
{
	follow_rows(daemon, stage);
	return berth_compile_ahead(&stage->model, &stage->ahead, ROWS_PER_STEP) != -EAGAIN;
}

static int stage_generation(struct berth_daemon *daemon, struct berth_stage *stage, char error[BERTH_ERROR_BYTES])
{
	const struct berth_geometry *geometry = berth_stage_geometry(daemon, stage);
	follow_rows(daemon, stage);
	if (berth_retired_update(&stage->model, &daemon->engine->image))
		return out_of_memory(error);
	stage->generation = berth_compile(&stage->model, geometry, error);
	return stage->generation ? berth_publisher_check(geometry, stage->generation, error) : -ENOSPC;
}

int berth_stage_step(struct berth_daemon *daemon, struct berth_stage *stage, char error[BERTH_ERROR_BYTES])
{
	int err = 0;
	switch (stage->next) {
	case BERTH_STAGE_MODEL:
		err = stage_model(daemon, stage, error);
		break;
	case BERTH_STAGE_NETWORK:
		err = stage_network(daemon, stage, error);
		break;
	case BERTH_STAGE_HEALTH:
		err = stage_health(daemon, stage, error);
		break;
	case BERTH_STAGE_TABLES:
		if (!build_tables(daemon, stage))
			return 0;
		break;
	default:
		err = stage_generation(daemon, stage, error);
	}
	stage->next++;
	return err;
}

/* Whether the generation has other figures of removed backends. */
static bool has_other_retired(const struct berth_stage *stage)
{
	for (size_t i = 0; i < stage->model.n_services; i++) {
		const struct berth_tally *now = &stage->model.services[i].retired;
		const struct berth_service *has = &stage->generation->services[stage->model.services[i].number];
		if (now->packets != has->retired_packets || now->bytes != has->retired_bytes ||
		    now->flows != has->retired_flows)
			return true;
	}
	return false;
}

/* Whether health checks will report another state at the commit than the generation has. */
static bool has_other_health(const struct berth_stage *stage)
{
	size_t n = 0;
	for (size_t i = 0; i < stage->model.n_services; i++)
		for (size_t j = 0; j < stage->model.services[i].n_backends; j++, n++) {
			const int up = berth_health_staged_state(stage->targets, n);
			const enum berth_health_state health = up > 0	 ? BERTH_HEALTH_UP
							       : up == 0 ? BERTH_HEALTH_DOWN
									 : stage->health[n];
			if (health != stage->model.services[i].backends[j].health)
				return true;
		}
	return false;
}

int berth_stage_refresh(struct berth_daemon *daemon, struct berth_stage *stage)
{
	bool changed = has_other_health(stage);
	berth_stage_unset_health(stage);
	berth_model_refresh(&stage->model, &daemon->model);
	berth_health_targets_refresh(stage->targets, &stage->model);
	if (berth_retired_update(&stage->model, &daemon->engine->image))
		return -ENOMEM;
	changed |= stage->requests != berth_publication_requests(daemon) ||
		   stage->rows_version != daemon->model.rows_version || has_other_retired(stage);
	if (stage->network_changes != daemon->network_changes)
		changed |= berth_network_update(daemon, &stage->model);
	if (!changed)
		return 0;
	berth_generation_free(stage->generation);
	stage->generation = NULL;
	berth_model_renew_rows(&stage->model, &daemon->model);
	return 0;
}
