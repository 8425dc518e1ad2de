// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/saved/secret.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "controlplane/util/file.h"
#include "dataplane/interface/private_file.h"

/* -1: not a digit. */
static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* From fewer bytes: word i is XXH3_64bits of them with seed i, little-endian. */
static void derive(uint8_t secret[BERTH_SECRET_BYTES], const uint8_t *bytes, size_t n)
{
	for (uint64_t i = 0; i < BERTH_SECRET_BYTES / sizeof(i); i++) {
		uint64_t word = htole64(XXH3_64bits_withSeed(bytes, n, i));
		memcpy(secret + i * sizeof(word), &word, sizeof(word));
	}
}

int berth_secret_parse(uint8_t secret[BERTH_SECRET_BYTES], const char *text, size_t length,
		       char error[BERTH_ERROR_BYTES])
{
	uint8_t bytes[BERTH_SECRET_BYTES];
	size_t n = length / 2;
	if (length && text[length - 1] == '\n')
		n = --length / 2;
	if (length % 2 || n < BERTH_SECRET_MIN_BYTES || n > BERTH_SECRET_BYTES) {
		snprintf(error, BERTH_ERROR_BYTES,
			 "it must be one line of %d to %d hexadecimal digits, an even number",
			 2 * BERTH_SECRET_MIN_BYTES, 2 * BERTH_SECRET_BYTES);
		return -EINVAL;
	}
	for (size_t i = 0; i < n; i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
		if (high < 0 || low < 0) {
			snprintf(error, BERTH_ERROR_BYTES, "it must be hexadecimal digits, and byte %zu is none",
				 2 * i + (high >= 0) + 1);
			return -EINVAL;
		}
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	if (n == BERTH_SECRET_BYTES)
		memcpy(secret, bytes, n);
	else
		derive(secret, bytes, n);
	return 0;
}

void berth_secret_format(const uint8_t secret[BERTH_SECRET_BYTES], char text[BERTH_SECRET_TEXT])
{
	static const char digits[] = "0123456789abcdef";
	char *at = text;
	for (size_t i = 0; i < BERTH_SECRET_BYTES; i++) {
		*at++ = digits[secret[i] >> 4];
		*at++ = digits[secret[i] & 15];
	}
	*at++ = '\n';
	*at = '\0';
}

void berth_secret_digest_format(const char *text, size_t length, char digest[BERTH_SECRET_DIGEST_TEXT])
{
	const uint64_t value = XXH3_64bits(text, length);
	snprintf(digest, BERTH_SECRET_DIGEST_TEXT, "%016" PRIx64 " %016" PRIx64 "\n", value, value);
}

bool berth_secret_digest_is_whole(const char *digest, size_t length)
{
	return length == BERTH_SECRET_DIGEST_TEXT - 1 && strspn(digest, "0123456789abcdef") == 16 &&
	       memcmp(digest, digest + 17, 16) == 0;
}

char *berth_secret_read_file(const char *path, size_t *length, char error[BERTH_ERROR_BYTES])
{
	const char *fault = NULL;
	int fd = berth_private_open(path, O_RDONLY, BERTH_MODE_OTHERS, &fault);
	int err = fd < 0 ? -fd : 0;
	if (fd >= 0)
		close(fd);
	char *text = err ? NULL : berth_file_read_private(path, length, &fault);
	if (!text)
		snprintf(error, BERTH_ERROR_BYTES, "%s", fault ? fault : strerror(err ? err : errno));
	return text;
}
