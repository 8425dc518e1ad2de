// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/netlink/own_links.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/netlink/rtnl.h"

enum {
	MAX_LEVELS = 4, /* a macvlan on a VLAN on a bridge on a port, for example */
};

struct draft {
	struct berth_link links[BERTH_MAX_LINKS];
	size_t n;
	bool is_truncated;
};

static void add(struct draft *draft, size_t port, const uint8_t mac[6])
{
	struct berth_link link = {.port = (uint8_t)port, .is_used = 1};
	memcpy(link.mac, mac, sizeof(link.mac));
	for (size_t i = 0; i < draft->n; i++)
		if (memcmp(&draft->links[i], &link, sizeof(link)) == 0)
			return;
	if (draft->n < BERTH_MAX_LINKS)
		draft->links[draft->n++] = link;
	else
		draft->is_truncated = true;
}

/* Whether a device is stacked on one that is reached. */
static bool is_stacked(const struct berth_rtnl_devices *devices, const bool *is_reached,
		       const struct berth_rtnl_device *device)
{
	for (size_t i = 0; i < devices->n; i++) {
		const struct berth_rtnl_device *below = &devices->at[i];
		if (is_reached[i] && ((device->is_upper && device->lower == below->ifindex) ||
				      (device->is_master && below->master == device->ifindex)))
			return true;
	}
	return false;
}

/* Adds the addresses of the devices above `port`, level by level. */
static void add_stack(struct draft *draft, const struct berth_rtnl_devices *devices, bool *is_reached,
		      size_t number, const struct berth_port *port)
{
	for (size_t i = 0; i < devices->n; i++)
		is_reached[i] = devices->at[i].ifindex == port->ifindex;
	for (size_t level = 0; level < MAX_LEVELS; level++) {
		for (size_t i = 0; i < devices->n; i++) {
			const struct berth_rtnl_device *device = &devices->at[i];
			if (is_reached[i] || !(device->is_upper || device->is_master) ||
			    !is_stacked(devices, is_reached, device))
				continue;
			is_reached[i] = true;
			if (device->is_up)
				add(draft, number, device->mac);
		}
	}
}

int berth_own_links_read(struct berth_link links[BERTH_MAX_LINKS], const struct berth_port *ports, size_t n_ports)
{
	struct berth_rtnl_devices devices = {0};
	struct draft draft = {.n = 0};
	int err = berth_rtnl_devices(&devices);
	bool *is_reached = calloc(devices.n + 1, sizeof(*is_reached));
	if (err == 0 && is_reached == NULL)
		err = -ENOMEM;
	for (size_t i = 0; err == 0 && i < n_ports; i++)
		if (ports[i].ifindex != 0)
			add(&draft, i, ports[i].mac);
	for (size_t i = 0; err == 0 && i < n_ports; i++)
		if (ports[i].ifindex != 0)
			add_stack(&draft, &devices, is_reached, i, &ports[i]);
	if (err == 0)
		memcpy(links, draft.links, sizeof(draft.links));
	free(is_reached);
	free(devices.at);
	return err < 0 ? err : draft.is_truncated;
}
