// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/tables/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/compile/compile.h"
#include "controlplane/engine/choose.h"
#include "controlplane/tables/plan_capacity.h"
#include "controlplane/tables/plan_words.h"
#include "controlplane/tables/publish.h"

enum {
	LINES = 4096,	/* of selection tables that a step writes: some 0.5 ms */
	SERVICES = 256, /* that a step lists */
	MOST_AGAIN = 8, /* times that it is compiled again; then all is written in that step */
};

/* What the steps do, in this order. First the other configuration gets an image; then the tables are read, the
 * former ones as long as they are (core/former.h). */
enum stage {
	COMPILE,
	WRITE,
	PUBLISH,
	LIST,
	FLOWS,
	FORMER_FLOWS,
	SESSIONS,
	FORMER_SESSIONS,
	STAGES,
};

struct berth_planning {
	struct berth_model model;    /* with the other configuration */
	struct berth_engine *engine; /* its image, without flows and sessions */
	struct berth_publisher *publisher;
	struct berth_generation *generation; /* until it is published */
	uint64_t rows_version;		     /* of the model when it was compiled */
	unsigned int again;
	const struct berth_image *image;
	const struct berth_model *before;
	struct berth_geometry geometry;
	uint32_t now;
	struct berth_plan *plan;
	struct berth_plan_words words;
	size_t listed;	   /* services, first those of `before` */
	bool *is_unprobed; /* by backend number */
	enum stage stage;
	uint32_t at; /* bucket */
};

/* Counts as up what has no result of a check, and notes it. -ENOMEM. */
static int assume_up(struct berth_planning *planning)
{
	struct berth_model *model = &planning->model;
	planning->is_unprobed = calloc(model->backend_numbers.size + 1, sizeof(bool));
	if (!planning->is_unprobed)
		return -ENOMEM;
	for (size_t i = 0; i < model->n_services; i++)
		for (size_t j = 0; j < model->services[i].n_backends; j++) {
			struct berth_model_backend *backend = &model->services[i].backends[j];
			if (berth_model_health(backend) == BERTH_HEALTH_UNKNOWN)
				planning->is_unprobed[backend->number] = model->services[i].config.health->type !=
									 BERTH_HEALTH_NONE;
			if (backend->health != BERTH_HEALTH_UNKNOWN)
				continue;
			backend->health = BERTH_HEALTH_UP;
			backend->next_hop.is_resolved = true;
		}
	return 0;
}

static void publish_eligibility(struct berth_publisher *publisher, const struct berth_model *model)
{
	for (size_t i = 0; i < model->n_services; i++)
		for (size_t j = 0; j < model->services[i].n_backends; j++) {
			const struct berth_model_backend *backend = &model->services[i].backends[j];
			berth_publish_eligibility(publisher, backend->number, berth_model_eligibility(backend));
		}
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* Room for the present numbers and for the configuration, without flows and sessions. */
static struct berth_geometry geometry_for(const struct berth_image *image, const struct berth_config *config)
{
	const struct berth_geometry has = image->geometry, wants = berth_engine_geometry(config);
	return (struct berth_geometry){
		.services = larger(has.services, wants.services),
		.backends = larger(has.backends, wants.backends),
		.vips = larger(has.vips, wants.vips),
		.row_lines = larger(has.row_lines, wants.row_lines),
		.flow_buckets = 1,
		.session_buckets = 1,
		.workers = 1,
	};
}

/* Takes over `config`. */
static int apply(struct berth_planning *planning, const struct berth_model *model, struct berth_config *config,
		 char error[BERTH_ERROR_BYTES])
{
	int err = berth_model_stage(&planning->model, model, &planning->geometry, config, error);
	if (err)
		berth_config_free(config);
	return err;
}

/* The engine of a plan classifies no packet: one place is enough, but the slots have to fit where they will be. */
static struct berth_engine *open_engine(const struct berth_planning *planning, char error[BERTH_ERROR_BYTES])
{
	struct berth_geometry own = planning->geometry;
	own.vips = 1;
	return berth_engine_null.open(planning->model.config, NULL, &own, error);
}

/* Selection tables may have been built since the stage. */
static int compile(struct berth_planning *planning, char error[BERTH_ERROR_BYTES])
{
	berth_model_share_rows(&planning->model, planning->before);
	planning->engine = open_engine(planning, error);
	planning->publisher = planning->engine ? berth_publisher_new(planning->engine) : NULL;
	planning->generation = planning->publisher ? berth_compile(&planning->model, &planning->geometry, error)
						   : NULL;
	if (!planning->generation)
		return -ENOMEM;
	planning->generation->n_slots = 0;
	planning->rows_version = planning->before->rows_version;
	return berth_publisher_check(&planning->geometry, planning->generation, error);
}

static void drop_image(struct berth_planning *planning)
{
	berth_generation_free(planning->generation);
	berth_publisher_free(planning->publisher);
	if (planning->engine)
		planning->engine->ops->close(planning->engine, true);
	planning->generation = NULL;
	planning->publisher = NULL;
	planning->engine = NULL;
}

/* The generation points to selection tables that both models share, and that are built in place. */
static bool is_outdated(const struct berth_planning *planning)
{
	return planning->rows_version != planning->before->rows_version;
}

static int publish(struct berth_planning *planning, char error[BERTH_ERROR_BYTES])
{
	const struct berth_image *image = planning->image;
	int err = berth_publish(planning->publisher, planning->generation, error);
	if (err)
		return err;
	publish_eligibility(planning->publisher, &planning->model);
	memcpy(planning->engine->image.loads, image->loads,
	       image->geometry.backends / BERTH_LOADS_PER_LINE * sizeof(*image->loads));
	berth_generation_free(planning->generation);
	planning->generation = NULL;
	return 0;
}

/* Appends a service's backends, except those that are listed. */
static void list_service(struct berth_planning *planning, const struct berth_model_service *service,
			 enum berth_plan_change change)
{
	for (size_t i = 0; i < service->n_backends; i++) {
		const struct berth_model_backend *backend = &service->backends[i];
		struct berth_plan_backend *listed = planning->words.by_number[backend->number];
		if (listed) {
			listed->change = BERTH_PLAN_KEPT;
			continue;
		}
		struct berth_plan_backend *entry = &planning->plan->backends[planning->plan->n++];
		memcpy(entry->service, service->config.name, sizeof(entry->service));
		memcpy(entry->name, backend->config.name, sizeof(entry->name));
		entry->change = change;
		planning->words.by_number[backend->number] = entry;
	}
}

static size_t count_backends(const struct berth_model *model)
{
	size_t n = 0;
	for (size_t i = 0; i < model->n_services; i++)
		n += model->services[i].n_backends;
	return n;
}

/* The sessions of a group are listed with the first of its services that has the server. */
static void list_sessions(struct berth_planning *planning, const struct berth_model *model)
{
	for (size_t i = 0; i < model->n_services; i++) {
		const struct berth_model_service *service = &model->services[i];
		if (!planning->words.selecting[service->session_service])
			planning->words.selecting[service->session_service] = service->number;
		for (size_t j = 0; j < service->n_backends; j++) {
			const struct berth_model_backend *backend = &service->backends[j];
			if (!planning->words.by_number[backend->session_number])
				planning->words.by_number[backend->session_number] =
					planning->words.by_number[backend->number];
		}
	}
}

static int make_list(struct berth_planning *planning)
{
	const struct berth_model *model = planning->before;
	struct berth_plan *plan = planning->plan;
	plan->backends = calloc(count_backends(model) + count_backends(&planning->model) + 1,
				sizeof(*plan->backends));
	planning->words.by_number = calloc(planning->model.backend_numbers.size,
					   sizeof(struct berth_plan_backend *));
	planning->words.selecting = calloc(planning->model.service_numbers.size, sizeof(uint32_t));
	planning->words.n_numbers = planning->model.backend_numbers.size;
	return plan->backends && planning->words.by_number && planning->words.selecting ? 0 : -ENOMEM;
}

static void end_list(struct berth_planning *planning)
{
	for (uint32_t n = 1; n < planning->model.backend_numbers.size; n++)
		if (planning->words.by_number[n])
			planning->words.by_number[n]->is_unprobed = planning->is_unprobed[n];
	list_sessions(planning, &planning->model);
	list_sessions(planning, planning->before);
}

/* Some services. A number belongs to one backend only: a removed backend keeps its number until a scan has freed
 * its words. -EAGAIN: more are left. */
static int list_step(struct berth_planning *planning)
{
	const struct berth_model *before = planning->before, *after = &planning->model;
	const size_t n = before->n_services + after->n_services;
	if (!planning->plan->backends && make_list(planning))
		return -ENOMEM;
	for (size_t i = 0; i < SERVICES && planning->listed < n; i++, planning->listed++) {
		if (planning->listed < before->n_services)
			list_service(planning, &before->services[planning->listed], BERTH_PLAN_REMOVED);
		else
			list_service(planning, &after->services[planning->listed - before->n_services],
				     BERTH_PLAN_ADDED);
	}
	if (planning->listed < n)
		return -EAGAIN;
	end_list(planning);
	return 0;
}

struct berth_planning *berth_planning_begin(const struct berth_model *model, struct berth_config *config,
					    const struct berth_image *image, uint32_t now,
					    char error[BERTH_ERROR_BYTES])
{
	struct berth_planning *planning = calloc(1, sizeof(*planning));
	snprintf(error, BERTH_ERROR_BYTES, "out of memory");
	if (!planning) {
		berth_config_free(config);
		return NULL;
	}
	planning->image = image;
	planning->before = model;
	planning->geometry = geometry_for(image, config);
	planning->now = now;
	planning->plan = calloc(1, sizeof(*planning->plan));
	int err = apply(planning, model, config, error);
	if (!err)
		err = planning->plan ? assume_up(planning) : -ENOMEM;
	if (!err)
		return planning;
	berth_planning_free(planning);
	return NULL;
}

/* The buckets of the table that is being read. */
static uint32_t buckets_of(const struct berth_planning *planning)
{
	const struct berth_view *view = &planning->words.before;
	const struct berth_geometry *geometry = &planning->image->geometry;
	switch (planning->stage) {
	case FLOWS:
		return geometry->flow_buckets;
	case FORMER_FLOWS:
		return berth_former_buckets(view->former_flow_bits);
	case SESSIONS:
		return geometry->session_buckets;
	default:
		return berth_former_buckets(view->former_session_bits);
	}
}

/* `n` buckets from planning->at on. */
static void count(const struct berth_planning *planning, uint32_t n)
{
	const struct berth_image *image = planning->image;
	const uint32_t at = planning->at;
	switch (planning->stage) {
	case FLOWS:
		berth_plan_count_flows(&planning->words, image->flows + at, n);
		break;
	case FORMER_FLOWS:
		berth_plan_count_flows(&planning->words, image->former_flows + at, n);
		break;
	case SESSIONS:
		berth_plan_count_sessions(&planning->words, image->sessions + at,
					  image->clients + (size_t)at * BERTH_BUCKET_WORDS, n);
		break;
	default:
		berth_plan_count_sessions(&planning->words, image->former_sessions + at,
					  image->former_clients + (size_t)at * BERTH_BUCKET_WORDS, n);
	}
}

static void count_step(struct berth_planning *planning, uint32_t buckets)
{
	/* Another generation may be current than before, of the same configuration. */
	planning->words.before = berth_image_view(planning->image, 0, planning->now);
	planning->words.after = berth_image_view(&planning->engine->image, 0, planning->now);
	while (planning->stage < STAGES && buckets > 0) {
		const uint32_t has = buckets_of(planning);
		const uint32_t left = has > planning->at ? has - planning->at : 0;
		const uint32_t n = left < buckets ? left : buckets;
		if (n > 0)
			count(planning, n);
		planning->at += n;
		buckets -= n;
		if (n == left) {
			planning->stage++;
			planning->at = 0;
		}
	}
}

/* A step before the tables are read. */
static int prepare_step(struct berth_planning *planning, char error[BERTH_ERROR_BYTES])
{
	int err = 0;
	if (planning->generation && is_outdated(planning)) {
		drop_image(planning);
		planning->stage = COMPILE;
		planning->again++;
	}
	switch (planning->stage) {
	case COMPILE:
		err = compile(planning, error);
		if (!err && planning->again == MOST_AGAIN) {
			err = publish(planning, error);
			planning->stage = PUBLISH;
		}
		break;
	case WRITE:
		if (!berth_publisher_write_ahead(planning->publisher, planning->generation, LINES))
			return 0;
		break;
	case PUBLISH:
		err = publish(planning, error);
		break;
	default:
		err = list_step(planning);
		if (err == -EAGAIN)
			return 0;
	}
	planning->stage++;
	return err;
}

int berth_planning_step(struct berth_planning *planning, uint32_t buckets, char error[BERTH_ERROR_BYTES])
{
	int err = 0;
	snprintf(error, BERTH_ERROR_BYTES, "out of memory");
	if (planning->stage < FLOWS)
		err = prepare_step(planning, error);
	else
		count_step(planning, buckets);
	return err ? err : planning->stage < STAGES ? -EAGAIN : 0;
}

struct berth_plan *berth_planning_end(struct berth_planning *planning, char error[BERTH_ERROR_BYTES])
{
	struct berth_plan *plan = NULL;
	if (!berth_plan_add_capacity(planning->plan, &planning->model, planning->words.by_number)) {
		plan = planning->plan;
		planning->plan = NULL;
	} else {
		snprintf(error, BERTH_ERROR_BYTES, "out of memory");
	}
	berth_planning_free(planning);
	return plan;
}

void berth_planning_free(struct berth_planning *planning)
{
	if (!planning)
		return;
	drop_image(planning);
	berth_model_drop(&planning->model);
	free(planning->words.by_number);
	free(planning->words.selecting);
	free(planning->is_unprobed);
	berth_plan_free(planning->plan);
	free(planning);
}

void berth_plan_free(struct berth_plan *plan)
{
	if (!plan)
		return;
	free(plan->backends);
	free(plan->limited);
	free(plan);
}
