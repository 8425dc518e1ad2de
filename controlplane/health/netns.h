/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A network namespace for probes with `via: tunnel`. It contains one TUN device, to which all routes lead. Used by
 * tunnel.c only.
 */
#pragma once

#include "dataplane/core/types.h"

enum {
	BERTH_PROBE_NETNS_ADDRESSES = 64,
};

struct berth_probe_netns {
	int host_fd; /* berthd's own network namespace; -1: not open */
	int netns_fd;
	int tun_fd; /* IP packets without link header, each after a struct virtio_net_hdr */
	union berth_addr addresses[BERTH_PROBE_NETNS_ADDRESSES]; /* of the TUN device */
	unsigned int n_addresses;
};

/* Returns 0 or -errno; on error nothing stays open. Needs CAP_SYS_ADMIN and CAP_NET_ADMIN. */
int berth_probe_netns_open(struct berth_probe_netns *netns);
void berth_probe_netns_close(struct berth_probe_netns *netns);

/* Adds an address to the TUN device unless it is there. Returns 0 or -errno (-ENOSPC: too many). */
int berth_probe_netns_add_address(struct berth_probe_netns *netns, const union berth_addr *address);
/* socket(2) in the namespace. -1 with errno. */
int berth_probe_netns_socket(const struct berth_probe_netns *netns, int family, int type, int protocol);
