/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the key `dns` of a backend, and the section `dns`. */
#pragma once

#include "controlplane/config/config.h"
#include "controlplane/config/schema.h"

#define BERTH_DNS_NAME_NOUN "a full host name in DNS, like web.example.org, at most 253 bytes"

/* Fills a struct berth_dns_config. */
extern const struct berth_section berth_config_dns;

bool berth_config_is_dns_name(const char *text);
/* The items of a list of backends that have the key `dns`. */
size_t berth_config_count_sources(json_t *list);

/* Checks an item of a list of backends that has been read: it has an address or a DNS name, and what a name needs.
 * Normalizes the name. 0 or -errno with one line in the schema's `error`, like the next function. */
int berth_config_check_source(struct berth_schema *schema, json_t *item, struct berth_source_config *entry);
/* The checks that need the whole section `dns`. */
int berth_config_check_dns(struct berth_schema *schema, const struct berth_dns_config *dns);

/* The index in the file's list of the backend with index `index`; items with `dns` are not in `backends`. */
size_t berth_config_item_index(const struct berth_service_config *service, size_t index);
