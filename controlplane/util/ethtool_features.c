// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/util/ethtool_features.h"

#include <linux/ethtool.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/util/ethtool_device.h"

enum {
	MOST_FEATURES = 256, /* Linux 6.18 has 64 */
	MOST_BLOCKS = MOST_FEATURES / 32,
};

/* Requests end with as many elements as there are features: here is room for most. */
union strings_info {
	struct ethtool_sset_info info;
	uint32_t words[sizeof(struct ethtool_sset_info) / sizeof(uint32_t) + 1];
};

union strings {
	struct ethtool_gstrings head;
	uint8_t bytes[sizeof(struct ethtool_gstrings) + MOST_FEATURES * ETH_GSTRING_LEN];
};

union states {
	struct ethtool_gfeatures head;
	uint8_t bytes[sizeof(struct ethtool_gfeatures) + MOST_BLOCKS * sizeof(struct ethtool_get_features_block)];
};

union changes {
	struct ethtool_sfeatures head;
	uint8_t bytes[sizeof(struct ethtool_sfeatures) + MOST_BLOCKS * sizeof(struct ethtool_set_features_block)];
};

static uint32_t count_features(const struct berth_ethtool_device *device)
{
	union strings_info request = {
		.info = {.cmd = ETHTOOL_GSSET_INFO, .sset_mask = UINT64_C(1) << ETH_SS_FEATURES},
	};
	if (!berth_ethtool_ask(device, &request) || !request.info.sset_mask)
		return 0;
	return request.info.data[0] <= MOST_FEATURES ? request.info.data[0] : 0;
}

/* The number of a feature among `n`; `n`: there is none of this name. */
static uint32_t find_feature(const struct berth_ethtool_device *device, uint32_t n, const char *feature)
{
	union strings strings = {
		.head = {.cmd = ETHTOOL_GSTRINGS, .string_set = ETH_SS_FEATURES, .len = n},
	};
	uint32_t i = 0;
	if (!berth_ethtool_ask(device, &strings))
		return n;
	while (i < n &&
	       strncmp((const char *)&strings.head.data[i * ETH_GSTRING_LEN], feature, ETH_GSTRING_LEN) != 0)
		i++;
	return i;
}

static enum berth_feature read_state(const struct berth_ethtool_device *device, uint32_t n, uint32_t i)
{
	union states states = {.head = {.cmd = ETHTOOL_GFEATURES, .size = (n + 31) / 32}};
	if (i >= n || !berth_ethtool_ask(device, &states))
		return BERTH_FEATURE_OFF;
	const struct ethtool_get_features_block *block = &states.head.features[i / 32];
	const uint32_t bit = UINT32_C(1) << i % 32;
	if (!(block->active & bit))
		return BERTH_FEATURE_OFF;
	return block->available & bit && !(block->never_changed & bit) ? BERTH_FEATURE_ON : BERTH_FEATURE_FIXED;
}

static void clear(const struct berth_ethtool_device *device, uint32_t n, uint32_t i)
{
	union changes changes = {.head = {.cmd = ETHTOOL_SFEATURES, .size = (n + 31) / 32}};
	changes.head.features[i / 32].valid = UINT32_C(1) << i % 32;
	berth_ethtool_ask(device, &changes);
}

static enum berth_feature handle(const char *interface, const char *feature, bool is_to_end)
{
	const struct berth_ethtool_device device = {socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), interface};
	if (device.fd < 0)
		return BERTH_FEATURE_OFF;
	const uint32_t n = count_features(&device), i = find_feature(&device, n, feature);
	enum berth_feature state = read_state(&device, n, i);
	if (is_to_end && state == BERTH_FEATURE_ON) {
		clear(&device, n, i);
		state = read_state(&device, n, i);
	}
	close(device.fd);
	return state;
}

enum berth_feature berth_feature_read(const char *interface, const char *feature)
{
	return handle(interface, feature, false);
}

enum berth_feature berth_feature_switch_off(const char *interface, const char *feature)
{
	return handle(interface, feature, true);
}
