// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/daemon/config_history.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "controlplane/cmd/config/parser.h"
#include "controlplane/config/parse.h"
#include "controlplane/daemon/apply.h"
#include "controlplane/daemon/engine_restart.h"
#include "controlplane/daemon/private.h"
#include "controlplane/history/describe.h"
#include "controlplane/history/digest.h"
#include "controlplane/history/history.h"
#include "controlplane/util/file.h"
#include "controlplane/util/log.h"

enum {
	RETRY_S = 10,
};

struct berth_config_history {
	struct berth_history history;
	struct event *timer;  /* the end of the wait for a confirmation */
	uint64_t file_digest; /* of the configuration file when berthd read or wrote it last */
	uint32_t returning;   /* the entry that is being parsed to be in force again; 0: none */
};

static struct berth_history *history_of(const struct berth_daemon *daemon)
{
	return &daemon->config_history->history;
}

/* A history that cannot be written does not hold up a change. */
static void write_history(struct berth_daemon *daemon)
{
	char error[BERTH_ERROR_BYTES];
	if (berth_history_write(history_of(daemon), &daemon->directory, error))
		berth_log("ALARM: the history of configurations is not kept: %s", error);
}

/* Adds the configuration in force, unless it is the newest entry. */
static void note(struct berth_daemon *daemon, const char *what, int64_t uid, const char *change)
{
	const struct berth_config_text *text = daemon->model.config->text;
	const struct berth_history_entry *newest = berth_history_back(history_of(daemon), 0);
	struct berth_history_entry entry = {.unix_s = time(NULL), .uid = uid};
	char error[BERTH_ERROR_BYTES];
	entry.digest = berth_digest_of(text->text, text->length);
	if (newest && newest->digest == entry.digest)
		return;
	snprintf(entry.what, sizeof(entry.what), "%s", what);
	snprintf(entry.change, sizeof(entry.change), "%s", change);
	if (berth_history_add(history_of(daemon), &daemon->directory, &entry, text->text, error))
		berth_log("ALARM: the history of configurations is not kept: %s", error);
}

static uint32_t newest_of(const struct berth_daemon *daemon)
{
	const struct berth_history_entry *newest = berth_history_back(history_of(daemon), 0);
	return newest ? newest->number : 0;
}

void berth_config_history_read_file(struct berth_daemon *daemon, const char *text, size_t length)
{
	daemon->config_history->file_digest = berth_digest_of(text, length);
}

/* The file as it is; also where berthd has just written it. */
static void follow_file(struct berth_daemon *daemon)
{
	size_t length;
	char *text = berth_file_read(daemon->options.config_path, &length);
	if (text)
		berth_config_history_read_file(daemon, text, length);
	free(text);
}

/* Whether the file may be replaced by `text`. -EEXIST with one line in `error`. */
static int check_file(const struct berth_daemon *daemon, const char *text, size_t length,
		      char error[BERTH_ERROR_BYTES])
{
	size_t n;
	char *now = berth_file_read(daemon->options.config_path, &n);
	const bool is_other = now && berth_digest_of(now, n) != daemon->config_history->file_digest &&
			      (n != length || memcmp(now, text, n) != 0);
	free(now);
	if (!is_other)
		return 0;
	snprintf(error, BERTH_ERROR_BYTES,
		 "%s has changed since berthd read or saved it; `berthctl config diff` shows how; --force "
		 "overwrites it",
		 daemon->options.config_path);
	return -EEXIST;
}

/* --- a configuration that waits for its confirmation --- */

static void set_timer(struct berth_daemon *daemon, uint32_t seconds)
{
	const struct timeval wait = {.tv_sec = seconds};
	event_add(daemon->config_history->timer, &wait);
}

static void end_wait(struct berth_daemon *daemon)
{
	event_del(daemon->config_history->timer);
	if (!history_of(daemon)->confirmation.former)
		return;
	history_of(daemon)->confirmation = (struct berth_history_confirmation){.former = 0};
	write_history(daemon);
}

static void await(struct berth_daemon *daemon, const struct berth_cmd_apply *apply, uint32_t former)
{
	history_of(daemon)->confirmation = (struct berth_history_confirmation){
		.former = former,
		.until_s = time(NULL) + apply->confirm_s,
		.seconds = apply->confirm_s,
		.is_saved = apply->save,
	};
	write_history(daemon);
	set_timer(daemon, apply->confirm_s);
}

static void fail_return(struct berth_daemon *daemon, const char *error)
{
	berth_log("ALARM: the configuration was not confirmed, and the former one cannot be applied: %s", error);
	set_timer(daemon, RETRY_S);
}

/* The former configuration is parsed. Meanwhile the wait for the confirmation may have ended. */
static void return_to(void *arg, const struct berth_cmd_source *source, struct berth_cmd_parsed *parsed)
{
	struct berth_daemon *daemon = arg;
	struct berth_config_history *history = daemon->config_history;
	const bool is_due = history->returning && history->returning == history->history.confirmation.former;
	char error[BERTH_ERROR_BYTES];
	history->returning = 0;
	if (!is_due)
		return;
	struct berth_config *config = parsed->config;
	parsed->config = NULL;
	memcpy(error, parsed->error, sizeof(error));
	if (!config ||
	    berth_daemon_apply_parsed(daemon, source->name, source->text, source->length, config, false, error)) {
		fail_return(daemon, error);
		return;
	}
	end_wait(daemon);
	note(daemon, "not confirmed in time", -1, "the former configuration is in force again");
	berth_log("the configuration was not confirmed in time: the former one is in force again");
}

static void on_unconfirmed(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct berth_daemon *daemon = arg;
	const uint32_t former = history_of(daemon)->confirmation.former;
	const struct berth_history_entry *entry = berth_history_entry(history_of(daemon), former);
	char error[BERTH_ERROR_BYTES] = "it is not kept";
	struct berth_cmd_source source = {.name = "the former configuration", .applies = true};
	char *text = entry ? berth_history_text(&daemon->directory, entry, &source.length, error) : NULL;
	if (!text) {
		fail_return(daemon, error);
		return;
	}
	source.text = text;
	daemon->config_history->returning = former;
	berth_cmd_parse_then(daemon->parser, &source, return_to, daemon);
	free(text);
}

/* The engine did not start with a configuration, so that the former one came back. */
static void on_returned(struct berth_daemon *daemon)
{
	end_wait(daemon);
	follow_file(daemon);
	note(daemon, "the engine did not start", -1, "the former configuration is in force again");
}

struct berth_config *berth_config_history_resume(struct berth_daemon *daemon, struct berth_config *config)
{
	const struct berth_history_confirmation *confirmation = &history_of(daemon)->confirmation;
	const uint32_t left = berth_history_left(confirmation, time(NULL));
	char error[BERTH_ERROR_BYTES] = "its time is over";
	size_t length;
	if (!confirmation->former)
		return config;
	char *text = left ? berth_history_text(&daemon->directory, berth_history_back(history_of(daemon), 0),
					       &length, error)
			  : NULL;
	struct berth_config *waiting =
		text ? berth_config_parse("the configuration to confirm", text, length, error) : NULL;
	free(text);
	if (waiting) {
		berth_log("the configuration that waits for `config confirm` is in force for %u s", left);
		berth_config_free(config);
		return waiting;
	}
	berth_log("the configuration that was to be confirmed is not used: %s; %s is", error,
		  daemon->options.config_path);
	end_wait(daemon);
	return config;
}

/* --- changes --- */

/* Takes what was parsed, or parses it. NULL with one line in `error`. */
static struct berth_config *take_parsed(const struct berth_cmd_apply *apply, char error[BERTH_ERROR_BYTES])
{
	if (!apply->config)
		return berth_config_parse(apply->name, apply->text, apply->length, error);
	struct berth_config *config = *apply->config;
	*apply->config = NULL;
	return config;
}

static int change(struct berth_daemon *daemon, const struct berth_cmd_apply *apply, char error[BERTH_ERROR_BYTES])
{
	char text[BERTH_HISTORY_TEXT_BYTES];
	const bool saves = apply->save && !apply->confirm_s;
	const uint32_t former = newest_of(daemon);
	int err = apply->save && !apply->force ? check_file(daemon, apply->text, apply->length, error) : 0;
	if (!err && apply->confirm_s)
		err = berth_history_write(history_of(daemon), &daemon->directory, error);
	if (err)
		return err;
	struct berth_config *config = take_parsed(apply, error);
	if (!config) {
		berth_daemon_refuse(daemon);
		return -EINVAL;
	}
	berth_history_describe(daemon->model.config, config, text, sizeof(text));
	err = berth_daemon_apply_parsed(daemon, apply->name, apply->text, apply->length, config, saves, error);
	/* Nothing is noted for a configuration that was refused. */
	note(daemon, apply->what, apply->uid, text);
	if (saves && !err)
		berth_config_history_read_file(daemon, apply->text, apply->length);
	if (!err && apply->confirm_s && newest_of(daemon) != former)
		await(daemon, apply, former);
	/* The caller's other errors are of this file. */
	return !err || err == -EIO || err == -ENOMEM ? err : -EINVAL;
}

int berth_config_history_apply(struct berth_daemon *daemon, const struct berth_cmd_apply *apply,
			       char error[BERTH_ERROR_BYTES])
{
	if (!history_of(daemon)->confirmation.former)
		return change(daemon, apply, error);
	snprintf(error, BERTH_ERROR_BYTES,
		 "the configuration in force waits for a confirmation; `config confirm` keeps it, `config undo` "
		 "brings the former one back");
	return -EBUSY;
}

/* Applies a configuration that ends the wait for a confirmation. */
static int replace(struct berth_daemon *daemon, const struct berth_cmd_apply *apply, char error[BERTH_ERROR_BYTES])
{
	int err = change(daemon, apply, error);
	if (!err)
		end_wait(daemon);
	return err;
}

int berth_config_history_undo(struct berth_daemon *daemon, size_t steps, struct berth_cmd_apply *apply,
			      char error[BERTH_ERROR_BYTES])
{
	const struct berth_history *history = history_of(daemon);
	const struct berth_history_entry *entry = berth_history_back(history, steps);
	if (!entry) {
		snprintf(error, BERTH_ERROR_BYTES,
			 "%zu earlier configurations are kept; `berthctl config history` lists them",
			 history->n ? history->n - 1 : 0);
		return -ENOENT;
	}
	apply->text = berth_history_text(&daemon->directory, entry, &apply->length, error);
	if (!apply->text)
		return -ENOENT;
	/* One that waits for its confirmation is not in the file. */
	apply->save = apply->save && !history->confirmation.former;
	return replace(daemon, apply, error);
}

int berth_config_history_reload(struct berth_daemon *daemon, const char *text, size_t length,
				struct berth_config **config, char error[BERTH_ERROR_BYTES])
{
	const struct berth_cmd_apply apply = {.name = daemon->options.config_path,
					      .text = text,
					      .length = length,
					      .config = config,
					      .what = "signal",
					      .uid = -1};
	int err = replace(daemon, &apply, error);
	if (!err)
		berth_config_history_read_file(daemon, text, length);
	return err;
}

int berth_config_history_save(struct berth_daemon *daemon, bool force, char error[BERTH_ERROR_BYTES])
{
	const struct berth_config_text *text = daemon->model.config->text;
	int err = force ? 0 : check_file(daemon, text->text, text->length, error);
	if (!err)
		err = berth_daemon_save(daemon, error);
	if (!err)
		berth_config_history_read_file(daemon, text->text, text->length);
	return err;
}

int berth_config_history_confirm(struct berth_daemon *daemon, bool *is_saved, char error[BERTH_ERROR_BYTES])
{
	char reason[BERTH_ERROR_BYTES];
	*is_saved = history_of(daemon)->confirmation.is_saved;
	if (!history_of(daemon)->confirmation.former) {
		snprintf(error, BERTH_ERROR_BYTES, "no configuration waits for a confirmation");
		return -ENOENT;
	}
	end_wait(daemon);
	int err = *is_saved ? berth_config_history_save(daemon, false, reason) : 0;
	if (err)
		snprintf(error, BERTH_ERROR_BYTES, "confirmed, but not saved: %.400s", reason);
	return err;
}

/* --- */

void berth_config_history_start(struct berth_daemon *daemon)
{
	const uint32_t left = berth_history_left(&history_of(daemon)->confirmation, time(NULL));
	berth_engine_restart_set_returned(daemon, on_returned);
	note(daemon, "start of berthd", -1, "as the configuration file has it");
	if (history_of(daemon)->confirmation.former)
		set_timer(daemon, left);
}

int berth_config_history_open(struct berth_daemon *daemon)
{
	struct berth_config_history *history = calloc(1, sizeof(*history));
	char error[BERTH_ERROR_BYTES];
	daemon->config_history = history;
	if (!history)
		return -ENOMEM;
	history->timer = evtimer_new(daemon->base, on_unconfirmed, daemon);
	berth_history_read(&history->history, &daemon->directory, error);
	if (error[0] && !daemon->state.saved_damage[0])
		memcpy(daemon->state.saved_damage, error, sizeof(daemon->state.saved_damage));
	daemon->state.history = &history->history;
	return history->timer ? 0 : -ENOMEM;
}

void berth_config_history_close(struct berth_daemon *daemon)
{
	struct berth_config_history *history = daemon->config_history;
	if (!history)
		return;
	if (history->timer)
		event_free(history->timer);
	free(history);
}
