// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <string.h>

/* The core over an overlay, not over image.h. */
#include "controlplane/explain/accessors.h"

#include "controlplane/util/frame.h"
#include "dataplane/core/stages.h"

#include "controlplane/explain/trace.h"

static void note_entry(const struct berth_view *view, const struct berth_service *service,
		       const struct berth_key *key, struct berth_trace_entry *out)
{
	struct berth_entry entry;
	berth_flowtab_find(view, key, &entry);
	if (entry.at == BERTH_NOT_FOUND && berth_former_bits(view, key->table)) {
		berth_former_find(view, key, &entry);
		out->is_former = entry.at != BERTH_NOT_FOUND;
	}
	if (entry.at == BERTH_NOT_FOUND)
		return;
	out->is_found = true;
	out->state = (uint8_t)berth_word_state(entry.value);
	out->backend = (uint16_t)berth_word_backend(entry.value);
	out->age_s = berth_word_age(entry.value, view->now);
	out->is_expired = berth_word_is_expired(entry.value, view->now, service);
}

static void note_row(const struct berth_view *view, const struct berth_service *service, uint32_t tag,
		     struct berth_trace *trace)
{
	if (!service->rows || service->scheduler == BERTH_SCHEDULER_ROUND_ROBIN)
		return;
	const uint32_t number = berth_row_of_tag(tag, service->rows);
	const struct berth_row row = berth_row_at(view, service, number);
	trace->has_row = true;
	trace->rows = service->rows;
	trace->row = number;
	trace->primary = row.primary;
	trace->alternate = row.alternate;
	const struct berth_load_cell *primary = berth_load_of(view, row.primary);
	const struct berth_load_cell *alternate = berth_load_of(view, row.alternate);
	trace->has_loads = service->scheduler == BERTH_SCHEDULER_LEAST_CONN && primary && alternate;
	if (!trace->has_loads)
		return;
	const struct berth_weighted_loads loads = berth_weigh_loads(primary, alternate);
	trace->primary_load = loads.first;
	trace->alternate_load = loads.second;
	trace->primary_cost = BERTH_LOAD(&primary->cost);
	trace->alternate_cost = BERTH_LOAD(&alternate->cost);
}

/* The tables before the packet. */
static void note_tables(const struct berth_view *view, struct berth_trace *trace)
{
	const struct berth_packet *packet = &trace->packet;
	const struct berth_service *service = berth_service_of(view, packet->service);
	const struct berth_key key = berth_flow_key(view, packet);
	uint32_t tag = key.tag;
	if (!service)
		return;
	note_entry(view, service, &key, &trace->flow);
	if (packet->traits & (BERTH_RETURN | BERTH_LATER_FRAGMENT))
		return;
	if (service->affinity == BERTH_AFFINITY_CLIENT) {
		const struct berth_key session = berth_session_key(view, packet, service);
		note_entry(view, service, &session, &trace->session);
		trace->has_session = true;
		tag = session.tag;
	}
	note_row(view, service, tag, trace);
}

/* As berth_forward, with a look at the tables. */
static void run(const struct berth_view *view, struct berth_frame *frame, uint32_t bytes, struct berth_trace *trace)
{
	struct berth_packet *packet = &trace->packet;
	trace->verdict = berth_receive(view, frame, packet, bytes);
	trace->is_parsed = packet->length != 0;
	if (trace->verdict != BERTH_NO_VERDICT)
		return;
	struct berth_steering steering = berth_steered(BERTH_NO_VERDICT);
	struct berth_entry entry;
	struct berth_egress egress;
	trace->is_steered = true;
	note_tables(view, trace);
	berth_steer(view, packet, &steering, &entry, 1);
	trace->verdict = berth_send(view, frame, packet, steering, &entry, false, &egress);
	trace->port = BERTH_VERDICT_CLASS(trace->verdict) == BERTH_CLASS_ANSWER ? view->port : egress.port;
}

int berth_trace_run(struct berth_trace *trace, const struct berth_image *image, uint32_t port, const uint8_t *bytes,
		    uint32_t n)
{
	memset(trace, 0, sizeof(*trace));
	if (n > BERTH_TRACE_FRAME_BYTES)
		return -EMSGSIZE;
	struct berth_overlay *overlay = berth_overlay_new(image);
	if (!overlay)
		return -ENOMEM;
	uint8_t *data = trace->buffer + BERTH_TRACE_HEADROOM;
	memcpy(data, bytes, n);
	struct berth_frame frame = {data, data + n, trace->buffer};
	const struct berth_view view = berth_overlay_view(overlay, port);
	run(&view, &frame, n, trace);
	trace->out = frame.data;
	trace->out_bytes = (uint32_t)(frame.end - frame.data);
	berth_overlay_free(overlay);
	return 0;
}
