// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/tables/publish.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/tables/record.h"
#include "controlplane/util/log.h"
#include "dataplane/core/select.h"
#include "dataplane/interface/image_check.h"

/* The selection table of a service in one half of the row lines. */
struct place {
	uint32_t line;
	uint32_t lines;
	uint32_t rows;
	uint64_t version; /* 0: unknown, or no table */
	uint64_t digest;
};

struct berth_publisher {
	struct berth_engine *engine;
	struct place *places[2]; /* of each half, by service number */
	struct slots {
		uint32_t *at;
		size_t n;
		bool is_known;	 /* all others of the half are free */
	} slots[2];		 /* of each half: the classifier's slots that are in use */
	bool is_quiescent;	 /* every worker reads the current generation */
	uint32_t copied;	 /* copy_ahead: services so far, of the current generation */
	uint32_t backends_ahead; /* write_ahead: so many so far */
};

/* The tables of an adopted image are unknown: each half is written anew when its turn comes. The classifier of a
 * new one is empty. */
struct berth_publisher *berth_publisher_new(struct berth_engine *engine)
{
	struct berth_publisher *publisher = calloc(1, sizeof(*publisher));
	if (!publisher)
		return NULL;
	publisher->engine = engine;
	for (int half = 0; half < 2; half++)
		publisher->slots[half].is_known = !engine->is_image_adopted && !engine->image.ctl->generation;
	for (int half = 0; half < 2; half++)
		publisher->places[half] = calloc(engine->image.geometry.services, sizeof(struct place));
	if (publisher->places[0] && publisher->places[1])
		return publisher;
	berth_publisher_free(publisher);
	return NULL;
}

void berth_publisher_free(struct berth_publisher *publisher)
{
	if (!publisher)
		return;
	free(publisher->places[0]);
	free(publisher->places[1]);
	free(publisher->slots[0].at);
	free(publisher->slots[1].at);
	free(publisher);
}

bool berth_publisher_is_quiescent(struct berth_publisher *publisher)
{
	if (!publisher->is_quiescent)
		publisher->is_quiescent = publisher->engine->ops->is_quiescent(publisher->engine);
	return publisher->is_quiescent;
}

/* Where the tables of a half begin. */
struct layout {
	uint32_t first;	 /* line of the half */
	uint32_t stride; /* lines per service number; 0: the tables follow each other without a gap */
	uint32_t next;	 /* line after the last table */
};

/* Each service number has lines of its own, so that a table stays where it is when others change. With a table that
 * is longer than that, the lines are shared in the order of the numbers. */
static struct layout layout_of(const struct berth_geometry *g, const struct berth_generation *generation,
			       uint64_t number)
{
	const uint32_t lines = berth_half_row_lines(g);
	const uint32_t first = number & 1 ? lines : 0;
	uint32_t stride = g->services > 1 ? lines / (g->services - 1) : 0;
	for (uint32_t n = 1; n < generation->n_services; n++)
		if (generation->rows[n].lines > stride)
			stride = 0;
	return (struct layout){.first = first, .stride = stride, .next = first};
}

static uint32_t take_lines(struct layout *layout, uint32_t service, uint32_t lines)
{
	uint32_t line = layout->stride ? layout->first + (service - 1) * layout->stride : layout->next;
	layout->next = line + lines;
	return line;
}

/* Returns its digest. */
static uint64_t write_table(struct berth_row_line *at, const struct berth_generation_rows *rows)
{
	const size_t bytes = rows->n_rows * sizeof(*rows->rows);
	memcpy(at->row, rows->rows, bytes);
	if (rows->former)
		memcpy(at[berth_row_lines(rows->n_rows)].row, rows->former, bytes);
	return berth_rows_digest(rows->rows, rows->former, rows->n_rows);
}

/* Writes the tables that the half does not hold already, about `most` lines or one table. No worker reads it. True:
 * it holds all. */
static bool write_rows(struct berth_publisher *publisher, const struct berth_generation *generation,
		       uint64_t number, uint64_t most)
{
	const struct berth_image *image = &publisher->engine->image;
	struct layout layout = layout_of(&image->geometry, generation, number);
	uint64_t lines = 0;
	for (uint32_t n = 1; n < generation->n_services; n++) {
		const struct berth_generation_rows *rows = &generation->rows[n];
		struct place *held = &publisher->places[number & 1][n], place = {0};
		if (rows->rows) {
			place = (struct place){.line = take_lines(&layout, n, rows->lines),
					       .lines = rows->lines,
					       .rows = rows->n_rows,
					       .version = rows->version,
					       .digest = held->digest};
			if (held->line != place.line || held->version != place.version) {
				if (lines >= most)
					return false;
				place.digest = write_table(&image->rows[place.line], rows);
				lines += rows->lines;
			}
		}
		*held = place;
	}
	return true;
}

bool berth_publisher_write_ahead(struct berth_publisher *publisher, const struct berth_generation *generation,
				 uint32_t most)
{
	const struct berth_image *image = &publisher->engine->image;
	const uint64_t number = image->ctl->generation + 1;
	const struct berth_image_half half = berth_image_half(image, number);
	if (!write_rows(publisher, generation, number, most))
		return false;
	/* The pages of a new image cost more than what is written. */
	const uint32_t left = image->geometry.backends - publisher->backends_ahead;
	const uint32_t n = left < most ? left : most;
	memcpy(half.backends + publisher->backends_ahead, generation->backends + publisher->backends_ahead,
	       n * sizeof(*half.backends));
	publisher->backends_ahead += n;
	return n == left;
}

/* Only what the half has and what it gets: with 60,000 backends a classifier has 32 MB. */
static void write_vips(struct slots *held, struct berth_vip *vips, const struct berth_generation *generation,
		       uint32_t n_vips)
{
	uint32_t *at = calloc(generation->n_slots + 1, sizeof(*at));
	if (!held->is_known)
		memset(vips, 0, n_vips * sizeof(*vips));
	for (size_t i = 0; held->is_known && i < held->n; i++)
		vips[held->at[i]] = (struct berth_vip){0};
	for (size_t i = 0; i < generation->n_slots; i++) {
		const struct berth_generation_slot *slot = &generation->slots[i];
		vips[slot->at] = slot->vip;
		if (at)
			at[i] = slot->at;
	}
	free(held->at);
	*held = (struct slots){.at = at, .n = generation->n_slots, .is_known = at != NULL};
}

static void write_half(struct berth_publisher *publisher, const struct berth_generation *generation,
		       uint64_t number)
{
	const struct berth_geometry *g = &publisher->engine->image.geometry;
	const struct berth_image_half half = berth_image_half(&publisher->engine->image, number);
	memcpy(half.services, generation->services, g->services * sizeof(*half.services));
	memcpy(half.backends, generation->backends, g->backends * sizeof(*half.backends));
	write_vips(&publisher->slots[number & 1], half.vips, generation, g->vips);
	*half.globals = generation->globals;
	memcpy(publisher->engine->image.ctl->ports[number & 1], generation->ports, sizeof(generation->ports));
	memcpy(publisher->engine->image.ctl->links[number & 1], generation->links, sizeof(generation->links));
	for (uint32_t n = 1; n < g->services; n++) {
		half.services[n].row_line = publisher->places[number & 1][n].line;
		half.services[n].rows = publisher->places[number & 1][n].rows;
		half.services[n].rows_digest = publisher->places[number & 1][n].digest;
	}
}

int berth_publisher_check(const struct berth_geometry *geometry, const struct berth_generation *generation,
			  char error[BERTH_ERROR_BYTES])
{
	uint64_t lines = 0;
	for (uint32_t n = 1; n < generation->n_services; n++)
		lines += generation->rows[n].lines;
	if (lines <= berth_half_row_lines(geometry))
		return 0;
	snprintf(error, BERTH_ERROR_BYTES, "no room for the selection tables; raise limits.services");
	return -ENOSPC;
}

/* Another number of rows selects other backends. Round-robin selects in turns. */
static uint32_t count_resized(const struct berth_image *image, const struct berth_generation *generation)
{
	const struct berth_service *current = berth_image_current(image).services;
	uint32_t n = 0;
	for (uint32_t i = 1; i < generation->n_services && i < image->geometry.services; i++)
		n += generation->services[i].id == current[i].id && current[i].rows && generation->rows[i].n_rows &&
		     generation->rows[i].n_rows != current[i].rows &&
		     generation->services[i].scheduler != BERTH_SCHEDULER_ROUND_ROBIN;
	return n;
}

static void log_resized(const struct berth_image *image, const struct berth_generation *generation)
{
	const uint32_t n = count_resized(image, generation);
	if (n)
		berth_log("services whose selection tables have another size: %u; flows and sessions stay, new "
			  "clients may get another backend",
			  n);
}

int berth_publish(struct berth_publisher *publisher, const struct berth_generation *generation,
		  char error[BERTH_ERROR_BYTES])
{
	struct berth_ctl *ctl = publisher->engine->image.ctl;
	if (!berth_publisher_is_quiescent(publisher))
		return -EAGAIN;
	int err = berth_publisher_check(&publisher->engine->image.geometry, generation, error);
	if (err)
		return err;
	log_resized(&publisher->engine->image, generation);
	uint64_t next = ctl->generation + 1;
	write_rows(publisher, generation, next, UINT64_MAX);
	write_half(publisher, generation, next);
	berth_generation_seal(&publisher->engine->image, next);
	berth_record_add(publisher->engine->record, generation);
	BERTH_STORE(&ctl->generation, next);
	berth_record_set(publisher->engine->record, generation);
	publisher->is_quiescent = false;
	publisher->copied = 0;
	publisher->backends_ahead = 0;
	return 0;
}

/* Lines from one half to the other. */
static uint32_t line_beside(const struct berth_geometry *g, uint32_t line)
{
	const uint32_t half = berth_half_row_lines(g);
	return line < half ? line + half : line - half;
}

/* Where a table of the unused half is at another place, a copy could overwrite it. */
static void forget_moved(const struct berth_publisher *publisher, const struct place *current, struct place *unused)
{
	const struct berth_geometry *g = &publisher->engine->image.geometry;
	bool has_moved = false;
	for (uint32_t n = 1; n < g->services; n++)
		has_moved |= current[n].lines != unused[n].lines ||
			     (unused[n].lines && unused[n].line != line_beside(g, current[n].line));
	if (has_moved)
		memset(unused, 0, g->services * sizeof(*unused));
}

static uint32_t copy_table(const struct berth_publisher *publisher, const struct place *from, struct place *to)
{
	const struct berth_image *image = &publisher->engine->image;
	if (!from->version || from->version == to->version)
		return 0;
	*to = *from;
	to->line = line_beside(&image->geometry, from->line);
	memcpy(&image->rows[to->line], &image->rows[from->line], from->lines * sizeof(*image->rows));
	return from->lines;
}

bool berth_publisher_copy_ahead(struct berth_publisher *publisher, uint32_t most)
{
	const struct berth_image *image = &publisher->engine->image;
	const uint64_t number = image->ctl->generation;
	const struct place *current = publisher->places[number & 1];
	struct place *unused = publisher->places[(number + 1) & 1];
	if (!publisher->copied)
		forget_moved(publisher, current, unused);
	for (uint32_t lines = 0; publisher->copied + 1 < image->geometry.services && lines < most;) {
		const uint32_t n = ++publisher->copied;
		lines += copy_table(publisher, &current[n], &unused[n]);
	}
	return publisher->copied + 1 >= image->geometry.services;
}

static void set_eligibility(const struct berth_engine *engine, uint32_t backend, uint8_t eligibility)
{
	const struct berth_image *image = &engine->image;
	struct berth_eligibility_line *line = &image->eligibility[backend / BERTH_ELIGIBILITY_PER_LINE];
	BERTH_STORE(&line->backend[backend % BERTH_ELIGIBILITY_PER_LINE], eligibility);
	berth_record_set_eligibility(engine->record, backend, eligibility);
}

/* A group's own number of a server is eligible for all that the server is eligible for in some service. `at`: one
 * of the server's numbers in the current generation. */
static void follow_group(const struct berth_engine *engine, uint32_t at)
{
	const struct berth_view view = berth_image_view(&engine->image, 0, 0);
	const struct berth_backend *backend = berth_backend_of(&view, at);
	uint32_t group = 0;
	uint8_t eligibility = 0;
	for (uint32_t i = 0; i <= BERTH_MAX_GROUP && backend && backend->sibling; i++) {
		const struct berth_service *service = berth_service_of(&view, backend->service);
		if (service && service->session_service == backend->service)
			group = at;
		else
			eligibility |= (uint8_t)berth_eligibility(&view, at) & BERTH_ELIGIBLE_ALL;
		at = backend->sibling;
		backend = berth_backend_of(&view, at);
	}
	if (group)
		set_eligibility(engine, group, eligibility);
}

void berth_publish_eligibility(struct berth_publisher *publisher, uint32_t backend, uint8_t eligibility)
{
	set_eligibility(publisher->engine, backend, eligibility);
	follow_group(publisher->engine, backend);
}
