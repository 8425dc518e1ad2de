/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Waits for XDP programs that run now. An XDP program runs in an RCU read section, so a grace period of RCU ends
 * after all of them. berthd's thread.
 */
#pragma once

struct berth_grace_period {
	int maps; /* descriptor of a map of maps, see grace_period.c; 0: not made */
	int map;
	int error; /* the last -errno that was logged; 0: none */
};

/* Waits for one grace period, some milliseconds. 0. -errno: the kernel offers none, which is logged once; nothing
 * can be published. */
int berth_grace_period_wait(struct berth_grace_period *period);
void berth_grace_period_close(struct berth_grace_period *period);
