/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The text format of Prometheus, version 0.0.4: what a scrape gets. Pure. The lines of a metric are together, its
 * head before them. Written without printf, which takes most of the time where there are ten thousands of lines.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum berth_metric_type {
	BERTH_METRIC_COUNTER,
	BERTH_METRIC_GAUGE,
	BERTH_METRIC_TENTHS, /* a gauge whose samples are in tenths */
};

/* All zero: empty. Once there was no memory, `failed` stays set and nothing more is written. */
struct berth_text {
	char *bytes; /* not terminated */
	size_t length;
	size_t room;
	bool failed;
};

/* A sample's labels as they stand in the text: {service="web",backend="b1"}; no labels are 0 bytes. */
struct berth_labels {
	const char *bytes;
	size_t length;
};

void berth_text_clear(struct berth_text *text);

/* Adds labels that stand in another text. */
void berth_text_copy(struct berth_text *text, struct berth_labels labels);
/* Adds a label to the set that begins at `start` of `text` and ends where the text does. */
void berth_text_label(struct berth_text *text, size_t start, const char *key, const char *value);
/* The set that begins there, once it has all its labels; until something is added to `text`. */
struct berth_labels berth_text_labels(const struct berth_text *text, size_t start);

void berth_text_head(struct berth_text *text, const char *name, enum berth_metric_type type, const char *help);
void berth_text_sample(struct berth_text *text, const char *name, enum berth_metric_type type,
		       struct berth_labels labels, uint64_t value);
