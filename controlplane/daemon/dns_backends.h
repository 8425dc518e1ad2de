/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Backends by DNS name: what DNS says becomes a part of the model by the very way that a configuration does, and
 * what leaves DNS drains before it goes. What is known is kept in RUN_DIR/INSTANCE.dns, so that a new berthd begins
 * with it whether DNS answers or not.
 */
#pragma once

#include "controlplane/dns/expand.h"
#include "controlplane/dns/resolver.h"

struct berth_daemon;

/* Applies the configuration again with what is known now. 0, or -errno with one line in `error`. */
typedef int berth_dns_backends_fn(struct berth_daemon *daemon, char error[BERTH_ERROR_BYTES]);

/* Reads what an earlier berthd knew. -ENOMEM. */
int berth_dns_backends_open(struct berth_daemon *daemon, berth_dns_backends_fn *renew);
void berth_dns_backends_close(struct berth_daemon *daemon);

/* Adds the backends that DNS has to a configuration as it is written. -ENOSPC where there is no room for them all
 * (but for berthd's first configuration, which gets as many as there is room for) or -ENOMEM, with one line in
 * `error`. */
int berth_dns_backends_expand(struct berth_daemon *daemon, struct berth_config *config,
			      char error[BERTH_ERROR_BYTES]);
/* The model has another configuration: its names are asked for. -ENOMEM. */
int berth_dns_backends_follow(struct berth_daemon *daemon);

/* What is known, and the addresses that are no backends, for people. */
const struct berth_dns_state *berth_dns_backends_state(const struct berth_daemon *daemon);
const struct berth_dns_expansion *berth_dns_backends_expansion(const struct berth_daemon *daemon);
const struct berth_dns_resolver *berth_dns_backends_resolver(const struct berth_daemon *daemon);
