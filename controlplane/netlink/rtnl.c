/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/netlink/rtnl.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "controlplane/netlink/rtnl_message.h"

enum {
	ANSWER_BYTES = 32 << 10, /* the kernel's own largest datagram */
	NEWS_BYTES = 8 << 20,	 /* a routing daemon may load a full table at once */
	NEWS_AT_ONCE = 64,	 /* datagrams before the event loop has another turn */
};

static const int GROUPS[] = {
	RTNLGRP_LINK,	     RTNLGRP_NEIGH,	RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_IFADDR,
	RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE,  RTNLGRP_NEXTHOP,
};

int berth_rtnl_open_socket(struct mnl_socket **out, int flags)
{
	/* An answer that the kernel has no memory for must not hang us. */
	const struct timeval patience = {.tv_sec = 1};
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | flags);

	if (socket == NULL)
		return -errno;
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0) {
		int err = -errno;
		mnl_socket_close(socket);
		return err;
	}
	*out = socket;
	return 0;
}

static int subscribe(struct mnl_socket *socket)
{
	int bytes = NEWS_BYTES, fd = mnl_socket_get_fd(socket);

	/* FORCE goes beyond net.core.rmem_max, with CAP_NET_ADMIN. Less is no error, only more often ENOBUFS. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(GROUPS) / sizeof(GROUPS[0]); i++) {
		int group = GROUPS[i];
		if (mnl_socket_setsockopt(socket, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
			return -errno;
	}
	return 0;
}

int berth_rtnl_open(struct berth_rtnl *rtnl)
{
	int err;

	*rtnl = (struct berth_rtnl){0};
	err = berth_rtnl_open_socket(&rtnl->questions, 0);
	if (err == 0)
		err = berth_rtnl_open_socket(&rtnl->news, SOCK_NONBLOCK);
	if (err == 0)
		err = subscribe(rtnl->news);
	if (err < 0)
		berth_rtnl_close(rtnl);
	return err;
}

void berth_rtnl_close(struct berth_rtnl *rtnl)
{
	if (rtnl->questions != NULL)
		mnl_socket_close(rtnl->questions);
	if (rtnl->news != NULL)
		mnl_socket_close(rtnl->news);
	*rtnl = (struct berth_rtnl){0};
}

int berth_rtnl_ask(struct berth_rtnl *rtnl, struct nlmsghdr *question, mnl_cb_t fn, void *arg)
{
	char answer[ANSWER_BYTES] BERTH_RTNL_ALIGNED;
	unsigned int port = mnl_socket_get_portid(rtnl->questions);
	int more;

	question->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	question->nlmsg_seq = ++rtnl->sequence;
	if (mnl_socket_sendto(rtnl->questions, question, question->nlmsg_len) < 0)
		return -errno;
	do {
		ssize_t length = mnl_socket_recvfrom(rtnl->questions, answer, sizeof(answer));
		if (length < 0)
			return -errno;
		more = mnl_cb_run(answer, (size_t)length, question->nlmsg_seq, port, fn, arg);
	} while (more > 0 || (more < 0 && errno == EPROTO)); /* EPROTO: the late answer to an earlier question */
	return more < 0 ? -errno : 0;
}

/* On a socket of its own: closing it ends what is cut short. */
int berth_rtnl_dump(uint16_t type, const void *header, size_t bytes, mnl_cb_t fn, void *arg)
{
	static const unsigned char FAMILIES[] = {AF_INET, AF_INET6};
	struct berth_rtnl rtnl = {0};
	int on = 1, err = berth_rtnl_open_socket(&rtnl.questions, 0);

	if (err < 0)
		return err;
	/* So that the kernel heeds the whole header, and does not hand out more than is wanted (Linux 4.20). */
	mnl_socket_setsockopt(rtnl.questions, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	for (size_t i = 0; err == 0 && i < sizeof(FAMILIES); i++) {
		char buffer[BERTH_RTNL_QUESTION_BYTES] BERTH_RTNL_ALIGNED;
		struct nlmsghdr *question = mnl_nlmsg_put_header(buffer);
		unsigned char *family = memcpy(mnl_nlmsg_put_extra_header(question, bytes), header, bytes);
		*family = FAMILIES[i];
		question->nlmsg_type = type;
		question->nlmsg_flags = NLM_F_DUMP;
		err = berth_rtnl_ask(&rtnl, question, fn, arg);
		if (err == -ENOENT) /* a table into which nothing was put yet */
			err = 0;
	}
	mnl_socket_close(rtnl.questions);
	return err;
}

void berth_rtnl_put_address(struct nlmsghdr *message, uint16_t type, const union berth_addr *address)
{
	if (berth_addr_is4(address))
		mnl_attr_put(message, type, sizeof(address->word[3]), &address->word[3]);
	else
		mnl_attr_put(message, type, sizeof(*address), address);
}

bool berth_rtnl_copy_address(const void *bytes, size_t length, union berth_addr *address)
{
	struct berth_be32 v4;

	if (length == sizeof(v4)) {
		memcpy(&v4, bytes, sizeof(v4));
		berth_addr_set4(address, v4);
		return true;
	}
	if (length == sizeof(*address))
		memcpy(address, bytes, sizeof(*address));
	return length == sizeof(*address);
}

bool berth_rtnl_get_address(const struct nlattr *attr, union berth_addr *address)
{
	return berth_rtnl_copy_address(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr), address);
}

static bool get_mac(const struct nlattr *attr, uint8_t mac[6])
{
	if (mnl_attr_get_payload_len(attr) != 6)
		return false;
	memcpy(mac, mnl_attr_get_payload(attr), 6);
	return true;
}

uint32_t berth_rtnl_get_word(const struct nlattr *attr)
{
	return mnl_attr_get_payload_len(attr) == sizeof(uint32_t) ? mnl_attr_get_u32(attr) : 0;
}

unsigned char berth_rtnl_family_of(const union berth_addr *address)
{
	return berth_addr_is4(address) ? AF_INET : AF_INET6;
}

static int on_link_attr(const struct nlattr *attr, void *arg)
{
	struct berth_rtnl_link *link = arg;

	if (mnl_attr_get_type(attr) == IFLA_MTU)
		link->mtu = berth_rtnl_get_word(attr);
	if (mnl_attr_get_type(attr) == IFLA_ADDRESS)
		link->ethernet = get_mac(attr, link->mac);
	return MNL_CB_OK;
}

static int on_link(const struct nlmsghdr *message, void *arg)
{
	struct berth_rtnl_link *link = arg;
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(message);

	if (message->nlmsg_type != RTM_NEWLINK)
		return MNL_CB_OK;
	mnl_attr_parse(message, sizeof(*info), on_link_attr, link);
	link->up = (info->ifi_flags & IFF_UP) && (info->ifi_flags & IFF_RUNNING);
	link->ethernet &= info->ifi_type == ARPHRD_ETHER;
	return MNL_CB_OK;
}

int berth_rtnl_link(struct berth_rtnl *rtnl, uint32_t ifindex, struct berth_rtnl_link *link)
{
	char buffer[BERTH_RTNL_QUESTION_BYTES] BERTH_RTNL_ALIGNED;
	struct nlmsghdr *question = mnl_nlmsg_put_header(buffer);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(question, sizeof(*info));

	question->nlmsg_type = RTM_GETLINK;
	info->ifi_index = (int)ifindex;
	mnl_attr_put_u32(question, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	*link = (struct berth_rtnl_link){0};
	return berth_rtnl_ask(rtnl, question, on_link, link);
}

struct neighbour_parse {
	struct berth_rtnl_neighbour *neighbour;
	bool address;
	bool mac;
};

static int on_neighbour_attr(const struct nlattr *attr, void *arg)
{
	struct neighbour_parse *parse = arg;

	if (mnl_attr_get_type(attr) == NDA_DST)
		parse->address = berth_rtnl_get_address(attr, &parse->neighbour->address);
	if (mnl_attr_get_type(attr) == NDA_LLADDR)
		parse->mac = get_mac(attr, parse->neighbour->mac);
	return MNL_CB_OK;
}

bool berth_rtnl_parse_neighbour(const struct nlmsghdr *message, struct berth_rtnl_neighbour *neighbour)
{
	const struct ndmsg *info = mnl_nlmsg_get_payload(message);
	struct neighbour_parse parse = {.neighbour = neighbour};

	if (mnl_nlmsg_get_payload_len(message) < sizeof(*info) || (info->ndm_flags & NTF_PROXY) ||
	    (info->ndm_family != AF_INET && info->ndm_family != AF_INET6))
		return false;
	*neighbour = (struct berth_rtnl_neighbour){.ifindex = (uint32_t)info->ndm_ifindex};
	mnl_attr_parse(message, sizeof(*info), on_neighbour_attr, &parse);
	if (message->nlmsg_type == RTM_NEWNEIGH)
		neighbour->state = info->ndm_state;
	/* A state that promises a link address, without one that we could use. */
	if (!parse.mac && (neighbour->state & ~(NUD_INCOMPLETE | NUD_FAILED)))
		neighbour->state = NUD_FAILED;
	return parse.address;
}

static int on_neighbour(const struct nlmsghdr *message, void *arg)
{
	struct berth_rtnl_neighbour *wanted = arg, found;

	if (message->nlmsg_type == RTM_NEWNEIGH && berth_rtnl_parse_neighbour(message, &found))
		*wanted = found;
	return MNL_CB_OK;
}

static struct nlmsghdr *put_neighbour(char *buffer, const struct berth_rtnl_neighbour *neighbour)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct ndmsg *info = mnl_nlmsg_put_extra_header(message, sizeof(*info));

	info->ndm_family = berth_rtnl_family_of(&neighbour->address);
	info->ndm_ifindex = (int)neighbour->ifindex;
	berth_rtnl_put_address(message, NDA_DST, &neighbour->address);
	return message;
}

int berth_rtnl_neighbour(struct berth_rtnl *rtnl, struct berth_rtnl_neighbour *neighbour)
{
	char buffer[BERTH_RTNL_QUESTION_BYTES] BERTH_RTNL_ALIGNED;
	struct nlmsghdr *question = put_neighbour(buffer, neighbour);

	/* One entry by its address: Linux 5.0. */
	question->nlmsg_type = RTM_GETNEIGH;
	neighbour->state = NUD_NONE;
	int err = berth_rtnl_ask(rtnl, question, on_neighbour, neighbour);
	return err == -ENOENT ? 0 : err;
}

int berth_rtnl_use_neighbour(struct berth_rtnl *rtnl, const struct berth_rtnl_neighbour *neighbour)
{
	char buffer[BERTH_RTNL_QUESTION_BYTES] BERTH_RTNL_ALIGNED;
	struct nlmsghdr *question = put_neighbour(buffer, neighbour);
	struct ndmsg *info = mnl_nlmsg_get_payload(question);

	/* As if a packet had been sent to it: a missing or failed entry is asked for at once, a stale one is
	 * probed after delay_first_probe_time. Never for NUD_PERMANENT: from Linux 5.16 on that would end it. */
	question->nlmsg_type = RTM_NEWNEIGH;
	question->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
	info->ndm_state = NUD_NONE;
	info->ndm_flags = NTF_USE;
	return berth_rtnl_ask(rtnl, question, NULL, NULL);
}

struct reader {
	berth_rtnl_fn *fn;
	void *arg;
};

static int on_news(const struct nlmsghdr *message, void *arg)
{
	const struct reader *reader = arg;

	reader->fn(reader->arg, message);
	return MNL_CB_OK;
}

int berth_rtnl_read(struct berth_rtnl *rtnl, berth_rtnl_fn *fn, void *arg)
{
	char buffer[ANSWER_BYTES] BERTH_RTNL_ALIGNED;
	struct reader reader = {fn, arg};

	for (int i = 0; i < NEWS_AT_ONCE; i++) {
		ssize_t length = mnl_socket_recvfrom(rtnl->news, buffer, sizeof(buffer));
		if (length < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -ENOBUFS;
		if (mnl_cb_run(buffer, (size_t)length, 0, 0, on_news, &reader) < 0)
			return -ENOBUFS;
	}
	return 0;
}
