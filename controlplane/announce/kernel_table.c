// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/announce/kernel_table.h"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "controlplane/netlink/rtnl_attr.h"

struct route_parse {
	union berth_addr prefix;
	uint32_t table;
};

static int on_attr(const struct nlattr *attr, void *arg)
{
	struct route_parse *parse = arg;

	if (mnl_attr_get_type(attr) == RTA_TABLE)
		parse->table = berth_rtnl_get_word(attr);
	else if (mnl_attr_get_type(attr) == RTA_DST)
		berth_rtnl_get_address(attr, &parse->prefix);
	return MNL_CB_OK;
}

/* False: not one of berth's routes. */
static bool parse_route(const struct nlmsghdr *message, struct route_parse *parse)
{
	const struct rtmsg *info = mnl_nlmsg_get_payload(message);

	if (message->nlmsg_type != RTM_NEWROUTE && message->nlmsg_type != RTM_DELROUTE)
		return false;
	if (mnl_nlmsg_get_payload_len(message) < sizeof(*info) || info->rtm_protocol != BERTH_ROUTE_PROTOCOL)
		return false;
	*parse = (struct route_parse){.table = info->rtm_table};
	if (info->rtm_family == AF_INET) /* a default route has no RTA_DST */
		berth_addr_set4(&parse->prefix, (struct berth_be32){0});
	mnl_attr_parse(message, sizeof(*info), on_attr, parse);
	return true;
}

bool berth_kernel_table_is_own(const struct nlmsghdr *message, uint32_t table)
{
	struct route_parse parse;
	return parse_route(message, &parse) && parse.table == table;
}

struct table_reader {
	uint32_t table;
	berth_kernel_route_fn *fn;
	void *arg;
};

static int on_route(const struct nlmsghdr *message, void *arg)
{
	const struct table_reader *reader = arg;
	const struct rtmsg *info = mnl_nlmsg_get_payload(message);
	struct route_parse parse;

	if (parse_route(message, &parse) && parse.table == reader->table)
		reader->fn(reader->arg, &parse.prefix,
			   (uint8_t)(info->rtm_dst_len + (info->rtm_family == AF_INET ? 96 : 0)));
	return MNL_CB_OK;
}

int berth_kernel_table_read(uint32_t table, berth_kernel_route_fn *fn, void *arg)
{
	/* The kernel returns the routes of this table only (Linux 4.20). Numbers above 255 need the attribute. */
	const struct {
		struct rtmsg info;
		struct nlattr attr;
		uint32_t table;
	} header = {.attr = {.nla_len = sizeof(struct nlattr) + sizeof(uint32_t), .nla_type = RTA_TABLE},
		    .table = table};
	struct table_reader reader = {table, fn, arg};

	return berth_rtnl_dump(RTM_GETROUTE, &header, sizeof(header), on_route, &reader);
}

static int change(struct berth_rtnl *rtnl, uint16_t type, uint16_t flags, uint32_t table,
		  const union berth_addr *prefix, uint8_t bits)
{
	char buffer[BERTH_RTNL_REQUEST_BYTES] BERTH_RTNL_ALIGNED;
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct rtmsg *info = mnl_nlmsg_put_extra_header(request, sizeof(*info));

	request->nlmsg_type = type;
	request->nlmsg_flags = flags;
	info->rtm_family = berth_rtnl_family(prefix);
	info->rtm_dst_len = (unsigned char)(bits - (berth_addr_is4(prefix) ? 96 : 0));
	info->rtm_protocol = BERTH_ROUTE_PROTOCOL;
	info->rtm_type = RTN_UNREACHABLE;
	info->rtm_scope = RT_SCOPE_UNIVERSE;
	berth_rtnl_put_address(request, RTA_DST, prefix);
	mnl_attr_put_u32(request, RTA_TABLE, table);
	return berth_rtnl_request(rtnl, request, NULL, NULL);
}

int berth_kernel_table_add(struct berth_rtnl *rtnl, uint32_t table, const union berth_addr *prefix, uint8_t bits)
{
	return change(rtnl, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, table, prefix, bits);
}

int berth_kernel_table_remove(struct berth_rtnl *rtnl, uint32_t table, const union berth_addr *prefix, uint8_t bits)
{
	return change(rtnl, RTM_DELROUTE, 0, table, prefix, bits);
}
