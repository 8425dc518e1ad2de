/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * State of DNS: the last good answer for each name, and the backends made from answers, including those that still
 * drain. Plain data with a JSON form (state_json.c), so that it survives a restart of berthd.
 */
#pragma once

#include "controlplane/config/config.h"

/* A backend made from an answer is named NAME@ADDRESS; names in a configuration contain no "@". */
#define BERTH_DNS_NAME_SEPARATOR "@"

enum {
	BERTH_DNS_MAX_ADDRESSES = 1024, /* per name; a larger answer is not used */
};

struct berth_dns_answer {
	char name[BERTH_DNS_NAME_BYTES];
	union berth_addr *addresses; /* sorted, unique */
	size_t n;
};

/* A backend in the configuration in force that was made from an answer. */
struct berth_dns_member {
	uint64_t service; /* id */
	char source[BERTH_SOURCE_NAME_BYTES];
	union berth_addr address;
	/* The address has left DNS, but the backend is still eligible for new clients: no other backend is. */
	bool retained;
};

struct berth_dns_state {
	struct berth_dns_answer *answers;
	size_t n_answers;
	struct berth_dns_member *members; /* sorted */
	size_t n_members;
};

void berth_dns_state_clear(struct berth_dns_state *state);

/* --- answers --- */

/* NULL: not found. */
const struct berth_dns_answer *berth_dns_state_answer(const struct berth_dns_state *state, const char *name);
bool berth_dns_answer_contains(const struct berth_dns_answer *answer, const union berth_addr *address);
/* Sorts `addresses` and removes duplicates; returns the new number. */
size_t berth_dns_sort_unique(union berth_addr *addresses, size_t n);
/* Replaces the answer for a name; n = 0 removes it. `addresses` are sorted and unique. Returns 0 or -ENOMEM. */
int berth_dns_state_set_answer(struct berth_dns_state *state, const char *name, const union berth_addr *addresses,
			       size_t n);

/* Exchanges the addresses of the answer for `name` with those of `answer`; n = 0 means none. Returns 0 or -ENOMEM;
 * an exchange that restores the former addresses cannot fail. */
int berth_dns_state_exchange(struct berth_dns_state *state, const char *name, struct berth_dns_answer *answer);

/* --- members --- */

/* The members of an expanded configuration, for commit or free. NULL: out of memory. */
struct berth_dns_member *berth_dns_state_stage(const struct berth_dns_state *state,
					       const struct berth_config *config, size_t *n_members);
/* Takes ownership of staged members, and removes answers for names that the configuration does not use. */
void berth_dns_state_commit(struct berth_dns_state *state, const struct berth_config *config,
			    struct berth_dns_member *members, size_t n);
/* Stage and commit in one. Sets the members to the backends of an expanded configuration, and removes answers for
 * names that it does not use. Returns 0, or -ENOMEM with nothing changed. */
int berth_dns_state_update(struct berth_dns_state *state, const struct berth_config *config);
/* Takes ownership of `members`, in any order. */
void berth_dns_state_set_members(struct berth_dns_state *state, struct berth_dns_member *members, size_t n);
bool berth_dns_state_has_member(const struct berth_dns_state *state, uint64_t service, const char *source,
				const union berth_addr *address);
/* True if the backend was made from an answer, and the latest answer does not contain its address. */
bool berth_dns_state_has_left(const struct berth_dns_state *state, const struct berth_service_config *service,
			      const struct berth_backend_config *backend);
/* Sets `retained` of a member. Returns false if nothing changed or the backend is not a member. */
bool berth_dns_state_set_retained(struct berth_dns_state *state, uint64_t service,
				  const struct berth_backend_config *backend, bool retained);
/* Returns false if the backend is not a member. */
bool berth_dns_state_remove_member(struct berth_dns_state *state, uint64_t service,
				   const struct berth_backend_config *backend);

/* --- JSON, in state_json.c --- */

/* The caller frees the text. NULL: out of memory. */
char *berth_dns_state_format(const struct berth_dns_state *state);
/* Returns 0, -EINVAL if the text is not exactly what format writes, or -ENOMEM. After an error the state is empty.
 */
int berth_dns_state_parse(struct berth_dns_state *state, const char *text, size_t length);
