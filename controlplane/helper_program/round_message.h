/* SPDX-License-Identifier: BSD-3-Clause */
/* What berthd asks of a round (helper/message.h), checked. Pure. */
#pragma once

#include <stdbool.h>

#include "controlplane/helper/message.h"

enum {
	BERTH_ROUND_ENTRIES = 256, /* that a round asks for, of all streams */
};

bool berth_round_is_valid(const struct berth_helper_store_round *round);
/* Whether a connection that was made for one of them is one for the other. */
bool berth_round_same_place(const struct berth_helper_store_round *a, const struct berth_helper_store_round *b);
