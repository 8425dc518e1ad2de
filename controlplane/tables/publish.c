// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/tables/publish.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The row lines of a service's selection table. */
struct run {
	uint32_t line;
	uint32_t lines;
	uint32_t service;
	uint32_t rows;
	uint64_t version;  /* 0: adopted; the rows must be compared */
	bool is_current;   /* of the current generation; else freed when no worker reads the one before */
	bool is_published; /* of the generation that is being written */
};

struct berth_publisher {
	struct berth_engine *engine;
	struct run *runs; /* sorted by line; at most two per service: the current one and the one before */
	uint32_t n_runs;
	bool is_trial;	   /* berth_publisher_check: the image is not written */
	bool is_quiescent; /* every worker reads the current generation */
};

static int by_line(const void *a, const void *b)
{
	const struct run *left = a, *right = b;
	return (left->line > right->line) - (left->line < right->line);
}

/* The runs of an adopted image's current generation. */
static void adopt_runs(struct berth_publisher *publisher)
{
	const struct berth_image *image = &publisher->engine->image;
	const struct berth_image_half current = berth_image_current(image);
	for (uint32_t n = 1; n < image->geometry.services; n++) {
		const struct berth_service *service = &current.services[n];
		if (!service->id || !service->rows)
			continue;
		publisher->runs[publisher->n_runs++] = (struct run){
			.line = service->row_line,
			.lines = berth_row_lines(service->rows),
			.service = n,
			.rows = service->rows,
			.is_current = true,
		};
	}
	qsort(publisher->runs, publisher->n_runs, sizeof(struct run), by_line);
}

struct berth_publisher *berth_publisher_new(struct berth_engine *engine)
{
	struct berth_publisher *publisher = calloc(1, sizeof(*publisher));
	if (!publisher)
		return NULL;
	publisher->engine = engine;
	publisher->runs = calloc(2 * engine->image.geometry.services, sizeof(*publisher->runs));
	if (!publisher->runs) {
		free(publisher);
		return NULL;
	}
	adopt_runs(publisher);
	return publisher;
}

void berth_publisher_free(struct berth_publisher *publisher)
{
	if (!publisher)
		return;
	free(publisher->runs);
	free(publisher);
}

/* Removes the runs for which `keep` is false. */
static void keep_runs(struct berth_publisher *publisher, bool (*keep)(const struct run *))
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < publisher->n_runs; i++)
		if (keep(&publisher->runs[i]))
			publisher->runs[kept++] = publisher->runs[i];
	publisher->n_runs = kept;
}

static bool is_current(const struct run *run)
{
	return run->is_current;
}

bool berth_publisher_is_quiescent(struct berth_publisher *publisher)
{
	if (!publisher->is_quiescent && publisher->engine->ops->is_quiescent(publisher->engine)) {
		publisher->is_quiescent = true;
		keep_runs(publisher, is_current);
	}
	return publisher->is_quiescent;
}

/* NULL: the service has no run in the current generation. */
static struct run *current_run(struct berth_publisher *publisher, uint32_t service)
{
	for (uint32_t i = 0; i < publisher->n_runs; i++)
		if (publisher->runs[i].service == service && publisher->runs[i].is_current)
			return &publisher->runs[i];
	return NULL;
}

/* Whether the run already holds these rows. */
static bool holds_rows(const struct berth_publisher *publisher, struct run *run,
		       const struct berth_generation_rows *rows)
{
	const struct berth_image *image = &publisher->engine->image;
	if (run->rows != rows->n_rows)
		return false;
	if (run->version == 0 &&
	    memcmp(image->rows[run->line].row, rows->rows, rows->n_rows * sizeof(*rows->rows)) == 0)
		run->version = rows->version;
	return run->version == rows->version;
}

/* Puts the rows into the first gap that is long enough. NULL: no gap is. */
static struct run *add_run(struct berth_publisher *publisher, uint32_t service,
			   const struct berth_generation_rows *rows)
{
	const struct berth_image *image = &publisher->engine->image;
	uint32_t lines = berth_row_lines(rows->n_rows);
	uint32_t line = 0, at = 0;
	if (publisher->n_runs == 2 * image->geometry.services)
		return NULL;
	for (; at < publisher->n_runs && publisher->runs[at].line - line < lines; at++)
		line = publisher->runs[at].line + publisher->runs[at].lines;
	if (line + lines > image->geometry.row_lines)
		return NULL;
	struct run *run = &publisher->runs[at];
	memmove(run + 1, run, (publisher->n_runs - at) * sizeof(*run));
	publisher->n_runs++;
	*run = (struct run){line, lines, service, rows->n_rows, rows->version, false, false};
	if (!publisher->is_trial)
		memcpy(image->rows[line].row, rows->rows, rows->n_rows * sizeof(*rows->rows));
	return run;
}

/* False for a run that was written for this generation. */
static bool is_not_new(const struct run *run)
{
	return run->is_current || !run->is_published;
}

static bool is_replaced(const struct run *run)
{
	return run->is_current && !run->is_published;
}

/*
 * Writes the rows of every service into the image, and marks their runs as published. 0. 1: for lack of room some
 * services keep their former rows, or have none; the runs replaced now make room for the next publication. -ENOSPC.
 */
static int place_rows(struct berth_publisher *publisher, const struct berth_generation *generation)
{
	bool is_late = false, frees_lines = false;
	for (uint32_t i = 0; i < publisher->n_runs; i++)
		publisher->runs[i].is_published = false;
	for (uint32_t n = 1; n < generation->n_services; n++) {
		const struct berth_generation_rows *rows = &generation->rows[n];
		if (!rows->rows)
			continue;
		struct run *run = current_run(publisher, n);
		if (run && holds_rows(publisher, run, rows)) {
			run->is_published = true;
			continue;
		}
		struct run *written = add_run(publisher, n, rows);
		if (written)
			written->is_published = true;
		else if (run)
			run->is_published = true;
		is_late |= !written;
	}
	for (uint32_t i = 0; i < publisher->n_runs; i++)
		frees_lines |= is_replaced(&publisher->runs[i]);
	if (is_late && !frees_lines) {
		keep_runs(publisher, is_not_new);
		return -ENOSPC;
	}
	return is_late;
}

static void write_half(struct berth_publisher *publisher, const struct berth_generation *generation,
		       uint64_t number)
{
	const struct berth_geometry *g = &publisher->engine->image.geometry;
	const struct berth_image_half half = berth_image_half(&publisher->engine->image, number);
	memcpy(half.services, generation->services, g->services * sizeof(*half.services));
	memcpy(half.backends, generation->backends, g->backends * sizeof(*half.backends));
	memcpy(half.vips, generation->vips, g->vips * sizeof(*half.vips));
	*half.globals = generation->globals;
	memcpy(publisher->engine->image.ctl->ports[number & 1], generation->ports, sizeof(generation->ports));
	for (uint32_t n = 1; n < g->services; n++)
		half.services[n].rows = 0;
	for (uint32_t i = 0; i < publisher->n_runs; i++) {
		const struct run *run = &publisher->runs[i];
		if (!run->is_published)
			continue;
		half.services[run->service].row_line = run->line;
		half.services[run->service].rows = run->rows;
	}
}

static int refuse_rows(char error[BERTH_ERROR_BYTES])
{
	snprintf(error, BERTH_ERROR_BYTES,
		 "no room for the selection tables; raise limits.services and restart berthd (all flows and "
		 "sessions are lost)");
	return -ENOSPC;
}

static void make_current(struct berth_publisher *publisher)
{
	for (uint32_t i = 0; i < publisher->n_runs; i++)
		publisher->runs[i].is_current = publisher->runs[i].is_published;
}

/* Each round places a table or ends: the runs that it replaces make room for the next. */
static int try_rounds(struct berth_publisher *trial, const struct berth_generation *generation)
{
	int result = 1;
	while (result == 1) {
		keep_runs(trial, is_current);
		result = place_rows(trial, generation);
		make_current(trial);
	}
	return result;
}

int berth_publisher_check(const struct berth_publisher *publisher, const struct berth_generation *generation,
			  char error[BERTH_ERROR_BYTES])
{
	const uint32_t room = 2 * publisher->engine->image.geometry.services;
	struct berth_publisher trial = *publisher;
	trial.is_trial = true;
	trial.runs = calloc(room, sizeof(*trial.runs));
	if (!trial.runs) {
		snprintf(error, BERTH_ERROR_BYTES, "out of memory");
		return -ENOMEM;
	}
	memcpy(trial.runs, publisher->runs, publisher->n_runs * sizeof(*trial.runs));
	int result = try_rounds(&trial, generation);
	free(trial.runs);
	return result < 0 ? refuse_rows(error) : 0;
}

int berth_publish(struct berth_publisher *publisher, const struct berth_generation *generation,
		  char error[BERTH_ERROR_BYTES])
{
	struct berth_ctl *ctl = publisher->engine->image.ctl;
	if (!berth_publisher_is_quiescent(publisher))
		return -EAGAIN;
	int result = place_rows(publisher, generation);
	if (result < 0)
		return refuse_rows(error);
	uint64_t next = ctl->generation + 1;
	write_half(publisher, generation, next);
	BERTH_STORE(&ctl->generation, next);
	make_current(publisher);
	publisher->is_quiescent = false;
	return result;
}

void berth_publish_eligibility(struct berth_publisher *publisher, uint32_t backend, uint8_t eligibility)
{
	struct berth_eligibility_line *line =
		&publisher->engine->image.eligibility[backend / BERTH_ELIGIBILITY_PER_LINE];
	BERTH_STORE(&line->backend[backend % BERTH_ELIGIBILITY_PER_LINE], eligibility);
}
