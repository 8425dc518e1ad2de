// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/tables/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/compile/compile.h"
#include "controlplane/engine/choose.h"
#include "controlplane/tables/exception.h"
#include "controlplane/tables/plan_capacity.h"
#include "controlplane/tables/publish.h"
#include "controlplane/tables/scan.h"
#include "dataplane/core/session.h"

struct comparison {
	struct berth_model model; /* with the other configuration; shares selection tables with the present one */
	struct berth_engine *engine; /* its image, without flows and sessions */
	struct berth_view before;
	struct berth_view after;
	struct berth_plan_backend **by_number;
	bool *is_unprobed;   /* by backend number */
	uint32_t *selecting; /* by service number: the service that selects for its sessions */
};

/* The effect of the change on a word. */
enum outcome {
	STAYS,
	LEAVES, /* its backend */
	CLEARED,
	NOT_LIVE, /* before the change */
};

/* Counts as up what has no result of a check, and notes it. -ENOMEM. */
static int assume_up(struct comparison *comparison)
{
	struct berth_model *model = &comparison->model;
	comparison->is_unprobed = calloc(model->backend_numbers.size, sizeof(bool));
	if (!comparison->is_unprobed)
		return -ENOMEM;
	for (size_t i = 0; i < model->n_services; i++)
		for (size_t j = 0; j < model->services[i].n_backends; j++) {
			struct berth_model_backend *backend = &model->services[i].backends[j];
			if (berth_model_health(backend) == BERTH_HEALTH_UNKNOWN)
				comparison->is_unprobed[backend->number] = model->services[i].config.health.type !=
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
static int apply(struct comparison *comparison, const struct berth_model *model,
		 const struct berth_geometry *geometry, struct berth_config *config, char error[BERTH_ERROR_BYTES])
{
	int err = berth_model_stage(&comparison->model, model, geometry, config, error);
	if (err)
		berth_config_free(config);
	return err;
}

/* Publishes the other configuration into an image of its own, with the current loads. */
static int publish(struct comparison *comparison, const struct berth_image *image,
		   const struct berth_geometry *geometry, char error[BERTH_ERROR_BYTES])
{
	comparison->engine = berth_engine_null.open(comparison->model.config, NULL, geometry, error);
	struct berth_publisher *publisher = comparison->engine ? berth_publisher_new(comparison->engine) : NULL;
	struct berth_generation *generation = publisher ? berth_compile(&comparison->model, geometry, error) : NULL;
	int err = generation ? berth_publish(publisher, generation, error) : -ENOMEM;
	if (!err) {
		publish_eligibility(publisher, &comparison->model);
		memcpy(comparison->engine->image.loads, image->loads,
		       image->geometry.backends / BERTH_LOADS_PER_LINE * sizeof(*image->loads));
	}
	berth_generation_free(generation);
	berth_publisher_free(publisher);
	return err;
}

/* Appends a service's backends, except those that are listed. */
static void list_service(struct berth_plan *plan, struct comparison *comparison,
			 const struct berth_model_service *service, enum berth_plan_change change)
{
	for (size_t i = 0; i < service->n_backends; i++) {
		const struct berth_model_backend *backend = &service->backends[i];
		struct berth_plan_backend *listed = comparison->by_number[backend->number];
		if (listed) {
			listed->change = BERTH_PLAN_KEPT;
			continue;
		}
		struct berth_plan_backend *entry = &plan->backends[plan->n++];
		memcpy(entry->service, service->config.name, sizeof(entry->service));
		memcpy(entry->name, backend->config.name, sizeof(entry->name));
		entry->change = change;
		comparison->by_number[backend->number] = entry;
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
static void list_sessions(struct comparison *comparison, const struct berth_model *model)
{
	for (size_t i = 0; i < model->n_services; i++) {
		const struct berth_model_service *service = &model->services[i];
		if (!comparison->selecting[service->session_service])
			comparison->selecting[service->session_service] = service->number;
		for (size_t j = 0; j < service->n_backends; j++) {
			const struct berth_model_backend *backend = &service->backends[j];
			if (!comparison->by_number[backend->session_number])
				comparison->by_number[backend->session_number] =
					comparison->by_number[backend->number];
		}
	}
}

/* A number belongs to one backend only: a removed backend keeps its number until a scan has freed its words. */
static int list_backends(struct berth_plan *plan, struct comparison *comparison, const struct berth_model *model)
{
	plan->backends = calloc(count_backends(model) + count_backends(&comparison->model) + 1,
				sizeof(*plan->backends));
	comparison->by_number = calloc(comparison->model.backend_numbers.size, sizeof(struct berth_plan_backend *));
	comparison->selecting = calloc(comparison->model.service_numbers.size, sizeof(uint32_t));
	if (!plan->backends || !comparison->by_number || !comparison->selecting)
		return -ENOMEM;
	for (size_t i = 0; i < model->n_services; i++)
		list_service(plan, comparison, &model->services[i], BERTH_PLAN_REMOVED);
	for (size_t i = 0; i < comparison->model.n_services; i++)
		list_service(plan, comparison, &comparison->model.services[i], BERTH_PLAN_ADDED);
	for (uint32_t n = 1; n < comparison->model.backend_numbers.size; n++)
		if (comparison->by_number[n])
			comparison->by_number[n]->is_unprobed = comparison->is_unprobed[n];
	list_sessions(comparison, &comparison->model);
	list_sessions(comparison, model);
	return 0;
}

static const struct berth_service *service_of(const struct berth_view *view, const struct berth_backend *backend)
{
	return backend && backend->id ? berth_service_of(view, backend->service) : NULL;
}

/* For a word that needs the eligibility bit `bit` of its backend. */
static enum outcome outcome_of(const struct comparison *comparison, uint64_t word, uint8_t bit)
{
	uint32_t number = berth_word_backend(word);
	const struct berth_service *before = service_of(&comparison->before,
							berth_backend_of(&comparison->before, number));
	const struct berth_service *after = service_of(&comparison->after,
						       berth_backend_of(&comparison->after, number));
	if (!before || berth_word_is_expired(word, comparison->before.now, before) ||
	    !(berth_eligibility(&comparison->before, number) & bit))
		return NOT_LIVE;
	if (!after || !(berth_eligibility(&comparison->after, number) & bit))
		return LEAVES;
	return berth_word_is_expired(word, comparison->after.now, after) ? CLEARED : STAYS;
}

static void count_arrival(const struct comparison *comparison, uint32_t number, bool session)
{
	struct berth_plan_backend *to = number ? comparison->by_number[number] : NULL;
	if (!to)
		return;
	if (session) {
		to->sessions.arriving++;
		return;
	}
	to->flows.arriving++;
	to->flows_after++;
}

/* The number and the new record of the service of a word's backend. 0: the change removes the service. */
static uint32_t service_after(const struct comparison *comparison, uint64_t word,
			      const struct berth_service **after)
{
	const struct berth_backend *backend = berth_backend_of(&comparison->before, berth_word_backend(word));
	const struct berth_service *before = service_of(&comparison->before, backend);
	*after = before ? berth_service_of(&comparison->after, backend->service) : NULL;
	return *after && (*after)->id == before->id ? backend->service : 0;
}

/* Of a word that stays. */
static void count_exception(const struct comparison *comparison, struct berth_plan_backend *entry,
			    enum berth_table table, uint64_t word)
{
	entry->exceptions += berth_is_exception(&comparison->before, table, word);
	entry->exceptions_after += berth_is_exception(&comparison->after, table, word);
}

static void count_flow(const struct comparison *comparison, uint64_t word)
{
	struct berth_plan_backend *entry = comparison->by_number[berth_word_backend(word)];
	const struct berth_service *after;
	enum outcome outcome = outcome_of(comparison, word, BERTH_ELIGIBLE_FLOWS);
	if (berth_word_state(word) == BERTH_STATE_FRAGMENT || !entry || outcome == NOT_LIVE)
		return;
	entry->flows.live++;
	if (outcome == STAYS) {
		entry->flows_after += !berth_scan_is_closing(berth_word_state(word));
		count_exception(comparison, entry, BERTH_TABLE_FLOWS, word);
		return;
	}
	entry->flows.leaving++;
	uint32_t service = service_after(comparison, word, &after);
	entry->lost_flows += service == 0;
	if (service && after->affinity == BERTH_AFFINITY_FLOW)
		count_arrival(comparison,
			      (uint32_t)berth_select_stateless(&comparison->after, service, berth_word_tag(word)),
			      false);
}

/* Whether a lookup after the change finds the session: same hash, and the same service for its number. */
static bool stays_found(const struct comparison *comparison, uint64_t word)
{
	const struct berth_service *before = service_of(
		&comparison->before, berth_backend_of(&comparison->before, berth_word_backend(word)));
	const struct berth_service *after;
	uint32_t service = service_after(comparison, word, &after);
	return service && after->affinity == BERTH_AFFINITY_CLIENT && after->session_service == service &&
	       after->session_key == before->session_key && after->prefix4 == before->prefix4 &&
	       after->prefix6 == before->prefix6;
}

static void count_session(const struct comparison *comparison, uint64_t word, const struct berth_client *client)
{
	uint32_t number = berth_word_backend(word);
	struct berth_plan_backend *entry = comparison->by_number[number];
	enum outcome outcome = outcome_of(comparison, word, BERTH_ELIGIBLE_SESSIONS);
	/* Unconfirmed sessions are gone within seconds. */
	if (!entry || outcome == NOT_LIVE || berth_word_state(word) == BERTH_STATE_UNCONFIRMED)
		return;
	entry->sessions.live++;
	if (outcome == CLEARED && berth_pinned_backend(client, berth_word_tag(word)))
		outcome = STAYS;
	const struct berth_service *after;
	uint32_t service = service_after(comparison, word, &after);
	/* Its group ends, and the server stays in a service of that group. */
	if (!service && entry->change == BERTH_PLAN_KEPT)
		outcome = CLEARED;
	if (outcome != LEAVES) {
		const bool is_cleared = outcome == CLEARED || !stays_found(comparison, word);
		entry->cleared += is_cleared;
		if (!is_cleared)
			count_exception(comparison, entry, BERTH_TABLE_SESSIONS, word);
		return;
	}
	const struct berth_backend *backend = berth_backend_of(&comparison->after, number);
	entry->sessions.leaving++;
	if (backend && backend->id && berth_accepts_session(&comparison->after, backend->backup))
		count_arrival(comparison, backend->backup, true);
	else if (service)
		count_arrival(
			comparison,
			berth_select(&comparison->after, comparison->selecting[service], berth_word_tag(word)),
			true);
}

static void count_flows(const struct comparison *comparison, const struct berth_bucket *flows, uint32_t buckets)
{
	for (uint32_t b = 0; b < buckets; b++)
		for (uint32_t i = 0; i < BERTH_BUCKET_WORDS; i++) {
			uint64_t word = BERTH_LOAD(&flows[b].word[i]);
			if (word && berth_word_backend(word) < comparison->model.backend_numbers.size)
				count_flow(comparison, word);
		}
}

static void count_sessions(const struct comparison *comparison, const struct berth_bucket *sessions,
			   const struct berth_client *clients, uint32_t buckets)
{
	for (uint32_t b = 0; b < buckets; b++)
		for (uint32_t i = 0; i < BERTH_BUCKET_WORDS; i++) {
			uint64_t word = BERTH_LOAD(&sessions[b].word[i]);
			if (word && berth_word_backend(word) < comparison->model.backend_numbers.size)
				count_session(comparison, word, &clients[b * BERTH_BUCKET_WORDS + i]);
		}
}

/* With the former tables, as long as they are read (core/former.h). */
static void count_words(const struct comparison *comparison, const struct berth_image *image)
{
	const struct berth_view *view = &comparison->before;
	count_flows(comparison, image->flows, image->geometry.flow_buckets);
	count_flows(comparison, image->former_flows, berth_former_buckets(view->former_flow_bits));
	count_sessions(comparison, image->sessions, image->clients, image->geometry.session_buckets);
	count_sessions(comparison, image->former_sessions, image->former_clients,
		       berth_former_buckets(view->former_session_bits));
}

struct berth_plan *berth_plan_compute(const struct berth_model *model, struct berth_config *config,
				      const struct berth_image *image, uint32_t now, char error[BERTH_ERROR_BYTES])
{
	struct comparison comparison = {0};
	const struct berth_geometry geometry = geometry_for(image, config);
	struct berth_plan *plan = calloc(1, sizeof(*plan));
	snprintf(error, BERTH_ERROR_BYTES, "out of memory");
	int err = apply(&comparison, model, &geometry, config, error);
	if (!err)
		err = plan ? assume_up(&comparison) : -ENOMEM;
	if (!err)
		err = publish(&comparison, image, &geometry, error);
	if (!err)
		err = list_backends(plan, &comparison, model);
	if (err)
		goto out;
	comparison.before = berth_image_view(image, 0, now);
	comparison.after = berth_image_view(&comparison.engine->image, 0, now);
	count_words(&comparison, image);
	err = berth_plan_add_capacity(plan, &comparison.model, comparison.by_number);
out:
	if (comparison.engine)
		comparison.engine->ops->close(comparison.engine, true);
	berth_model_drop(&comparison.model);
	free(comparison.by_number);
	free(comparison.selecting);
	free(comparison.is_unprobed);
	if (!err)
		return plan;
	berth_plan_free(plan);
	return NULL;
}

void berth_plan_free(struct berth_plan *plan)
{
	if (!plan)
		return;
	free(plan->backends);
	free(plan->limited);
	free(plan);
}
