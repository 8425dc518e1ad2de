/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What operators have set by commands, as plain data with a JSON form (operator_state_json.c): admin states with
 * their deadlines, forced health, and pins. Keyed by names, so that it is valid for other tables and after a
 * reboot. The configuration wins over it: entries for services or backends that are not configured are dropped.
 */
#pragma once

#include "controlplane/saved/operator_record.h"
#include "controlplane/saved/pins.h"

struct berth_saved_backend {
	char service[BERTH_NAME_BYTES];
	char backend[BERTH_NAME_BYTES];
	enum berth_admin admin;
	enum berth_forced forced;
	int64_t evict_at;   /* end of its drain, Unix time; 0: none */
	int64_t drain_left; /* seconds until then, when it was saved; -1: not known */
};

struct berth_saved_pin {
	char service[BERTH_NAME_BYTES]; /* or a group */
	bool is_group;
	char backend[BERTH_NAME_BYTES];
	union berth_addr client;
	uint8_t bits; /* prefix length of 128 */
};

struct berth_operator_state {
	struct berth_saved_backend *backends;
	size_t n_backends;
	struct berth_saved_pin *pins;
	size_t n_pins;
	bool is_node_drained;
	struct berth_operator_record *records; /* in a cluster: when and by whom things were set */
	size_t n_records;
};

/* One moment on both clocks, in seconds. */
struct berth_saved_time {
	uint32_t monotonic;
	int64_t unix_s;
};

void berth_operator_state_clear(struct berth_operator_state *state);

/* What the model's backends differ in from new ones, and the pins. Returns 0 or -ENOMEM. */
int berth_operator_state_collect(struct berth_operator_state *state, const struct berth_model *model,
				 const struct berth_pins *pins, const struct berth_saved_time *now);

/* The saved end of a drain, Unix time, on this boot's clock: never 0. `left`: seconds when it was saved; -1: not
 * known. */
uint32_t berth_saved_deadline(int64_t evict_at, int64_t left, const struct berth_saved_time *now);

/* Sets the admin state, deadline and forced health of the model's backends. A deadline that has passed is due now.
 * If the host's clock was set back meanwhile, no more is left of a drain than when it was saved.
 * Returns the number of entries that were dropped. */
size_t berth_operator_state_restore(const struct berth_operator_state *state, const struct berth_model *model,
				    const struct berth_saved_time *now);
/* Makes the list of pins. Returns the number of dropped ones, or -ENOMEM. */
int berth_operator_state_restore_pins(const struct berth_operator_state *state, const struct berth_model *model,
				      struct berth_pins *pins);

/* --- JSON, in operator_state_json.c --- */

/* The caller frees the text. NULL: out of memory. */
char *berth_operator_state_format(const struct berth_operator_state *state);
/* Returns 0; -EINVAL: the text is not what format writes; -ENOTSUP: of another version; or -ENOMEM. After an error
 * the state is empty. */
int berth_operator_state_parse(struct berth_operator_state *state, const char *text, size_t length);
