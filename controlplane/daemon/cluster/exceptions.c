// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/daemon/cluster/exceptions.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "controlplane/compile/timeouts.h"
#include "controlplane/daemon/cluster/operator.h"
#include "controlplane/daemon/private.h"
#include "controlplane/store/store.h"
#include "controlplane/tables/sessions.h"
#include "controlplane/util/clock.h"
#include "controlplane/util/log.h"

enum {
	MIN_EXCEPTIONS = 1 << 16,
	MAX_EXCEPTIONS = 12000000, /* of 16 bytes, in a table of 2^24 */
	LATE_MS = 5000,
	MARGIN_S = 60, /* of records in the store, beyond the time in which their entries expire */
	/* Scans after rows have changed: the one under way, and a whole one. */
	HURRIED_SCANS = 2,
};

struct berth_cluster_exceptions {
	uint64_t opened_ms;
	uint64_t rows_version; /* the last one that was hurried for */
	uint32_t hurried;      /* scans that are left */
	uint64_t deferred;     /* when the last whole scan ended */
	uint64_t late;	       /* scans that ended while a record had waited for the store for too long */
};

static struct berth_exchange_state *state_of(struct berth_daemon *daemon)
{
	return &daemon->state.exchange;
}

/* --- what the store calls --- */

/* A node that was away hears first what the others have told meanwhile, if that does not take too long. */
static bool has_heard(struct berth_daemon *daemon)
{
	return state_of(daemon)->is_synchronised || berth_clock_ms() - daemon->cluster_exceptions->opened_ms >=
							    daemon->model.config->cluster.sync_timeout_ms;
}

/* While the store is not reached nothing waits: what would be told then is news again when it is. */
static bool tell(void *arg, uint64_t service, const uint8_t *batch, size_t bytes)
{
	struct berth_daemon *daemon = arg;
	const uint64_t oldest_ms = berth_store_records(daemon->store)->oldest_ms;
	return berth_store_status(daemon->store)->is_connected && has_heard(daemon) &&
	       !(oldest_ms && berth_clock_ms() - oldest_ms >= LATE_MS) &&
	       berth_store_tell(daemon->store, service, batch, bytes);
}

static bool on_batch(void *arg, const struct berth_store_batch *read)
{
	struct berth_daemon *daemon = arg;
	if (read->service == BERTH_OPERATOR_STREAM) {
		if (!read->is_own)
			berth_cluster_operator_receive(daemon, read->records, read->bytes);
		return true;
	}
	const struct berth_receiver_batch batch = {.service = read->service,
						   .records = read->records,
						   .bytes = read->bytes,
						   .age_s = read->age_s,
						   .is_again = read->is_again};
	return berth_receiver_take(state_of(daemon)->receiver, &daemon->engine->image, berth_clock_s(), &batch);
}

static void on_lost(void *arg)
{
	struct berth_daemon *daemon = arg;
	berth_sender_tell_again(state_of(daemon)->sender);
	berth_cluster_operator_lost(daemon);
}

static void on_synchronised(void *arg)
{
	struct berth_daemon *daemon = arg;
	struct berth_exchange_state *state = state_of(daemon);
	if (!state->is_synchronised)
		berth_log("cluster %s: synchronised: what other nodes have told is in the tables",
			  daemon->store_config.name);
	state->is_synchronised = true;
	berth_cluster_exceptions_follow(daemon);
}

/* --- open, close, configure --- */

/* Half of the words. Where each entry is an exception, the others are told by the nodes that have their traffic. */
static uint32_t most_exceptions(const struct berth_geometry *geometry)
{
	const uint64_t words = ((uint64_t)geometry->flow_buckets + geometry->session_buckets) * BERTH_BUCKET_WORDS;
	if (words / 2 < MIN_EXCEPTIONS)
		return MIN_EXCEPTIONS;
	return words / 2 < MAX_EXCEPTIONS ? (uint32_t)(words / 2) : MAX_EXCEPTIONS;
}

static struct berth_view set_time(struct berth_daemon *daemon)
{
	const struct berth_view view = berth_sessions_view(&daemon->engine->image, berth_clock_s());
	berth_sender_set_time(state_of(daemon)->sender, (uint32_t)time(NULL), view.now);
	return view;
}

static uint32_t node_id(const char *name)
{
	const uint32_t id = (uint32_t)XXH64(name, strlen(name), 0);
	return id ? id : 1;
}

void berth_cluster_exceptions_close(struct berth_daemon *daemon)
{
	struct berth_exchange_state *state = state_of(daemon);
	if (daemon->scan)
		berth_scan_set_exception_fn(daemon->scan, NULL, NULL);
	if (daemon->store)
		berth_store_set_listener(daemon->store, &(struct berth_store_listener){0});
	berth_receiver_free(state->receiver);
	berth_sender_free(state->sender);
	free(daemon->cluster_exceptions);
	daemon->cluster_exceptions = NULL;
	daemon->state.node.is_synchronising = false;
	*state = (struct berth_exchange_state){0};
}

void berth_cluster_exceptions_open(struct berth_daemon *daemon)
{
	struct berth_exchange_state *state = state_of(daemon);
	const struct berth_sender_options options = {
		.node = node_id(daemon->store_config.node),
		.epoch = berth_store_status(daemon->store)->own.epoch,
		.most = most_exceptions(&daemon->engine->image.geometry),
		.tell = tell,
		.arg = daemon,
	};
	const struct berth_store_listener listener = {
		.on_batch = on_batch, .on_lost = on_lost, .on_synchronised = on_synchronised, .arg = daemon};
	daemon->cluster_exceptions = calloc(1, sizeof(*daemon->cluster_exceptions));
	state->sender = daemon->cluster_exceptions ? berth_sender_new(&options) : NULL;
	state->receiver = state->sender ? berth_receiver_new(state->sender) : NULL;
	if (!state->receiver) {
		berth_log("ALARM: cluster %s: exceptions are not exchanged: out of memory",
			  daemon->store_config.name);
		berth_cluster_exceptions_close(daemon);
		return;
	}
	daemon->cluster_exceptions->opened_ms = berth_clock_ms();
	set_time(daemon);
	/* An engine that forwards already keeps what it announces. */
	daemon->state.node.is_synchronising = !daemon->engine->ops->is_running(daemon->engine);
	berth_scan_set_exception_fn(daemon->scan, berth_sender_show, state->sender);
	berth_store_set_listener(daemon->store, &listener);
}

static uint32_t horizon_of(const struct berth_service_config *config)
{
	uint32_t timeouts[BERTH_STATE_COUNT], longest = 0;
	berth_compile_timeouts(config, timeouts);
	for (uint32_t i = 0; i < BERTH_STATE_COUNT; i++)
		longest = timeouts[i] > longest ? timeouts[i] : longest;
	return longest + MARGIN_S;
}

/* Whether this node announces a service of the group. */
static bool is_announced(const struct berth_model *model, const struct berth_model_service *group)
{
	for (size_t i = 0; i < model->n_services; i++)
		if (model->services[i].config.announce &&
		    strcmp(model->services[i].config.group, group->config.name) == 0)
			return true;
	return false;
}

static struct berth_followed_wish wish_of(const struct berth_model_service *service, bool is_read)
{
	return (struct berth_followed_wish){
		.id = service->id, .horizon_s = horizon_of(&service->config), .is_read = is_read, .may_join = true};
}

/* Services and groups: a group's sessions are told as its own. Packets of a service that this node does not
 * announce come to other nodes: it tells what it has of it, and needs nothing of theirs. */
static int follow_services(struct berth_daemon *daemon)
{
	const struct berth_model *model = &daemon->model;
	const size_t n = model->n_services + model->n_groups;
	struct berth_followed_wish *wishes = calloc(n + 1, sizeof(*wishes));
	if (!wishes)
		return -ENOMEM;
	for (size_t i = 0; i < model->n_services; i++)
		wishes[i] = wish_of(&model->services[i], model->services[i].config.announce);
	for (size_t i = 0; i < model->n_groups; i++)
		wishes[model->n_services + i] = wish_of(&model->groups[i], is_announced(model, &model->groups[i]));
	wishes[n] = (struct berth_followed_wish){
		.id = BERTH_OPERATOR_STREAM, .horizon_s = BERTH_MAX_HORIZON_S, .is_read = true};
	const int err = berth_store_follow_services(daemon->store, wishes, n + 1);
	free(wishes);
	return err;
}

void berth_cluster_exceptions_configure(struct berth_daemon *daemon)
{
	if (!daemon->cluster_exceptions)
		return;
	berth_sender_set_configuration(state_of(daemon)->sender, daemon->cluster_node.config_digest);
	if (follow_services(daemon))
		berth_log("ALARM: cluster %s: exceptions of new services are not exchanged: out of memory; apply "
			  "the configuration again",
			  daemon->store_config.name);
}

/* --- the scan --- */

static void follow_alarms(struct berth_daemon *daemon)
{
	struct berth_exchange_state *state = state_of(daemon);
	struct berth_cluster_exceptions *exceptions = daemon->cluster_exceptions;
	const struct berth_receiver_counts *received = berth_receiver_counts(state->receiver);
	const struct berth_operator_state_now *operators = &daemon->state.operators;
	const uint64_t oldest_ms = berth_store_records(daemon->store)->oldest_ms, now_ms = berth_clock_ms();
	exceptions->late += oldest_ms && now_ms - oldest_ms >= LATE_MS;
	const uint64_t counts[] = {
		[BERTH_EXCHANGE_LATE] = exceptions->late,
		[BERTH_EXCHANGE_LOST] = berth_exceptions_lost(berth_sender_exceptions(state->sender)),
		[BERTH_EXCHANGE_REFUSED] = berth_store_refused_records(daemon->store, state->receiver),
		[BERTH_EXCHANGE_OTHER_HASH] = received->put[BERTH_RECEIVED_OTHER_HASH],
		[BERTH_EXCHANGE_SMALL_TABLE] = received->put[BERTH_RECEIVED_SMALL_TABLE],
		[BERTH_EXCHANGE_COMMANDS] = operators->received[BERTH_OPERATOR_REFUSED] +
					    operators->received[BERTH_OPERATOR_NO_ROOM],
		[BERTH_EXCHANGE_NO_ROOM] = received->put[BERTH_RECEIVED_NO_ROOM],
	};
	for (int i = 0; i < BERTH_EXCHANGE_ALARM_COUNT; i++)
		if (berth_exchange_alarm_update(&state->alarms[i], counts[i], now_ms))
			berth_log("%scluster %s: %s",
				  state->alarms[i].is_on ? "ALARM: " : "alarm over: ", daemon->store_config.name,
				  berth_exchange_alarm_cause(i));
}

void berth_cluster_exceptions_scanned(struct berth_daemon *daemon, bool has_ended)
{
	struct berth_cluster_exceptions *exceptions = daemon->cluster_exceptions;
	if (!exceptions)
		return;
	struct berth_sender *sender = state_of(daemon)->sender;
	const struct berth_view view = set_time(daemon);
	berth_sender_flush(sender, &view);
	berth_receiver_step(state_of(daemon)->receiver, &daemon->engine->image, berth_clock_s());
	if (berth_receiver_may_take_more(state_of(daemon)->receiver, &daemon->engine->image))
		berth_store_read_missed(daemon->store);
	if (!has_ended)
		return;
	exceptions->hurried -= exceptions->hurried > 0;
	const uint64_t deferred = berth_sender_counts(sender)->deferred;
	if (berth_scan_has_counted_exceptions(daemon->scan))
		berth_sender_scan_ended(sender);
	if (deferred != exceptions->deferred)
		berth_scan_count_exceptions(daemon->scan);
	exceptions->deferred = deferred;
	follow_alarms(daemon);
}

bool berth_cluster_exceptions_hurry(struct berth_daemon *daemon)
{
	struct berth_cluster_exceptions *exceptions = daemon->cluster_exceptions;
	if (!exceptions)
		return false;
	if (exceptions->rows_version != daemon->model.rows_version && !daemon->state.publication.is_pending) {
		exceptions->rows_version = daemon->model.rows_version;
		exceptions->hurried = HURRIED_SCANS;
	}
	return exceptions->hurried;
}

/* --- ready --- */

void berth_cluster_exceptions_follow(struct berth_daemon *daemon)
{
	struct berth_node *node = &daemon->state.node;
	const struct berth_cluster_exceptions *exceptions = daemon->cluster_exceptions;
	const uint32_t timeout_ms = daemon->model.config->cluster.sync_timeout_ms;
	if (!node->is_synchronising)
		return;
	const bool is_late = berth_clock_ms() - exceptions->opened_ms >= timeout_ms;
	node->is_synchronising = !state_of(daemon)->is_synchronised && !is_late;
	if (is_late && !state_of(daemon)->is_synchronised)
		berth_log("cluster %s: not synchronised after %" PRIu32 " ms (sync-timeout), which it does not "
			  "wait for any longer: flows of other nodes may move",
			  daemon->store_config.name, timeout_ms);
}
