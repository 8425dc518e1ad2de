// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/model/numbers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* The current scan may have passed words with the number already; the next one removes them all. The third
	 * covers a worker that inserts late. */
	QUARANTINE_SCANS = 3,
};

int berth_numbers_init(struct berth_numbers *numbers, uint32_t size)
{
	*numbers = (struct berth_numbers){
		.id = calloc(size, sizeof(*numbers->id)),
		.quarantine = calloc(size, sizeof(*numbers->quarantine)),
		.used = calloc(size, sizeof(*numbers->used)),
		.size = size,
	};
	return numbers->id && numbers->quarantine && numbers->used ? 0 : -ENOMEM;
}

void berth_numbers_free(struct berth_numbers *numbers)
{
	free(numbers->id);
	free(numbers->quarantine);
	free(numbers->used);
	*numbers = (struct berth_numbers){0};
}

int berth_numbers_copy(struct berth_numbers *to, const struct berth_numbers *from, uint32_t size)
{
	const uint32_t n = from->size < size ? from->size : size;
	if (berth_numbers_init(to, size))
		return -ENOMEM;
	memcpy(to->id, from->id, n * sizeof(*from->id));
	memcpy(to->quarantine, from->quarantine, n);
	return 0;
}

uint32_t berth_numbers_allocate(struct berth_numbers *numbers, uint64_t id, uint32_t had, uint32_t *hint)
{
	if (had && had < numbers->size) {
		numbers->used[had] = true;
		return had;
	}
	for (; *hint < numbers->size; (*hint)++) {
		if (numbers->id[*hint] == 0 && numbers->quarantine[*hint] == 0) {
			numbers->id[*hint] = id;
			numbers->used[*hint] = true;
			return (*hint)++;
		}
	}
	return 0;
}

void berth_numbers_release_unused(struct berth_numbers *numbers)
{
	for (uint32_t n = 1; n < numbers->size; n++) {
		if (numbers->id[n] == 0 || numbers->used[n])
			continue;
		numbers->id[n] = 0;
		numbers->quarantine[n] = QUARANTINE_SCANS;
	}
}

void berth_numbers_quarantine(struct berth_numbers *numbers, uint32_t number)
{
	if (number && number < numbers->size && !numbers->id[number])
		numbers->quarantine[number] = QUARANTINE_SCANS;
}

uint32_t berth_numbers_quarantine_end(const struct berth_numbers *numbers)
{
	for (uint32_t n = numbers->size; n > 1; n--)
		if (numbers->quarantine[n - 1])
			return n;
	return 0;
}

void berth_numbers_scan_ended(struct berth_numbers *numbers)
{
	for (uint32_t n = 1; n < numbers->size; n++)
		numbers->quarantine[n] -= numbers->quarantine[n] > 0;
}
