// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/daemon/engine_exchange.h"

#include <errno.h>
#include <event2/event.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/daemon/engine_restart.h"
#include "controlplane/daemon/private.h"
#include "controlplane/daemon/publication.h"
#include "controlplane/daemon/session_save.h"
#include "controlplane/engine/choose.h"
#include "controlplane/tables/counters.h"
#include "controlplane/tables/former_words.h"
#include "controlplane/util/clock.h"
#include "controlplane/util/log.h"
#include "controlplane/util/service_manager.h"
#include "dataplane/core/flowtab.h"

static bool has_interface(const struct berth_config *config, const char *name)
{
	for (size_t i = 0; i < config->n_interfaces; i++)
		if (strcmp(config->interfaces[i].name, name) == 0)
			return true;
	return false;
}

/* A new interface must exist. One that was removed is waited for. */
static int check_interfaces(const struct berth_config *now, const struct berth_config *config,
			    char error[BERTH_ERROR_BYTES])
{
	for (size_t i = 0; i < config->n_interfaces; i++) {
		const struct berth_interface_config *interface = &config->interfaces[i];
		if (interface->device[0] || has_interface(now, interface->name) || if_nametoindex(interface->name))
			continue;
		snprintf(error, BERTH_ERROR_BYTES,
			 "interface %s does not exist; `ip link` lists interfaces (interfaces[%zu].name)",
			 interface->name, i);
		return -ENODEV;
	}
	return 0;
}

/* A former table that stands in the way of the wanted size. */
static bool is_in_the_way(uint32_t former, uint32_t has, uint32_t wanted)
{
	return former && wanted != has && wanted != former;
}

bool berth_engine_exchange_needs_turn(const struct berth_daemon *daemon, const struct berth_config *config)
{
	const struct berth_record *record = daemon->engine->record;
	const uint32_t wanted = berth_engine_geometry(config).flow_buckets;
	return !berth_engine_fits(daemon->engine, config) && berth_engine_keeps_kind(daemon->engine, config) &&
	       is_in_the_way(record->former_flow_buckets, record->flow_buckets, wanted) &&
	       record->former_flow_buckets < record->flow_buckets &&
	       !berth_former_words_empty(&daemon->engine->image, BERTH_TABLE_FLOWS, berth_clock_s());
}

/* Moves the words out of former tables that are in the way. */
static void empty_former(const struct berth_daemon *daemon, const struct berth_config *config,
			 struct berth_engine_paths *paths)
{
	const struct berth_record *record = daemon->engine->record;
	const struct berth_image *image = &daemon->engine->image;
	const struct berth_geometry wanted = berth_engine_geometry(config);
	const uint32_t now = berth_clock_s();
	paths->is_former_empty[BERTH_KEPT_FLOWS] = is_in_the_way(record->former_flow_buckets, record->flow_buckets,
								 wanted.flow_buckets) &&
						   berth_former_words_empty(image, BERTH_TABLE_FLOWS, now);
	paths->is_former_empty[BERTH_KEPT_SESSIONS] =
		is_in_the_way(record->former_session_buckets, record->session_buckets, wanted.session_buckets) &&
		berth_former_words_empty(image, BERTH_TABLE_SESSIONS, now);
}

/* Words may still hold numbers in quarantine: the next tables must have them, or they would be given out too early
 * when limits are raised again. */
static int check_numbers(const struct berth_model *model, const struct berth_geometry *geometry,
			 char error[BERTH_ERROR_BYTES])
{
	if (berth_numbers_quarantine_end(&model->service_numbers) <= geometry->services &&
	    berth_numbers_quarantine_end(&model->backend_numbers) <= geometry->backends)
		return 0;
	snprintf(
		error, BERTH_ERROR_BYTES,
		"limits: numbers of services or backends that were removed are still in the tables; try again in a "
		"few seconds");
	return -EAGAIN;
}

int berth_engine_exchange_open(struct berth_daemon *daemon, struct berth_engine_exchange *exchange,
			       const struct berth_config *config, enum berth_exchange_way way,
			       char error[BERTH_ERROR_BYTES])
{
	struct berth_engine_paths paths = daemon->options.paths;
	struct berth_engine *former = daemon->engine;
	*exchange = (struct berth_engine_exchange){0};
	paths.is_turned_back = way == BERTH_EXCHANGE_TURNED;
	if (!paths.is_turned_back && berth_engine_keeps_kind(former, config))
		empty_former(daemon, config, &paths);
	if (way == BERTH_EXCHANGE_TRIAL)
		paths.is_former_empty[BERTH_KEPT_FLOWS] = true;
	int err = check_interfaces(daemon->model.config, config, error);
	if (!err && berth_engine_is_awaited(former) && !former->process.is_failing) {
		snprintf(error, BERTH_ERROR_BYTES, "the engine is being started; try again when it forwards");
		err = -EAGAIN;
	}
	if (!err)
		err = berth_engine_open_beside(former, config, &paths, &exchange->engine, error);
	if (err)
		return err;
	exchange->publisher = berth_publisher_new(exchange->engine);
	exchange->scan = berth_scan_new(&exchange->engine->image);
	err = exchange->publisher && exchange->scan ? 0 : -ENOMEM;
	if (err)
		snprintf(error, BERTH_ERROR_BYTES, "out of memory");
	else
		err = check_numbers(&daemon->model, &exchange->engine->image.geometry, error);
	if (err)
		berth_engine_exchange_drop(daemon, exchange);
	return err;
}

void berth_engine_exchange_drop(struct berth_daemon *daemon, struct berth_engine_exchange *exchange)
{
	if (!exchange->engine)
		return;
	berth_publisher_free(exchange->publisher);
	berth_scan_free(exchange->scan);
	berth_load_free(exchange->load);
	berth_engine_close_beside(exchange->engine, daemon->engine, &daemon->options.paths);
	exchange->engine = NULL;
}

/* All that workers read, and the figures so far. No worker uses the next engine's image yet. */
static int fill(const struct berth_daemon *daemon, struct berth_engine_exchange *exchange,
		const struct berth_model *model, const struct berth_generation *generation,
		char error[BERTH_ERROR_BYTES])
{
	struct berth_engine *next = exchange->engine;
	int err = next->ops->configure(next, model->config, error);
	if (!err)
		err = berth_publication_fill(exchange->publisher, model, generation, error);
	if (err)
		return err;
	berth_counters_copy(&next->image, &daemon->engine->image, model);
	berth_load_copy(&next->image, &daemon->engine->image);
	berth_scan_inherit(exchange->scan, daemon->scan);
	exchange->load = berth_load_new(&next->image);
	if (exchange->load)
		return 0;
	snprintf(error, BERTH_ERROR_BYTES, "out of memory");
	return -ENOMEM;
}

/* The next engine does not start. */
static void roll_back(struct berth_daemon *daemon, char error[BERTH_ERROR_BYTES])
{
	char cause[BERTH_ERROR_BYTES], reason[BERTH_ERROR_BYTES] = "";
	snprintf(cause, sizeof(cause), "%s", error);
	berth_service_manager_feed_watchdog();
	berth_log("ALARM: the engine does not start with the new configuration (%s): the former one is used again",
		  cause);
	if (berth_engine_resume(daemon->engine, &daemon->options.paths, daemon->base, reason) == 0) {
		snprintf(error, BERTH_ERROR_BYTES,
			 "the engine does not start with it: %.400s; the former configuration is in force again",
			 cause);
		return;
	}
	berth_log("ALARM: nor does it start with the former one (%s): berthd ends", reason);
	snprintf(
		error, BERTH_ERROR_BYTES,
		"the engine does not start with it: %.200s; nor with the former configuration: %.200s; berthd ends",
		cause, reason);
	daemon->exit = BERTH_EXIT_ENGINE;
	event_base_loopexit(daemon->base, NULL);
}

int berth_engine_exchange_start(struct berth_daemon *daemon, struct berth_engine_exchange *exchange,
				const struct berth_model *model, const struct berth_generation *generation,
				char error[BERTH_ERROR_BYTES])
{
	struct berth_engine *next = exchange->engine, *former = daemon->engine;
	const struct berth_engine_paths *paths = &daemon->options.paths;
	const bool stops = former->ops != next->ops || !next->ops->is_replaced_live;
	int err = fill(daemon, exchange, model, generation, error);
	if (err)
		return err;
	const uint64_t begin_ms = berth_clock_ms();
	if (stops) {
		berth_service_manager_feed_watchdog();
		former->ops->halt(paths);
		berth_service_manager_feed_watchdog();
	}
	err = berth_engine_start(next, paths, daemon->base, error);
	if (err) {
		roll_back(daemon, error);
		return err;
	}
	if (stops)
		next->process.pause_ms = (uint32_t)(berth_clock_ms() - begin_ms);
	berth_log("engine %s: in place of the former one, with its flows and sessions; packets stopped for %u ms",
		  next->ops->name, stops ? next->process.pause_ms : 0);
	return 0;
}

void berth_engine_exchange_commit(struct berth_daemon *daemon, struct berth_engine_exchange *exchange)
{
	struct berth_engine *former = daemon->engine;
	berth_session_save_pause(daemon);
	berth_engine_restart_forget(daemon);
	berth_publication_replace(daemon, exchange->publisher);
	berth_scan_free(daemon->scan);
	berth_load_free(daemon->load);
	daemon->engine = exchange->engine;
	daemon->scan = exchange->scan;
	daemon->load = exchange->load;
	daemon->scan_us = daemon->last_scan_us = 0;
	daemon->state.engine = daemon->engine;
	daemon->state.scan = daemon->scan;
	berth_session_save_set_image(daemon);
	berth_engine_close(former, &daemon->options.paths, false);
}
