/* SPDX-License-Identifier: BSD-3-Clause */
/* berth-dpdk as systemd starts it: its options come from berthd (interface/activation.h). */
#pragma once

#include <stdbool.h>

bool berth_is_activated(int argc, char **argv);
/* Reads the options, and runs this program with them: its command line shows them. Returns -errno if it cannot,
 * with the reason in the log. */
int berth_activation_run(void);
