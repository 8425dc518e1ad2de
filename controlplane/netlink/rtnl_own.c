// SPDX-License-Identifier: BSD-3-Clause
/* This host's addresses. */
#include "controlplane/netlink/rtnl.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/netlink/rtnl_attr.h"

struct address_list {
	union berth_addr *addresses;
	size_t n, max;
};

/* IFA_LOCAL is the host's address. IFA_ADDRESS is the same or, on a point-to-point link, the peer's. IPv6 omits
 * IFA_LOCAL if both are the same. */
struct address_parse {
	union berth_addr local, address;
	bool has_local, has_address;
};

static int on_address_attr(const struct nlattr *attr, void *arg)
{
	struct address_parse *parse = arg;

	if (mnl_attr_get_type(attr) == IFA_LOCAL)
		parse->has_local = berth_rtnl_get_address(attr, &parse->local);
	if (mnl_attr_get_type(attr) == IFA_ADDRESS)
		parse->has_address = berth_rtnl_get_address(attr, &parse->address);
	return MNL_CB_OK;
}

static bool parse_address(const struct nlmsghdr *message, union berth_addr *address)
{
	struct address_parse parse = {0};

	mnl_attr_parse(message, sizeof(struct ifaddrmsg), on_address_attr, &parse);
	*address = parse.has_local ? parse.local : parse.address;
	return parse.has_local || parse.has_address;
}

static int compare_addresses(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(union berth_addr));
}

static int on_address(const struct nlmsghdr *message, void *arg)
{
	struct address_list *list = arg;
	union berth_addr address;

	if (message->nlmsg_type != RTM_NEWADDR || !parse_address(message, &address))
		return MNL_CB_OK;
	/* Two interfaces may have the same address. */
	if (lfind(&address, list->addresses, &list->n, sizeof(address), compare_addresses) != NULL)
		return MNL_CB_OK;
	if (list->n == list->max) {
		errno = E2BIG;
		return MNL_CB_ERROR;
	}
	list->addresses[list->n++] = address;
	return MNL_CB_OK;
}

int berth_rtnl_own_addresses(union berth_addr *addresses, size_t max, size_t *n)
{
	struct address_list list = {addresses, 0, max};
	const struct ifaddrmsg header = {0};
	int err = berth_rtnl_dump(RTM_GETADDR, &header, sizeof(header), on_address, &list);

	qsort(addresses, list.n, sizeof(*addresses), compare_addresses);
	*n = list.n;
	return err;
}
