/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the key `backends` of a service. */
#pragma once

#include "controlplane/config/config.h"
#include "controlplane/config/schema.h"

#define BERTH_NAME_NOUN "1 to 63 of the characters A-Z a-z 0-9 . _ -"

/* Of a service, a backend or a group. */
bool berth_config_is_name(const char *text);

/* The keys of struct berth_source_config; its template has those of a backend. */
extern const struct berth_section berth_config_backend;

/* `member`: the struct berth_service_config, with all other keys read that precede `backends`. 0 or -errno with
 * one line in the schema's `error`. */
int berth_config_read_backends(struct berth_schema *schema, json_t *list, void *member);
