// SPDX-License-Identifier: BSD-3-Clause
/* Findings about the engine: whether it forwards, and what is published. */
#include <string.h>

#include "controlplane/doctor/system.h"

static void check_process(const struct berth_engine_process *process, json_t *checks)
{
	if (process->rejected[0])
		berth_doctor_addf(checks, "engine", BERTH_DOCTOR_PROBLEM,
				  "correct `dpdk` or `interfaces`, then: berthctl config apply FILE",
				  "berth-dpdk does not start with the options of the configuration, and runs with "
				  "former ones: %.300s",
				  process->rejected);
	if (process->is_failing)
		berth_doctor_addf(checks, "engine", BERTH_DOCTOR_PROBLEM,
				  "fix the cause; journalctl -u berthd shows every end",
				  "berth-dpdk does not start, hung, or has ended three times within a minute; the "
				  "last time: %s",
				  process->fault);
	else if (process->restarts)
		berth_doctor_addf(checks, "engine", BERTH_DOCTOR_NOTE, "journalctl -u berthd shows how it ended",
				  "berth-dpdk was restarted %u times", process->restarts);
}

void berth_doctor_engine(const struct berth_daemon_state *state, const json_t *status, json_t *checks)
{
	const char *image = json_string_value(json_object_get(status, "segment"));

	berth_doctor_addf(checks, "engine", BERTH_DOCTOR_OK, "", "%s, because %s", state->engine->ops->name,
			  state->engine->reason);
	if (json_is_false(json_object_get(status, "running")))
		berth_doctor_addf(checks, "engine", BERTH_DOCTOR_PROBLEM, "journalctl -u berthd shows how it ended",
				  "berth-dpdk is not running: no packet is forwarded");
	else if (json_object_get(status, "pin_directory") && !state->engine->ops->is_running(state->engine))
		berth_doctor_addf(
			checks, "engine", BERTH_DOCTOR_PROBLEM,
			"journalctl -u berthd shows the interface and why; then: systemctl restart berthd, "
			"which keeps all flows",
			"its program is not attached to every interface: packets there are not forwarded");
	check_process(&state->engine->process, checks);
	if (image && strncmp(image, "/dev/shm/", strlen("/dev/shm/")) == 0)
		berth_doctor_addf(
			checks, "engine", BERTH_DOCTOR_NOTE,
			"reserve hugepages (hugepages.md), then: berthctl shutdown; systemctl start berthd",
			"its tables are not in hugepages: lookups are slower");
	if (state->publication.error[0])
		berth_doctor_addf(checks, "engine", BERTH_DOCTOR_PROBLEM, "",
				  "the latest configuration is not in force; publication failed: %s",
				  state->publication.error);
	else if (state->publication.is_late)
		berth_doctor_addf(
			checks, "engine", BERTH_DOCTOR_PROBLEM, "journalctl -u berthd shows since when and why",
			"a change is not in force: for a second or more, a worker has used the former generation");
}

/* A full table forwards new flows by selection alone, so that a change of backends moves them. */
static void check_table(const char *name, uint64_t used, uint64_t room, json_t *checks)
{
	if (room && used * 10 > room * 9)
		berth_doctor_addf(
			checks, "engine", BERTH_DOCTOR_NOTE, "raise it in `limits`, or shorten `timeouts`",
			"the table of %s is %u%% full: new %s may have no entry, and lose their backend when "
			"others change",
			name, (unsigned int)(used * 100 / room), name);
}

void berth_doctor_tables(const struct berth_daemon_state *state, json_t *checks)
{
	const struct berth_geometry *geometry = &state->engine->image.geometry;
	uint64_t flows, sessions;
	berth_scan_totals(state->scan, &flows, &sessions);
	check_table("flows", flows, (uint64_t)geometry->flow_buckets * BERTH_BUCKET_WORDS, checks);
	check_table("sessions", sessions, (uint64_t)geometry->session_buckets * BERTH_BUCKET_WORDS, checks);
}

bool berth_doctor_workers_check(const struct berth_daemon_state *state, const struct berth_heartbeat *before,
				json_t *checks)
{
	struct berth_heartbeat now;
	uint32_t n;
	berth_heartbeat_sample(&state->engine->image, &now);
	const uint32_t stuck = berth_heartbeat_stuck(before, &now, &n);
	if (stuck && state->engine->ops->is_running(state->engine))
		berth_doctor_addf(
			checks, "engine", BERTH_DOCTOR_PROBLEM,
			"ps -C berth-dpdk -o pid,stat,wchan shows what it waits for; kill -CONT continues a "
			"stopped process, and after kill -KILL berthd starts a new one, which keeps all flows",
			"%u of %u workers do not run: packets of their queues are not forwarded", stuck, n);
	return stuck == 0 && state->engine->ops->is_running(state->engine);
}
