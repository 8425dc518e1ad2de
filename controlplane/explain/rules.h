/* SPDX-License-Identifier: BSD-3-Clause */
/* The numbers of the rules of docs/packets.md that name a verdict, as "7.1, 7.3"; "": none. rules.py makes them. */
#pragma once

#include "dataplane/core/verdict.h"

extern const char *const berth_verdict_rules[BERTH_VERDICT_COUNT];
