// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/engine/dpdk_process.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "controlplane/util/clock.h"
#include "controlplane/util/log.h"
#include "dataplane/interface/private_file.h"

enum {
	WATCH_MS = 100,
	QUICK_WATCH_MS = 5, /* while it ends or starts: packets wait */
	START_MS = 20000,   /* EAL and the ports may need this long */
	STOP_MS = 5000,	    /* from SIGTERM to SIGKILL */
	PAUSE_MS = 1000,    /* from SIGTERM to the end of its workers, which takes them one turn */
	POLL_MS = 1,
	MIN_BACKOFF_MS = 200,
	MAX_BACKOFF_MS = 10000,
};

bool berth_dpdk_process_is_running(int image_fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	return fcntl(image_fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* Worker 0 is the first one that is launched, after the ports have been opened. */
bool berth_dpdk_process_is_forwarding(const struct berth_dpdk_process *process)
{
	return berth_dpdk_process_is_running(process->image_fd) && BERTH_LOAD(&process->image->workers[0].running);
}

/* Whether a worker may read the image. */
static bool has_workers(const struct berth_dpdk_process *process)
{
	const struct berth_image *image = process->image;
	for (uint32_t w = 0; w < image->geometry.workers; w++)
		if (BERTH_LOAD(&image->workers[w].running))
			return berth_dpdk_process_is_running(process->image_fd);
	return false;
}

json_t *berth_dpdk_process_read_status(const char *status_path)
{
	const char *fault;
	int fd = berth_private_open(status_path, O_RDONLY, BERTH_MODE_OTHERS_WRITE, &fault);
	if (fault)
		berth_log("%s is not read: %s", status_path, fault);
	if (fd < 0)
		return NULL;
	json_t *status = json_loadfd(fd, 0, NULL);
	close(fd);
	return status;
}

static pid_t read_pid(const char *status_path)
{
	json_t *status = berth_dpdk_process_read_status(status_path);
	json_int_t pid = json_integer_value(json_object_get(status, "pid"));
	json_decref(status);
	return pid > 0 ? (pid_t)pid : 0;
}

/* A process that was killed leaves its id in both places, and another one may have the id now. */
pid_t berth_dpdk_process_pid(const struct berth_dpdk_process *process)
{
	pid_t pid = (pid_t)BERTH_LOAD(&process->image->ctl->engine_pid);
	if (process->child)
		return process->child;
	if (!pid)
		pid = read_pid(process->status_path);
	return berth_dpdk_command_has_word(pid, process->image_path) ? pid : 0;
}

bool berth_dpdk_process_differs(const struct berth_dpdk_process *process, const struct berth_dpdk_command *command,
				char difference[BERTH_ERROR_BYTES])
{
	return berth_dpdk_process_is_running(process->image_fd) &&
	       !berth_dpdk_command_is_running(command, berth_dpdk_process_pid(process), difference);
}

/* The image's generation is one of the ports that this process would open. */
static bool may_start(const struct berth_dpdk_process *process)
{
	return !process->is_held && BERTH_LOAD(&process->image->ctl->generation) != process->former_generation;
}

/* In a session of its own: a signal to berthd's process group or terminal does not reach it. */
static int spawn(struct berth_dpdk_process *process)
{
	const char *program = process->command.argv[0];
	unlink(process->status_path);
	BERTH_STORE(&process->image->ctl->engine_pid, 0);
	pid_t pid = fork();
	if (pid == 0) {
		sigset_t none;
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		setsid();
		execv(program, process->command.argv);
		_exit(127);
	}
	if (pid < 0)
		return -errno;
	process->child = pid;
	process->is_starting = true;
	process->changed_ms = berth_clock_ms();
	return 0;
}

/* Whether the child has ended; writes how to `text`. */
static bool has_ended(struct berth_dpdk_process *process, char text[64])
{
	int status;
	if (!process->child || waitpid(process->child, &status, WNOHANG) != process->child)
		return false;
	process->child = 0;
	if (WIFSIGNALED(status))
		snprintf(text, 64, "killed by signal %d", WTERMSIG(status));
	else
		snprintf(text, 64, "exit code %d", WEXITSTATUS(status));
	return true;
}

static bool has_started(struct berth_dpdk_process *process)
{
	if (!process->is_starting || BERTH_LOAD(&process->image->ctl->engine_pid) != (uint32_t)process->child ||
	    !berth_dpdk_process_is_forwarding(process))
		return false;
	process->is_starting = false;
	process->start_ms = (uint32_t)(berth_clock_ms() - process->changed_ms);
	return true;
}

static void set_watch(const struct berth_dpdk_process *process)
{
	uint32_t period_ms = process->is_ending || process->is_starting ? QUICK_WATCH_MS : WATCH_MS;
	const struct timeval period = {.tv_usec = period_ms * 1000};
	if (process->watch)
		event_add(process->watch, &period);
}

/* The first restart is immediate, each further one waits twice as long. */
static void restart(struct berth_dpdk_process *process)
{
	process->backoff_ms = process->backoff_ms ? process->backoff_ms * 2 : MIN_BACKOFF_MS;
	if (process->backoff_ms > MAX_BACKOFF_MS)
		process->backoff_ms = MAX_BACKOFF_MS;
	process->restarts++;
	process->changed_ms = berth_clock_ms();
	int err = spawn(process);
	if (err)
		berth_log("cannot start %s: %s", process->command.argv[0], strerror(-err));
}

static void follow_running(struct berth_dpdk_process *process, uint64_t ago_ms)
{
	if (has_started(process))
		berth_log("berth-dpdk forwards; its start took %u ms", process->start_ms);
	else if (process->is_ending && ago_ms > STOP_MS)
		kill(berth_dpdk_process_pid(process), SIGKILL);
	else if (ago_ms > MAX_BACKOFF_MS)
		process->backoff_ms = 0;
}

static void on_watch(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct berth_dpdk_process *process = arg;
	char how[64];
	if (has_ended(process, how)) {
		if (!process->is_ending)
			berth_log("berth-dpdk ended (%s); restarting it in %u ms", how, process->backoff_ms);
		process->changed_ms = berth_clock_ms();
		process->is_starting = false;
	}
	const uint64_t ago_ms = berth_clock_ms() - process->changed_ms;
	if (process->child || berth_dpdk_process_is_running(process->image_fd)) {
		follow_running(process, ago_ms);
	} else if (may_start(process) && (process->is_ending || ago_ms >= process->backoff_ms)) {
		process->is_ending = false;
		restart(process);
	}
	set_watch(process);
}

static int await_ports(struct berth_dpdk_process *process, char error[BERTH_ERROR_BYTES])
{
	char how[64];
	while (!has_started(process)) {
		if (has_ended(process, how)) {
			snprintf(error, BERTH_ERROR_BYTES,
				 "berth-dpdk did not start (%s); its own message is in the lines above", how);
			return -EIO;
		}
		if (berth_clock_ms() - process->changed_ms > START_MS) {
			snprintf(error, BERTH_ERROR_BYTES, "berth-dpdk did not open its ports within %d s",
				 START_MS / 1000);
			return -ETIMEDOUT;
		}
		usleep(POLL_MS * 1000);
	}
	return 0;
}

/* The former process has got SIGTERM: waits for its end. */
static void await_end(const struct berth_dpdk_process *process)
{
	if (process->is_ending)
		berth_dpdk_process_stop(process->image_fd, process->status_path, berth_dpdk_process_pid(process));
}

int berth_dpdk_process_start(struct berth_dpdk_process *process, struct event_base *base,
			     char error[BERTH_ERROR_BYTES])
{
	int err = 0;
	await_end(process);
	process->is_ending = false;
	if (!berth_dpdk_process_is_running(process->image_fd) && may_start(process)) {
		err = spawn(process);
		if (err)
			snprintf(error, BERTH_ERROR_BYTES, "cannot start %s: %s", process->command.argv[0],
				 strerror(-err));
		else
			err = await_ports(process, error);
	}
	if (err)
		return err;
	process->watch = event_new(base, -1, EV_PERSIST, on_watch, process);
	set_watch(process);
	if (process->watch)
		return 0;
	snprintf(error, BERTH_ERROR_BYTES, "out of memory");
	return -ENOMEM;
}

void berth_dpdk_process_detach(struct berth_dpdk_process *process)
{
	if (process->watch)
		event_free(process->watch);
	process->watch = NULL;
}

int berth_dpdk_process_end(struct berth_dpdk_process *process)
{
	const uint64_t start_ms = berth_clock_ms();
	const pid_t pid = berth_dpdk_process_pid(process);
	bool is_killed = false;
	if (!berth_dpdk_process_is_running(process->image_fd))
		return 0;
	if (!pid || kill(pid, SIGTERM))
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
	process->backoff_ms = 0;
	process->changed_ms = berth_clock_ms();
	set_watch(process);
	return 0;
}

void berth_dpdk_process_stop(int image_fd, const char *status_path, pid_t pid)
{
	const uint64_t start_ms = berth_clock_ms();
	bool is_killed = false;
	pid = pid ? pid : read_pid(status_path);
	if (pid <= 0 || kill(pid, SIGTERM))
		return;
	/* A child of this berthd is a zombie until waitpid(2); any process holds the lock as long as it lives. */
	while (waitpid(pid, NULL, WNOHANG) == 0 || berth_dpdk_process_is_running(image_fd)) {
		const uint64_t ago_ms = berth_clock_ms() - start_ms;
		if (ago_ms > 2 * STOP_MS)
			return;
		if (ago_ms > STOP_MS && !is_killed)
			is_killed = kill(pid, SIGKILL) == 0;
		usleep(POLL_MS * 1000);
	}
}
