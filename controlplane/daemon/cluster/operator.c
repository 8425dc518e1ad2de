// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/daemon/cluster/operator.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "controlplane/cluster/operator_set.h"
#include "controlplane/daemon/private.h"
#include "controlplane/daemon/publication.h"
#include "controlplane/daemon/saved_state.h"
#include "controlplane/saved/operator_state.h"
#include "controlplane/store/store.h"
#include "controlplane/tables/former_words.h"
#include "controlplane/tables/sessions.h"
#include "controlplane/util/clock.h"
#include "controlplane/util/log.h"
#include "dataplane/core/session.h"

enum {
	/* A record must be told again before the store forgets it. The node where it was set does that; if it has
	 * not done so for an hour, any other node does. */
	OTHERS_WAIT_MS = BERTH_OPERATOR_AGAIN_MS + 3600 * 1000,
	/* After a loss what the store has is read first. */
	AGAIN_WAIT_MS = 1000,
	SWEEP_MS = 3600 * 1000,
};

static struct berth_operator_time now(void)
{
	struct timeval unix_time;
	gettimeofday(&unix_time, NULL);
	return (struct berth_operator_time){.monotonic_ms = berth_clock_ms(),
					    .unix_ms = (uint64_t)unix_time.tv_sec * 1000 +
						       (uint64_t)unix_time.tv_usec / 1000};
}

static const struct berth_cluster_config *cluster_of(const struct berth_daemon *daemon)
{
	return &daemon->model.config->cluster;
}

/* --- names --- */

/* The service or group that a record names; NULL: not configured. */
static struct berth_model_service *service_of(const struct berth_model *model,
					      const struct berth_operator_record *record)
{
	struct berth_model_service *service = record->is_group ? berth_model_group(model, record->service)
							       : berth_model_service(model, record->service);
	const bool has_pins = service && service->config.affinity == BERTH_AFFINITY_CLIENT;
	return record->kind == BERTH_OPERATOR_PIN && !has_pins ? NULL : service;
}

/* Whether its names are configured here. */
static bool is_known(void *arg, const struct berth_operator_record *record)
{
	struct berth_model_service *service = service_of(arg, record);
	return service && (!record->backend[0] || berth_model_backend(service, record->backend));
}

/* --- what other nodes have set --- */

static uint32_t deadline_of(const struct berth_operator_record *record)
{
	const struct berth_saved_time at = {.monotonic = berth_clock_s(), .unix_s = (int64_t)now().unix_ms / 1000};
	return record->until_s ? berth_saved_deadline(record->until_s, -1, &at) : 0;
}

/* Whether the numbers of the service are those of the tables: not before a new configuration is published. */
static bool is_in_force(const struct berth_view *view, const struct berth_model_service *service)
{
	const struct berth_service *found = berth_service_of(view, service->number);
	return found && found->id == service->id;
}

static void unpin(struct berth_daemon *daemon, const struct berth_view *view,
		  const struct berth_model_service *service, const union berth_addr *client)
{
	struct berth_session session;
	if (berth_sessions_lookup(view, client, service->number, &session) && session.has_client &&
	    session.client.reason == BERTH_REASON_PINNED)
		berth_sessions_remove(view, &session);
	berth_saved_state_unpin(daemon, service->id, client);
}

static void pin(struct berth_daemon *daemon, const struct berth_view *view,
		const struct berth_model_service *service, const struct berth_model_backend *backend,
		const struct berth_operator_record *record)
{
	const struct berth_pin pin = {service->id, backend->id, record->client, record->bits};
	struct berth_session placed;
	berth_saved_state_pin(daemon, &pin);
	if (berth_sessions_assign(view, &record->client, service->number, backend->session_number,
				  BERTH_REASON_PINNED, &placed))
		berth_log("ALARM: cluster %s: a client pinned on node %s has no room in the session table; raise "
			  "limits.sessions",
			  cluster_of(daemon)->name, record->node);
}

/* False: not now. */
static bool carry_out_pin(struct berth_daemon *daemon, const struct berth_operator_record *record)
{
	struct berth_model_service *service = service_of(&daemon->model, record);
	const struct berth_model_backend *backend = berth_model_backend(service, record->backend);
	berth_former_words_empty(&daemon->engine->image, BERTH_TABLE_SESSIONS, berth_clock_s());
	const struct berth_view view = berth_sessions_view(&daemon->engine->image, berth_clock_s());
	if (!is_in_force(&view, service))
		return false;
	if (backend)
		pin(daemon, &view, service, backend, record);
	else
		unpin(daemon, &view, service, &record->client);
	return true;
}

static bool carry_out(struct berth_daemon *daemon, const struct berth_operator_record *record)
{
	struct berth_model_service *service = service_of(&daemon->model, record);
	struct berth_model_backend *backend = berth_model_backend(service, record->backend);
	if (record->kind == BERTH_OPERATOR_PIN)
		return carry_out_pin(daemon, record);
	if (record->kind == BERTH_OPERATOR_ADMIN)
		berth_model_set_admin(&daemon->model, backend, record->value, deadline_of(record));
	else
		backend->forced = record->value;
	berth_publication_eligibility(daemon, backend);
	berth_publication_request(daemon);
	return true;
}

static enum berth_operator_outcome take(struct berth_daemon *daemon, const struct berth_operator_record *record)
{
	struct berth_operator_state_now *state = &daemon->state.operators;
	const struct berth_operator_time at = now();
	const enum berth_operator_outcome outcome = berth_operator_set_check(state->set, record, at.unix_ms);
	char text[BERTH_ERROR_BYTES];
	if (outcome == BERTH_OPERATOR_APPLIED && !is_known(&daemon->model, record))
		return BERTH_OPERATOR_UNKNOWN;
	if (outcome == BERTH_OPERATOR_APPLIED && !carry_out(daemon, record)) {
		state->is_reading_due = true;
		return BERTH_OPERATOR_UNKNOWN;
	}
	if (outcome == BERTH_OPERATOR_APPLIED)
		berth_log("cluster %s: %s, set on node %s by %s", cluster_of(daemon)->name,
			  berth_operator_record_describe(record, text), record->node, record->by);
	return berth_operator_set_merge(state->set, record, &at, OTHERS_WAIT_MS);
}

void berth_cluster_operator_receive(struct berth_daemon *daemon, const uint8_t *batch, size_t bytes)
{
	struct berth_operator_state_now *state = &daemon->state.operators;
	struct berth_operator_record records[BERTH_OPERATOR_BATCH];
	const struct timeval soon = {.tv_usec = 1000};
	uint64_t refused;
	const uint64_t applied = state->received[BERTH_OPERATOR_APPLIED];
	const size_t n = berth_operator_batch_read(batch, bytes, records, &refused);
	state->received[BERTH_OPERATOR_REFUSED] += refused;
	for (size_t i = 0; i < n; i++)
		state->received[take(daemon, &records[i])]++;
	if (state->received[BERTH_OPERATOR_APPLIED] == applied)
		return;
	berth_saved_state_request(daemon);
	event_add(daemon->step_event, &soon); /* deadlines of drains */
	berth_publication_start(daemon, NULL);
}

void berth_cluster_operator_lost(struct berth_daemon *daemon)
{
	berth_operator_set_tell_again(daemon->state.operators.set, berth_clock_ms(), AGAIN_WAIT_MS);
}

/* --- what is set here --- */

/* Without a cluster nothing is kept here: the model and the list of pins have it. */
static void set(struct berth_daemon *daemon, struct berth_operator_record *record,
		const struct berth_cmd_origin *origin)
{
	struct berth_operator_set *all = daemon->state.operators.set;
	const struct berth_operator_time at = now();
	if (!cluster_of(daemon)->name[0])
		return;
	record->is_local = origin->is_local;
	record->time_ms = berth_operator_set_time(all, record, at.unix_ms);
	memcpy(record->node, cluster_of(daemon)->node, sizeof(record->node));
	memcpy(record->by, origin->by, sizeof(record->by));
	if (berth_operator_set_merge(all, record, &at, 0) != BERTH_OPERATOR_APPLIED)
		berth_log("ALARM: cluster %s: operators have set more than is remembered: the last command is not "
			  "told to other nodes",
			  cluster_of(daemon)->name);
	berth_saved_state_request(daemon);
	berth_cluster_operator_follow(daemon);
}

static struct berth_operator_record record_of(enum berth_operator_kind kind,
					      const struct berth_model_service *service,
					      const struct berth_model_backend *backend)
{
	struct berth_operator_record record = {.kind = kind};
	memcpy(record.service, service->config.name, sizeof(record.service));
	if (backend)
		memcpy(record.backend, backend->config.name, sizeof(record.backend));
	return record;
}

void berth_cluster_operator_set_admin(struct berth_daemon *daemon, const struct berth_model_service *service,
				      const struct berth_model_backend *backend,
				      const struct berth_cmd_origin *origin)
{
	struct berth_operator_record record = record_of(BERTH_OPERATOR_ADMIN, service, backend);
	record.value = (uint8_t)backend->admin;
	if (backend->evict_at)
		record.until_s = (int64_t)(now().unix_ms / 1000) + backend->evict_at - berth_clock_s();
	set(daemon, &record, origin);
}

void berth_cluster_operator_set_health(struct berth_daemon *daemon, const struct berth_model_service *service,
				       const struct berth_model_backend *backend,
				       const struct berth_cmd_origin *origin)
{
	struct berth_operator_record record = record_of(BERTH_OPERATOR_HEALTH, service, backend);
	record.value = (uint8_t)backend->forced;
	set(daemon, &record, origin);
}

/* The backend of a group that has the same sessions. */
static const struct berth_model_backend *in_group(const struct berth_model_service *group,
						  const struct berth_model_backend *backend)
{
	for (size_t i = 0; backend && i < group->n_backends; i++)
		if (group->backends[i].session_number == backend->session_number)
			return &group->backends[i];
	return NULL;
}

static const struct berth_model_service *service_by_id(const struct berth_model *model, uint64_t id)
{
	for (size_t i = 0; i < model->n_services; i++)
		if (model->services[i].id == id)
			return &model->services[i];
	for (size_t i = 0; i < model->n_groups; i++)
		if (model->groups[i].id == id)
			return &model->groups[i];
	return NULL;
}

/* The services of a group have the same pins: they are the group's. */
void berth_cluster_operator_set_pin(struct berth_daemon *daemon, const struct berth_pin *pin,
				    const struct berth_cmd_origin *origin)
{
	struct berth_model_service *owner = NULL;
	const struct berth_model_service *service = service_by_id(&daemon->model, pin->service);
	const struct berth_model_backend *backend =
		pin->backend ? berth_model_backend_by_id(&daemon->model, pin->backend, &owner) : NULL;
	const struct berth_model_service *group = service && service->config.group[0]
							  ? berth_model_group(&daemon->model, service->config.group)
							  : NULL;
	if (!service)
		return;
	struct berth_operator_record record = record_of(BERTH_OPERATOR_PIN, group ? group : service,
							group ? in_group(group, backend) : backend);
	record.is_group = group != NULL;
	record.client = pin->client;
	record.bits = pin->bits;
	/* The end of a pin that no one has set needs no record. */
	if (pin->backend || berth_operator_set_find(daemon->state.operators.set, &record))
		set(daemon, &record, origin);
}

/* --- */

static bool tell(void *arg, const uint8_t *batch, size_t bytes)
{
	struct berth_daemon *daemon = arg;
	return berth_store_tell(daemon->store, BERTH_OPERATOR_STREAM, batch, bytes);
}

static void sweep(struct berth_daemon *daemon)
{
	struct berth_operator_state_now *state = &daemon->state.operators;
	state->swept_ms = berth_clock_ms();
	berth_operator_set_sweep(state->set, now().unix_ms, is_known, &daemon->model);
}

void berth_cluster_operator_follow(struct berth_daemon *daemon)
{
	struct berth_operator_state_now *state = &daemon->state.operators;
	const uint64_t now_ms = berth_clock_ms();
	if (now_ms - state->swept_ms >= SWEEP_MS)
		sweep(daemon);
	if (!daemon->cluster_exceptions || !berth_store_status(daemon->store)->is_connected)
		return;
	if (state->is_reading_due && !daemon->state.publication.is_pending) {
		state->is_reading_due = false;
		berth_store_read_again(daemon->store, BERTH_OPERATOR_STREAM);
	}
	state->told += berth_operator_set_tell(state->set, now_ms, tell, daemon);
}

/* Names that were not known may be so now: the records of the store are read again. */
void berth_cluster_operator_configure(struct berth_daemon *daemon)
{
	sweep(daemon);
	daemon->state.operators.is_reading_due = true;
}

int berth_cluster_operator_open(struct berth_daemon *daemon)
{
	daemon->state.operators.set = berth_operator_set_new();
	return daemon->state.operators.set ? 0 : -ENOMEM;
}

void berth_cluster_operator_close(struct berth_daemon *daemon)
{
	berth_operator_set_free(daemon->state.operators.set);
	daemon->state.operators.set = NULL;
}
