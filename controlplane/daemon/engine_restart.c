// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/daemon/engine_restart.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/config/config.h"
#include "controlplane/daemon/private.h"
#include "controlplane/daemon/publication.h"
#include "controlplane/saved/sealed_json.h"
#include "controlplane/util/clock.h"
#include "controlplane/util/file.h"
#include "controlplane/util/log.h"

#define FILE_NAME "engine.json"

enum {
	FOLLOW_MS = 10,
	MAX_FAILED_STARTS = 2, /* the first may have met what the former process had not released yet */
	LONGEST_MS = 10000,    /* until the start counts as failed */
};

struct berth_engine_restart {
	struct event *timer;
	struct berth_config *former; /* NULL: no change is awaited, or the former one is applied again */
	berth_engine_restart_install_fn *install;
	void (*returned)(struct berth_daemon *daemon);
	bool is_awaited;
	char *file; /* former content of the configuration file; NULL: it was not replaced */
	size_t file_length;
	uint64_t begin_ms;	       /* of the start that is awaited */
	uint64_t stopped_ms;	       /* of the first one, from which on no packet is forwarded */
	char cause[BERTH_ERROR_BYTES]; /* why the former one is applied again */
	uint32_t saved_pause_ms;
};

static void end(struct berth_engine_restart *restart)
{
	berth_config_free(restart->former);
	free(restart->file);
	restart->former = NULL;
	restart->file = NULL;
	restart->is_awaited = false;
	event_del(restart->timer);
}

static void restore_file(const struct berth_daemon *daemon)
{
	const struct berth_engine_restart *restart = daemon->engine_restart;
	const char *path = daemon->options.config_path;
	if (restart->file && berth_file_replace(path, restart->file, restart->file_length))
		berth_log("ALARM: %s cannot be written: %s: it has the configuration that failed", path,
			  strerror(errno));
}

/* Applies the former configuration. */
static void roll_back(struct berth_daemon *daemon)
{
	struct berth_engine_restart *restart = daemon->engine_restart;
	struct berth_config *former = restart->former;
	char error[BERTH_ERROR_BYTES], report[BERTH_ERROR_BYTES];
	const char *fault = daemon->engine->process.fault;
	snprintf(restart->cause, sizeof(restart->cause), "%s", fault[0] ? fault : "it does not open its ports");
	berth_log("ALARM: %s does not start with the new configuration (%s): the former one is applied again",
		  daemon->engine->ops->name, restart->cause);
	restart->former = NULL;
	restart->begin_ms = berth_clock_ms();
	berth_publication_reject(daemon);
	int err = restart->install(daemon, former, error);
	restore_file(daemon);
	if (restart->returned)
		restart->returned(daemon);
	if (!err)
		return;
	snprintf(report, sizeof(report),
		 "the engine does not start with it: %.150s; the former configuration cannot be applied: %.150s",
		 restart->cause, error);
	berth_log("ALARM: %s", error);
	end(restart);
	berth_publication_fail(daemon, report);
}

/* The former configuration was applied again. */
static void report_end(struct berth_daemon *daemon, bool is_running)
{
	struct berth_engine_restart *restart = daemon->engine_restart;
	char report[BERTH_ERROR_BYTES];
	const struct berth_engine_process *process = &daemon->engine->process;
	if (is_running)
		snprintf(report, sizeof(report),
			 "the engine does not start with it: %.350s; the former configuration is in force again, "
			 "packets stopped for %u ms",
			 restart->cause, process->pause_ms);
	else
		snprintf(report, sizeof(report),
			 "the engine does not start with it: %.150s; nor with the former configuration: %.150s; no "
			 "packet is forwarded",
			 restart->cause, process->fault);
	berth_log("the last configuration is not in force: %s", report);
	end(restart);
	berth_publication_fail(daemon, report);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct berth_daemon *daemon = arg;
	struct berth_engine_restart *restart = daemon->engine_restart;
	const bool is_running = !berth_engine_is_awaited(daemon->engine);
	const bool has_failed = daemon->engine->process.failed_starts >= MAX_FAILED_STARTS ||
				berth_clock_ms() - restart->begin_ms > LONGEST_MS;
	if (!is_running && !has_failed)
		return;
	if (restart->former && is_running)
		end(restart);
	else if (restart->former)
		roll_back(daemon);
	else
		report_end(daemon, is_running);
}

void berth_engine_restart_await(struct berth_daemon *daemon, struct berth_config *former,
				berth_engine_restart_install_fn *install)
{
	const struct timeval period = {.tv_usec = FOLLOW_MS * 1000};
	struct berth_engine_restart *restart = daemon->engine_restart;
	if (restart->former)
		berth_config_free(former);
	else
		restart->former = former;
	restart->install = install;
	restart->is_awaited = true;
	restart->begin_ms = berth_clock_ms();
	event_add(restart->timer, &period);
}

void berth_engine_restart_set_returned(struct berth_daemon *daemon, void (*returned)(struct berth_daemon *daemon))
{
	daemon->engine_restart->returned = returned;
}

bool berth_engine_restart_is_awaited(const struct berth_daemon *daemon)
{
	return daemon->engine_restart->is_awaited;
}

void berth_engine_restart_forget(struct berth_daemon *daemon)
{
	end(daemon->engine_restart);
}

void berth_engine_restart_keep_file(struct berth_daemon *daemon)
{
	struct berth_engine_restart *restart = daemon->engine_restart;
	if (restart->is_awaited && !restart->file)
		restart->file = berth_file_read(daemon->options.config_path, &restart->file_length);
}

static uint32_t read_pause(const struct berth_daemon *daemon)
{
	char error[BERTH_ERROR_BYTES];
	size_t length;
	char *text = berth_saved_read(&daemon->directory, FILE_NAME, &length, error);
	if (!text)
		return 0;
	json_t *saved = berth_sealed_json_parse(text, length);
	const json_int_t pause_ms = json_integer_value(json_object_get(saved, "pause_ms"));
	if (pause_ms <= 0 || pause_ms > UINT32_MAX)
		berth_saved_set_aside(&daemon->directory, FILE_NAME, "it is not a length of a pause", error);
	json_decref(saved);
	free(text);
	return pause_ms > 0 && pause_ms <= UINT32_MAX ? (uint32_t)pause_ms : 0;
}

int berth_engine_restart_open(struct berth_daemon *daemon)
{
	struct berth_engine_restart *restart = calloc(1, sizeof(*restart));
	daemon->engine_restart = restart;
	if (!restart)
		return -ENOMEM;
	restart->timer = event_new(daemon->base, -1, EV_PERSIST, on_timer, daemon);
	restart->saved_pause_ms = read_pause(daemon);
	daemon->engine->process.pause_ms = restart->saved_pause_ms;
	return restart->timer ? 0 : -ENOMEM;
}

void berth_engine_restart_close(struct berth_daemon *daemon)
{
	struct berth_engine_restart *restart = daemon->engine_restart;
	if (!restart)
		return;
	if (daemon->engine)
		berth_engine_restart_save(daemon);
	berth_config_free(restart->former);
	free(restart->file);
	if (restart->timer)
		event_free(restart->timer);
	free(restart);
}

/* A fault of the state directory has an alarm of its own (saved_state.c); the next pause is written again. */
void berth_engine_restart_save(struct berth_daemon *daemon)
{
	struct berth_engine_restart *restart = daemon->engine_restart;
	const uint32_t pause_ms = daemon->engine->process.pause_ms;
	char error[BERTH_ERROR_BYTES];
	if (pause_ms == restart->saved_pause_ms)
		return;
	char *text = berth_sealed_json_format(json_pack("{s:I}", "pause_ms", (json_int_t)pause_ms), JSON_COMPACT);
	if (text)
		berth_saved_write(&daemon->directory, FILE_NAME, text, error);
	free(text);
	restart->saved_pause_ms = pause_ms;
}
