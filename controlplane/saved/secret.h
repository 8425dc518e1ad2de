/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The secret of an instance: the key of every hash, so that nobody outside can compute which flows share a bucket
 * or a row. Which backend a client gets depends on it, so it is made once. As text, it is a line of hexadecimal
 * digits: all of its bytes, or 32 or more bytes from which it is derived. Nodes with the same secret select the
 * same backends.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/util/error.h"
#include "dataplane/core/limits.h"

enum {
	BERTH_SECRET_MIN_BYTES = 32,
	BERTH_SECRET_TEXT = 2 * BERTH_SECRET_BYTES + 2, /* with a newline and the final 0 */
};

/* The digest of a secret's text is in a file beside it: any digit is a valid secret. As text, it is there twice, so
 * that damage of the digest itself is not taken for damage of the secret. */
enum {
	BERTH_SECRET_DIGEST_TEXT = 2 * 17 + 1,
};
void berth_secret_digest_format(const char *text, size_t length, char digest[BERTH_SECRET_DIGEST_TEXT]);
bool berth_secret_digest_is_whole(const char *digest, size_t length);

/* -EINVAL with the reason in `error`. */
int berth_secret_parse(uint8_t secret[BERTH_SECRET_BYTES], const char *text, size_t length,
		       char error[BERTH_ERROR_BYTES]);
void berth_secret_format(const uint8_t secret[BERTH_SECRET_BYTES], char text[BERTH_SECRET_TEXT]);

/* The text of a file that the configuration names, of a secret or a password: other users must not be able to read
 * or write it. The caller frees it. NULL with the reason in `error`. */
char *berth_secret_read_file(const char *path, size_t *length, char error[BERTH_ERROR_BYTES]);
