/* SPDX-License-Identifier: BSD-3-Clause */
/* The attachments (BPF links) of the XDP program to interfaces, each pinned as DIR/link-IFNAME. */
#pragma once

#include "controlplane/config/config.h"
#include "dataplane/core/image.h"

struct berth_xdp_link {
	char name[BERTH_IFNAME_BYTES];
	enum berth_xdp_mode mode; /* as configured */
	uint32_t ifindex;
	bool is_generic;	       /* the mode of the attachment */
	char fault[BERTH_ERROR_BYTES]; /* that was logged: why the interface has no program; "": it has */
};

struct berth_xdp_links {
	struct berth_xdp_link link[BERTH_MAX_PORTS];
	size_t n;
};

/* Reads the configuration's interfaces. 0, or -ENODEV with one line in `error`. */
int berth_xdp_links_init(struct berth_xdp_links *links, const struct berth_config *config,
			 char error[BERTH_ERROR_BYTES]);
/* Attaches the program to every interface, or replaces the program that an earlier berthd attached, between two
 * packets. An attachment in a mode that the configuration excludes is replaced: for some milliseconds packets pass
 * to the kernel. Then removes the pins of other interfaces. 0, or -errno with one line in `error`. */
int berth_xdp_links_attach(struct berth_xdp_links *links, int program, const char *dir,
			   char error[BERTH_ERROR_BYTES]);
/* Attaches the program to interfaces that have none: an interface was removed, and another one with its name may
 * exist. Each reason of a failure is logged once. */
void berth_xdp_links_follow(struct berth_xdp_links *links, int program, const char *dir);
/* Whether every interface has an XDP program. While a link exists the kernel attaches no other program; the link
 * ends when its interface is removed. */
bool berth_xdp_links_are_attached(const struct berth_xdp_links *links);
/* Removes all pins of the directory, and the directory: the program is detached and the maps are freed. */
void berth_xdp_pins_remove(const char *dir);
