/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Backends by DNS name: an answer is applied like a configuration, and a backend that leaves DNS drains before it
 * is removed. The latest answers are kept in dns.json of the state directory, so that a new berthd starts with them
 * even if DNS does not answer.
 */
#pragma once

#include "controlplane/dns/expand.h"
#include "controlplane/dns/resolver.h"

struct berth_daemon;

/* Applies the configuration in force again, with the state answers. 0, or -errno with one line in `error`. */
typedef int berth_dns_backends_fn(struct berth_daemon *daemon, char error[BERTH_ERROR_BYTES]);

/* Reads the file of a former berthd. -ENOMEM. */
int berth_dns_backends_open(struct berth_daemon *daemon, berth_dns_backends_fn *renew);
void berth_dns_backends_close(struct berth_daemon *daemon);

/* Whether a configuration has backends from DNS. */
bool berth_dns_backends_has_names(const struct berth_config *config);
/* Adds the backends from DNS to a parsed configuration. -ENOSPC: no room for all of them (berthd's first
 * configuration gets as many as there is room for) or -ENOMEM, with one line in `error`. Changes nothing else. */
int berth_dns_backends_expand(struct berth_daemon *daemon, struct berth_config *config,
			      char error[BERTH_ERROR_BYTES]);
/* Expands a configuration, and prepares to follow its names. Errors as above; then nothing is staged. */
int berth_dns_backends_stage(struct berth_daemon *daemon, struct berth_config *config,
			     char error[BERTH_ERROR_BYTES]);
/* The staged configuration is the model's now. Cannot fail. */
void berth_dns_backends_commit(struct berth_daemon *daemon);
void berth_dns_backends_drop(struct berth_daemon *daemon);

/* For state.h. */
const struct berth_dns_state *berth_dns_backends_state(const struct berth_daemon *daemon);
const struct berth_dns_expansion *berth_dns_backends_expansion(const struct berth_daemon *daemon);
const struct berth_dns_resolver *berth_dns_backends_resolver(const struct berth_daemon *daemon);
