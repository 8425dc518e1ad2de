// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/daemon/saved_state.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "controlplane/api/plural.h"
#include "controlplane/daemon/private.h"
#include "controlplane/daemon/secret.h"
#include "controlplane/saved/directory.h"
#include "controlplane/tables/sessions.h"
#include "controlplane/util/clock.h"
#include "controlplane/util/log.h"
#include "dataplane/core/session.h"

#define FILE_NAME "operator.json"

enum {
	DELAY_MS = 100, /* of a write that no command waits for */
	RETRY_MS = 10000,
	TELL_MS = 1000, /* until what was read is told to other nodes: what they have told is read first */
};

struct berth_saved_state {
	struct berth_operator_state read; /* from the file, until it is restored */
	struct berth_pins pins;
	struct event *timer;
	char *written; /* content of the file; NULL: not known */
	bool is_due;
};

static struct berth_saved_time now(void)
{
	return (struct berth_saved_time){.monotonic = berth_clock_s(), .unix_s = time(NULL)};
}

static const char *directory_of(const struct berth_daemon *daemon, const struct berth_config *config)
{
	return daemon->options.state_dir ? daemon->options.state_dir : config->state_dir;
}

/* "": no fault. One line in the log for each change. */
static void set_fault(struct berth_daemon *daemon, const char *fault)
{
	char *now_known = daemon->state.saved_fault;
	if (strcmp(now_known, fault) == 0)
		return;
	if (fault[0])
		berth_log("ALARM: %s; what operators set does not survive a reboot", fault);
	else
		berth_log("alarm over: the state directory can be written");
	snprintf(now_known, sizeof(daemon->state.saved_fault), "%s", fault);
}

/* --- reading --- */

/* They are told again, in case that the store does not have them. Names that are not configured go with the first
 * configuration. */
static void take_records(struct berth_daemon *daemon)
{
	const struct berth_operator_state *read = &daemon->saved->read;
	const struct berth_operator_time at = {.monotonic_ms = berth_clock_ms(),
					       .unix_ms = (uint64_t)now().unix_s * 1000};
	for (size_t i = 0; i < read->n_records; i++)
		berth_operator_set_merge(daemon->state.operators.set, &read->records[i], &at, TELL_MS);
}

static void read_file(struct berth_daemon *daemon)
{
	struct berth_saved_state *saved = daemon->saved;
	char error[BERTH_ERROR_BYTES];
	size_t length;
	char *text = berth_saved_read(&daemon->directory, FILE_NAME, &length, error);
	int err = text ? berth_operator_state_parse(&saved->read, text, length) : 0;
	if (err)
		snprintf(error, sizeof(error), "%s",
			 err == -ENOTSUP ? "it is of another version of berth" : "its content is damaged");
	if (error[0]) {
		berth_saved_set_aside(&daemon->directory, FILE_NAME, error, daemon->state.saved_damage);
		free(text);
		text = NULL;
	}
	saved->written = text;
	take_records(daemon);
	daemon->state.node.is_drained = saved->read.is_node_drained;
	if (saved->read.is_node_drained)
		berth_log("this node is drained, as an operator had set; `berthctl node enable` ends it");
}

void berth_saved_state_restore(struct berth_daemon *daemon, const struct berth_model *stage)
{
	struct berth_saved_state *saved = daemon->saved;
	const struct berth_saved_time at = now();
	if (daemon->engine->adopted || daemon->model.config)
		return;
	size_t dropped = berth_operator_state_restore(&saved->read, stage, &at);
	size_t n = saved->read.n_backends - dropped;
	if (n)
		berth_log("restored what operators had set of %zu backend%s, from %s/" FILE_NAME, n,
			  BERTH_PLURAL(n), daemon->directory.path);
	if (dropped)
		berth_log("dropped what operators had set of %zu backend%s not configured", dropped,
			  BERTH_PLURAL(dropped));
}

/* Where the tables were adopted, the sessions are there. */
static void pin_again(struct berth_daemon *daemon)
{
	const struct berth_view view = berth_sessions_view(&daemon->engine->image, berth_clock_s());
	size_t failed = 0;
	for (size_t i = 0; i < daemon->saved->pins.n; i++) {
		const struct berth_pin *pin = &daemon->saved->pins.list[i];
		struct berth_model_service *service = NULL;
		const struct berth_model_backend *backend = berth_model_backend_by_id(&daemon->model, pin->backend,
										      &service);
		struct berth_session placed;
		const uint32_t number = backend ? backend->session_number : 0;
		failed += !number || berth_sessions_assign(&view, &pin->client, service->number, number,
							   BERTH_REASON_PINNED, &placed) != 0;
	}
	if (failed)
		berth_log("ALARM: no room in the session table for %zu pinned client%s; raise limits.sessions",
			  failed, BERTH_PLURAL(failed));
}

int berth_saved_state_restore_pins(struct berth_daemon *daemon)
{
	struct berth_saved_state *saved = daemon->saved;
	int dropped = berth_operator_state_restore_pins(&saved->read, &daemon->model, &saved->pins);
	berth_operator_state_clear(&saved->read);
	if (dropped < 0)
		return dropped;
	if (dropped)
		berth_log("dropped %d pin%s of services or backends that are not configured", dropped,
			  BERTH_PLURAL(dropped));
	if (!daemon->engine->adopted)
		pin_again(daemon);
	berth_saved_state_request(daemon);
	return 0;
}

/* --- writing --- */

static void start_timer(struct berth_saved_state *saved, uint32_t ms)
{
	const struct timeval wait = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	event_add(saved->timer, &wait);
}

static void add_record(void *arg, const struct berth_operator_record *record)
{
	struct berth_operator_state *state = arg;
	state->records[state->n_records++] = *record;
}

static int collect_records(const struct berth_daemon *daemon, struct berth_operator_state *state)
{
	const struct berth_operator_set *set = daemon->state.operators.set;
	state->records = calloc(berth_operator_set_count(set) + 1, sizeof(*state->records));
	if (!state->records)
		return -ENOMEM;
	berth_operator_set_for_each(set, add_record, state);
	return 0;
}

/* The content of the file. NULL: out of memory, or "" if there is nothing to write and no file. */
static char *format(struct berth_daemon *daemon)
{
	struct berth_saved_state *saved = daemon->saved;
	const struct berth_saved_time at = now();
	struct berth_operator_state state;
	if (berth_operator_state_collect(&state, &daemon->model, &saved->pins, &at))
		return NULL;
	state.is_node_drained = daemon->state.node.is_drained;
	if (collect_records(daemon, &state)) {
		berth_operator_state_clear(&state);
		return NULL;
	}
	const bool is_empty = !state.n_backends && !state.n_pins && !state.n_records && !state.is_node_drained &&
			      !saved->written;
	char *text = is_empty ? strdup("") : berth_operator_state_format(&state);
	berth_operator_state_clear(&state);
	return text;
}

/* 0, or -errno with one line in `error`. Takes over `text`. */
static int write_text(struct berth_daemon *daemon, char *text, char error[BERTH_ERROR_BYTES])
{
	struct berth_saved_state *saved = daemon->saved;
	int err = berth_saved_write(&daemon->directory, FILE_NAME, text, error);
	free(saved->written);
	saved->written = err ? NULL : text;
	if (err)
		free(text);
	return err;
}

/* The secret first: without it the rest is of another instance. */
static int write_all(struct berth_daemon *daemon, char error[BERTH_ERROR_BYTES])
{
	struct berth_saved_state *saved = daemon->saved;
	int err = berth_saved_directory_open(&daemon->directory, directory_of(daemon, daemon->model.config),
					     daemon->options.paths.instance, error);
	if (!err)
		err = berth_daemon_secret_keep(daemon, error);
	if (err)
		return err;
	char *text = format(daemon);
	if (!text)
		return -ENOMEM;
	if (strcmp(text, saved->written ? saved->written : "") != 0)
		return write_text(daemon, text, error);
	free(text);
	return 0;
}

void berth_saved_state_flush(struct berth_daemon *daemon)
{
	struct berth_saved_state *saved = daemon->saved;
	char error[BERTH_ERROR_BYTES] = "out of memory for the state file";
	if (!saved->is_due)
		return;
	if (write_all(daemon, error) == 0)
		error[0] = '\0';
	saved->is_due = error[0] != '\0';
	set_fault(daemon, error);
	if (saved->is_due)
		start_timer(saved, RETRY_MS);
	else
		event_del(saved->timer);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	berth_saved_state_flush(arg);
}

void berth_saved_state_request(struct berth_daemon *daemon)
{
	daemon->saved->is_due = true;
	if (!event_pending(daemon->saved->timer, EV_TIMEOUT, NULL))
		start_timer(daemon->saved, DELAY_MS);
}

/* --- */

int berth_saved_state_open(struct berth_daemon *daemon, const struct berth_config *config)
{
	struct berth_saved_state *saved = calloc(1, sizeof(*saved));
	char error[BERTH_ERROR_BYTES];
	if (!saved)
		return -ENOMEM;
	daemon->saved = saved;
	saved->timer = evtimer_new(daemon->base, on_timer, daemon);
	if (!saved->timer)
		return -ENOMEM;
	if (berth_saved_directory_open(&daemon->directory, directory_of(daemon, config),
				       daemon->options.paths.instance, error))
		set_fault(daemon, error);
	else
		read_file(daemon);
	return 0;
}

void berth_saved_state_pin(struct berth_daemon *daemon, const struct berth_pin *pin)
{
	if (berth_pins_set(&daemon->saved->pins, &daemon->model, pin))
		set_fault(daemon, "out of memory for the list of pins");
	berth_saved_state_request(daemon);
}

void berth_saved_state_unpin(struct berth_daemon *daemon, uint64_t service, const union berth_addr *client)
{
	if (berth_pins_remove(&daemon->saved->pins, &daemon->model, service, client))
		berth_saved_state_request(daemon);
}

void berth_saved_state_follow(struct berth_daemon *daemon)
{
	struct berth_saved_state *saved = daemon->saved;
	char path[BERTH_STATE_PATH_BYTES];
	size_t n = berth_pins_prune(&saved->pins, &daemon->model);
	if (n)
		berth_log("dropped %zu pin%s of services or backends that are not configured any more", n,
			  BERTH_PLURAL(n));
	berth_saved_directory_path(path, directory_of(daemon, daemon->model.config),
				   daemon->options.paths.instance);
	if (strcmp(path, daemon->directory.path) != 0) {
		free(saved->written);
		saved->written = NULL;
	}
	berth_saved_state_request(daemon);
}

void berth_saved_state_close(struct berth_daemon *daemon)
{
	struct berth_saved_state *saved = daemon->saved;
	if (!saved)
		return;
	if (daemon->model.config)
		berth_saved_state_flush(daemon);
	if (saved->timer)
		event_free(saved->timer);
	berth_operator_state_clear(&saved->read);
	berth_pins_clear(&saved->pins);
	free(saved->written);
	free(saved);
}
