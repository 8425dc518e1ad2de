/* SPDX-License-Identifier: BSD-3-Clause */
/* Debian's redis-server on a loopback port, and commands to it. */
#pragma once

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

#include "controlplane/config/config.h"
#include "tests/support/loop.h"
#include "tests/support/unit.h"

struct redis_server {
	uint16_t port;
	pid_t pid;
	char directory[32]; /* a replica writes a file */
};

static inline uint16_t redis_free_port(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(at);
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, length), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &length), 0);
	close(fd);
	return ntohs(at.sin_port);
}

/* A reply, which the caller frees; NULL: the server does not answer. The format is hiredis'. */
#define redis_command(server, ...)                                                                                 \
	({                                                                                                         \
		const struct timeval wait_ = {.tv_sec = 5};                                                        \
		redisContext *context_ = redisConnectWithTimeout("127.0.0.1", (server)->port, wait_);              \
		redisReply *reply_ = context_ && !context_->err ? redisCommand(context_, __VA_ARGS__) : NULL;      \
		redisFree(context_);                                                                               \
		reply_;                                                                                            \
	})

/* The command has to succeed; its number, if its reply is one. */
#define redis_do(server, ...)                                                                                      \
	({                                                                                                         \
		redisReply *done_ = redis_command(server, __VA_ARGS__);                                            \
		assert_non_null(done_);                                                                            \
		if (done_->type == REDIS_REPLY_ERROR)                                                              \
			fail_msg("%s", done_->str);                                                                \
		const long long number_ = done_->integer;                                                          \
		freeReplyObject(done_);                                                                            \
		number_;                                                                                           \
	})

static inline bool redis_answers(const struct redis_server *server)
{
	redisReply *reply = redis_command(server, "PING");
	const bool is_up = reply && reply->type == REDIS_REPLY_STATUS;
	freeReplyObject(reply);
	return is_up;
}

/* On its former port, if it has one. `options`: more of them, ended by NULL. */
static inline void redis_start(struct redis_server *server, const char *const *options)
{
	char port[8];
	server->port = server->port ? server->port : redis_free_port();
	snprintf(port, sizeof(port), "%u", server->port);
	strcpy(server->directory, "/tmp/test_redis.XXXXXX");
	assert_non_null(mkdtemp(server->directory));
	server->pid = fork();
	assert_true(server->pid >= 0);
	if (!server->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
			_exit(1);
		const char *words[32] = {"redis-server", "--bind", "127.0.0.1", "--port",	  port,
					 "--save",	 "",	   "--dir",	server->directory};
		for (size_t n = 9; *options && n < 31; n++)
			words[n] = *options++;
		execvp(words[0], (char *const *)words);
		_exit(1);
	}
	if (!wait_until(redis_answers(server), 10000, usleep(10000)))
		fail_msg("redis-server does not start");
}

static inline void redis_kill(struct redis_server *server)
{
	if (!server->pid)
		return;
	char file[64];
	kill(server->pid, SIGKILL);
	waitpid(server->pid, NULL, 0);
	server->pid = 0;
	snprintf(file, sizeof(file), "%s/dump.rdb", server->directory);
	unlink(file);
	rmdir(server->directory);
}

static inline struct berth_store_server redis_address(const struct redis_server *server)
{
	return (struct berth_store_server){.address.byte = {[10] = 0xff, 0xff, 127, 0, 0, 1}, .port = server->port};
}
