// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/metrics/packed.h"

#include <string.h>

struct berth_packed_row berth_packed_add(struct berth_text *memory, const uint64_t *values, uint32_t n)
{
	struct berth_packed_row row = {.first = memory->length};
	for (uint32_t i = 0; i < n; i++) {
		if (values[i] == BERTH_PACKED_ABSENT)
			continue;
		row.present |= UINT32_C(1) << i;
		if (!values[i])
			continue;
		row.stored |= UINT32_C(1) << i;
		berth_text_copy(memory, (struct berth_labels){(const char *)&values[i], sizeof(values[i])});
	}
	return row;
}

uint64_t berth_packed_get(const struct berth_text *memory, const struct berth_packed_row *row, uint32_t i)
{
	const uint32_t bit = UINT32_C(1) << i;
	uint64_t value;
	if (!(row->present & bit) || memory->failed)
		return BERTH_PACKED_ABSENT;
	if (!(row->stored & bit))
		return 0;
	const uint32_t before = (uint32_t)__builtin_popcount(row->stored & (bit - 1));
	memcpy(&value, memory->bytes + row->first + before * sizeof(value), sizeof(value));
	return value;
}
