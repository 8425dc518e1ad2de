/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Selection: which backend a new client or flow gets. Reads the service's table (two choices a row) and the
 * admit bytes; keeps no state.
 */
#pragma once

#include "flowtab.h"

/* The row of a tag, a table of `rows` rows; a multiplication where a remainder would do. */
BERTH_INLINE uint32_t berth_row_of_tag(uint32_t tag, uint32_t rows)
{
	return (uint32_t)((uint64_t)tag * rows >> BERTH_TAG_BITS);
}

/* The choices of a row, or zeros. */
BERTH_INLINE struct berth_row berth_row_at(const struct berth_view *view, const struct berth_service *service,
					   uint32_t row)
{
	uint32_t index = service->row_line + row / BERTH_ROWS_PER_LINE;
	const struct berth_row_line *line = index < view->row_lines ? berth_at_rows(view, index) : NULL;
	return line ? line->row[row % BERTH_ROWS_PER_LINE] : (struct berth_row){0, 0};
}

/*
 * The backend for a tag: the row's first choice, or its second where the first takes nobody new. Where both
 * failed at once and no generation has followed yet, rows further on are asked. 0: none.
 */
BERTH_INLINE uint32_t berth_select(const struct berth_view *view, const struct berth_service *service, uint32_t tag)
{
	for (uint32_t i = 0; i < BERTH_SELECT_TRIES && service->rows; i++) {
		struct berth_row row = berth_row_at(view, service, berth_row_of_tag(tag, service->rows));
		if (berth_admits(view, row.first) & BERTH_ADMIT_NEW)
			return row.first;
		if (berth_admits(view, row.second) & BERTH_ADMIT_NEW)
			return row.second;
		tag = (tag * 0x9e3779b1u + 1) & ((1u << BERTH_TAG_BITS) - 1);
	}
	return 0;
}
