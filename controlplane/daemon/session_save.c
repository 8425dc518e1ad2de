// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/daemon/session_save.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/api/plural.h"
#include "controlplane/daemon/private.h"
#include "controlplane/tables/former_words.h"
#include "controlplane/tables/session_file.h"
#include "controlplane/util/clock.h"
#include "controlplane/util/log.h"
#include "dataplane/core/flowtab.h"

#define FILE_NAME "sessions"

enum {
	NICE = 10, /* of the thread */
	SCAN_POLL_MS = 100,
	SCANS = 2, /* of which the second is complete whenever the wait began */
};

/* One write, by the thread. The loop reads it after the thread has ended. */
struct task {
	const struct berth_image *image;
	char path[BERTH_STATE_PATH_BYTES + sizeof(FILE_NAME) + 1];
	int64_t unix_s;
	int done; /* eventfd */
	int err;
	struct berth_session_file_result result;
	char error[BERTH_ERROR_BYTES];
};

struct berth_session_save {
	struct task task;
	pthread_t thread;
	bool is_running;
	uint64_t awaited_scan; /* of those that move sessions of a former table; 0: none */
	struct event *timer;
	struct event *ended; /* the thread has written task.done */
};

static uint32_t interval_ms(const struct berth_daemon *daemon)
{
	return daemon->model.config ? daemon->model.config->sessions.save_ms : 0;
}

static void prepare(const struct berth_daemon *daemon, struct task *task)
{
	snprintf(task->path, sizeof(task->path), "%s/" FILE_NAME, daemon->directory.path);
	task->unix_s = time(NULL);
}

static void run(struct task *task)
{
	task->err = berth_session_file_write(task->image, task->path, task->unix_s, &task->result, task->error);
}

static void *run_in_thread(void *arg)
{
	struct task *task = arg;
	const uint64_t one = 1;
	setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
	run(task);
	if (write(task->done, &one, sizeof(one)) != sizeof(one))
		abort(); /* an eventfd takes 2^64 - 2 of them */
	return NULL;
}

static void report(struct berth_daemon *daemon)
{
	const struct task *task = &daemon->session_save->task;
	struct berth_session_save_state *state = &daemon->state.session_save;
	const char *error = task->err ? task->error : "";
	if (strcmp(state->error, error) != 0 && error[0])
		berth_log("ALARM: the sessions are not saved: %s", error);
	else if (strcmp(state->error, error) != 0)
		berth_log("alarm over: the sessions are saved again");
	snprintf(state->error, sizeof(state->error), "%s", error);
	if (task->err)
		return;
	state->unix_s = task->unix_s;
	state->sessions = task->result.sessions;
}

static void start_timer(struct berth_daemon *daemon)
{
	const uint32_t ms = interval_ms(daemon);
	const struct timeval wait = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	if (ms)
		event_add(daemon->session_save->timer, &wait);
}

static void on_ended(evutil_socket_t fd, short what, void *arg)
{
	struct berth_daemon *daemon = arg;
	uint64_t count;
	(void)what;
	if (read(fd, &count, sizeof(count)) != sizeof(count))
		return;
	pthread_join(daemon->session_save->thread, NULL);
	daemon->session_save->is_running = false;
	report(daemon);
	start_timer(daemon);
}

void berth_session_save_pause(struct berth_daemon *daemon)
{
	struct berth_session_save *save = daemon->session_save;
	if (!save->is_running)
		return;
	pthread_join(save->thread, NULL);
	save->is_running = false;
	eventfd_t count;
	eventfd_read(save->task.done, &count);
	report(daemon);
}

void berth_session_save_set_image(struct berth_daemon *daemon)
{
	daemon->session_save->task.image = &daemon->engine->image;
	daemon->session_save->awaited_scan = 0;
}

/* The thread reads one table. The scan moves the sessions of a former one into it, in turns of the loop; to move
 * all of a large table here would take seconds. True: a scan that has moved what finds room is not complete yet. */
static bool waits_for_scan(const struct berth_daemon *daemon, struct berth_session_save *save)
{
	const bool has_former = BERTH_LOAD(&save->task.image->ctl->former_session_bits);
	if (has_former && !save->awaited_scan)
		save->awaited_scan = daemon->model.scans + SCANS;
	if (has_former && daemon->model.scans < save->awaited_scan)
		return true;
	save->awaited_scan = 0;
	return false;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct berth_daemon *daemon = arg;
	struct berth_session_save *save = daemon->session_save;
	const struct timeval soon = {.tv_usec = SCAN_POLL_MS * 1000};
	if (waits_for_scan(daemon, save)) {
		event_add(save->timer, &soon);
		return;
	}
	prepare(daemon, &save->task);
	save->is_running = pthread_create(&save->thread, NULL, run_in_thread, &save->task) == 0;
	if (!save->is_running)
		start_timer(daemon);
}

void berth_session_save_follow(struct berth_daemon *daemon)
{
	struct berth_session_save *save = daemon->session_save;
	event_del(save->timer);
	if (!save->is_running)
		start_timer(daemon);
}

/* Takes a damaged file out of the way, so that it can be looked at. */
static void set_aside(struct berth_daemon *daemon, const char *reason)
{
	berth_saved_set_aside(&daemon->directory, FILE_NAME, reason, daemon->state.saved_damage);
}

void berth_session_save_restore(struct berth_daemon *daemon)
{
	struct berth_session_file_result result;
	char path[sizeof(daemon->session_save->task.path)], error[BERTH_ERROR_BYTES] = "";
	if (daemon->engine->adopted || !interval_ms(daemon))
		return;
	snprintf(path, sizeof(path), "%s/" FILE_NAME, daemon->directory.path);
	const uint64_t begin_ms = berth_clock_ms();
	int err = berth_session_file_restore(&daemon->engine->image, &daemon->model, path, time(NULL), &result,
					     error);
	if (err == -EINVAL)
		set_aside(daemon, error);
	else if (err && err != -ENOENT)
		berth_log("ALARM: the sessions are not restored: %s", error);
	if (err)
		return;
	berth_log("restored %" PRIu64 " session%s of %" PRIu64 " s ago in %" PRIu64 " ms", result.sessions,
		  BERTH_PLURAL(result.sessions), result.saved_s, berth_clock_ms() - begin_ms);
	if (result.unknown || result.no_room)
		berth_log("%" PRIu64
			  " sessions are not restored, as their backends are not configured, and %" PRIu64
			  " for lack of room",
			  result.unknown, result.no_room);
}

int berth_session_save_open(struct berth_daemon *daemon)
{
	struct berth_session_save *save = calloc(1, sizeof(*save));
	if (!save)
		return -ENOMEM;
	daemon->session_save = save;
	save->task.image = &daemon->engine->image;
	save->task.done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (save->task.done < 0)
		return -ENOMEM;
	save->timer = evtimer_new(daemon->base, on_timer, daemon);
	save->ended = event_new(daemon->base, save->task.done, EV_READ | EV_PERSIST, on_ended, daemon);
	return save->timer && save->ended && event_add(save->ended, NULL) == 0 ? 0 : -ENOMEM;
}

void berth_session_save_close(struct berth_daemon *daemon)
{
	struct berth_session_save *save = daemon->session_save;
	if (!save)
		return;
	if (save->is_running)
		pthread_join(save->thread, NULL);
	if (interval_ms(daemon)) {
		/* At once: the loop has ended. */
		berth_former_words_empty(save->task.image, BERTH_TABLE_SESSIONS, berth_clock_s());
		prepare(daemon, &save->task);
		run(&save->task);
		report(daemon);
	}
	if (save->timer)
		event_free(save->timer);
	if (save->ended)
		event_free(save->ended);
	if (save->task.done >= 0)
		close(save->task.done);
	free(save);
}
