/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a configuration as it is written, and what is known of DNS, to the one that is in force: each address of a
 * name becomes a backend of its own, with a name that stays (NAME@ADDRESS). Pure.
 *
 * Who is a backend already stays one: if its address has left DNS it takes nobody new any more (weight 0), and it
 * is for the caller to forget it (berth_dns_state_remove_member) when there is nothing left to keep it for. Where
 * two names have the same address, who has it keeps it, then it is the one that stands first.
 */
#pragma once

#include "controlplane/dns/state.h"

#define BERTH_DNS_NAME_SEPARATOR "@" /* in no written name */

/* An address that is no backend, and reason. */
struct berth_dns_skipped {
	char service[BERTH_NAME_BYTES];
	char dns[BERTH_DNS_NAME_BYTES];
	union berth_addr address;
	char reason[96];
};

struct berth_dns_expansion {
	struct berth_dns_skipped *skipped;
	size_t n_skipped;
	size_t n_over_limit; /* of them, those that limits.backends or a service's rows leave no place for */
};

/* Adds backends to `config`, which is as it was parsed. -ENOMEM. */
int berth_dns_expand(struct berth_config *config, const struct berth_dns_state *known,
		     struct berth_dns_expansion *expansion);
void berth_dns_expansion_clear(struct berth_dns_expansion *expansion);
