// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/doctor/cluster.h"

#include <inttypes.h>

#include "controlplane/api/plural.h"
#include "controlplane/store/store.h"
#include "controlplane/util/clock.h"

static void check_store(const struct berth_store_status *status, json_t *checks)
{
	if (!status->is_connected && status->error[0])
		berth_doctor_addf(checks, "cluster", BERTH_DOCTOR_PROBLEM,
				  "see to the store, or correct `cluster.store`; forwarding goes on without it",
				  "the store has not been reached for %" PRIu64 " s: %s",
				  (berth_clock_ms() - status->since_ms) / 1000, status->error);
	if (status->refused_now)
		berth_doctor_addf(checks, "cluster", BERTH_DOCTOR_PROBLEM,
				  "give berth a user of its own in the store (ACL), and remove what is not berth's",
				  "the store has %" PRIu64 " value%s not from nodes, which berth ignores",
				  status->refused_now, BERTH_PLURAL(status->refused_now));
	if (status->is_doubled)
		berth_doctor_addf(checks, "cluster", BERTH_DOCTOR_PROBLEM,
				  "give each node a name of its own in `cluster.node`",
				  "another berthd visits the store as this node, %s", status->own.node);
}

/* Visits succeed: `error` of the store has nothing of it. */
static void check_records(const struct berth_store_records *records, json_t *checks)
{
	if (records->is_alarm)
		berth_doctor_addf(checks, "cluster", BERTH_DOCTOR_PROBLEM,
				  "give berth's user in the store the rights that docs/cluster.md names",
				  "nodes cannot tell each other their exceptions: %s", records->error);
}

static void check_node(const struct berth_peer *node, json_t *checks)
{
	const char *name = node->presence.node;
	if (node->is_lost)
		berth_doctor_addf(checks, "cluster", BERTH_DOCTOR_NOTE, "see to that node, if it should run",
				  "node %s was last seen %" PRIu64 " s ago", name,
				  (berth_clock_ms() - node->seen_ms) / 1000);
	if (!node->is_lost && node->has_other_config)
		berth_doctor_addf(
			checks, "cluster", BERTH_DOCTOR_PROBLEM,
			"apply the same services and backends on both nodes",
			"node %s has another configuration: it selects other backends for the same clients", name);
	if (!node->is_lost && node->has_other_secret)
		berth_doctor_addf(
			checks, "cluster", BERTH_DOCTOR_PROBLEM,
			"copy the file `secret-file` from one node to the other, and restart berthd there",
			"node %s has another secret: it selects other backends for the same clients", name);
}

static void check_exchange(const struct berth_exchange_state *exchange, json_t *checks)
{
	for (enum berth_exchange_alarm i = 0; i < BERTH_EXCHANGE_ALARM_COUNT; i++)
		if (exchange->alarms[i].is_on)
			berth_doctor_addf(checks, "cluster", BERTH_DOCTOR_PROBLEM, berth_exchange_alarm_remedy(i),
					  "%s", berth_exchange_alarm_cause(i));
}

void berth_doctor_cluster(const struct berth_daemon_state *state, json_t *checks)
{
	if (!state->store)
		return;
	const struct berth_store_status *status = berth_store_status(state->store);
	check_store(status, checks);
	check_records(berth_store_records(state->store), checks);
	check_exchange(&state->exchange, checks);
	for (size_t i = 0; i < status->peers.n; i++)
		check_node(&status->peers.all[i], checks);
}
