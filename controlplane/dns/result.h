/* SPDX-License-Identifier: BSD-3-Clause */
/* Merges the results of a lookup with the last good answer, and computes the time of the next query. Pure. */
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
	BERTH_DNS_NONE,	  /* the name exists without records of this type */
	BERTH_DNS_FAILED, /* no usable answer */
};

struct berth_dns_result {
	enum berth_dns_status status;
	const char *error; /* FAILED */
	union berth_addr *addresses;
	size_t n;	/* FOUND */
	uint32_t ttl_s; /* FOUND: minimum over the records, including CNAMEs */
};

enum {
	BERTH_DNS_ERROR_BYTES = 96,
	BERTH_DNS_MAX_WAIT_S = 60, /* between queries while DNS fails */
};

struct berth_dns_outcome {
	union berth_addr *addresses; /* sorted, unique; freed by the caller */
	size_t n;
	bool found;			   /* at least one type has a good answer */
	uint32_t ttl_s;			   /* minimum of the good answers */
	char error[BERTH_DNS_ERROR_BYTES]; /* "": none */
};

/*
 * A type that failed keeps its addresses of `before` (NULL: no answer before). A name that does not exist or has no
 * addresses is a failure; a name with addresses of one type only is not. Returns 0 or -ENOMEM.
 */
int berth_dns_merge(const struct berth_dns_result results[BERTH_DNS_TYPES], const struct berth_dns_answer *before,
		    struct berth_dns_outcome *outcome);

/* Seconds until the next query: the TTL within the configured bounds, or backoff after `failures` in a row. */
uint32_t berth_dns_next_query_s(const struct berth_dns_config *config, uint32_t ttl_s, uint32_t failures);
