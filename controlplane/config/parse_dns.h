/* SPDX-License-Identifier: BSD-3-Clause */
/* DNS names in place of backends' addresses, and the section `dns`; a part of config.c. */
#pragma once

#include "controlplane/config/config.h"
#include "controlplane/config/schema.h"

#define BERTH_DNS_NAME_NOUN "a host's whole name in DNS, like web.example.org, at most 253 bytes"

/* Over struct berth_dns_config. */
extern const struct berth_section berth_config_dns;

bool berth_config_is_dns_name(const char *text);
/* How many items of a list of backends have a name for an address. */
size_t berth_config_count_sources(json_t *list);

/* An item of a list of backends that has been read: has it an address or a name, and what a name needs? Brings the
 * name into its one form. 0 or -errno with one line in the schema's `error`, like the next. */
int berth_config_check_source(struct berth_schema *schema, json_t *item, struct berth_source_config *entry);
/* Once all of the section `dns` is read. */
int berth_config_check_dns(struct berth_schema *schema, const struct berth_dns_config *dns);

/* Where in the file's list the backend with that index stands, between names that are none. */
size_t berth_config_item_index(const struct berth_service_config *service, size_t index);
