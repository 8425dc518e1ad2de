/* SPDX-License-Identifier: BSD-3-Clause */
/* DNS lookups that a helper process makes (helper/helper.h). berthd reads resolv.conf, for which the helper has no
 * file system. Used by resolver.c only. */
#pragma once

#include "controlplane/dns/lookup.h"
#include "controlplane/helper/helper.h"

struct berth_dns_remote;
struct berth_dns_request;

/* The helper must outlive it. NULL: out of memory. */
struct berth_dns_remote *berth_dns_remote_new(struct berth_helper *helper);
/* All requests must have been freed. */
void berth_dns_remote_free(struct berth_dns_remote *remote);

/* As berth_dns_lookup_new and _free. If the helper ends, the queries that it has not answered fail. NULL: no
 * memory, or the helper does not run. */
struct berth_dns_request *berth_dns_request_new(struct berth_dns_remote *remote,
						const struct berth_dns_config *config, const char *name,
						berth_dns_lookup_fn *on_results, void *arg);
void berth_dns_request_free(struct berth_dns_request *request);
