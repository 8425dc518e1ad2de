/* SPDX-License-Identifier: BSD-3-Clause */
/* Moves words of a former table (core/former.h) into the table without a packet, while workers run: sessions, whose
 * clients have addresses, and flows if the table is not larger than the former one. */
#pragma once

#include "dataplane/core/image.h"

/* Those of one bucket of the former table (enum berth_table). Returns how many lookups that took. */
uint32_t berth_former_words_move(const struct berth_view *view, uint32_t table, uint32_t bucket);
/* All. Whether no live word is left there; none can come back. */
bool berth_former_words_empty(const struct berth_image *image, uint32_t table, uint32_t now);
