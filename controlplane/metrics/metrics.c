// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/metrics/metrics.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "controlplane/metrics/general.h"
#include "controlplane/metrics/labelled.h"
#include "controlplane/metrics/list.h"
#include "controlplane/metrics/packed.h"
#include "controlplane/model/path_mtu.h"
#include "controlplane/tables/counters.h"
#include "controlplane/tables/usage.h"
#include "controlplane/util/address.h"
#include "controlplane/util/clock.h"

#define NO_SAMPLE BERTH_PACKED_ABSENT

enum {
	SAMPLES_OF_BACKEND = 10, /* that take as long as to collect a backend's values */
};

struct metric {
	const char *name;
	enum berth_metric_type type;
	const char *help;
};

#define X(symbol, name, type, help) {name, BERTH_METRIC_##type, help},
static const struct metric service_metrics[] = {BERTH_METRICS_SERVICE(X)};
static const struct metric backend_metrics[] = {BERTH_METRICS_BACKEND(X)};
#undef X

enum {
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

/* All samples of a metric are adjacent in the output, so the values are collected first. */
struct service_row {
	size_t labels, end; /* offsets into the snapshot's labels */
	uint64_t value[SERVICE_COUNT];
};

struct backend_row {
	size_t labels, end;
	enum berth_admin admin;
	struct berth_packed_row values;
};

static_assert((int)BACKEND_COUNT <= (int)BERTH_PACKED_MOST, "values of a backend");

struct berth_metrics_writing {
	const struct berth_daemon_state *state;
	struct berth_text *out;
	/* Whose services these are. */
	uint64_t installs; /* so many when it began */
	bool without_backends;
	size_t stage;	   /* of `stages` */
	size_t metric, at; /* and row, in the stage */
	size_t left;	   /* rows of this turn */
	int64_t epoch_ms;  /* Unix time at 0 of CLOCK_MONOTONIC */
	struct service_row *services;
	struct backend_row *backends;
	size_t n_backends;
	size_t n_services;
	struct berth_text labels;
	struct berth_text values; /* of backends */
	struct berth_text info;	  /* the samples of write_service_info */
};

static int64_t epoch_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 - (int64_t)berth_clock_ms();
}

static void write_head(struct berth_text *out, const struct metric *metric)
{
	berth_text_head(out, metric->name, metric->type, metric->help);
}

static void collect_agent(const struct berth_daemon_state *state, const struct berth_model_backend *backend,
			  uint64_t value[])
{
	struct berth_agent_status agent;
	const bool has_agent = berth_health_get_agent(state->health, backend->id, &agent);
	value[BACKEND_AGENT_PERCENT] = has_agent ? berth_agent_percent(&backend->agent.said) : NO_SAMPLE;
	value[BACKEND_AGENT_LINES] = has_agent ? agent.lines : NO_SAMPLE;
	value[BACKEND_AGENT_REFUSED] = has_agent ? agent.refused : NO_SAMPLE;
	value[BACKEND_AGENT_SILENCES] = has_agent ? agent.silences : NO_SAMPLE;
}

static void collect_times(const struct berth_model_service *service, const struct berth_model_backend *backend,
			  uint64_t value[])
{
	const bool is_timed = berth_model_times_connections(service);
	const uint32_t us = berth_connect_time_us(
		&backend->connect, berth_health_half_life_ms(service->config.health), berth_clock_ms());
	value[BACKEND_CONNECT] = is_timed && us ? us : NO_SAMPLE;
	value[BACKEND_TIMED] = is_timed ? backend->connect.all : NO_SAMPLE;
	value[BACKEND_BY_CONNECTIONS] = service->config.scheduler == BERTH_SCHEDULE_RESPONSE_TIME
						? backend->is_by_connections
						: NO_SAMPLE;
}

static void collect_backend(struct berth_metrics_writing *snapshot, const struct berth_model_service *service,
			    const struct berth_model_backend *backend, struct berth_usage *sum, uint64_t *up,
			    uint64_t *eligible)
{
	struct backend_row *row = &snapshot->backends[snapshot->n_backends++];
	struct berth_health_status status;
	struct berth_usage usage;
	berth_usage_backend(snapshot->state->scan, backend, &usage);
	berth_usage_add(sum, &usage);
	bool has_status = berth_health_get(snapshot->state->health, backend->id, &status);
	uint64_t value[BACKEND_COUNT] = {
		[BACKEND_UP] = berth_model_health(backend) == BERTH_HEALTH_UP,
		[BACKEND_ELIGIBLE_NEW] = berth_model_is_eligible(backend),
		[BACKEND_PANIC] = backend->is_kept,
		[BACKEND_PATH_MTU] = backend->next_hop.is_resolved ? berth_path_mtu(service, backend) : NO_SAMPLE,
		[BACKEND_WEIGHT] = berth_model_weight_hundredths(backend),
		[BACKEND_FLOWS] = usage.flows,
		[BACKEND_CLOSING] = usage.closing,
		[BACKEND_SESSIONS] = usage.sessions,
		[BACKEND_PACKETS] = usage.tally.packets,
		[BACKEND_BYTES] = usage.tally.bytes,
		[BACKEND_FLOWS_BEGUN] = usage.tally.flows,
		[BACKEND_PROBES] = has_status ? status.probes : NO_SAMPLE,
		[BACKEND_PROBE_FAILURES] = has_status ? status.failures : NO_SAMPLE,
		[BACKEND_HEALTH_ERROR] = has_status ? status.error != BERTH_HEALTH_NO_ERROR : NO_SAMPLE,
		[BACKEND_HEALTH_ERRORS] = has_status ? status.errors : NO_SAMPLE,
		[BACKEND_HEALTH_CHANGES] = has_status ? status.changes : NO_SAMPLE,
		[BACKEND_HEALTH_SECONDS] = has_status && status.probes ? status.duration_us : NO_SAMPLE,
		[BACKEND_RESPONSE] = has_status && status.response_us ? status.response_us : NO_SAMPLE,
	};
	collect_agent(snapshot->state, backend, value);
	collect_times(service, backend, value);
	*up += value[BACKEND_UP];
	*eligible += value[BACKEND_ELIGIBLE_NEW];
	*row = (struct backend_row){
		.labels = snapshot->labels.length,
		.admin = berth_model_admin(backend),
		.values = berth_packed_add(&snapshot->values, value, BACKEND_COUNT),
	};
	berth_text_label(&snapshot->labels, row->labels, "service", service->config.name);
	berth_text_label(&snapshot->labels, row->labels, "backend", backend->config.name);
	row->end = snapshot->labels.length;
}

static void collect_info(struct berth_text *out, const struct berth_service_config *config)
{
	char address[BERTH_PREFIX_TEXT], ports[BERTH_PORTS_TEXT];
	berth_labelled_sample(out, BERTH_LABELLED_SERVICE, 1, "service", config->name, "address",
			      berth_prefix_format(&config->address, config->bits, address), "protocol",
			      berth_protocol_name(config->protocol), "port",
			      berth_config_format_ports(config, ports), "mode", berth_mode_name(config->mode),
			      "scheduler", berth_schedule_name(config->scheduler), NULL);
}

static void collect_service(struct berth_metrics_writing *snapshot, size_t i)
{
	const struct berth_model_service *service = &snapshot->state->model->services[i];
	struct service_row *row = &snapshot->services[i];
	struct berth_usage sum = {.tally = service->retired};
	struct berth_tally refused;
	uint64_t up = 0, eligible = 0;
	row->labels = snapshot->labels.length;
	berth_text_label(&snapshot->labels, row->labels, "service", service->config.name);
	row->end = snapshot->labels.length;
	collect_info(&snapshot->info, &service->config);
	for (size_t j = 0; j < service->n_backends; j++)
		collect_backend(snapshot, service, &service->backends[j], &sum, &up, &eligible);
	berth_counters_service(&snapshot->state->engine->image, service->number, &refused);
	row->value[SERVICE_BACKENDS] = service->n_backends;
	row->value[SERVICE_UP] = up;
	row->value[SERVICE_ELIGIBLE] = eligible;
	row->value[SERVICE_ANNOUNCED] = snapshot->state->model->config->announce.table && service->config.announce
						? berth_announcer_has(snapshot->state->announcer, &service->config)
						: NO_SAMPLE;
	row->value[SERVICE_PANIC] = service->panic;
	row->value[SERVICE_PANIC_SINCE] = service->panic ? berth_metrics_unix_seconds(snapshot->epoch_ms,
										      service->panic_since_ms)
							 : NO_SAMPLE;
	row->value[SERVICE_FLOWS] = sum.flows;
	row->value[SERVICE_SESSIONS] = sum.sessions;
	row->value[SERVICE_EXCEPTIONS] = sum.exception_flows + sum.exception_sessions;
	row->value[SERVICE_PACKETS] = sum.tally.packets;
	row->value[SERVICE_BYTES] = sum.tally.bytes;
	row->value[SERVICE_FLOWS_BEGUN] = sum.tally.flows;
	row->value[SERVICE_REFUSED] = refused.packets;
	row->value[SERVICE_LIMITED] = refused.limited;
}

static int begin(struct berth_metrics_writing *snapshot)
{
	const struct berth_model *model = snapshot->state->model;
	size_t n_backends = 0;
	for (size_t i = 0; i < model->n_services; i++)
		n_backends += model->services[i].n_backends;
	snapshot->without_backends = model->config->metrics.without_backends;
	snapshot->installs = snapshot->state->installs;
	snapshot->epoch_ms = epoch_ms();
	snapshot->n_services = model->n_services;
	snapshot->services = calloc(model->n_services + 1, sizeof(*snapshot->services));
	snapshot->backends = calloc(n_backends + 1, sizeof(*snapshot->backends));
	return snapshot->services && snapshot->backends ? 0 : -ENOMEM;
}

static void clear(struct berth_metrics_writing *snapshot)
{
	free(snapshot->services);
	free(snapshot->backends);
	berth_text_clear(&snapshot->labels);
	berth_text_clear(&snapshot->values);
	berth_text_clear(&snapshot->info);
	*snapshot = (struct berth_metrics_writing){.state = snapshot->state};
}

/* Whether this turn has room for the next row. */
static bool takes_row(struct berth_metrics_writing *snapshot)
{
	if (!snapshot->left)
		return false;
	snapshot->left--;
	return true;
}

/* The stages: true: all of it is done. */

static bool collect(struct berth_metrics_writing *snapshot)
{
	const struct berth_model *model = snapshot->state->model;
	for (; snapshot->at < model->n_services; snapshot->at++) {
		const size_t samples = model->services[snapshot->at].n_backends * SAMPLES_OF_BACKEND;
		if (!takes_row(snapshot))
			return false;
		collect_service(snapshot, snapshot->at);
		snapshot->left -= samples < snapshot->left ? samples : snapshot->left;
	}
	return true;
}

static bool write_general(struct berth_metrics_writing *snapshot)
{
	berth_metrics_write_general(snapshot->out, snapshot->state, snapshot->epoch_ms);
	return true;
}

static struct berth_labels labels_at(const struct berth_metrics_writing *snapshot, size_t start, size_t end)
{
	return (struct berth_labels){snapshot->labels.bytes + start, end - start};
}

static bool write_service_info(struct berth_metrics_writing *snapshot)
{
	if (!snapshot->left)
		return false;
	berth_labelled_head(snapshot->out, BERTH_LABELLED_SERVICE);
	berth_text_copy(snapshot->out, (struct berth_labels){snapshot->info.bytes, snapshot->info.length});
	snapshot->left -= snapshot->n_services < snapshot->left ? snapshot->n_services : snapshot->left;
	return true;
}

static bool write_services(struct berth_metrics_writing *snapshot)
{
	const size_t n = snapshot->n_services;
	for (; snapshot->metric < SERVICE_COUNT; snapshot->metric++, snapshot->at = 0) {
		const struct metric *metric = &service_metrics[snapshot->metric];
		if (!snapshot->left)
			return false;
		if (!snapshot->at)
			write_head(snapshot->out, metric);
		for (; snapshot->at < n; snapshot->at++) {
			const struct service_row *row = &snapshot->services[snapshot->at];
			if (!takes_row(snapshot))
				return false;
			if (row->value[snapshot->metric] != NO_SAMPLE)
				berth_text_sample(snapshot->out, metric->name, metric->type,
						  labels_at(snapshot, row->labels, row->end),
						  row->value[snapshot->metric]);
		}
	}
	return true;
}

/* Writes the row's labels and the label admin. */
static void write_admin(struct berth_metrics_writing *snapshot, const struct backend_row *row,
			struct berth_text *labels)
{
	labels->length = 0;
	berth_text_copy(labels, labels_at(snapshot, row->labels, row->end));
	berth_text_label(labels, 0, "admin", berth_admin_name(row->admin));
	berth_labelled_write(snapshot->out, BERTH_LABELLED_ADMIN, berth_text_labels(labels, 0), 1);
}

static bool write_admins(struct berth_metrics_writing *snapshot)
{
	struct berth_text labels = {0};
	if (!snapshot->left)
		return false;
	if (!snapshot->at)
		berth_labelled_head(snapshot->out, BERTH_LABELLED_ADMIN);
	for (; snapshot->at < snapshot->n_backends && takes_row(snapshot); snapshot->at++)
		write_admin(snapshot, &snapshot->backends[snapshot->at], &labels);
	snapshot->out->failed |= labels.failed;
	berth_text_clear(&labels);
	return snapshot->at == snapshot->n_backends;
}

static bool write_backends(struct berth_metrics_writing *snapshot)
{
	for (; snapshot->metric < BACKEND_COUNT; snapshot->metric++, snapshot->at = 0) {
		const struct metric *metric = &backend_metrics[snapshot->metric];
		if (!snapshot->left)
			return false;
		if (!snapshot->at)
			write_head(snapshot->out, metric);
		for (; snapshot->at < snapshot->n_backends; snapshot->at++) {
			const struct backend_row *row = &snapshot->backends[snapshot->at];
			if (!takes_row(snapshot))
				return false;
			const uint64_t value = berth_packed_get(&snapshot->values, &row->values,
								(uint32_t)snapshot->metric);
			if (value != NO_SAMPLE)
				berth_text_sample(snapshot->out, metric->name, metric->type,
						  labels_at(snapshot, row->labels, row->end), value);
		}
	}
	return true;
}

static bool (*const stages[])(struct berth_metrics_writing *snapshot) = {
	collect, write_general, write_service_info, write_services, write_admins, write_backends,
};

enum {
	STAGES = sizeof(stages) / sizeof(stages[0]),
	STAGES_WITHOUT_BACKENDS = STAGES - 2,
};

struct berth_metrics_writing *berth_metrics_begin(const struct berth_daemon_state *state)
{
	struct berth_metrics_writing *writing = calloc(1, sizeof(*writing));
	if (writing)
		writing->state = state;
	return writing;
}

int berth_metrics_go_on(struct berth_metrics_writing *writing, size_t rows, struct berth_text *text)
{
	const struct berth_daemon_state *state = writing->state;
	int err = 0;
	/* At first, and if the services are others now before all are collected. */
	if (!writing->services || (!writing->stage && writing->installs != state->installs)) {
		clear(writing);
		err = begin(writing);
	}
	const size_t n = writing->without_backends ? STAGES_WITHOUT_BACKENDS : STAGES;
	writing->out = text;
	writing->left = rows;
	while (!err && writing->stage < n && stages[writing->stage](writing)) {
		writing->stage++;
		writing->metric = writing->at = 0;
	}
	if (err || text->failed || writing->labels.failed || writing->values.failed || writing->info.failed) {
		berth_text_clear(text);
		return -ENOMEM;
	}
	return writing->stage < n ? -EAGAIN : 0;
}

void berth_metrics_end(struct berth_metrics_writing *writing)
{
	if (!writing)
		return;
	clear(writing);
	free(writing);
}

int berth_metrics_write(const struct berth_daemon_state *state, struct berth_text *text)
{
	struct berth_metrics_writing *writing = berth_metrics_begin(state);
	const int err = writing ? berth_metrics_go_on(writing, SIZE_MAX, text) : -ENOMEM;
	berth_metrics_end(writing);
	return err;
}

static void write_reason(void *arg, const char *reason)
{
	berth_text_line(arg, reason);
}

bool berth_metrics_write_ready(const struct berth_daemon_state *state, struct berth_text *text)
{
	const bool is_ready = berth_ready_check(&state->node, state->model, NULL, write_reason, text);
	if (is_ready)
		berth_text_line(text, "ready");
	return is_ready;
}
