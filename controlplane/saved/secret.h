/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The secret of an instance: the key of every hash, so that nobody outside can compute which flows share a bucket
 * or a row. Which backend a client gets depends on it, so it is made once. As text, it is a line of hexadecimal
 * digits: all of its bytes, or 32 or more bytes from which it is derived. Nodes with the same secret select the
 * same backends.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "controlplane/util/error.h"
#include "dataplane/core/limits.h"

enum {
	BERTH_SECRET_MIN_BYTES = 32,
	BERTH_SECRET_TEXT = 2 * BERTH_SECRET_BYTES + 2, /* with a newline and the final 0 */
};

/* -EINVAL with the reason in `error`. */
int berth_secret_parse(uint8_t secret[BERTH_SECRET_BYTES], const char *text, size_t length,
		       char error[BERTH_ERROR_BYTES]);
void berth_secret_format(const uint8_t secret[BERTH_SECRET_BYTES], char text[BERTH_SECRET_TEXT]);
