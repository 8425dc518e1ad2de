/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One thing that an operator has set, as plain data with a JSON form: for the state file, and for the other nodes
 * of a cluster. Keyed by names. It says when it was set, on which node and by whom: of two records of one key, the
 * later one holds. Pure.
 */
#pragma once

#include <jansson.h>

#include "controlplane/model/model.h"

enum {
	BERTH_OPERATOR_BY_BYTES = 24,
};

enum berth_operator_kind {
	BERTH_OPERATOR_ADMIN,  /* the admin state of a backend */
	BERTH_OPERATOR_HEALTH, /* its forced health */
	BERTH_OPERATOR_PIN,    /* which backend a client of a service has */
	BERTH_OPERATOR_KINDS,
};

struct berth_operator_record {
	/* The key: kind, service, and backend or client. */
	enum berth_operator_kind kind;
	bool is_group; /* PIN: `service` names a group */
	char service[BERTH_NAME_BYTES];
	char backend[BERTH_NAME_BYTES]; /* PIN: the value; "": it is not pinned any more */
	union berth_addr client;	/* PIN */
	uint8_t bits;			/* PIN: prefix length of 128 */
	/* The value. */
	uint8_t value;	  /* enum berth_admin or berth_forced; 0: what it is without an operator */
	bool is_local;	  /* of this node alone */
	int64_t until_s;  /* ADMIN: end of the drain, Unix time; 0: none */
	uint64_t time_ms; /* when it was set, Unix time of `node` */
	char node[BERTH_NAME_BYTES];
	char by[BERTH_OPERATOR_BY_BYTES]; /* the user, as in the log */
};

/* Orders keys. */
int berth_operator_record_compare_keys(const struct berth_operator_record *a,
				       const struct berth_operator_record *b);
/* Orders records of one key, the same on every node: above 0: `a` holds. 0: the same record. */
int berth_operator_record_compare_age(const struct berth_operator_record *a, const struct berth_operator_record *b);
/* Whether it says what would be so without it: a drain has ended, a pin was removed. */
bool berth_operator_record_is_end(const struct berth_operator_record *record);
/* "drain", "pinned to b1", "forced up", ... */
const char *berth_operator_record_describe(const struct berth_operator_record *record,
					   char text[BERTH_ERROR_BYTES]);

/* NULL: out of memory. */
json_t *berth_operator_record_json(const struct berth_operator_record *record);
/* Returns 0, or -EINVAL: no such record. Names are not those of this node's configuration. */
int berth_operator_record_read(struct berth_operator_record *record, const json_t *json);

/* For the state file, too. */
const char *berth_forced_name(enum berth_forced forced);
int berth_saved_read_name(const json_t *object, const char *key, char name[BERTH_NAME_BYTES]);
/* The index of the text in names; -EINVAL: none. */
int berth_saved_read_admin(const json_t *value);
int berth_saved_read_forced(const json_t *value);
