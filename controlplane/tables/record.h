/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes the numbers of a generation into the record of the tables (model/record.h). In two steps: what is new
 * before the generation is current, so that no word has a number that is not in the record; what has changed or is
 * gone after that. berthd can end between any two stores: what a step left undone is a number without words, or one
 * whose words the next scan removes. A record that is NULL is not kept.
 */
#pragma once

#include "controlplane/compile/generation.h"
#include "controlplane/model/record.h"

void berth_record_add(struct berth_record *record, const struct berth_generation *generation);
void berth_record_set(struct berth_record *record, const struct berth_generation *generation);
/* The eligibility of a backend number. */
void berth_record_set_eligibility(struct berth_record *record, uint32_t backend, uint8_t eligibility);
/* What the agent of a backend number says. */
void berth_record_set_agent(struct berth_record *record, uint32_t backend, const struct berth_record_agent *agent);
