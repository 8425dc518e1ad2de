/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests to the driver of a network interface (ioctl SIOCETHTOOL), for ethtool.c and ethtool_features.c. */
#pragma once

#include <linux/sockios.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/ioctl.h>

struct berth_ethtool_device {
	int fd; /* any socket */
	const char *name;
};

/* `request` is one of the structs of linux/ethtool.h, with its command; the driver fills it. */
static inline bool berth_ethtool_ask(const struct berth_ethtool_device *device, void *request)
{
	struct ifreq interface = {.ifr_data = request};
	snprintf(interface.ifr_name, sizeof(interface.ifr_name), "%s", device->name);
	return ioctl(device->fd, SIOCETHTOOL, &interface) >= 0;
}
