/* SPDX-License-Identifier: BSD-3-Clause */
/* Patterns of names from users. Pure. */
#pragma once

#include <stdbool.h>

/* Whether the whole text matches: * stands for any characters, ? for one. Time: at most the product of both
 * lengths, whatever the pattern (fnmatch(3) has no such bound). */
bool berth_glob_match(const char *pattern, const char *text);
