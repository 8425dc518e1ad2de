/* SPDX-License-Identifier: BSD-3-Clause */
/* What the fuzzers of the control plane share. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A crash, which libFuzzer reports with its input. */
static inline void need(int holds)
{
	if (!holds)
		abort();
}

/* A copy that ends where its buffer ends, so that the address sanitizer detects reads beyond it. */
static inline char *copy_of(const uint8_t *data, size_t size)
{
	char *copy = malloc(size ? size : 1);
	need(copy != NULL);
	memcpy(copy, data, size);
	return copy;
}
