// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/util/service_manager.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

bool berth_service_manager_exists(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	return path && *path;
}

int berth_service_manager_tell(const char *lines)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *path = getenv("NOTIFY_SOCKET");
	const size_t length = path ? strlen(path) : 0;
	if (!length || length >= sizeof(address.sun_path))
		return -ENOENT;
	memcpy(address.sun_path, path, length);
	/* A name in the abstract namespace. */
	if (*path == '@')
		address.sun_path[0] = '\0';
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	const socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	const ssize_t sent = sendto(fd, lines, strlen(lines), MSG_NOSIGNAL, (const struct sockaddr *)&address,
				    size);
	const int err = sent < 0 ? -errno : 0;
	close(fd);
	return err;
}

void berth_service_manager_feed_watchdog(void)
{
	if (berth_service_manager_exists())
		berth_service_manager_tell("WATCHDOG=1\n");
}
