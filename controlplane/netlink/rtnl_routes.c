// SPDX-License-Identifier: BSD-3-Clause
/* Routes: the kernel's lookup of one address, its main table, and its rules. */
#include "controlplane/netlink/rtnl.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "controlplane/netlink/rtnl_attr.h"

static int on_metric(const struct nlattr *attr, void *arg)
{
	struct berth_rtnl_route *route = arg;

	if (mnl_attr_get_type(attr) == RTAX_MTU)
		route->mtu = berth_rtnl_get_word(attr);
	return MNL_CB_OK;
}

static void read_gateway(struct berth_rtnl_route *route, const void *bytes, size_t length)
{
	route->has_gateway = berth_rtnl_copy_address(bytes, length, &route->next_hop);
	route->is_unicast &= route->has_gateway;
}

static int on_route_attr(const struct nlattr *attr, void *arg)
{
	struct berth_rtnl_route *route = arg;
	const struct rtvia *via = mnl_attr_get_payload(attr);
	size_t length = mnl_attr_get_payload_len(attr);

	switch (mnl_attr_get_type(attr)) {
	case RTA_OIF:
		route->ifindex = berth_rtnl_get_word(attr);
		break;
	case RTA_GATEWAY:
		read_gateway(route, via, length);
		break;
	case RTA_VIA: /* an IPv4 route through an IPv6 router (RFC 8950) */
		if (length > sizeof(*via))
			read_gateway(route, via->rtvia_addr, length - sizeof(*via));
		break;
	case RTA_PREFSRC:
		berth_rtnl_get_address(attr, &route->source);
		break;
	case RTA_METRICS:
		mnl_attr_parse_nested(attr, on_metric, route);
		break;
	case RTA_MULTIPATH:
	case RTA_ENCAP:
		route->is_unicast = false;
		break;
	}
	return MNL_CB_OK;
}

static int on_route(const struct nlmsghdr *message, void *arg)
{
	struct berth_rtnl_route *route = arg;
	const struct rtmsg *info = mnl_nlmsg_get_payload(message);

	if (message->nlmsg_type != RTM_NEWROUTE)
		return MNL_CB_OK;
	route->is_unicast = info->rtm_type == RTN_UNICAST;
	mnl_attr_parse(message, sizeof(*info), on_route_attr, route);
	return MNL_CB_OK;
}

int berth_rtnl_route(struct berth_rtnl *rtnl, const union berth_addr *address, struct berth_rtnl_route *route)
{
	char buffer[BERTH_RTNL_REQUEST_BYTES] BERTH_RTNL_ALIGNED;
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct rtmsg *info = mnl_nlmsg_put_extra_header(request, sizeof(*info));

	request->nlmsg_type = RTM_GETROUTE;
	info->rtm_family = berth_rtnl_family(address);
	info->rtm_dst_len = berth_addr_is4(address) ? 32 : 128;
	berth_rtnl_put_address(request, RTA_DST, address);
	*route = (struct berth_rtnl_route){.next_hop = *address};
	int err = berth_rtnl_request(rtnl, request, on_route, route);
	switch (err) {
	case -ENETUNREACH:
	case -EHOSTUNREACH:
	case -EINVAL: /* a blackhole route, or an address that cannot be a destination */
	case -EACCES: /* a prohibit route */
	case -EAGAIN: /* a throw route in the last table */
		return 0;
	default:
		return err;
	}
}

/* The main table. */

struct route_list {
	struct berth_rtnl_table_route *routes;
	size_t n, max;
};

struct table_route_parse {
	struct berth_rtnl_table_route *out;
	uint32_t table;
};

static int on_table_route_attr(const struct nlattr *attr, void *arg)
{
	struct table_route_parse *parse = arg;

	switch (mnl_attr_get_type(attr)) {
	case RTA_TABLE:
		parse->table = berth_rtnl_get_word(attr);
		return MNL_CB_OK;
	case RTA_DST:
		berth_rtnl_get_address(attr, &parse->out->address);
		return MNL_CB_OK;
	case RTA_PRIORITY:
		parse->out->metric = berth_rtnl_get_word(attr);
		return MNL_CB_OK;
	default:
		return on_route_attr(attr, &parse->out->route);
	}
}

/* False: the route is not in the main table. */
static bool parse_table_route(const struct nlmsghdr *message, struct berth_rtnl_table_route *out)
{
	const struct rtmsg *info = mnl_nlmsg_get_payload(message);
	struct table_route_parse parse = {.out = out, .table = info->rtm_table};
	bool is4 = info->rtm_family == AF_INET;
	bool is_partial = info->rtm_tos != 0 || info->rtm_src_len != 0;
	bool is_dead = info->rtm_flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN);

	memset(out, 0, sizeof(*out));
	if (is4) /* a default route has no RTA_DST */
		berth_addr_set4(&out->address, (struct berth_be32){0});
	out->bits = (uint8_t)(info->rtm_dst_len + (is4 ? 96 : 0));
	out->route.is_unicast = info->rtm_type == RTN_UNICAST && !is_partial && !is_dead;
	mnl_attr_parse(message, sizeof(*info), on_table_route_attr, &parse);
	/* A route for some packets only must win over routes for all packets, so that the kernel decides. */
	if (is_partial)
		out->metric = 0;
	/* No packet takes an IPv6 route within ::ffff:0:0/96, which stands for IPv4 in berth. */
	bool is_mapped = !is4 && info->rtm_dst_len >= 96 && berth_addr_is4(&out->address);
	return parse.table == RT_TABLE_MAIN && !(info->rtm_flags & RTM_F_CLONED) && !is_mapped;
}

static int on_table_route(const struct nlmsghdr *message, void *arg)
{
	struct route_list *list = arg;
	struct berth_rtnl_table_route route;

	if (message->nlmsg_type != RTM_NEWROUTE || !parse_table_route(message, &route))
		return MNL_CB_OK;
	if (list->n == list->max) {
		errno = E2BIG;
		return MNL_CB_ERROR;
	}
	memcpy(&list->routes[list->n++], &route, sizeof(route)); /* with its padding */
	return MNL_CB_OK;
}

int berth_rtnl_main_table(struct berth_rtnl_table_route *routes, size_t max, size_t *n)
{
	struct route_list list = {routes, 0, max};
	/* The kernel filters by table (Linux 4.20). */
	const struct rtmsg header = {.rtm_table = RT_TABLE_MAIN};
	int err = berth_rtnl_dump(RTM_GETROUTE, &header, sizeof(header), on_table_route, &list);

	*n = list.n;
	return err;
}

/* Clears `standard` for an attribute that the kernel's three default rules do not have. */
static int on_rule_attr(const struct nlattr *attr, void *arg)
{
	bool *standard = arg;

	switch (mnl_attr_get_type(attr)) {
	case FRA_TABLE:
	case FRA_PRIORITY:
	case FRA_PROTOCOL: /* the program that added the rule */
		break;
	case FRA_SUPPRESS_PREFIXLEN:
	case FRA_SUPPRESS_IFGROUP: /* all bits set: not used */
		*standard &= berth_rtnl_get_word(attr) == UINT32_MAX;
		break;
	default:
		*standard = false;
	}
	return MNL_CB_OK;
}

static int on_rule(const struct nlmsghdr *message, void *arg)
{
	bool *standard = arg;
	const struct fib_rule_hdr *rule = mnl_nlmsg_get_payload(message);

	if (message->nlmsg_type != RTM_NEWRULE)
		return MNL_CB_OK;
	*standard &= rule->action == FR_ACT_TO_TBL && !(rule->flags & FIB_RULE_INVERT) && rule->dst_len == 0 &&
		     rule->src_len == 0 && rule->tos == 0;
	*standard &= rule->table == RT_TABLE_LOCAL || rule->table == RT_TABLE_MAIN ||
		     rule->table == RT_TABLE_DEFAULT;
	mnl_attr_parse(message, sizeof(*rule), on_rule_attr, standard);
	return MNL_CB_OK;
}

int berth_rtnl_rules_are_standard(bool *standard)
{
	const struct fib_rule_hdr header = {0};

	*standard = true;
	int err = berth_rtnl_dump(RTM_GETRULE, &header, sizeof(header), on_rule, standard);
	/* These errors: a kernel without policy routing. */
	return err == -EOPNOTSUPP || err == -EAFNOSUPPORT ? 0 : err;
}
