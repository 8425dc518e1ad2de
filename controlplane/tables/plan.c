// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/tables/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/compile/compile.h"
#include "controlplane/engine/engine.h"
#include "controlplane/tables/publish.h"
#include "dataplane/core/session.h"

/* The two worlds. */
struct search {
	struct berth_model model;    /* as it would be */
	struct berth_engine *engine; /* an image as it would be, without flows */
	struct berth_view before;
	struct berth_view after;
	struct berth_plan_backend **by_number;
};

/* A backend's words after the change, seen from before. */
enum fate {
	STAYS,
	LEAVES,
	FORGOTTEN,
	NO_MATTER, /* it was over already */
};

static void assume_up(struct berth_model *model)
{
	for (size_t i = 0; i < model->n_services; i++)
		for (size_t j = 0; j < model->services[i].n_backends; j++) {
			struct berth_model_backend *backend = &model->services[i].backends[j];
			if (backend->health == BERTH_HEALTH_UNKNOWN)
				backend->health = BERTH_HEALTH_UP;
		}
}

static void publish_eligibility(struct berth_publisher *publisher, const struct berth_model *model)
{
	for (size_t i = 0; i < model->n_services; i++)
		for (size_t j = 0; j < model->services[i].n_backends; j++) {
			const struct berth_model_backend *backend = &model->services[i].backends[j];
			berth_publish_eligibility(publisher, backend->number, berth_model_eligibility(backend));
		}
}

/* The image as it would be: the same tables, but for flows and sessions. */
static int publish(struct search *search, const struct berth_image *image, char error[BERTH_ERROR_BYTES])
{
	struct berth_geometry geometry = image->geometry;
	geometry.flow_buckets = geometry.session_buckets = geometry.workers = 1;
	search->engine = berth_engine_null.open(search->model.config, NULL, &geometry, error);
	struct berth_publisher *publisher = search->engine ? berth_publisher_new(search->engine) : NULL;
	struct berth_generation *generation = publisher ? berth_compile(&search->model, &geometry, error) : NULL;
	int err = generation ? berth_publish(publisher, generation, error) : -ENOMEM;
	if (!err) {
		publish_eligibility(publisher, &search->model);
		memcpy(search->engine->image.loads, image->loads,
		       geometry.backends / BERTH_LOADS_PER_LINE * sizeof(*image->loads));
	}
	berth_generation_free(generation);
	berth_publisher_free(publisher);
	return err;
}

/* Appends a service's backends that are not listed yet. */
static void list(struct berth_plan *plan, struct search *search, const struct berth_model_service *service,
		 enum berth_plan_change change)
{
	for (size_t i = 0; i < service->n_backends; i++) {
		const struct berth_model_backend *backend = &service->backends[i];
		struct berth_plan_backend *known = search->by_number[backend->number];
		if (known) {
			known->change = BERTH_PLAN_STAYS;
			continue;
		}
		struct berth_plan_backend *entry = &plan->backends[plan->n++];
		memcpy(entry->service, service->config.name, sizeof(entry->service));
		memcpy(entry->name, backend->config.name, sizeof(entry->name));
		entry->change = change;
		search->by_number[backend->number] = entry;
	}
}

static size_t count_backends(const struct berth_model *model)
{
	size_t n = 0;
	for (size_t i = 0; i < model->n_services; i++)
		n += model->services[i].n_backends;
	return n;
}

/* No number is two backends': those that go keep theirs until the walks have passed. */
static int list_backends(struct berth_plan *plan, struct search *search, const struct berth_model *model)
{
	plan->backends = calloc(count_backends(model) + count_backends(&search->model) + 1,
				sizeof(*plan->backends));
	search->by_number = calloc(search->model.backend_numbers.size, sizeof(struct berth_plan_backend *));
	if (!plan->backends || !search->by_number)
		return -ENOMEM;
	for (size_t i = 0; i < model->n_services; i++)
		list(plan, search, &model->services[i], BERTH_PLAN_GOES);
	for (size_t i = 0; i < search->model.n_services; i++)
		list(plan, search, &search->model.services[i], BERTH_PLAN_COMES);
	return 0;
}

static const struct berth_service *service_of(const struct berth_view *view, const struct berth_backend *backend)
{
	return backend && backend->id ? berth_service_of(view, backend->service) : NULL;
}

/* What becomes of a word that needs `bit` of its backend. */
static enum fate fate_of(const struct search *search, uint64_t word, uint8_t bit)
{
	uint32_t number = berth_word_backend(word);
	const struct berth_service *before = service_of(&search->before, berth_backend_of(&search->before, number));
	const struct berth_service *after = service_of(&search->after, berth_backend_of(&search->after, number));
	if (!before || berth_word_is_expired(word, search->before.now, before) ||
	    !(berth_eligibility(&search->before, number) & bit))
		return NO_MATTER;
	if (!after || !(berth_eligibility(&search->after, number) & bit))
		return LEAVES;
	return berth_word_is_expired(word, search->after.now, after) ? FORGOTTEN : STAYS;
}

static void come(const struct search *search, uint32_t number, bool session)
{
	struct berth_plan_backend *to = number ? search->by_number[number] : NULL;
	if (to && session)
		to->sessions.come++;
	else if (to)
		to->flows.come++;
}

/* The service that a word's backend belonged to, if it is there afterwards. 0: it is not. */
static uint32_t heir(const struct search *search, uint64_t word, const struct berth_service **after)
{
	const struct berth_backend *backend = berth_backend_of(&search->before, berth_word_backend(word));
	const struct berth_service *before = service_of(&search->before, backend);
	*after = before ? berth_service_of(&search->after, backend->service) : NULL;
	return *after && (*after)->id == before->id ? backend->service : 0;
}

static void ask_flow(const struct search *search, uint64_t word)
{
	struct berth_plan_backend *entry = search->by_number[berth_word_backend(word)];
	const struct berth_service *after;
	enum fate fate = fate_of(search, word, BERTH_ELIGIBLE_FLOWS);
	if (berth_word_state(word) == BERTH_STATE_FRAGMENT || !entry || fate == NO_MATTER)
		return;
	entry->flows.live++;
	if (fate == STAYS)
		return;
	entry->flows.leave++;
	uint32_t service = heir(search, word, &after);
	if (service && after->affinity == BERTH_AFFINITY_FLOW)
		come(search, (uint32_t)berth_select_stateless(&search->after, service, berth_word_tag(word)),
		     false);
}

/* Whether a client is still found by the same hash, and its session's number means the same. */
static bool is_found(const struct search *search, uint64_t word)
{
	const struct berth_service *before = service_of(
		&search->before, berth_backend_of(&search->before, berth_word_backend(word)));
	const struct berth_service *after;
	uint32_t service = heir(search, word, &after);
	return service && after->affinity == BERTH_AFFINITY_CLIENT && after->session_service == service &&
	       after->session_key == before->session_key && after->prefix4 == before->prefix4 &&
	       after->prefix6 == before->prefix6;
}

static void ask_session(const struct search *search, uint64_t word, const struct berth_client *client)
{
	uint32_t number = berth_word_backend(word);
	struct berth_plan_backend *entry = search->by_number[number];
	enum fate fate = fate_of(search, word, BERTH_ELIGIBLE_SESSIONS);
	if (!entry || fate == NO_MATTER)
		return;
	entry->sessions.live++;
	if (fate == FORGOTTEN && berth_pinned_backend(client, berth_word_tag(word)))
		fate = STAYS;
	if (fate != LEAVES) {
		entry->forgotten += fate == FORGOTTEN || !is_found(search, word);
		return;
	}
	const struct berth_backend *gone = berth_backend_of(&search->after, number);
	const struct berth_service *after;
	uint32_t service = heir(search, word, &after);
	entry->sessions.leave++;
	if (gone && gone->id && berth_accepts_session(&search->after, gone->backup))
		come(search, gone->backup, true);
	else if (service)
		come(search, berth_select(&search->after, service, berth_word_tag(word)), true);
}

static void ask_all(const struct search *search, const struct berth_image *image)
{
	for (uint32_t b = 0; b < image->geometry.flow_buckets; b++)
		for (uint32_t i = 0; i < BERTH_BUCKET_WORDS; i++) {
			uint64_t word = BERTH_LOAD(&image->flows[b].word[i]);
			if (word && berth_word_backend(word) < search->model.backend_numbers.size)
				ask_flow(search, word);
		}
	for (uint32_t b = 0; b < image->geometry.session_buckets; b++)
		for (uint32_t i = 0; i < BERTH_BUCKET_WORDS; i++) {
			uint64_t word = BERTH_LOAD(&image->sessions[b].word[i]);
			if (word && berth_word_backend(word) < search->model.backend_numbers.size)
				ask_session(search, word, &image->clients[b * BERTH_BUCKET_WORDS + i]);
		}
}

struct berth_plan *berth_plan_make(const struct berth_model *model, struct berth_config *config,
				   const struct berth_image *image, uint32_t now, char error[BERTH_ERROR_BYTES])
{
	struct search search = {0};
	struct berth_plan *plan = calloc(1, sizeof(*plan));
	int err = plan ? berth_model_copy(&search.model, model) : -ENOMEM;
	snprintf(error, BERTH_ERROR_BYTES, "out of memory");
	if (!err)
		err = berth_model_apply(&search.model, config, error);
	if (err) {
		berth_config_free(config);
		goto out;
	}
	assume_up(&search.model);
	err = publish(&search, image, error);
	if (!err)
		err = list_backends(plan, &search, model);
	if (err)
		goto out;
	search.before = berth_image_view(image, 0, now);
	search.after = berth_image_view(&search.engine->image, 0, now);
	ask_all(&search, image);
out:
	if (search.engine)
		search.engine->ops->close(search.engine, true);
	berth_model_clear(&search.model);
	free(search.by_number);
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
	free(plan);
}
