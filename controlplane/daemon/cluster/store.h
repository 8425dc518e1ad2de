/* SPDX-License-Identifier: BSD-3-Clause */
/* The store of the cluster that the configuration in force names, and the helper process that visits it. */
#pragma once

struct berth_daemon;

/* A configuration is in force: opens, exchanges or closes the store. A failure is logged; forwarding goes on. */
void berth_cluster_store_follow(struct berth_daemon *daemon);
void berth_cluster_store_close(struct berth_daemon *daemon);
