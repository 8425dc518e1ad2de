/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an agent says of its backend comes into force: `drain` as a drain, `maint` as a drain of flows only, `down`
 * as a backend that is down; the percentage through effective_weight.h. What takes clients away is in force at
 * once, what gives them back 10 s later at the earliest: an agent that says both in turn does not change tables
 * each second. berth_model_admin and berth_model_health (model.h) have the precedence. Pure: time is an argument.
 */
#pragma once

#include "controlplane/model/model.h"

enum {
	BERTH_AGENT_REST_MS = 10000,
};

/* Adds a line. False: the agent says what it said before. */
bool berth_agent_hear(struct berth_model_backend *backend, const struct berth_agent_words *line);
/* Its service has no agent any more: what it said is forgotten, and its weight goes back in steps. */
void berth_agent_forget(struct berth_model_backend *backend);
/* Advances the admin state and the health that are in force. Lowers *next_ms to the next change. True: the
 * backend's eligibility may have changed. */
bool berth_agent_follow(struct berth_model_backend *backend, uint64_t now_ms, uint64_t *next_ms);

/* As in the record of the tables, and from there. */
void berth_agent_save(const struct berth_model_backend *backend, struct berth_record_agent *record);
void berth_agent_restore(struct berth_agent_part *agent, uint64_t id, const struct berth_record_agent *record);
