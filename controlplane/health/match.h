/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether a text occurs in bytes that come piece by piece (Knuth, Morris, Pratt): nothing of them is kept. */
#pragma once

#include "controlplane/config/health.h"

struct berth_match {
	const uint8_t *text; /* the caller's, as long as this is used */
	uint16_t bytes;	     /* 0: occurs everywhere */
	uint16_t so_far;     /* how many of the text's first bytes the pieces end with; all: it was found */
	uint8_t back[BERTH_HEALTH_DATA_BYTES]; /* [n]: the same for the text's own first n bytes, less than n */
};

void berth_match_init(struct berth_match *match, const uint8_t *text, uint16_t bytes);
/* true: it has occurred by now. */
bool berth_match_feed(struct berth_match *match, const void *piece, size_t bytes);
