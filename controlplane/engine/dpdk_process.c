// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/engine/dpdk_process.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "controlplane/util/log.h"
#include "dataplane/interface/private_file.h"

enum {
	WATCH_MS = 100,
	START_MS = 20000, /* EAL and the ports may need this long */
	STOP_MS = 5000,	  /* from SIGTERM to SIGKILL */
	POLL_MS = 10,
	MIN_BACKOFF_MS = 200,
	MAX_BACKOFF_MS = 10000,
};

bool berth_dpdk_process_is_running(int image_fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	return fcntl(image_fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* In a session of its own: a signal to berthd's process group or terminal does not reach it. */
static int spawn(struct berth_dpdk_process *process)
{
	const char *program = process->command.argv[0];
	unlink(process->status_path);
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

/* Called every WATCH_MS. The first restart is immediate, each further one waits twice as long. */
static void on_watch(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct berth_dpdk_process *process = arg;
	char how[64];
	if (has_ended(process, how)) {
		berth_log("berth-dpdk ended (%s); restarting it in %u ms", how, process->backoff_ms);
		process->waited_ms = 0;
	}
	process->waited_ms += WATCH_MS;
	if (process->child || berth_dpdk_process_is_running(process->image_fd)) {
		if (process->waited_ms > MAX_BACKOFF_MS)
			process->backoff_ms = 0;
		return;
	}
	if (process->waited_ms < process->backoff_ms)
		return;
	process->backoff_ms = process->backoff_ms ? process->backoff_ms * 2 : MIN_BACKOFF_MS;
	if (process->backoff_ms > MAX_BACKOFF_MS)
		process->backoff_ms = MAX_BACKOFF_MS;
	process->waited_ms = 0;
	process->restarts++;
	int err = spawn(process);
	if (err)
		berth_log("cannot start %s: %s", process->command.argv[0], strerror(-err));
}

static int await_ports(struct berth_dpdk_process *process, char error[BERTH_ERROR_BYTES])
{
	char how[64];
	for (int waited_ms = 0; waited_ms < START_MS; waited_ms += POLL_MS) {
		if (access(process->status_path, F_OK) == 0)
			return 0;
		if (has_ended(process, how)) {
			snprintf(error, BERTH_ERROR_BYTES,
				 "berth-dpdk did not start (%s); its own message is in the lines above", how);
			return -EIO;
		}
		usleep(POLL_MS * 1000);
	}
	snprintf(error, BERTH_ERROR_BYTES, "berth-dpdk did not open its ports within %d s", START_MS / 1000);
	return -ETIMEDOUT;
}

int berth_dpdk_process_start(struct berth_dpdk_process *process, struct event_base *base,
			     char error[BERTH_ERROR_BYTES])
{
	const struct timeval period = {.tv_usec = WATCH_MS * 1000};
	int err = 0;
	if (!berth_dpdk_process_is_running(process->image_fd)) {
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
	if (process->watch && event_add(process->watch, &period) == 0)
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

/* The process that this berthd started, else the one that wrote the status file; 0: not found. */
static pid_t find_process(const char *status_path, pid_t child)
{
	json_t *status = child ? NULL : berth_dpdk_process_read_status(status_path);
	pid_t pid = child ? child : (pid_t)json_integer_value(json_object_get(status, "pid"));
	json_decref(status);
	return pid > 0 ? pid : 0;
}

void berth_dpdk_process_restart(struct berth_dpdk_process *process)
{
	pid_t pid = find_process(process->status_path, process->child);
	process->backoff_ms = 0;
	if (pid && berth_dpdk_process_is_running(process->image_fd))
		kill(pid, SIGTERM);
}

void berth_dpdk_process_stop(int image_fd, const char *status_path, pid_t child)
{
	pid_t pid = find_process(status_path, child);
	for (int waited_ms = 0; pid > 0 && waited_ms < 2 * STOP_MS; waited_ms += POLL_MS) {
		if (!child && !berth_dpdk_process_is_running(image_fd))
			return;
		if (waited_ms == 0)
			kill(pid, SIGTERM);
		if (waited_ms == STOP_MS)
			kill(pid, SIGKILL);
		usleep(POLL_MS * 1000);
		if (child && waitpid(child, NULL, WNOHANG) == child)
			child = 0;
	}
}
