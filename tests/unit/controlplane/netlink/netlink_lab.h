/* SPDX-License-Identifier: BSD-3-Clause */
/* For tests of netlink.h: links_lab.h, and a struct berth_netlink on our side. */
#pragma once

#include "tests/support/links_lab.h"

#include "controlplane/netlink/netlink.h"

struct netlink_lab {
	pid_t peer;
	struct event_base *base;
	struct berth_netlink *netlink;
	unsigned int calls;
};

#define theirs(lab, command) theirs_of((lab)->peer, command)

static void on_change(void *arg)
{
	struct netlink_lab *lab = arg;
	lab->calls++;
}

static int set_up(void **state)
{
	struct netlink_lab *lab = calloc(1, sizeof(*lab));
	char error[BERTH_ERROR_BYTES];

	lab->peer = make_links();
	lab->base = event_base_new();
	lab->netlink = berth_netlink_new(lab->base, on_change, lab, error);
	assert_non_null(lab->netlink);
	*state = lab;
	return 0;
}

static int tear_down(void **state)
{
	struct netlink_lab *lab = *state;

	berth_netlink_free(lab->netlink);
	event_base_free(lab->base);
	end_links(lab->peer);
	free(lab);
	return 0;
}

static void run_for(struct netlink_lab *lab, uint64_t ms)
{
	loop_for(lab->base, ms);
}
