/* SPDX-License-Identifier: BSD-3-Clause */
/* The attachments (BPF links) of the XDP program to interfaces, each pinned as DIR/link-IFNAME. */
#pragma once

#include "controlplane/config/config.h"
#include "controlplane/engine/xdp_trace.h"
#include "dataplane/core/image.h"

struct berth_xdp_link {
	char name[BERTH_IFNAME_BYTES];
	enum berth_xdp_mode mode;      /* as configured */
	uint32_t ifindex;	       /* 0: the interface does not exist */
	bool is_generic;	       /* the mode of the attachment */
	bool is_proven;		       /* native: a frame of its own left by every port */
	uint64_t refused;	       /* frames that were refused at the last alarm */
	uint64_t alarm_ms;	       /* CLOCK_MONOTONIC of that; 0: none */
	uint64_t merged;	       /* packets with merged segments at the last look (merging/merging.h) */
	uint64_t merged_ms;	       /* CLOCK_MONOTONIC when they grew; 0: they are no fault */
	char fault[BERTH_ERROR_BYTES]; /* that was logged: why packets are not forwarded; "": they are */
};

struct berth_xdp_links {
	struct berth_xdp_link link[BERTH_MAX_PORTS];
	size_t n;
	int program;	 /* descriptor; not owned */
	int merged;	 /* likewise, of the program's map of that name */
	const char *dir; /* of the pins; not owned */
	struct berth_xdp_trace *trace;
	bool is_started; /* berth_xdp_links_start was called */
};

/* Whether the configuration has other interfaces or modes. */
bool berth_xdp_links_differ(const struct berth_xdp_links *links, const struct berth_config *config);
/*
 * Takes the interfaces of a configuration. After the start: attaches the program to new ones, replaces attachments
 * whose mode changed, and detaches from interfaces that are gone from the list. A new interface must exist then. 0,
 * or -errno with one line in `error` and the former attachments.
 */
int berth_xdp_links_configure(struct berth_xdp_links *links, const struct berth_config *config,
			      char error[BERTH_ERROR_BYTES]);
/* Attaches the program to every interface that exists, or replaces the program that an earlier berthd attached,
 * between two packets. An attachment in a mode that the configuration excludes is replaced: for some milliseconds
 * packets pass to the kernel. Then removes the pins of other interfaces. Others are waited for. 0, or -errno with
 * one line in `error`. */
int berth_xdp_links_start(struct berth_xdp_links *links, char error[BERTH_ERROR_BYTES]);
/* Puts another program in the place of the one that is attached, between two packets; later attachments have it,
 * too. 0, or -errno if some link still has the former one. */
int berth_xdp_links_exchange(struct berth_xdp_links *links, int program);
/* Attaches the program to interfaces that do not have it: an interface was removed, and another one with its name
 * may exist, or its pin was. Each reason of a failure is logged once. */
void berth_xdp_links_follow(struct berth_xdp_links *links);
/* Looks whether drivers refused frames, and whether generic ports got merged segments. Native attachments that are
 * not proven are tried again. Called once a second. */
void berth_xdp_links_watch(struct berth_xdp_links *links);
/* Whether every interface has berth's program. While a link exists the kernel attaches no other program; the link
 * ends when its interface or its pin is removed. */
bool berth_xdp_links_are_attached(const struct berth_xdp_links *links);
/* What is wrong with the link: its fault, or else what a look at the interface shows that berth_xdp_links_follow
 * has not met yet. "": nothing, or the program is missing for a moment, until berth_xdp_links_follow attaches it.
 */
void berth_xdp_links_describe(const struct berth_xdp_links *links, const struct berth_xdp_link *link,
			      char text[BERTH_ERROR_BYTES]);
/* Detaches the program from all interfaces; the pins of the maps stay. */
void berth_xdp_links_halt(const char *path);
/* Removes all pins of the directory, and the directory: the program is detached and the maps are freed. */
void berth_xdp_pins_remove(const char *dir);
