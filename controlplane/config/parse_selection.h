/* SPDX-License-Identifier: BSD-3-Clause */
/* The keys of a service that say who gets what, and what happens when a backend leaves; a part of config.c. */
#pragma once

#include "controlplane/config/config.h"
#include "controlplane/config/schema.h"

extern const struct berth_word berth_config_scheduler_words[];
extern const struct berth_word berth_config_overload_words[];
extern const struct berth_word berth_config_failback_words[];
extern const struct berth_word berth_config_on_down_words[];

#define BERTH_BOUND_NOUN "a number from 1.05 to 10 with at most two decimals"
#define BERTH_PANIC_THRESHOLD_NOUN "a share from 1% to 99%"

/* For BERTH_FIELD_CUSTOM, into a uint32_t: hundredths; percent. */
int berth_config_read_bound(struct berth_schema *schema, json_t *value, void *member);
int berth_config_read_panic_threshold(struct berth_schema *schema, json_t *value, void *member);

/* Completes a service that has been read, and checks what its keys are to each other. `item` is where it was read
 * from. 0 or -errno with one line in the schema's `error`. */
int berth_config_check_selection(struct berth_schema *schema, json_t *item, struct berth_service_config *service);
/* The same for services of one group, once all are read from `list`. */
int berth_config_check_groups(struct berth_schema *schema, json_t *list, const struct berth_config *config);
