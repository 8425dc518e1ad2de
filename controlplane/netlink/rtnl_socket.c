// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/netlink/rtnl_socket.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

enum {
	REPLY_BYTES = 32 << 10,	      /* the kernel's largest datagram */
	NOTIFICATION_BYTES = 8 << 20, /* a routing daemon may load a full table at once */
	MAX_DATAGRAMS = 64,	      /* before the event loop has another turn */
};

static const int GROUPS[] = {
	RTNLGRP_LINK,	     RTNLGRP_NEIGH,	RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_IFADDR,
	RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE,  RTNLGRP_NEXTHOP,
};

static int open_socket(struct mnl_socket **out, int flags)
{
	/* Without memory for a reply the kernel sends none: then the receive must end. */
	const struct timeval timeout = {.tv_sec = 1};
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | flags);

	if (socket == NULL)
		return -errno;
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0) {
		int err = -errno;
		mnl_socket_close(socket);
		return err;
	}
	*out = socket;
	return 0;
}

static int subscribe(struct mnl_socket *socket, const int *groups, size_t n)
{
	int bytes = NOTIFICATION_BYTES, fd = mnl_socket_get_fd(socket);

	/* FORCE exceeds net.core.rmem_max, with CAP_NET_ADMIN. A smaller buffer only means more -ENOBUFS. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	for (size_t i = 0; i < n; i++) {
		int group = groups[i];
		if (mnl_socket_setsockopt(socket, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
			return -errno;
	}
	return 0;
}

int berth_rtnl_open_requests(struct berth_rtnl *rtnl)
{
	*rtnl = (struct berth_rtnl){0};
	return open_socket(&rtnl->requests, 0);
}

static int open_all(struct berth_rtnl *rtnl, const int *groups, size_t n)
{
	int err = berth_rtnl_open_requests(rtnl);

	if (err == 0)
		err = open_socket(&rtnl->notifications, SOCK_NONBLOCK);
	if (err == 0)
		err = subscribe(rtnl->notifications, groups, n);
	if (err < 0)
		berth_rtnl_close(rtnl);
	return err;
}

int berth_rtnl_open(struct berth_rtnl *rtnl)
{
	return open_all(rtnl, GROUPS, sizeof(GROUPS) / sizeof(GROUPS[0]));
}

int berth_rtnl_open_routes(struct berth_rtnl *rtnl)
{
	static const int ROUTES[] = {RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE};
	return open_all(rtnl, ROUTES, sizeof(ROUTES) / sizeof(ROUTES[0]));
}

void berth_rtnl_close(struct berth_rtnl *rtnl)
{
	if (rtnl->requests != NULL)
		mnl_socket_close(rtnl->requests);
	if (rtnl->notifications != NULL)
		mnl_socket_close(rtnl->notifications);
	*rtnl = (struct berth_rtnl){0};
}

int berth_rtnl_request(struct berth_rtnl *rtnl, struct nlmsghdr *request, mnl_cb_t fn, void *arg)
{
	char reply[REPLY_BYTES] BERTH_RTNL_ALIGNED;
	unsigned int port = mnl_socket_get_portid(rtnl->requests);
	int more;

	request->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	request->nlmsg_seq = ++rtnl->sequence;
	if (mnl_socket_sendto(rtnl->requests, request, request->nlmsg_len) < 0)
		return -errno;
	do {
		ssize_t length = mnl_socket_recvfrom(rtnl->requests, reply, sizeof(reply));
		if (length < 0)
			return -errno;
		more = mnl_cb_run(reply, (size_t)length, request->nlmsg_seq, port, fn, arg);
	} while (more > 0 || (more < 0 && errno == EPROTO)); /* EPROTO: the late reply to an earlier request */
	return more < 0 ? -errno : 0;
}

/* A table to request. */
struct table {
	const void *header;
	size_t bytes;
	uint16_t type;
};

/* On a socket of its own: closing it discards the rest of a dump that ended early. */
static int dump(const struct table *table, const unsigned char *families, size_t n, mnl_cb_t fn, void *arg)
{
	struct berth_rtnl rtnl = {0};
	int on = 1, err = open_socket(&rtnl.requests, 0);

	if (err < 0)
		return err;
	/* Makes the kernel filter by the whole header (Linux 4.20). */
	mnl_socket_setsockopt(rtnl.requests, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	for (size_t i = 0; err == 0 && i < n; i++) {
		char buffer[BERTH_RTNL_REQUEST_BYTES] BERTH_RTNL_ALIGNED;
		struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
		unsigned char *family = mnl_nlmsg_put_extra_header(request, table->bytes);
		memcpy(family, table->header, table->bytes);
		*family = families[i];
		request->nlmsg_type = table->type;
		request->nlmsg_flags = NLM_F_DUMP;
		err = berth_rtnl_request(&rtnl, request, fn, arg);
		if (err == -ENOENT) /* the table does not exist before its first entry */
			err = 0;
	}
	mnl_socket_close(rtnl.requests);
	return err;
}

int berth_rtnl_dump(uint16_t type, const void *header, size_t bytes, mnl_cb_t fn, void *arg)
{
	static const unsigned char FAMILIES[] = {AF_INET, AF_INET6};
	const struct table table = {header, bytes, type};

	return dump(&table, FAMILIES, sizeof(FAMILIES), fn, arg);
}

int berth_rtnl_dump_links(mnl_cb_t fn, void *arg)
{
	static const unsigned char NO_FAMILY = AF_UNSPEC;
	const struct ifinfomsg header = {0};
	const struct table table = {&header, sizeof(header), RTM_GETLINK};

	return dump(&table, &NO_FAMILY, 1, fn, arg);
}

struct receiver {
	berth_rtnl_fn *fn;
	void *arg;
};

static int on_notification(const struct nlmsghdr *message, void *arg)
{
	const struct receiver *receiver = arg;

	receiver->fn(receiver->arg, message);
	return MNL_CB_OK;
}

int berth_rtnl_receive(struct berth_rtnl *rtnl, berth_rtnl_fn *fn, void *arg)
{
	char buffer[REPLY_BYTES] BERTH_RTNL_ALIGNED;
	struct receiver receiver = {fn, arg};

	for (int i = 0; i < MAX_DATAGRAMS; i++) {
		ssize_t length = mnl_socket_recvfrom(rtnl->notifications, buffer, sizeof(buffer));
		if (length < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -ENOBUFS;
		if (mnl_cb_run(buffer, (size_t)length, 0, 0, on_notification, &receiver) < 0)
			return -ENOBUFS;
	}
	return 0;
}
