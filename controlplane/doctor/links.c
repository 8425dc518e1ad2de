// SPDX-License-Identifier: BSD-3-Clause
/* Findings about the engine's interfaces. */
#include <inttypes.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/doctor/findings.h"
#include "controlplane/doctor/system.h"
#include "controlplane/util/clock.h"
#include "controlplane/util/ethtool.h"
#include "dataplane/interface/pci_fault.h"

/* "native" or "generic"; "": the engine is not XDP. */
static const char *xdp_mode(const json_t *status, const char *name)
{
	size_t i;
	json_t *port;
	json_array_foreach(json_object_get(status, "ports"), i, port)
	{
		const char *mode = json_string_value(json_object_get(port, "mode"));
		const char *of = json_string_value(json_object_get(port, "name"));
		if (of && mode && strcmp(of, name) == 0)
			return mode;
	}
	return "";
}

/* The engine's own report of a port: see its status. */
static void check_driver(const char *name, const json_t *status, json_t *checks)
{
	size_t i;
	json_t *port;
	json_array_foreach(json_object_get(status, "ports"), i, port)
	{
		const char *fault = json_string_value(json_object_get(port, "fault"));
		const char *of = json_string_value(json_object_get(port, "name"));
		if (of && fault && strcmp(of, name) == 0)
			berth_doctor_addf(checks, name, BERTH_DOCTOR_PROBLEM,
					  "docs/interfaces.md has the drivers and settings that work", "%s", fault);
	}
}

/* Why DPDK cannot drive the port's PCI device: its TAP has no carrier then. False: it can, or it is no such device.
 */
static bool explain_by_device(const struct berth_interface_config *config, struct berth_doctor_finding *finding)
{
	char address[BERTH_PCI_ADDRESS_BYTES], fault[BERTH_PCI_FAULT_BYTES];
	struct berth_ethtool facts;
	berth_ethtool_read(config->name, &facts);
	if (strcmp(facts.driver, "tun") != 0 || !berth_pci_address(config->device, address) ||
	    !berth_pci_find_fault("/sys", address, fault))
		return false;
	snprintf(finding->text, sizeof(finding->text), "interface %s is down: %s", config->name, fault);
	snprintf(finding->remedy, sizeof(finding->remedy),
		 "docs/appliance.md describes how devices get their driver");
	return true;
}

bool berth_doctor_link_is_down(const struct berth_interface_config *config, struct berth_rtnl *rtnl,
			       struct berth_rtnl_link *link, struct berth_doctor_finding *finding)
{
	uint32_t ifindex = if_nametoindex(config->name);
	bool is_missing = !ifindex || berth_rtnl_link(rtnl, ifindex, link);
	if (!is_missing && link->is_up)
		return false;
	*finding = (struct berth_doctor_finding){.level = BERTH_DOCTOR_PROBLEM};
	snprintf(finding->cause, sizeof(finding->cause), "interface %s", config->name);
	if (!is_missing && explain_by_device(config, finding))
		return true;
	snprintf(finding->text, sizeof(finding->text),
		 is_missing ? "interface %s not found" : "interface %s is down", config->name);
	if (is_missing)
		snprintf(finding->remedy, sizeof(finding->remedy),
			 "ip link lists the interfaces; correct `interfaces` in the configuration, or create it "
			 "again");
	else
		snprintf(finding->remedy, sizeof(finding->remedy), "ip link set dev %s up, and check the cable",
			 config->name);
	return true;
}

/* The first VLAN interface on top of `name`, from the kernel's list. A line of it: "eth0.100 | 100 | eth0". */
static bool find_vlan(const char *path, const char *name, char vlan[IF_NAMESIZE])
{
	char line[128], lower[IF_NAMESIZE];
	bool found = false;
	FILE *file = fopen(path, "re");
	while (file && !found && fgets(line, sizeof(line), file))
		found = sscanf(line, "%15s | %*u | %15s", vlan, lower) == 2 && strcmp(lower, name) == 0;
	if (file)
		fclose(file);
	return found;
}

void berth_doctor_vlan(const char *path, const char *name, const struct berth_ethtool *facts, json_t *checks)
{
	char vlan[IF_NAMESIZE], remedy[64];
	if (!facts->has_rx_vlan || !find_vlan(path, name, vlan))
		return;
	snprintf(remedy, sizeof(remedy), "ethtool -K %s rxvlan off", name);
	berth_doctor_addf(
		checks, name, BERTH_DOCTOR_NOTE, remedy,
		"its driver removes VLAN tags (rx-vlan-offload) before the XDP program sees a frame: berth "
		"takes frames of %s for untagged ones, and forwards those for a service without a tag",
		vlan);
}

void berth_doctor_xdp_queues(const char *name, const struct berth_ethtool *facts, long cpus, json_t *checks)
{
	char remedy[160];
	const uint32_t needed = facts->combined + (uint32_t)cpus;
	if (strcmp(facts->driver, "virtio_net") != 0 || !facts->max_combined || needed <= facts->max_combined)
		return;
	if (facts->max_combined > (uint32_t)cpus)
		snprintf(remedy, sizeof(remedy), "ethtool -L %s combined %u, or give the machine %u queues", name,
			 facts->max_combined - (uint32_t)cpus, needed);
	else
		snprintf(remedy, sizeof(remedy),
			 "give the virtual machine's device %u queues (QEMU: queues=%u, vectors=%u)", needed,
			 needed, 2 * needed + 2);
	berth_doctor_addf(
		checks, name, BERTH_DOCTOR_NOTE, remedy,
		"its device has %u queues, and native XDP needs %u: %u that receive and one of each CPU to send; "
		"CPUs share queues to send, with a lock (the kernel's log: \"XDP request\")",
		facts->max_combined, needed, facts->combined);
}

static void check_xdp(const char *name, const char *mode, json_t *checks)
{
	struct berth_ethtool facts;
	berth_ethtool_read(name, &facts);
	berth_doctor_vlan("/proc/self/net/vlan/config", name, &facts, checks);
	if (strcmp(mode, "native") == 0)
		berth_doctor_xdp_queues(name, &facts, sysconf(_SC_NPROCESSORS_CONF), checks);
}

void berth_doctor_losses(const char *name, const struct berth_rtnl_losses *before,
			 const struct berth_rtnl_losses *now, uint64_t seconds, json_t *checks)
{
	enum {
		MANY = 100, /* dropped frames: some are of protocols that the kernel does not know */
	};
	const struct {
		uint64_t n;
		uint64_t least;
		enum berth_doctor_level level;
		const char *what;
	} losses[] = {
		{now->rx_errors - before->rx_errors, 1, BERTH_DOCTOR_PROBLEM, "receive errors (rx_errors)"},
		{now->tx_errors - before->tx_errors, 1, BERTH_DOCTOR_PROBLEM, "transmit errors (tx_errors)"},
		{now->rx_missed - before->rx_missed, 1, BERTH_DOCTOR_PROBLEM,
		 "frames for which the driver had no room (rx_missed_errors)"},
		{now->rx_dropped - before->rx_dropped, MANY, BERTH_DOCTOR_NOTE,
		 "dropped received frames (rx_dropped)"},
		{now->tx_dropped - before->tx_dropped, MANY, BERTH_DOCTOR_NOTE,
		 "dropped frames to send (tx_dropped)"},
	};
	char remedy[160];
	snprintf(remedy, sizeof(remedy),
		 "ip -s -s link show dev %s; ethtool -S %s; check cable, duplex, ring sizes (ethtool -g) and MTUs",
		 name, name);
	for (size_t i = 0; i < sizeof(losses) / sizeof(losses[0]); i++)
		if (losses[i].n >= losses[i].least)
			berth_doctor_addf(checks, name, losses[i].level, remedy,
					  "%" PRIu64 " %s in the last %" PRIu64 " s", losses[i].n, losses[i].what,
					  seconds);
}

static void check_losses(const struct berth_daemon_state *state, size_t i, struct berth_rtnl *rtnl, json_t *checks)
{
	const char *name = state->model->config->interfaces[i].name;
	const struct berth_link_sample *older = &state->link_watch.older;
	struct berth_rtnl_losses now;
	uint32_t ifindex = if_nametoindex(name);
	if (older->at_ms && ifindex == older->ifindex[i] && berth_rtnl_link_losses(rtnl, ifindex, &now) == 0)
		berth_doctor_losses(name, &older->losses[i], &now, (berth_clock_ms() - older->at_ms + 999) / 1000,
				    checks);
}

void berth_doctor_link(const struct berth_daemon_state *state, size_t i, struct berth_rtnl *rtnl,
		       const json_t *status, json_t *checks)
{
	const struct berth_interface_config *config = &state->model->config->interfaces[i];
	const char *mode = xdp_mode(status, config->name);
	struct berth_doctor_finding finding;
	struct berth_rtnl_link link;

	if (berth_doctor_link_is_down(config, rtnl, &link, &finding)) {
		berth_doctor_add(checks, config->name, &finding);
		return;
	}
	berth_doctor_addf(checks, config->name, BERTH_DOCTOR_OK, "", "up, MTU %u", link.mtu);
	check_driver(config->name, status, checks);
	if (config->xdp == BERTH_XDP_AUTO && strcmp(mode, "generic") == 0)
		berth_doctor_addf(checks, config->name, BERTH_DOCTOR_NOTE,
				  "use a NIC whose driver supports XDP, which is several times faster; `xdp: "
				  "generic` accepts "
				  "generic mode",
				  "its driver does not support XDP: the program runs in generic mode");
	if (mode[0])
		check_xdp(config->name, mode, checks);
	check_losses(state, i, rtnl, checks);
}
