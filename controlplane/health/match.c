/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/health/match.h"

#include <stddef.h>

/* Returns the length of the matched prefix after one more byte. */
static uint16_t step(const struct berth_match *match, uint16_t n, uint8_t byte)
{
	while (n && match->text[n] != byte)
		n = match->fallback[n];
	return match->text[n] == byte ? (uint16_t)(n + 1) : 0;
}

void berth_match_init(struct berth_match *match, const uint8_t *text, uint16_t bytes)
{
	*match = (struct berth_match){.text = text, .bytes = bytes};
	for (uint16_t n = 2; n < bytes; n++)
		match->fallback[n] = (uint8_t)step(match, match->fallback[n - 1], text[n - 1]);
}

bool berth_match_feed(struct berth_match *match, const void *piece, size_t bytes)
{
	const uint8_t *byte = piece;

	for (size_t i = 0; i < bytes && match->matched < match->bytes; i++)
		match->matched = step(match, match->matched, byte[i]);
	return match->matched == match->bytes;
}
