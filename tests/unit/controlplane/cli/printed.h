/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of what berthctl prints. */
#pragma once

#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/cli/cli.h"

/* The text that `print` writes. The caller frees it. */
#define PRINTED(out, print)                                                                                        \
	({                                                                                                         \
		char *text_ = NULL;                                                                                \
		size_t size_;                                                                                      \
		FILE *out = open_memstream(&text_, &size_);                                                        \
		assert_non_null(out);                                                                              \
		print;                                                                                             \
		fclose(out);                                                                                       \
		text_;                                                                                             \
	})
