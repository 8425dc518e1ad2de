// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/helper_program/redis.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/util/address.h"

enum {
	READ_BYTES = 64 << 10,
};

struct berth_redis {
	int fd;
	SSL *tls; /* NULL: without */
	redisReader *reader;
	struct event *readable;
	struct event *writable; /* also activated by the first command of a batch */
	struct berth_redis_listener listener;
	char *out; /* what is not sent yet */
	size_t out_bytes;
	size_t unanswered; /* commands */
	size_t max_bytes;
	size_t reply_bytes; /* of the reply that is not whole yet */
	bool is_connected;
	bool is_reading; /* the listener is called */
	bool is_freed;	 /* by the listener, during a call */
	bool has_failed;
	bool is_too_long; /* that reply */
};

/* hiredis' own functions but for an array, which it would allocate as large as the other end says. */
static redisReplyObjectFunctions bounded;
static void *(*create_any_array)(const redisReadTask *task, int elements);
/* What a reader gives up after a fault. One event loop per process. */
static redisReply *given_up;

static void *create_array(const redisReadTask *task, int elements)
{
	return elements <= BERTH_REDIS_MAX_ELEMENTS ? create_any_array(task, elements) : NULL;
}

static void give_up(void *reply)
{
	freeReplyObject(given_up);
	given_up = reply;
}

static redisReader *create_reader(void)
{
	redisReader *reader = redisReaderCreate();
	if (!reader)
		return NULL;
	if (!create_any_array) {
		bounded = *reader->fn;
		create_any_array = bounded.createArray;
		bounded.createArray = create_array;
		bounded.freeObject = give_up;
	}
	reader->fn = &bounded;
	return reader;
}

/* The listener frees the connection. */
static void fail(struct berth_redis *redis, const char *reason)
{
	if (redis->has_failed)
		return;
	redis->has_failed = true;
	event_del(redis->readable);
	event_del(redis->writable);
	redis->listener.failed(redis->listener.arg, reason);
}

/* --- sending --- */

static int connect_error(int fd)
{
	int error = 0;
	socklen_t length = sizeof(error);
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) ? errno : error;
}

static void fail_with(struct berth_redis *redis, ssize_t error)
{
	char reason[BERTH_REDIS_REASON_BYTES];
	if (error == -EAGAIN || error == -EINTR || error == -ENOTCONN)
		return;
	if (error == -EPROTO && redis->tls)
		snprintf(reason, sizeof(reason), "TLS: %s", berth_redis_tls_fault(redis->tls));
	else
		snprintf(reason, sizeof(reason), "%s", error ? strerror((int)-error) : "it closed the connection");
	fail(redis, reason);
}

/* Returns how many bytes were sent, or -errno. */
static ssize_t send_out(struct berth_redis *redis)
{
	if (redis->tls)
		return berth_redis_tls_send(redis->tls, redis->out, redis->out_bytes);
	const ssize_t sent = send(redis->fd, redis->out, redis->out_bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
	return sent < 0 ? -errno : sent;
}

/* TLS may have to receive first: what comes then tries again. */
static bool can_send_more(const struct berth_redis *redis)
{
	return redis->out_bytes && !(redis->tls && SSL_want_read(redis->tls));
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	struct berth_redis *redis = arg;
	const int error = redis->is_connected ? 0 : connect_error(fd);
	if (error) {
		fail_with(redis, -error);
		return;
	}
	const ssize_t sent = redis->out_bytes ? send_out(redis) : 0;
	if (sent < 0)
		fail_with(redis, sent);
	else
		redis->is_connected = true;
	if (redis->has_failed)
		return;
	if (sent > 0) {
		redis->out_bytes -= (size_t)sent;
		memmove(redis->out, redis->out + sent, redis->out_bytes);
	}
	if (can_send_more(redis))
		event_add(redis->writable, NULL);
}

bool berth_redis_command(struct berth_redis *redis, size_t n, const char *const *words, const size_t *lengths)
{
	const char *copies[BERTH_REDIS_MAX_WORDS];
	char *text = NULL;
	for (size_t i = 0; i < n && i < BERTH_REDIS_MAX_WORDS; i++)
		copies[i] = words[i];
	const int bytes = n <= BERTH_REDIS_MAX_WORDS ? redisFormatCommandArgv(&text, (int)n, copies, lengths) : -1;
	char *out = bytes > 0 ? realloc(redis->out, redis->out_bytes + (size_t)bytes) : NULL;
	if (out) {
		memcpy(out + redis->out_bytes, text, (size_t)bytes);
		redis->out = out;
		redis->out_bytes += (size_t)bytes;
		redis->unanswered++;
		event_add(redis->writable, NULL);
	}
	if (bytes > 0)
		redisFreeCommand(text);
	return out;
}

bool berth_redis_log_in(struct berth_redis *redis, const char *username, const char *password)
{
	return username[0] ? BERTH_REDIS_COMMAND(redis, "AUTH", username, password)
			   : BERTH_REDIS_COMMAND(redis, "AUTH", password);
}

/* --- receiving --- */

/* Returns what is wrong with the reply, or NULL. */
static const char *deliver(struct berth_redis *redis, redisReply *reply)
{
	const bool is_wanted = redis->unanswered > 0;
	if (is_wanted) {
		redis->unanswered--;
		redis->listener.replied(redis->listener.arg, reply);
	}
	freeReplyObject(reply);
	return is_wanted ? NULL : "an answer that nothing asked for";
}

/* Delivers all whole replies. Returns what is wrong, or NULL. */
static const char *deliver_all(struct berth_redis *redis)
{
	const char *fault = NULL;
	while (!fault && !redis->is_freed) {
		void *reply = NULL;
		if (redisReaderGetReply(redis->reader, &reply) != REDIS_OK) {
			redis->is_too_long = redis->reader->err == REDIS_ERR_OOM;
			return redis->is_too_long ? "an array that is too long" : "what is not Redis' protocol";
		}
		if (!reply)
			break;
		redis->reply_bytes = redis->reader->len - redis->reader->pos;
		fault = deliver(redis, reply);
	}
	if (fault || redis->is_freed || redis->reply_bytes <= redis->max_bytes)
		return fault;
	redis->is_too_long = true;
	return "an answer that is too long";
}

static void take(struct berth_redis *redis, const char *bytes, size_t n)
{
	char reason[BERTH_REDIS_REASON_BYTES];
	redis->is_reading = true;
	redis->reply_bytes += n;
	give_up(NULL);
	const char *fault = redisReaderFeed(redis->reader, bytes, n) == REDIS_OK
				    ? deliver_all(redis)
				    : "too much for this host's memory";
	if (fault && !redis->is_freed) {
		snprintf(reason, sizeof(reason), "it sent %s", fault);
		fail(redis, reason);
	}
	redis->is_reading = false;
	if (redis->is_freed)
		berth_redis_free(redis);
}

const redisReply *berth_redis_unfinished(const struct berth_redis *redis)
{
	if (!redis->is_too_long)
		return NULL;
	return redis->reader->err ? given_up : redis->reader->reply;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	struct berth_redis *redis = arg;
	static char bytes[READ_BYTES];
	ssize_t n = redis->tls ? berth_redis_tls_recv(redis->tls, bytes, sizeof(bytes))
			       : recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n < 0 && !redis->tls)
		n = -errno;
	if (redis->tls && n != 0 && redis->out_bytes)
		event_add(redis->writable, NULL);
	if (n > 0)
		take(redis, bytes, (size_t)n);
	else
		fail_with(redis, n);
}

const char *berth_redis_text(const redisReply *reply, char text[BERTH_REDIS_REASON_BYTES])
{
	const size_t bytes = reply->str ? reply->len : 0;
	size_t n = 0;
	for (; n < bytes && n < BERTH_REDIS_REASON_BYTES - 1; n++)
		text[n] = (char)(reply->str[n] >= ' ' && reply->str[n] <= '~' ? reply->str[n] : '?');
	text[n] = 0;
	return text;
}

void berth_redis_describe(const struct berth_store_server *server, const char *role, const char *reason,
			  char text[BERTH_HELPER_REASON_BYTES])
{
	char address[BERTH_ADDRESS_TEXT];
	const bool is6 = !berth_addr_is4(&server->address);
	snprintf(text, BERTH_HELPER_REASON_BYTES, "%s%s%s%s:%u: %.90s", role, is6 ? "[" : "",
		 berth_address_format(&server->address, address), is6 ? "]" : "", server->port, reason);
}

/* --- creation --- */

static int open_socket(const struct berth_store_server *server)
{
	const int on = 1;
	struct sockaddr_storage to;
	const socklen_t length = berth_address_to_socket(&server->address, server->port, &to);
	const int fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (fd < 0)
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, (struct sockaddr *)&to, length) == 0 || errno == EINPROGRESS)
		return fd;
	const int error = errno;
	close(fd);
	errno = error;
	return -1;
}

struct berth_redis *berth_redis_new(struct event_base *base, const struct berth_redis_options *options,
				    const struct berth_redis_listener *listener)
{
	const struct berth_store_server *server = &options->server;
	const int fd = open_socket(server);
	struct berth_redis *redis = fd >= 0 ? calloc(1, sizeof(*redis)) : NULL;
	if (!redis) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	*redis = (struct berth_redis){.fd = fd, .max_bytes = options->max_bytes, .listener = *listener};
	if (options->tls)
		redis->tls = berth_redis_tls_new(options->tls, fd, &server->address);
	const bool has_tls = !options->tls || redis->tls;
	redis->reader = create_reader();
	redis->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, redis);
	redis->writable = event_new(base, fd, EV_WRITE, on_writable, redis);
	if (has_tls && redis->reader && redis->readable && redis->writable && event_add(redis->readable, NULL) == 0)
		return redis;
	berth_redis_free(redis);
	errno = has_tls ? ENOMEM : EKEYREJECTED;
	return NULL;
}

const char *berth_redis_new_fault(int error)
{
	return error == EKEYREJECTED ? "TLS: the file `ca` has no certificates" : strerror(error);
}

void berth_redis_free(struct berth_redis *redis)
{
	if (!redis)
		return;
	redis->is_freed = true;
	if (redis->is_reading)
		return;
	if (redis->readable)
		event_free(redis->readable);
	if (redis->writable)
		event_free(redis->writable);
	if (redis->reader)
		redisReaderFree(redis->reader);
	SSL_free(redis->tls);
	close(redis->fd);
	free(redis->out);
	free(redis);
}
