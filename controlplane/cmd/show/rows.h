/* SPDX-License-Identifier: BSD-3-Clause */
/* Which services and backends a command shows: the arguments "service", "down", "host", and "after" for pages. */
#pragma once

#include "controlplane/cmd/cmd.h"

struct berth_cmd_filter {
	char service[2 * BERTH_NAME_BYTES]; /* a glob; "": all */
	char backend[2 * BERTH_NAME_BYTES]; /* likewise */
	bool is_down;			    /* only backends that are not up */
	bool has_host;
	union berth_addr host; /* only backends at this address */
};

/* Absent arguments exclude nothing. NOT_FOUND: no service has a name that matches. */
enum berth_code berth_cmd_parse_filter(const struct berth_cmd_context *context, const json_t *arguments,
				       struct berth_cmd_filter *filter, char error[BERTH_ERROR_BYTES]);
/* By its name, and whether it has a backend at the host. */
bool berth_cmd_filter_service(const struct berth_cmd_filter *filter, const struct berth_model_service *service);
/* Of a service that has passed. */
bool berth_cmd_filter_backend(const struct berth_cmd_filter *filter, const struct berth_model_backend *backend);

/* A row; NULL: this service has none. */
typedef json_t *berth_cmd_service_fn(const struct berth_daemon_state *state,
				     const struct berth_model_service *service);
/* The page of services that the arguments ask for (cursor, filters), each as `row` shows it, and the next cursor.
 */
enum berth_code berth_cmd_page_services(const struct berth_cmd_context *context, const json_t *arguments,
					berth_cmd_service_fn *row, json_t **services, json_t **next,
					char error[BERTH_ERROR_BYTES]);

/* The names of backends for rows of `show sessions` and `show flows`, by the number in table words. Rows share the
 * strings. */
enum berth_row_numbers {
	BERTH_ROW_FLOWS,    /* the numbers in words of flows */
	BERTH_ROW_SESSIONS, /* those in words of sessions: of a group, with the name of its first service */
};

struct berth_row_name {
	json_t *service; /* NULL, as the others: no backend of the model has the number */
	json_t *group;	 /* or null */
	json_t *backend;
	uint8_t protocol;
};

/* `n` names. NULL: out of memory. */
struct berth_row_name *berth_row_names_new(const struct berth_model *model, uint32_t n,
					   enum berth_row_numbers numbers);
void berth_row_names_free(struct berth_row_name *names, uint32_t n);
