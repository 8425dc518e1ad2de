/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `berthctl report`: what a report of a fault needs, as one JSON object. One thread.
 */
#pragma once

#include "controlplane/cli/cli.h"

/* Asks berthd for everything that it shows, and prints it with facts about the host. What berthd does not answer
 * has its error in its place; the report is whole without it. */
enum berth_cli_status berth_cli_report(const struct berth_cli_options *options, bool is_anonymous);

/* pseudonyms.c: words in place of names and addresses, the same word for the same name everywhere in a report.
 * Numbers, not hashes: all hashes of four bytes are soon tried. */
struct berth_pseudonyms;

struct berth_pseudonyms *berth_pseudonyms_new(void); /* NULL: out of memory */
void berth_pseudonyms_free(struct berth_pseudonyms *pseudonyms);
/* Learns names: all strings below keys that hold some, as "name", "service", "node". */
void berth_pseudonyms_learn(struct berth_pseudonyms *pseudonyms, const json_t *value);
/* A copy of `value` in which names that were learnt, addresses and link addresses are replaced, in keys too. The
 * caller owns it; NULL: out of memory. */
json_t *berth_pseudonyms_replace(struct berth_pseudonyms *pseudonyms, const json_t *value);
