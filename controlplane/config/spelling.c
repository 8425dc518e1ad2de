/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/config/spelling.h"

#include <stdint.h>
#include <string.h>

enum {
	MAX_BYTES = 24,
	MAX_DISTANCE = 2,
	SHORT_BYTES = 3, /* in a shorter word two edits change everything */
};

size_t berth_spelling_distance(const char *a, const char *b)
{
	size_t row[MAX_BYTES + 1]; /* of the distance matrix */
	size_t n = strlen(b);

	if (n > MAX_BYTES || strlen(a) > MAX_BYTES)
		return SIZE_MAX;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];
		row[0] = i + 1;
		for (size_t j = 0; j < n; j++) {
			size_t best = diagonal + (a[i] != b[j]);
			diagonal = row[j + 1];
			if (best > diagonal + 1)
				best = diagonal + 1;
			if (best > row[j] + 1)
				best = row[j] + 1;
			row[j + 1] = best;
		}
	}
	return row[n];
}

size_t berth_spelling_limit(const char *word)
{
	return strlen(word) <= SHORT_BYTES ? MAX_DISTANCE : MAX_DISTANCE + 1;
}
