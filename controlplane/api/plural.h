/* SPDX-License-Identifier: BSD-3-Clause */
/* Nouns behind a number: "%zu service%s" with BERTH_PLURAL(n), "%zu address%s" with BERTH_PLURAL_ES(n). */
#pragma once

#define BERTH_PLURAL(n) ((n) == 1 ? "" : "s")
#define BERTH_PLURAL_ES(n) ((n) == 1 ? "" : "es")
