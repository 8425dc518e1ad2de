// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/daemon/apply.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/cmd/config/parser.h"
#include "controlplane/config/parse.h"
#include "controlplane/daemon/cluster/store.h"
#include "controlplane/daemon/dns_backends.h"
#include "controlplane/daemon/engine_restart.h"
#include "controlplane/daemon/install/stage.h"
#include "controlplane/daemon/network.h"
#include "controlplane/daemon/node.h"
#include "controlplane/daemon/port_taps.h"
#include "controlplane/daemon/private.h"
#include "controlplane/daemon/publication.h"
#include "controlplane/daemon/saved_state.h"
#include "controlplane/daemon/session_save.h"
#include "controlplane/daemon/timers.h"
#include "controlplane/engine/choose.h"
#include "controlplane/netlink/netlink.h"
#include "controlplane/tables/counters.h"
#include "controlplane/util/clock.h"
#include "controlplane/util/file.h"
#include "controlplane/util/log.h"

enum {
	MANY_BACKENDS = 4096, /* their publication takes some 1 ms */
	MOST_PREPARES = 2,    /* of one configuration */
	FORMER_MS = 20,	      /* after the turns of the publication */
};

/* The last step, which stops an engine with other ports, or starts another engine: the commit publishes at once. */
static int stage_engine(struct berth_daemon *daemon, struct berth_stage *stage, char error[BERTH_ERROR_BYTES])
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

/* The engine, which decides on the size of the tables. */
static int open_exchange(struct berth_daemon *daemon, struct berth_stage *stage, enum berth_exchange_way way,
			 char error[BERTH_ERROR_BYTES])
{
	const bool is_exchange = daemon->model.config &&
				 (way != BERTH_EXCHANGE_PLAIN || !berth_engine_fits(daemon->engine, stage->config));
	return is_exchange ? berth_engine_exchange_open(daemon, &stage->exchange, stage->config, way, error) : 0;
}

/* The names, which may add backends, and the listener. */
static int stage_names(struct berth_daemon *daemon, struct berth_stage *stage, char error[BERTH_ERROR_BYTES])
{
	int err = berth_dns_backends_stage(daemon, stage->config, error);
	stage->has_names = !err;
	if (!err)
		err = berth_metrics_http_stage(daemon->metrics, &stage->config->metrics, error);
	stage->has_listener = stage->has_names && !err;
	return err;
}

/* All steps, or what has changed since they were made in turns of the loop. */
static int stage_steps(struct berth_daemon *daemon, struct berth_stage *stage, char error[BERTH_ERROR_BYTES])
{
	int err = 0;
	if (stage->next == BERTH_STAGE_STEPS) {
		snprintf(error, BERTH_ERROR_BYTES, "out of memory");
		return berth_stage_refresh(daemon, stage);
	}
	for (; !err && stage->next < BERTH_STAGE_STEPS;) {
		/* The generation's step builds what is not built. */
		stage->next += stage->next == BERTH_STAGE_TABLES;
		err = berth_stage_step(daemon, stage, error);
	}
	return err;
}

/* 0, or -errno with one line in `error` and nothing staged. */
static int stage_all(struct berth_daemon *daemon, struct berth_stage *stage, enum berth_exchange_way way,
		     char error[BERTH_ERROR_BYTES])
{
	int err = open_exchange(daemon, stage, way, error);
	if (!err)
		err = stage_names(daemon, stage, error);
	if (!err)
		err = stage_steps(daemon, stage, error);
	if (!err && way != BERTH_EXCHANGE_TRIAL)
		err = stage_engine(daemon, stage, error);
	berth_stage_unset_health(stage);
	if (err)
		berth_stage_drop(daemon, stage);
	return err;
}

/* The staged model is berthd's: what workers count and read follows. */
static void commit_engine(struct berth_daemon *daemon, struct berth_stage *stage)
{
	if (stage->exchange.engine)
		berth_engine_exchange_commit(daemon, &stage->exchange);
	else
		berth_counters_clear_new(&daemon->engine->image, &daemon->model);
}

/* What the timers do and the publication are turns of the loop of their own, because with 60,000 backends each
 * takes some 10 ms; not before the loop runs, and not while packets wait for an engine. */
static bool publishes_later(const struct berth_daemon *daemon, const struct berth_stage *stage)
{
	size_t n = 0;
	for (size_t i = 0; i < daemon->model.n_services; i++)
		n += daemon->model.services[i].n_backends;
	return n >= MANY_BACKENDS && daemon->state.installs > 1 && !stage->exchange.engine && !stage->stops_engine;
}

/* The generation is in the image of a new engine already. Without one it is compiled again. */
static void commit_generation(struct berth_daemon *daemon, struct berth_stage *stage)
{
	struct berth_generation *generation = stage->generation;
	if (publishes_later(daemon, stage)) {
		berth_timers_request(daemon);
		if (generation)
			berth_publication_put(daemon, generation);
		else
			berth_publication_request(daemon);
		return;
	}
	const bool changed = berth_timers_follow(daemon);
	if (stage->exchange.engine && !changed)
		berth_publication_advance(daemon);
	else
		berth_publication_start(daemon, changed || stage->exchange.engine ? NULL : generation);
	if (stage->exchange.engine || changed)
		berth_generation_free(generation);
	/* The TAP ports of another engine. */
	if (stage->exchange.engine)
		berth_network_follow(daemon);
}

void berth_daemon_free_former(struct berth_daemon *daemon)
{
	berth_model_clear(&daemon->former);
}

static void on_former(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	berth_daemon_free_former(arg);
}

/* What was in force before. With many backends it takes some milliseconds: a turn of its own. */
static void clear_former(struct berth_daemon *daemon, struct berth_model *former, bool is_later)
{
	const struct timeval soon = {.tv_usec = FORMER_MS * 1000};
	berth_daemon_free_former(daemon);
	daemon->former = *former;
	if (!is_later || event_base_once(daemon->base, -1, EV_TIMEOUT, on_former, daemon, &soon))
		berth_daemon_free_former(daemon);
}

/* Cannot fail. Health checks report here, so they come after all that their reports read. */
static void commit(struct berth_daemon *daemon, struct berth_stage *stage)
{
	berth_model_exchange(&daemon->model, &stage->model);
	daemon->installed_ms = berth_clock_ms();
	daemon->state.installs++;
	commit_engine(daemon, stage);
	berth_node_configure(daemon);
	berth_dns_backends_commit(daemon);
	berth_metrics_http_commit(daemon->metrics);
	berth_netlink_commit(daemon->netlink);
	berth_health_commit(stage->targets);
	berth_saved_state_follow(daemon);
	berth_session_save_follow(daemon);
	berth_cluster_store_follow(daemon);
	berth_access_resolve(&daemon->access, &daemon->model.config->access);
	if (daemon->server)
		berth_server_set_access(daemon->server, &daemon->access);
	clear_former(daemon, &stage->model, publishes_later(daemon, stage));
	commit_generation(daemon, stage);
}

static void drop_prepared(struct berth_daemon *daemon)
{
	if (daemon->prepared)
		berth_stage_drop(daemon, daemon->prepared);
	free(daemon->prepared);
	daemon->prepared = NULL;
}

/* What was prepared for the configuration; else an empty stage, and what was prepared for another one is dropped.
 */
static void take_prepared(struct berth_daemon *daemon, struct berth_stage *stage, struct berth_config *config)
{
	const struct berth_stage *prepared = daemon->prepared;
	if (prepared && prepared->config == config && prepared->next == BERTH_STAGE_STEPS &&
	    berth_engine_fits(daemon->engine, config)) {
		*stage = *prepared;
		free(daemon->prepared);
		daemon->prepared = NULL;
		return;
	}
	drop_prepared(daemon);
	*stage = (struct berth_stage){.config = config};
}

/* Takes over `config`. */
static int install_once(struct berth_daemon *daemon, struct berth_config *config, enum berth_exchange_way way,
			char error[BERTH_ERROR_BYTES])
{
	struct berth_stage stage;
	take_prepared(daemon, &stage, config);
	int err = stage_all(daemon, &stage, way, error);
	if (!err && way != BERTH_EXCHANGE_TRIAL) {
		commit(daemon, &stage);
		return 0;
	}
	if (!err)
		berth_stage_drop(daemon, &stage);
	berth_config_free(config);
	return err;
}

/* The same, and keeps `config`. */
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

static size_t count_backends(const struct berth_config *config)
{
	size_t n = 0;
	for (size_t i = 0; i < config->n_services; i++)
		n += config->services[i].n_backends;
	return n;
}

/* With second hops the rows before are those of the model in force, and change with it. */
static bool has_second_hops(const struct berth_config *config)
{
	for (size_t i = 0; i < config->n_services; i++)
		if (config->services[i].second_hop_s)
			return true;
	return false;
}

/* A next hop has the place of its interface in the list, and the model in force has resolved it by its own list. */
static bool has_same_interfaces(const struct berth_config *a, const struct berth_config *b)
{
	if (a->n_interfaces != b->n_interfaces)
		return false;
	for (size_t i = 0; i < a->n_interfaces; i++)
		if (strcmp(a->interfaces[i].name, b->interfaces[i].name) != 0)
			return false;
	return true;
}

/* Whether a configuration takes long, and needs nothing that only one turn can give. */
static bool can_prepare(const struct berth_daemon *daemon, const struct berth_config *config)
{
	const struct berth_config *now = daemon->model.config;
	struct berth_engine *engine = daemon->engine;
	char error[BERTH_ERROR_BYTES];
	uint32_t pause_ms;
	return count_backends(config) >= MANY_BACKENDS && has_same_interfaces(config, now) &&
	       berth_daemon_accepts(daemon, config, error) && berth_engine_fits(engine, config) &&
	       !berth_engine_exchange_needs_turn(daemon, config) &&
	       engine->ops->compare(engine, config, &pause_ms) != BERTH_ENGINE_RESTART &&
	       !berth_dns_backends_has_names(config) && !berth_dns_backends_has_names(now) &&
	       !has_second_hops(config) && !has_second_hops(now);
}

bool berth_daemon_prepare(void *arg, struct berth_config *config)
{
	struct berth_daemon *daemon = arg;
	char error[BERTH_ERROR_BYTES];
	if (daemon->prepared && daemon->prepared->config != config)
		drop_prepared(daemon);
	if (!daemon->prepared) {
		/* Others came into force meanwhile. Once more, then the turn of the apply does all of it. */
		daemon->prepares = daemon->preparing == config ? daemon->prepares + 1 : 1;
		daemon->preparing = config;
		const bool is_tried = daemon->prepares <= MOST_PREPARES && can_prepare(daemon, config);
		daemon->prepared = is_tried ? calloc(1, sizeof(*daemon->prepared)) : NULL;
		if (!daemon->prepared)
			return false;
		daemon->prepared->config = config;
	}
	if (daemon->prepared->next == BERTH_STAGE_STEPS)
		return false;
	if (!berth_stage_step(daemon, daemon->prepared, error))
		return true;
	/* The apply says it. */
	drop_prepared(daemon);
	return false;
}

/* The file is long: what the apply is left to do is to rename it. */
static void draft_file(void *arg, const char *text, size_t length)
{
	const struct berth_daemon *daemon = arg;
	berth_file_draft(daemon->options.config_path, text, length);
}

static void end_job(void *arg)
{
	const struct berth_daemon *daemon = arg;
	berth_daemon_end_prepare(arg);
	berth_file_drop_draft(daemon->options.config_path);
}

void berth_daemon_open_prepare(struct berth_daemon *daemon)
{
	const struct berth_cmd_preparer preparer = {
		.in_thread = draft_file, .turn = berth_daemon_prepare, .end = end_job, .arg = daemon};
	berth_cmd_parser_set_preparer(daemon->parser, &preparer);
}

void berth_daemon_end_prepare(void *arg)
{
	struct berth_daemon *daemon = arg;
	drop_prepared(daemon);
	daemon->preparing = NULL;
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
