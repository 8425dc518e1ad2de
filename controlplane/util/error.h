/* SPDX-License-Identifier: BSD-3-Clause */
/* An error message: one line with place, cause and remedy. A longer message is truncated. */
#pragma once

enum {
	BERTH_ERROR_BYTES = 512
};
