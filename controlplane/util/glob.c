// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/util/glob.h"

#include <stddef.h>

bool berth_glob_match(const char *pattern, const char *text)
{
	/* The last * and the text that it was tried at: only it needs to be tried again, since what an earlier one
	 * left for the last one is the longest rest. */
	const char *star = NULL, *retry = NULL;
	while (*text) {
		if (*pattern == '*') {
			star = pattern++;
			retry = text;
		} else if (*pattern == '?' || *pattern == *text) {
			pattern++;
			text++;
		} else if (star) {
			pattern = star + 1;
			text = ++retry;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}
