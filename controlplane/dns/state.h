/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is known of DNS: the last good answer for each name, and which backends were made of answers, those that
 * still drain among them. Plain data, also as text, so that it outlives berthd.
 */
#pragma once

#include "controlplane/config/config.h"

enum {
	BERTH_DNS_MAX_ADDRESSES = 1024, /* of a name; an answer with more is not used */
};

struct berth_dns_answer {
	char name[BERTH_DNS_NAME_BYTES];
	union berth_addr *addresses; /* sorted, each once */
	size_t n;
};

/* A backend of the configuration in force that is there because of DNS. */
struct berth_dns_member {
	uint64_t service; /* its id */
	char source[BERTH_SOURCE_NAME_BYTES];
	union berth_addr address;
	bool retained; /* takes new clients even if its address has left DNS: nobody else is there for them */
};

struct berth_dns_state {
	struct berth_dns_answer *answers;
	size_t n_answers;
	struct berth_dns_member *members; /* sorted */
	size_t n_members;
};

void berth_dns_state_clear(struct berth_dns_state *known);

/* NULL: none. */
const struct berth_dns_answer *berth_dns_state_answer(const struct berth_dns_state *known, const char *name);
bool berth_dns_answer_contains(const struct berth_dns_answer *answer, const union berth_addr *address);
/* Sorts `addresses` and leaves each of them once; how many remain. */
size_t berth_dns_sort_unique(union berth_addr *addresses, size_t n);
/* The last good answer from now on; no addresses: there is none. `addresses` are sorted, each once. -ENOMEM. */
int berth_dns_state_set_answer(struct berth_dns_state *known, const char *name, const union berth_addr *addresses,
			       size_t n);

/* The members are those of an expanded configuration from now on, and answers for other names than its own are
 * forgotten. -ENOMEM: nothing has changed. */
int berth_dns_state_update(struct berth_dns_state *known, const struct berth_config *config);
/* Takes over `members`, in any order. */
void berth_dns_state_set_members(struct berth_dns_state *known, struct berth_dns_member *members, size_t n);
bool berth_dns_state_has_member(const struct berth_dns_state *known, uint64_t service, const char *source,
				const union berth_addr *address);
/* Whether a backend of this service is there because of DNS, and DNS has it no more. */
bool berth_dns_state_has_left(const struct berth_dns_state *known, const struct berth_service_config *service,
			      const struct berth_backend_config *backend);
/* A member is retained from now on, or not. False: it is already, or is none. */
bool berth_dns_state_set_retained(struct berth_dns_state *known, uint64_t service,
				  const struct berth_backend_config *backend, bool retained);
/* A backend from DNS is a member no more. False: it was none. */
bool berth_dns_state_remove_member(struct berth_dns_state *known, uint64_t service,
				   const struct berth_backend_config *backend);

/* Freed by the caller; NULL: no memory. */
char *berth_dns_state_format(const struct berth_dns_state *known);
/* Reads what was written. -EINVAL where anything is not as it would have been written, or -ENOMEM: then nothing is
 * known. */
int berth_dns_state_parse(struct berth_dns_state *known, const char *text, size_t length);
