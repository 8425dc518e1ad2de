// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/metrics/metrics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "controlplane/metrics/labelled.h"
#include "controlplane/metrics/list.h"
#include "controlplane/metrics/parts.h"
#include "controlplane/metrics/process.h"
#include "controlplane/model/path_mtu.h"
#include "controlplane/store/store.h"
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
static const struct metric global[] = {BERTH_METRICS_GLOBAL(X)};
static const struct metric process[] = {BERTH_METRICS_PROCESS(X)};
static const struct metric service_metrics[] = {BERTH_METRICS_SERVICE(X)};
static const struct metric backend_metrics[] = {BERTH_METRICS_BACKEND(X)};
#undef X

enum {
#define X(symbol, ...) GLOBAL_##symbol,
	BERTH_METRICS_GLOBAL(X)
#undef X
	GLOBAL_COUNT,
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
	uint64_t value[BACKEND_COUNT];
};

struct metrics_snapshot {
	const struct berth_daemon_state *state;
	struct berth_text *out;
	int64_t epoch_ms; /* Unix time at 0 of CLOCK_MONOTONIC */
	struct service_row *services;
	struct backend_row *backends;
	size_t n_backends;
	struct berth_text labels;
};

/* Converts CLOCK_MONOTONIC to Unix time, rounded down so that it is not in the future. */
static uint64_t unix_seconds(const struct metrics_snapshot *snapshot, uint64_t ms)
{
	return (uint64_t)(snapshot->epoch_ms + (int64_t)ms) / 1000;
}

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

static void write_info(struct metrics_snapshot *snapshot)
{
	const struct berth_daemon_state *state = snapshot->state;
	struct berth_text *out = snapshot->out;
	berth_labelled_head(out, BERTH_LABELLED_BUILD);
	berth_labelled_sample(out, BERTH_LABELLED_BUILD, 1, "version", BERTH_VERSION, NULL);
	berth_labelled_head(out, BERTH_LABELLED_ENGINE);
	berth_labelled_sample(out, BERTH_LABELLED_ENGINE, 1, "engine", state->engine->ops->name, "instance",
			      state->instance, NULL);
}

/* Without a store all of them are 0. */
static void set_store(uint64_t values[GLOBAL_COUNT], const struct berth_store *store)
{
	if (!store)
		return;
	const struct berth_store_status *status = berth_store_status(store);
	values[GLOBAL_STORE_CONNECTED] = status->is_connected;
	values[GLOBAL_STORE_VISITS] = status->visits;
	values[GLOBAL_STORE_FAILURES] = status->failures;
	values[GLOBAL_STORE_REFUSED] = status->refused;
	for (size_t i = 0; i < status->peers.n; i++) {
		const struct berth_peer *node = &status->peers.all[i];
		values[GLOBAL_NODES] += !node->is_lost;
		values[GLOBAL_NODES_OTHER_CONFIG] += !node->is_lost && node->has_other_config;
		values[GLOBAL_NODES_OTHER_SECRET] += !node->is_lost && node->has_other_secret;
	}
}

/* Likewise. */
static void set_exchange(uint64_t values[GLOBAL_COUNT], const struct berth_daemon_state *state)
{
	const struct berth_exchange_state *exchange = &state->exchange;
	if (!exchange->sender)
		return;
	const uint64_t oldest_ms = berth_store_records(state->store)->oldest_ms;
	values[GLOBAL_EXCHANGE_SYNCHRONISED] = exchange->is_synchronised;
	values[GLOBAL_EXCHANGE_DEFERRED] = berth_sender_counts(exchange->sender)->deferred;
	values[GLOBAL_EXCHANGE_LOST] = berth_exceptions_lost(berth_sender_exceptions(exchange->sender));
	values[GLOBAL_EXCHANGE_REFUSED] = berth_receiver_refused(berth_receiver_counts(exchange->receiver));
	values[GLOBAL_EXCHANGE_LAG] = oldest_ms ? (berth_clock_ms() - oldest_ms) / 1000 : 0;
}

static void write_global(struct metrics_snapshot *snapshot, const struct berth_totals *totals)
{
	const struct berth_daemon_state *state = snapshot->state;
	const struct berth_engine *engine = state->engine;
	uint64_t values[GLOBAL_COUNT] = {
		[GLOBAL_STARTED] = unix_seconds(snapshot, state->started_ms),
		[GLOBAL_RUNNING] = engine->ops->is_running(engine),
		[GLOBAL_RESTARTS] = engine->process.restarts,
		[GLOBAL_HANGS] = engine->process.hangs,
		[GLOBAL_FAILING] = engine->process.is_failing || engine->process.rejected[0],
		[GLOBAL_WORKERS] = engine->workers,
		[GLOBAL_GENERATION] = BERTH_LOAD(&engine->image.ctl->generation),
		[GLOBAL_APPLIED] = unix_seconds(snapshot, state->applied_ms),
		[GLOBAL_APPLIES_REFUSED] = state->refused_applies,
		[GLOBAL_APPLY_REFUSED] = state->is_apply_refused,
		[GLOBAL_PUBLISH_FAILURES] = state->publication.failures,
		[GLOBAL_PUBLISH_LATE] = state->publication.is_late,
		[GLOBAL_STATE_FAULT] = state->saved_fault[0] || state->saved_damage[0] ||
				       state->session_save.error[0],
		[GLOBAL_READY] = berth_ready_check(&state->node, state->model, NULL, NULL, NULL),
		[GLOBAL_DRAINED] = state->node.is_drained,
		[GLOBAL_NETLINK_ERRORS] = state->netlink ? berth_netlink_status(state->netlink).errors : 0,
		[GLOBAL_RECEIVED] = totals->received,
	};
	set_store(values, state->store);
	set_exchange(values, state);
	for (size_t i = 0; i < GLOBAL_COUNT; i++) {
		write_head(snapshot->out, &global[i]);
		berth_text_sample(snapshot->out, global[i].name, global[i].type, (struct berth_labels){0},
				  values[i]);
	}
}

static void write_process(struct metrics_snapshot *snapshot)
{
	struct berth_process_usage usage;
	berth_process_usage(&usage);
	const uint64_t values[] = {usage.cpu_us, usage.memory_bytes, usage.open_fds, usage.max_fds};
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		write_head(snapshot->out, &process[i]);
		berth_text_sample(snapshot->out, process[i].name, process[i].type, (struct berth_labels){0},
				  values[i]);
	}
}

static void write_counters(struct metrics_snapshot *snapshot, const struct berth_totals *totals)
{
	struct berth_text *out = snapshot->out;
	berth_metrics_write_parts(out, snapshot->state);
	berth_labelled_head(out, BERTH_LABELLED_PACKETS);
	for (enum berth_verdict v = BERTH_NO_VERDICT + 1; v < BERTH_VERDICT_COUNT; v++)
		berth_labelled_sample(out, BERTH_LABELLED_PACKETS, totals->verdict[v], "verdict",
				      berth_verdict_name(v), "class", berth_class_name(BERTH_VERDICT_CLASS(v)),
				      NULL);
	berth_labelled_head(out, BERTH_LABELLED_EVENTS);
	for (enum berth_event e = 0; e < BERTH_EVENT_COUNT; e++)
		berth_labelled_sample(out, BERTH_LABELLED_EVENTS, totals->event[e], "event", berth_event_name(e),
				      NULL);
}

static void write_exchange(struct metrics_snapshot *snapshot)
{
	static const struct berth_sender_counts none_told;
	static const struct berth_receiver_counts none_received;
	const struct berth_exchange_state *exchange = &snapshot->state->exchange;
	const struct berth_sender_counts *told = exchange->sender ? berth_sender_counts(exchange->sender)
								  : &none_told;
	const struct berth_receiver_counts *received = exchange->receiver
							       ? berth_receiver_counts(exchange->receiver)
							       : &none_received;
	berth_labelled_head(snapshot->out, BERTH_LABELLED_TOLD);
	for (enum berth_sender_reason i = 0; i < BERTH_SENDER_REASON_COUNT; i++)
		berth_labelled_sample(snapshot->out, BERTH_LABELLED_TOLD, told->told[i], "reason",
				      berth_sender_reason_name(i), NULL);
	berth_labelled_head(snapshot->out, BERTH_LABELLED_TAKEN);
	for (enum berth_received_outcome i = 0; i < BERTH_RECEIVED_OUTCOME_COUNT; i++)
		berth_labelled_sample(snapshot->out, BERTH_LABELLED_TAKEN, received->put[i], "outcome",
				      berth_received_outcome_name(i), NULL);
	berth_labelled_sample(snapshot->out, BERTH_LABELLED_TAKEN, received->unknown, "outcome", "unknown", NULL);
	berth_labelled_sample(snapshot->out, BERTH_LABELLED_TAKEN, received->own, "outcome", "own", NULL);
	berth_labelled_head(snapshot->out, BERTH_LABELLED_COMMANDS);
	for (enum berth_operator_outcome i = 0; i < BERTH_OPERATOR_OUTCOME_COUNT; i++)
		berth_labelled_sample(snapshot->out, BERTH_LABELLED_COMMANDS,
				      snapshot->state->operators.received[i], "outcome",
				      berth_operator_outcome_name(i), NULL);
}

static void write_tables(struct metrics_snapshot *snapshot)
{
	const struct berth_geometry *g = &snapshot->state->engine->image.geometry;
	struct berth_text *out = snapshot->out;
	uint64_t flows, sessions;
	berth_scan_totals(snapshot->state->scan, &flows, &sessions);
	berth_labelled_head(out, BERTH_LABELLED_ENTRIES);
	berth_labelled_sample(out, BERTH_LABELLED_ENTRIES, flows, "table", "flows", NULL);
	berth_labelled_sample(out, BERTH_LABELLED_ENTRIES, sessions, "table", "sessions", NULL);
	berth_scan_unconfirmed(snapshot->state->scan, &flows, &sessions);
	berth_labelled_head(out, BERTH_LABELLED_UNCONFIRMED);
	berth_labelled_sample(out, BERTH_LABELLED_UNCONFIRMED, flows, "table", "flows", NULL);
	berth_labelled_sample(out, BERTH_LABELLED_UNCONFIRMED, sessions, "table", "sessions", NULL);
	berth_labelled_head(out, BERTH_LABELLED_CAPACITY);
	berth_labelled_sample(out, BERTH_LABELLED_CAPACITY, (uint64_t)g->flow_buckets * BERTH_BUCKET_WORDS, "table",
			      "flows", NULL);
	berth_labelled_sample(out, BERTH_LABELLED_CAPACITY, (uint64_t)g->session_buckets * BERTH_BUCKET_WORDS,
			      "table", "sessions", NULL);
}

static void collect_backend(struct metrics_snapshot *snapshot, const struct berth_model_service *service,
			    const struct berth_model_backend *backend, struct berth_usage *sum)
{
	struct backend_row *row = &snapshot->backends[snapshot->n_backends++];
	struct berth_health_status status;
	struct berth_usage usage;
	berth_usage_backend(snapshot->state->scan, backend, &usage);
	berth_usage_add(sum, &usage);
	bool has_status = berth_health_get(snapshot->state->health, backend->id, &status);
	*row = (struct backend_row){
		.labels = snapshot->labels.length,
		.admin = backend->admin,
		.value =
			{
				[BACKEND_UP] = berth_model_health(backend) == BERTH_HEALTH_UP,
				[BACKEND_ELIGIBLE_NEW] = berth_model_is_eligible(backend),
				[BACKEND_PANIC] = backend->is_kept,
				[BACKEND_PATH_MTU] = backend->next_hop.is_resolved
							     ? berth_path_mtu(service, backend)
							     : NO_SAMPLE,
				[BACKEND_WEIGHT] = berth_model_weight_tenths(backend),
				[BACKEND_FLOWS] = usage.flows,
				[BACKEND_CLOSING] = usage.closing,
				[BACKEND_SESSIONS] = usage.sessions,
				[BACKEND_PACKETS] = usage.tally.packets,
				[BACKEND_BYTES] = usage.tally.bytes,
				[BACKEND_FLOWS_BEGUN] = usage.tally.flows,
				[BACKEND_PROBES] = has_status ? status.probes : NO_SAMPLE,
				[BACKEND_PROBE_FAILURES] = has_status ? status.failures : NO_SAMPLE,
				[BACKEND_HEALTH_ERROR] = has_status ? status.error != BERTH_HEALTH_NO_ERROR
								    : NO_SAMPLE,
				[BACKEND_HEALTH_ERRORS] = has_status ? status.errors : NO_SAMPLE,
				[BACKEND_HEALTH_CHANGES] = has_status ? status.changes : NO_SAMPLE,
				[BACKEND_HEALTH_SECONDS] = has_status && status.probes ? status.duration_us
										       : NO_SAMPLE,
			},
	};
	berth_text_label(&snapshot->labels, row->labels, "service", service->config.name);
	berth_text_label(&snapshot->labels, row->labels, "backend", backend->config.name);
	row->end = snapshot->labels.length;
}

static void collect_service(struct metrics_snapshot *snapshot, size_t i)
{
	const struct berth_model_service *service = &snapshot->state->model->services[i];
	struct service_row *row = &snapshot->services[i];
	struct berth_usage sum = {.tally = service->retired};
	struct berth_tally refused;
	uint64_t up = 0, eligible = 0;
	row->labels = snapshot->labels.length;
	berth_text_label(&snapshot->labels, row->labels, "service", service->config.name);
	row->end = snapshot->labels.length;
	for (size_t j = 0; j < service->n_backends; j++) {
		collect_backend(snapshot, service, &service->backends[j], &sum);
		up += snapshot->backends[snapshot->n_backends - 1].value[BACKEND_UP];
		eligible += snapshot->backends[snapshot->n_backends - 1].value[BACKEND_ELIGIBLE_NEW];
	}
	berth_counters_service(&snapshot->state->engine->image, service->number, &refused);
	row->value[SERVICE_BACKENDS] = service->n_backends;
	row->value[SERVICE_UP] = up;
	row->value[SERVICE_ELIGIBLE] = eligible;
	row->value[SERVICE_ANNOUNCED] = snapshot->state->model->config->announce.table && service->config.announce
						? berth_announcer_has(snapshot->state->announcer, &service->config)
						: NO_SAMPLE;
	row->value[SERVICE_PANIC] = service->panic;
	row->value[SERVICE_PANIC_SINCE] = service->panic ? unix_seconds(snapshot, service->panic_since_ms)
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

static int collect(struct metrics_snapshot *snapshot)
{
	const struct berth_model *model = snapshot->state->model;
	size_t n_backends = 0;
	for (size_t i = 0; i < model->n_services; i++)
		n_backends += model->services[i].n_backends;
	snapshot->services = calloc(model->n_services + 1, sizeof(*snapshot->services));
	snapshot->backends = calloc(n_backends + 1, sizeof(*snapshot->backends));
	if (!snapshot->services || !snapshot->backends)
		return -ENOMEM;
	for (size_t i = 0; i < model->n_services; i++)
		collect_service(snapshot, i);
	return snapshot->labels.failed ? -ENOMEM : 0;
}

static struct berth_labels labels_at(const struct metrics_snapshot *snapshot, size_t start, size_t end)
{
	return (struct berth_labels){snapshot->labels.bytes + start, end - start};
}

static void write_services(struct metrics_snapshot *snapshot)
{
	const struct berth_model *model = snapshot->state->model;
	berth_labelled_head(snapshot->out, BERTH_LABELLED_SERVICE);
	for (size_t i = 0; i < model->n_services; i++) {
		const struct berth_service_config *config = &model->services[i].config;
		char address[BERTH_PREFIX_TEXT], ports[BERTH_PORTS_TEXT];
		berth_labelled_sample(snapshot->out, BERTH_LABELLED_SERVICE, 1, "service", config->name, "address",
				      berth_prefix_format(&config->address, config->bits, address), "protocol",
				      berth_protocol_name(config->protocol), "port",
				      berth_config_format_ports(config, ports), "mode",
				      berth_mode_name(config->mode), "scheduler",
				      berth_schedule_name(config->scheduler), NULL);
	}
	for (size_t m = 0; m < SERVICE_COUNT; m++) {
		write_head(snapshot->out, &service_metrics[m]);
		for (size_t i = 0; i < model->n_services; i++) {
			const struct service_row *row = &snapshot->services[i];
			if (row->value[m] != NO_SAMPLE)
				berth_text_sample(snapshot->out, service_metrics[m].name, service_metrics[m].type,
						  labels_at(snapshot, row->labels, row->end), row->value[m]);
		}
	}
}

/* Writes the row's labels and the label admin. */
static void write_admin(struct metrics_snapshot *snapshot, const struct backend_row *row, struct berth_text *labels)
{
	labels->length = 0;
	berth_text_copy(labels, labels_at(snapshot, row->labels, row->end));
	berth_text_label(labels, 0, "admin", berth_admin_name(row->admin));
	berth_labelled_write(snapshot->out, BERTH_LABELLED_ADMIN, berth_text_labels(labels, 0), 1);
}

static void write_backends(struct metrics_snapshot *snapshot)
{
	struct berth_text labels = {0};
	berth_labelled_head(snapshot->out, BERTH_LABELLED_ADMIN);
	for (size_t i = 0; i < snapshot->n_backends; i++)
		write_admin(snapshot, &snapshot->backends[i], &labels);
	snapshot->out->failed |= labels.failed;
	berth_text_clear(&labels);
	for (size_t m = 0; m < BACKEND_COUNT; m++) {
		write_head(snapshot->out, &backend_metrics[m]);
		for (size_t i = 0; i < snapshot->n_backends; i++) {
			const struct backend_row *row = &snapshot->backends[i];
			if (row->value[m] != NO_SAMPLE)
				berth_text_sample(snapshot->out, backend_metrics[m].name, backend_metrics[m].type,
						  labels_at(snapshot, row->labels, row->end), row->value[m]);
		}
	}
}

int berth_metrics_write(const struct berth_daemon_state *state, struct berth_text *text)
{
	struct metrics_snapshot snapshot = {.state = state, .out = text, .epoch_ms = epoch_ms()};
	struct berth_totals totals;
	berth_counters_totals(&state->engine->image, &totals);
	int err = collect(&snapshot);
	if (!err) {
		write_info(&snapshot);
		write_global(&snapshot, &totals);
		write_process(&snapshot);
		write_counters(&snapshot, &totals);
		write_tables(&snapshot);
		write_exchange(&snapshot);
		write_services(&snapshot);
		if (!state->model->config->metrics.without_backends)
			write_backends(&snapshot);
		err = text->failed ? -ENOMEM : 0;
	}
	if (err)
		berth_text_clear(text);
	free(snapshot.services);
	free(snapshot.backends);
	berth_text_clear(&snapshot.labels);
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
