// SPDX-License-Identifier: BSD-3-Clause
/* `show drops`: by reason, of all packets; or of a service, with the last packets. */
#include "controlplane/tables/drops.h"
#include "controlplane/cmd/cmd.h"
#include "controlplane/cmd/packets/fields.h"

enum {
	NANOSECONDS = 1000000000,
};

static json_t *reason_json(enum berth_verdict verdict, uint64_t packets)
{
	return json_pack("{s:s, s:o, s:s}", "name", berth_verdict_name(verdict), "count", berth_cmd_count(packets),
			 "help", berth_verdict_help(verdict));
}

static json_t *all_reasons(const struct berth_image *image)
{
	struct berth_totals totals;
	json_t *drops = json_array();
	berth_counters_totals(image, &totals);
	for (enum berth_verdict v = BERTH_NO_VERDICT + 1; v < BERTH_VERDICT_COUNT; v++)
		if (BERTH_VERDICT_CLASS(v) == BERTH_CLASS_DROP)
			json_array_append_new(drops, reason_json(v, totals.verdict[v]));
	return drops;
}

static json_t *samples_json(const struct berth_drop_reason *reason, int64_t offset_ns)
{
	json_t *samples = json_array();
	for (uint32_t i = 0; i < reason->n; i++) {
		const struct berth_drop_sample *sample = &reason->sample[i];
		json_array_append_new(samples,
				      json_pack("{s:I, s:o}", "time_ns", (json_int_t)sample->time_ns + offset_ns,
						"packet", berth_cmd_packet(&sample->packet)));
	}
	return samples;
}

static json_t *reasons_of_service(const struct berth_image *image, uint32_t service)
{
	struct berth_drop_reason reasons[BERTH_VERDICT_COUNT];
	const int64_t offset_ns = berth_cmd_time_offset_ns();
	const uint32_t half = BERTH_LOAD(&image->ctl->generation) & 1;
	json_t *drops = json_array();
	berth_drops_read(image, image->services[half * image->geometry.services + service].id, reasons);
	for (enum berth_verdict v = BERTH_NO_VERDICT + 1; v < BERTH_VERDICT_COUNT; v++) {
		if (!reasons[v].packets)
			continue;
		json_t *row = reason_json(v, reasons[v].packets);
		json_object_set_new(row, "since",
				    json_integer(((int64_t)reasons[v].since_ns + offset_ns) / NANOSECONDS));
		json_object_set_new(row, "samples", samples_json(&reasons[v], offset_ns));
		json_array_append_new(drops, row);
	}
	return drops;
}

enum berth_code berth_cmd_show_drops(const struct berth_cmd_context *context, const json_t *arguments,
				     json_t **result, char error[BERTH_ERROR_BYTES])
{
	const struct berth_model_service *service;
	const struct berth_image *image = &context->state->engine->image;
	enum berth_code code = berth_cmd_find_service(context, arguments, &service, error);
	if (code)
		return code;
	if (service)
		*result = json_pack("{s:s, s:o}", "service", service->config.name, "drops",
				    reasons_of_service(image, service->number));
	else
		*result = json_pack("{s:o}", "drops", all_reasons(image));
	return BERTH_CODE_OK;
}
