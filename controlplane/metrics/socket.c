// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/metrics/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/util/address.h"

void berth_metrics_share_port(int sharing, int fd, bool share)
{
	const int on = share;
	if (sharing < 0)
		return;
	setsockopt(sharing, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
}

int berth_metrics_bind(const struct berth_metrics_config *config, int sharing)
{
	struct sockaddr_storage address;
	socklen_t length = berth_address_to_socket(&config->address, config->port, &address);
	int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* Connections of an earlier berthd in TIME_WAIT do not block the port. "::" accepts IPv6 only, on every
	 * host. */
	const int on = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (address.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	berth_metrics_share_port(sharing, fd, true);
	if (bind(fd, (struct sockaddr *)&address, length) == 0)
		return fd;
	int err = -errno;
	berth_metrics_share_port(sharing, fd, false);
	close(fd);
	return err;
}

void berth_metrics_explain(const struct berth_metrics_config *config, int err, const char *remedy,
			   char error[BERTH_ERROR_BYTES])
{
	char text[BERTH_ADDRESS_TEXT];
	bool is4 = berth_addr_is4(&config->address);
	snprintf(error, BERTH_ERROR_BYTES, "metrics: cannot listen on %s%s%s:%u: %s; %s", is4 ? "" : "[",
		 berth_address_format(&config->address, text), is4 ? "" : "]", config->port, strerror(-err),
		 remedy);
}
