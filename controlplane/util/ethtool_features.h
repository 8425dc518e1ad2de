/* SPDX-License-Identifier: BSD-3-Clause */
/* Features of a network interface by the kernel's names for them, as `ethtool -k` shows them. */
#pragma once

enum berth_feature {
	BERTH_FEATURE_OFF, /* or not known */
	BERTH_FEATURE_ON,
	BERTH_FEATURE_FIXED, /* on, and its driver cannot switch it off */
};

enum berth_feature berth_feature_read(const char *interface, const char *feature);
/* What it is afterwards. */
enum berth_feature berth_feature_switch_off(const char *interface, const char *feature);
