// SPDX-License-Identifier: BSD-3-Clause
/* Links and neighbours. */
#include "controlplane/netlink/rtnl.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "controlplane/netlink/rtnl_attr.h"

static int on_link_attr(const struct nlattr *attr, void *arg)
{
	struct berth_rtnl_link *link = arg;

	if (mnl_attr_get_type(attr) == IFLA_MTU)
		link->mtu = berth_rtnl_get_word(attr);
	if (mnl_attr_get_type(attr) == IFLA_ADDRESS)
		link->is_ethernet = berth_rtnl_get_mac(attr, link->mac);
	return MNL_CB_OK;
}

static int on_link(const struct nlmsghdr *message, void *arg)
{
	struct berth_rtnl_link *link = arg;
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(message);

	if (message->nlmsg_type != RTM_NEWLINK)
		return MNL_CB_OK;
	mnl_attr_parse(message, sizeof(*info), on_link_attr, link);
	link->is_up = (info->ifi_flags & IFF_UP) && (info->ifi_flags & IFF_RUNNING);
	link->is_ethernet &= info->ifi_type == ARPHRD_ETHER;
	return MNL_CB_OK;
}

int berth_rtnl_link(struct berth_rtnl *rtnl, uint32_t ifindex, struct berth_rtnl_link *link)
{
	char buffer[BERTH_RTNL_REQUEST_BYTES] BERTH_RTNL_ALIGNED;
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(request, sizeof(*info));

	request->nlmsg_type = RTM_GETLINK;
	info->ifi_index = (int)ifindex;
	mnl_attr_put_u32(request, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	*link = (struct berth_rtnl_link){0};
	return berth_rtnl_request(rtnl, request, on_link, link);
}

static int on_losses_attr(const struct nlattr *attr, void *arg)
{
	struct berth_rtnl_losses *losses = arg;
	struct rtnl_link_stats64 stats;

	if (mnl_attr_get_type(attr) != IFLA_STATS64 || mnl_attr_get_payload_len(attr) < sizeof(stats))
		return MNL_CB_OK;
	memcpy(&stats, mnl_attr_get_payload(attr), sizeof(stats));
	*losses = (struct berth_rtnl_losses){
		.rx_errors = stats.rx_errors,
		.tx_errors = stats.tx_errors,
		.rx_missed = stats.rx_missed_errors,
		.rx_dropped = stats.rx_dropped,
		.tx_dropped = stats.tx_dropped,
	};
	return MNL_CB_OK;
}

static int on_losses(const struct nlmsghdr *message, void *arg)
{
	if (message->nlmsg_type == RTM_NEWLINK)
		mnl_attr_parse(message, sizeof(struct ifinfomsg), on_losses_attr, arg);
	return MNL_CB_OK;
}

int berth_rtnl_link_losses(struct berth_rtnl *rtnl, uint32_t ifindex, struct berth_rtnl_losses *losses)
{
	char buffer[BERTH_RTNL_REQUEST_BYTES] BERTH_RTNL_ALIGNED;
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(request, sizeof(*info));

	request->nlmsg_type = RTM_GETLINK;
	info->ifi_index = (int)ifindex;
	*losses = (struct berth_rtnl_losses){0};
	return berth_rtnl_request(rtnl, request, on_losses, losses);
}

struct neighbour_parse {
	struct berth_rtnl_neighbour *neighbour;
	bool has_address;
	bool has_mac;
};

static int on_neighbour_attr(const struct nlattr *attr, void *arg)
{
	struct neighbour_parse *parse = arg;

	if (mnl_attr_get_type(attr) == NDA_DST)
		parse->has_address = berth_rtnl_get_address(attr, &parse->neighbour->address);
	if (mnl_attr_get_type(attr) == NDA_LLADDR)
		parse->has_mac = berth_rtnl_get_mac(attr, parse->neighbour->mac);
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
	/* The state says that the MAC address is known, but there is none of six bytes. */
	if (!parse.has_mac && (neighbour->state & ~(NUD_INCOMPLETE | NUD_FAILED)))
		neighbour->state = NUD_FAILED;
	return parse.has_address;
}

static int on_neighbour(const struct nlmsghdr *message, void *arg)
{
	struct berth_rtnl_neighbour *out = arg, found;

	if (message->nlmsg_type == RTM_NEWNEIGH && berth_rtnl_parse_neighbour(message, &found))
		*out = found;
	return MNL_CB_OK;
}

static struct nlmsghdr *put_neighbour(char *buffer, const struct berth_rtnl_neighbour *neighbour)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct ndmsg *info = mnl_nlmsg_put_extra_header(message, sizeof(*info));

	info->ndm_family = berth_rtnl_family(&neighbour->address);
	info->ndm_ifindex = (int)neighbour->ifindex;
	berth_rtnl_put_address(message, NDA_DST, &neighbour->address);
	return message;
}

int berth_rtnl_neighbour(struct berth_rtnl *rtnl, struct berth_rtnl_neighbour *neighbour)
{
	char buffer[BERTH_RTNL_REQUEST_BYTES] BERTH_RTNL_ALIGNED;
	struct nlmsghdr *request = put_neighbour(buffer, neighbour);

	/* A request for one entry by its address: Linux 5.0. */
	request->nlmsg_type = RTM_GETNEIGH;
	neighbour->state = NUD_NONE;
	int err = berth_rtnl_request(rtnl, request, on_neighbour, neighbour);
	return err == -ENOENT ? 0 : err;
}

int berth_rtnl_use_neighbour(struct berth_rtnl *rtnl, const struct berth_rtnl_neighbour *neighbour)
{
	char buffer[BERTH_RTNL_REQUEST_BYTES] BERTH_RTNL_ALIGNED;
	struct nlmsghdr *request = put_neighbour(buffer, neighbour);
	struct ndmsg *info = mnl_nlmsg_get_payload(request);

	/* NTF_USE acts as a packet sent to the neighbour: the kernel resolves a missing or failed entry at once,
	 * and probes a stale one after delay_first_probe_time. Never for NUD_PERMANENT: since Linux 5.16 the entry
	 * would lose that state. */
	request->nlmsg_type = RTM_NEWNEIGH;
	request->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
	info->ndm_state = NUD_NONE;
	info->ndm_flags = NTF_USE;
	return berth_rtnl_request(rtnl, request, NULL, NULL);
}
