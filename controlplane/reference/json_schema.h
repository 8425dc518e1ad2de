/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keys of the configuration as a JSON schema (draft 7), from the tables that read it. It is wider than berthd:
 * it knows types, ranges and words, but no rule between keys. Run while berth is built.
 */
#pragma once

#include "controlplane/config/schema.h"

/* A new object; NULL: no memory, or the schema of a field in the tables is invalid. */
json_t *berth_reference_schema(const struct berth_section *section);
