/* SPDX-License-Identifier: BSD-3-Clause */
/* A network namespace of berthd's own, with nothing in it but a TUN device that everything is routed to.
 * tunnel.c's. */
#pragma once

#include "dataplane/core/types.h"

enum {
	BERTH_ROOM_ADDRESSES = 64,
};

struct berth_room {
	int home; /* the namespace that berthd lives in; -1: there is no room */
	int away; /* this one */
	int tun;  /* packets without link headers, a struct virtio_net_hdr in front of each */
	union berth_addr addresses[BERTH_ROOM_ADDRESSES];
	unsigned int n_addresses;
};

/* 0 or -errno; then there is nothing to close. */
int berth_room_open(struct berth_room *room);
void berth_room_close(struct berth_room *room);

/* Gives the room this address, if it does not have it. 0 or -errno. */
int berth_room_add(struct berth_room *room, const union berth_addr *address);
/* socket(2), in there. */
int berth_room_socket(const struct berth_room *room, int family, int type, int protocol);
