// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/daemon/apply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/config/parse.h"
#include "controlplane/daemon/dns_backends.h"
#include "controlplane/daemon/health_targets.h"
#include "controlplane/daemon/network.h"
#include "controlplane/daemon/private.h"
#include "controlplane/daemon/publication.h"
#include "controlplane/daemon/timers.h"
#include "controlplane/tables/counters.h"
#include "controlplane/tables/retired.h"
#include "controlplane/util/clock.h"
#include "controlplane/util/file.h"
#include "controlplane/util/log.h"

/* Makes `config` the model, with what DNS adds to it, and publishes it. On an error the model is the new one or the
 * old one. */
int berth_daemon_install(struct berth_daemon *daemon, struct berth_config *config, char error[BERTH_ERROR_BYTES])
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
	err = berth_retired_update(&daemon->model, &daemon->engine->image);
	berth_counters_clear_new(&daemon->engine->image, &daemon->model);
	if (!err)
		err = berth_network_follow(daemon);
	if (!err)
		err = berth_health_targets_follow(daemon);
	if (err) {
		snprintf(error, BERTH_ERROR_BYTES, "out of memory");
		return err;
	}
	if (berth_network_update(daemon))
		berth_publication_request(daemon);
	berth_timers_follow(daemon);
	err = berth_publication_now(daemon, error);
	if (err)
		return err;
	err = berth_dns_backends_follow(daemon);
	if (err)
		snprintf(error, BERTH_ERROR_BYTES, "out of memory");
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

/* Whether the selection tables of all services have room side by side. */
static bool rows_fit(const struct berth_geometry *geometry, const struct berth_config *config)
{
	uint64_t lines = 0;
	for (size_t i = 0; i < config->n_services; i++)
		if (config->services[i].n_backends || config->services[i].n_sources)
			lines += berth_row_lines(config->services[i].table_size);
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
	snprintf(error, BERTH_ERROR_BYTES,
		 "the selection tables are too large for the engine that runs: reduce table-size, or restart "
		 "berthd with "
		 "this configuration");
	return false;
}

/* After an apply that failed half-way: the configuration that was in force is again. */
static void reinstall(struct berth_daemon *daemon)
{
	char error[BERTH_ERROR_BYTES];
	struct berth_config *old = berth_config_parse(daemon->options.config_path, daemon->config_text,
						      strlen(daemon->config_text), error);
	if (!old || berth_daemon_install(daemon, old, error))
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
	int err = berth_daemon_install(daemon, config, error);
	if (err) {
		free(copy);
		reinstall(daemon);
		return err;
	}
	free(daemon->config_text);
	daemon->config_text = copy;
	daemon->state.applied_ms = berth_clock_ms();
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
