// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/metrics/general.h"

#include "controlplane/metrics/labelled.h"
#include "controlplane/metrics/list.h"
#include "controlplane/metrics/parts.h"
#include "controlplane/metrics/process.h"
#include "controlplane/store/store.h"
#include "controlplane/tables/counters.h"
#include "controlplane/util/clock.h"

struct general {
	struct berth_text *out;
	const struct berth_daemon_state *state;
	int64_t epoch_ms; /* Unix time at 0 of CLOCK_MONOTONIC */
};

struct metric {
	const char *name;
	enum berth_metric_type type;
	const char *help;
};

#define X(symbol, name, type, help) {name, BERTH_METRIC_##type, help},
static const struct metric global[] = {BERTH_METRICS_GLOBAL(X)};
static const struct metric process[] = {BERTH_METRICS_PROCESS(X)};
#undef X

enum {
#define X(symbol, ...) GLOBAL_##symbol,
	BERTH_METRICS_GLOBAL(X)
#undef X
	GLOBAL_COUNT,
};

static void write_head(struct berth_text *out, const struct metric *metric)
{
	berth_text_head(out, metric->name, metric->type, metric->help);
}

static void write_info(const struct general *general)
{
	const struct berth_daemon_state *state = general->state;
	struct berth_text *out = general->out;
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
	values[GLOBAL_EXCHANGE_REFUSED] = berth_store_refused_records(state->store, exchange->receiver);
	values[GLOBAL_EXCHANGE_LAG] = oldest_ms ? (berth_clock_ms() - oldest_ms) / 1000 : 0;
}

static void write_global(const struct general *general, const struct berth_totals *totals)
{
	const struct berth_daemon_state *state = general->state;
	const struct berth_engine *engine = state->engine;
	uint64_t values[GLOBAL_COUNT] = {
		[GLOBAL_STARTED] = berth_metrics_unix_seconds(general->epoch_ms, state->started_ms),
		[GLOBAL_RUNNING] = engine->ops->is_running(engine),
		[GLOBAL_RESTARTS] = engine->process.restarts,
		[GLOBAL_HANGS] = engine->process.hangs,
		[GLOBAL_FAILING] = engine->process.is_failing || engine->process.rejected[0],
		[GLOBAL_WORKERS] = engine->workers,
		[GLOBAL_GENERATION] = BERTH_LOAD(&engine->image.ctl->generation),
		[GLOBAL_APPLIED] = berth_metrics_unix_seconds(general->epoch_ms, state->applied_ms),
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
	if (state->health) {
		values[GLOBAL_HEALTH_LATE] = berth_health_delays(state->health)->late;
		values[GLOBAL_HEALTH_BEHIND] = berth_health_delays(state->health)->is_behind;
	}
	set_store(values, state->store);
	set_exchange(values, state);
	for (size_t i = 0; i < GLOBAL_COUNT; i++) {
		write_head(general->out, &global[i]);
		berth_text_sample(general->out, global[i].name, global[i].type, (struct berth_labels){0},
				  values[i]);
	}
}

static void write_process(const struct general *general)
{
	struct berth_process_usage usage;
	berth_process_usage(&usage);
	const uint64_t values[] = {usage.cpu_us, usage.memory_bytes, usage.open_fds, usage.max_fds};
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		write_head(general->out, &process[i]);
		berth_text_sample(general->out, process[i].name, process[i].type, (struct berth_labels){0},
				  values[i]);
	}
}

static void write_counters(const struct general *general, const struct berth_totals *totals)
{
	struct berth_text *out = general->out;
	berth_metrics_write_parts(out, general->state);
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

static void write_exchange(const struct general *general)
{
	static const struct berth_sender_counts none_told;
	static const struct berth_receiver_counts none_received;
	const struct berth_exchange_state *exchange = &general->state->exchange;
	const struct berth_sender_counts *told = exchange->sender ? berth_sender_counts(exchange->sender)
								  : &none_told;
	const struct berth_receiver_counts *received = exchange->receiver
							       ? berth_receiver_counts(exchange->receiver)
							       : &none_received;
	berth_labelled_head(general->out, BERTH_LABELLED_TOLD);
	for (enum berth_sender_reason i = 0; i < BERTH_SENDER_REASON_COUNT; i++)
		berth_labelled_sample(general->out, BERTH_LABELLED_TOLD, told->told[i], "reason",
				      berth_sender_reason_name(i), NULL);
	berth_labelled_head(general->out, BERTH_LABELLED_TAKEN);
	for (enum berth_received_outcome i = 0; i < BERTH_RECEIVED_OUTCOME_COUNT; i++)
		berth_labelled_sample(general->out, BERTH_LABELLED_TAKEN, received->put[i], "outcome",
				      berth_received_outcome_name(i), NULL);
	berth_labelled_sample(general->out, BERTH_LABELLED_TAKEN, received->unknown, "outcome", "unknown", NULL);
	berth_labelled_sample(general->out, BERTH_LABELLED_TAKEN, received->own, "outcome", "own", NULL);
	berth_labelled_head(general->out, BERTH_LABELLED_COMMANDS);
	for (enum berth_operator_outcome i = 0; i < BERTH_OPERATOR_OUTCOME_COUNT; i++)
		berth_labelled_sample(general->out, BERTH_LABELLED_COMMANDS, general->state->operators.received[i],
				      "outcome", berth_operator_outcome_name(i), NULL);
}

static void write_tables(const struct general *general)
{
	const struct berth_geometry *g = &general->state->engine->image.geometry;
	struct berth_text *out = general->out;
	uint64_t flows, sessions;
	berth_scan_totals(general->state->scan, &flows, &sessions);
	berth_labelled_head(out, BERTH_LABELLED_ENTRIES);
	berth_labelled_sample(out, BERTH_LABELLED_ENTRIES, flows, "table", "flows", NULL);
	berth_labelled_sample(out, BERTH_LABELLED_ENTRIES, sessions, "table", "sessions", NULL);
	berth_scan_unconfirmed(general->state->scan, &flows, &sessions);
	berth_labelled_head(out, BERTH_LABELLED_UNCONFIRMED);
	berth_labelled_sample(out, BERTH_LABELLED_UNCONFIRMED, flows, "table", "flows", NULL);
	berth_labelled_sample(out, BERTH_LABELLED_UNCONFIRMED, sessions, "table", "sessions", NULL);
	berth_labelled_head(out, BERTH_LABELLED_CAPACITY);
	berth_labelled_sample(out, BERTH_LABELLED_CAPACITY, (uint64_t)g->flow_buckets * BERTH_BUCKET_WORDS, "table",
			      "flows", NULL);
	berth_labelled_sample(out, BERTH_LABELLED_CAPACITY, (uint64_t)g->session_buckets * BERTH_BUCKET_WORDS,
			      "table", "sessions", NULL);
}

void berth_metrics_write_general(struct berth_text *out, const struct berth_daemon_state *state, int64_t epoch_ms)
{
	const struct general general = {.out = out, .state = state, .epoch_ms = epoch_ms};
	struct berth_totals totals;
	berth_counters_totals(&state->engine->image, &totals);
	write_info(&general);
	write_global(&general, &totals);
	write_process(&general);
	write_counters(&general, &totals);
	write_tables(&general);
	write_exchange(&general);
}
