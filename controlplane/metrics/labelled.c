// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/metrics/labelled.h"

#include <stdarg.h>
#include <stddef.h>

static const struct {
	const char *name;
	enum berth_metric_type type;
	const char *help;
} metrics[] = {
#define X(symbol, name, type, help) {name, BERTH_METRIC_##type, help},
	BERTH_METRICS_LABELLED(X)
#undef X
};

void berth_labelled_head(struct berth_text *out, enum berth_labelled metric)
{
	berth_text_head(out, metrics[metric].name, metrics[metric].type, metrics[metric].help);
}

void berth_labelled_write(struct berth_text *out, enum berth_labelled metric, struct berth_labels labels,
			  uint64_t value)
{
	berth_text_sample(out, metrics[metric].name, metrics[metric].type, labels, value);
}

void berth_labelled_sample(struct berth_text *out, enum berth_labelled metric, uint64_t value, const char *key, ...)
{
	struct berth_text labels = {0};
	va_list pairs;
	va_start(pairs, key);
	for (; key; key = va_arg(pairs, const char *))
		berth_text_label(&labels, 0, key, va_arg(pairs, const char *));
	va_end(pairs);
	out->failed |= labels.failed;
	berth_labelled_write(out, metric, berth_text_labels(&labels, 0), value);
	berth_text_clear(&labels);
}
