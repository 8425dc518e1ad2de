// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/util/ethtool.h"

#include <linux/ethtool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/util/ethtool_device.h"
#include "controlplane/util/ethtool_features.h"

static void read_driver(const struct berth_ethtool_device *device, struct berth_ethtool *facts)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	if (berth_ethtool_ask(device, &info))
		snprintf(facts->driver, sizeof(facts->driver), "%.31s", info.driver);
}

/* The first call tells how many words the masks of link modes have; the second one needs them. */
static void read_speed(const struct berth_ethtool_device *device, struct berth_ethtool *facts)
{
	uint32_t words[sizeof(struct ethtool_link_settings) / sizeof(uint32_t) + 3 * INT8_MAX] = {0};
	struct ethtool_link_settings *link = (struct ethtool_link_settings *)words;
	link->cmd = ETHTOOL_GLINKSETTINGS;
	if (!berth_ethtool_ask(device, link) || link->link_mode_masks_nwords >= 0)
		return;
	link->link_mode_masks_nwords = (int8_t)-link->link_mode_masks_nwords;
	link->cmd = ETHTOOL_GLINKSETTINGS;
	if (berth_ethtool_ask(device, link) && link->speed != (uint32_t)SPEED_UNKNOWN)
		facts->speed_mbps = link->speed;
}

static void read_queues(const struct berth_ethtool_device *device, struct berth_ethtool *facts)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	struct ethtool_rxfh table = {.cmd = ETHTOOL_GRSSH};
	if (berth_ethtool_ask(device, &channels)) {
		facts->queues = channels.combined_count + channels.rx_count;
		facts->combined = channels.combined_count;
		facts->max_combined = channels.max_combined;
	}
	facts->has_rss = berth_ethtool_ask(device, &table) && table.indir_size;
}

static void read_offloads(const struct berth_ethtool_device *device, struct berth_ethtool *facts)
{
	struct ethtool_value gro = {.cmd = ETHTOOL_GGRO}, flags = {.cmd = ETHTOOL_GFLAGS};
	facts->has_gro = berth_ethtool_ask(device, &gro) && gro.data;
	facts->has_gro_hw = berth_feature_read(device->name, "rx-gro-hw") != BERTH_FEATURE_OFF;
	if (!berth_ethtool_ask(device, &flags))
		return;
	facts->has_lro = flags.data & ETH_FLAG_LRO;
	facts->has_rx_vlan = flags.data & ETH_FLAG_RXVLAN;
}

void berth_ethtool_read(const char *name, struct berth_ethtool *facts)
{
	const struct berth_ethtool_device device = {socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), name};
	*facts = (struct berth_ethtool){0};
	if (device.fd < 0)
		return;
	read_driver(&device, facts);
	read_speed(&device, facts);
	read_queues(&device, facts);
	read_offloads(&device, facts);
	close(device.fd);
}
