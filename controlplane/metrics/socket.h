/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The listening socket of http.c.
 */
#pragma once

#include <stdbool.h>

#include "controlplane/config/config.h"
#include "controlplane/util/error.h"

/* A bound socket, or -errno. `sharing`: a listening socket with the same port, -1: none. The new address may
 * include that of the other, as 0.0.0.0 includes 127.0.0.1: then both need SO_REUSEPORT in bind() and listen(), and
 * only then, so that no other process can bind the port. The caller ends the sharing after listen(). */
int berth_metrics_bind(const struct berth_metrics_config *config, int sharing);
void berth_metrics_share_port(int sharing, int fd, bool share);
/* Why it cannot listen there: one line in `error`. */
void berth_metrics_explain(const struct berth_metrics_config *config, int err, const char *remedy,
			   char error[BERTH_ERROR_BYTES]);
