/* SPDX-License-Identifier: BSD-3-Clause */
/* What DNS answers for a name, and what it is worth: which addresses are good from now on, and when to ask again.
 * Pure: seconds in and seconds out. */
#pragma once

#include "controlplane/dns/state.h"

enum berth_dns_record_type {
	BERTH_DNS_A,
	BERTH_DNS_AAAA,
	BERTH_DNS_TYPES,
};

enum berth_dns_status {
	BERTH_DNS_PENDING,
	BERTH_DNS_FOUND,
	BERTH_DNS_NONE,	  /* the name is there and has no such address */
	BERTH_DNS_FAILED, /* nothing is learned */
};

struct berth_dns_result {
	enum berth_dns_status status;
	const char *error; /* FAILED */
	union berth_addr *addresses;
	size_t n;	/* FOUND */
	uint32_t ttl_s; /* FOUND: the least of its records, aliases on the way included */
};

enum {
	BERTH_DNS_ERROR_BYTES = 96,
	BERTH_DNS_MAX_WAIT_S = 60, /* between attempts while DNS fails */
};

struct berth_dns_outcome {
	union berth_addr *addresses; /* sorted, each once; freed by the caller */
	size_t n;
	bool found;			   /* something was answered that is good */
	uint32_t ttl_s;			   /* of that */
	char error[BERTH_DNS_ERROR_BYTES]; /* "": nothing is wrong */
};

/*
 * One failure tells nothing of what was known: of `before` (NULL: nothing) stays what is not answered. A name that
 * has no addresses at all, or is not there, is a failure too; one that has addresses of the other type alone is
 * not. -ENOMEM.
 */
int berth_dns_merge(const struct berth_dns_result results[BERTH_DNS_TYPES], const struct berth_dns_answer *before,
		    struct berth_dns_outcome *verdict);

/* How long to wait after an answer with `ttl_s`, or after so many failures in a row. */
uint32_t berth_dns_next_query_s(const struct berth_dns_config *config, uint32_t ttl_s, uint32_t failures);
