/* SPDX-License-Identifier: BSD-3-Clause */
/* Searches a text in a byte stream (Knuth, Morris, Pratt); keeps no bytes of the stream. */
#pragma once

#include "controlplane/config/health.h"

struct berth_match {
	const uint8_t *text; /* owned by the caller, must outlive the match */
	uint16_t bytes;	     /* 0: always matches */
	uint16_t matched;    /* length of the text's prefix at the end of the stream; equal to `bytes`: found */
	uint8_t fallback[BERTH_HEALTH_DATA_BYTES]; /* [n]: matched after a mismatch at n */
};

void berth_match_init(struct berth_match *match, const uint8_t *text, uint16_t bytes);
/* Returns true if the text has occurred. */
bool berth_match_feed(struct berth_match *match, const void *piece, size_t bytes);
