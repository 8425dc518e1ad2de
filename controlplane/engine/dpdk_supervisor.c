// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/engine/dpdk_supervisor.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "controlplane/util/clock.h"
#include "controlplane/util/log.h"
#include "controlplane/util/service_manager.h"

enum {
	WATCH_MS = 100,	    /* notices a process without a descriptor */
	QUICK_WATCH_MS = 5, /* while it ends or starts: packets wait */
	START_MS = 60000,   /* EAL and the ports may need so long: a slow machine, much memory to clear */
	BESIDE_MS = 20000,  /* the same, where another engine takes over if this one does not start */
	FEED_MS = 1000,	    /* berthd's loop does not run while it waits for the ports */
	STOP_MS = 5000,	    /* from SIGTERM to SIGKILL */
	PAUSE_MS = 1000,    /* from SIGTERM to the end of its workers, which takes them one turn */
	POLL_MS = 1,
	HANG_MS =
		3000, /* a worker that does not poll for so long hangs; one that is idle sleeps for 1 ms at most */
	/* What one look counts at most. berthd may not have run, in which time a worker need not have run either.
	 */
	LOOK_MS = 2 * WATCH_MS,
	BREAK_MS = 200, /* without a poll: answers to health checks may have been late or lost */
};

/* Whether a worker may read the image. */
static bool has_workers(const struct berth_dpdk_process *process)
{
	const struct berth_image *image = process->image;
	for (uint32_t w = 0; w < image->geometry.workers; w++)
		if (BERTH_LOAD(&image->workers[w].running))
			return berth_dpdk_process_is_running(process->image_fd);
	return false;
}

/* The image's generation is one of the ports that this process would open. */
static bool may_start(const struct berth_dpdk_process *process)
{
	return !process->is_held && BERTH_LOAD(&process->image->ctl->generation) != process->former_generation;
}

static void forget_death(struct berth_dpdk_process *process)
{
	if (!process->death)
		return;
	close((int)event_get_fd(process->death));
	event_free(process->death);
	process->death = NULL;
}

static void on_watch(evutil_socket_t fd, short what, void *arg);

/* Its descriptor becomes readable when it ends. Without one the timer notices the end. */
static void watch_death(struct berth_dpdk_process *process)
{
	const pid_t pid = process->death || !process->watch ? 0 : berth_dpdk_process_pid(process);
	if (!pid)
		return;
	const int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		return;
	/* Another process may have got the id meanwhile. */
	if (berth_dpdk_process_pid(process) == pid)
		process->death = event_new(event_get_base(process->watch), fd, EV_READ, on_watch, process);
	if (process->death)
		event_add(process->death, NULL);
	else
		close(fd);
}

static void set_watch(struct berth_dpdk_process *process)
{
	uint32_t period_ms = process->is_ending || process->is_starting ? QUICK_WATCH_MS : WATCH_MS;
	const struct timeval period = {.tv_usec = period_ms * 1000};
	if (process->watch)
		event_add(process->watch, &period);
	watch_death(process);
}

static void update_alarm(struct berth_dpdk_process *process)
{
	struct berth_engine_process *report = process->report;
	const bool is_failing = berth_restart_is_alarm(&process->policy, berth_clock_ms());
	if (is_failing && !report->is_failing)
		berth_log("ALARM: berth-dpdk %s: %s",
			  process->policy.failed_starts ? "does not start"
			  : process->hang.fault[0]	? "hung"
							: "ended three times within a minute",
			  report->fault);
	else if (!is_failing && report->is_failing)
		berth_log("alarm over: berth-dpdk forwards");
	report->is_failing = is_failing;
	report->failed_starts = process->policy.failed_starts;
}

/* An end that berthd did not ask for. */
static void note_end(struct berth_dpdk_process *process, const char *how)
{
	const bool has_forwarded = !process->is_starting;
	const uint64_t now_ms = berth_clock_ms();
	const uint32_t wait_ms = berth_restart_ended(&process->policy, now_ms, has_forwarded);
	if (has_forwarded)
		process->report->stopped_ms = now_ms - process->hang.silent_ms;
	if (process->hang.fault[0])
		how = process->hang.fault;
	snprintf(process->report->fault, sizeof(process->report->fault), "%s", how);
	if (wait_ms)
		berth_log("berth-dpdk ended (%s); restarting it in %u ms", how, wait_ms);
	else
		berth_log("berth-dpdk ended (%s); restarting it at once", how);
}

static void note_start(struct berth_dpdk_process *process)
{
	const uint64_t now_ms = berth_clock_ms();
	struct berth_engine_process *report = process->report;
	berth_restart_reset(&process->policy);
	report->start_ms = (uint32_t)(now_ms - process->changed_ms);
	report->receives_since_ms = now_ms;
	if (report->stopped_ms) {
		report->pause_ms = (uint32_t)(now_ms - report->stopped_ms);
		berth_log("berth-dpdk forwards; packets stopped for %u ms, %u ms of it for its start",
			  report->pause_ms, report->start_ms);
	} else {
		berth_log("berth-dpdk forwards; its start took %u ms", report->start_ms);
	}
	report->stopped_ms = 0;
	process->has_run = true;
}

static void restart(struct berth_dpdk_process *process)
{
	process->hang = (struct berth_hang_watch){0};
	process->report->restarts++;
	process->has_run = false;
	process->changed_ms = berth_clock_ms();
	int err = berth_dpdk_process_spawn(process);
	if (!err)
		return;
	char how[BERTH_ERROR_BYTES];
	snprintf(how, sizeof(how), "cannot start %s: %s", process->command.argv[0], strerror(-err));
	process->is_starting = true;
	note_end(process, how);
	process->is_starting = false;
}

/* Only SIGKILL ends a process that does nothing. Its end is noticed as any other. */
static void kill_hanging(struct berth_dpdk_process *process)
{
	const pid_t pid = berth_dpdk_process_pid(process);
	berth_log("killing berth-dpdk, which hangs: %s", process->hang.fault);
	snprintf(process->report->fault, sizeof(process->report->fault), "%s", process->hang.fault);
	if (!pid || kill(pid, SIGKILL))
		berth_log("ALARM: berth-dpdk cannot be killed; end the process that holds %s", process->image_path);
	process->report->hangs++;
	berth_restart_hung(&process->policy, berth_clock_ms());
}

/* One look at its workers. */
static void follow_workers(struct berth_dpdk_process *process)
{
	struct berth_hang_watch *hang = &process->hang;
	const uint64_t now_ms = berth_clock_ms(), look_ms = now_ms - hang->seen_ms;
	struct berth_heartbeat now;
	uint32_t n;
	berth_heartbeat_sample(process->image, &now);
	const uint32_t stuck = berth_heartbeat_stuck(&hang->since, &now, &n);
	hang->seen_ms = now_ms;
	if (!stuck) {
		hang->since = now;
		hang->silent_ms = 0;
		return;
	}
	hang->silent_ms += look_ms < LOOK_MS ? (uint32_t)look_ms : LOOK_MS;
	if (hang->silent_ms >= BREAK_MS)
		process->report->receives_since_ms = now_ms;
	if (hang->fault[0] || hang->silent_ms < HANG_MS)
		return;
	snprintf(hang->fault, sizeof(hang->fault), "%u of %u workers have not polled their queues for %d s", stuck,
		 n, HANG_MS / 1000);
	kill_hanging(process);
}

static void follow_start(struct berth_dpdk_process *process, uint64_t ago_ms)
{
	if (process->hang.fault[0] || ago_ms <= START_MS)
		return;
	snprintf(process->hang.fault, sizeof(process->hang.fault), "it did not open its ports within %d s",
		 START_MS / 1000);
	kill_hanging(process);
}

static void follow_running(struct berth_dpdk_process *process)
{
	const uint64_t ago_ms = berth_clock_ms() - process->changed_ms;
	if (berth_dpdk_process_has_started(process))
		note_start(process);
	else if (process->is_ending && ago_ms > STOP_MS && berth_dpdk_process_pid(process))
		kill(berth_dpdk_process_pid(process), SIGKILL);
	else if (process->is_starting)
		follow_start(process, ago_ms);
	else if (!process->is_ending) {
		process->has_run = true;
		follow_workers(process);
	}
}

/* It does not run. One that another berthd started, or that was its child, is noticed here. */
static void follow_ended(struct berth_dpdk_process *process)
{
	if (process->has_run && !process->is_ending)
		note_end(process, "its end was not seen");
	process->has_run = false;
	if (!may_start(process) ||
	    (!process->is_ending && !berth_restart_is_due(&process->policy, berth_clock_ms())))
		return;
	process->is_ending = false;
	restart(process);
}

static void on_watch(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct berth_dpdk_process *process = arg;
	char how[BERTH_ERROR_BYTES];
	if (berth_dpdk_process_has_ended(process, how)) {
		if (!process->is_ending)
			note_end(process, how);
		process->has_run = false;
		process->is_starting = false;
	}
	if (berth_dpdk_process_is_started(process) || berth_dpdk_process_is_running(process->image_fd)) {
		follow_running(process);
	} else {
		forget_death(process);
		follow_ended(process);
	}
	update_alarm(process);
	set_watch(process);
}

static int await_ports(struct berth_dpdk_process *process, char error[BERTH_ERROR_BYTES])
{
	char how[BERTH_ERROR_BYTES];
	const uint32_t longest_ms = process->is_beside ? BESIDE_MS : START_MS;
	uint64_t fed_ms = 0;
	while (!berth_dpdk_process_has_started(process)) {
		if (berth_dpdk_process_has_ended(process, how)) {
			snprintf(error, BERTH_ERROR_BYTES, "berth-dpdk did not start (%.400s)", how);
			return -EIO;
		}
		if (berth_clock_ms() - process->changed_ms > longest_ms) {
			snprintf(error, BERTH_ERROR_BYTES, "berth-dpdk did not open its ports within %u s",
				 longest_ms / 1000);
			return -ETIMEDOUT;
		}
		if (berth_clock_ms() - fed_ms >= FEED_MS) {
			berth_service_manager_feed_watchdog();
			fed_ms = berth_clock_ms();
		}
		usleep(POLL_MS * 1000);
	}
	note_start(process);
	return 0;
}

/* The former process has got SIGTERM: waits for its end. */
static void await_end(const struct berth_dpdk_process *process)
{
	if (process->is_ending)
		berth_dpdk_process_stop(process->image_fd, process->status_path, berth_dpdk_process_pid(process));
}

int berth_dpdk_supervisor_start(struct berth_dpdk_process *process, struct event_base *base,
				char error[BERTH_ERROR_BYTES])
{
	int err = 0;
	await_end(process);
	process->is_ending = false;
	/* `halt` has waited for its end. */
	if (!berth_dpdk_process_is_running(process->image_fd))
		berth_dpdk_process_forget(process);
	if (!berth_dpdk_process_is_running(process->image_fd) && may_start(process)) {
		err = berth_dpdk_process_spawn(process);
		if (err)
			snprintf(error, BERTH_ERROR_BYTES, "cannot start %s: %s", process->command.argv[0],
				 strerror(-err));
		else
			err = await_ports(process, error);
	}
	if (err)
		return err;
	if (!process->watch)
		process->watch = event_new(base, -1, EV_PERSIST, on_watch, process);
	set_watch(process);
	if (process->watch)
		return 0;
	snprintf(error, BERTH_ERROR_BYTES, "out of memory");
	return -ENOMEM;
}

void berth_dpdk_supervisor_detach(struct berth_dpdk_process *process)
{
	forget_death(process);
	if (process->watch)
		event_free(process->watch);
	process->watch = NULL;
	if (process->connection >= 0)
		close(process->connection);
	process->connection = -1;
}

int berth_dpdk_supervisor_end(struct berth_dpdk_process *process)
{
	const uint64_t start_ms = berth_clock_ms();
	const pid_t pid = berth_dpdk_process_pid(process);
	bool is_killed = false;
	if (!berth_dpdk_process_is_running(process->image_fd))
		return 0;
	/* One that has not started yet may not react to a SIGTERM, and has nothing to end. */
	if (!pid || (kill(pid, process->is_starting ? SIGKILL : SIGTERM) && errno != ESRCH))
		return -EBUSY;
	while (has_workers(process)) {
		const uint64_t ago_ms = berth_clock_ms() - start_ms;
		if (ago_ms > 2 * PAUSE_MS)
			return -EBUSY;
		if (ago_ms > PAUSE_MS && !is_killed)
			is_killed = kill(pid, SIGKILL) == 0;
		usleep(POLL_MS * 1000);
	}
	process->is_ending = true;
	process->is_starting = false;
	if (!process->report->stopped_ms)
		process->report->stopped_ms = start_ms;
	process->changed_ms = berth_clock_ms();
	set_watch(process);
	return 0;
}
