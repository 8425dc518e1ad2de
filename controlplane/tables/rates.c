// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/tables/rates.h"

#include <stdlib.h>
#include <string.h>

#include "controlplane/tables/counters.h"

enum {
	PERIOD_MS = 1000,	/* between two reads of a counter */
	SLICES = 40,		/* calls in which all are read; BERTH_LOAD_TICK_MS makes 50 calls of a second */
	LEAST_ITEMS = 64,	/* backends and services of a call */
	RATE_FIGURES = 3,	/* packets, bytes, new flows */
	LONG_WINDOWS = 2,	/* all but the first, which is the time between two reads */
	MOST_KNOWN_MS = 120000, /* longer than each window */
};

static const uint32_t window_ms[] = {
#define X(symbol, name, ms) [BERTH_RATE_##symbol] = (ms),
	BERTH_RATE_WINDOWS(X)
#undef X
};

/* What was read of one number. A long window slides over two fixed periods of its length: all of the current one
 * and as much of the previous one as the window still covers. */
struct slot {
	uint64_t last_ms; /* of the last read */
	uint64_t count[RATE_FIGURES];
	uint32_t id;	      /* of what has the number: the lower half */
	uint32_t interval_ms; /* between the last two reads; 0: there was one */
	uint32_t known_ms;    /* since the first read, at most MOST_KNOWN_MS */
	float last[RATE_FIGURES];
	float current[LONG_WINDOWS][RATE_FIGURES];
	float previous[LONG_WINDOWS][RATE_FIGURES];
};

struct figures {
	uint64_t of[RATE_FIGURES];
};

struct slots {
	struct slot *all;
	uint32_t n;
};

struct berth_rates {
	struct slots services;
	struct slots backends;
	struct slot engine;
	struct slot drops;
	/* The pass over all services under way. */
	bool is_running;
	uint64_t started_ms;
	uint64_t version;
	size_t service; /* the next one, and its next backend */
	size_t backend;
	struct figures sum;   /* of the backends of this service so far */
	struct figures total; /* of all services so far */
};

struct berth_rates *berth_rates_new(void)
{
	return calloc(1, sizeof(struct berth_rates));
}

void berth_rates_free(struct berth_rates *rates)
{
	if (!rates)
		return;
	free(rates->services.all);
	free(rates->backends.all);
	free(rates);
}

/* Room for `n` numbers. Without memory there are no rates. */
static void make_room(struct slots *slots, uint32_t n)
{
	if (slots->n >= n)
		return;
	struct slot *grown = calloc(n, sizeof(*grown));
	if (!grown)
		return;
	if (slots->n)
		memcpy(grown, slots->all, slots->n * sizeof(*grown));
	free(slots->all);
	slots->all = grown;
	slots->n = n;
}

/* Adds what was counted since the last read, slot->last, to the periods in which that was. */
static void add_to_periods(struct slot *slot, uint64_t now_ms)
{
	for (size_t w = 0; w < LONG_WINDOWS; w++) {
		const uint64_t length_ms = window_ms[w + 1];
		const uint64_t passed = now_ms / length_ms - slot->last_ms / length_ms;
		const float into = (float)(now_ms % length_ms) / (float)slot->interval_ms;
		const float before = (float)(length_ms - slot->last_ms % length_ms) / (float)slot->interval_ms;
		for (size_t i = 0; i < RATE_FIGURES; i++) {
			float *current = &slot->current[w][i], *previous = &slot->previous[w][i];
			if (passed == 1)
				*previous = *current + slot->last[i] * before;
			else if (passed)
				*previous = slot->last[i] * (float)length_ms / (float)slot->interval_ms;
			*current = passed ? slot->last[i] * into : *current + slot->last[i];
		}
	}
}

static bool is_continued(const struct slot *slot, uint32_t id, const struct figures *now, uint64_t now_ms)
{
	bool grows = slot->last_ms && slot->id == id && now_ms > slot->last_ms;
	for (size_t i = 0; i < RATE_FIGURES; i++)
		grows &= now->of[i] >= slot->count[i];
	return grows;
}

static void sample(struct slot *slot, uint32_t id, const struct figures *now, uint64_t now_ms)
{
	if (is_continued(slot, id, now, now_ms)) {
		slot->interval_ms = (uint32_t)(now_ms - slot->last_ms);
		slot->known_ms += slot->interval_ms;
		if (slot->known_ms > MOST_KNOWN_MS)
			slot->known_ms = MOST_KNOWN_MS;
		for (size_t i = 0; i < RATE_FIGURES; i++)
			slot->last[i] = (float)(now->of[i] - slot->count[i]);
		add_to_periods(slot, now_ms);
	} else {
		*slot = (struct slot){.id = id};
	}
	slot->last_ms = now_ms;
	memcpy(slot->count, now->of, sizeof(slot->count));
}

static void sample_number(struct slots *slots, uint32_t number, uint64_t id, const struct figures *now,
			  uint64_t now_ms)
{
	if (number < slots->n)
		sample(&slots->all[number], (uint32_t)id, now, now_ms);
}

static struct figures figures_of(const struct berth_tally *tally)
{
	return (struct figures){{tally->packets, tally->bytes, tally->flows}};
}

static void add(struct figures *sum, const struct figures *one)
{
	for (size_t i = 0; i < RATE_FIGURES; i++)
		sum->of[i] += one->of[i];
}

static void read_backend(struct berth_rates *rates, const struct berth_image *image,
			 const struct berth_model_backend *backend, uint64_t now_ms)
{
	struct berth_tally tally;
	berth_counters_backend(image, backend->number, &tally);
	const struct figures now = figures_of(&tally);
	sample_number(&rates->backends, backend->number, backend->id, &now, now_ms);
	add(&rates->sum, &now);
}

/* All backends of the service have been read. */
static void end_service(struct berth_rates *rates, const struct berth_model_service *service, uint64_t now_ms)
{
	const struct figures retired = figures_of(&service->retired);
	add(&rates->sum, &retired);
	sample_number(&rates->services, service->number, service->id, &rates->sum, now_ms);
	add(&rates->total, &rates->sum);
	rates->sum = (struct figures){0};
	rates->backend = 0;
	rates->service++;
}

static void end_pass(struct berth_rates *rates, const struct berth_image *image, uint64_t now_ms)
{
	struct berth_totals totals;
	struct figures drops = {0};
	berth_counters_totals(image, &totals);
	for (enum berth_verdict v = BERTH_NO_VERDICT + 1; v < BERTH_VERDICT_COUNT; v++)
		drops.of[0] += BERTH_VERDICT_CLASS(v) == BERTH_CLASS_DROP ? totals.verdict[v] : 0;
	rates->total.of[0] = totals.received;
	sample(&rates->engine, 0, &rates->total, now_ms);
	sample(&rates->drops, 0, &drops, now_ms);
	rates->is_running = false;
}

static void begin_pass(struct berth_rates *rates, const struct berth_image *image, uint64_t version,
		       uint64_t now_ms)
{
	make_room(&rates->services, image->geometry.services);
	make_room(&rates->backends, image->geometry.backends);
	rates->is_running = true;
	rates->started_ms = now_ms;
	rates->version = version;
	rates->service = rates->backend = 0;
	rates->sum = rates->total = (struct figures){0};
}

static size_t items_per_step(const struct berth_rates *rates)
{
	return LEAST_ITEMS + ((size_t)rates->services.n + rates->backends.n) / SLICES;
}

void berth_rates_step(struct berth_rates *rates, const struct berth_image *image, const struct berth_model *model,
		      uint64_t version, uint64_t now_ms)
{
	const bool is_due = !rates->started_ms || now_ms - rates->started_ms >= PERIOD_MS;
	if (rates->version != version || (!rates->is_running && is_due))
		begin_pass(rates, image, version, now_ms);
	if (!rates->is_running)
		return;
	size_t left = items_per_step(rates);
	while (left && rates->service < model->n_services) {
		const struct berth_model_service *service = &model->services[rates->service];
		for (; left && rates->backend < service->n_backends; left--)
			read_backend(rates, image, &service->backends[rates->backend++], now_ms);
		if (rates->backend == service->n_backends) {
			end_service(rates, service, now_ms);
			left -= left > 0;
		}
	}
	if (rates->service == model->n_services)
		end_pass(rates, image, now_ms);
}

/* Of figure `i` a second. */
static double rate_of(const struct slot *slot, enum berth_rate_window window, size_t i)
{
	if (window == BERTH_RATE_1S)
		return (double)slot->last[i] * 1000 / slot->interval_ms;
	const size_t w = (size_t)window - 1;
	const double length_ms = window_ms[window];
	const double into_ms = (double)(slot->last_ms % window_ms[window]);
	const double current = (double)slot->current[w][i], previous = (double)slot->previous[w][i];
	/* The previous period is not known as a whole. */
	if (slot->known_ms < length_ms + into_ms)
		return (current + previous) * 1000 / slot->known_ms;
	return (current + previous * (length_ms - into_ms) / length_ms) * 1000 / length_ms;
}

static bool read_slot(const struct slot *slot, enum berth_rate_window window, struct berth_rate *rate)
{
	*rate = (struct berth_rate){0};
	if (!slot->interval_ms)
		return false;
	rate->packets = rate_of(slot, window, 0);
	rate->bits = rate_of(slot, window, 1) * 8;
	rate->new_flows = rate_of(slot, window, 2);
	return true;
}

static bool read_number(const struct slots *slots, uint32_t number, uint64_t id, enum berth_rate_window window,
			struct berth_rate *rate)
{
	static const struct slot unknown;
	const bool is_known = number < slots->n && slots->all[number].id == (uint32_t)id;
	return read_slot(is_known ? &slots->all[number] : &unknown, window, rate);
}

bool berth_rates_service(const struct berth_rates *rates, const struct berth_model_service *service,
			 enum berth_rate_window window, struct berth_rate *rate)
{
	return read_number(&rates->services, service->number, service->id, window, rate);
}

bool berth_rates_backend(const struct berth_rates *rates, const struct berth_model_backend *backend,
			 enum berth_rate_window window, struct berth_rate *rate)
{
	return read_number(&rates->backends, backend->number, backend->id, window, rate);
}

bool berth_rates_engine(const struct berth_rates *rates, enum berth_rate_window window, struct berth_rate *rate)
{
	return read_slot(&rates->engine, window, rate);
}

bool berth_rates_drops(const struct berth_rates *rates, enum berth_rate_window window, struct berth_rate *rate)
{
	return read_slot(&rates->drops, window, rate);
}
