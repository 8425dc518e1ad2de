// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define IN_USE "another berthd has %s; stop it, or give this one another name with -i"

static int fail(int err, char error[BERTH_ERROR_BYTES], const char *what, const char *path)
{
	snprintf(error, BERTH_ERROR_BYTES, "cannot %s %s: %s", what, path, strerror(err));
	return -err;
}

/* The lock makes "is the one that has it alive?" a question without a race: the kernel drops it at death. The
 * file stays, for removing it would let two processes lock two files of one name. */
static int take_lock(const char *path, char error[BERTH_ERROR_BYTES])
{
	char name[BERTH_WIRE_PATH_BYTES + sizeof(".lock")];
	snprintf(name, sizeof(name), "%s.lock", path);
	int lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock < 0)
		return fail(errno, error, "open", name);
	if (flock(lock, LOCK_EX | LOCK_NB) == 0)
		return lock;
	int err = errno;
	close(lock);
	if (err != EWOULDBLOCK)
		return fail(err, error, "lock", name);
	snprintf(error, BERTH_ERROR_BYTES, IN_USE, path);
	return -EADDRINUSE;
}

/* Whether somebody who holds no lock listens there all the same. A full backlog (EAGAIN) is a listener too. */
static bool is_answered(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	bool answered = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN;
	close(fd);
	return answered;
}

/* Removes the socket of a dead process; never anything else. */
static int remove_stale(const struct sockaddr_un *address, char error[BERTH_ERROR_BYTES])
{
	const char *path = address->sun_path;
	struct stat st;
	if (lstat(path, &st) != 0)
		return errno == ENOENT ? 0 : fail(errno, error, "look at", path);
	if (!S_ISSOCK(st.st_mode)) {
		snprintf(error, BERTH_ERROR_BYTES, "%s is there and is no socket; remove it", path);
		return -EEXIST;
	}
	if (is_answered(address)) {
		snprintf(error, BERTH_ERROR_BYTES, IN_USE, path);
		return -EADDRINUSE;
	}
	return unlink(path) == 0 ? 0 : fail(errno, error, "remove", path);
}

/* Nobody can connect before listen(), so the mode is right before it matters, whatever the umask is. */
static int bind_socket(const struct sockaddr_un *address, char error[BERTH_ERROR_BYTES])
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail(errno, error, "make a socket for", address->sun_path);
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

int berth_listen_open(struct berth_listen *listen, const char *path, char error[BERTH_ERROR_BYTES])
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t bytes = strlen(path) + 1;
	if (bytes > sizeof(address.sun_path)) {
		snprintf(error, BERTH_ERROR_BYTES, "%s: a socket's path has at most %zu bytes", path,
			 sizeof(address.sun_path) - 1);
		return -ENAMETOOLONG;
	}
	memcpy(address.sun_path, path, bytes);
	memcpy(listen->path, path, bytes);

	listen->lock = take_lock(path, error);
	if (listen->lock < 0)
		return listen->lock;
	int rc = remove_stale(&address, error);
	if (rc == 0)
		rc = listen->fd = bind_socket(&address, error);
	if (rc < 0)
		close(listen->lock);
	return rc < 0 ? rc : 0;
}

void berth_listen_close(struct berth_listen *listen)
{
	unlink(listen->path);
	if (listen->fd >= 0)
		close(listen->fd);
	close(listen->lock);
}
