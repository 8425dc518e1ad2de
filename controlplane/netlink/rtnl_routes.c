// SPDX-License-Identifier: BSD-3-Clause
/* Routes: the kernel's lookup of one address, and its main table. */
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "controlplane/netlink/rtnl_message.h"

static int on_metric(const struct nlattr *attr, void *arg)
{
	struct berth_rtnl_route *route = arg;

	if (mnl_attr_get_type(attr) == RTAX_MTU)
		route->mtu = berth_rtnl_get_word(attr);
	return MNL_CB_OK;
}

static void read_gateway(struct berth_rtnl_route *route, const void *bytes, size_t length)
{
	route->gateway = berth_rtnl_copy_address(bytes, length, &route->hop);
	route->unicast &= route->gateway;
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
		route->unicast = false;
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
	route->unicast = info->rtm_type == RTN_UNICAST;
	mnl_attr_parse(message, sizeof(*info), on_route_attr, route);
	return MNL_CB_OK;
}

int berth_rtnl_route(struct berth_rtnl *rtnl, const union berth_addr *address, struct berth_rtnl_route *route)
{
	char buffer[BERTH_RTNL_QUESTION_BYTES] BERTH_RTNL_ALIGNED;
	struct nlmsghdr *question = mnl_nlmsg_put_header(buffer);
	struct rtmsg *info = mnl_nlmsg_put_extra_header(question, sizeof(*info));

	question->nlmsg_type = RTM_GETROUTE;
	info->rtm_family = berth_rtnl_family_of(address);
	info->rtm_dst_len = berth_addr_is4(address) ? 32 : 128;
	berth_rtnl_put_address(question, RTA_DST, address);
	*route = (struct berth_rtnl_route){.hop = *address};
	int err = berth_rtnl_ask(rtnl, question, on_route, route);
	switch (err) {
	case -ENETUNREACH:
	case -EHOSTUNREACH:
	case -EINVAL: /* a blackhole route, or an address that no route can lead to */
	case -EACCES: /* a prohibit route */
	case -EAGAIN: /* a throw route in the last table */
		return 0;
	default:
		return err;
	}
}

/* The main table. */

struct table {
	struct berth_rtnl_prefix *prefixes;
	size_t n, room;
};

struct prefix_parse {
	struct berth_rtnl_prefix *prefix;
	uint32_t table;
};

static int on_prefix_attr(const struct nlattr *attr, void *arg)
{
	struct prefix_parse *parse = arg;

	switch (mnl_attr_get_type(attr)) {
	case RTA_TABLE:
		parse->table = berth_rtnl_get_word(attr);
		return MNL_CB_OK;
	case RTA_DST:
		berth_rtnl_get_address(attr, &parse->prefix->address);
		return MNL_CB_OK;
	case RTA_PRIORITY:
		parse->prefix->metric = berth_rtnl_get_word(attr);
		return MNL_CB_OK;
	default:
		return on_route_attr(attr, &parse->prefix->route);
	}
}

/* Whether the route is in the main table. */
static bool parse_prefix(const struct nlmsghdr *message, struct berth_rtnl_prefix *prefix)
{
	const struct rtmsg *info = mnl_nlmsg_get_payload(message);
	struct prefix_parse parse = {.prefix = prefix, .table = info->rtm_table};
	bool is4 = info->rtm_family == AF_INET;
	bool some = info->rtm_tos != 0 || info->rtm_src_len != 0;
	bool dead = info->rtm_flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN);

	memset(prefix, 0, sizeof(*prefix));
	if (is4) /* the default route names no address */
		berth_addr_set4(&prefix->address, (struct berth_be32){0});
	prefix->bits = (uint8_t)(info->rtm_dst_len + (is4 ? 96 : 0));
	prefix->route.unicast = info->rtm_type == RTN_UNICAST && !some && !dead;
	mnl_attr_parse(message, sizeof(*info), on_prefix_attr, &parse);
	/* A route for some packets only: which, the kernel must see. So it is to win over those for all. */
	if (some)
		prefix->metric = 0;
	/* IPv6 routes within ::ffff:0:0/96, where IPv4 stands here, are none that a packet takes. */
	bool mapped = !is4 && info->rtm_dst_len >= 96 && berth_addr_is4(&prefix->address);
	return parse.table == RT_TABLE_MAIN && !(info->rtm_flags & RTM_F_CLONED) && !mapped;
}

static int on_prefix(const struct nlmsghdr *message, void *arg)
{
	struct table *table = arg;
	struct berth_rtnl_prefix prefix;

	if (message->nlmsg_type != RTM_NEWROUTE || !parse_prefix(message, &prefix))
		return MNL_CB_OK;
	if (table->n == table->room) {
		errno = E2BIG;
		return MNL_CB_ERROR;
	}
	memcpy(&table->prefixes[table->n++], &prefix, sizeof(prefix)); /* with its padding */
	return MNL_CB_OK;
}

int berth_rtnl_main_table(struct berth_rtnl_prefix *prefixes, size_t room, size_t *n)
{
	struct table table = {prefixes, 0, room};
	/* The kernel picks the table (Linux 4.20). */
	const struct rtmsg header = {.rtm_table = RT_TABLE_MAIN};
	int err = berth_rtnl_dump(RTM_GETROUTE, &header, sizeof(header), on_prefix, &table);

	*n = table.n;
	return err;
}

/* Clears the flag for an attribute by which a rule may differ from the kernel's own three. */
static int on_rule_attr(const struct nlattr *attr, void *arg)
{
	bool *standard = arg;

	switch (mnl_attr_get_type(attr)) {
	case FRA_TABLE:
	case FRA_PRIORITY:
	case FRA_PROTOCOL: /* who made it */
		break;
	case FRA_SUPPRESS_PREFIXLEN:
	case FRA_SUPPRESS_IFGROUP: /* all bits set: nothing */
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
	/* A kernel without policy routing. */
	return err == -EOPNOTSUPP || err == -EAFNOSUPPORT ? 0 : err;
}
