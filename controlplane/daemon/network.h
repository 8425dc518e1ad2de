/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Copies what netlink/ follows into a model: the next hops of backends, the routes by which mode nat answers
 * clients, and this host's own addresses. Also the path MTUs that routers report.
 */
#pragma once

#include <stdbool.h>

struct berth_daemon;
struct berth_model;

/* Also follows what this model needs; berth_netlink_commit or berth_netlink_drop ends it. 0 or -ENOMEM. */
int berth_network_stage(struct berth_daemon *daemon, const struct berth_model *model);
/* Begins to learn path MTUs; logs if that is impossible. For some seconds next hops that were adopted stay. */
void berth_network_open(struct berth_daemon *daemon);
void berth_network_close(struct berth_daemon *daemon);

/* Updates the image's ports, and the model. Whether the model changed. */
bool berth_network_update(struct berth_daemon *daemon, struct berth_model *model);
/* The same for berthd's model; a change is published. */
void berth_network_follow(struct berth_daemon *daemon);
