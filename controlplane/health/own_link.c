// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/health/own_link.h"

#include <stdio.h>

#include "controlplane/netlink/rtnl.h"

void berth_own_link_open(struct berth_own_link *own)
{
	berth_rtnl_open_requests(&own->rtnl);
}

bool berth_own_link_is_down(struct berth_own_link *own, const union berth_addr *address, char name[IF_NAMESIZE])
{
	struct berth_rtnl_route route;
	struct berth_rtnl_link link;
	if (!own->rtnl.requests && berth_rtnl_open_requests(&own->rtnl))
		return false;
	if (berth_rtnl_route(&own->rtnl, address, &route) || !route.is_unicast || !route.ifindex ||
	    berth_rtnl_link(&own->rtnl, route.ifindex, &link) || link.is_up)
		return false;
	if (!if_indextoname(route.ifindex, name))
		snprintf(name, IF_NAMESIZE, "%u", route.ifindex);
	return true;
}

void berth_own_link_close(struct berth_own_link *own)
{
	if (own->rtnl.requests)
		berth_rtnl_close(&own->rtnl);
}
