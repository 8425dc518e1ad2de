// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/metrics/metrics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "controlplane/metrics/list.h"
#include "controlplane/tables/counters.h"
#include "controlplane/tables/usage.h"
#include "controlplane/util/address.h"
#include "controlplane/util/clock.h"

#define NO_SAMPLE UINT64_MAX

struct metric {
	const char *name;
	enum berth_metric_type type;
	const char *help;
};

#define X(symbol, name, type, help) {name, BERTH_METRIC_##type, help},
static const struct metric top[] = {BERTH_METRICS_TOP(X)};
static const struct metric other[] = {BERTH_METRICS_OTHER(X)};
static const struct metric of_service[] = {BERTH_METRICS_SERVICE(X)};
static const struct metric of_backend[] = {BERTH_METRICS_BACKEND(X)};
#undef X

enum {
#define X(symbol, ...) TOP_##symbol,
	BERTH_METRICS_TOP(X)
#undef X
	TOP_COUNT,
#define X(symbol, ...) OTHER_##symbol,
	OTHER_FIRST = -1,
	BERTH_METRICS_OTHER(X)
#undef X
#define X(symbol, ...) SERVICE_##symbol,
	SERVICE_FIRST = -1,
	BERTH_METRICS_SERVICE(X)
#undef X
	SERVICE_COUNT,
#define X(symbol, ...) BACKEND_##symbol,
	BACKEND_FIRST = -1,
	BERTH_METRICS_BACKEND(X)
#undef X
	BACKEND_COUNT,
};

/* A metric's samples stand together, so what is known of a service or a backend is gathered before. */
struct service_row {
	size_t labels, end; /* in the gathering's text */
	uint64_t value[SERVICE_COUNT];
};

struct backend_row {
	size_t labels, end;
	enum berth_admin admin;
	uint64_t value[BACKEND_COUNT];
};

struct gathering {
	const struct berth_daemon_state *state;
	struct berth_text *out;
	int64_t epoch_ms; /* what CLOCK_MONOTONIC was 0 at, in Unix time */
	struct service_row *services;
	struct backend_row *backends;
	size_t n_backends;
	struct berth_text labels;
};

/* Never in the future. */
static uint64_t unix_seconds(const struct gathering *gathering, uint64_t ms)
{
	return (uint64_t)(gathering->epoch_ms + (int64_t)ms) / 1000;
}

static int64_t epoch_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 - (int64_t)berth_clock_ms();
}

/* With labels made for this one sample. */
__attribute__((sentinel)) static void write_labelled(struct berth_text *out, const struct metric *metric,
						     uint64_t value, const char *key, ...)
{
	struct berth_text labels = {0};
	va_list pairs;
	va_start(pairs, key);
	for (; key; key = va_arg(pairs, const char *))
		berth_text_label(&labels, 0, key, va_arg(pairs, const char *));
	va_end(pairs);
	out->failed |= labels.failed;
	berth_text_sample(out, metric->name, metric->type, berth_text_labels(&labels, 0), value);
	berth_text_clear(&labels);
}

static void write_head(struct berth_text *out, const struct metric *metric)
{
	berth_text_head(out, metric->name, metric->type, metric->help);
}

static void write_about(struct gathering *gathering)
{
	const struct berth_daemon_state *state = gathering->state;
	struct berth_text *out = gathering->out;
	write_head(out, &other[OTHER_BUILD]);
	write_labelled(out, &other[OTHER_BUILD], 1, "version", BERTH_VERSION, NULL);
	write_head(out, &other[OTHER_ENGINE]);
	write_labelled(out, &other[OTHER_ENGINE], 1, "engine", state->engine->ops->name, "instance",
		       state->instance, NULL);
}

static void write_top(struct gathering *gathering, const struct berth_totals *totals)
{
	const struct berth_daemon_state *state = gathering->state;
	const struct berth_engine *engine = state->engine;
	const uint64_t values[TOP_COUNT] = {
		[TOP_STARTED] = unix_seconds(gathering, state->started_ms),
		[TOP_RUNNING] = engine->ops->is_running(engine),
		[TOP_WORKERS] = engine->workers,
		[TOP_GENERATION] = BERTH_LOAD(&engine->image.ctl->generation),
		[TOP_APPLIED] = unix_seconds(gathering, state->applied_ms),
		[TOP_PUBLISH_FAILURES] = state->publication.failures,
		[TOP_RECEIVED] = totals->received,
	};
	for (size_t i = 0; i < TOP_COUNT; i++) {
		write_head(gathering->out, &top[i]);
		berth_text_sample(gathering->out, top[i].name, top[i].type, (struct berth_labels){0}, values[i]);
	}
}

static void write_counters(struct gathering *gathering, const struct berth_totals *totals)
{
	const struct berth_engine *engine = gathering->state->engine;
	struct berth_text *out = gathering->out;
	write_head(out, &other[OTHER_WORKER_RECEIVED]);
	for (uint32_t w = 0; w < engine->workers && w < engine->image.geometry.workers; w++) {
		char number[16];
		snprintf(number, sizeof(number), "%u", w);
		write_labelled(out, &other[OTHER_WORKER_RECEIVED], BERTH_LOAD(&engine->image.workers[w].received),
			       "worker", number, NULL);
	}
	write_head(out, &other[OTHER_PACKETS]);
	for (enum berth_verdict v = BERTH_NO_VERDICT + 1; v < BERTH_VERDICT_COUNT; v++)
		write_labelled(out, &other[OTHER_PACKETS], totals->verdict[v], "verdict", berth_verdict_name(v),
			       "class", berth_class_name(BERTH_VERDICT_CLASS(v)), NULL);
	write_head(out, &other[OTHER_EVENTS]);
	for (enum berth_event e = 0; e < BERTH_EVENT_COUNT; e++)
		write_labelled(out, &other[OTHER_EVENTS], totals->event[e], "event", berth_event_name(e), NULL);
}

static void write_tables(struct gathering *gathering)
{
	const struct berth_geometry *g = &gathering->state->engine->image.geometry;
	struct berth_text *out = gathering->out;
	uint64_t flows, sessions;
	berth_scan_totals(gathering->state->scan, &flows, &sessions);
	write_head(out, &other[OTHER_ENTRIES]);
	write_labelled(out, &other[OTHER_ENTRIES], flows, "table", "flows", NULL);
	write_labelled(out, &other[OTHER_ENTRIES], sessions, "table", "sessions", NULL);
	write_head(out, &other[OTHER_CAPACITY]);
	write_labelled(out, &other[OTHER_CAPACITY], (uint64_t)g->flow_buckets * BERTH_BUCKET_WORDS, "table",
		       "flows", NULL);
	write_labelled(out, &other[OTHER_CAPACITY], (uint64_t)g->session_buckets * BERTH_BUCKET_WORDS, "table",
		       "sessions", NULL);
}

static void gather_backend(struct gathering *gathering, const struct berth_model_service *service,
			   const struct berth_model_backend *backend, struct berth_usage *sum)
{
	struct backend_row *row = &gathering->backends[gathering->n_backends++];
	struct berth_health_status status;
	struct berth_usage carried;
	berth_usage_backend(gathering->state->scan, service, backend, &carried);
	berth_usage_add(sum, &carried);
	bool checked = berth_health_get(gathering->state->health, backend->id, &status);
	*row = (struct backend_row){
		.labels = gathering->labels.length,
		.admin = backend->admin,
		.value =
			{
				[BACKEND_UP] = berth_model_health(backend) == BERTH_HEALTH_UP,
				[BACKEND_ADMITS_NEW] = (berth_model_eligibility(backend) & BERTH_ELIGIBLE_NEW) != 0,
				[BACKEND_KEPT] = backend->is_kept,
				[BACKEND_WEIGHT] = berth_model_weight_tenths(backend),
				[BACKEND_FLOWS] = carried.flows,
				[BACKEND_CLOSING] = carried.closing,
				[BACKEND_SESSIONS] = carried.sessions,
				[BACKEND_PACKETS] = carried.tally.packets,
				[BACKEND_BYTES] = carried.tally.bytes,
				[BACKEND_FLOWS_BEGUN] = carried.tally.flows,
				[BACKEND_PROBES] = checked ? status.probes : NO_SAMPLE,
				[BACKEND_PROBE_FAILURES] = checked ? status.failures : NO_SAMPLE,
			},
	};
	berth_text_label(&gathering->labels, row->labels, "service", service->config.name);
	berth_text_label(&gathering->labels, row->labels, "backend", backend->config.name);
	row->end = gathering->labels.length;
}

static void gather_service(struct gathering *gathering, size_t i)
{
	const struct berth_model_service *service = &gathering->state->model->services[i];
	struct service_row *row = &gathering->services[i];
	struct berth_usage sum = {.tally = service->retired};
	struct berth_tally refused;
	uint64_t up = 0;
	row->labels = gathering->labels.length;
	berth_text_label(&gathering->labels, row->labels, "service", service->config.name);
	row->end = gathering->labels.length;
	for (size_t j = 0; j < service->n_backends; j++) {
		gather_backend(gathering, service, &service->backends[j], &sum);
		up += gathering->backends[gathering->n_backends - 1].value[BACKEND_UP];
	}
	berth_counters_service(&gathering->state->engine->image, service->number, &refused);
	row->value[SERVICE_BACKENDS] = service->n_backends;
	row->value[SERVICE_UP] = up;
	row->value[SERVICE_PANIC] = service->panic;
	row->value[SERVICE_PANIC_SINCE] = service->panic ? unix_seconds(gathering, service->panic_since_ms)
							 : NO_SAMPLE;
	row->value[SERVICE_FLOWS] = sum.flows;
	row->value[SERVICE_SESSIONS] = sum.sessions;
	row->value[SERVICE_PACKETS] = sum.tally.packets;
	row->value[SERVICE_BYTES] = sum.tally.bytes;
	row->value[SERVICE_FLOWS_BEGUN] = sum.tally.flows;
	row->value[SERVICE_REFUSED] = refused.packets;
}

static int gather(struct gathering *gathering)
{
	const struct berth_model *model = gathering->state->model;
	size_t n_backends = 0;
	for (size_t i = 0; i < model->n_services; i++)
		n_backends += model->services[i].n_backends;
	gathering->services = calloc(model->n_services + 1, sizeof(*gathering->services));
	gathering->backends = calloc(n_backends + 1, sizeof(*gathering->backends));
	if (!gathering->services || !gathering->backends)
		return -ENOMEM;
	for (size_t i = 0; i < model->n_services; i++)
		gather_service(gathering, i);
	return gathering->labels.failed ? -ENOMEM : 0;
}

static struct berth_labels labels_at(const struct gathering *gathering, size_t start, size_t end)
{
	return (struct berth_labels){gathering->labels.bytes + start, end - start};
}

static void write_services(struct gathering *gathering)
{
	const struct berth_model *model = gathering->state->model;
	write_head(gathering->out, &other[OTHER_SERVICE]);
	for (size_t i = 0; i < model->n_services; i++) {
		const struct berth_service_config *config = &model->services[i].config;
		char address[BERTH_PREFIX_TEXT], ports[BERTH_PORTS_TEXT];
		write_labelled(gathering->out, &other[OTHER_SERVICE], 1, "service", config->name, "address",
			       berth_prefix_format(&config->address, config->bits, address), "protocol",
			       berth_protocol_name(config->protocol), "port",
			       berth_config_format_ports(config, ports), "mode", berth_mode_name(config->mode),
			       "scheduler", berth_schedule_name(config->scheduler), NULL);
	}
	for (size_t m = 0; m < SERVICE_COUNT; m++) {
		write_head(gathering->out, &of_service[m]);
		for (size_t i = 0; i < model->n_services; i++) {
			const struct service_row *row = &gathering->services[i];
			if (row->value[m] != NO_SAMPLE)
				berth_text_sample(gathering->out, of_service[m].name, of_service[m].type,
						  labels_at(gathering, row->labels, row->end), row->value[m]);
		}
	}
}

/* The row's labels and one more. */
static void write_admin(struct gathering *gathering, const struct backend_row *row, struct berth_text *labels)
{
	const struct metric *metric = &other[OTHER_ADMIN];
	labels->length = 0;
	berth_text_copy(labels, labels_at(gathering, row->labels, row->end));
	berth_text_label(labels, 0, "admin", berth_admin_name(row->admin));
	berth_text_sample(gathering->out, metric->name, metric->type, berth_text_labels(labels, 0), 1);
}

static void write_backends(struct gathering *gathering)
{
	struct berth_text labels = {0};
	write_head(gathering->out, &other[OTHER_ADMIN]);
	for (size_t i = 0; i < gathering->n_backends; i++)
		write_admin(gathering, &gathering->backends[i], &labels);
	gathering->out->failed |= labels.failed;
	berth_text_clear(&labels);
	for (size_t m = 0; m < BACKEND_COUNT; m++) {
		write_head(gathering->out, &of_backend[m]);
		for (size_t i = 0; i < gathering->n_backends; i++) {
			const struct backend_row *row = &gathering->backends[i];
			if (row->value[m] != NO_SAMPLE)
				berth_text_sample(gathering->out, of_backend[m].name, of_backend[m].type,
						  labels_at(gathering, row->labels, row->end), row->value[m]);
		}
	}
}

int berth_metrics_write(const struct berth_daemon_state *state, struct berth_text *text)
{
	struct gathering gathering = {.state = state, .out = text, .epoch_ms = epoch_ms()};
	struct berth_totals totals;
	berth_counters_totals(&state->engine->image, &totals);
	int err = gather(&gathering);
	if (!err) {
		write_about(&gathering);
		write_top(&gathering, &totals);
		write_counters(&gathering, &totals);
		write_tables(&gathering);
		write_services(&gathering);
		write_backends(&gathering);
		err = text->failed ? -ENOMEM : 0;
	}
	if (err)
		berth_text_clear(text);
	free(gathering.services);
	free(gathering.backends);
	berth_text_clear(&gathering.labels);
	return err;
}
