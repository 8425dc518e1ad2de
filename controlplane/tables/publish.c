// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/tables/publish.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Row lines in use: a service's selection table. Sorted by line. */
struct run {
	uint32_t line;
	uint32_t lines;
	uint32_t service;
	uint32_t rows;
	uint64_t version; /* 0: adopted, contents to be compared */
	bool live;	  /* of the current generation; else to be freed once nobody reads the one before */
	bool wanted;	  /* of the generation being written */
};

struct berth_publisher {
	struct berth_engine *engine;
	struct run *runs; /* room for two a service: the current one and the one before */
	uint32_t n_runs;
	bool quiet; /* no worker reads anything but the current generation */
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
	uint32_t first = ((uint32_t)image->ctl->generation & 1) * image->geometry.services;
	for (uint32_t n = 1; n < image->geometry.services; n++) {
		const struct berth_service *service = &image->services[first + n];
		if (!service->id || !service->rows)
			continue;
		publisher->runs[publisher->n_runs++] = (struct run){
			.line = service->row_line,
			.lines = berth_row_lines(service->rows),
			.service = n,
			.rows = service->rows,
			.live = true,
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

/* Drops the runs for which `keep` is false. */
static void keep_runs(struct berth_publisher *publisher, bool (*keep)(const struct run *))
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < publisher->n_runs; i++)
		if (keep(&publisher->runs[i]))
			publisher->runs[kept++] = publisher->runs[i];
	publisher->n_runs = kept;
}

static bool is_live(const struct run *run)
{
	return run->live;
}

bool berth_publisher_quiet(struct berth_publisher *publisher)
{
	if (!publisher->quiet && publisher->engine->ops->quiescent(publisher->engine)) {
		publisher->quiet = true;
		keep_runs(publisher, is_live);
	}
	return publisher->quiet;
}

/* The service's run in the current generation, or NULL. */
static struct run *live_run(struct berth_publisher *publisher, uint32_t service)
{
	for (uint32_t i = 0; i < publisher->n_runs; i++)
		if (publisher->runs[i].service == service && publisher->runs[i].live)
			return &publisher->runs[i];
	return NULL;
}

/* Whether a run already holds these rows. */
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

/* Takes the first gap that is long enough and writes the rows there. NULL: there is none. */
static struct run *write_run(struct berth_publisher *publisher, uint32_t service,
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
	memcpy(image->rows[line].row, rows->rows, rows->n_rows * sizeof(*rows->rows));
	return run;
}

static bool is_not_new(const struct run *run)
{
	return run->live || !run->wanted;
}

static bool is_leaving(const struct run *run)
{
	return run->live && !run->wanted;
}

/*
 * Sees to it that the rows of every service stand in the image, and marks their runs as wanted. 1: for lack of
 * room some services keep the rows they had (or have none yet); those that leave now make room next time.
 */
static int place_rows(struct berth_publisher *publisher, const struct berth_generation *generation)
{
	bool late = false, leaving = false;
	for (uint32_t i = 0; i < publisher->n_runs; i++)
		publisher->runs[i].wanted = false;
	for (uint32_t n = 1; n < generation->n_services; n++) {
		const struct berth_generation_rows *rows = &generation->rows[n];
		if (!rows->rows)
			continue;
		struct run *run = live_run(publisher, n);
		if (run && holds_rows(publisher, run, rows)) {
			run->wanted = true;
			continue;
		}
		struct run *written = write_run(publisher, n, rows);
		if (written)
			written->wanted = true;
		else if (run)
			run->wanted = true;
		late |= !written;
	}
	for (uint32_t i = 0; i < publisher->n_runs; i++)
		leaving |= is_leaving(&publisher->runs[i]);
	if (late && !leaving) {
		keep_runs(publisher, is_not_new);
		return -ENOSPC;
	}
	return late;
}

static void write_half(struct berth_publisher *publisher, const struct berth_generation *generation, uint32_t half)
{
	const struct berth_image *image = &publisher->engine->image;
	const struct berth_geometry *g = &image->geometry;
	struct berth_service *services = &image->services[half * g->services];
	memcpy(services, generation->services, g->services * sizeof(*services));
	memcpy(&image->backends[half * g->backends], generation->backends,
	       g->backends * sizeof(*generation->backends));
	memcpy(&image->vips[half * g->vips], generation->vips, g->vips * sizeof(*generation->vips));
	image->globals[half] = generation->globals;
	for (uint32_t n = 1; n < g->services; n++)
		services[n].rows = 0;
	for (uint32_t i = 0; i < publisher->n_runs; i++) {
		const struct run *run = &publisher->runs[i];
		if (!run->wanted)
			continue;
		services[run->service].row_line = run->line;
		services[run->service].rows = run->rows;
	}
}

int berth_publish(struct berth_publisher *publisher, const struct berth_generation *generation,
		  char error[BERTH_ERROR_BYTES])
{
	struct berth_ctl *ctl = publisher->engine->image.ctl;
	if (!berth_publisher_quiet(publisher))
		return -EAGAIN;
	int late = place_rows(publisher, generation);
	if (late < 0) {
		snprintf(error, BERTH_ERROR_BYTES,
			 "no room for the selection tables; raise limits.services and restart berthd");
		return late;
	}
	uint64_t next = ctl->generation + 1;
	write_half(publisher, generation, (uint32_t)next & 1);
	BERTH_STORE(&ctl->generation, next);
	for (uint32_t i = 0; i < publisher->n_runs; i++)
		publisher->runs[i].live = publisher->runs[i].wanted;
	publisher->quiet = false;
	return late;
}

void berth_publish_eligibility(struct berth_publisher *publisher, uint32_t backend, uint8_t eligibility)
{
	struct berth_eligibility_line *line =
		&publisher->engine->image.eligibility[backend / BERTH_ELIGIBILITY_PER_LINE];
	BERTH_STORE(&line->backend[backend % BERTH_ELIGIBILITY_PER_LINE], eligibility);
}
