// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/daemon/daemon.h"
#include "controlplane/api/plural.h"
#include "controlplane/cmd/config/parser.h"
#include "controlplane/cmd/config/planner.h"
#include "controlplane/config/parse.h"
#include "controlplane/config/rules.h"
#include "controlplane/config/warnings.h"

#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/daemon/actions.h"
#include "controlplane/daemon/agents.h"
#include "controlplane/daemon/apply.h"
#include "controlplane/daemon/cluster/operator.h"
#include "controlplane/daemon/cluster/store.h"
#include "controlplane/daemon/config_history.h"
#include "controlplane/daemon/dns_backends.h"
#include "controlplane/daemon/engine_restart.h"
#include "controlplane/daemon/health_targets.h"
#include "controlplane/daemon/network.h"
#include "controlplane/daemon/node.h"
#include "controlplane/daemon/port_taps.h"
#include "controlplane/daemon/private.h"
#include "controlplane/daemon/publication.h"
#include "controlplane/daemon/saved_state.h"
#include "controlplane/daemon/secret.h"
#include "controlplane/daemon/session_save.h"
#include "controlplane/daemon/supervision.h"
#include "controlplane/daemon/timers.h"
#include "controlplane/engine/choose.h"
#include "controlplane/metrics/metrics.h"
#include "controlplane/page/page.h"
#include "controlplane/server/server.h"
#include "controlplane/util/clock.h"
#include "controlplane/util/file.h"
#include "controlplane/util/log.h"

enum {
	MAX_LOGGED_WARNINGS = 20,
};

static void on_netlink(void *arg)
{
	struct berth_daemon *daemon = arg;
	daemon->engine->ops->follow_interfaces(daemon->engine);
	berth_network_follow(daemon);
}

static void on_health(void *arg, uint64_t id, bool up, const char *reason)
{
	struct berth_daemon *daemon = arg;
	struct berth_model_service *service = NULL;
	struct berth_model_backend *backend = berth_model_backend_by_id(&daemon->model, id, &service);
	enum berth_health_state state = up ? BERTH_HEALTH_UP : BERTH_HEALTH_DOWN;
	if (!backend || !berth_model_set_health(backend, state, berth_clock_ms()))
		return;
	const struct berth_log_about about = {service->config.name, backend->config.name,
					      up ? BERTH_LOG_INFO : BERTH_LOG_WARNING};
	/* In force at once; the selection table follows with the next generation. */
	berth_timers_follow_health(daemon, service, !up);
	berth_publication_eligibility(daemon, backend);
	berth_log_about(&about, "%s/%s is %s%s%s%s: %s", service->config.name, backend->config.name,
			berth_health_name(state), backend->forced ? " by its checks, and forced " : "",
			backend->forced ? berth_health_name(berth_model_health(backend)) : "",
			backend->forced ? " by an operator" : "", reason);
	berth_publication_request(daemon);
}

static struct berth_reception reception(void *arg)
{
	const struct berth_engine *engine = ((const struct berth_daemon *)arg)->engine;
	return (struct berth_reception){berth_engine_receives_since_ms(engine),
					berth_engine_received_until_ms(engine)};
}

/* Where the helper ends, the checks of all backends do. */
static void on_health_error(void *arg, uint64_t id, enum berth_health_error error, const char *reason)
{
	static const char *const effects[] = {
		[BERTH_HEALTH_MISCONFIGURED] = "each probe counts as failed",
		[BERTH_HEALTH_HOST_ERROR] = "the last state is kept for `stale`, then each probe counts as failed",
	};
	struct berth_daemon *daemon = arg;
	struct berth_model_service *service = NULL;
	const struct berth_model_backend *backend = berth_model_backend_by_id(&daemon->model, id, &service);

	if (!backend)
		return;
	struct berth_burst *burst = error ? &daemon->health_errors : &daemon->health_recoveries;
	const uint32_t n = berth_burst_add(burst, error ? reason : "", berth_clock_ms());
	if (n == 2)
		berth_log("other backends, too: their health checks %s; `berthctl show backends` has them",
			  error ? "cannot run" : "run again");
	if (n > 1)
		return;
	if (error)
		berth_log_about(BERTH_ABOUT(service->config.name, backend->config.name),
				"%s/%s: its health check cannot run: %s; %s", service->config.name,
				backend->config.name, reason, effects[error]);
	else
		berth_log_about(BERTH_ABOUT(service->config.name, backend->config.name),
				"%s/%s: its health check runs again", service->config.name, backend->config.name);
}

static size_t count_backends(const struct berth_model *model)
{
	size_t n = 0;
	for (size_t i = 0; i < model->n_services; i++)
		n += model->services[i].n_backends;
	return n;
}

static void on_end(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	const struct berth_daemon *daemon = arg;
	/* A stop that has begun ends the engine, too: its addresses are withdrawn. */
	const bool stops = daemon->state.node.is_stopping;
	berth_log("signal %d: berthd ends, %s", (int)fd, stops ? "and the engine with it" : "forwarding goes on");
	berth_daemon_exit(arg, stops);
}

static void on_reload(evutil_socket_t fd, short what, void *arg);

static uint32_t newest_of(const struct berth_daemon *daemon)
{
	const struct berth_history_entry *newest = berth_history_back(daemon->state.history, 0);
	return newest ? newest->number : 0;
}

static void on_reloaded(void *arg, const struct berth_cmd_source *source, struct berth_cmd_parsed *parsed)
{
	struct berth_daemon *daemon = arg;
	char error[BERTH_ERROR_BYTES];
	/* What came into force while a long text was parsed is not taken back: it may be in the file by now. */
	if (newest_of(daemon) != daemon->reload_newest) {
		on_reload(SIGHUP, 0, daemon);
		return;
	}
	memcpy(error, parsed->error, sizeof(error));
	if (berth_config_history_reload(daemon, source->text, source->length, &parsed->config, error))
		berth_log("signal %d: the configuration is unchanged: %s", SIGHUP, error);
	else
		berth_log("signal %d: configuration %s applied: %zu service%s", SIGHUP, daemon->options.config_path,
			  daemon->model.n_services, BERTH_PLURAL(daemon->model.n_services));
}

static void on_reload(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	struct berth_daemon *daemon = arg;
	struct berth_cmd_source source = {.name = daemon->options.config_path, .applies = true};
	char *text = berth_file_read(source.name, &source.length);
	source.text = text;
	daemon->reload_newest = newest_of(daemon);
	if (text)
		berth_cmd_parse_then(daemon->parser, &source, on_reloaded, daemon);
	else
		berth_log("signal %d: the configuration is unchanged: %s: %s", (int)fd, source.name,
			  strerror(errno));
	free(text);
}

static int on_scrape(void *arg, void **job, struct berth_text *text)
{
	const struct berth_daemon *daemon = arg;
	if (text && !*job)
		*job = berth_metrics_begin(&daemon->state);
	const int err = text && *job ? berth_metrics_go_on(*job, BERTH_METRICS_PER_TURN, text) : -ENOMEM;
	if (err != -EAGAIN) {
		berth_metrics_end(*job);
		*job = NULL;
	}
	return err;
}

static bool on_ready(void *arg, struct berth_text *text)
{
	return berth_metrics_write_ready(&((const struct berth_daemon *)arg)->state, text);
}

static const char *on_page(void *arg, const char *target, struct berth_text *text)
{
	return berth_page_write(&((const struct berth_daemon *)arg)->commands, target, text);
}

/* Before the parts that use them. The helper for the store comes with it: cluster_store.c. */
static int open_helpers(struct berth_daemon *daemon)
{
	static const char *const names[BERTH_HELPER_STORE] = {
		[BERTH_HELPER_PROBES] = "probes",
		[BERTH_HELPER_DNS] = "dns",
	};
	for (int i = 0; daemon->options.helper && i < BERTH_HELPER_STORE; i++) {
		const struct berth_helper_options options = {
			.program = daemon->options.helper,
			.name = names[i],
			.run_dir = daemon->options.paths.run_dir,
		};
		daemon->helpers[i] = berth_helper_new(daemon->base, &options);
		if (!daemon->helpers[i])
			return -ENOMEM;
		daemon->state.helpers[i] = daemon->helpers[i];
	}
	return 0;
}

static int open_parts(struct berth_daemon *daemon, char error[BERTH_ERROR_BYTES])
{
	struct berth_engine *engine = daemon->engine;
	if (!open_helpers(daemon))
		daemon->health = berth_health_new(daemon->base, daemon->helpers[BERTH_HELPER_PROBES], on_health,
						  daemon);
	if (daemon->health) {
		berth_health_set_error_fn(daemon->health, on_health_error);
		berth_health_set_reception_fn(daemon->health, reception);
	}
	daemon->parser = berth_cmd_parser_new(daemon->base);
	daemon->planner = berth_cmd_planner_new(daemon->base);
	daemon->metrics = berth_metrics_http_new(daemon->base, &berth_metrics_http_limits, on_scrape, daemon);
	if (daemon->metrics) {
		berth_metrics_http_set_ready(daemon->metrics, on_ready);
		berth_metrics_http_set_page(daemon->metrics, on_page);
	}
	snprintf(error, BERTH_ERROR_BYTES, "out of memory");
	if (!daemon->health || !daemon->metrics || !daemon->parser || !daemon->planner ||
	    berth_publication_open(daemon) || berth_engine_restart_open(daemon) ||
	    berth_session_save_open(daemon) || berth_timers_open(daemon) || berth_node_open(daemon) ||
	    berth_port_taps_open(daemon) || berth_dns_backends_open(daemon, berth_daemon_renew) ||
	    berth_model_init(&daemon->model, &engine->image.geometry) ||
	    (engine->adopted && berth_model_adopt(&daemon->model, engine->record, &engine->image)))
		return BERTH_EXIT_FAILURE;
	berth_health_targets_open(daemon);
	berth_file_drop_draft(daemon->options.config_path); /* of one that was killed */
	berth_daemon_open_prepare(daemon);
	berth_agents_open(daemon);
	daemon->netlink = berth_netlink_new(daemon->base, on_netlink, daemon, error);
	if (!daemon->netlink)
		return BERTH_EXIT_FAILURE;
	berth_network_open(daemon);
	return BERTH_EXIT_OK;
}

/* A handler, not SIG_IGN, which programs of health checks would inherit. */
static void on_useless(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	(void)arg;
	berth_log("signal %d: ignored, it has no meaning for berthd; SIGTERM ends it, SIGHUP applies the "
		  "configuration",
		  (int)fd);
}

static int open_events(struct berth_daemon *daemon)
{
	static const struct {
		int number;
		event_callback_fn fn;
	} signals[BERTH_DAEMON_SIGNALS] = {
		{SIGTERM, on_end},     {SIGINT, on_end},      {SIGHUP, on_reload},   {SIGUSR1, on_useless},
		{SIGUSR2, on_useless}, {SIGALRM, on_useless}, {SIGPROF, on_useless}, {SIGVTALRM, on_useless},
		{SIGIO, on_useless},   {SIGPWR, on_useless},
	};
	daemon->base = event_base_new();
	if (!daemon->base)
		return BERTH_EXIT_FAILURE;
	for (int i = 0; i < BERTH_DAEMON_SIGNALS; i++) {
		daemon->signals[i] = evsignal_new(daemon->base, signals[i].number, signals[i].fn, daemon);
		if (!daemon->signals[i] || event_add(daemon->signals[i], NULL))
			return BERTH_EXIT_FAILURE;
	}
	return BERTH_EXIT_OK;
}

/* Fills what other folders see; all parts but the server are open. */
static void share(struct berth_daemon *daemon)
{
	struct berth_daemon_state *state = &daemon->state;
	state->config_path = daemon->options.config_path;
	state->instance = daemon->options.paths.instance;
	state->directory = &daemon->directory;
	state->model = &daemon->model;
	state->engine = daemon->engine;
	state->scan = daemon->scan;
	state->rates = daemon->rates;
	state->capture = daemon->capture;
	state->health = daemon->health;
	state->netlink = daemon->netlink;
	state->metrics_fault = berth_metrics_http_fault(daemon->metrics);
	state->access = &daemon->access;
	state->dns_state = berth_dns_backends_state(daemon);
	state->dns_resolver = berth_dns_backends_resolver(daemon);
	state->dns_expansion = berth_dns_backends_expansion(daemon);
	daemon->commands = (struct berth_cmd_context){
		.state = state,
		.actions = &berth_daemon_actions,
		.daemon = daemon,
		.base = daemon->base,
		.parser = daemon->parser,
		.planner = daemon->planner,
	};
}

/* A mistake may be in each of many backends: to write all would delay the start by seconds, and leave no room for
 * other events. */
static void log_warning(void *arg, const char *warning)
{
	size_t *n = arg;
	if ((*n)++ < MAX_LOGGED_WARNINGS)
		berth_log("warning: %s", warning);
}

/* Reads and parses the configuration file. BERTH_EXIT_CONFIG with one line in `error`. The caller frees `text`. */
static int load(struct berth_daemon *daemon, struct berth_config **config, char **text, size_t *length,
		char error[BERTH_ERROR_BYTES])
{
	const char *path = daemon->options.config_path;
	char target[PATH_MAX];
	*text = berth_file_read(path, length);
	if (!*text) {
		snprintf(error, BERTH_ERROR_BYTES, "%s: cannot be read: %s; -c FILE sets another file", path,
			 strerror(errno));
		return BERTH_EXIT_CONFIG;
	}
	*config = berth_config_parse(path, *text, *length, error);
	if (!*config)
		return BERTH_EXIT_CONFIG;
	if (berth_file_is_link(path, target))
		berth_log("the configuration %s is a link to %s, which is what `config apply` saves", path, target);
	size_t n = 0;
	berth_config_warn(*config, log_warning, &n);
	if (n > MAX_LOGGED_WARNINGS)
		berth_log("warning: %zu more about the configuration: `berthctl config check %s` shows all",
			  n - MAX_LOGGED_WARNINGS, path);
	return BERTH_EXIT_OK;
}

/* The image of a release with other structs is not read, so the sizes of its selection tables are unknown. */
static void log_automatic_rows(const struct berth_daemon *daemon)
{
	const struct berth_config *config = daemon->model.config;
	size_t n = 0;
	for (size_t i = 0; i < config->n_services; i++) {
		const struct berth_service_config *service = &config->services[i];
		n += service->table_size != BERTH_DEFAULT_ROWS &&
		     service->table_size == berth_rules_automatic_rows(service);
	}
	if (daemon->engine->adopted && !daemon->engine->is_image_adopted && n)
		berth_log(
			"services without table-size whose tables no longer have the former default of rows: %zu. "
			"Former releases gave each %d rows: flows and sessions stay, but new clients may get "
			"another backend. To keep the former selection write `table-size: %d`",
			n, BERTH_DEFAULT_ROWS, BERTH_DEFAULT_ROWS);
}

/* Publishes the first generation, then forwards, then answers commands. */
static int start(struct berth_daemon *daemon, struct berth_config *config, char error[BERTH_ERROR_BYTES])
{
	if (berth_daemon_install(daemon, config, error) || berth_timers_start(daemon))
		return BERTH_EXIT_FAILURE;
	log_automatic_rows(daemon);
	berth_publication_settle(daemon);
	if (berth_saved_state_restore_pins(daemon)) {
		snprintf(error, BERTH_ERROR_BYTES, "out of memory");
		return BERTH_EXIT_FAILURE;
	}
	berth_session_save_restore(daemon);
	if (berth_engine_start(daemon->engine, &daemon->options.paths, daemon->base, error))
		return BERTH_EXIT_ENGINE;
	berth_network_follow(daemon);
	if (berth_node_start(daemon))
		return BERTH_EXIT_FAILURE;
	daemon->server = berth_server_new(daemon->base, daemon->options.socket_path, &berth_server_limits,
					  berth_cmd_run, &daemon->commands, error);
	daemon->commands.server = daemon->server;
	if (!daemon->server)
		return BERTH_EXIT_FAILURE;
	berth_server_set_access(daemon->server, &daemon->access);
	berth_config_history_start(daemon);
	return berth_supervision_open(daemon) ? BERTH_EXIT_FAILURE : BERTH_EXIT_OK;
}

/* The configuration to start with, and the state directory, which may have another one than the file. */
static int open_config(struct berth_daemon *daemon, struct berth_config **config, char error[BERTH_ERROR_BYTES])
{
	char *text;
	size_t length;
	int status = load(daemon, config, &text, &length, error);
	if (!status) {
		snprintf(error, BERTH_ERROR_BYTES, "out of memory");
		status = open_events(daemon);
	}
	if (!status && (berth_cluster_operator_open(daemon) || berth_saved_state_open(daemon, *config) ||
			berth_config_history_open(daemon)))
		status = BERTH_EXIT_FAILURE;
	if (!status) {
		berth_config_history_read_file(daemon, text, length);
		*config = berth_config_history_resume(daemon, *config);
	}
	free(text);
	return status;
}

static int open_all(struct berth_daemon *daemon, char error[BERTH_ERROR_BYTES])
{
	struct berth_config *config = NULL;
	int status = open_config(daemon, &config, error);
	if (!status && berth_daemon_secret_read(daemon, config, error))
		status = BERTH_EXIT_CONFIG;
	if (!status)
		status = berth_engine_open(config, &daemon->options.paths, &daemon->engine, error);
	if (!status)
		status = open_parts(daemon, error);
	if (status) {
		berth_config_free(config);
		return status;
	}
	share(daemon);
	return start(daemon, config, error);
}

enum berth_exit berth_daemon_open(const struct berth_daemon_options *options, struct berth_daemon **daemon,
				  char error[BERTH_ERROR_BYTES])
{
	struct berth_daemon *opened = calloc(1, sizeof(*opened));
	*daemon = NULL;
	snprintf(error, BERTH_ERROR_BYTES, "out of memory");
	if (!opened)
		return BERTH_EXIT_FAILURE;
	opened->options = *options;
	opened->state.started_ms = opened->state.applied_ms = berth_clock_ms();
	enum berth_exit status = open_all(opened, error);
	if (status)
		berth_daemon_close(opened);
	else
		*daemon = opened;
	return status;
}

enum berth_exit berth_daemon_run(struct berth_daemon *daemon)
{
	const size_t n_services = daemon->model.n_services, n_backends = count_backends(&daemon->model);
	berth_log("ready: %zu service%s, %zu backend%s", n_services, BERTH_PLURAL(n_services), n_backends,
		  BERTH_PLURAL(n_backends));
	return event_base_dispatch(daemon->base) < 0 ? BERTH_EXIT_FAILURE : daemon->exit;
}

void berth_daemon_close(struct berth_daemon *daemon)
{
	if (!daemon)
		return;
	berth_daemon_end_prepare(daemon);
	berth_supervision_close(daemon);
	berth_node_close(daemon);
	berth_cluster_store_close(daemon);
	berth_dns_backends_close(daemon);
	berth_config_history_close(daemon);
	berth_saved_state_close(daemon);
	berth_cluster_operator_close(daemon);
	berth_session_save_close(daemon);
	berth_metrics_http_free(daemon->metrics);
	if (daemon->health)
		berth_health_free(daemon->health);
	for (int i = 0; i < BERTH_HELPERS; i++)
		berth_helper_free(daemon->helpers[i]);
	if (daemon->netlink)
		berth_netlink_free(daemon->netlink);
	berth_network_close(daemon);
	berth_port_taps_close(daemon);
	berth_timers_close(daemon);
	berth_publication_close(daemon);
	berth_engine_restart_close(daemon);
	if (daemon->engine)
		berth_engine_close(daemon->engine, &daemon->options.paths, daemon->stop);
	/* Last: the client of a shutdown waits until its connection ends. */
	if (daemon->server)
		berth_server_free(daemon->server);
	berth_cmd_parser_free(daemon->parser);
	berth_file_drop_draft(daemon->options.config_path); /* of its thread */
	berth_cmd_planner_free(daemon->planner);
	berth_model_clear(&daemon->model);
	berth_daemon_free_former(daemon);
	for (int i = 0; i < BERTH_DAEMON_SIGNALS; i++)
		if (daemon->signals[i])
			event_free(daemon->signals[i]);
	if (daemon->base)
		event_base_free(daemon->base);
	free(daemon);
}
