// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/dns/scoped_socket.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static uint32_t scope_of(const struct berth_dns_scopes *scopes, const struct in6_addr *address)
{
	for (size_t i = 0; i < scopes->n; i++)
		if (scopes->servers[i].ifindex &&
		    memcmp(&scopes->servers[i].address, address, sizeof(*address)) == 0)
			return scopes->servers[i].ifindex;
	return 0;
}

static ares_socket_t open_socket(int family, int type, int protocol, void *arg)
{
	(void)arg;
	return socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
}

static int close_socket(ares_socket_t fd, void *arg)
{
	(void)arg;
	return close(fd);
}

static int connect_socket(ares_socket_t fd, const struct sockaddr *address, ares_socklen_t length, void *arg)
{
	struct sockaddr_in6 scoped;
	if (address->sa_family != AF_INET6)
		return connect(fd, address, length);
	memcpy(&scoped, address, sizeof(scoped));
	scoped.sin6_scope_id = scope_of(arg, &scoped.sin6_addr);
	return connect(fd, (const struct sockaddr *)&scoped, sizeof(scoped));
}

static ares_ssize_t receive(ares_socket_t fd, void *data, size_t bytes, int flags, struct sockaddr *from,
			    ares_socklen_t *length, void *arg)
{
	(void)arg;
	return recvfrom(fd, data, bytes, flags, from, length);
}

static ares_ssize_t send_all(ares_socket_t fd, const struct iovec *data, int n, void *arg)
{
	(void)arg;
	const struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)data, .msg_iovlen = (size_t)n};
	return sendmsg(fd, &message, MSG_NOSIGNAL);
}

void berth_dns_scopes_use(struct berth_dns_scopes *scopes, ares_channel channel,
			  const struct berth_dns_config *config)
{
	static const struct ares_socket_functions functions = {
		.asocket = open_socket,
		.aclose = close_socket,
		.aconnect = connect_socket,
		.arecvfrom = receive,
		.asendv = send_all,
	};
	bool has_scopes = false;
	for (size_t i = 0; i < config->n_servers; i++)
		has_scopes |= config->servers[i].ifindex != 0;
	memcpy(scopes->servers, config->servers, sizeof(scopes->servers));
	scopes->n = config->n_servers;
	if (has_scopes)
		ares_set_socket_functions(channel, &functions, scopes);
}
