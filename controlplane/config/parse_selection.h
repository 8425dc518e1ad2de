/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the keys of a service for selection: scheduler, bound, overload, failback, on-down, panic-threshold, backup
 * and group. */
#pragma once

#include "controlplane/config/config.h"
#include "controlplane/config/schema.h"

extern const struct berth_word berth_config_scheduler_words[];
extern const struct berth_word berth_config_overload_words[];
extern const struct berth_word berth_config_failback_words[];
extern const struct berth_word berth_config_on_down_words[];

#define BERTH_BOUND_NOUN "a number from 1.05 to 10 with at most two decimals"
#define BERTH_PANIC_THRESHOLD_NOUN "a share from 1% to 99%, or off"

/* "50%": 1 to 100; 0: the text is no such share. */
uint32_t berth_config_parse_percent(const char *text);
/* For BERTH_FIELD_CUSTOM, into a uint32_t with percent. */
int berth_config_read_bound(struct berth_schema *schema, json_t *value, void *member);
int berth_config_read_panic_threshold(struct berth_schema *schema, json_t *value, void *member);

/* Fills in the defaults that depend on other keys, and checks the keys against each other. `item`: the service in
 * the file. 0 or -errno with one line in the schema's `error`. */
int berth_config_check_selection(struct berth_schema *schema, json_t *item, struct berth_service_config *service);
/* Checks the services of each group against each other, after all of `list` is read. */
int berth_config_check_groups(struct berth_schema *schema, json_t *list, const struct berth_config *config);
