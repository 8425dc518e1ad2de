// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/engine/merging/merging.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/util/ethtool.h"
#include "controlplane/util/ethtool_features.h"
#include "controlplane/util/log.h"

/* GRO is not among them: the kernel skips it on an interface with a generic program (netif_elide_gro). It switches
 * these two off, too, when it takes the program, but not if they are switched on later. */
static const char *const merging_features[] = {"rx-gro-hw", "rx-lro"};

enum {
	MERGING_FEATURES = sizeof(merging_features) / sizeof(merging_features[0]),
};

uint64_t berth_merging_count(int map, uint32_t ifindex)
{
	uint64_t packets = 0;
	return bpf_map_lookup_elem(map, &ifindex, &packets) ? 0 : packets;
}

void berth_merging_forget(int map, uint32_t ifindex)
{
	bpf_map_delete_elem(map, &ifindex);
}

bool berth_merging_stop(const char *interface)
{
	bool stopped = false;
	for (int i = 0; i < MERGING_FEATURES; i++) {
		const char *feature = merging_features[i];
		if (berth_feature_read(interface, feature) != BERTH_FEATURE_ON ||
		    berth_feature_switch_off(interface, feature) != BERTH_FEATURE_OFF)
			continue;
		berth_log("%s: %s switched off: it merges segments, which generic XDP cannot split", interface,
			  feature);
		stopped = true;
	}
	return stopped;
}

/* A feature that merges and cannot be switched off; NULL: none. */
static const char *fixed_feature(const char *interface)
{
	for (int i = 0; i < MERGING_FEATURES; i++)
		if (berth_feature_read(interface, merging_features[i]) == BERTH_FEATURE_FIXED)
			return merging_features[i];
	return NULL;
}

static bool merges(const char *interface)
{
	bool does = berth_feature_read(interface, "rx-gro") != BERTH_FEATURE_OFF;
	for (int i = 0; i < MERGING_FEATURES; i++)
		does |= berth_feature_read(interface, merging_features[i]) != BERTH_FEATURE_OFF;
	return does;
}

/* An interface below this one (of a VLAN, a bond) that merges. */
static bool find_lower(const char *interface, char lower[IF_NAMESIZE])
{
	static const char prefix[] = "lower_";
	char path[64];
	bool is_found = false;
	snprintf(path, sizeof(path), "/sys/class/net/%s", interface);
	DIR *dir = opendir(path);
	for (const struct dirent *entry; dir && !is_found && (entry = readdir(dir));) {
		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
			continue;
		snprintf(lower, IF_NAMESIZE, "%.15s", entry->d_name + strlen(prefix));
		is_found = merges(lower);
	}
	if (dir)
		closedir(dir);
	return is_found;
}

void berth_merging_describe(const char *interface, char text[BERTH_ERROR_BYTES])
{
	char cause[256], lower[IF_NAMESIZE];
	const char *fixed = fixed_feature(interface);
	if (fixed)
		snprintf(cause, sizeof(cause),
			 "its driver merges segments (%s) and cannot stop that: let the hypervisor switch the "
			 "device's offloads off, or use the DPDK engine",
			 fixed);
	else if (find_lower(interface, lower))
		snprintf(cause, sizeof(cause),
			 "%s below it merges segments: ethtool -K %s gro off lro off rx-gro-hw off", lower, lower);
	else
		snprintf(cause, sizeof(cause),
			 "a sender on this machine leaves segments merged (ethtool -K PEER tso off), or a sender's "
			 "MTU is larger");
	snprintf(text, BERTH_ERROR_BYTES,
		 "%s: packets arrive that are longer than its MTU, and generic XDP cannot split them: uploads "
		 "stall; %s",
		 interface, cause);
}

void berth_merging_describe_refusal(const char *interface, int err, char text[BERTH_ERROR_BYTES])
{
	struct berth_ethtool facts;
	const char *fixed = fixed_feature(interface);
	berth_ethtool_read(interface, &facts);
	const char *driver = facts.driver[0] ? facts.driver : "no driver of its own";
	const bool is_refused = err == -EOPNOTSUPP || err == -EINVAL;
	if (is_refused && fixed)
		snprintf(text, BERTH_ERROR_BYTES, "%s: it merges segments (%s) and cannot stop that", driver,
			 fixed);
	else if (is_refused && facts.has_lro)
		snprintf(text, BERTH_ERROR_BYTES, "%s: it merges segments: ethtool -K %s lro off", driver,
			 interface);
	else if (err == -EOPNOTSUPP && strcmp(driver, "virtio_net") == 0)
		snprintf(text, BERTH_ERROR_BYTES,
			 "%s: the hypervisor computes checksums or merges segments, and takes no order to stop",
			 driver);
	else if (err == -EOPNOTSUPP)
		snprintf(text, BERTH_ERROR_BYTES, "%s: it has no XDP", driver);
	else if (err == -ERANGE || err == -EINVAL)
		snprintf(text, BERTH_ERROR_BYTES,
			 "%s: %s; native XDP has a limit of the MTU, for the peer of a veth, too", driver,
			 strerror(-err));
	else
		snprintf(text, BERTH_ERROR_BYTES, "%s: %s", driver, strerror(-err));
}
