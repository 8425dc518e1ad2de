// SPDX-License-Identifier: BSD-3-Clause
/*
 * Counters of the image. Workers write them while this reads: `received` is read after the verdicts, so it is at
 * least forwarded + answered + passed + dropped; the difference is the packets in flight, and 0 without traffic.
 */
#include "controlplane/cmd/cmd.h"
#include "controlplane/util/clock.h"

static json_t *totals_json(const struct berth_totals *totals)
{
	uint64_t sum[BERTH_CLASS_DROP + 1] = {0};
	for (enum berth_verdict v = BERTH_NO_VERDICT + 1; v < BERTH_VERDICT_COUNT; v++)
		sum[BERTH_VERDICT_CLASS(v)] += totals->verdict[v];
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "received", berth_cmd_count(totals->received), "forwarded",
			 berth_cmd_count(sum[BERTH_CLASS_FORWARD]), "answered",
			 berth_cmd_count(sum[BERTH_CLASS_ANSWER]), "passed", berth_cmd_count(sum[BERTH_CLASS_PASS]),
			 "dropped", berth_cmd_count(sum[BERTH_CLASS_DROP]));
}

static json_t *verdicts_json(const struct berth_totals *totals)
{
	json_t *all = json_object();
	for (enum berth_verdict v = BERTH_NO_VERDICT + 1; v < BERTH_VERDICT_COUNT; v++)
		json_object_set_new(all, berth_verdict_name(v),
				    json_pack("{s:o, s:s}", "count", berth_cmd_count(totals->verdict[v]), "class",
					      berth_class_name(BERTH_VERDICT_CLASS(v))));
	return all;
}

static json_t *events_json(const struct berth_totals *totals)
{
	json_t *all = json_object();
	for (enum berth_event e = 0; e < BERTH_EVENT_COUNT; e++)
		json_object_set_new(all, berth_event_name(e), berth_cmd_count(totals->event[e]));
	return all;
}

static json_t *table_json(uint64_t used, uint64_t unconfirmed, uint32_t buckets)
{
	return json_pack("{s:o, s:o, s:o}", "entries", berth_cmd_count(used), "unconfirmed_entries",
			 berth_cmd_count(unconfirmed), "capacity_entries",
			 berth_cmd_count((uint64_t)buckets * BERTH_BUCKET_WORDS));
}

static json_t *tables_json(const struct berth_daemon_state *state)
{
	const struct berth_geometry *geometry = &state->engine->image.geometry;
	uint64_t flows, new_flows;
	uint64_t sessions, new_sessions;
	berth_scan_totals(state->scan, &flows, &sessions);
	berth_scan_unconfirmed(state->scan, &new_flows, &new_sessions);
	return json_pack("{s:o, s:o}", "flows", table_json(flows, new_flows, geometry->flow_buckets), "sessions",
			 table_json(sessions, new_sessions, geometry->session_buckets));
}

static json_t *workers_json(struct berth_engine *engine)
{
	const struct berth_image *image = &engine->image;
	json_t *all = json_array(), *status = engine->ops->status(engine);
	const json_t *cycles_per_second = json_object_get(status, "cycles_per_second");
	for (uint32_t w = 0; w < image->geometry.workers; w++) {
		const struct berth_worker *worker = &image->workers[w];
		json_array_append_new(all, json_pack("{s:o, s:o, s:o, s:o, s:O?}", "received_packets",
						     berth_cmd_count(BERTH_LOAD(&worker->received)), "polls",
						     berth_cmd_count(BERTH_LOAD(&worker->polls)), "bursts",
						     berth_cmd_count(BERTH_LOAD(&worker->bursts)), "busy_cycles",
						     berth_cmd_count(BERTH_LOAD(&worker->busy_cycles)),
						     "cycles_per_second", cycles_per_second));
	}
	json_decref(status);
	return all;
}

enum berth_code berth_cmd_show_stats(const struct berth_cmd_context *context, const json_t *arguments,
				     json_t **result, char error[BERTH_ERROR_BYTES])
{
	(void)arguments;
	(void)error;
	const struct berth_image *image = &context->state->engine->image;
	struct berth_totals totals;
	berth_counters_totals(image, &totals);
	*result = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "packets", totals_json(&totals), "workers",
			    workers_json(context->state->engine), "verdicts", verdicts_json(&totals), "events",
			    events_json(&totals), "tables", tables_json(context->state), "generation",
			    berth_cmd_count(BERTH_LOAD(&image->ctl->generation)), "uptime_s",
			    berth_cmd_count((berth_clock_ms() - context->state->started_ms) / 1000));
	return BERTH_CODE_OK;
}
