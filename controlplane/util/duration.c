// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/util/duration.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct unit {
	const char *name;
	int64_t ms;
} units[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

int64_t berth_duration_parse(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 9)
		return -1;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (!strcmp(text + digits, units[i].name))
			return strtoll(text, NULL, 10) * units[i].ms;
	return -1;
}

void berth_duration_format(char *text, size_t size, int64_t ms)
{
	const struct unit *unit = units;

	while (ms ? ms % unit->ms != 0 : unit->ms != 1000)
		unit++;
	snprintf(text, size, "%lld%s", (long long)(ms / unit->ms), unit->name);
}
