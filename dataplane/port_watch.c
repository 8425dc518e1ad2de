// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port_watch.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <string.h>

#include "dataplane/log.h"
#include "dataplane/tap.h"

enum {
	LOOKS_PER_SECOND = 10,
	MAC_LOG_S = 60,
};

/* A driver that does not know the state of its link has one. */
static bool follow_link(struct berth_port_watch *watch, uint32_t i)
{
	struct rte_eth_link link;
	struct berth_port_link *port = &watch->port[i];
	const struct berth_eth_port *eth = &watch->ports->port[i];
	const bool is_known = rte_eth_link_get_nowait(eth->id, &link) == 0;
	const bool is_up = !eth->is_absent && (!is_known || link.link_status == RTE_ETH_LINK_UP);
	const bool changed = watch->has_looked ? is_up != port->is_up : true;
	port->speed_mbps = is_known && link.link_speed && !eth->is_absent ? link.link_speed
									  : RTE_ETH_SPEED_NUM_UNKNOWN;
	port->is_up = is_up;
	if (changed && (watch->has_looked || !is_up))
		berth_log("%s: link %s", eth->name, is_up ? "up" : "down");
	return changed;
}

/* udev (MACAddressPolicy=) and network managers set link addresses; backends and routers know the NIC's. */
static void follow_mac(struct berth_port_watch *watch, uint32_t i)
{
	struct berth_port_link *port = &watch->port[i];
	const struct berth_eth_port *eth = &watch->ports->port[i];
	const uint64_t now_s = rte_get_tsc_cycles() / rte_get_tsc_hz();
	const int error = berth_tap_keep_mac(eth->name, eth->mac);
	if (error < 0 && error != port->error)
		berth_log("ALARM: %s: its link address is not that of the port and cannot be set: %s", eth->name,
			  strerror(-error));
	port->error = error < 0 ? error : 0;
	if (error <= 0)
		return;
	port->mac_resets++;
	if (port->mac_logged_s && now_s - port->mac_logged_s < MAC_LOG_S)
		return;
	port->mac_logged_s = now_s;
	berth_log("ALARM: %s: another program gave it another link address; it has the port's again (%llu times by "
		  "now); for udev: MACAddressPolicy=none in a .link file",
		  eth->name, (unsigned long long)port->mac_resets);
}

bool berth_port_watch_look(struct berth_port_watch *watch)
{
	const uint64_t now = rte_get_tsc_cycles();
	bool any = false;
	if (watch->has_looked && now - watch->looked_cycles < rte_get_tsc_hz() / LOOKS_PER_SECOND)
		return false;
	watch->looked_cycles = now;
	for (uint32_t i = 0; i < watch->ports->n; i++) {
		const bool has_tap = watch->ports->port[i].delivery == BERTH_DELIVERY_TAP;
		const bool is_new = has_tap && berth_kernel_path_keep_tap(watch->kernel_path, i);
		const int tap = has_tap ? watch->kernel_path->tap[i] : -1;
		const bool changed = follow_link(watch, i);
		if (tap >= 0 && (changed || is_new))
			berth_tap_set_carrier(tap, watch->port[i].is_up);
		if (tap >= 0 && berth_eth_port_has_mac(&watch->ports->port[i]))
			follow_mac(watch, i);
		any |= changed;
	}
	watch->has_looked = true;
	return any;
}
