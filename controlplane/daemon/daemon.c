// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/daemon/daemon.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/daemon/dns_backends.h"
#include "controlplane/daemon/health_targets.h"
#include "controlplane/daemon/network.h"
#include "controlplane/daemon/timers.h"
#include "controlplane/engine/choose.h"
#include "controlplane/metrics/metrics.h"
#include "controlplane/server/server.h"
#include "controlplane/tables/counters.h"
#include "controlplane/tables/retired.h"
#include "controlplane/util/clock.h"
#include "controlplane/util/file.h"
#include "controlplane/util/log.h"

enum {
	PUBLISH_SOON_US = 1000, /* changes that come together are published together */
	PUBLISH_WAIT_MS = 200,	/* how long an apply waits for workers to leave the generation before */
};

void berth_daemon_touch(struct berth_daemon *daemon)
{
	const struct timeval soon = {.tv_usec = PUBLISH_SOON_US};
	daemon->dirty = true;
	if (!event_pending(daemon->publish_event, EV_TIMEOUT, NULL))
		event_add(daemon->publish_event, &soon);
}

/* What each backend may get, and nothing for numbers that are nobody's. Numbers that are new stand in no word
 * and no row before the generation that brings them, so they may be told first. */
static void publish_eligibility(struct berth_daemon *daemon)
{
	const struct berth_model *model = &daemon->model;
	for (uint32_t n = 1; n < model->backend_numbers.size; n++)
		if (!model->backend_numbers.id[n])
			berth_publish_eligibility(daemon->publisher, n, 0);
	for (size_t i = 0; i < model->n_services; i++)
		for (size_t j = 0; j < model->services[i].n_backends; j++) {
			const struct berth_model_backend *backend = &model->services[i].backends[j];
			berth_publish_eligibility(daemon->publisher, backend->number,
						  berth_model_eligibility(backend));
		}
}

/* Publishes the model. Returns what berth_publish does; what is not done yet is tried again soon. */
static int publish(struct berth_daemon *daemon)
{
	char error[BERTH_ERROR_BYTES] = "";
	struct berth_generation *generation = berth_compile(&daemon->model, &daemon->engine->image.geometry, error);
	int err = -ENOMEM;
	if (generation)
		err = berth_publish(daemon->publisher, generation, error);
	berth_generation_free(generation);
	if (err >= 0)
		publish_eligibility(daemon);
	if (err == -EAGAIN || err > 0) {
		berth_daemon_touch(daemon);
		return err;
	}
	daemon->publish_failures += err != 0;
	if (err && strcmp(daemon->publish_error, error) != 0)
		berth_log("cannot publish: %s", error);
	snprintf(daemon->publish_error, sizeof(daemon->publish_error), "%s", err ? error : "");
	daemon->dirty = false;
	return err;
}

/* Publishes and waits until it is current: an operator's change is in force when its answer comes. */
static int publish_now(struct berth_daemon *daemon, char error[BERTH_ERROR_BYTES])
{
	uint64_t until = berth_clock_ms() + PUBLISH_WAIT_MS;
	int err = publish(daemon);
	while (err == -EAGAIN && berth_clock_ms() < until) {
		usleep(200);
		err = publish(daemon);
	}
	if (err == -EAGAIN)
		return 0; /* a worker is slow; the timer goes on trying */
	if (err < 0)
		snprintf(error, BERTH_ERROR_BYTES, "%s", daemon->publish_error);
	return err < 0 ? err : 0;
}

static void on_publish(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	publish(arg);
}

static void update_ways(struct berth_daemon *daemon)
{
	if (berth_network_update(daemon))
		berth_daemon_touch(daemon);
}

static void on_neigh(void *arg)
{
	update_ways(arg);
}

static void on_health(void *arg, uint64_t id, bool up, const char *why)
{
	struct berth_daemon *daemon = arg;
	struct berth_model_service *service = NULL;
	struct berth_model_backend *backend = berth_model_backend_by_id(&daemon->model, id, &service);
	enum berth_health_state state = up ? BERTH_HEALTH_UP : BERTH_HEALTH_DOWN;
	if (!backend || !berth_model_set_health(backend, state, berth_clock_ms()))
		return;
	/* In force at once; the selection table follows with the next generation. */
	berth_timers_follow_health(daemon, service);
	berth_publish_eligibility(daemon->publisher, backend->number, berth_model_eligibility(backend));
	berth_log("%s/%s is %s: %s", service->config.name, backend->config.name, berth_health_name(state), why);
	berth_daemon_touch(daemon);
}

static size_t count_backends(const struct berth_model *model)
{
	size_t n = 0;
	for (size_t i = 0; i < model->n_services; i++)
		n += model->services[i].n_backends;
	return n;
}

/* Makes `config` the model, with what DNS adds to it, and publishes it. On an error the model is the new one or the
 * old one. */
static int install(struct berth_daemon *daemon, struct berth_config *config, char error[BERTH_ERROR_BYTES])
{
	int err = berth_dns_backends_expand(daemon, config, error);
	if (!err)
		err = berth_metrics_http_listen(daemon->metrics, &config->metrics, error);
	if (!err)
		err = berth_model_apply(&daemon->model, config, error);
	if (err) {
		berth_config_free(config);
		return err;
	}
	err = berth_retired_keep(&daemon->model, &daemon->engine->image);
	berth_counters_clear_new(&daemon->engine->image, &daemon->model);
	if (!err)
		err = berth_network_follow(daemon);
	if (!err)
		err = berth_health_targets_follow(daemon);
	if (err) {
		snprintf(error, BERTH_ERROR_BYTES, "out of memory");
		return err;
	}
	update_ways(daemon);
	berth_timers_follow(daemon);
	err = publish_now(daemon, error);
	if (err)
		return err;
	err = berth_dns_backends_follow(daemon);
	if (err)
		snprintf(error, BERTH_ERROR_BYTES, "out of memory");
	return err;
}

int berth_daemon_renew(struct berth_daemon *daemon, char error[BERTH_ERROR_BYTES])
{
	struct berth_config *config = berth_config_written(daemon->model.config);
	if (config)
		return install(daemon, config, error);
	snprintf(error, BERTH_ERROR_BYTES, "out of memory");
	return -ENOMEM;
}

/* Whether the selection tables of all services have room side by side. */
static bool rows_fit(const struct berth_geometry *geometry, const struct berth_config *config)
{
	uint64_t lines = 0;
	for (size_t i = 0; i < config->n_services; i++)
		if (config->services[i].n_backends || config->services[i].n_sources)
			lines += berth_row_lines(config->services[i].rows);
	return lines <= geometry->row_lines;
}

bool berth_daemon_accepts(const struct berth_daemon *daemon, const struct berth_config *config,
			  char error[BERTH_ERROR_BYTES])
{
	const struct berth_config *now = daemon->model.config;
	const char *what = NULL;
	if (config->engine != now->engine)
		what = "engine";
	else if (memcmp(&config->limits, &now->limits, sizeof(now->limits)) != 0)
		what = "limits";
	else if (memcmp(&config->dpdk, &now->dpdk, sizeof(now->dpdk)) != 0)
		what = "dpdk";
	else if (config->n_interfaces != now->n_interfaces)
		what = "interfaces";
	for (size_t i = 0; !what && i < now->n_interfaces; i++)
		if (memcmp(&config->interfaces[i], &now->interfaces[i], sizeof(now->interfaces[i])) != 0)
			what = "interfaces";
	if (what)
		snprintf(error, BERTH_ERROR_BYTES,
			 "%s cannot change while the engine runs; put it into %s and restart berthd "
			 "(forwarding goes on meanwhile)",
			 what, daemon->options.config_path);
	if (what)
		return false;
	if (rows_fit(&daemon->engine->image.geometry, config))
		return true;
	snprintf(
		error, BERTH_ERROR_BYTES,
		"the selection tables are too large for the engine that runs: fewer `rows`, or restart berthd with "
		"this configuration");
	return false;
}

/* After an apply that failed half-way: the configuration that was in force is again. */
static void reinstall(struct berth_daemon *daemon)
{
	char error[BERTH_ERROR_BYTES];
	struct berth_config *old = berth_config_parse(daemon->options.config_path, daemon->config_text,
						      strlen(daemon->config_text), error);
	if (!old || install(daemon, old, error))
		berth_log("cannot go back to the configuration before: %s", error);
}

int berth_daemon_apply(struct berth_daemon *daemon, const char *name, const char *text, size_t length, bool save,
		       char error[BERTH_ERROR_BYTES])
{
	char *copy = strndup(text, length);
	struct berth_config *config = copy ? berth_config_parse(name, text, length, error) : NULL;
	if (!config || !berth_daemon_accepts(daemon, config, error)) {
		berth_config_free(config);
		free(copy);
		return -EINVAL;
	}
	int err = install(daemon, config, error);
	if (err) {
		free(copy);
		reinstall(daemon);
		return err;
	}
	free(daemon->config_text);
	daemon->config_text = copy;
	daemon->applied_ms = berth_clock_ms();
	berth_log("configuration %s applied: %zu services", name, daemon->model.n_services);
	if (save && berth_file_replace(daemon->options.config_path, text, length)) {
		snprintf(
			error, BERTH_ERROR_BYTES,
			"it is in force, but could not be saved as %s (%s): a restart would bring the old one back",
			daemon->options.config_path, strerror(errno));
		return -EIO;
	}
	return 0;
}

/* NULL with one line in `error`. */
static struct berth_model_backend *find_backend(struct berth_daemon *daemon, const char *service,
						const char *backend, char error[BERTH_ERROR_BYTES])
{
	struct berth_model_service *of = berth_model_service(&daemon->model, service);
	struct berth_model_backend *found = of ? berth_model_backend(of, backend) : NULL;
	if (!found)
		snprintf(error, BERTH_ERROR_BYTES,
			 "there is no %s %s; `berthctl show backends` lists what there is",
			 of ? "backend" : "service", of ? backend : service);
	return found;
}

int berth_daemon_force_health(struct berth_daemon *daemon, const char *service, const char *backend,
			      enum berth_forced forced, char error[BERTH_ERROR_BYTES])
{
	struct berth_model_backend *found = find_backend(daemon, service, backend, error);
	if (!found)
		return -ENOENT;
	found->forced = forced;
	berth_timers_follow(daemon);
	berth_publish_eligibility(daemon->publisher, found->number, berth_model_eligibility(found));
	berth_log("%s/%s is %s%s", service, backend, berth_health_name(berth_model_health(found)),
		  forced ? ", as an operator says" : ", as its checks say");
	return publish_now(daemon, error);
}

int berth_daemon_set_admin(struct berth_daemon *daemon, const char *service, const char *backend,
			   enum berth_admin admin, uint64_t deadline_ms, char error[BERTH_ERROR_BYTES])
{
	struct berth_model_backend *found = find_backend(daemon, service, backend, error);
	if (!found)
		return -ENOENT;
	uint64_t evict_ms = deadline_ms ? berth_clock_ms() + deadline_ms + 999 : 0;
	berth_model_set_admin(&daemon->model, found, admin, (uint32_t)(evict_ms / 1000));
	berth_timers_follow(daemon);
	berth_publish_eligibility(daemon->publisher, found->number, berth_model_eligibility(found));
	berth_log("%s/%s is %s", service, backend, berth_admin_name(admin));
	return publish_now(daemon, error);
}

void berth_daemon_backend_tally(const struct berth_daemon *daemon, const struct berth_model_backend *backend,
				struct berth_tally *tally)
{
	berth_counters_backend(&daemon->engine->image, backend->number, tally);
}

void berth_daemon_service_tally(const struct berth_daemon *daemon, const struct berth_model_service *service,
				struct berth_tally *tally)
{
	berth_counters_service(&daemon->engine->image, service->number, tally);
}

void berth_daemon_exit(struct berth_daemon *daemon, bool stop)
{
	daemon->stop = stop;
	event_base_loopexit(daemon->base, NULL);
}

static void on_end(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	berth_log("signal %d: berthd ends, forwarding goes on", (int)fd);
	berth_daemon_exit(arg, false);
}

static void on_reload(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct berth_daemon *daemon = arg;
	char error[BERTH_ERROR_BYTES];
	size_t length;
	char *text = berth_file_read(daemon->options.config_path, &length);
	if (!text)
		snprintf(error, sizeof(error), "%s: %s", daemon->options.config_path, strerror(errno));
	if (!text || berth_daemon_apply(daemon, daemon->options.config_path, text, length, false, error))
		berth_log("the configuration stays as it was: %s", error);
	free(text);
}

static int on_scrape(void *arg, struct berth_text *text)
{
	return berth_metrics_write(arg, text);
}

static int open_parts(struct berth_daemon *daemon, char error[BERTH_ERROR_BYTES])
{
	struct berth_engine *engine = daemon->engine;
	daemon->publisher = berth_publisher_new(engine);
	daemon->health = berth_health_new(daemon->base, on_health, daemon);
	daemon->metrics = berth_metrics_http_new(daemon->base, &berth_metrics_http_limits, on_scrape, daemon);
	snprintf(error, BERTH_ERROR_BYTES, "out of memory");
	if (!daemon->publisher || !daemon->health || !daemon->metrics || berth_timers_open(daemon) ||
	    berth_dns_backends_open(daemon) || berth_model_init(&daemon->model, &engine->image.geometry) ||
	    (engine->adopted && berth_model_adopt(&daemon->model, &engine->image)))
		return BERTH_EXIT_FAILURE;
	berth_health_targets_open(daemon);
	daemon->neigh = berth_netlink_new(daemon->base, on_neigh, daemon, error);
	return daemon->neigh ? BERTH_EXIT_OK : BERTH_EXIT_FAILURE;
}

static int open_events(struct berth_daemon *daemon)
{
	daemon->base = event_base_new();
	if (!daemon->base)
		return BERTH_EXIT_FAILURE;
	daemon->publish_event = evtimer_new(daemon->base, on_publish, daemon);
	daemon->signals[0] = evsignal_new(daemon->base, SIGTERM, on_end, daemon);
	daemon->signals[1] = evsignal_new(daemon->base, SIGINT, on_end, daemon);
	daemon->signals[2] = evsignal_new(daemon->base, SIGHUP, on_reload, daemon);
	for (int i = 0; i < 3; i++)
		if (!daemon->signals[i] || event_add(daemon->signals[i], NULL))
			return BERTH_EXIT_FAILURE;
	return daemon->publish_event ? BERTH_EXIT_OK : BERTH_EXIT_FAILURE;
}

int berth_daemon_open(struct berth_daemon *daemon, const struct berth_daemon_options *options,
		      char error[BERTH_ERROR_BYTES])
{
	const uint64_t now_ms = berth_clock_ms();
	*daemon = (struct berth_daemon){.options = *options, .started_ms = now_ms, .applied_ms = now_ms};
	size_t length;
	daemon->config_text = berth_file_read(options->config_path, &length);
	if (!daemon->config_text) {
		snprintf(error, BERTH_ERROR_BYTES, "%s: cannot be read: %s; -c FILE names another",
			 options->config_path, strerror(errno));
		return BERTH_EXIT_CONFIG;
	}
	struct berth_config *config = berth_config_parse(options->config_path, daemon->config_text, length, error);
	if (!config)
		return BERTH_EXIT_CONFIG;
	int status = berth_engine_open(config, &options->paths, &daemon->engine, error);
	if (!status) {
		snprintf(error, BERTH_ERROR_BYTES, "out of memory");
		status = open_events(daemon);
	}
	if (!status)
		status = open_parts(daemon, error);
	if (status) {
		berth_config_free(config);
		return status;
	}
	if (install(daemon, config, error) || berth_timers_start(daemon))
		return BERTH_EXIT_FAILURE;
	if (daemon->engine->ops->start(daemon->engine, daemon->base, error))
		return BERTH_EXIT_ENGINE;
	update_ways(daemon);
	daemon->server = berth_server_new(daemon->base, options->socket_path, &berth_server_limits,
					  options->commands, daemon, error);
	return daemon->server ? BERTH_EXIT_OK : BERTH_EXIT_FAILURE;
}

int berth_daemon_run(struct berth_daemon *daemon)
{
	berth_log("ready: %zu services, %zu backends", daemon->model.n_services, count_backends(&daemon->model));
	return event_base_dispatch(daemon->base) < 0 ? BERTH_EXIT_FAILURE : BERTH_EXIT_OK;
}

void berth_daemon_close(struct berth_daemon *daemon)
{
	berth_dns_backends_close(daemon);
	berth_metrics_http_free(daemon->metrics);
	if (daemon->health)
		berth_health_free(daemon->health);
	if (daemon->neigh)
		berth_netlink_free(daemon->neigh);
	berth_timers_close(daemon);
	berth_publisher_free(daemon->publisher);
	if (daemon->engine)
		daemon->engine->ops->close(daemon->engine, daemon->stop);
	/* Last: whoever asked for a shutdown waits until the connection ends. */
	if (daemon->server)
		berth_server_free(daemon->server);
	berth_model_clear(&daemon->model);
	free(daemon->config_text);
	for (int i = 0; i < 3; i++)
		if (daemon->signals[i])
			event_free(daemon->signals[i]);
	if (daemon->publish_event)
		event_free(daemon->publish_event);
	if (daemon->base)
		event_base_free(daemon->base);
}
