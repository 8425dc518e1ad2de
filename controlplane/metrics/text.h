/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Text format of Prometheus, version 0.0.4. Pure. The samples of a metric follow its head without a gap. No printf:
 * it would take most of the time of a scrape with tens of thousands of lines.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum berth_metric_type {
	BERTH_METRIC_COUNTER,
	BERTH_METRIC_GAUGE,
	BERTH_METRIC_HUNDREDTHS, /* a gauge with values in hundredths */
	BERTH_METRIC_MICROS,	 /* likewise in millionths */
	BERTH_METRIC_COUNTER_MICROS,
};

/* Zero-initialized: empty. After a failed allocation `failed` stays set and nothing more is written. */
struct berth_text {
	char *bytes; /* not terminated */
	size_t length;
	size_t capacity;
	bool failed;
};

/* Formatted labels: {service="web",backend="b1"}; 0 bytes: no labels. */
struct berth_labels {
	const char *bytes;
	size_t length;
};

void berth_text_clear(struct berth_text *text);
/* Appends the line and its end. */
void berth_text_line(struct berth_text *text, const char *line);

/* Appends formatted labels. */
void berth_text_copy(struct berth_text *text, struct berth_labels labels);
/* Adds a label to the set from `start` to the end of `text`. */
void berth_text_label(struct berth_text *text, size_t start, const char *key, const char *value);
/* Returns the set from `start` to the end of `text`; valid until the next change of `text`. */
struct berth_labels berth_text_labels(const struct berth_text *text, size_t start);

void berth_text_head(struct berth_text *text, const char *name, enum berth_metric_type type, const char *help);
void berth_text_sample(struct berth_text *text, const char *name, enum berth_metric_type type,
		       struct berth_labels labels, uint64_t value);
