// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/tables/counters.h"

#include <string.h>

#include "controlplane/model/model.h"

static const struct {
	const char *name;
	const char *help;
} verdicts[BERTH_VERDICT_COUNT] = {
#define X(symbol, name, class, help) [BERTH_VERDICT_##symbol] = {name, help},
	BERTH_VERDICTS(X)
#undef X
};

static const char *const event_names[BERTH_EVENT_COUNT] = {
#define X(symbol, name, help) [BERTH_EVENT_##symbol] = (name),
	BERTH_EVENTS(X)
#undef X
};

static const char *const class_names[] = {
	[BERTH_CLASS_FORWARD] = "forward",
	[BERTH_CLASS_ANSWER] = "answer",
	[BERTH_CLASS_PASS] = "pass",
	[BERTH_CLASS_DROP] = "drop",
};

const char *berth_verdict_name(enum berth_verdict verdict)
{
	return verdicts[verdict].name;
}

const char *berth_verdict_help(enum berth_verdict verdict)
{
	return verdicts[verdict].help;
}

const char *berth_class_name(enum berth_class class)
{
	return class_names[class];
}

const char *berth_event_name(enum berth_event event)
{
	return event_names[event];
}

void berth_counters_totals(const struct berth_image *image, struct berth_totals *totals)
{
	memset(totals, 0, sizeof(*totals));
	for (uint32_t w = 0; w < image->geometry.workers; w++) {
		const struct berth_worker *worker = &image->workers[w];
		for (uint32_t v = 0; v < BERTH_VERDICT_COUNT; v++)
			totals->verdict[v] += BERTH_LOAD(&worker->verdict[v]);
		for (uint32_t e = 0; e < BERTH_EVENT_COUNT; e++)
			totals->event[e] += BERTH_LOAD(&worker->event[e]);
		totals->received += BERTH_LOAD(&worker->received);
	}
}

/* A worker's tallies: its services', then its backends'. */
static struct berth_tally *tally_at(const struct berth_image *image, uint32_t worker, uint32_t slot)
{
	uint32_t stride = image->geometry.services + image->geometry.backends;
	return &image->tallies[(size_t)worker * stride + slot];
}

static void sum_slot(const struct berth_image *image, uint32_t slot, struct berth_tally *tally)
{
	memset(tally, 0, sizeof(*tally));
	for (uint32_t w = 0; w < image->geometry.workers; w++) {
		const struct berth_tally *one = tally_at(image, w, slot);
		tally->packets += BERTH_LOAD(&one->packets);
		tally->bytes += BERTH_LOAD(&one->bytes);
		tally->flows += BERTH_LOAD(&one->flows); /* or `limited` */
	}
}

void berth_counters_backend(const struct berth_image *image, uint32_t backend, struct berth_tally *tally)
{
	sum_slot(image, image->geometry.services + backend, tally);
}

uint64_t berth_counters_new_flows(const struct berth_image *image, uint32_t backend)
{
	uint64_t sum = 0;
	for (uint32_t w = 0; w < image->geometry.workers; w++)
		sum += BERTH_LOAD(&tally_at(image, w, image->geometry.services + backend)->flows);
	return sum;
}

void berth_counters_service(const struct berth_image *image, uint32_t service, struct berth_tally *tally)
{
	sum_slot(image, service, tally);
}

static void clear_slot(const struct berth_image *image, uint32_t slot)
{
	for (uint32_t w = 0; w < image->geometry.workers; w++)
		*tally_at(image, w, slot) = (struct berth_tally){0};
}

static void copy_worker(struct berth_worker *to, const struct berth_worker *from)
{
	for (uint32_t v = 0; v < BERTH_VERDICT_COUNT; v++)
		to->verdict[v] += BERTH_LOAD(&from->verdict[v]);
	for (uint32_t e = 0; e < BERTH_EVENT_COUNT; e++)
		to->event[e] += BERTH_LOAD(&from->event[e]);
	to->received += BERTH_LOAD(&from->received);
}

static void copy_slot(const struct berth_image *to, uint32_t to_slot, const struct berth_image *from,
		      uint32_t from_slot)
{
	sum_slot(from, from_slot, tally_at(to, 0, to_slot));
}

static void copy_tallies(const struct berth_image *to, const struct berth_image *from,
			 const struct berth_model_service *service)
{
	const struct berth_image_half current = berth_image_current(from);
	const struct berth_geometry *f = &from->geometry;
	if (service->number < f->services && current.services[service->number].id == service->id)
		copy_slot(to, service->number, from, service->number);
	for (size_t j = 0; j < service->n_backends; j++) {
		const struct berth_model_backend *backend = &service->backends[j];
		if (backend->number < f->backends && current.backends[backend->number].id == backend->id)
			copy_slot(to, to->geometry.services + backend->number, from, f->services + backend->number);
	}
}

void berth_counters_copy(const struct berth_image *to, const struct berth_image *from,
			 const struct berth_model *model)
{
	const uint32_t last = to->geometry.workers - 1;
	for (uint32_t w = 0; w < from->geometry.workers; w++)
		copy_worker(&to->workers[w < last ? w : last], &from->workers[w]);
	for (size_t i = 0; i < model->n_services; i++)
		copy_tallies(to, from, &model->services[i]);
}

void berth_counters_clear_new(const struct berth_image *image, const struct berth_model *model)
{
	const struct berth_image_half current = berth_image_current(image);
	for (size_t i = 0; i < model->n_services; i++) {
		const struct berth_model_service *service = &model->services[i];
		if (current.services[service->number].id != service->id)
			clear_slot(image, service->number);
		for (size_t j = 0; j < service->n_backends; j++) {
			const struct berth_model_backend *backend = &service->backends[j];
			if (current.backends[backend->number].id != backend->id)
				clear_slot(image, image->geometry.services + backend->number);
		}
	}
}
