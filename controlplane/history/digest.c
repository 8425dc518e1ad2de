// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/history/digest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#define START "# berth: digest "

enum {
	DIGITS = BERTH_DIGEST_TEXT - 1,
};

uint64_t berth_digest_of(const char *text, size_t length)
{
	return XXH3_64bits(text, length);
}

const char *berth_digest_format(uint64_t digest, char text[BERTH_DIGEST_TEXT])
{
	snprintf(text, BERTH_DIGEST_TEXT, "%016" PRIx64, digest);
	return text;
}

bool berth_digest_parse(const char *text, uint64_t *digest)
{
	return strspn(text, "0123456789abcdef") == DIGITS && !text[DIGITS] && sscanf(text, "%" SCNx64, digest) == 1;
}

void berth_digest_line(uint64_t digest, char line[BERTH_DIGEST_LINE])
{
	char text[BERTH_DIGEST_TEXT];
	snprintf(line, BERTH_DIGEST_LINE, START "%s; with this line, `config apply` notices changes made since\n",
		 berth_digest_format(digest, text));
}

size_t berth_digest_line_of(const char *text, size_t length, uint64_t *digest)
{
	const size_t start = sizeof(START) - 1;
	char digits[BERTH_DIGEST_TEXT] = "";
	const char *end = memchr(text, '\n', length);
	if (!end || (size_t)(end - text) < start + DIGITS || memcmp(text, START, start) != 0)
		return 0;
	memcpy(digits, text + start, DIGITS);
	return berth_digest_parse(digits, digest) ? (size_t)(end - text) + 1 : 0;
}
