// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/helper/helper.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "controlplane/helper/stream.h"
#include "controlplane/helper/user.h"
#include "controlplane/util/activation.h"
#include "controlplane/util/clock.h"
#include "controlplane/util/log.h"
#include "controlplane/util/spawn.h"
#include "dataplane/interface/capabilities.h"

enum {
	PING_MS = 500,
	UNANSWERED = 4,	       /* pings: then it is taken for hung, and killed */
	UNANSWERED_START = 60, /* before its first answer: systemd needs seconds for it, on a slow machine many */
	MIN_BACKOFF_MS = 100,
	MAX_BACKOFF_MS = 5000,
	STABLE_MS = 10000, /* after so long the next start is at once again */
};

/* What berth-helper gives up again when it has made its empty root and switched to its user. */
#define START_CAPABILITIES                                                                                         \
	(BERTH_CAPABILITY(CAP_SYS_CHROOT) | BERTH_CAPABILITY(CAP_SETUID) | BERTH_CAPABILITY(CAP_SETGID) |          \
	 BERTH_CAPABILITY(CAP_SETPCAP))

struct berth_helper {
	struct event_base *base;
	struct berth_helper_options options;
	struct berth_helper_listener listener;
	struct berth_helper_status status;
	uint32_t uid; /* of its process, when it has started */
	bool is_child;
	int process_fd; /* of the process that systemd has started; -1: it is a child, or has sent nothing yet */
	struct berth_stream *stream;
	struct event *timer;
	uint64_t started_ms;
	bool has_answered;
	unsigned int unanswered; /* pings since the last message */
	uint64_t next_start_ms;
	uint32_t backoff_ms;
};

static void end(struct berth_helper *helper, const char *fault);

/* While it holds its end of the connection its id is no other's. From then on its descriptor tells whether it runs.
 */
static void identify(struct berth_helper *helper)
{
	const pid_t pid = helper->is_child || !helper->stream ? 0 : berth_stream_sender(helper->stream);
	if (!pid || helper->process_fd >= 0)
		return;
	helper->process_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	helper->status.pid = pid;
}

static bool on_received(void *arg, const struct berth_helper_header *message, const int *fds, size_t n_fds)
{
	(void)fds;
	(void)n_fds;
	struct berth_helper *helper = arg;
	helper->unanswered = 0;
	helper->has_answered = true;
	identify(helper);
	if (message->type == BERTH_HELPER_PONG)
		return message->bytes == sizeof(*message);
	return helper->listener.received && helper->listener.received(helper->listener.arg, message);
}

static void on_ended(void *arg, const char *fault)
{
	char text[96];
	snprintf(text, sizeof(text), "it sent %s", fault ? fault : "");
	end(arg, fault ? text : NULL);
}

/* Standard output and error are berthd's: its log shows what berth-helper says. */
static pid_t spawn(const struct berth_helper *helper, int fd)
{
	char *const argv[] = {(char *)helper->options.program, (char *)helper->options.name,
			      (char *)helper->options.run_dir, NULL};
	char *const environment[] = {NULL};
	const struct berth_account own = {.uid = geteuid(), .gid = getegid()};
	const struct berth_spawn program = {.argv = argv,
					    .environment = environment,
					    .account = &own,
					    .capabilities = START_CAPABILITIES,
					    .fd = fd,
					    .may_log = true};
	bool is_refused;
	return berth_spawn(&program, &is_refused);
}

/* As a child of berthd. */
static int start_child(struct berth_helper *helper, const struct berth_stream_listener *listener)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends))
		return -errno;
	helper->stream = berth_stream_new(helper->base, ends[0], false, listener);
	pid_t pid = helper->stream ? spawn(helper, ends[1]) : -ENOMEM;
	close(ends[1]);
	if (!helper->stream)
		close(ends[0]);
	if (pid < 0) {
		berth_stream_free(helper->stream);
		helper->stream = NULL;
		return pid;
	}
	helper->status.pid = pid;
	return 0;
}

/* By systemd. Which process it is, the kernel tells with its first message. */
static int connect_started(struct berth_helper *helper, int fd, const struct berth_stream_listener *listener)
{
	struct berth_helper_header ping = {.type = BERTH_HELPER_PING};
	helper->stream = berth_stream_new(helper->base, fd, false, listener);
	if (!helper->stream) {
		close(fd);
		return -ENOMEM;
	}
	int err = berth_stream_identify_sender(helper->stream);
	if (!err)
		err = berth_stream_send(helper->stream, &ping, sizeof(ping), NULL, 0);
	if (!err)
		return 0;
	berth_stream_free(helper->stream);
	helper->stream = NULL;
	return err;
}

static int start(struct berth_helper *helper)
{
	const struct berth_stream_listener listener = {.received = on_received, .ended = on_ended, .arg = helper};
	const int fd = berth_activation_connect(helper->options.run_dir, "berth-helper");
	if (fd < 0 && fd != -ENOENT)
		return fd;
	helper->is_child = fd == -ENOENT;
	int err = helper->is_child ? start_child(helper, &listener) : connect_started(helper, fd, &listener);
	if (err)
		return err;
	helper->status.is_running = true;
	helper->started_ms = berth_clock_ms();
	helper->has_answered = false;
	helper->unanswered = 0;
	return 0;
}

static void schedule(struct berth_helper *helper)
{
	uint64_t now_ms = berth_clock_ms();
	bool is_stable = helper->started_ms && now_ms - helper->started_ms >= STABLE_MS;
	helper->next_start_ms = now_ms + (is_stable ? 0 : helper->backoff_ms);
	helper->backoff_ms = is_stable || !helper->backoff_ms ? MIN_BACKOFF_MS : 2 * helper->backoff_ms;
	if (helper->backoff_ms > MAX_BACKOFF_MS)
		helper->backoff_ms = MAX_BACKOFF_MS;
}

static void set_timer(const struct berth_helper *helper)
{
	uint64_t now_ms = berth_clock_ms(), wait_ms = PING_MS;
	if (!helper->status.is_running)
		wait_ms = helper->next_start_ms > now_ms ? helper->next_start_ms - now_ms : 0;
	const struct timeval wait = {.tv_sec = (time_t)(wait_ms / 1000),
				     .tv_usec = (suseconds_t)(wait_ms % 1000 * 1000)};
	event_add(helper->timer, &wait);
}

static void try_start(struct berth_helper *helper)
{
	int err = start(helper);
	if (!err)
		return;
	snprintf(helper->status.fault, sizeof(helper->status.fault), "it cannot be started: %s", strerror(-err));
	berth_log("ALARM: helper for %s: %s", helper->options.name, helper->status.fault);
	schedule(helper);
}

/* Ends the child, if it has not ended, and says how. SIGKILL ends also a stopped one, at once. */
static void reap(struct berth_helper *helper, const char *fault)
{
	char *text = helper->status.fault;
	const size_t size = sizeof(helper->status.fault);
	siginfo_t info = {0};
	/* A process that ended by itself closed its socket before it became a zombie. */
	for (int i = 0; !fault && i < 100 && !info.si_pid; i++) {
		if (waitid(P_PID, (id_t)helper->status.pid, &info, WEXITED | WNOHANG | WNOWAIT) || info.si_pid)
			break;
		usleep(1000);
	}
	berth_spawn_kill(helper->status.pid, helper->uid);
	waitpid(helper->status.pid, NULL, 0);
	if (fault)
		snprintf(text, size, "%s", fault);
	else if (info.si_pid)
		snprintf(text, size, "%s %d", info.si_code == CLD_EXITED ? "exit code" : "killed by signal",
			 info.si_status);
	else
		snprintf(text, size, "it closed its socket");
}

/* The same of a process that systemd started, and reaps. */
static void kill_started(struct berth_helper *helper, const char *fault)
{
	identify(helper);
	struct pollfd process = {.fd = helper->process_fd, .events = POLLIN};
	const bool has_ended = helper->process_fd < 0 || poll(&process, 1, 0) != 0;
	if (!has_ended)
		berth_spawn_kill(helper->status.pid, helper->uid);
	if (helper->process_fd >= 0)
		close(helper->process_fd);
	helper->process_fd = -1;
	snprintf(helper->status.fault, sizeof(helper->status.fault), "%s",
		 fault ? fault : "see journalctl -u 'berth-helper@*'");
}

static void end(struct berth_helper *helper, const char *fault)
{
	if (helper->is_child)
		reap(helper, fault);
	else
		kill_started(helper, fault);
	helper->status.is_running = false;
	helper->status.pid = 0;
	helper->status.restarts++;
	berth_stream_free(helper->stream);
	helper->stream = NULL;
	schedule(helper);
	berth_log("ALARM: the helper for %s ended (%s); starting it again", helper->options.name,
		  helper->status.fault);
	set_timer(helper);
	if (helper->listener.ended)
		helper->listener.ended(helper->listener.arg);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct berth_helper *helper = arg;
	struct berth_helper_header ping = {.type = BERTH_HELPER_PING};
	if (!helper->status.is_running) {
		try_start(helper);
	} else if (helper->unanswered >= (helper->has_answered ? UNANSWERED : UNANSWERED_START)) {
		end(helper, helper->has_answered ? "it did not answer for 2 s" : "it did not start in 30 s");
		return;
	}
	if (helper->stream)
		helper->unanswered += !berth_stream_send(helper->stream, &ping, sizeof(ping), NULL, 0);
	set_timer(helper);
}

struct berth_helper *berth_helper_new(struct event_base *base, const struct berth_helper_options *options)
{
	struct berth_helper *helper = calloc(1, sizeof(*helper));
	if (!helper)
		return NULL;
	*helper = (struct berth_helper){
		.base = base,
		.options = *options,
		.status.name = options->name,
		.uid = berth_helper_user().uid,
		.process_fd = -1,
	};
	helper->timer = evtimer_new(base, on_timer, helper);
	if (!helper->timer) {
		free(helper);
		return NULL;
	}
	try_start(helper);
	set_timer(helper);
	return helper;
}

void berth_helper_free(struct berth_helper *helper)
{
	if (!helper)
		return;
	if (helper->status.is_running && helper->is_child) {
		berth_spawn_kill(helper->status.pid, helper->uid);
		waitpid(helper->status.pid, NULL, 0);
	}
	berth_stream_free(helper->stream);
	if (helper->process_fd >= 0)
		close(helper->process_fd);
	event_free(helper->timer);
	free(helper);
}

void berth_helper_set_listener(struct berth_helper *helper, const struct berth_helper_listener *listener)
{
	helper->listener = *listener;
}

int berth_helper_send(struct berth_helper *helper, struct berth_helper_header *message, size_t bytes,
		      const int *fds, size_t n_fds)
{
	if (helper->stream)
		return berth_stream_send(helper->stream, message, bytes, fds, n_fds);
	for (size_t i = 0; i < n_fds; i++)
		close(fds[i]);
	return -ENOTCONN;
}

const struct berth_helper_status *berth_helper_status(const struct berth_helper *helper)
{
	return &helper->status;
}
