// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/history/describe.h"

#include <stdio.h>
#include <string.h>

#include "controlplane/config/diff.h"

enum {
	FIRST_BYTES = 160,
};

struct description {
	char first[FIRST_BYTES];
	size_t n;
};

static void add(void *arg, const struct berth_config_change *change)
{
	static const char *const words[] = {"added", "removed", "changed"};
	struct description *description = arg;
	char *text = description->first;
	if (description->n++)
		return;
	int used = 0;
	if (change->service)
		used = snprintf(text, FIRST_BYTES, "%s%s%s: ", change->service, change->backend ? "/" : "",
				change->backend ? change->backend : "");
	if (used < 0 || used >= FIRST_BYTES)
		return;
	if (change->before)
		snprintf(text + used, FIRST_BYTES - (size_t)used, "%s %s -> %s", change->key, change->before,
			 change->after);
	else
		snprintf(text + used, FIRST_BYTES - (size_t)used, "%s%s%s", change->key ? change->key : "",
			 change->key ? " " : "", words[change->what]);
}

void berth_history_describe(const struct berth_config *before, const struct berth_config *after, char *text,
			    size_t size)
{
	struct description description = {.n = 0};
	berth_config_diff(before, after, add, &description);
	if (!description.n)
		snprintf(text, size, "comments or spelling only");
	else if (description.n == 1)
		snprintf(text, size, "%s", description.first);
	else
		snprintf(text, size, "%s, and %zu more change%s", description.first, description.n - 1,
			 description.n == 2 ? "" : "s");
}
