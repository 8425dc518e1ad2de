// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/engine/dpdk_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "controlplane/util/activation.h"
#include "controlplane/util/clock.h"
#include "controlplane/util/log.h"
#include "dataplane/interface/activation.h"
#include "dataplane/interface/names.h"
#include "dataplane/interface/private_file.h"

enum {
	STOP_MS = 5000, /* from SIGTERM to SIGKILL */
	POLL_MS = 1,
	FAULT_BYTES = 512,
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

/* In a session of its own: a signal to berthd's process group or terminal does not reach it. */
static int start_child(struct berth_dpdk_process *process)
{
	pid_t pid = fork();
	if (pid == 0) {
		sigset_t none;
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		setsid();
		execv(process->command.argv[0], process->command.argv);
		_exit(127);
	}
	if (pid < 0)
		return -errno;
	process->child = pid;
	return 0;
}

/* The answer is the process's id, which `has_ended` reads: systemd needs some time. */
static int send_command(const struct berth_dpdk_command *command, int connection)
{
	char text[BERTH_ACTIVATION_BYTES];
	size_t used = 0;
	_Static_assert(sizeof(command->text) <= sizeof(text), "all words are in one message");
	_Static_assert((int)BERTH_DPDK_MAX_ARGS <= (int)BERTH_ACTIVATION_WORDS, "berth-dpdk takes all words");
	for (int i = 0; i < command->argc; i++) {
		const size_t bytes = strlen(command->text[i]) + 1;
		memcpy(text + used, command->text[i], bytes);
		used += bytes;
	}
	return send(connection, text, used, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int start_by_systemd(struct berth_dpdk_process *process, int connection)
{
	int err = send_command(&process->command, connection);
	if (err)
		close(connection);
	else
		process->connection = connection;
	return err;
}

int berth_dpdk_process_spawn(struct berth_dpdk_process *process)
{
	char former[sizeof(process->status_path) + 16];
	berth_dpdk_former_status_path(former, sizeof(former), process->status_path);
	unlink(former);
	rename(process->status_path, former);
	unlink(process->fault_path);
	BERTH_STORE(&process->image->ctl->engine_pid, 0);
	berth_dpdk_process_forget(process);
	const int connection = berth_activation_connect(process->run_dir, "berth-dpdk");
	if (connection < 0 && connection != -ENOENT)
		return connection;
	int err = connection < 0 ? start_child(process) : start_by_systemd(process, connection);
	if (err)
		return err;
	process->is_starting = true;
	process->changed_ms = berth_clock_ms();
	return 0;
}

bool berth_dpdk_process_is_started(const struct berth_dpdk_process *process)
{
	return process->child || process->connection >= 0;
}

void berth_dpdk_process_forget(struct berth_dpdk_process *process)
{
	if (process->connection >= 0)
		close(process->connection);
	process->connection = -1;
	process->child = 0;
}

/* Appends what the process said last, if it ended by itself. */
static void append_fault(const struct berth_dpdk_process *process, char text[BERTH_ERROR_BYTES])
{
	char line[FAULT_BYTES];
	const char *fault;
	int fd = berth_private_open(process->fault_path, O_RDONLY, BERTH_MODE_OTHERS_WRITE, &fault);
	if (fd < 0)
		return;
	ssize_t n = read(fd, line, sizeof(line) - 1);
	close(fd);
	line[n > 0 ? n : 0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	const size_t used = strlen(text);
	snprintf(text + used, BERTH_ERROR_BYTES - used, ": %s", line);
}

static bool has_child_ended(const struct berth_dpdk_process *process, char text[BERTH_ERROR_BYTES])
{
	int status;
	if (!process->child || waitpid(process->child, &status, WNOHANG) != process->child)
		return false;
	if (WIFSIGNALED(status))
		snprintf(text, BERTH_ERROR_BYTES, "killed by signal %d", WTERMSIG(status));
	else
		snprintf(text, BERTH_ERROR_BYTES, "exit code %d", WEXITSTATUS(status));
	return true;
}

/* systemd reaps it, and knows how it ended. */
static bool has_connection_ended(struct berth_dpdk_process *process, char text[BERTH_ERROR_BYTES])
{
	pid_t pid;
	const ssize_t n = recv(process->connection, &pid, sizeof(pid), MSG_DONTWAIT);
	if (n == sizeof(pid))
		process->child = pid;
	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return false;
	/* It closes one descriptor after the other. */
	if (berth_dpdk_process_is_running(process->image_fd))
		return false;
	snprintf(text, BERTH_ERROR_BYTES, "%s: see journalctl -u 'berth-dpdk@*'",
		 process->child ? "it ended" : "systemd did not start it");
	return true;
}

bool berth_dpdk_process_has_ended(struct berth_dpdk_process *process, char text[BERTH_ERROR_BYTES])
{
	if (process->connection >= 0 ? !has_connection_ended(process, text) : !has_child_ended(process, text))
		return false;
	berth_dpdk_process_forget(process);
	append_fault(process, text);
	return true;
}

bool berth_dpdk_process_has_started(struct berth_dpdk_process *process)
{
	if (!process->is_starting || !process->child ||
	    BERTH_LOAD(&process->image->ctl->engine_pid) != (uint32_t)process->child ||
	    !berth_dpdk_process_is_forwarding(process))
		return false;
	process->is_starting = false;
	return true;
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
