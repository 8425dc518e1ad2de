// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "controlplane/api/plural.h"
#include "controlplane/cli/cli.h"

static enum berth_cli_status cannot_connect(const char *path, int err, char error[BERTH_CLI_ERROR_BYTES])
{
	switch (err) {
	case ENOENT:
	case ECONNREFUSED:
		snprintf(error, BERTH_CLI_ERROR_BYTES,
			 "berthd is not running, or its instance (-i) or run directory (-r) differs: %s: %s", path,
			 strerror(err));
		break;
	case EACCES:
	case EPERM:
		snprintf(error, BERTH_CLI_ERROR_BYTES,
			 "no permission for %s: you are not in the group of the socket; use sudo, or join a group "
			 "that `access` of the configuration names",
			 path);
		break;
	case EAGAIN:
		snprintf(error, BERTH_CLI_ERROR_BYTES, "%s: berthd does not accept connections; see its log", path);
		break;
	default:
		snprintf(error, BERTH_CLI_ERROR_BYTES, "cannot connect to %s: %s", path, strerror(err));
	}
	return BERTH_CLI_UNREACHABLE;
}

enum berth_cli_status berth_cli_connect(struct berth_connection *connection, const char *path,
					unsigned int timeout_s, char error[BERTH_CLI_ERROR_BYTES])
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t bytes = strlen(path) + 1;
	if (bytes > sizeof(address.sun_path))
		return cannot_connect(path, ENAMETOOLONG, error);
	memcpy(address.sun_path, path, bytes);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return cannot_connect(path, errno, error);
	const struct timeval timeout = {.tv_sec = timeout_s};
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) != 0 ||
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
		int err = errno;
		close(fd);
		return cannot_connect(path, err, error);
	}
	*connection = (struct berth_connection){.fd = fd, .timeout_s = timeout_s};
	memcpy(connection->path, path, bytes);
	return BERTH_CLI_OK;
}

enum berth_cli_status berth_cli_open(const struct berth_cli_options *options, struct berth_connection *connection,
				     char error[BERTH_CLI_ERROR_BYTES])
{
	char path[BERTH_WIRE_PATH_BYTES];
	int n;
	if (options->socket)
		n = snprintf(path, sizeof(path), "%s", options->socket) >= BERTH_WIRE_PATH_BYTES;
	else
		n = berth_wire_path(path, options->run_dir ? options->run_dir : BERTH_RUN_DIR,
				    options->instance ? options->instance : BERTH_INSTANCE);
	if (n == 0)
		return berth_cli_connect(connection, path, options->timeout_s, error);
	snprintf(error, BERTH_CLI_ERROR_BYTES, "the path of the socket is too long; at most 107 bytes");
	return BERTH_CLI_USAGE;
}

static enum berth_cli_status no_answer(const struct berth_connection *connection, int err,
				       char error[BERTH_CLI_ERROR_BYTES])
{
	if (err == EAGAIN || err == EWOULDBLOCK)
		snprintf(error, BERTH_CLI_ERROR_BYTES, "%s: no answer from berthd for %u second%s; see its log",
			 connection->path, connection->timeout_s, BERTH_PLURAL(connection->timeout_s));
	else
		snprintf(error, BERTH_CLI_ERROR_BYTES,
			 "%s: berthd closed the connection without an answer; see its log", connection->path);
	return BERTH_CLI_UNREACHABLE;
}

/* 0 or -errno. Not an error: the peer has closed the connection. Its error may still be readable. */
static int send_all(int fd, const char *text, size_t length)
{
	while (length > 0) {
		ssize_t n = send(fd, text, length, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EPIPE || errno == ECONNRESET ? 0 : -errno;
		text += n;
		length -= (size_t)n;
	}
	return 0;
}

/* Reads up to and including a newline. The caller frees it. NULL with errno; 0: the peer closed the connection. */
static char *receive_line(int fd, size_t *length)
{
	size_t size = 0;
	char *line = NULL;
	int err = ENOMEM;
	for (*length = 0;;) {
		if (*length == size) {
			size = size ? 2 * size : 64 << 10;
			char *grown = realloc(line, size);
			if (!grown)
				break;
			line = grown;
		}
		ssize_t n = recv(fd, line + *length, size - *length, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			err = n < 0 ? errno : 0;
			break;
		}
		*length += (size_t)n;
		if (line[*length - 1] == '\n')
			return line;
	}
	free(line);
	errno = err;
	return NULL;
}

enum berth_cli_status berth_cli_request(const struct berth_connection *connection, const char *command,
					json_t *arguments, json_t **reply, char error[BERTH_CLI_ERROR_BYTES])
{
	json_t *request = json_pack("{s:s, s:O}", "command", command, "arguments", arguments);
	char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
	json_decref(request);
	int err = text ? send_all(connection->fd, text, strlen(text)) : -ENOMEM;
	if (err == 0)
		err = send_all(connection->fd, "\n", 1);
	free(text);
	size_t length = 0;
	char *line = err == 0 ? receive_line(connection->fd, &length) : NULL;
	if (!line)
		return no_answer(connection, err ? -err : errno, error);
	*reply = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
	free(line);
	if (json_is_object(*reply))
		return BERTH_CLI_OK;
	json_decref(*reply);
	*reply = NULL;
	snprintf(error, BERTH_CLI_ERROR_BYTES, "%s: malformed reply; the process that listens there is not berthd",
		 connection->path);
	return BERTH_CLI_UNREACHABLE;
}

enum berth_cli_status berth_cli_request_list(const struct berth_connection *connection, const char *command,
					     json_t *arguments, const char *key, json_t **reply,
					     char error[BERTH_CLI_ERROR_BYTES])
{
	enum berth_cli_status status = berth_cli_request(connection, command, arguments, reply, error);
	if (status || !json_is_true(json_object_get(*reply, "ok")) ||
	    json_is_array(json_object_get(json_object_get(*reply, "result"), key)))
		return status;
	json_decref(*reply);
	*reply = NULL;
	snprintf(error, BERTH_CLI_ERROR_BYTES, BERTH_CLI_MALFORMED);
	return BERTH_CLI_FAILURE;
}

void berth_cli_wait_closed(const struct berth_connection *connection)
{
	char byte;
	while (recv(connection->fd, &byte, 1, 0) > 0)
		;
}

void berth_cli_disconnect(struct berth_connection *connection)
{
	close(connection->fd);
	connection->fd = -1;
}
