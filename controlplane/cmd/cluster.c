// SPDX-License-Identifier: BSD-3-Clause
#include <stdio.h>
#include <time.h>

#include "controlplane/cluster/digest.h"
#include "controlplane/cmd/cmd.h"
#include "controlplane/store/store.h"
#include "controlplane/util/address.h"
#include "controlplane/util/clock.h"

enum {
	MOST_LISTED = 100, /* records of operators */
};

static json_t *text_or_null(const char *text)
{
	return text[0] ? json_string(text) : json_null();
}

static json_t *seconds_since(uint64_t ms)
{
	return json_integer((json_int_t)((berth_clock_ms() - ms) / 1000));
}

static json_t *node_json(const char *name, const char *config_digest, const char *secret_digest)
{
	return json_pack("{s:o, s:s, s:s}", "name", text_or_null(name), "config_digest", config_digest,
			 "secret_digest", secret_digest);
}

static json_t *this_node_json(const struct berth_daemon_state *state)
{
	char digest[BERTH_CONFIG_DIGEST_TEXT], proof[BERTH_SECRET_PROOF_TEXT];
	struct berth_cluster_node node;
	uint64_t flows, sessions;
	berth_cluster_node_of(state->model->config, state->engine->image.ctl->secret, &node);
	berth_scan_exception_totals(state->scan, &flows, &sessions);
	json_t *more = json_pack("{s:b, s:n, s:b, s:b, s:o, s:o}", "this_node", true, "seen_s", "same_config", true,
				 "same_secret", true, "exception_flows", berth_cmd_count(flows),
				 "exception_sessions", berth_cmd_count(sessions));
	return berth_cmd_merge(node_json(node.name, berth_cluster_format_config_digest(&node, digest),
					 berth_cluster_format_secret_proof(&node, proof)),
			       more);
}

static json_t *other_node_json(const struct berth_peer *node, const json_t *own)
{
	const struct berth_presence *presence = &node->presence;
	json_t *json = node_json(presence->node, presence->config_digest, presence->secret_digest);
	const bool same_config = json_equal(json_object_get(json, "config_digest"),
					    json_object_get(own, "config_digest"));
	const bool same_secret = json_equal(json_object_get(json, "secret_digest"),
					    json_object_get(own, "secret_digest"));
	return berth_cmd_merge(json,
			       json_pack("{s:b, s:o, s:b, s:b, s:n, s:n}", "this_node", false, "seen_s",
					 seconds_since(node->seen_ms), "same_config", same_config, "same_secret",
					 same_secret, "exception_flows", "exception_sessions"));
}

/* The nodes: this one first, then those that the store has shown. */
static json_t *nodes_json(const struct berth_daemon_state *state)
{
	json_t *own = this_node_json(state), *nodes = json_pack("[o]", own);
	const struct berth_peers *others = state->store ? &berth_store_status(state->store)->peers : NULL;
	for (size_t i = 0; others && i < others->n; i++)
		json_array_append_new(nodes, other_node_json(&others->all[i], own));
	return nodes;
}

static json_t *server_json(const struct berth_store_server *server)
{
	char address[BERTH_ADDRESS_TEXT];
	if (!server->port)
		return json_null();
	return json_sprintf(berth_addr_is4(&server->address) ? "%s:%u" : "[%s]:%u",
			    berth_address_format(&server->address, address), server->port);
}

static json_t *store_json(const struct berth_store *store)
{
	if (!store)
		return json_null();
	const struct berth_store_status *status = berth_store_status(store);
	return json_pack("{s:b, s:o, s:o, s:o, s:b, s:I, s:I, s:I}", "connected", status->is_connected, "server",
			 server_json(&status->server), "since_s", seconds_since(status->since_ms), "error",
			 text_or_null(status->error), "name_used_twice", status->is_doubled, "visits",
			 (json_int_t)status->visits, "failures", (json_int_t)status->failures, "refused_values",
			 (json_int_t)status->refused);
}

static json_t *told_json(const struct berth_sender *sender)
{
	const struct berth_sender_counts *counts = berth_sender_counts(sender);
	json_t *told = json_object();
	for (enum berth_sender_reason i = 0; i < BERTH_SENDER_REASON_COUNT; i++)
		json_object_set_new(told, berth_sender_reason_name(i), berth_cmd_count(counts->told[i]));
	json_object_set_new(told, "commands", berth_cmd_count(counts->commands));
	return told;
}

static json_t *received_json(const struct berth_receiver_counts *counts)
{
	json_t *received = json_object();
	for (enum berth_received_outcome i = 0; i < BERTH_RECEIVED_OUTCOME_COUNT; i++)
		json_object_set_new(received, berth_received_outcome_name(i), berth_cmd_count(counts->put[i]));
	json_object_set_new(received, "unknown", berth_cmd_count(counts->unknown));
	json_object_set_new(received, "own", berth_cmd_count(counts->own));
	json_object_set_new(received, "commands", berth_cmd_count(counts->commands));
	return received;
}

struct listing {
	json_t *set;
	size_t n;
	uint64_t unix_ms;
};

static json_t *record_json(const struct berth_operator_record *record, uint64_t unix_ms)
{
	json_t *json = berth_operator_record_json(record);
	json_object_del(json, "time_ms");
	json_object_set_new(json, "local", json_boolean(record->is_local));
	json_object_set_new(json, "age_s",
			    berth_cmd_count(unix_ms > record->time_ms ? (unix_ms - record->time_ms) / 1000 : 0));
	return json;
}

/* What has ended is not listed. */
static void add_record(void *arg, const struct berth_operator_record *record)
{
	struct listing *listing = arg;
	if (berth_operator_record_is_end(record))
		return;
	if (listing->n < MOST_LISTED)
		json_array_append_new(listing->set, record_json(record, listing->unix_ms));
	listing->n++;
}

/* What operators have set by commands that act on the cluster. */
static json_t *operators_json(const struct berth_operator_state_now *operators)
{
	struct listing listing = {.set = json_array(), .unix_ms = (uint64_t)time(NULL) * 1000};
	json_t *received = json_object();
	berth_operator_set_for_each(operators->set, add_record, &listing);
	for (enum berth_operator_outcome i = 0; i < BERTH_OPERATOR_OUTCOME_COUNT; i++)
		json_object_set_new(received, berth_operator_outcome_name(i),
				    berth_cmd_count(operators->received[i]));
	return json_pack("{s:I, s:o, s:o, s:o}", "records", (json_int_t)listing.n, "told",
			 berth_cmd_count(operators->told), "received", received, "set", listing.set);
}

/* Records told to other nodes, and received from them. */
static json_t *exchange_json(const struct berth_daemon_state *state)
{
	const struct berth_exchange_state *exchange = &state->exchange;
	if (!exchange->sender)
		return json_null();
	const struct berth_store_records *records = berth_store_records(state->store);
	const struct berth_receiver_counts *received = berth_receiver_counts(exchange->receiver);
	/* What operators set has a stream of its own beside those of services. */
	const json_int_t others = records->services != 0;
	return json_pack("{s:b, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "synchronised",
			 exchange->is_synchronised, "services", (json_int_t)records->services - others,
			 "received_services", (json_int_t)records->read_services - others, "lag_s",
			 records->oldest_ms ? seconds_since(records->oldest_ms) : json_integer(0), "queued_bytes",
			 berth_cmd_count(records->queue_bytes), "told", told_json(exchange->sender), "deferred",
			 berth_cmd_count(berth_sender_counts(exchange->sender)->deferred), "lost",
			 berth_cmd_count(berth_exceptions_lost(berth_sender_exceptions(exchange->sender))),
			 "received", received_json(received), "refused",
			 berth_cmd_count(berth_store_refused_records(state->store, exchange->receiver)));
}

enum berth_code berth_cmd_show_cluster(const struct berth_cmd_context *context, const json_t *arguments,
				       json_t **result, char error[BERTH_ERROR_BYTES])
{
	(void)arguments;
	(void)error;
	const struct berth_cluster_config *cluster = &context->state->model->config->cluster;
	*result = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "cluster", text_or_null(cluster->name), "node",
			    text_or_null(cluster->node), "nodes", nodes_json(context->state), "store",
			    store_json(context->state->store), "exchange", exchange_json(context->state),
			    "operators", operators_json(&context->state->operators));
	return BERTH_CODE_OK;
}

/* --- commands that act on a cluster --- */

struct berth_cmd_origin berth_cmd_origin(const struct berth_cmd_context *context)
{
	const struct berth_server_peer peer = berth_server_peer(context->server);
	struct berth_cmd_origin origin = {.is_local = json_is_true(json_object_get(context->arguments, "local"))};
	if (peer.uid == (uid_t)-1)
		snprintf(origin.by, sizeof(origin.by), "unknown");
	else
		snprintf(origin.by, sizeof(origin.by), "uid %u", (unsigned int)peer.uid);
	return origin;
}

static void add_applies_to(json_t *result, json_t *scope)
{
	if (result)
		json_object_set_new(result, "applies_to", scope);
	else
		json_decref(scope);
}

/* NULL: it depends on whether the store is reached. */
static json_t *fixed_scope(const struct berth_cmd_context *context)
{
	const struct berth_daemon_state *state = context->state;
	const char *name = state->model->config->cluster.name;
	if (!name[0])
		return json_null();
	if (berth_cmd_origin(context).is_local)
		return json_string("this node alone (--local)");
	return state->store ? NULL : json_sprintf("this node alone: cluster %s has no store", name);
}

void berth_cmd_add_scope(const struct berth_cmd_context *context, json_t *result)
{
	const struct berth_daemon_state *state = context->state;
	const char *name = state->model->config->cluster.name;
	json_t *scope = fixed_scope(context);
	if (!scope)
		scope = json_sprintf(berth_store_status(state->store)->is_connected
					     ? "all nodes of cluster %s"
					     : "this node alone until the store of cluster %s is reached",
				     name);
	add_applies_to(result, scope);
}

bool berth_cmd_tell_sessions(const struct berth_cmd_context *context, const struct berth_cluster_record *command)
{
	struct berth_sender *sender = context->state->exchange.sender;
	return sender && !berth_cmd_origin(context).is_local && berth_sender_command(sender, command);
}

void berth_cmd_add_told(const struct berth_cmd_context *context, json_t *result, bool is_told)
{
	json_t *scope = fixed_scope(context);
	if (!scope)
		scope = json_sprintf(
			is_told ? "all nodes of cluster %s"
				: "this node alone, since the store of cluster %s is not reached; repeat "
				  "it later, or on each node",
			context->state->model->config->cluster.name);
	add_applies_to(result, scope);
}
