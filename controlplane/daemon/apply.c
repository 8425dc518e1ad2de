// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/daemon/apply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/compile/compile.h"
#include "controlplane/config/parse.h"
#include "controlplane/daemon/cluster/store.h"
#include "controlplane/daemon/dns_backends.h"
#include "controlplane/daemon/engine_exchange.h"
#include "controlplane/daemon/engine_restart.h"
#include "controlplane/daemon/health_targets.h"
#include "controlplane/daemon/network.h"
#include "controlplane/daemon/node.h"
#include "controlplane/daemon/port_taps.h"
#include "controlplane/daemon/private.h"
#include "controlplane/daemon/publication.h"
#include "controlplane/daemon/saved_state.h"
#include "controlplane/daemon/session_save.h"
#include "controlplane/daemon/timers.h"
#include "controlplane/engine/choose.h"
#include "controlplane/model/former_rows.h"
#include "controlplane/netlink/netlink.h"
#include "controlplane/tables/counters.h"
#include "controlplane/tables/retired.h"
#include "controlplane/util/clock.h"
#include "controlplane/util/file.h"
#include "controlplane/util/log.h"

enum {
	MANY_BACKENDS = 4096, /* their publication takes some 1 ms */
};

/* All that an apply needs and that can fail, made beside what is in force. */
struct stage {
	struct berth_engine_exchange exchange;
	struct berth_model model;
	struct berth_generation *generation;
	struct berth_health_stage *targets;
	enum berth_health_state *health; /* of the model's backends in order, before set_staged_health */
	bool has_names;			 /* dns_backends.h */
	bool has_listener;
	bool has_network;
	bool stops_engine; /* which then starts with what is published */
};

static void drop(struct berth_daemon *daemon, struct stage *stage)
{
	berth_generation_free(stage->generation);
	free(stage->health);
	berth_health_drop(stage->targets);
	if (stage->has_network)
		berth_netlink_drop(daemon->netlink);
	berth_model_drop(&stage->model);
	if (stage->has_listener)
		berth_metrics_http_drop(daemon->metrics);
	if (stage->has_names)
		berth_dns_backends_drop(daemon);
	berth_engine_exchange_drop(daemon, &stage->exchange);
}

/* The size of the tables that the configuration gets. */
static const struct berth_geometry *geometry_of(const struct berth_daemon *daemon, const struct stage *stage)
{
	const struct berth_engine *engine = stage->exchange.engine ? stage->exchange.engine : daemon->engine;
	return &engine->image.geometry;
}

/* The model with the configuration, its names and the listener. Takes over `config`. */
static int stage_model(struct berth_daemon *daemon, struct stage *stage, struct berth_config *config,
		       char error[BERTH_ERROR_BYTES])
{
	int err = berth_dns_backends_stage(daemon, config, error);
	stage->has_names = !err;
	if (!err)
		err = berth_metrics_http_stage(daemon->metrics, &config->metrics, error);
	stage->has_listener = stage->has_names && !err;
	if (!err)
		err = berth_model_stage(&stage->model, &daemon->model, geometry_of(daemon, stage), config, error);
	if (err) {
		berth_config_free(config);
		return err;
	}
	berth_saved_state_restore(daemon, &stage->model);
	if (daemon->model.adopted_backends &&
	    (err = berth_former_rows_adopt(&stage->model, &daemon->engine->image)))
		snprintf(error, BERTH_ERROR_BYTES, "out of memory");
	return err;
}

/* Gives backends the states that the health checks will report at the commit, so that the generation has them.
 * -ENOMEM.
 */
static int set_staged_health(struct stage *stage)
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

/* Next hops, health targets, and the figures of removed backends. -ENOMEM. */
static int stage_parts(struct berth_daemon *daemon, struct stage *stage)
{
	if (berth_retired_update(&stage->model, &daemon->engine->image) ||
	    berth_network_stage(daemon, &stage->model))
		return -ENOMEM;
	stage->has_network = true;
	berth_network_update(daemon, &stage->model);
	stage->targets = berth_health_targets_stage(daemon, &stage->model);
	return stage->targets ? set_staged_health(stage) : -ENOMEM;
}

/* The reports are to be seen as changes. */
static void unset_staged_health(struct stage *stage)
{
	size_t n = 0;
	for (size_t i = 0; i < stage->model.n_services; i++)
		for (size_t j = 0; j < stage->model.services[i].n_backends; j++)
			stage->model.services[i].backends[j].health = stage->health[n++];
}

static int stage_generation(struct berth_daemon *daemon, struct stage *stage, char error[BERTH_ERROR_BYTES])
{
	const struct berth_geometry *geometry = geometry_of(daemon, stage);
	berth_timers_stage(&stage->model);
	stage->generation = berth_compile(&stage->model, geometry, error);
	return stage->generation ? berth_publisher_check(geometry, stage->generation, error) : -ENOSPC;
}

/* The last step, which stops an engine with other ports, or starts another engine: the commit publishes at once. */
static int stage_engine(struct berth_daemon *daemon, struct stage *stage, char error[BERTH_ERROR_BYTES])
{
	struct berth_engine *engine = stage->exchange.engine ? stage->exchange.engine : daemon->engine;
	berth_port_taps_stage(daemon, engine, stage->model.config);
	if (stage->exchange.engine)
		return berth_engine_exchange_start(daemon, &stage->exchange, &stage->model, stage->generation,
						   error);
	uint32_t pause_ms;
	stage->stops_engine = engine->ops->compare(engine, stage->model.config, &pause_ms) == BERTH_ENGINE_RESTART;
	return engine->ops->configure(engine, stage->model.config, error);
}

/* The engine and the model for the configuration. Takes over `config`. */
static int stage_first(struct berth_daemon *daemon, struct stage *stage, struct berth_config *config,
		       enum berth_exchange_way way, char error[BERTH_ERROR_BYTES])
{
	const bool is_exchange = daemon->model.config &&
				 (way != BERTH_EXCHANGE_PLAIN || !berth_engine_fits(daemon->engine, config));
	int err = is_exchange ? berth_engine_exchange_open(daemon, &stage->exchange, config, way, error) : 0;
	if (err) {
		berth_config_free(config);
		return err;
	}
	return stage_model(daemon, stage, config, error);
}

/* Takes over `config`. 0, or -errno with one line in `error` and nothing staged. */
static int stage_all(struct berth_daemon *daemon, struct stage *stage, struct berth_config *config,
		     enum berth_exchange_way way, char error[BERTH_ERROR_BYTES])
{
	*stage = (struct stage){0};
	int err = stage_first(daemon, stage, config, way, error);
	if (!err && (err = stage_parts(daemon, stage)))
		snprintf(error, BERTH_ERROR_BYTES, "out of memory");
	if (!err)
		err = stage_generation(daemon, stage, error);
	if (!err && way != BERTH_EXCHANGE_TRIAL)
		err = stage_engine(daemon, stage, error);
	if (stage->health)
		unset_staged_health(stage);
	if (err)
		drop(daemon, stage);
	return err;
}

/* The staged model is berthd's: what workers count and read follows. */
static void commit_engine(struct berth_daemon *daemon, struct stage *stage)
{
	if (stage->exchange.engine)
		berth_engine_exchange_commit(daemon, &stage->exchange);
	else
		berth_counters_clear_new(&daemon->engine->image, &daemon->model);
}

/* What the timers do and the publication are turns of the loop of their own, because with 60,000 backends each
 * takes some 10 ms; not before the loop runs, and not while packets wait for an engine. */
static bool publishes_later(const struct berth_daemon *daemon, const struct stage *stage)
{
	size_t n = 0;
	for (size_t i = 0; i < daemon->model.n_services; i++)
		n += daemon->model.services[i].n_backends;
	return n >= MANY_BACKENDS && daemon->state.installs > 1 && !stage->exchange.engine && !stage->stops_engine;
}

/* The generation is in the image of a new engine already. */
static void commit_generation(struct berth_daemon *daemon, const struct stage *stage)
{
	if (publishes_later(daemon, stage)) {
		berth_timers_request(daemon);
		berth_publication_put(daemon, stage->generation);
		return;
	}
	const bool changed = berth_timers_follow(daemon);
	if (stage->exchange.engine && !changed)
		berth_publication_advance(daemon);
	else
		berth_publication_start(daemon, changed || stage->exchange.engine ? NULL : stage->generation);
	if (stage->exchange.engine || changed)
		berth_generation_free(stage->generation);
	/* The TAP ports of another engine. */
	if (stage->exchange.engine)
		berth_network_follow(daemon);
}

/* Cannot fail. Health checks report here, so they come after all that their reports read. */
static void commit(struct berth_daemon *daemon, struct stage *stage)
{
	berth_model_commit(&daemon->model, &stage->model);
	daemon->installed_ms = berth_clock_ms();
	daemon->state.installs++;
	commit_engine(daemon, stage);
	berth_node_configure(daemon);
	berth_dns_backends_commit(daemon);
	berth_metrics_http_commit(daemon->metrics);
	berth_netlink_commit(daemon->netlink);
	berth_health_commit(stage->targets);
	free(stage->health);
	berth_saved_state_follow(daemon);
	berth_session_save_follow(daemon);
	berth_cluster_store_follow(daemon);
	berth_access_resolve(&daemon->access, &daemon->model.config->access);
	if (daemon->server)
		berth_server_set_access(daemon->server, &daemon->access);
	commit_generation(daemon, stage);
}

static int install_once(struct berth_daemon *daemon, struct berth_config *config, enum berth_exchange_way way,
			char error[BERTH_ERROR_BYTES])
{
	struct stage stage;
	int err = stage_all(daemon, &stage, config, way, error);
	if (!err && way == BERTH_EXCHANGE_TRIAL)
		drop(daemon, &stage);
	else if (!err)
		commit(daemon, &stage);
	return err;
}

/* Likewise, and keeps `config`. */
static int install_copy(struct berth_daemon *daemon, const struct berth_config *config, enum berth_exchange_way way,
			char error[BERTH_ERROR_BYTES])
{
	struct berth_config *copy = berth_config_copy_configured(config);
	if (copy)
		return install_once(daemon, copy, way, error);
	snprintf(error, BERTH_ERROR_BYTES, "out of memory");
	return -ENOMEM;
}

/* The configuration in force, with the flow table of its former size: after all that can be refused was tried. */
static int turn_back(struct berth_daemon *daemon, const struct berth_config *config, char error[BERTH_ERROR_BYTES])
{
	int err = install_copy(daemon, config, BERTH_EXCHANGE_TRIAL, error);
	return err ? err : install_copy(daemon, daemon->model.config, BERTH_EXCHANGE_TURNED, error);
}

/* The flow table gets the size of the configuration in force again. */
static void undo_turn(struct berth_daemon *daemon)
{
	char error[BERTH_ERROR_BYTES];
	const bool ends = daemon->exit != BERTH_EXIT_OK;
	if (!ends && install_copy(daemon, daemon->model.config, BERTH_EXCHANGE_TURNED, error))
		berth_log("ALARM: the flow table keeps a size of before (%s); apply the configuration again",
			  error);
}

int berth_daemon_install(struct berth_daemon *daemon, struct berth_config *config, char error[BERTH_ERROR_BYTES])
{
	const bool turns = daemon->model.config && berth_engine_exchange_needs_turn(daemon, config);
	int err = turns ? turn_back(daemon, config, error) : 0;
	if (err) {
		berth_config_free(config);
		return err;
	}
	err = install_once(daemon, config, BERTH_EXCHANGE_PLAIN, error);
	if (err && turns)
		undo_turn(daemon);
	return err;
}

int berth_daemon_renew(struct berth_daemon *daemon, char error[BERTH_ERROR_BYTES])
{
	struct berth_config *config = berth_config_copy_configured(daemon->model.config);
	if (config)
		return berth_daemon_install(daemon, config, error);
	snprintf(error, BERTH_ERROR_BYTES, "out of memory");
	return -ENOMEM;
}

bool berth_daemon_accepts(const struct berth_daemon *daemon, const struct berth_config *config,
			  char error[BERTH_ERROR_BYTES])
{
	return berth_engine_accepts(daemon->engine, daemon->model.config, config, error);
}

/* The file is written after the commit: a configuration that was refused must not be in it. */
static int save_file(const struct berth_daemon *daemon, const char *text, size_t length,
		     char error[BERTH_ERROR_BYTES])
{
	const char *path = daemon->options.config_path;
	if (!berth_file_replace(path, text, length))
		return 0;
	snprintf(error, BERTH_ERROR_BYTES,
		 "the configuration is applied, but cannot be saved as %s (%s): a restart would bring the former "
		 "one back",
		 path, strerror(errno));
	return -EIO;
}

/* Installs the configuration, and keeps the former one if the engine restarts for it. */
static int install(struct berth_daemon *daemon, struct berth_config *config, char error[BERTH_ERROR_BYTES])
{
	uint32_t pause_ms;
	const bool restarts = berth_engine_fits(daemon->engine, config) &&
			      daemon->engine->ops->compare(daemon->engine, config, &pause_ms) ==
				      BERTH_ENGINE_RESTART;
	struct berth_config *former = restarts ? berth_config_copy_configured(daemon->model.config) : NULL;
	int err = berth_daemon_install(daemon, config, error);
	if (!err && former)
		berth_engine_restart_await(daemon, former, berth_daemon_install);
	else
		berth_config_free(former);
	return err;
}

/* What was parsed has the line of `config show` in its text, too. */
static bool set_text(struct berth_config *config, const char *text, size_t length, char error[BERTH_ERROR_BYTES])
{
	if (config->text->length == length)
		return true;
	struct berth_config_text *other = berth_config_text_new(text, length);
	if (!other) {
		snprintf(error, BERTH_ERROR_BYTES, "out of memory");
		return false;
	}
	berth_config_text_free(config->text);
	config->text = other;
	return true;
}

/* Takes `config`. */
static int apply_text(struct berth_daemon *daemon, const char *name, const char *text, size_t length,
		      struct berth_config *config, char error[BERTH_ERROR_BYTES])
{
	if (!config)
		config = berth_config_parse(name, text, length, error);
	if (!config || !set_text(config, text, length, error) || !berth_daemon_accepts(daemon, config, error)) {
		berth_config_free(config);
		return -EINVAL;
	}
	return install(daemon, config, error);
}

void berth_daemon_refuse(struct berth_daemon *daemon)
{
	daemon->state.is_apply_refused = true;
	daemon->state.refused_applies++;
}

int berth_daemon_apply_parsed(struct berth_daemon *daemon, const char *name, const char *text, size_t length,
			      struct berth_config *config, bool save, char error[BERTH_ERROR_BYTES])
{
	int err = apply_text(daemon, name, text, length, config, error);
	if (err) {
		berth_daemon_refuse(daemon);
		return err;
	}
	daemon->state.is_apply_refused = false;
	if (save)
		berth_engine_restart_keep_file(daemon);
	daemon->state.applied_ms = berth_clock_ms();
	return save ? save_file(daemon, text, length, error) : 0;
}

int berth_daemon_apply(struct berth_daemon *daemon, const char *name, const char *text, size_t length, bool save,
		       char error[BERTH_ERROR_BYTES])
{
	return berth_daemon_apply_parsed(daemon, name, text, length, NULL, save, error);
}

int berth_daemon_save(struct berth_daemon *daemon, char error[BERTH_ERROR_BYTES])
{
	const struct berth_config_text *text = daemon->model.config->text;
	berth_engine_restart_keep_file(daemon);
	return save_file(daemon, text->text, text->length, error);
}
