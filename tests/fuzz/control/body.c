// SPDX-License-Identifier: BSD-3-Clause
/* The search for `expect` in the answer to a health check, in pieces: the same as a search in all of it. */
#include "controlplane/health/match.h"
#include "tests/fuzz/control/fuzz.h"

/* data: the length of the text, the length of a piece, the text, the answer. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct berth_match match;
	if (size < 3)
		return 0;
	const size_t piece = data[1] % 8 + 1u;
	size_t bytes = data[0] < size - 2 ? data[0] : size - 2;
	bytes = bytes < BERTH_HEALTH_DATA_BYTES ? bytes : BERTH_HEALTH_DATA_BYTES;
	uint8_t *text = (uint8_t *)copy_of(data + 2, bytes);
	uint8_t *answer = (uint8_t *)copy_of(data + 2 + bytes, size - 2 - bytes);
	const size_t length = size - 2 - bytes;
	int is_found = 0;
	berth_match_init(&match, text, (uint16_t)bytes);
	for (size_t at = 0; at < length; at += piece)
		is_found = berth_match_feed(&match, answer + at, length - at < piece ? length - at : piece);
	if (bytes && length)
		need(is_found == (memmem(answer, length, text, bytes) != NULL));
	free(text);
	free(answer);
	return 0;
}
