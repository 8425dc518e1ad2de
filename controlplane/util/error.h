/* SPDX-License-Identifier: BSD-3-Clause */
/* A message for people: one line that says what is wrong and how to mend it. Longer ones are cut. */
#pragma once

enum {
	BERTH_ERROR_BYTES = 512
};
