// SPDX-License-Identifier: BSD-3-Clause
/* All links of this namespace, and how they are stacked. */
#include "controlplane/netlink/rtnl.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/netlink/rtnl_attr.h"

struct device_parse {
	struct berth_rtnl_device device;
	const char *kind;
	bool has_mac;
	bool is_lower_elsewhere; /* in another namespace: the number means nothing here */
};

static bool is_one_of(const char *kind, const char *const *kinds)
{
	for (; *kinds != NULL; kinds++)
		if (strcmp(kind, *kinds) == 0)
			return true;
	return false;
}

static int on_info_attr(const struct nlattr *attr, void *arg)
{
	struct device_parse *parse = arg;

	if (mnl_attr_get_type(attr) == IFLA_INFO_KIND && mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0)
		parse->kind = mnl_attr_get_str(attr);
	return MNL_CB_OK;
}

static int on_device_attr(const struct nlattr *attr, void *arg)
{
	struct device_parse *parse = arg;

	switch (mnl_attr_get_type(attr)) {
	case IFLA_ADDRESS:
		parse->has_mac = berth_rtnl_get_mac(attr, parse->device.mac);
		break;
	case IFLA_LINK:
		parse->device.lower = berth_rtnl_get_word(attr);
		break;
	case IFLA_LINK_NETNSID:
		parse->is_lower_elsewhere = true;
		break;
	case IFLA_MASTER:
		parse->device.master = berth_rtnl_get_word(attr);
		break;
	case IFLA_LINKINFO:
		mnl_attr_parse_nested(attr, on_info_attr, parse);
		break;
	}
	return MNL_CB_OK;
}

static int append(struct berth_rtnl_devices *devices, const struct berth_rtnl_device *device)
{
	if (devices->n == devices->max) {
		size_t max = devices->max ? devices->max * 2 : 64;
		struct berth_rtnl_device *at = realloc(devices->at, max * sizeof(*at));
		if (at == NULL) {
			errno = ENOMEM;
			return MNL_CB_ERROR;
		}
		devices->at = at;
		devices->max = max;
	}
	devices->at[devices->n++] = *device;
	return MNL_CB_OK;
}

static int on_device(const struct nlmsghdr *message, void *arg)
{
	static const char *const UPPERS[] = {"vlan", "macvlan", NULL};
	static const char *const MASTERS[] = {"bridge", "bond", "team", NULL};
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(message);
	struct device_parse parse = {.kind = ""};

	if (message->nlmsg_type != RTM_NEWLINK)
		return MNL_CB_OK;
	mnl_attr_parse(message, sizeof(*info), on_device_attr, &parse);
	if (!parse.has_mac)
		return MNL_CB_OK;
	parse.device.ifindex = (uint32_t)info->ifi_index;
	parse.device.is_up = info->ifi_flags & IFF_UP;
	parse.device.is_upper = is_one_of(parse.kind, UPPERS) && !parse.is_lower_elsewhere;
	parse.device.is_master = is_one_of(parse.kind, MASTERS);
	return append(arg, &parse.device);
}

int berth_rtnl_devices(struct berth_rtnl_devices *devices)
{
	*devices = (struct berth_rtnl_devices){0};
	return berth_rtnl_dump_links(on_device, devices);
}
