/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Holds the TAP devices of DPDK ports (netlink/taps.h): from before the engine starts with a port until the engine
 * forwards without it.
 */
#pragma once

struct berth_config;
struct berth_daemon;
struct berth_engine;

/* -ENOMEM. */
int berth_port_taps_open(struct berth_daemon *daemon);
void berth_port_taps_close(struct berth_daemon *daemon);
/* This engine is about to start with the ports of this configuration. */
void berth_port_taps_stage(struct berth_daemon *daemon, struct berth_engine *engine,
			   const struct berth_config *config);
