// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/server/listen.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "controlplane/server/format.h"

static int fail(int err, char error[BERTH_ERROR_BYTES], const char *what, const char *path)
{
	snprintf(error, BERTH_ERROR_BYTES, "cannot %s %s: %s", what, path, strerror(err));
	return -err;
}

/* Whether a process listens there. EAGAIN: it listens, and its backlog is full. */
static bool has_listener(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return true; /* unknown: do not remove the socket */
	bool connected = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN;
	close(fd);
	return connected;
}

/* Removes the socket of a dead process, and no other file. */
static int remove_stale(const struct sockaddr_un *address, char error[BERTH_ERROR_BYTES])
{
	const char *path = address->sun_path;
	struct stat st;
	if (lstat(path, &st) != 0)
		return errno == ENOENT ? 0 : fail(errno, error, "read the type of", path);
	if (!S_ISSOCK(st.st_mode)) {
		snprintf(error, BERTH_ERROR_BYTES, "%s exists and is not a socket; remove it", path);
		return -EEXIST;
	}
	if (has_listener(address)) {
		snprintf(error, BERTH_ERROR_BYTES, "another process listens on %s; stop it", path);
		return -EADDRINUSE;
	}
	return unlink(path) == 0 ? 0 : fail(errno, error, "remove", path);
}

/* No client can connect before listen(), so chmod() after bind() leaves no window, whatever the umask. */
static int bind_socket(const struct sockaddr_un *address, char error[BERTH_ERROR_BYTES])
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail(errno, error, "create a socket for", address->sun_path);
	int rc;
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) != 0) {
		rc = fail(errno, error, "bind", address->sun_path);
		goto out_close;
	}
	if (chmod(address->sun_path, 0660) != 0) {
		rc = fail(errno, error, "set the mode of", address->sun_path);
		goto out_unlink;
	}
	return fd;

out_unlink:
	unlink(address->sun_path);
out_close:
	close(fd);
	return rc;
}

int berth_listen(const char *path, char error[BERTH_ERROR_BYTES])
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t bytes = strlen(path) + 1;
	if (bytes > sizeof(address.sun_path)) {
		snprintf(error, BERTH_ERROR_BYTES, "%s: the path of a socket has at most %zu bytes", path,
			 sizeof(address.sun_path) - 1);
		return -ENAMETOOLONG;
	}
	memcpy(address.sun_path, path, bytes);
	int rc = remove_stale(&address, error);
	return rc ? rc : bind_socket(&address, error);
}

void berth_listen_refuse(int fd, enum berth_code code, const char *reason)
{
	char error[BERTH_ERROR_BYTES];
	snprintf(error, sizeof(error), "%s", reason);
	char *line = berth_server_format_answer(code, NULL, error);
	struct iovec parts[] = {{line, line ? strlen(line) : 0}, {(char[]){'\n'}, 1}};
	const struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
	/* The empty buffer of a new socket has room for a line. If not, the client sees the connection close. */
	(void)!sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	free(line);
	close(fd);
}
